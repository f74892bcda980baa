// Two nodes of one platform: each with its own folder and its own journal, one PostgreSQL. On SQLite
// there is one node, and a second one over the same file is turned away.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, engine, portBlock, run, until } from '../lib/platform.mjs';
import { Client, send } from '../lib/http.mjs';
import { World } from '../lib/story.mjs';
import { Relying, basic, claimsOf, newKey, proof } from '../lib/relying.mjs';

let a, b, world, rp, k;
const onB = (url) => url.replace(`:${a.port}/`, `:${b.port}/`);

if (engine !== 'postgres') {
  test('SQLite: one node; a second platform over the same folder is turned away', { timeout: 60000 }, async () => {
    const one = await Platform.start({ demo: false });
    try {
      const r = run(['serve', '--data', one.data, '--port', String(one.ownPort(0))], { timeoutMs: 30000 });
      assert.notEqual(r.code, 0);
      assert.equal((await send(`${one.base}/healthz`)).status, 200, 'the first goes on');
    } finally { await one.destroy(); }
  });
} else {
  before(async () => {
    a = await Platform.start();
    // The keys of the platform are brought to a new node before its first start; its journal's are its own.
    const ports = await portBlock();
    const folder = join(a.folder, 'node-b');
    mkdirSync(folder, { mode: 0o700 });
    cpSync(join(a.data, 'keys'), join(folder, 'keys'), { recursive: true, preserveTimestamps: true });
    for (const own of ['journal.ed25519.pem', 'witness.ed25519.pem', 'inventory']) rmSync(join(folder, 'keys', own), { force: true });
    b = await Platform.start({ demo: false, data: folder, ports, database: a.database, args: ['--base-url', a.base] });
    b.ports = ports;
    world = new World(a);
    rp = new Relying(world);
    k = rp.add('Deux nœuds', ['--scopes', 'openid profile offline_access']);
  }, { timeout: 180000 });
  after(async () => {
    await b?.destroy();
    await a?.destroy();
  }, { timeout: 60000 });
  const post = (path, body, headers) => send(onB(rp.at(path)), { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams(body).toString() });

  test('each node publishes every key that signs', async () => {
    const kids = async (url) => (await send(url)).json.keys.map((x) => x.kid).sort();
    assert.deepEqual(await kids(rp.at('/jwks')), await kids(onB(rp.at('/jwks'))));
  });

  test('signed in at one, known at the other; signed out at one, unknown at the other', async () => {
    const person = new Client(), t = await rp.tokens(k, {}, { person });
    const q = rp.request(k, { prompt: 'none' });
    const r = await person.once(onB(rp.url(q)));
    const back = new URL(r.headers.location).searchParams;
    assert.ok(back.get('code'), `${back}`);
    const there = await post('/token', { grant_type: 'authorization_code', code: back.get('code'), redirect_uri: q.redirect_uri }, basic(k));
    assert.equal(there.status, 200, there.text);
    assert.equal(claimsOf(there.json.id_token).sub, t.claims.sub, 'by the same name');
    assert.equal((await rp.userinfo(there.json.access_token)).status, 200, 'a token of one is read by the other');
    person.stopAt = (u) => u.startsWith(Relying.home);
    await person.go(`${rp.at('/session/end')}?${new URLSearchParams({ id_token_hint: t.id_token, post_logout_redirect_uri: Relying.home })}`);
    const after = await person.once(onB(rp.url(rp.request(k, { prompt: 'none' }))));
    assert.equal(new URL(after.headers.location).searchParams.get('error'), 'login_required');
  });

  test('what serves once serves once on both: a code, a pushed request, a proof, a refresh token', async () => {
    const person = new Client(), c = await rp.code(k, { scope: 'openid offline_access' }, { person });
    const both = await Promise.all([rp.post('/token', c.grant, basic(k)), post('/token', c.grant, basic(k))]);
    assert.deepEqual(both.map((r) => r.status).sort(), [200, 400], both.map((r) => r.text).join('\n'));
    const pushed = await rp.post('/par', rp.request(k), basic(k));
    const url = rp.url({ client_id: k.client_id, request_uri: pushed.json.request_uri });
    assert.equal((await send(onB(url))).status, 303);
    assert.equal((await send(url)).status, 400);
    const key = newKey(), dpop = proof(key, 'POST', rp.at('/token')), grant = { grant_type: 'client_credentials', scope: '' };
    assert.notEqual((await rp.post('/token', grant, { ...basic(k), dpop })).json.error, 'invalid_dpop_proof');
    assert.equal((await post('/token', grant, { ...basic(k), dpop })).json.error, 'invalid_dpop_proof');
    const t = await rp.tokens(k, { scope: 'openid offline_access' }, { person });
    const turn = { grant_type: 'refresh_token', refresh_token: t.refresh_token };
    assert.equal((await post('/token', turn, basic(k))).status, 200);
    assert.equal((await rp.post('/token', turn, basic(k))).json.error, 'invalid_grant');
  });

  test('a token revoked at one is refused at the other', async () => {
    const t = await rp.tokens(k), info = () => send(onB(rp.at('/userinfo')), { headers: { authorization: `Bearer ${t.access_token}` } });
    assert.equal((await info()).status, 200);
    assert.equal((await rp.post('/token/revocation', { token: t.access_token }, basic(k))).status, 200);
    const at = Date.now();
    await until('refused there', async () => (await info()).status === 401, { timeoutMs: 10000 });
    console.log(`# refused on the other node after ${Date.now() - at} ms`);
  });

  test('each node has a journal of its own, and both verify', () => {
    for (const p of [a, b]) p.must(['journal', 'verify']);
  });
}
