// Runs every test and counts: checks of the tree, units, fuzzers' corpora, then integration, browser
// and fault tests on both databases. Two at a time; those that measure time run alone, at the end.
// Writes build/test-results.tsv (status, suite, name) for `make rows`, and ends with
// "N passed, N failed, N skipped".
//   --only=WORD   suites whose name has the word      --long   the full counts (make test-long)
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const unknown = process.argv.slice(2).find((a) => a !== '--long' && !/^--only=./.test(a));
if (unknown !== undefined) {
  console.error(`unknown option ${unknown}\nusage: node tools/test.mjs [--only=WORD] [--long]`);
  process.exit(2);
}
const long = process.argv.includes('--long');
const only = process.argv.find((a) => a.startsWith('--only='))?.slice(7) ?? '';
const ci = process.env.CI === 'true';
const AT_ONCE = 2;
const results = [];
const add = (status, suite, { name, why }) => results.push({ status, suite, name, why });
const wanted = (suite) => !only || suite.includes(only);
const walk = (dir, test) => !existsSync(dir) ? [] : readdirSync(dir).sort().flatMap((n) => {
  const p = join(dir, n);
  return statSync(p).isDirectory() ? walk(p, test) : test(p) ? [p] : [];
});

// A program in a process group of its own: what it leaves running ends with it. Ctrl-C reaches this
// process alone, so it passes it on, and ends the database.
const running = new Set();
const killGroup = (pid, signal) => { try { process.kill(-pid, signal); } catch {} };
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, async () => {
    for (const pid of running) killGroup(pid, 'SIGTERM');
    await new Promise((done) => setTimeout(done, 1500));
    for (const pid of running) killGroup(pid, 'SIGKILL');
    await new Promise((done) => spawn('sh', ['test/pg.sh', 'stop', 'build/pg'], { detached: true }).on('close', done));
    process.exit(1);
  });

function run(cmd, args, { env = {}, timeoutMs = 300000 } = {}) {
  return new Promise((resolve) => {
    const child = spawn(cmd, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let out = '', late = false;
    running.add(child.pid);
    const end = () => { running.delete(child.pid); killGroup(child.pid, 'SIGKILL'); };
    // First politely: a test ends the platforms it started.
    const timer = setTimeout(() => { late = true; killGroup(child.pid, 'SIGTERM'); setTimeout(end, 5000).unref(); }, timeoutMs);
    child.stdout.on('data', (d) => { out += d; });
    child.stderr.on('data', (d) => { out += d; });
    child.on('error', (e) => { clearTimeout(timer); resolve({ code: 127, out: String(e), late }); });
    child.on('exit', end);
    child.on('close', (code) => { clearTimeout(timer); resolve({ code, out, late }); });
  });
}

function report(suite, mine, { code, out, late }, startedAt) {
  if (late) mine.push({ status: 'failed', name: 'did not end in time' });
  else if (code !== 0 && !mine.some((r) => r.status === 'failed')) mine.push({ status: 'failed', name: `ended with code ${code}` });
  else if (mine.length === 0) mine.push({ status: 'failed', name: 'ran no test' });
  mine.forEach((r) => add(r.status, suite, r));
  const bad = mine.filter((r) => r.status === 'failed');
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  const what = mine.length === 1 ? mine[0].name : `${mine.length - bad.length} of ${mine.length}`;
  console.log(`${bad.length ? 'FAILED' : 'ok    '} ${suite}: ${what} in ${seconds} s`);
  for (const r of mine) if (r.said) console.log(r.said.replace(/^/gm, '       '));
  for (const r of bad) console.log(`  failed: ${r.name}\n${(r.why ?? '').slice(0, 6000).replace(/^/gm, '    ')}`);
  if (bad.length && bad.every((r) => !r.why)) console.log(out.slice(-6000));
}

const unitName = (bin) => `unit ${bin.replace(/^build\/unit\/(src\/)?/, '')}`;

// cmocka's TAP.
async function unit(bin, env, timeoutMs) {
  const startedAt = Date.now();
  const r = await run(bin, [], { env, timeoutMs });
  const mine = [];
  for (const line of r.out.split('\n')) {
    const m = /^(not ok|ok) \d+(?: - | # (SKIP) )(.*)$/i.exec(line);
    if (m) mine.push({ status: m[2] ? 'skipped' : m[1] === 'ok' ? 'passed' : 'failed', name: m[3].trim() });
  }
  report(unitName(bin), mine, r, startedAt);
}

const major = Number(process.versions.node.split('.')[0]);
async function suite(name, file, env, timeoutMs, node = 'node') {
  const startedAt = Date.now();
  const old = major < 20 || node !== 'node';
  const args = [...(old ? ['--experimental-global-webcrypto'] : []), '--no-warnings', '--test-reporter=./tools/test-reporter.mjs', '--test', file];
  const r = await run(node, args, { env, timeoutMs });
  const mine = [], said = [];
  for (const line of r.out.split('\n')) {
    if (line.startsWith('{"status":')) mine.push(JSON.parse(line));
    else if (line.startsWith('figure: ')) said.push(line);
  }
  if (mine.length && said.length) mine[0].said = said.join('\n');
  report(name, mine, r, startedAt);
}

async function plain(name, title, cmd, args, options) {
  const startedAt = Date.now();
  const r = await run(cmd, args, options);
  report(name, [{ status: r.code === 0 ? 'passed' : 'failed', name: title, why: r.code === 0 ? undefined : r.out.slice(-4000) }], r, startedAt);
}

async function together(jobs, n = AT_ONCE) {
  const left = [...jobs];
  await Promise.all(Array.from({ length: n }, async () => { while (left.length) await left.shift()(); }));
}

// ---- what there is ------------------------------------------------------------------------------
const san = { ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0', UBSAN_OPTIONS: 'print_stacktrace=1' };
const checks = ['tools/check-layers', ...walk('tools', (p) => /check-[a-z-]+(\.sh|\.mjs|\.py)?$/.test(p) && !p.endsWith('check-layers'))];
const units = walk('build/unit', (p) => p.endsWith('_test'));
const fuzzers = walk('build/fuzz', (p) => p.endsWith('_fuzz'));
const isSuite = (p) => p.endsWith('.test.mjs');
// The longest first, so that two at a time end together. Services bring tests of their own.
const shared = [...walk('test/browser', isSuite), ...walk('test/integration', isSuite), ...walk('services', isSuite)];
const alone = walk('test/fault', isSuite);
const kind = (f) => (f.startsWith('services') ? 'services' : f.split('/')[1]);
const label = (f, engine) => `${kind(f)} ${engine} ${basename(f, '.test.mjs')}`;
// Pages rendered from examples know no database.
const engineless = (f) => f.endsWith('preview.test.mjs');

mkdirSync('build', { recursive: true });
const startedAt = Date.now();
let pg = '';
const needsPg = units.some((u) => wanted(unitName(u))) || [...shared, ...alone].some((f) => wanted(label(f, 'postgres')));
if (needsPg) {
  const r = await run('sh', ['test/pg.sh', 'start', 'build/pg']);
  if (r.code === 0) pg = r.out.trim().split('\n').pop();
  else report('postgres', [{ status: 'failed', name: 'a private cluster starts', why: r.out }], r, startedAt);
}
try {
  await together([
    ...checks.filter(() => wanted('checks')).map((f) => () => plain('checks', f, f, [])),
    ...units.filter((b) => wanted(unitName(b))).map((b) => () => unit(b, { ...san, CMOCKA_MESSAGE_OUTPUT: 'TAP', SOCLE_TEST_PG: pg, SOCLE_TEST_LONG: long ? '1' : '' }, long ? 6 * 3600000 : 300000)),
    ...fuzzers.filter(() => wanted('fuzz')).map((b) => () => {
      const name = basename(b), corpus = join('test/corpus', name.replace(/_fuzz$/, ''));
      return plain('fuzz', name, b, [existsSync(corpus) ? corpus : join('test/corpus', name)], { env: san });
    }),
  ]);
  const engines = [['sqlite', ''], ...(pg ? [['postgres', pg]] : [])];
  const jobs = (files) => files.flatMap((f) => engines
    .filter(([engine]) => (!engineless(f) || engine === 'sqlite') && wanted(label(f, engine)))
    .map(([engine, url]) => () => suite(label(f, engine), f, { SOCLE_TEST_ENGINE: engine, SOCLE_TEST_PG: url, SOCLE_TEST_LONG: long ? '1' : '' }, long ? 6 * 3600000 : 900000)));
  // The clients and the browser once more on Debian 12's own Node, where this machine has a newer one.
  const onDebian = ['test/browser/story.test.mjs', 'test/integration/openid.test.mjs'].filter((f) => major > 18 && wanted(label(f, 'node18')));
  const debian = onDebian.length ? await run('sh', ['tools/node18.sh']) : null;
  if (debian && debian.code !== 0) report('node18', [{ status: 'failed', name: 'Debian’s own Node 18 can be had', why: debian.out }], debian, Date.now());
  const node18 = debian?.out.trim().split('\n').pop();
  await together([...jobs(shared), ...(debian?.code === 0 ? onDebian : []).map((f) => () => suite(label(f, 'node18'), f, { SOCLE_TEST_ENGINE: 'sqlite' }, 900000, node18))]);
  await together(jobs(alone), 1);
} finally {
  if (needsPg) await run('sh', ['test/pg.sh', 'stop', 'build/pg']);
}
writeFileSync('build/test-results.tsv', results.map((r) => [r.status, r.suite, r.name.replace(/\s+/g, ' ')].join('\t')).join('\n') + '\n');
const count = (s) => results.filter((r) => r.status === s).length;
const failed = count('failed'), skipped = count('skipped');
// Said once more, shortly: the end of a long report is what is read first.
for (const r of results) if (r.status === 'failed') console.log(`failed: ${r.suite}: ${r.name}${r.why ? `\n${r.why.slice(0, 700).replace(/^/gm, '    ')}` : ''}`);
for (const r of results) if (r.status === 'skipped') console.log(`skipped: ${r.suite}: ${r.name}`);
console.log(`in ${((Date.now() - startedAt) / 1000).toFixed(0)} s`);
console.log(`${count('passed')} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed || (ci && skipped) || results.length === 0 ? 1 : 0);
