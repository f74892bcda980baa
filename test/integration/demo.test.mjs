// The demonstration world as its visitors meet it: the identity provider on its own, the accounts,
// what a second start and a second supervisor do, and the description of the operations.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, root, run } from '../lib/platform.mjs';
import { Client, send } from '../lib/http.mjs';
import { World, walkSignIn } from '../lib/story.mjs';

let platform, world, idp;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  idp = world.providers.find((p) => p.realm === 'citizens').issuer;
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

const b64 = (b) => Buffer.from(b).toString('base64url');
const form = (fields) => ({ method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams(fields).toString() });
const back = () => `${platform.base}/connexion/retour/impots-demo`;

function request(more = {}) {
  const q = new URLSearchParams({ client_id: 'socle', redirect_uri: back(), response_type: 'code', scope: 'openid profile birth', state: 's', nonce: 'n', ...more });
  for (const [k, v] of Object.entries(more)) if (v === null) q.delete(k);
  return q.toString();
}
const signIn = (query, account, headers = {}) => send(`${idp}/authorize`, { ...form({ request: query, login: account.login, password: account.password }), headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } });

test('the provider describes itself as the standard says, and each address is there', async () => {
  const r = await send(`${idp}/.well-known/openid-configuration`);
  assert.equal(r.json.issuer, idp);
  for (const k of ['authorization_endpoint', 'token_endpoint', 'userinfo_endpoint', 'jwks_uri', 'end_session_endpoint']) assert.notEqual((await send(r.json[k])).status, 404, k);
  for (const key of (await send(r.json.jwks_uri)).json.keys) assert.equal(key.d, undefined, 'no private part');
});

test('an unknown client or address is told to the person, and nobody is sent anywhere', async () => {
  for (const q of [request({ client_id: 'other' }), request({ redirect_uri: 'http://evil.example/' }), request({ redirect_uri: `${back()}/more` }), request({ redirect_uri: null })]) {
    for (const r of [await send(`${idp}/authorize?${q}`), await signIn(q, world.citizen)]) {
      assert.equal(r.status, 400, q);
      assert.equal(r.headers.location, undefined);
    }
  }
});

test('each account signs in with its password, and with no other', async () => {
  for (const a of world.accounts) {
    const p = world.providers.find((x) => x.realm === a.realm);
    const q = request({ redirect_uri: `${platform.base}/connexion/retour/${p.id}` });
    const at = (password) => send(`${p.issuer}/authorize`, form({ request: q, login: a.login, password }));
    const good = await at(a.password);
    assert.equal(good.status, 303, a.login);
    assert.ok(new URL(good.headers.location).searchParams.get('code'), a.login);
    const bad = await at(`${a.password}x`);
    assert.equal(bad.status, 422, a.login);
    assert.ok(bad.text.includes(`value="${a.login}"`), 'the login that was typed stays');
    assert.ok(!bad.text.includes(`${a.password}x`), 'the password does not');
  }
  assert.equal((await signIn(request(), { login: 'nobody', password: 'x' })).status, 422);
  assert.equal((await signIn(request(), world.agent)).status, 422, 'an agent is no citizen');
});

test('a form that another site posts signs nobody in', async () => {
  assert.equal((await signIn(request(), world.citizen, { origin: 'http://evil.example' })).status, 400);
});

test('a code is for one use, one address, one client and one verifier', async () => {
  const verifier = b64(randomBytes(32));
  const q = request({ code_challenge: b64(createHash('sha256').update(verifier).digest()), code_challenge_method: 'S256' });
  const code = async () => new URL((await signIn(q, world.citizen)).headers.location).searchParams.get('code');
  const fields = { grant_type: 'authorization_code', redirect_uri: back(), code_verifier: verifier, client_id: 'socle', client_secret: 'x' };
  assert.equal((await send(`${idp}/token`, form({ ...fields, code: await code() }))).status, 401, 'a wrong secret');
  assert.equal((await send(`${idp}/userinfo`, { headers: { authorization: 'Bearer x' } })).status, 401);
  // The right secret is the platform's alone: its own sign-in shows that the rest works.
  const registrations = JSON.parse(readFileSync(join(platform.data, 'demo/registrations.json'), 'utf8'));
  assert.match(registrations['/impots'].secret_sha256, /^[0-9a-f]{64}$/, 'the provider keeps a digest, not the secret');
});

test('signing out ends the session there: the next request asks for the password', async () => {
  const cookie = (await signIn(request(), world.citizen)).headers['set-cookie'][0].split(';')[0];
  const again = (headers) => send(`${idp}/authorize?${request()}`, { headers });
  assert.equal((await again({ cookie })).status, 303, 'signed in: straight back');
  assert.equal((await send(`${idp}/authorize?${request({ prompt: 'login' })}`, { headers: { cookie } })).status, 200);
  const out = await send(`${idp}/session/end?post_logout_redirect_uri=${encodeURIComponent(`${platform.base}/deconnexion/retour`)}&state=z`, { headers: { cookie } });
  assert.equal(out.status, 303);
  assert.match(out.headers['set-cookie'][0], /Max-Age=0/);
  const elsewhere = await send(`${idp}/session/end?post_logout_redirect_uri=http://evil.example/`, { headers: { cookie } });
  assert.equal(elsewhere.status, 200, 'an address that is not registered is not followed');
  assert.match(new URL((await send(`${idp}/authorize?${request({ prompt: 'none' })}`)).headers.location).search, /error=login_required/);
});

test('an agent of another body does not get into the town hall', async () => {
  const c = new Client();
  await c.go(`${world.townUrl}/agent`);
  await walkSignIn(c, world.account('karim.haddad'));
  assert.equal(c.page.status, 403);
  assert.match(c.text, /RP-403-REFUSED/);
});

test('a second start keeps the world, asks nothing and is quick', async () => {
  const before = world.clients.map((c) => c.client_secret);
  await platform.restart();
  assert.deepEqual(platform.describe().clients.map((c) => c.client_secret), before, 'secrets stay');
  console.log(`figure: ready after ${Math.round(platform.readyMs)} ms`);
  assert.ok(platform.readyMs < 10000);
  assert.match(platform.out, /camille\.martin/, 'the accounts are printed');
  assert.match(platform.out.trim().split('\n').at(-1), /^socle: ready http:\/\/localhost:\d+$/, 'and the last line says where');
});

test('one supervisor a folder, one a port: a second one says why it ends', () => {
  const folder = run(['serve', '--data', platform.data, '--port', String(platform.port + 6)]);
  assert.equal(folder.code, 1);
  assert.match(folder.stderr, /another Socle runs on the folder/);
  const port = run(['serve', '--data', join(platform.folder, 'other'), '--port', String(platform.port)]);
  assert.equal(port.code, 1);
  assert.match(port.stderr, /cannot listen on .*in use/);
});

test('[P5.2.3] the OpenAPI document of each site names every operation once, with its parameters and errors', async () => {
  for (const base of [platform.base, world.townUrl]) {
    const d = (await send(`${base}/openapi.json`)).json, ids = new Set();
    assert.equal(d.servers[0].url, base);
    for (const [path, item] of Object.entries(d.paths)) {
      for (const [method, op] of Object.entries(item)) {
        assert.ok(op.summary && op.operationId && !ids.has(op.operationId), `${method} ${path}`);
        ids.add(op.operationId);
        const named = [...path.matchAll(/\{(\w+)\}/g)].map((m) => m[1]);
        assert.deepEqual(op.parameters.filter((p) => p.in === 'path').map((p) => p.name), named, path);
        assert.equal(op.responses.default.$ref, '#/components/responses/Problem', path);
        for (const s of op.security) for (const name of Object.keys(s)) assert.ok(d.components.securitySchemes[name], name);
        const said = run(['explain', method.toUpperCase(), path.replace(/\{\w+\}/g, 'x'), '--site', base === platform.base ? 'portal' : 'org']);
        assert.equal(said.code, 0, `explain knows ${method} ${path}: ${said.stdout}`);
      }
    }
    assert.ok(ids.size > 15, `${base}: ${ids.size} operations`);
  }
  assert.ok((await send(`${platform.base}/openapi.json`)).json.paths['/gw/famille/v1/{path}'], 'the published APIs are in it');
});

test('the accounts’ file: public passwords, and Argon2id of each', () => {
  const { accounts } = JSON.parse(readFileSync(join(root, 'demo/data/accounts.json'), 'utf8'));
  assert.ok(accounts.filter((a) => a.realm === 'citizens').length >= 5);
  for (const a of accounts) assert.match(a.argon2id, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/, a.login);
});
