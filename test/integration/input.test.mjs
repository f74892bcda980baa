// Bad input, over real sockets: a clear error in the caller's format, nothing lost, no process down.
import { test, before, after, afterEach } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, engine, run, sleep, until } from '../lib/platform.mjs';
import { Provider, newClient, publish } from '../lib/provider.mjs';
import { Client, raw, send, words } from '../lib/http.mjs';
import { World, call, fileProcedure, openProcedure, tokensFor } from '../lib/story.mjs';
import { entries } from '../lib/journal.mjs';
import { text } from '../lib/text.mjs';

let platform, world, provider, client, pids;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  provider = await Provider.start(platform.ownPort(0));
  client = newClient(platform);
  publish(platform, { client, port: provider.port, contract: { starts_at: Date.now() - 86400000 } });
  pids = platform.pids();
}, { timeout: 180000 });
after(async () => {
  await provider?.stop();
  await platform?.destroy();
}, { timeout: 60000 });
afterEach(async () => {
  if (!platform || platform.exit) return;
  assert.deepEqual(platform.pids(), pids, 'the same processes: none went down');
  assert.equal((await send(`${platform.base}/`)).status, 200, 'and it answers');
});

const host = () => `localhost:${platform.port}`;
const line = (path, more = '', method = 'GET') => `${method} ${path} HTTP/1.1\r\nHost: ${host()}\r\n${more}\r\n`;

test('truncated: a request cut anywhere is no request', { timeout: 60000 }, async () => {
  const whole = line('/connexion', 'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 20\r\n', 'POST') + 'a=1&b=2&c=3&d=4&e=56';
  for (let n = 1; n < whole.length; n += 9) {
    const r = await raw(platform.port, whole.slice(0, n), { end: true, quietMs: 2000 });
    assert.ok(r.status === 0 || r.status >= 400, `cut at ${n}: ${r.status}`);
  }
});

test('oversized: head 431, target 414, body 413; headers without end', { timeout: 60000 }, async () => {
  assert.equal((await raw(platform.port, line('/', `X-A: ${'a'.repeat(40000)}\r\n`))).status, 431);
  assert.equal((await raw(platform.port, line('/', Array.from({ length: 80 }, (_, i) => `X-${i}: a\r\n`).join('')))).status, 431);
  assert.equal((await raw(platform.port, line(`/${'a'.repeat(9000)}`))).status, 414);
  const declared = await raw(platform.port, line('/connexion', 'Content-Type: text/plain\r\nContent-Length: 99999999999\r\n', 'POST'));
  assert.equal(declared.status, 413, 'before a byte of it is sent');
  const stream = await raw(platform.port, null, { quietMs: 5000, timeoutMs: 30000, onConnect: (s) => { s.on('error', () => {}); let i = 0; (function more() { while (i++ < 1e6) if (!s.write(`X-${i}: ${'b'.repeat(1000)}\r\n`)) return s.once('drain', more); })(); }, enough: (t) => t.length > 0 });
  assert.ok([400, 431].includes(stream.status) || stream.closed, 'a head that never ends');
});

test('a body that never ends is refused at the limit, not kept', { timeout: 120000 }, async () => {
  const r = await raw(platform.port, null, { quietMs: 8000, timeoutMs: 60000, enough: (t) => /^HTTP/.test(t), onConnect: (s) => {
    s.on('error', () => {});
    s.write(line('/connexion', 'Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n', 'POST'));
    const piece = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    let n = 0;
    (function more() { while (n++ < 2000) if (!s.write(piece)) return s.once('drain', more); })();
  } });
  assert.ok(r.status === 413 || (r.status === 0 && r.closed), `${r.status}`);
});

test('malformed forms and addresses: 400, a page for people, problem+json for programs', async () => {
  for (const [what, path] of Object.entries({ 'half an escape': '/?q=%4', 'no escape': '/?q=%zz', 'UTF-8 that is not': '/?q=%ff%fe', 'UTF-8 too long': '/?q=%c0%af', 'a surrogate': '/?q=%ed%a0%80', 'NUL': '/?q=%00', 'NUL in the path': '/a%00b', 'UTF-8 that is not, in the path': '/%ff' })) {
    const r = await raw(platform.port, line(path), { quietMs: 700 });
    assert.ok([400, 404].includes(r.status), `${what}: ${r.status}`);
    assert.match(r.text, /content-type: (text\/html|application\/problem\+json)/i, what);
  }
  const page = await send(`${platform.base}/?q=%ff`);
  assert.equal(page.status, 400);
  assert.match(words(page.text), /SOC-400/, 'the page gives its code');
  const program = await send(`${world.issuer}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'grant_type=%ff' });
  assert.equal(program.status, 400);
  assert.match(program.headers['content-type'], /json/);
  const kind = await send(`${world.issuer}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '['.repeat(100000) });
  assert.ok(kind.status >= 400 && kind.status < 500, `${kind.status}`);
});

test('a form with too many fields, and one with the same field a thousand times', async () => {
  for (const body of [Array.from({ length: 20000 }, (_, i) => `f${i}=1`).join('&'), 'a=1&'.repeat(20000)]) {
    const r = await send(`${world.issuer}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body });
    assert.ok(r.status >= 400 && r.status < 500, `${r.status}`);
  }
});

test('deep JSON is refused, from a caller and from a provider', async () => {
  const deep = '{"a":'.repeat(5000) + '1' + '}'.repeat(5000);
  const t = await tokensFor(world, world.citizen, { client, scope: 'openid essai_lire' });
  const r = await call(world, '/gw/essai/v1/deep', t.access_token);
  assert.equal(r.status, 502);
  const file = platform.command(['contract', 'put', '-'], { input: deep });
  assert.equal(file.code, 1);
  assert.match(file.stderr, /deep|depth|nest|1:\d+/i);
});

test('replayed: a form sent twice files once; a decision twice decides once', { timeout: 120000 }, async () => {
  const account = world.account('yann.legoff');
  const { client, number } = await fileProcedure(world, account);
  const last = [...client.trail].reverse().find((l) => /^POST/.test(l)).split(' ')[1];
  const csrf = (await openProcedure(world, account, { client })).form(text('platform', 'layout.sign_out')).fields.find(([k]) => k === 'csrf')[1];
  await client.go(last, { method: 'POST', body: new URLSearchParams({ csrf }).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', origin: world.townUrl } });
  assert.ok(client.page.status < 500, `${client.page.status}`);
  assert.ok(client.text.includes(number) || client.page.status >= 400, 'the same receipt, or told that it is filed');
  await sleep(1500);
  const filed = entries(platform.journalFolder).filter((e) => /submit/.test(e.kind));
  assert.equal(new Set(filed.map((e) => e.object ?? e.id)).size, filed.length, 'each dossier was filed once');
});

test('out of order: steps before the beginning, a return that was never asked for', async () => {
  const c = new Client();
  for (const url of [`${world.townUrl}/oidc/retour?code=abc&state=def`, `${world.townUrl}/oidc/retour`, `${world.issuer}/api/v2/authorize`, `${world.issuer}/api/v2/token`]) {
    const r = await c.once(url);
    assert.ok(r.status >= 400 && r.status < 500, `${url}: ${r.status}`);
  }
  const r = await c.once(`${world.townUrl}/dossiers/01JD0000000000000000000000`);
  assert.ok([303, 302, 404].includes(r.status), `${r.status}`);
});

test('a slow client holds nobody up, and is let go', { timeout: 90000 }, async () => {
  const sockets = Array.from({ length: 300 }, () => connect(platform.port, '127.0.0.1'));
  let closed = 0;
  for (const s of sockets) { s.on('error', () => {}); s.on('close', () => closed++); s.write('GET / HTTP/1.1\r\nHost: '); }
  const drip = setInterval(() => sockets.forEach((s) => s.writable && s.write('x')), 2000);
  const at = Date.now();
  for (let i = 0; i < 20; i++) assert.equal((await send(`${platform.base}/`)).status, 200);
  console.log(`figure: 20 pages in ${Date.now() - at} ms beside 300 slow clients`);
  await until('the slow ones are let go', () => closed === 300, { timeoutMs: 60000, everyMs: 200 }).finally(() => { clearInterval(drip); sockets.forEach((s) => s.destroy()); });
});

test('a client that asks and never reads holds nobody up', { timeout: 60000 }, async () => {
  const sockets = Array.from({ length: 50 }, () => connect({ port: platform.port, host: '127.0.0.1' }));
  for (const s of sockets) { s.on('error', () => {}); s.pause(); s.write(line('/static/style.css').repeat(200)); }
  await sleep(500);
  for (let i = 0; i < 20; i++) assert.equal((await send(`${platform.base}/`)).status, 200);
  sockets.forEach((s) => s.destroy());
});

test('a host that is none of ours gets no page', async () => {
  const r = await raw(platform.port, 'GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n', { quietMs: 700 });
  assert.equal(r.status, 421);
});

test('the database is locked for a while: an error or a wait, and then all is well', { timeout: 120000 }, async () => {
  const client = await openProcedure(world, world.account('lucas.ndiaye'));
  let holder;
  if (engine === 'sqlite') {
    holder = spawn('python3', ['-c', `import sqlite3,sys,time
c=sqlite3.connect(sys.argv[1],isolation_level=None); c.execute('BEGIN EXCLUSIVE'); print('held',flush=True); sys.stdin.readline(); c.execute('ROLLBACK')`, join(platform.data, 'db/socle.db')], { stdio: ['pipe', 'pipe', 'inherit'] });
  } else {
    holder = spawn('psql', ['-X', '-q', '-At', platform.database.url], { stdio: ['pipe', 'pipe', 'inherit'] });
    holder.stdin.write("BEGIN; DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP EXECUTE format('LOCK TABLE %I IN EXCLUSIVE MODE', t); END LOOP; END $$;\n\\echo held\n");
  }
  await new Promise((done) => holder.stdout.once('data', done));
  const button = text('procedures', 'start.button');
  const startedAt = Date.now();
  const pressed = client.press(button);
  assert.equal((await send(`${platform.base}/`, { timeoutMs: 60000 })).status, 200, 'reading goes on');
  await sleep(1000);
  if (engine === 'sqlite') holder.stdin.end('\n'); else holder.stdin.end('ROLLBACK;\n');
  await pressed;
  console.log(`figure: a write waited ${Date.now() - startedAt} ms behind a lock held for 1,000 ms: ${client.page.status}`);
  assert.ok([200, 503].includes(client.page.status), `${client.page.status}`);
  if (client.page.status === 503) await openProcedure(world, world.account('lucas.ndiaye'), { client }).then(() => client.press(button));
  assert.equal(client.page.status, 200);
});

test('the database goes away and comes back: 503 meanwhile, no restart', { timeout: 120000, skip: false }, async () => {
  if (engine === 'sqlite') {
    // The embedded database cannot go away; its disk can refuse to grow: see the full disk below.
    return;
  }
  const psql = (sql) => { const r = spawnSync('psql', ['-X', '-q', process.env.SOCLE_TEST_PG, '-c', sql], { encoding: 'utf8' }); assert.equal(r.status, 0, r.stderr); };
  const name = platform.database.name;
  psql(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  psql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
  const t = Date.now();
  const ready = await until('readyz says so', async () => { const r = await send(`${platform.base}/readyz`, { timeoutMs: 30000 }); return r.status === 503 && r; }, { timeoutMs: 30000 });
  assert.equal(ready.status, 503);
  const page = await send(`${platform.base}/account`, { timeoutMs: 30000 });
  assert.ok([303, 503].includes(page.status), `${page.status}`);
  psql(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
  await until('it is ready again', async () => (await send(`${platform.base}/readyz`, { timeoutMs: 30000 })).status === 200, { timeoutMs: 60000 });
  console.log(`figure: the database was away for ${Date.now() - t} ms`);
  await fileProcedure(world, world.account('lucas.ndiaye'));
});

test('a clock that jumps back: sessions, codes and the journal go on', { timeout: 120000 }, async () => {
  const before = entries(platform.journalFolder).length;
  await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(3 * 3600 * 1000) } });
  await fileProcedure(world, world.account('jeanne.rousseau'));
  await platform.restart(); // three hours back
  pids = platform.pids();
  const { number } = await fileProcedure(world, world.account('jeanne.rousseau'));
  assert.ok(number);
  const t = await tokensFor(world, world.account('jeanne.rousseau'), { client, scope: 'openid essai_lire' });
  assert.equal((await call(world, '/gw/essai/v1/ok', t.access_token)).status, 200);
  assert.ok(entries(platform.journalFolder).length > before);
  await until('the journal verifies', () => run(['journal', 'verify', platform.journalFolder]).code === 0);
});

// A disk of its own for a platform: a small tmpfs, for which the test must be root or be allowed a
// mount namespace of its own.
test('a full disk: an error that says so, nothing half-written, and all is well once there is room', { timeout: 180000 }, async () => {
  const disk = join(platform.folder, 'disk');
  mkdirSync(disk);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=160m', 'tmpfs', disk], { encoding: 'utf8' });
  assert.equal(mounted.status, 0, `a small disk can be mounted: ${mounted.stderr}`);
  let small;
  try {
    small = await Platform.start({ data: join(disk, 'data') });
    const w = new World(small);
    const other = newClient(small);
    publish(small, { client: other, port: provider.port });
    const t = await tokensFor(w, w.citizen, { client: other, scope: 'openid essai_lire' });
    await until('the gateway knows the new API', async () => (await call(w, '/gw/essai/v1/ok', t.access_token)).status === 200);
    const old = small.pids();
    spawnSync('dd', ['if=/dev/zero', `of=${disk}/filler`, 'bs=64k']);
    const seen = new Map(), acknowledged = [];
    // The write-ahead log has room of its own, laid out beforehand: it is used up first.
    for (let i = 0; i < 400; i++) {
      const r = await Promise.all(Array.from({ length: 100 }, () => call(w, `/gw/essai/v1/ok?filler=${'f'.repeat(1000)}`, t.access_token, { timeoutMs: 30000 }).catch((e) => ({ status: e.code ?? 'cut', headers: {} }))));
      for (const x of r) { seen.set(x.status, (seen.get(x.status) ?? 0) + 1); if (x.status === 200) acknowledged.push(x.headers['socle-entry']); }
      if (seen.has(503) || seen.has(401)) break;
    }
    console.log(`figure: full disk: ${[...seen].map(([k, n]) => `${n} x ${k}`).join(', ')}`);
    assert.ok([...seen.keys()].every((k) => [200, 401, 503].includes(k)), [...seen.keys()].join());
    const page = await openProcedure(w, w.account('jeanne.rousseau')).then((c) => c.press(text('procedures', 'start.button')), (e) => e).catch((e) => e);
    if (page?.status) assert.ok([200, 503, 507].includes(page.status), `${page.status}`);
    assert.deepEqual(small.pids(), old, 'no process went down');
    spawnSync('rm', [`${disk}/filler`]);
    await until('it works again', async () => { try { const n = await tokensFor(w, w.citizen, { client: other, scope: 'openid essai_lire' }); return (await call(w, '/gw/essai/v1/ok', n.access_token)).status === 200; } catch { return false; } }, { timeoutMs: 60000, everyMs: 500 });
    await fileProcedure(w, w.account('yann.legoff'));
    await small.stop();
    const ids = new Set(entries(small.journalFolder).map((e) => e.id));
    assert.deepEqual(acknowledged.filter((id) => !ids.has(id)), [], 'what was acknowledged is there');
    assert.equal(run(['journal', 'verify', small.journalFolder]).code, 0);
  } finally {
    await small?.destroy().catch((e) => { throw e; });
    spawnSync('umount', ['-l', disk]);
  }
});
