// What an operator does at a prompt: help, descriptions, explanations, verifying, backing up and
// restoring. The platform serves meanwhile.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, engine, portBlock, processesOf, root, run, sleep, until } from '../lib/platform.mjs';
import { World, call, fileProcedure, tokensFor, walkSignIn } from '../lib/story.mjs';
import { Client, send } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';
import { check, entries } from '../lib/journal.mjs';

let platform, world, filed;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  filed = await fileProcedure(world, world.citizen);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

const COMMANDS = ['serve', 'demo', 'journal', 'client', 'contract', 'user', 'org', 'explain', 'migrate', 'backup', 'restore'];

test('--help lists the commands, and each has its own', () => {
  const all = run(['--help']);
  assert.equal(all.code, 0);
  for (const c of COMMANDS) {
    assert.match(all.stdout, new RegExp(`^\\s+${c}\\b`, 'm'), c);
    const one = run([c, '--help']);
    assert.equal(one.code, 0, `${c} --help: ${one.stderr}`);
    assert.match(one.stdout, /usage: socle/, c);
    assert.equal(one.stderr, '', c);
  }
});

test('a wrong command, option or argument: code 2, one line that says what to do, nothing else happens', () => {
  for (const args of [['servr'], ['contract', 'frobnicate'], ['backup'], ['serve', '--port=abc', '--data=/nonexistent/x'], ['serve', 'now'], []]) {
    const r = run(args);
    assert.equal(r.code, 2, `socle ${args.join(' ')}: ${r.code} ${r.stderr}`);
    assert.ok(r.stderr.length > 10, `socle ${args.join(' ')} says why`);
    assert.equal(r.stdout, '', args.join(' '));
  }
  assert.match(run(['servr']).stderr, /serve/, 'the likely one is named');
});

test('a command without arguments prints its help and makes nothing', () => {
  const all = [...run(['--help']).stdout.matchAll(/^  (\S+) +\S/gm)].map((m) => m[1]);
  assert.ok(all.length >= 20, all.join(' '));
  const cwd = mkdtempSync(join(platform.folder, 'empty-')), env = { HOME: cwd, XDG_DATA_HOME: join(cwd, 'xdg') };
  for (const c of all.filter((n) => !['serve', 'migrate'].includes(n))) { /* these two are there to act */
    for (const more of [[], ['--data', join(cwd, 'data')]]) {
      const r = run([c, ...more], { cwd, env });
      if (['settings', 'version'].includes(c)) assert.ok(r.code === 0 && r.stdout, c);
      else { assert.equal(r.code, 2, `${c}: ${r.stderr}`); assert.match(r.stderr, /usage: socle/, c); assert.equal(r.stdout, '', c); }
      assert.deepEqual(readdirSync(cwd), [], `socle ${c} ${more.join(' ')} made something`);
    }
  }
});

test('demo describe --json prints the world', () => {
  const d = platform.describe();
  assert.equal(d.issuer, platform.base);
  for (const a of d.accounts) for (const k of ['login', 'password', 'provider', 'realm']) assert.ok(a[k], `account ${a.login}: ${k}`);
  for (const c of d.clients) { assert.ok(c.client_id && c.client_secret, c.client_id); assert.ok(Array.isArray(c.redirect_uris) && c.redirect_uris.length); }
  assert.ok(d.apis.length >= 2 && d.contracts.length >= 2);
  assert.match(d.gateway, /^http/);
});

test('commands that print data print JSON with --json', () => {
  for (const args of [['client', 'list'], ['contract', 'list'], ['api', 'list'], ['user', 'list'], ['org', 'list'], ['demo', 'describe']]) {
    const v = platform.json(args);
    assert.ok(v && typeof v === 'object', args.join(' '));
    const plain = platform.must(args);
    assert.ok(plain.length > 0 && plain[0] !== '{' && plain[0] !== '[', `${args.join(' ')}: words without --json`);
  }
});

test('explain agrees with docs/ONE_REQUEST.md: the same stages, in that order, each at a line that exists', () => {
  const doc = readFileSync(join(root, 'docs/ONE_REQUEST.md'), 'utf8');
  for (const [method, path] of [['GET', '/'], ['GET', '/account'], ['POST', '/account/consents/X/withdraw'], ['GET', '/gw/famille/v1/foyer']]) {
    const r = run(['explain', method, path]);
    assert.equal(r.code, 0, r.stderr);
    const stages = [...r.stdout.matchAll(/^\s+([A-Z]+)\s+((?:src|services|demo)\/[\w./-]+)(?::(\d+))?/gm)];
    assert.ok(stages.length >= 9, r.stdout);
    let from = 0;
    for (const [, name, file, line] of stages) {
      const source = readFileSync(join(root, file), 'utf8').split('\n');
      if (line) assert.ok(Number(line) <= source.length, `${file}:${line}`);
      if (path.startsWith('/gw/')) { assert.ok(doc.includes(name), `${name} is in docs/ONE_REQUEST.md`); continue; }
      const at = doc.indexOf(name, from);
      assert.ok(at >= 0, `${name} comes in docs/ONE_REQUEST.md, after the stages before it`);
      from = at;
    }
  }
  assert.equal(run(['explain', 'GET', '/no/such/path']).code, 1);
});

test('journal verify names what was altered, byte by byte', { timeout: 120000 }, async () => {
  const copy = join(platform.folder, 'journal-copy');
  await platform.stop();
  cpSync(platform.journalFolder, copy, { recursive: true });
  await platform.begin();
  assert.equal(run(['journal', 'verify', copy]).code, 0);
  check(copy);
  const bundle = readdirSync(join(copy, 'tile/entries'), { recursive: true }).map((n) => join(copy, 'tile/entries', n)).filter((p) => statSync(p).isFile()).sort((a, b) => statSync(b).size - statSync(a).size)[0];
  const good = readFileSync(bundle);
  for (const share of [0.02, 0.5, 0.98]) {
    const bad = Buffer.from(good);
    bad[Math.floor(bad.length * share)] ^= 1;
    writeFileSync(bundle, bad);
    const r = run(['journal', 'verify', copy]);
    assert.notEqual(r.code, 0, `a bit changed at ${share}`);
    assert.match(r.stdout + r.stderr, /\d+/, 'the entry is named');
    assert.match(r.stdout + r.stderr, /entr|leaf|tile/i);
  }
  writeFileSync(bundle, good.subarray(0, good.length - 20));
  assert.notEqual(run(['journal', 'verify', copy]).code, 0, 'shortened');
  writeFileSync(bundle, good);
  const note = readFileSync(join(copy, 'checkpoint'), 'utf8');
  writeFileSync(join(copy, 'checkpoint'), note.replace(/^(\d+)$/m, (n) => String(Number(n) - 1)));
  assert.notEqual(run(['journal', 'verify', copy]).code, 0, 'a checkpoint that says less');
  writeFileSync(join(copy, 'checkpoint'), note);
  assert.equal(run(['journal', 'verify', copy]).code, 0);
});

test('two platforms never share a folder', async () => {
  const r = run(['serve', '--data', platform.data, '--port', String(platform.ownPort(4))], { timeoutMs: 20000 });
  assert.equal(r.code, 1);
  assert.match(r.stderr, /another Socle/i);
});

test('a second start keeps the data and is ready in under 2 s', { timeout: 60000 }, async () => {
  const before = entries(platform.journalFolder).length;
  await platform.restart();
  console.log(`figure: ready again after ${platform.readyMs.toFixed(0)} ms with the demonstration world`);
  assert.ok(platform.readyMs < 2000, `${platform.readyMs} ms`);
  assert.ok(entries(platform.journalFolder).length >= before);
  const agent = new Client();
  await agent.go(`${world.townUrl}/agent`);
  await walkSignIn(agent, world.agent);
  assert.ok(agent.text.includes(filed.number), 'the dossier is still there');
});

test('Ctrl-C at a terminal ends every process: the whole group gets the signal', { timeout: 60000 }, async () => {
  process.kill(-platform.child.pid, 'SIGINT');
  await platform.ended;
  assert.equal(platform.exit.code, 0, platform.tail());
  await platform.begin();
});

test('[2.1.1.a] back up while serving, destroy, restore: a new log that names the old one, withdrawals replayed, no act lost', { timeout: 240000 }, async () => {
  // Work goes on during the backup.
  const t = await tokensFor(world, world.citizen);
  let stop = false;
  const acknowledged = [];
  const load = Array.from({ length: 4 }, async () => {
    while (!stop) { const r = await call(world, '/gw/famille/v1/foyer', t.access_token); if (r.status === 200) acknowledged.push(r.headers['socle-entry']); else await sleep(20); }
  });
  await until('work is under way', () => acknowledged.length > 20);
  const before = [...acknowledged];
  const backup = join(platform.folder, 'backup');
  platform.must(['backup', backup]);
  let dump;
  if (engine === 'postgres') { // the database has its own tools
    dump = spawnSync('pg_dump', ['-Fc', platform.database.url], { maxBuffer: 1 << 30 });
    assert.equal(dump.status, 0, String(dump.stderr));
  }
  stop = true;
  await Promise.all(load);
  assert.equal(run(['backup', backup, '--data', platform.data]).code, 1, 'a backup is never written over');

  // After the backup, she withdraws: the backup’s database does not know.
  const c = t.person;
  await c.go(`${platform.base}/account/consents`);
  await walkSignIn(c, world.citizen);
  await c.go(`${platform.base}/account/consents`);
  await c.follow(text('account', 'consents.withdraw'));
  await c.press(text('account', 'withdraw.button'));
  await sleep(1500);
  const oldKey = readFileSync(join(platform.journalFolder, 'checkpoint'), 'utf8');
  await platform.stop();

  // The journal of the lost machine was replicated: it is put beside, as the manual says.
  const lost = `${platform.data}-lost`;
  cpSync(platform.data, lost, { recursive: true });
  rmSync(platform.data, { recursive: true });
  const r = platform.command(['restore', backup]);
  assert.equal(r.code, 0, r.stderr);
  if (dump) {
    const fresh = spawnSync('pg_restore', ['--clean', '--if-exists', '-d', platform.database.url], { input: dump.stdout });
    assert.equal(fresh.status, 0, String(fresh.stderr));
  }
  assert.equal(platform.command(['restore', backup]).code, 1, 'never over a platform');
  await platform.begin();
  const now = await until('the new log has its first entry', () => { const e = entries(platform.journalFolder); return e.length > 0 && e; });
  assert.equal(now[0].kind, 'journal.opened', 'a new log');
  assert.equal(now[0].reason, 'restored');
  assert.ok(now[0].previous.size > 0 && now[0].previous.root, 'it names the last checkpoint of the old one');
  const note = await until('the new log is signed', () => existsSync(join(platform.journalFolder, 'checkpoint')) && readFileSync(join(platform.journalFolder, 'checkpoint'), 'utf8'));
  assert.notEqual(note.split('\n')[0], oldKey.split('\n')[0], 'under another origin');
  const past = readdirSync(join(platform.journalFolder, 'past')).map((n) => join(platform.journalFolder, 'past', n));
  const old = new Set(past.flatMap((f) => entries(f)).map((e) => e.id));
  assert.deepEqual(before.filter((id) => !old.has(id)), [], 'what was acknowledged before the backup is in it');
  await until('the whole journal verifies', () => run(['journal', 'verify', platform.journalFolder]).code === 0);
  for (const f of past) assert.equal(run(['journal', 'verify', f]).code, 0, f);
  const agent = new Client();
  await agent.go(`${world.townUrl}/agent`);
  await walkSignIn(agent, world.agent);
  assert.ok(agent.text.includes(filed.number), 'the dossier is back');
});

test('[2.1.1.a] withdrawals in the restored journal are replayed before serving, even when the database never heard of them', { timeout: 120000 }, async () => {
  const account = world.account('jeanne.rousseau');
  const t = await tokensFor(world, account, { scope: 'openid famille_foyer' });
  const allowed = await call(world, '/gw/famille/v1/foyer', t.access_token);
  assert.equal(allowed.status, 200, allowed.text);
  // An older database beside a newer journal: the worst a restore can be given.
  const dbCopy = join(platform.folder, 'db-before');
  let dump;
  if (engine === 'sqlite') {
    platform.must(['backup', dbCopy]);
  } else {
    dump = spawnSync('pg_dump', ['-Fc', platform.database.url], { maxBuffer: 1 << 30 });
  }
  const c = t.person;
  await c.go(`${platform.base}/account/consents`);
  await walkSignIn(c, account);
  await c.go(`${platform.base}/account/consents`);
  await c.follow(text('account', 'consents.withdraw'));
  await c.press(text('account', 'withdraw.button'));
  await sleep(1500);
  const backup = join(platform.folder, 'backup-2');
  platform.must(['backup', backup]);
  await platform.stop();
  if (engine === 'sqlite') cpSync(join(dbCopy, 'socle.db'), join(backup, 'socle.db'));
  else assert.equal(spawnSync('pg_restore', ['--clean', '--if-exists', '-d', platform.database.url], { input: dump.stdout }).status, 0);
  rmSync(platform.data, { recursive: true });
  platform.must(['restore', backup]);
  await platform.begin();
  const r = await call(world, '/gw/famille/v1/foyer', t.access_token);
  assert.ok([401, 403].includes(r.status), `refused from the first request on: ${r.status}`);
  const again = await tokensFor(world, account, { scope: 'openid famille_foyer', decision: 'refuse' });
  if (!again.error) assert.equal((await call(world, '/gw/famille/v1/foyer', again.access_token)).status, 403, 'her consent did not come back');
});

test('health: /healthz, /readyz, /metrics, /openapi.json', async () => {
  for (const path of ['/healthz', '/readyz']) assert.equal((await send(`${platform.base}${path}`)).status, 200, path);
  const m = await send(`${platform.base}/metrics`);
  assert.match(m.headers['content-type'], /^text\/plain/);
  assert.match(m.text, /^# (HELP|TYPE) \w+/m);
  for (const line of m.text.trim().split('\n')) assert.match(line, /^(#|[a-zA-Z_:][\w:]*(\{[^}]*\})? -?[\d.eE+-]+$)/, line);
  const o = (await send(`${platform.base}/openapi.json`)).json;
  assert.match(o.openapi, /^3\./);
  assert.ok(Object.keys(o.paths).length > 5);
});

test('[2.1.1] make run: one command, then a citizen signs in, a datum moves under contract and consent, and she finds its trace', { timeout: 240000 }, async () => {
  const ports = await portBlock(), data = join(platform.folder, 'run');
  const child = spawn('make', ['-s', 'run', `PORT=${ports.base}`, `DATA=${data}`], { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise((done) => child.once('close', (code, signal) => done({ code, signal })));
  try {
    let out = '';
    child.stdout.on('data', (d) => { out += d; });
    await until('it is ready', () => out.includes('socle: ready '), { timeoutMs: 180000 });
    assert.equal(out.trim().split('\n').pop(), `socle: ready http://localhost:${ports.base}`, 'the last line says where');
    assert.match(out, /camille\.martin\s+\S+/, 'the accounts are said');
    const w = new World({ port: ports.base, describe: () => JSON.parse(run(['demo', 'describe', '--json', '--data', data, '--port', String(ports.base)]).stdout) });
    const t = await tokensFor(w, w.citizen);
    const r = await call(w, '/gw/famille/v1/foyer', t.access_token);
    assert.equal(r.status, 200, r.text);
    await t.person.go(`${w.issuer}/account/uses`);
    await walkSignIn(t.person, w.citizen);
    await until('she finds the trace', async () => (await t.person.go(`${w.issuer}/account/uses`)).text.includes(r.headers['socle-entry']));
  } finally {
    process.kill(-child.pid, 'SIGINT');
    await Promise.race([ended, new Promise((done) => { setTimeout(done, 30000).unref(); })]);
    const left = processesOf(child.pid);
    for (const p of left) process.kill(p.pid, 'SIGKILL');
    ports.release();
    assert.deepEqual(left.map((p) => p.title), [], 'Ctrl-C leaves nothing');
  }
});
