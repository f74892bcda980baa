// What the OpenID Foundation's suite looks at, module by module: Basic OP, Config OP, RP-initiated
// logout, back-channel logout. Each test has the module's name and its own way to look.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { createServer } from 'node:http';
import { Platform, sleep, until } from '../lib/platform.mjs';
import { Client, forms, send } from '../lib/http.mjs';
import { World } from '../lib/story.mjs';
import { Relying, b64, basic, claimsOf, headerOf, json, jws, newKey, now, sha } from '../lib/relying.mjs';

let platform, world, rp, k, other, posted, durable, signing, signer;
// One person signed in, for the modules that are not about signing in.
const her = new Client();

before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  rp = new Relying(world);
  k = rp.add('Conformité');
  other = rp.add('Conformité, second client');
  posted = rp.add('Conformité, secret posté', ['--auth', 'client_secret_post']);
  durable = rp.add('Conformité durable', ['--scopes', 'openid profile email offline_access']);
  signer = newKey();
  signing = rp.add('Conformité, requêtes signées', ['--auth', 'client_secret_basic'], signer);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

const module = (name, what, body) => test(`${name}: ${what}`, body);
const signedIn = (extra, options = {}) => rp.tokens(options.client ?? k, extra, { person: her, ...options });

async function idTokenHolds(t, client, nonce) {
  const header = headerOf(t.id_token), { keys } = (await send(rp.at('/jwks'))).json;
  const key = keys.find((x) => x.kid === header.kid);
  assert.ok(key, 'signed by a key that is published');
  const [h, p, s] = t.id_token.split('.');
  assert.ok(verify('sha256', Buffer.from(`${h}.${p}`), { key: createPublicKey({ format: 'jwk', key }), dsaEncoding: 'ieee-p1363' }, Buffer.from(s, 'base64url')));
  const c = t.claims;
  assert.equal(c.iss, world.issuer);
  assert.equal(c.aud, client.client_id);
  assert.equal(c.nonce, nonce);
  assert.ok(c.sub && c.sub.length <= 255 && /^[\x21-\x7e]+$/.test(c.sub));
  assert.ok(Math.abs(c.iat - now()) < 60 && c.exp > now() && c.exp > c.iat);
}

// ---- Config OP -------------------------------------------------------------------------------------
module('oidcc-discovery-endpoint-verification', 'every member the suite reads is there and right', async () => {
  const r = await send(`${world.issuer}/.well-known/openid-configuration`);
  assert.equal(r.status, 200);
  assert.match(r.headers['content-type'], /^application\/json/);
  const m = r.json;
  assert.equal(m.issuer, world.issuer);
  for (const name of ['authorization_endpoint', 'token_endpoint', 'userinfo_endpoint', 'jwks_uri', 'end_session_endpoint']) assert.ok(m[name].startsWith(world.issuer), name);
  assert.ok(m.response_types_supported.includes('code'));
  assert.ok(m.subject_types_supported.every((x) => ['pairwise', 'public'].includes(x)));
  assert.ok(m.id_token_signing_alg_values_supported.includes('RS256'), 'Discovery 1.0: RS256 must be there');
  assert.ok(m.scopes_supported.includes('openid'));
  for (const name of ['claims_parameter_supported', 'request_parameter_supported', 'request_uri_parameter_supported']) assert.equal(typeof m[name], 'boolean', name);
  for (const name of ['userinfo_signing_alg_values_supported', 'request_object_signing_alg_values_supported', 'token_endpoint_auth_methods_supported', 'claims_supported', 'grant_types_supported']) assert.ok(Array.isArray(m[name]) && m[name].length, name);
  assert.ok(!m.request_object_signing_alg_values_supported.includes('none'));
  const { keys } = (await send(m.jwks_uri)).json;
  assert.equal(new Set(keys.map((x) => x.kid)).size, keys.length, 'each key has its own kid');
  for (const x of keys) for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(x[secret], undefined);
});

// ---- Basic OP --------------------------------------------------------------------------------------
module('oidcc-server', 'code flow; the ID token verifies and has what it must', async () => {
  const t = await signedIn();
  await idTokenHolds(t, k, t.q.nonce);
  assert.equal(t.token_type.toLowerCase(), 'bearer');
  assert.match(t.headers['cache-control'], /no-store/);
});

module('oidcc-idtoken-rs256', 'where registered so, RS256 and its key', async () => {
  const rs = rp.add('Conformité RS256', ['--id-token-alg', 'RS256']);
  const t = await signedIn({}, { client: rs });
  assert.equal(headerOf(t.id_token).alg, 'RS256');
  await idTokenHolds(t, rs, t.q.nonce);
});

module('oidcc-response-type-missing', 'invalid_request, with its state', async () => {
  const q = rp.request(k, { response_type: undefined }), back = await rp.refusal(q);
  assert.equal(back.get('error'), 'invalid_request');
  assert.equal(back.get('state'), q.state);
});

for (const [name, method, ask] of [
  ['oidcc-userinfo-get', 'GET', (t) => rp.userinfo(t)],
  ['oidcc-userinfo-post-header', 'POST, the token in the header', (t) => rp.post('/userinfo', {}, { authorization: `Bearer ${t}` })],
  ['oidcc-userinfo-post-body', 'POST, the token in the body', (t) => rp.post('/userinfo', { access_token: t })]])
  module(name, `${method}: JSON with the same sub`, async () => {
    const t = await signedIn({ scope: 'openid profile' });
    const r = await ask(t.access_token);
    assert.equal(r.status, 200, r.text);
    assert.match(r.headers['content-type'], /^application\/json/);
    assert.equal(r.json.sub, t.claims.sub);
    assert.equal(r.json.family_name, 'MARTIN');
  });

module('oidcc-ensure-request-without-nonce-succeeds-for-code-flow', 'an ID token without nonce', async () => {
  const t = await signedIn({ nonce: undefined });
  await idTokenHolds(t, k, undefined);
});

for (const [scope, has] of [['profile', ['given_name', 'family_name', 'birthdate', 'gender']], ['email', ['email']], ['phone', []], ['profile email phone', ['given_name', 'email']]])
  module(`oidcc-scope-${scope.includes(' ') ? 'all' : scope}`, 'userinfo holds its claims and the sub, nothing of the others', async () => {
    const t = await signedIn({ scope: `openid ${scope}` });
    const info = (await rp.userinfo(t.access_token)).json;
    assert.equal(info.sub, t.claims.sub);
    for (const name of has) assert.ok(info[name], name);
    if (!scope.includes('email')) assert.equal(info.email, undefined);
    if (!scope.includes('profile')) assert.equal(info.family_name, undefined);
  });

module('oidcc-scope-address', 'no claim stands behind it here: invalid_scope, and it is not announced', async () => {
  assert.equal((await rp.refusal(rp.request(k, { scope: 'openid address' }))).get('error'), 'invalid_scope');
  assert.ok(!(await send(`${world.issuer}/.well-known/openid-configuration`)).json.scopes_supported.includes('address'));
});

module('oidcc-ensure-other-scope-order-succeeds', 'openid may come last', async () => {
  const t = await signedIn({ scope: 'email openid' });
  assert.ok(t.id_token);
});

for (const display of ['page', 'popup', 'touch', 'wap'])
  module(`oidcc-display-${display}`, 'no error', async () => { await signedIn({ display }); });

module('oidcc-prompt-login', 'she is asked again; auth_time is later', async () => {
  const person = new Client();
  const first = await rp.tokens(k, { max_age: '10000' }, { person });
  await sleep(1100);
  const second = await rp.tokens(k, { prompt: 'login', max_age: '10000' }, { person });
  assert.ok(second.asked);
  assert.equal(second.claims.sub, first.claims.sub);
  assert.ok(second.claims.auth_time > first.claims.auth_time);
});

module('oidcc-prompt-none-not-logged-in', 'login_required, with its state', async () => {
  const q = rp.request(k, { prompt: 'none' }), back = await rp.refusal(q);
  assert.equal(back.get('error'), 'login_required');
  assert.equal(back.get('state'), q.state);
  assert.equal(back.get('code'), null);
});

module('oidcc-prompt-none-logged-in', 'the same person at the same time, unseen', async () => {
  const first = await signedIn({ max_age: '10000' });
  const second = await signedIn({ prompt: 'none', max_age: '10000' });
  assert.ok(!second.asked);
  assert.equal(second.claims.sub, first.claims.sub);
  assert.equal(second.claims.auth_time, first.claims.auth_time);
});

module('oidcc-max-age-1', 'she is asked again once a second has passed', async () => {
  const person = new Client();
  const first = await rp.tokens(k, {}, { person });
  await sleep(2100);
  const second = await rp.tokens(k, { max_age: '1' }, { person });
  assert.ok(second.asked);
  assert.ok(second.claims.auth_time >= now() - 60 && second.claims.auth_time > first.claims.iat - 1);
});

module('oidcc-max-age-10000', 'she is not asked; auth_time is in the ID token and the same', async () => {
  const first = await signedIn({ max_age: '10000' });
  const second = await signedIn({ max_age: '10000' });
  assert.ok(!second.asked);
  assert.ok(Number.isInteger(second.claims.auth_time));
  assert.equal(second.claims.auth_time, first.claims.auth_time);
});

module('oidcc-ensure-request-with-unknown-parameter-succeeds', 'what is not known is passed over', async () => { await signedIn({ extra: 'foobar' }); });

module('oidcc-id-token-hint', 'who it names is signed in: a code; another person: login_required; no ID token of ours: invalid_request', async () => {
  const first = await signedIn();
  const second = await signedIn({ prompt: 'none', id_token_hint: first.id_token });
  assert.equal(second.claims.sub, first.claims.sub);
  const person = new Client(), account = world.account('lucas.ndiaye');
  await rp.code(k, {}, { person, account });
  const ask = async (extra) => (await rp.through(rp.url(rp.request(k, { id_token_hint: first.id_token, ...extra })), { person, account }));
  assert.equal((await ask({ prompt: 'none' })).back.get('error'), 'login_required');
  const signs = await ask({});
  assert.ok(signs.asked, 'she may sign in');
  assert.equal(signs.back.get('error'), 'login_required', 'but it was another again');
  for (const id_token_hint of [`${first.id_token.slice(0, -8)}AAAAAAAA`, first.access_token, 'x', `${json({ alg: 'none' })}.${first.id_token.split('.')[1]}.`])
    assert.equal((await rp.refusal(rp.request(k, { id_token_hint }))).get('error'), 'invalid_request');
  assert.equal((await rp.refusal(rp.request(other, { id_token_hint: first.id_token }))).get('error'), 'invalid_request', 'given to another client');
});

module('oidcc-login-hint', 'no error', async () => { await signedIn({ login_hint: 'buffy@localhost' }); });

for (const [name, extra] of [['oidcc-ui-locales', { ui_locales: 'se' }], ['oidcc-claims-locales', { claims_locales: 'se' }]])
  module(name, 'a language nobody has here is no error', async () => { await signedIn(extra); });

module('oidcc-ensure-request-with-acr-values-succeeds', 'the ID token says which level it was', async () => {
  const t = await signedIn({ acr_values: 'eidas1' });
  assert.ok(['eidas1', 'eidas2', 'eidas3'].includes(t.claims.acr));
  await signedIn({ acr_values: '1 2' });
});

for (const [name, pause] of [['oidcc-codereuse', 0], ['oidcc-codereuse-30seconds', 2000]])
  module(name, 'invalid_grant; what it gave is refused from then on', async () => {
    const t = await signedIn();
    await sleep(pause); // the suite waits for 30 s: here the code is as used after two
    const again = await rp.post('/token', t.grant, basic(k));
    assert.equal(again.status, 400);
    assert.equal(again.json.error, 'invalid_grant');
    const r = await rp.userinfo(t.access_token);
    assert.equal(r.status, 401);
    assert.match(r.headers['www-authenticate'], /error="invalid_token"/);
  });

module('oidcc-ensure-registered-redirect-uri', 'another address: a page, and nobody is sent there', async () => {
  await rp.kept(rp.request(k, { redirect_uri: 'https://evil.example/cb' }), 'IDT-400-REDIRECT');
});

module('oidcc-redirect-uri-query-added', 'a query that was not registered: a page', async () => {
  await rp.kept(rp.request(k, { redirect_uri: `${Relying.redirect}?foo=bar` }), 'IDT-400-REDIRECT');
});

module('oidcc-redirect-uri-query-OK', 'a query that was registered is kept beside code and state', async () => {
  const redirect = `${Relying.redirect}?foo=bar`;
  const q = { ...rp.add('Adresse à paramètre', ['--redirect-uri', redirect]), redirect };
  const { back } = await rp.through(rp.url(rp.request(q)), { person: her });
  assert.equal(back.get('foo'), 'bar');
  assert.ok(back.get('code'));
});

module('oidcc-ensure-post-request-succeeds', 'the authorization request by POST', async () => {
  const q = rp.request(k), r = await rp.post('/authorize', q);
  assert.ok([302, 303].includes(r.status));
  const { back } = await rp.through(new URL(r.headers.location, world.issuer).href, { person: her });
  assert.ok(back.get('code'));
  assert.equal(back.get('state'), q.state);
});

module('oidcc-server-client-secret-post', 'the secret in the body; in the header it is refused', async () => {
  const c = await rp.code(posted, {}, { person: her });
  const header = await rp.post('/token', c.grant, basic(posted));
  assert.equal(header.status, 401);
  assert.equal(header.json.error, 'invalid_client');
  const r = await rp.post('/token', { ...c.grant, client_id: posted.client_id, client_secret: posted.client_secret });
  assert.equal(r.status, 200, r.text);
});

module('oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported', 'refused; nothing in it counts', async () => {
  const q = rp.request(k), request = `${json({ alg: 'none' })}.${json({ ...q, iss: k.client_id, aud: world.issuer, exp: now() + 60 })}.`;
  const back = await rp.refusal({ ...q, request });
  assert.equal(back.get('error'), 'invalid_request_object');
  assert.equal(back.get('state'), q.state);
});

module('oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported', 'request_uri_not_supported, and nobody fetches it', async () => {
  let asked = 0;
  const server = createServer((rq, rs) => { asked++; rs.end(); });
  await new Promise((done) => server.listen(platform.ownPort(2), '127.0.0.1', done));
  try {
    const back = await rp.refusal(rp.request(k, { request_uri: `http://127.0.0.1:${platform.ownPort(2)}/r` }));
    assert.equal(back.get('error'), 'request_uri_not_supported');
    assert.equal(asked, 0);
  } finally { await new Promise((done) => server.close(done)); }
});

module('oidcc-ensure-request-object-with-redirect-uri', 'the address inside is the one that counts', async () => {
  const object = (extra) => { const q = rp.request(signing, extra); return { q, request: jws(signer, { kid: 'k1' }, { ...q, iss: signing.client_id, aud: world.issuer, exp: now() + 60, iat: now() }) }; };
  const { q, request } = object();
  const { back } = await rp.through(rp.url({ ...q, redirect_uri: 'https://evil.example/', request }), { person: her });
  assert.ok(back.get('code'));
  await rp.kept({ ...q, request: object({ redirect_uri: 'https://evil.example/' }).request }, 'IDT-400-REDIRECT');
});

module('oidcc-claims-essential', 'a claim asked by name is in userinfo', async () => {
  const t = await signedIn({ claims: JSON.stringify({ userinfo: { family_name: { essential: true } } }) });
  assert.equal((await rp.userinfo(t.access_token)).json.family_name, 'MARTIN');
});

module('oidcc-ensure-request-with-valid-pkce-succeeds', 'S256; a verifier that does not fit is refused', async () => {
  const verifier = b64(Buffer.alloc(32, 7)), code_challenge = sha(verifier);
  const c = await rp.code(k, { code_challenge, code_challenge_method: 'S256' }, { person: her });
  assert.equal((await rp.post('/token', { ...c.grant, code_verifier: `${verifier}x` }, basic(k))).json.error, 'invalid_grant');
  assert.equal((await rp.post('/token', { ...c.grant, code_verifier: verifier }, basic(k))).status, 200);
});

module('oidcc-refresh-token', 'a new access token and the same person; another client’s is refused', async () => {
  const t = await signedIn({ scope: 'openid offline_access', prompt: 'consent' }, { client: durable });
  const refresh = (token, by) => rp.post('/token', { grant_type: 'refresh_token', refresh_token: token }, basic(by));
  const stolen = await refresh(t.refresh_token, k);
  assert.equal(stolen.status, 400);
  assert.equal(stolen.json.error, 'invalid_grant');
  const r = await refresh(t.refresh_token, durable);
  assert.equal(r.status, 200, r.text);
  assert.notEqual(r.json.access_token, t.access_token);
  const id = claimsOf(r.json.id_token);
  for (const name of ['iss', 'sub', 'aud']) assert.deepEqual(id[name], t.claims[name], name);
  assert.equal((await rp.userinfo(r.json.access_token)).status, 200);
});

// ---- RP-initiated logout -----------------------------------------------------------------------------
const end = (q = {}) => `${rp.at('/session/end')}?${new URLSearchParams(q)}`;
async function out(q, { person, press } = {}) {
  person.stopAt = (u) => u === Relying.home || u.startsWith(`${Relying.home}?`);
  person.stopped = null;
  await person.go(end(q));
  const asked = !person.stopped && forms(person.page.text).some((f) => /session\/end/.test(f.action ?? ''));
  if (asked && press) await person.press(forms(person.page.text).find((f) => /session\/end/.test(f.action)).buttons[0].text);
  const at = person.stopped;
  person.stopped = null;
  return { at: at && new URL(at), asked, page: person.page };
}
const isOut = async (person) => (await rp.through(rp.url(rp.request(k, { prompt: 'none' })), { person })).back.get('error') === 'login_required';

module('oidcc-rp-initiated-logout-discovery-endpoint-verification', 'end_session_endpoint is there', async () => {
  assert.equal((await send(`${world.issuer}/.well-known/openid-configuration`)).json.end_session_endpoint, rp.at('/session/end'));
});

for (const [name, what, query, expected] of [
  ['oidcc-rp-initiated-logout', 'back at the address with its state', (t) => ({ id_token_hint: t.id_token, post_logout_redirect_uri: Relying.home, state: 'ici' }), 'ici'],
  ['oidcc-rp-initiated-logout-no-state', 'back without a state', (t) => ({ id_token_hint: t.id_token, post_logout_redirect_uri: Relying.home }), null]])
  module(name, what, async () => {
    const person = new Client(), t = await rp.tokens(k, {}, { person });
    const { at } = await out(query(t), { person });
    assert.equal(at.searchParams.get('state'), expected);
    assert.ok(await isOut(person));
  });

for (const [name, query] of [
  ['oidcc-rp-initiated-logout-no-post-logout-redirect-uri', (t) => ({ id_token_hint: t.id_token, state: 'x' })],
  ['oidcc-rp-initiated-logout-no-params', () => ({})],
  ['oidcc-rp-initiated-logout-only-state', () => ({ state: 'x' })]])
  module(name, 'signed out here, perhaps once asked; sent nowhere', async () => {
    const person = new Client(), t = await rp.tokens(k, {}, { person });
    const { at } = await out(query(t), { person, press: true });
    assert.equal(at, null);
    assert.ok(await isOut(person));
  });

for (const [name, query] of [
  ['oidcc-rp-initiated-logout-bad-post-logout-redirect-uri', (t) => ({ id_token_hint: t.id_token, post_logout_redirect_uri: 'https://evil.example/', state: 'x' })],
  ['oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri', (t) => ({ id_token_hint: t.id_token, post_logout_redirect_uri: `${Relying.home}?foo=bar`, state: 'x' })],
  ['oidcc-rp-initiated-logout-modified-id-token-hint', (t) => ({ id_token_hint: `${t.id_token.slice(0, -8)}AAAAAAAA`, post_logout_redirect_uri: Relying.home, state: 'x' })],
  ['oidcc-rp-initiated-logout-bad-id-token-hint', () => ({ id_token_hint: 'bad', post_logout_redirect_uri: Relying.home, state: 'x' })],
  ['oidcc-rp-initiated-logout-no-id-token-hint', () => ({ post_logout_redirect_uri: Relying.home, state: 'x' })]])
  module(name, 'a page says what is wrong; sent nowhere, still signed in', async () => {
    const person = new Client(), t = await rp.tokens(k, {}, { person });
    const { at, page } = await out(query(t), { person });
    assert.equal(at, null);
    assert.equal(page.status, 400);
    assert.match(page.text, /IDT-400-LOGOUT/);
    assert.ok(!await isOut(person));
  });

// ---- back-channel logout -------------------------------------------------------------------------------
module('oidcc-backchannel-logout-discovery-endpoint-verification', 'backchannel_logout_supported, with sessions', async () => {
  const m = (await send(`${world.issuer}/.well-known/openid-configuration`)).json;
  assert.equal(m.backchannel_logout_supported, true);
  assert.equal(m.backchannel_logout_session_supported, true);
});

module('oidcc-backchannel-rp-initiated-logout', 'a logout token by POST: signed as the ID token, sid and sub of the session, no nonce', async () => {
  const got = [];
  const server = createServer((rq, rs) => { let body = ''; rq.on('data', (d) => { body += d; }); rq.on('end', () => { got.push({ method: rq.method, type: rq.headers['content-type'], body: new URLSearchParams(body) }); rs.end(); }); });
  await new Promise((done) => server.listen(platform.ownPort(3), '127.0.0.1', done));
  try {
    const b = rp.add('Prévenu par derrière', ['--backchannel-logout-uri', `http://localhost:${platform.ownPort(3)}/bc`]);
    const person = new Client(), t = await rp.tokens(b, {}, { person });
    const { at } = await out({ id_token_hint: t.id_token, post_logout_redirect_uri: Relying.home }, { person });
    assert.ok(at);
    await until('the client is told', () => got.length, { timeoutMs: 30000 });
    assert.equal(got[0].method, 'POST');
    assert.match(got[0].type, /^application\/x-www-form-urlencoded/);
    assert.deepEqual([...got[0].body.keys()], ['logout_token']);
    const token = got[0].body.get('logout_token'), c = claimsOf(token);
    assert.equal(headerOf(token).alg, headerOf(t.id_token).alg);
    assert.equal(c.iss, world.issuer);
    assert.equal(c.aud, b.client_id);
    assert.equal(c.sid, t.claims.sid);
    assert.equal(c.sub, t.claims.sub);
    assert.deepEqual(c.events, { 'http://schemas.openid.net/event/backchannel-logout': {} });
    assert.ok(c.jti && c.iat && !('nonce' in c));
    await idTokenHolds({ id_token: token, claims: { ...c, exp: c.exp ?? now() + 1 } }, b, undefined);
  } finally { server.closeAllConnections(); await new Promise((done) => server.close(done)); }
});
