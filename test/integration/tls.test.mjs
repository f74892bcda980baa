// TLS in the program, on real sockets: what is refused, what is agreed, whose certificates count, and
// what holds when handshakes are slow, broken, many, or lose the process that signs.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, createPrivateKey } from 'node:crypto';
import { connect } from 'node:net';
import { createServer, connect as tlsConnect } from 'node:tls';
import { closeSync, openSync, readFileSync, readSync, readdirSync, readlinkSync, writeFileSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Platform, portBlock, run, sleep, until } from '../lib/platform.mjs';
import { newClient, publish } from '../lib/provider.mjs';
import { World, machineToken } from '../lib/story.mjs';
import { Agent } from 'node:https';
import { send } from '../lib/http.mjs';
import { Authority, Recorder, openssl, secure } from '../lib/tls.mjs';

const CANARY = 'canari-7f3a91c2-ne-doit-pas-se-lire';
let platform, world, tls, mtls, authority, strangers, folder, upstream, upstreamSeen = [], wire, front, client, token, plainToken;
const pems = {};

before(async () => {
  folder = mkdtempSync(join(process.env.SOCLE_TEST_TMP || tmpdir(), 'socle-tls-'));
  authority = new Authority(folder);
  mkdirSync(join(folder, 'x'));
  strangers = new Authority(join(folder, 'x'), 'stranger');
  pems.good = authority.sign('consumer');
  pems.own = authority.selfSigned('own');
  pems.other = authority.selfSigned('other');
  pems.stranger = strangers.sign('somebody');
  pems.old = authority.sign('old', { days: -1 });
  pems.provider = authority.sign('localhost');
  platform = await Platform.start({ env: { SSL_CERT_FILE: authority.pem }, args: [] , ...await withPorts() });
  world = new World(platform);
  upstream = createServer({ ...pems.provider, requestCert: true, rejectUnauthorized: false, ca: readFileSync(authority.pem) }, (s) => {
    s.on('error', () => {});
    s.on('data', () => {
      upstreamSeen.push({ reused: s.isSessionReused(), client: s.getPeerCertificate()?.subject?.CN, protocol: s.getProtocol() });
      const body = JSON.stringify({ dossier: { numero: CANARY }, total: 1 });
      s.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: ${upstream.closes ? 'close' : 'keep-alive'}\r\n\r\n${body}`);
      if (upstream.closes) s.end();
    });
  });
  await new Promise((done) => upstream.listen(platform.ownPort(4), '127.0.0.1', done));
  wire = await Recorder.start(platform.ownPort(5), platform.ownPort(4));
  front = await Recorder.start(platform.ownPort(6), tls);
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify({ keys: [{ kty: 'EC', crv: 'P-256', ...createPublic(pems.own), 'x5t#S256': x5t(pems.own) }, { kty: 'EC', crv: 'P-256', ...createPublic(pems.good), 'x5t#S256': x5t(pems.good) }] }));
  client = newClient(platform, '--jwks', join(folder, 'jwks.json'), '--auth', 'self_signed_tls_client_auth', '--bound', 'mtls');
  const plain = newClient(platform);
  publish(platform, { client, port: 0, api: { origin: `https://localhost:${platform.ownPort(5)}`, prefix: '' } });
  publish(platform, { client: plain, id: 'clair', port: 0, api: { origin: `https://localhost:${platform.ownPort(5)}`, prefix: '' } });
  plainToken = await machineToken(world, { client: plain, scope: 'clair_lire' });
  token = await boundToken(pems.own);
}, { timeout: 120000 });
after(async () => {
  await front?.stop();
  await wire?.stop();
  upstream?.close();
  await platform?.destroy();
}, { timeout: 60000 });

const der = (pem) => Buffer.from(pem.cert.toString().replace(/-----[^-]+-----|\s/g, ''), 'base64');
const x5t = (pem) => createHash('sha256').update(der(pem)).digest('base64url');
const createPublic = (pem) => { const { x, y } = createPrivateKey(pem.key).export({ format: 'jwk' }); return { x, y }; };

async function withPorts() {
  const ports = await portBlock();
  tls = ports.base + 12;
  mtls = ports.base + 13;
  const data = join(folder, 'data');
  for (const args of [['make', 'default', 'localhost,127.0.0.1'], ['make', 'rsa', 'rsa.example', '--rsa']]) {
    const r = run(['tls', ...args, '--data', data, '--database', `sqlite:${folder}/none.db`]);
    assert.equal(r.code, 0, r.stderr);
  }
  return { data, ports, args: ['--tls-port', String(tls), '--mtls-port', String(mtls), '--mtls-authorities', authority.pem] };
}

async function boundToken(pem, status = 200) {
  const r = await secure(mtls, '/api/v2/token', { ...pem, host: 'localhost', method: 'POST', headers: { host: `localhost:${platform.port}`, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'essai_lire', client_id: client.client_id }).toString() });
  assert.equal(r.status, status, r.text);
  return r.json.access_token;
}
const alive = async () => (await send(`${platform.base}/healthz`)).status === 200;
const aliveTls = async () => (await secure(tls, '/healthz')).status === 200;
const s_client = (...args) => openssl(['s_client', '-connect', `127.0.0.1:${tls}`, '-brief', ...args]);

test('[2.1.1.d2] weak versions and suites are refused; TLS 1.3 and 1.2 with forward secrecy and authenticated encryption are spoken', () => {
  for (const v of ['-tls1', '-tls1_1']) assert.match(s_client(v, '-cipher', 'ALL:@SECLEVEL=0').out, /alert protocol version|no protocols available|handshake failure/, v);
  for (const c of ['AES256-SHA', 'AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-SHA384', 'ECDHE-ECDSA-AES128-SHA', 'DHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES256-CCM8'])
    assert.match(s_client('-tls1_2', '-cipher', `${c}:@SECLEVEL=0`).out, /handshake failure|no cipher/, c);
  assert.match(s_client('-tls1_2').out, /Protocol version: TLSv1.2\n[\s\S]*ECDHE-ECDSA-(AES|CHACHA)/);
  const best = s_client('-tls1_3').out;
  assert.match(best, /Protocol version: TLSv1.3\n[\s\S]*TLS_AES_256_GCM_SHA384/);
  assert.match(best, /X25519|Server Temp Key/);
  assert.match(s_client('-tls1_3', '-groups', 'ffdhe2048').out, /handshake failure/);
  assert.doesNotMatch(s_client('-tls1_2', '-legacy_renegotiation').out, /Secure Renegotiation IS NOT/);
});

test('ALPN: http/1.1 is agreed on, others are refused, none is no fault', () => {
  const alpn = (...p) => openssl(['s_client', '-connect', `127.0.0.1:${tls}`, ...p]).out;
  assert.match(alpn('-alpn', 'h2,http/1.1'), /ALPN protocol: http\/1.1/);
  assert.match(alpn('-alpn', 'h2'), /no application protocol/);
  assert.match(alpn(), /No ALPN negotiated/);
});

test('several certificates: the name that is asked chooses, another gets the first', () => {
  const subject = (name) => /subject=(.*)/.exec(openssl(['s_client', '-connect', `127.0.0.1:${tls}`, '-servername', name]).out)[1];
  assert.match(subject('rsa.example'), /rsa\.example/);
  assert.match(subject('localhost'), /localhost/);
  assert.match(subject('unknown.example'), /localhost/);
});

test('sessions are resumed, in both versions; those of one listener are not on the other', async () => {
  for (const version of ['TLSv1.3', 'TLSv1.2']) {
    const one = (session, port = tls, more = {}) => new Promise((done, fail) => {
      let kept;
      let reused = false;
      const s = tlsConnect({ port, host: '127.0.0.1', servername: 'localhost', rejectUnauthorized: false, session, minVersion: version, maxVersion: version, ...more }, () => { reused = s.isSessionReused(); s.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'); });
      s.on('session', (x) => { kept = x; });
      s.on('data', () => {});
      s.on('error', fail);
      s.on('close', () => done({ session: kept ?? s.getSession(), reused }));
    });
    const first = await one();
    assert.equal(first.reused, false);
    assert.equal((await one(first.session)).reused, true, version);
    const crossed = await one(first.session, mtls, pems.good).catch(() => ({ reused: false }));
    assert.equal(crossed.reused, false, `${version}: a session without a certificate`);
  }
});

test('client certificates: of an authority of ours or signed by themselves; others, old ones and none are refused; browsers are never asked', async () => {
  const ask = (pem = {}) => secure(mtls, '/healthz', pem).then((r) => r.status, (e) => e.code ?? e.message);
  assert.equal(await ask(pems.good), 200);
  assert.equal(await ask(pems.own), 200);
  for (const bad of ['stranger', 'old']) assert.notEqual(await ask(pems[bad]), 200, bad);
  assert.notEqual(await ask(), 200, 'none');
  assert.doesNotMatch(openssl(['s_client', '-connect', `127.0.0.1:${tls}`]).out, /Acceptable client certificate CA names|Client Certificate Types/);
  assert.match(openssl(['s_client', '-connect', `127.0.0.1:${mtls}`]).out, /Acceptable client certificate CA names\nCN = ca/);
});

test('[2.1.1.c] a token bound to a certificate is taken with that certificate alone, seen here; a header says nothing', async () => {
  const at = (pem, port = mtls, headers = {}) => secure(port, '/gw/essai/v1/ok', { ...pem, headers: { authorization: `Bearer ${token}`, ...headers } });
  const good = await until('the contract is known', async () => { const r = await at(pems.own); return r.status !== 403 && r; });
  assert.equal(good.status, 200, good.text);
  assert.equal((await at(pems.other)).status, 401, 'another certificate');
  const header = { 'client-cert': `:${der(pems.own).toString('base64')}:` };
  assert.equal((await at({}, tls, header)).status, 401, 'a header over TLS');
  assert.equal((await at(pems.other, mtls, header)).status, 401, 'a header beside another certificate');
  assert.equal((await send(`${platform.base}/gw/essai/v1/ok`, { headers: { authorization: `Bearer ${token}`, ...header } })).status, 401, 'a header in clear');
  const said = (await send(`${platform.base}/.well-known/openid-configuration`)).json.mtls_endpoint_aliases;
  assert.equal(said.token_endpoint, `https://localhost:${mtls}/api/v2/token`, 'the issuer says where (RFC 8705 5)');
  const refused = await secure(mtls, '/api/v2/token', { ...pems.other, method: 'POST', headers: { host: `localhost:${platform.port}`, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'essai_lire', client_id: client.client_id }).toString() });
  assert.equal(refused.status, 401);
});

test('[2.1.1.d2] what passes between consumer and gateway, and between gateway and provider, holds no word of it', async () => {
  const path = `/gw/clair/v1/${CANARY}?q=${CANARY}`;
  const headers = { authorization: `Bearer ${plainToken}`, host: `localhost:${tls}` };
  const r = await secure(platform.ownPort(6), path, { headers });
  assert.equal(r.status, 200, r.text);
  assert.match(r.text, new RegExp(CANARY));
  for (const [what, recorder] of [['consumer and gateway', front], ['gateway and provider', wire]]) {
    assert.ok(recorder.bytes.length > 500, what);
    for (const word of [CANARY, plainToken.slice(0, 40), 'application/json', 'Socle-'])
      assert.equal(recorder.bytes.indexOf(word), -1, `between ${what}: ${word}`);
  }
  const clear = await Recorder.start(platform.ownPort(3), platform.port);
  await send(`http://localhost:${platform.ownPort(3)}${path}`, { headers: { ...headers, host: `localhost:${platform.port}` } });
  assert.ok(clear.bytes.includes(CANARY), 'the recorder reads what is in clear');
  await clear.stop();
});

test('towards providers, in the confined process: TLS 1.3, sessions resumed, and a certificate that does not fit delivers nothing', async () => {
  upstream.closes = true;
  upstreamSeen = [];
  for (let i = 0; i < 8; i++) assert.equal((await send(`${platform.base}/gw/clair/v1/x`, { headers: { authorization: `Bearer ${plainToken}` } })).status, 200);
  upstream.closes = false;
  assert.equal(upstreamSeen.at(-1).protocol, 'TLSv1.3');
  assert.ok(upstreamSeen.filter((s) => s.reused).length >= 3, JSON.stringify(upstreamSeen.map((s) => s.reused)));
  upstream.setSecureContext({ ...pems.stranger });
  upstream.closes = true;
  const bad = await until('kept connections are gone', async () => { const r = await send(`${platform.base}/gw/clair/v1/x`, { headers: { authorization: `Bearer ${plainToken}` } }); return r.status !== 200 && r; });
  assert.equal(bad.json.code, 'EXC-503-PROVIDER');
  upstream.setSecureContext({ ...pems.provider, ca: readFileSync(authority.pem) });
  upstream.closes = false;
  await until('and again', async () => (await send(`${platform.base}/gw/clair/v1/x`, { headers: { authorization: `Bearer ${plainToken}` } })).status === 200);
});

test('a provider that asks who we are is shown the certificate of its route, whose key is in the keys process', async () => {
  platform.must(['tls', 'make', 'client-clair', 'passerelle.example']);
  platform.json(['client', 'add', '--name', 'x', '--redirect-uri', 'http://localhost:3000/x', '--org', 'essai-demo']); // a change: routes are read again
  const read = () => send(`${platform.base}/gw/clair/v1/x`, { headers: { authorization: `Bearer ${plainToken}` } });
  upstream.closes = true;
  await until('it is shown', async () => { assert.equal((await read()).status, 200); return upstreamSeen.at(-1).client === 'passerelle.example'; });
  const bound = () => secure(mtls, '/gw/essai/v1/x', { ...pems.own, headers: { authorization: `Bearer ${token}` } });
  assert.equal((await bound()).status, 200);
  assert.equal(upstreamSeen.at(-1).client, undefined, 'and to no other');
  upstream.closes = false;
});

test('the private keys are in the keys process and nowhere in web: neither open, nor mapped, nor in its memory', () => {
  const pem = readFileSync(join(platform.data, 'keys/tls-default.pem'));
  const secret = Buffer.from(createPrivateKey(pem).export({ format: 'jwk' }).d, 'base64url');
  const little = Buffer.from(secret).reverse();
  const holds = (pid) => {
    const mem = openSync(`/proc/${pid}/mem`, 'r');
    let found = false;
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const m = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (!m) continue;
      const from = BigInt(`0x${m[1]}`), size = Number(BigInt(`0x${m[2]}`) - from);
      const bytes = Buffer.alloc(Math.min(size, 64 << 20));
      try { readSync(mem, bytes, 0, bytes.length, from); } catch { continue; }
      if (bytes.includes(secret) || bytes.includes(little)) found = true;
    }
    closeSync(mem);
    return found;
  };
  assert.equal(holds(platform.pid('keys')), true, 'what signs has it');
  assert.equal(holds(platform.pid('web')), false, 'what reads the network has not');
  const web = platform.pid('web');
  assert.doesNotMatch(readFileSync(`/proc/${web}/maps`, 'utf8'), /\/keys\//);
  for (const fd of readdirSync(`/proc/${web}/fd`)) {
    let to = '';
    try { to = readlinkSync(`/proc/${web}/fd/${fd}`); } catch { /* closed meanwhile */ }
    assert.doesNotMatch(to, /\/keys\//);
  }
});

test('certificates replaced under load: no request is lost, the new one is shown, connections under way go on', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false });
  const serials = new Set(), lost = [];
  let stop = false, n = 0;
  const ask = async (options) => { while (!stop) { try { const r = await secure(tls, '/healthz', options); n++; if (r.serial) serials.add(r.serial); if (r.status !== 200) lost.push(r.status); } catch (e) { lost.push(e.message); } } };
  const flow = [...Array(4)].map(() => ask({ agent })).concat([...Array(3)].map(() => ask({})));
  for (let i = 0; i < 2; i++) {
    const seen = serials.size;
    platform.must(['tls', 'make', 'default', 'localhost,127.0.0.1']);
    await until('the new certificate is shown', () => serials.size > seen);
  }
  const imported = authority.sign('imported', { hosts: 'localhost' });
  assert.ok(imported.key);
  platform.must(['tls', 'import', 'default', authority.file('imported', 'key'), authority.file('imported', 'pem')]);
  await until('and one with another key', async () => (await secure(tls, '/healthz', { ca: readFileSync(authority.pem) }).catch(() => ({}))).status === 200);
  writeFileSync(join(platform.data, 'tls/broken.pem'), 'no certificate');
  await sleep(1300);
  stop = true;
  await Promise.all(flow);
  agent.destroy();
  console.log(`figure: ${n} requests while certificates were replaced`);
  assert.deepEqual(lost, []);
  assert.match(platform.log(), /"certificate_refused","file":"broken.pem"/);
});

test('slow and half handshakes, garbage, 500 idle connections: the others are served', async () => {
  const sockets = [];
  const open = (bytes) => new Promise((done) => { const s = connect(tls, '127.0.0.1', () => { if (bytes) s.write(bytes); done(s); }); s.on('error', () => {}); s.on('close', () => { s.gone = true; }); sockets.push(s); });
  const hello = Buffer.from('16030100c8010000c40303', 'hex');
  for (let i = 0; i < 60; i++) await open([null, hello, Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), Buffer.alloc(300, 0x16)][i % 4]);
  assert.ok(await alive() && await aliveTls());
  const idle = await Promise.all([...Array(500)].map(() => new Promise((done) => { const s = tlsConnect({ port: tls, host: '127.0.0.1', rejectUnauthorized: false }, () => done(s)); s.on('error', () => done(null)); sockets.push(s); })));
  assert.equal(idle.filter(Boolean).length, 500);
  assert.ok(await alive() && await aliveTls());
  await until('garbage is closed at once', () => sockets.filter((s, i) => i < 60 && i % 4 >= 2 && !s.gone).length === 0);
  idle[499].write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const text = await new Promise((done) => idle[499].once('data', (d) => done(d.toString())));
  assert.match(text, /^HTTP\/1.1 200/);
  await until('a half handshake has the time of a head', () => sockets.filter((s, i) => i < 60 && i % 4 < 2 && !s.gone).length === 0, { timeoutMs: 30000 });
  for (const s of sockets) s.destroy();
});

test('a flood of RSA handshakes does not stall the loops: requests in clear are answered meanwhile', async () => {
  let stop = false, shaken = 0;
  const flood = [...Array(24)].map(async () => {
    while (!stop) await new Promise((done) => { const s = tlsConnect({ port: tls, host: '127.0.0.1', servername: 'rsa.example', rejectUnauthorized: false }, () => { shaken++; s.destroy(); done(); }); s.on('error', done); });
  });
  const took = [];
  const end = Date.now() + 2500;
  while (Date.now() < end) { const at = process.hrtime.bigint(); assert.ok(await alive()); took.push(Number(process.hrtime.bigint() - at) / 1e6); }
  stop = true;
  await Promise.all(flood);
  took.sort((a, b) => a - b);
  console.log(`figure: ${shaken} RSA handshakes, ${took.length} requests in clear meanwhile, median ${took[took.length >> 1].toFixed(1)} ms, worst ${took.at(-1).toFixed(1)} ms`);
  assert.ok(shaken > 20 && took.length > 10, `${shaken} ${took.length}`);
});

test('the keys process killed in the middle of handshakes: they end or wait, the next ones succeed, nothing else is lost', async () => {
  let stop = false;
  const results = { good: 0, bad: 0 };
  const flow = [...Array(6)].map(async () => { while (!stop) await secure(tls, '/healthz', { timeoutMs: 15000 }).then((r) => { results[r.status === 200 ? 'good' : 'bad']++; }, () => { results.bad++; }); });
  for (let i = 0; i < 3; i++) {
    await sleep(150);
    platform.kill('keys');
    assert.ok(await alive());
    await until('keys is back', () => platform.pids().keys?.length === 1);
  }
  await until('handshakes succeed', aliveTls);
  stop = true;
  await Promise.all(flow);
  console.log(`figure: ${results.good} exchanges, ${results.bad} lost while the keys process was killed three times`);
  assert.ok(results.good > 5 && results.bad === 0, JSON.stringify(results));
});

test('where the address is https: pages in clear lead there, what is sent in clear is refused, tokens too; HSTS is said', async () => {
  const ports = await portBlock();
  const port = ports.base + 12, url = `https://localhost:${port}`;
  const other = await Platform.start({ demo: false, ports, args: ['--tls-port', String(port), '--base-url', url] });
  try {
    assert.match(other.log(), /"no_certificate"/, 'said at the start');
    await assert.rejects(secure(port, '/'), 'closed while there is no certificate');
    other.must(['tls', 'make', 'default', 'localhost']);
    await until('a certificate', () => secure(port, '/').then((r) => r.status === 200, () => false));
    const page = await secure(port, '/');
    assert.equal(page.headers['strict-transport-security'], 'max-age=31536000');
    const away = await send(`${other.base}/recherche?q=a%20b`);
    assert.equal(away.status, 308);
    assert.equal(away.headers.location, `${url}/recherche?q=a%20b`);
    assert.equal(away.headers['strict-transport-security'], undefined, 'nothing of it in clear (RFC 6797 7.2)');
    const posted = await send(`${other.base}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'a=b' });
    assert.equal(posted.status, 403);
    assert.equal(posted.json.code, 'SOC-403-CLEAR');
    const called = await send(`${other.base}/gw/x/v1/y`, { headers: { authorization: 'Bearer x' } });
    assert.equal(called.json.code, 'EXC-403-CLEAR');
    assert.equal((await send(`${other.base}/healthz`)).status, 200, 'whether it lives is asked in clear');
    assert.equal((await secure(port, '/gw/x/v1/y')).json.code, 'EXC-404-ROUTE');
  } finally {
    await other.destroy();
  }
});
