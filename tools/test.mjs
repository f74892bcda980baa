// Runs every test and counts: units, fuzzers' corpora, checks of the tree, integration and browser
// tests on both databases. Writes build/test-results.tsv (status, suite, name) for `make rows`, and
// ends with "N passed, N failed, N skipped".
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const long = process.argv.includes('--long');
const only = process.argv.find((a) => a.startsWith('--only='))?.slice(7) ?? '';
const ci = process.env.CI === 'true';
const results = [];
const add = (status, suite, name) => results.push({ status, suite, name });
const walk = (dir, test) => !existsSync(dir) ? [] : readdirSync(dir).sort().flatMap((n) => {
  const p = join(dir, n);
  return statSync(p).isDirectory() ? walk(p, test) : test(p) ? [p] : [];
});

function run(cmd, args, { env = {}, timeoutMs = 300000 } = {}) {
  return new Promise((resolve) => {
    const child = spawn(cmd, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let out = '';
    let late = false;
    const timer = setTimeout(() => { late = true; try { process.kill(-child.pid, 'SIGKILL'); } catch {} }, timeoutMs);
    child.stdout.on('data', (d) => { out += d; });
    child.stderr.on('data', (d) => { out += d; });
    child.on('error', (e) => { clearTimeout(timer); resolve({ code: 127, out: String(e), late }); });
    child.on('close', (code) => { clearTimeout(timer); try { process.kill(-child.pid, 'SIGKILL'); } catch {} resolve({ code, out, late }); });
  });
}

// TAP, of cmocka and of node's runner alike: counts leaves (a test with subtests is their parent).
function tap(suite, { code, out, late }) {
  const seen = results.length;
  const lines = out.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const m = /^(\s*)(not ok|ok) \d+(?: - (.*))?$/.exec(lines[i]);
    if (!m) continue;
    const name = (m[3] ?? '').trim();
    if (/type: 'suite'/.test(lines.slice(i + 1, i + 5).join('\n'))) continue;
    if (/\.test\.mjs$/.test(name) || /# Subtest/.test(name)) continue;
    const skip = / # (SKIP|TODO)/i.test(lines[i]);
    add(skip ? 'skipped' : m[2] === 'ok' ? 'passed' : 'failed', suite, name.replace(/ # (SKIP|TODO).*/i, ''));
  }
  const mine = results.slice(seen);
  if (late) add('failed', suite, 'did not end in time');
  else if (code !== 0 && !mine.some((r) => r.status === 'failed')) add('failed', suite, `ended with code ${code}`);
  else if (mine.length === 0) add('failed', suite, 'ran no test');
  const bad = results.slice(seen).filter((r) => r.status === 'failed');
  const n = results.length - seen;
  console.log(`${bad.length ? 'FAILED' : 'ok    '} ${suite}: ${n - bad.length} of ${n}`);
  if (bad.length) { console.log(out.slice(-6000)); bad.forEach((b) => console.log(`  failed: ${b.name}`)); }
}

async function plain(suite, name, cmd, args, options) {
  const r = await run(cmd, args, options);
  add(r.code === 0 ? 'passed' : 'failed', suite, name);
  console.log(`${r.code === 0 ? 'ok    ' : 'FAILED'} ${suite}: ${name}`);
  if (r.code !== 0) console.log(r.out.slice(-4000));
}

const wanted = (suite) => !only || suite.includes(only);
mkdirSync('build', { recursive: true });
const san = { ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0', UBSAN_OPTIONS: 'print_stacktrace=1' };
let pg = '';
const needsPg = ['unit', 'postgres'].some((s) => wanted(s)) && existsSync('test/pg.sh');
if (needsPg) {
  const r = await run('sh', ['test/pg.sh', 'start', 'build/pg']);
  pg = r.out.trim().split('\n').pop() ?? '';
  if (r.code !== 0) { console.log(r.out); add('failed', 'postgres', 'a private cluster starts'); pg = ''; }
}
try {
  if (wanted('checks')) {
    await plain('checks', 'files include only their floor and below', 'python3', ['tools/check-layers']);
    for (const f of walk('tools', (p) => /check-[a-z]+(\.sh|\.mjs|\.py)?$/.test(p) && !p.endsWith('check-layers')))
      await plain('checks', f, f, []);
  }
  if (wanted('unit'))
    for (const bin of walk('build/unit', (p) => p.endsWith('_test')))
      tap(`unit ${bin.replace(/^build\/unit\/src\//, '')}`, await run(bin, [], { env: { ...san, CMOCKA_MESSAGE_OUTPUT: 'TAP', SOCLE_TEST_PG: pg } }));
  if (wanted('fuzz'))
    for (const bin of walk('build/fuzz', (p) => p.endsWith('_fuzz'))) {
      const corpus = join('test/corpus', bin.split('/').pop().replace(/_fuzz$/, ''));
      const dir = existsSync(corpus) ? corpus : join('test/corpus', bin.split('/').pop());
      await plain('fuzz', bin.split('/').pop(), bin, [dir], { env: san });
    }
  const engines = [['sqlite', ''], ['postgres', pg]].filter(([name, url]) => name === 'sqlite' || url);
  for (const [engine, url] of engines) {
    for (const dir of ['integration', 'fault', 'browser'])
      for (const f of walk(join('test', dir), (p) => p.endsWith('.test.mjs')).concat(dir === 'integration' ? walk('services', (p) => p.endsWith('.test.mjs')) : [])) {
        const suite = `${dir} ${engine} ${f.split('/').pop().replace('.test.mjs', '')}`;
        if (!wanted(suite)) continue;
        tap(suite, await run('node', ['--experimental-global-webcrypto', '--no-warnings', '--test-reporter=tap', '--test', f].filter((a) => a !== '--experimental-global-webcrypto' || Number(process.versions.node.split('.')[0]) < 20),
          { env: { SOCLE_TEST_ENGINE: engine, SOCLE_TEST_PG: url, SOCLE_TEST_LONG: long ? '1' : '' }, timeoutMs: long ? 3600000 : 420000 }));
      }
  }
} finally {
  if (needsPg) await run('sh', ['test/pg.sh', 'stop', 'build/pg']);
}
writeFileSync('build/test-results.tsv', results.map((r) => [r.status, r.suite, r.name].join('\t')).join('\n') + '\n');
const count = (s) => results.filter((r) => r.status === s).length;
const failed = count('failed'), skipped = count('skipped');
for (const r of results) if (r.status === 'failed') console.log(`failed: ${r.suite}: ${r.name}`);
for (const r of results) if (r.status === 'skipped') console.log(`skipped: ${r.suite}: ${r.name}`);
console.log(`${count('passed')} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed || (ci && skipped) || results.length === 0 ? 1 : 0);
