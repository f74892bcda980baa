// The broker and the issuer against people, clients and providers that mean no good, and providers
// that follow other habits than ours. The platform has no demonstration world here: everything is
// registered by its commands, as an operator would.
import { test, before, after, beforeEach } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as oidc from 'openid-client';
import * as oauth from 'oauth4webapi';
import { Platform, sleep, until } from '../lib/platform.mjs';
import { Client, forms, links, localFetch, send, words } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';
import { Upstream, jws, newKey, people } from '../lib/upstream.mjs';

const SCOPE = 'openid profile birth email';
const b64 = (v) => Buffer.from(v).toString('base64url');
const decode = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));
const header = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[0], 'base64url'));
let platform, upstream, other, client, strict, agents;

function addProvider(u, id, { args = [], conf } = {}) {
  const file = join(platform.folder, `${id}.json`);
  writeFileSync(file, JSON.stringify(conf ?? {}));
  platform.must(['provider', 'add', '--id', id, '--name', `Compte ${id}`, '--name-en', `Account ${id}`, '--issuer', u.issuer, '--client-id', u.client, '--secret-stdin', '--conf', file, ...args], { input: `${u.secret}\n` });
}
function addClient(name, args = []) {
  const k = platform.json(['client', 'add', '--name', name, '--redirect-uri', 'http://localhost:3000/cb', '--redirect-uri', 'http://localhost:3000/cb?kind=a%20b', '--post-logout-uri', 'http://localhost:3000/', ...args]);
  return { ...k, redirect: 'http://localhost:3000/cb' };
}

before(async () => {
  platform = await Platform.start({ demo: false, args: ['--allow_inside=yes'] });
  upstream = await Upstream.start(platform.ownPort(0));
  other = await Upstream.start(platform.ownPort(1), { alg: 'RS256', signedUserinfo: true });
  addProvider(upstream, 'un');
  addProvider(other, 'deux', { conf: { auth: 'post' } });
  client = addClient('Service d’essai');
  strict = addClient('Service strict', ['--profile', 'strict']);
  agents = addClient('Service des agents', ['--realm', 'agents']);
}, { timeout: 180000 });
beforeEach(() => { for (const u of [upstream, other]) Object.assign(u, { break: {}, person: people.camille, acr: null }); });
after(async () => {
  await upstream?.stop();
  await other?.stop();
  await platform?.destroy();
}, { timeout: 60000 });

// ---- a client's and a person's steps ------------------------------------------------------------
function request(k = client, extra = {}) {
  const verifier = b64(randomBytes(32)), state = b64(randomBytes(16)), nonce = b64(randomBytes(18));
  const url = new URL(`${platform.base}/api/v2/authorize`);
  const pkce = k === strict ? {} : { code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' };
  const q = { response_type: 'code', client_id: k.client_id, redirect_uri: k.redirect, scope: SCOPE, acr_values: 'eidas1', state, nonce, ...pkce, ...extra };
  for (const [n, v] of Object.entries(q)) if (v !== undefined) url.searchParams.set(n, v);
  return { url: url.href, verifier: k === strict ? undefined : verifier, state, nonce, k, redirect: q.redirect_uri };
}
const h1 = (p) => words(/<h1\b[^>]*>([\s\S]*?)<\/h1>/.exec(p.page.text)?.[1] ?? '');
const titled = (p, key) => h1(p) === text('identity', key, p.lang).replace(/\s+/g, ' ');
const code = (p) => /<code>(IDT-[0-9]+-[A-Z]+)<\/code>/.exec(p.page?.text ?? '')?.[1];

// Walks until the client's address, or a page that is not one of a sign-in.
async function walk(person, rq, { provider = 'un', decision } = {}) {
  person.stopAt = (u) => u.startsWith('http://localhost:3000/');
  await person.go(rq.url);
  for (let i = 0; i < 8 && !person.stopped; i++) {
    if (titled(person, 'choose.title')) await person.follow(new RegExp(`/connexion/vers/${provider}\\b`));
    else if (titled(person, 'info.title')) await person.press(text('identity', 'info.continue', person.lang));
    else if (titled(person, 'consent.title')) await person.press(text('identity', decision === 'refuse' ? 'consent.refuse' : 'consent.agree', person.lang));
    else return null;
  }
  const at = person.stopped;
  person.stopped = null;
  return new URL(at);
}
const basic = (k) => `Basic ${Buffer.from(`${k.client_id}:${k.client_secret}`).toString('base64')}`;
const post = (path, fields, headers = {}) => send(`${platform.base}${path}`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams(Object.entries(fields).filter(([, v]) => v !== undefined)).toString() });
const redeem = (rq, at, { k = rq.k, ...fields } = {}) => post('/api/v2/token', { grant_type: 'authorization_code', code: at.searchParams.get('code'), redirect_uri: rq.redirect, code_verifier: rq.verifier, ...fields }, { authorization: basic(k) });

async function signIn({ k = client, person = new Client(), extra, provider, decision } = {}) {
  const rq = request(k, extra);
  const at = await walk(person, rq, { provider, decision });
  assert.ok(at?.searchParams.get('code'), `back with a code: ${at ?? person.text.slice(0, 600)}`);
  const r = await redeem(rq, at);
  assert.equal(r.status, 200, r.text);
  return { rq, at, person, ...r.json, claims: decode(r.json.id_token) };
}

// ---- clients of every age -------------------------------------------------------------------------
test('commands: the secret is shown once, lists and descriptions never show it', () => {
  assert.match(client.client_secret, /^[A-Za-z0-9_-]{43}$/);
  for (const args of [['client', 'list'], ['client', 'show', client.client_id]]) {
    assert.ok(!platform.must(args).includes(client.client_secret));
    assert.ok(!JSON.stringify(platform.json(args)).includes(client.client_secret));
  }
  const shown = platform.json(['client', 'show', strict.client_id]);
  assert.equal(shown.profile, 'strict');
  assert.equal(shown.userinfo_alg, 'ES256');
  assert.deepEqual(shown.redirect_uris.length, 2);
  const bad = platform.command(['client', 'add', '--name', 'X', '--redirect-uri', 'javascript:alert(1)']);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /redirect_uri/);
});

test('a confidential client without PKCE, its address with a query, RS256 ID token: signs in', async () => {
  const old = addClient('Ancien', ['--id-token-alg', 'RS256', '--userinfo-alg', 'RS256']);
  old.redirect = 'http://localhost:3000/cb?kind=a%20b';
  const rq = request(old, { code_challenge: undefined, code_challenge_method: undefined });
  rq.verifier = undefined;
  const at = await walk(new Client(), rq);
  assert.equal(at.searchParams.get('kind'), 'a b', 'what the address had is kept');
  const r = await redeem(rq, at);
  assert.equal(header(r.json.id_token).alg, 'RS256');
  const { keys } = (await send(`${platform.base}/api/v2/jwks`)).json;
  const key = createPublicKey({ format: 'jwk', key: keys.find((k) => k.kid === header(r.json.id_token).kid) });
  const [a, b, s] = r.json.id_token.split('.');
  assert.ok(verify('sha256', Buffer.from(`${a}.${b}`), key, Buffer.from(s, 'base64url')));
  const info = await send(`${platform.base}/api/v2/userinfo`, { headers: { authorization: `Bearer ${r.json.access_token}` } });
  assert.match(info.headers['content-type'], /^application\/jwt/);
  assert.equal(decode(info.text).sub, decode(r.json.id_token).sub);
  assert.equal(decode(info.text).aud, old.client_id);
});

test('secrets with odd characters: encoded as the standard says, or raw as many send them', async () => {
  const rotated = platform.json(['client', 'rotate-secret', client.client_id]);
  for (const [what, secret] of [['new', rotated.client_secret], ['old, for a day', client.client_secret]]) {
    const r = await post('/api/v2/token', { grant_type: 'authorization_code', code: 'x' }, { authorization: basic({ ...client, client_secret: secret }) });
    assert.equal(r.json.error, 'invalid_grant', `${what}: authenticated, the code is what is wrong`);
  }
  client.client_secret = rotated.client_secret;
  const encoded = `Basic ${Buffer.from(`${encodeURIComponent(client.client_id)}:${client.client_secret.replace(/./, (c) => `%${c.charCodeAt(0).toString(16)}`)}`).toString('base64')}`;
  assert.equal((await post('/api/v2/token', { grant_type: 'authorization_code', code: 'x' }, { authorization: encoded })).json.error, 'invalid_grant');
  assert.equal((await post('/api/v2/token', { grant_type: 'authorization_code', code: 'x', client_id: client.client_id, client_secret: client.client_secret })).json.error, 'invalid_grant');
});

test('strict answers as FranceConnect: signed userinfo, 60 s, amr only when asked', async () => {
  const t = await signIn({ k: strict });
  assert.equal(t.expires_in, 60);
  assert.equal(t.claims.exp - t.claims.iat, 60);
  assert.equal(t.claims.amr, undefined);
  assert.equal(t.claims.acr, 'eidas1');
  assert.match(t.claims.sub, /^[0-9a-f]{64}v1$/);
  const info = await send(`${platform.base}/api/v2/userinfo`, { headers: { authorization: `Bearer ${t.access_token}` } });
  assert.match(info.headers['content-type'], /^application\/jwt/);
  const c = decode(info.text);
  assert.equal(c.family_name, 'CANARI-MARTIN');
  assert.deepEqual(c.given_name_array, ['Camille', 'Anne']);
  const asked = await signIn({ k: strict, person: t.person, extra: { scope: 'openid amr' } });
  assert.deepEqual(asked.claims.amr, ['pwd']);
});

test('strict refuses PKCE, unknown parameters, a short nonce, no state; and says so to the client', async () => {
  for (const extra of [{ code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' }, { foo: 'bar' }, { nonce: 'short' }, { state: undefined }, { acr_values: undefined }, { prompt: 'none' }]) {
    const r = await send(request(strict, extra).url);
    assert.equal(r.status, 303, JSON.stringify(extra));
    const at = new URL(r.headers.location);
    assert.equal(at.origin + at.pathname, strict.redirect);
    assert.equal(at.searchParams.get('error'), 'invalid_request', JSON.stringify(extra));
    assert.equal(at.searchParams.get('code'), null);
  }
});

test('openid-client with private_key_jwt; a proof used twice is refused', async () => {
  const { privateKey, publicKey } = await oauth.generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'c1', use: 'sig', alg: 'ES256' };
  const file = join(platform.folder, 'client-jwks.json');
  writeFileSync(file, JSON.stringify({ keys: [{ kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y, kid: jwk.kid, use: 'sig', alg: 'ES256' }] }));
  const k = addClient('À clé', ['--jwks', file]);
  let sent;
  const config = await oidc.discovery(new URL(platform.base), k.client_id, undefined, oidc.PrivateKeyJwt({ key: privateKey, kid: 'c1' }), { execute: [oidc.allowInsecureRequests], [oidc.customFetch]: (u, i) => { if (String(u).endsWith('/token')) sent = String(i.body); return localFetch(u, i); } });
  const verifier = oidc.randomPKCECodeVerifier(), state = oidc.randomState(), nonce = oidc.randomNonce();
  const url = oidc.buildAuthorizationUrl(config, { redirect_uri: k.redirect, scope: SCOPE, state, nonce, code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' });
  const at = await walk(new Client(), { url: url.href });
  const tokens = await oidc.authorizationCodeGrant(config, at, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce });
  assert.equal(tokens.claims().aud, k.client_id);
  const again = await post('/api/v2/token', Object.fromEntries(new URLSearchParams(sent)));
  assert.equal(again.status, 401);
  assert.equal(again.json.error, 'invalid_client');
  const byNone = jws({ iss: k.client_id, sub: k.client_id, aud: platform.base, jti: 'x', exp: Date.now() / 1000 + 60 | 0 }, null, { alg: 'none' });
  const r = await post('/api/v2/token', { grant_type: 'authorization_code', code: 'x', client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: byNone });
  assert.equal(r.status, 401);
});

test('oauth4webapi, the strictest of readers, takes every answer', async () => {
  const o = { [oauth.allowInsecureRequests]: true, [oauth.customFetch]: localFetch };
  const as = await oauth.processDiscoveryResponse(new URL(platform.base), await oauth.discoveryRequest(new URL(platform.base), o));
  const me = { client_id: client.client_id };
  const rq = request();
  const at = await walk(new Client(), rq);
  const params = oauth.validateAuthResponse(as, me, at, rq.state);
  const auth = oauth.ClientSecretBasic(client.client_secret);
  const r = await oauth.processAuthorizationCodeResponse(as, me, await oauth.authorizationCodeGrantRequest(as, me, auth, params, rq.redirect, rq.verifier, o), { expectedNonce: rq.nonce, requireIdToken: true });
  const claims = oauth.getValidatedIdTokenClaims(r);
  const info = await oauth.processUserInfoResponse(as, me, claims.sub, await oauth.userInfoRequest(as, me, r.access_token, o));
  assert.equal(info.birthdate, '1988-04-12');
  await oauth.processRevocationResponse(await oauth.revocationRequest(as, me, auth, r.access_token, o));
  const gone = await send(as.userinfo_endpoint, { headers: { authorization: `Bearer ${r.access_token}` } });
  assert.equal(gone.status, 401);
  assert.match(gone.headers['www-authenticate'], /invalid_token/);
});

// ---- codes and tokens ------------------------------------------------------------------------------
test('a code: once, in time, by its client, for its address, with its verifier; else nothing', async () => {
  const cases = {
    'another verifier': { code_verifier: b64(randomBytes(32)) }, 'no verifier': { code_verifier: undefined }, 'another address': { redirect_uri: 'http://localhost:3000/cb?kind=a%20b' },
    'no address': { redirect_uri: undefined }, 'another client': { k: strict }, 'another grant': { grant_type: 'password' },
  };
  const person = new Client();
  for (const [what, wrong] of Object.entries(cases)) {
    const rq = request();
    const at = await walk(person, rq);
    const r = await redeem(rq, at, wrong);
    assert.equal(r.status, 400, `${what}: ${r.text}`);
    assert.ok(['invalid_grant', 'unsupported_grant_type'].includes(r.json.error), what);
    assert.equal(r.json.access_token, undefined);
  }
});

test('a challenge cannot be dropped, nor a verifier slipped in (PKCE downgrade)', async () => {
  const rq = request(client, { code_challenge: undefined, code_challenge_method: undefined });
  const at = await walk(new Client(), rq);
  const r = await redeem(rq, at);
  assert.equal(r.json.error, 'invalid_grant');
});

test('a code used again by twenty at once gives one token, and that one ends', async () => {
  const rq = request();
  const at = await walk(new Client(), rq);
  const all = await Promise.all(Array.from({ length: 20 }, () => redeem(rq, at)));
  const good = all.filter((r) => r.status === 200);
  assert.equal(good.length, 1);
  const info = await send(`${platform.base}/api/v2/userinfo`, { headers: { authorization: `Bearer ${good[0].json.access_token}` } });
  assert.equal(info.status, 401);
});

test('tokens of other kinds are no access tokens: ID token, altered, alg none, foreign key', async () => {
  const t = await signIn();
  const [h, p, s] = t.access_token.split('.');
  const foreign = newKey('ES256', header(t.access_token).kid);
  const altered = { ...decode(t.access_token), scope: 'openid email', client_id: strict.client_id };
  for (const [what, token] of Object.entries({
    'an ID token': t.id_token, 'altered': `${h}.${b64(JSON.stringify(altered))}.${s}`, 'alg none': `${b64('{"alg":"none","typ":"at+jwt"}')}.${p}.`,
    'another key': jws(altered, foreign.privateKey, header(t.access_token)), 'HS256 with the public key': jws(altered, JSON.stringify((await send(`${platform.base}/api/v2/jwks`)).json.keys[0]), { alg: 'HS256', typ: 'at+jwt', kid: header(t.access_token).kid }), 'no token': 'x',
  })) {
    const r = await send(`${platform.base}/api/v2/userinfo`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(r.status, 401, what);
  }
  assert.equal(decode(t.access_token).idt.includes('CANARI'), false);
  assert.ok(!Buffer.from(t.access_token.split('.')[1], 'base64url').toString().includes('1988-04-12'), 'the client’s token says nothing of the person');
});

test('guessing a secret is slowed down, and the client itself is not locked out elsewhere', async () => {
  const k = addClient('Devinettes');
  let last;
  for (let i = 0; i < 25; i++) last = await post('/api/v2/token', { grant_type: 'authorization_code', code: 'x' }, { authorization: basic({ ...k, client_secret: `wrong${i}` }) });
  assert.equal(last.status, 429);
  assert.ok(last.headers['retry-after']);
  assert.equal((await post('/api/v2/token', { grant_type: 'authorization_code', code: 'x' }, { authorization: basic(client) })).status, 400, 'others go on');
});

// ---- providers that break the rules ------------------------------------------------------------------
const forgeries = {
  'alg none': [{ idToken: (c) => jws(c, null, { alg: 'none' }) }, 'IDT-502-PROVIDER'],
  'HS256 with the public key (confusion)': [{ idToken: (c, u) => jws(c, JSON.stringify(u.keys[0].jwk), { alg: 'HS256', kid: 'k1' }) }, 'IDT-502-PROVIDER'],
  'HS256 with the client secret': [{ idToken: (c, u) => jws(c, u.secret, { alg: 'HS256', kid: 'k1' }) }, 'IDT-502-PROVIDER'],
  'a key it does not publish': [{ get key() { return newKey('ES256', 'k1'); } }, 'IDT-502-PROVIDER'],
  'an unknown kid': [{ get key() { return newKey('ES256', 'k9'); } }, 'IDT-502-PROVIDER'],
  'no signature': [{ idToken: (c, u) => `${jws(c, u.keys[0].privateKey, { alg: 'ES256', kid: 'k1' }).split('.').slice(0, 2).join('.')}.` }, 'IDT-502-PROVIDER'],
  'unknown crit': [{ idToken: (c, u) => jws(c, u.keys[0].privateKey, { alg: 'ES256', kid: 'k1', crit: ['x'], x: 1 }) }, 'IDT-502-PROVIDER'],
  'wrong audience': [{ claims: { aud: 'somebody-else' } }, 'IDT-502-PROVIDER'],
  'two audiences without azp': [{ claims: { aud: ['socle', 'somebody-else'] } }, 'IDT-502-PROVIDER'],
  'azp of another': [{ claims: { azp: 'somebody-else' } }, 'IDT-502-PROVIDER'],
  'wrong issuer': [{ claims: { iss: 'http://127.0.0.1:1' } }, 'IDT-502-PROVIDER'],
  'expired': [{ claims: { exp: 1000000000 } }, 'IDT-502-PROVIDER'],
  'no expiry': [{ claims: { exp: undefined } }, 'IDT-502-PROVIDER'],
  'of the future': [{ claims: { iat: Math.floor(Date.now() / 1000) + 7200, nbf: Math.floor(Date.now() / 1000) + 7200 } }, 'IDT-502-PROVIDER'],
  'wrong nonce (replayed token)': [{ claims: { nonce: 'abc' } }, 'IDT-502-PROVIDER'],
  'no nonce': [{ claims: { nonce: undefined } }, 'IDT-502-PROVIDER'],
  'no sub': [{ claims: { sub: undefined } }, 'IDT-502-PROVIDER'],
  'at_hash of another access token': [{ claims: { at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' } }, 'IDT-502-PROVIDER'],
  'another sub at userinfo': [{ userinfo: { sub: 'somebody-else' } }, 'IDT-502-PROVIDER'],
  'a lower level than asked': [{ claims: { acr: 'eidas0' } }, 'IDT-403-LEVEL'],
  'no level at all': [{ claims: { acr: undefined } }, 'IDT-403-LEVEL'],
  'no family name': [{ userinfo: { family_name: '' } }, 'IDT-422-PIVOT'],
  'a date that is none': [{ userinfo: { birthdate: '1988-02-31' } }, 'IDT-422-PIVOT'],
  'a place that is none': [{ userinfo: { birthplace: 'Lyon' } }, 'IDT-422-PIVOT'],
  'markup in a name': [{ userinfo: { given_name: '<script>alert(1)</script>' } }, 'IDT-422-PIVOT'],
  'an issuer in the answer that is another (mix-up)': [{ iss: 'https://evil.example' }, 'IDT-502-PROVIDER'],
  'she gave up': [{ error: 'access_denied' }, 'IDT-403-PROVIDER'],
  'an error with markup': [{ error: '"><script>' }, 'IDT-403-PROVIDER'],
};
for (const [what, [wrong, expected]] of Object.entries(forgeries)) {
  test(`upstream: ${what}: ${expected}, nobody is signed in`, async () => {
    upstream.break = wrong;
    const person = new Client();
    const rq = request();
    const at = await walk(person, rq);
    assert.equal(at, null, 'the client gets nothing');
    assert.equal(code(person), expected, person.text.slice(0, 400));
    assert.ok(!person.page.text.includes('<script'), 'nothing of the answer is in the page');
    const none = await walk(person, request(client, { prompt: 'none' }));
    assert.equal(none.searchParams.get('error'), 'login_required');
    // The way out works: another account, in the same sign-in.
    upstream.break = {};
    await person.go(rq.url);
    assert.ok(titled(person, 'choose.title'));
  });
}

test('upstream: a rotation of its keys fails no sign-in', async () => {
  await signIn();
  await sleep(5200); // the set is read again at most once in 5 s
  upstream.keys.push(newKey('ES256', 'k2'));
  const t = await signIn();
  assert.ok(t.id_token);
});

test('upstream: RS256, signed userinfo, secret posted; a userinfo signed by another key is refused', async () => {
  const t = await signIn({ provider: 'deux' });
  assert.match(t.claims.sub, /v1$/);
  assert.equal(other.last('/token').q.client_secret, other.secret);
  other.break = { userinfoKey: newKey('RS256', 'k1') };
  const person = new Client();
  assert.equal(await walk(person, request(), { provider: 'deux' }), null);
  assert.equal(code(person), 'IDT-502-PROVIDER');
});

test('upstream: answers that are slow, cut, too long or no JSON give a page, and the other provider works', async () => {
  const cases = {
    'server error': ['/token', (rq, rs) => { rs.statusCode = 500; rs.end('boom'); }, 'IDT-503-PROVIDER'],
    'closes': ['/token', (rq, rs) => rs.destroy(), 'IDT-503-PROVIDER'],
    'not JSON': ['/token', (rq, rs, { json }) => json('<html>'), 'IDT-502-PROVIDER'],
    'too long': ['/userinfo', (rq, rs, { json }) => json(`{"a":"${'x'.repeat(400000)}"}`), 'IDT-502-PROVIDER'],
    'a redirection': ['/userinfo', (rq, rs) => { rs.writeHead(302, { location: 'http://169.254.169.254/' }); rs.end(); }, 'IDT-502-PROVIDER'],
    'never answers': ['/token', () => {}, 'IDT-503-PROVIDER'],
  };
  for (const [what, [path, fn, expected]] of Object.entries(cases)) {
    upstream.break = { [path]: fn };
    const person = new Client();
    assert.equal(await walk(person, request()), null, what);
    assert.equal(code(person), expected, what);
    upstream.break = {};
    // She chooses the other account, in the same sign-in, and arrives.
    await person.follow(text('identity', 'error.choose_again', 'fr'));
    await person.follow(/connexion\/vers\/deux/);
    if (titled(person, 'info.title')) await person.press(text('identity', 'info.continue', 'fr'));
    assert.ok(person.stopped?.includes('code='), `${what}: ${person.text.slice(0, 200)}`);
  }
}, { timeout: 60000 });

test('a provider that is down is said to be down on the page of choice, and blocks nothing', async () => {
  other.break = { down: true };
  const down = text('identity', 'choose.down', 'fr');
  const person = new Client();
  await until('the page says so', async () => { await person.go(request().url); return person.text.includes(down); }, { timeoutMs: 60000, everyMs: 1000 });
  await signIn();
  other.break = {};
  await until('the page is well again', async () => { await person.go(request().url); return !person.text.includes(down); }, { timeoutMs: 60000, everyMs: 1000 });
}, { timeout: 130000 });

// ---- browsers that were lured ----------------------------------------------------------------------
test('a sign-in sent to somebody else is worth nothing: choice, way there, way back, agreement', async () => {
  const attacker = new Client(), victim = new Client();
  await attacker.go(request().url);
  const flow = new URL(attacker.page.url).searchParams.get('flow');
  for (const path of ['/connexion/choix', '/connexion/vers/un', '/connexion/accord', '/connexion/annuler']) {
    await victim.go(`${platform.base}${path}?flow=${flow}`);
    assert.equal(code(victim), 'IDT-403-BROWSER', path);
  }
  // Login CSRF: the attacker's finished trip to the provider, opened by the victim.
  attacker.stopAt = (u) => u.includes('/connexion/retour/');
  await attacker.follow(/connexion\/vers\/un/);
  const back = attacker.stopped;
  await victim.go(back);
  assert.equal(code(victim), 'IDT-403-BROWSER');
  assert.equal((await walk(victim, request(client, { prompt: 'none' }))).searchParams.get('error'), 'login_required', 'the victim is not signed in as the attacker');
});

test('an answer from the provider works once, for the provider it names, with the state it was given', async () => {
  const person = new Client();
  person.stopAt = (u) => u.includes('/connexion/retour/');
  await person.go(request().url);
  await person.follow(/connexion\/vers\/un/);
  const back = new URL(person.stopped);
  person.stopAt = (u) => u.startsWith('http://localhost:3000/');
  for (const [what, change] of Object.entries({
    'another provider’s address': (u) => { u.pathname = '/connexion/retour/deux'; }, 'another state': (u) => u.searchParams.set('state', `${u.searchParams.get('state').slice(0, -1)}A`),
    'no state': (u) => u.searchParams.delete('state'), 'two states': (u) => u.searchParams.append('state', 'x'), 'a short state': (u) => u.searchParams.set('state', 'abc'),
  })) {
    const u = new URL(back);
    change(u);
    await person.go(u.href);
    assert.equal(code(person), 'IDT-410-FLOW', what);
  }
  await person.go(back.href);
  if (titled(person, 'info.title')) await person.press(text('identity', 'info.continue', 'fr'));
  assert.ok(person.stopped.includes('code='));
  await person.go(back.href);
  assert.equal(code(person), 'IDT-410-FLOW', 'replayed');
});

test('signing in changes the session’s cookie (no fixation)', async () => {
  const person = new Client();
  person.jar(platform.base).set('socle', b64(randomBytes(32)));
  const planted = person.jar(platform.base).get('socle');
  await signIn({ person });
  const first = person.jar(platform.base).get('socle');
  assert.notEqual(first, planted);
  await signIn({ person, extra: { prompt: 'login' } });
  assert.notEqual(person.jar(platform.base).get('socle'), first);
});

test('agreeing needs the page: no token, another token, another origin are refused', async () => {
  const person = new Client();
  person.stopAt = (u) => u.startsWith('http://localhost:3000/');
  await person.go(request(client, { prompt: 'consent' }).url);
  await person.follow(/connexion\/vers\/un/);
  const f = forms(person.page.text).find((x) => x.action.includes('/connexion/accord'));
  assert.ok(f, person.text.slice(0, 300));
  const fields = Object.fromEntries(f.fields);
  const attempt = (changes, headers) => person.once(`${platform.base}/connexion/accord`, { method: 'POST', body: new URLSearchParams({ ...fields, ...changes }).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } });
  assert.equal((await attempt({ csrf: '' }, { origin: platform.base })).status, 403);
  assert.equal((await attempt({ csrf: 'A'.repeat(fields.csrf.length) }, { origin: platform.base })).status, 403);
  assert.equal((await attempt({}, { origin: 'https://evil.example' })).status, 403);
  assert.equal((await attempt({}, { 'sec-fetch-site': 'cross-site' })).status, 403);
  const csp = person.page.headers['content-security-policy'];
  assert.match(csp, /frame-ancestors 'none'/, 'no clickjacking');
  assert.match(csp, /form-action 'self' http:\/\/localhost:3000;/, 'the form may lead to the client, and nowhere else');
  const good = await attempt({}, { origin: platform.base });
  assert.equal(good.status, 303);
  assert.match(good.headers.location, /^http:\/\/localhost:3000\/cb\?code=/);
  const twice = await attempt({}, { origin: platform.base });
  assert.equal(twice.status, 410, 'a second click says that it is done');
});

test('open redirections: `return` stays on this site', async () => {
  for (const to of ['https://evil.example/', '//evil.example/', '/\\evil.example/', 'javascript:alert(1)', '/%0d%0aLocation:%20https://evil.example/', '/\thttps://evil.example']) {
    const person = new Client();
    person.stopAt = (u) => !u.startsWith(platform.base) && !u.startsWith(upstream.issuer);
    await person.go(`${platform.base}/connexion?return=${encodeURIComponent(to)}`);
    await person.follow(/connexion\/vers\/un/);
    assert.equal(person.stopped, null, to);
    assert.equal(new URL(person.page.url).origin, platform.base, to);
  }
});

test('the portal: her account needs a sign-in, and leads back where she wanted to go', async () => {
  const person = new Client();
  await person.go(`${platform.base}/account/consents`);
  assert.ok(titled(person, 'choose.title'));
  await person.follow(/connexion\/vers\/un/);
  assert.equal(new URL(person.page.url).pathname, '/account/consents');
});

// ---- single sign-on ---------------------------------------------------------------------------------
test('levels: a low session serves eidas1, a high one eidas2, none eidas3; the provider is asked for enough', async () => {
  const person = new Client();
  const asked = () => upstream.requests.filter((r) => r.path === '/authorize').length;
  await signIn({ person });
  let n = asked();
  await signIn({ person });
  assert.equal(asked(), n, 'eidas1 again: no new sign-in');
  const two = await signIn({ person, extra: { acr_values: 'eidas2' } });
  assert.equal(asked(), n + 1, 'step-up');
  assert.equal(upstream.last('/authorize').q.acr_values, 'eidas2');
  assert.equal(two.claims.acr, 'eidas2');
  const one = await signIn({ person, extra: { acr_values: 'eidas1' } });
  assert.equal(asked(), n + 1, 'a high session serves a low request');
  assert.equal(one.claims.acr, 'eidas2');
  await signIn({ person, extra: { acr_values: 'eidas3' } });
  await signIn({ person, extra: { acr_values: 'eidas3' } });
  assert.equal(asked(), n + 3, 'eidas3 asks each time');
  assert.equal(upstream.last('/authorize').q.prompt, 'login');
  upstream.acr = 'eidas1';
  assert.equal(await walk(person, request(client, { acr_values: 'eidas2', prompt: 'login' })), null);
  assert.equal(code(person), 'IDT-403-LEVEL', 'what the provider reached is checked');
});

test('max_age: an old sign-in is made again', async () => {
  const person = new Client();
  const first = await signIn({ person });
  await sleep(2100);
  const second = await signIn({ person, extra: { max_age: '1' } });
  assert.ok(second.claims.auth_time > first.claims.auth_time);
  const third = await signIn({ person, extra: { max_age: '3600' } });
  assert.equal(third.claims.auth_time, second.claims.auth_time);
});

test('prompt: login asks the provider again, consent asks her again, none asks nobody', async () => {
  const person = new Client();
  await signIn({ person });
  person.stopAt = (u) => u.startsWith('http://localhost:3000/');
  await person.go(request().url);
  assert.ok(person.stopped?.includes('code='), 'told once, not told again');
  await person.go(request(client, { prompt: 'consent' }).url);
  assert.ok(titled(person, 'info.title'));
  await person.go(request(client, { scope: `${SCOPE} phone` }).url);
  assert.ok(person.stopped || titled(person, 'info.title'));
  assert.equal((await walk(person, request(client, { prompt: 'none' }))).searchParams.get('code').length, 43);
  assert.equal((await walk(person, request(strict))).searchParams.get('error'), null);
});

test('POST to authorize works as GET, and finds her session though the form is another site’s', async () => {
  const person = new Client();
  await signIn({ person });
  const rq = request();
  const u = new URL(rq.url);
  // A browser sends no Lax cookie with a cross-site POST.
  const r = await send(`${platform.base}/api/v2/authorize`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', origin: 'https://service.example' }, body: u.searchParams.toString() });
  assert.equal(r.status, 303);
  const at = await walk(person, { url: r.headers.location });
  assert.ok(at.searchParams.get('code'));
});

test('idp_hint skips the choice; an unknown hint does not', async () => {
  const person = new Client();
  person.stopAt = (u) => u.startsWith(upstream.issuer);
  await person.go(request(client, { idp_hint: 'un' }).url);
  assert.ok(person.stopped);
  await person.go(request(client, { idp_hint: 'nobody' }).url);
  assert.ok(titled(person, 'choose.title'));
  await person.go(`${platform.base}/connexion/vers/nobody?flow=${new URL(person.page.url).searchParams.get('flow')}`);
  assert.equal(code(person), 'IDT-404-PROVIDER');
});

test('a client that accepts one provider shows that one, and no other can be used', async () => {
  const picky = addClient('Difficile', ['--providers', 'deux']);
  const person = new Client();
  await person.go(request(picky).url);
  const found = links(person.page.text).filter((l) => l.href?.includes('/connexion/vers/'));
  assert.equal(found.length, 1);
  await person.go(found[0].href.replace('/vers/deux', '/vers/un'));
  assert.equal(code(person), 'IDT-404-PROVIDER');
  // Signed in with the other one already: she is asked again.
  const signed = await signIn();
  await signed.person.go(request(picky).url);
  assert.ok(titled(signed.person, 'choose.title'));
});

test('giving up goes back to the service with access_denied and its state', async () => {
  const person = new Client();
  const rq = request();
  person.stopAt = (u) => u.startsWith('http://localhost:3000/');
  await person.go(rq.url);
  await person.follow(text('identity', 'choose.cancel', 'fr'));
  const at = new URL(person.stopped);
  assert.equal(at.searchParams.get('error'), 'access_denied');
  assert.equal(at.searchParams.get('state'), rq.state);
  assert.equal(at.searchParams.get('iss'), platform.base);
});

test('languages: ui_locales chooses, the pages follow', async () => {
  const person = new Client();
  await person.go(request(client, { ui_locales: 'de en-GB fr' }).url);
  assert.equal(h1(person), text('identity', 'choose.title', 'en'));
  await person.go(request().url);
  assert.equal(h1(person), text('identity', 'choose.title', 'en'), 'and stays');
});

// ---- who is who ------------------------------------------------------------------------------------
test('one person by two providers is one person; another pivot is another', async () => {
  const a = await signIn();
  other.person = { ...people.camille, sub: 'other-sub' };
  const b = await signIn({ provider: 'deux' });
  assert.equal(a.claims.sub, b.claims.sub, 'same pivot, same person');
  upstream.person = people.elie;
  const c = await signIn();
  assert.notEqual(c.claims.sub, a.claims.sub);
  const s = await signIn({ k: strict });
  assert.notEqual(s.claims.sub, c.claims.sub, 'pairwise');
});

test('a corrected name keeps its sub; an account given to somebody else does not', async () => {
  upstream.person = { ...people.camille, sub: 'moving', family_name: 'AVANT', birthdate: '1990-01-02' };
  const before_ = await signIn();
  upstream.person = { ...upstream.person, family_name: 'APRÈS' };
  assert.equal((await signIn()).claims.sub, before_.claims.sub, 'married, or misspelt: the same person');
  upstream.person = { ...upstream.person, family_name: 'AUTRE', birthdate: '1961-07-08' };
  assert.notEqual((await signIn()).claims.sub, before_.claims.sub, 'born another day: somebody else');
});

test('clients of one entity know a person by one name', async () => {
  const [x, y] = ['X', 'Y'].map((n) => addClient(n, ['--entity', 'entite-commune']));
  assert.equal((await signIn({ k: x })).claims.sub, (await signIn({ k: y })).claims.sub);
});

test('[2.1.1] the sub is the one that FranceConnect’s formula gives', async () => {
  const secret = readFileSync(join(platform.data, 'keys', 'pairwise.secret'), 'utf8').trim();
  const sha = (s, enc) => createHash('sha256').update(s).digest(enc);
  for (const [p, place] of [[people.camille, '69123'], [people.elie, '']]) {
    upstream.person = p;
    const t = await signIn({ k: strict });
    const hash = sha(`${p.given_name}${p.family_name}${p.birthdate}${p.gender}${place}${p.birthcountry}`, 'base64');
    assert.equal(t.claims.sub, `${sha(`${strict.client_id}${hash}${secret}`, 'hex')}v1`);
  }
});

test('[M005] two identity providers, three services: one pivot everywhere, another sub at each', async () => {
  const services = [client, addClient('Service de M005'), addClient('Autre service de M005')], seen = [];
  for (const provider of ['un', 'deux'])
    for (const k of services) {
      const t = await signIn({ k, provider, extra: { scope: 'openid identite_pivot' } });
      const info = (await send(`${platform.base}/api/v2/userinfo`, { headers: { authorization: `Bearer ${t.access_token}` } })).json;
      const { sub, ...pivot } = info;
      seen.push({ k: k.client_id, sub, pivot });
    }
  for (const s of seen) assert.deepEqual(s.pivot, seen[0].pivot, 'the pivot is stable');
  for (const k of services) assert.equal(new Set(seen.filter((s) => s.k === k.client_id).map((s) => s.sub)).size, 1, 'by either provider the same person');
  assert.equal(new Set(seen.map((s) => s.sub)).size, 3, 'no two services can match their files');
});

test('agents: a public name, their employer, no page to agree on; never a citizen’s session', async () => {
  const boss = await Upstream.start(platform.ownPort(2), { client: 'socle-agents' });
  try {
    boss.person = { sub: 'a1', given_name: 'Sophie', usual_name: 'LEROY', email: 'sophie@mairie.example', uid: 'sl', siret: '21440109300015' };
    addProvider(boss, 'mairie', { args: ['--realm', 'agents'] });
    const scope = 'openid given_name usual_name email uid siret idp_id';
    const t = await signIn({ k: agents, provider: 'mairie', extra: { scope } });
    assert.match(t.claims.sub, /^agent:[0-9A-Z]{26}$/);
    const info = (await send(`${platform.base}/api/v2/userinfo`, { headers: { authorization: `Bearer ${t.access_token}` } })).json;
    assert.equal(info.siret, '21440109300015');
    assert.equal(info.idp_id, 'mairie');
    const again = await signIn({ k: agents, provider: 'mairie', extra: { scope } });
    assert.equal(again.claims.sub, t.claims.sub);
    // The agent's session opens no citizen's account, nor a citizen's client.
    await t.person.go(`${platform.base}/account`);
    assert.ok(titled(t.person, 'choose.title'));
    await t.person.go(request(client).url);
    assert.ok(titled(t.person, 'choose.title'));
    boss.person = { ...boss.person, siret: '21440109300016' };
    const p = new Client();
    assert.equal(await walk(p, request(agents, { scope }), { provider: 'mairie' }), null);
    assert.equal(code(p), 'IDT-422-PIVOT', 'a SIRET has a key');
  } finally { await boss.stop(); }
});

test('a provider reached with this platform’s own key (private_key_jwt), no PKCE, acr of its own', async () => {
  const fc = await Upstream.start(platform.ownPort(3), { client: 'socle-fc', pkce: false, signedUserinfo: true, acr: 'substantiel' });
  try {
    const file = join(platform.folder, 'fc.json');
    writeFileSync(file, JSON.stringify({ pkce: false, acr: { eidas1: 'faible', eidas2: 'substantiel' } }));
    platform.must(['provider', 'add', '--id', 'fc', '--name', 'FC', '--issuer', fc.issuer, '--client-id', 'socle-fc', '--conf', file, '--min-acr', 'eidas2']);
    const t = await signIn({ provider: 'fc' });
    assert.equal(t.claims.acr, 'eidas2');
    const q = fc.last('/authorize').q;
    assert.equal(q.acr_values, 'substantiel', 'the provider’s minimum');
    assert.equal(q.code_challenge, undefined);
    const assertion = fc.last('/token').q.client_assertion;
    const { keys } = (await send(`${platform.base}/api/v2/client/jwks`)).json;
    const [a, b, s] = assertion.split('.');
    const key = createPublicKey({ format: 'jwk', key: keys.find((k) => k.kid === header(assertion).kid) });
    assert.ok(verify('sha256', Buffer.from(`${a}.${b}`), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(s, 'base64url')));
    platform.must(['provider', 'disable', 'fc']);
    const person = new Client();
    await person.go(request().url);
    assert.ok(!person.page.text.includes('/connexion/vers/fc'));
  } finally { await fc.stop(); }
});

// ---- signing out -------------------------------------------------------------------------------------
test('sign-out by the client: through the provider, back to the registered address, with its state', async () => {
  const t = await signIn();
  const url = new URL(`${platform.base}/api/v2/session/end`);
  url.search = new URLSearchParams({ id_token_hint: t.id_token, post_logout_redirect_uri: 'http://localhost:3000/', state: 'é &=' });
  const n = upstream.requests.filter((r) => r.path === '/end').length;
  await t.person.go(url.href);
  assert.equal(new URL(t.person.stopped).searchParams.get('state'), 'é &=');
  assert.equal(upstream.requests.filter((r) => r.path === '/end').length, n + 1, 'the provider was told');
  assert.equal((await walk(t.person, request(client, { prompt: 'none' }))).searchParams.get('error'), 'login_required');
  await t.person.go(url.href);
  assert.ok(t.person.stopped, 'again, with no session: the way back still works');
});

test('sign-out: another address, no hint, another’s hint', async () => {
  const t = await signIn();
  const end = (q) => `${platform.base}/api/v2/session/end?${new URLSearchParams(q)}`;
  await t.person.go(end({ id_token_hint: t.id_token, post_logout_redirect_uri: 'http://localhost:3000/x' }));
  assert.equal(code(t.person), 'IDT-400-LOGOUT');
  await t.person.go(end({ post_logout_redirect_uri: 'https://evil.example/' }));
  assert.equal(code(t.person), 'IDT-400-LOGOUT');
  const still = async (p) => !(await walk(p, request(client, { prompt: 'none' }))).searchParams.get('error');
  assert.ok(await still(t.person));
  // A link that anybody can post asks first.
  await t.person.go(end({}));
  assert.ok(titled(t.person, 'sign_out.title'));
  assert.ok(await still(t.person));
  const elsewhere = await signIn();
  await t.person.go(end({ id_token_hint: elsewhere.id_token }));
  assert.ok(titled(t.person, 'sign_out.title'), 'the hint is of another session');
  await t.person.press(text('identity', 'sign_out.confirm', 'fr'));
  assert.ok(titled(t.person, 'signed_out.title'), h1(t.person));
  assert.ok(!(await still(t.person)));
  await t.person.go(end({ client_id: client.client_id, post_logout_redirect_uri: 'http://localhost:3000/', state: 's' }));
  assert.equal(new URL(t.person.stopped).searchParams.get('state'), 's', 'nobody signed in: straight back');
});

test('sign-out from the portal posts, goes through the provider, and says so', async () => {
  const person = new Client();
  await person.go(`${platform.base}/connexion?return=/account`);
  await person.follow(/connexion\/vers\/un/);
  await person.press(text('platform', 'layout.sign_out', 'fr'));
  assert.ok(titled(person, 'signed_out.title'), h1(person));
  await person.go(`${platform.base}/account`);
  assert.ok(titled(person, 'choose.title'));
});

// ---- operators, removal --------------------------------------------------------------------------------
test('operators: a drawn password, sign-in, blocking; guesses are slowed down and tell nothing', async () => {
  const u = platform.json(['user', 'add', '--login', 'Admin@Canari.example', '--name', 'Canari Opérateur']);
  const tryWith = async (login, password, person = new Client()) => {
    await person.go(`${platform.base}/connexion/operateur?return=/account`);
    await person.press(text('identity', 'operator.sign_in', 'fr'), { login, password });
    return person;
  };
  const person = await tryWith(' admin@canari.example ', u.password);
  assert.ok(person.jar(platform.base).get('socle'), 'signed in');
  const wrong = await tryWith('admin@canari.example', 'no'), nobody = await tryWith('nobody@canari.example', 'no');
  assert.equal(wrong.page.status, 401);
  const plain = (p) => p.text.replace(/[0-9a-f]{32}/g, '');
  assert.equal(plain(wrong), plain(nobody), 'no account enumeration');
  for (let i = 0; i < 6; i++) await tryWith('admin@canari.example', `no${i}`);
  assert.equal(code(await tryWith('admin@canari.example', u.password)), 'IDT-429-TRIES', 'even the right one waits');
  assert.equal(platform.command(['user', 'add', '--login', 'ADMIN@canari.example']).code, 1, 'one login, one account');
  platform.must(['user', 'block', u.id]);
  assert.equal(platform.json(['user', 'list']).find((x) => x.id === u.id).state, 'blocked');
});

test('a removed client is refused everywhere, its tokens too', async () => {
  const k = addClient('Éphémère');
  const t = await signIn({ k });
  platform.must(['client', 'remove', k.client_id]);
  await until('it is refused', async () => (await send(request(k).url)).status === 400, { timeoutMs: 5000 });
  await until('its token is refused', async () => (await send(`${platform.base}/api/v2/userinfo`, { headers: { authorization: `Bearer ${t.access_token}` } })).status === 401, { timeoutMs: 5000 });
});

// ---- what is kept ------------------------------------------------------------------------------------
test('[2.1.1.d2] no canary of any person in the database, the journal or the log', async () => {
  const t = await signIn();
  await t.person.go(`${platform.base}/account`);
  const canaries = ['CANARI', 'Canari', 'canari.example', '1988-04-12', 'L’HÉRITIER', t.access_token, t.id_token, t.person.jar(platform.base).get('socle'), client.client_secret, upstream.secret];
  const all = (d) => readdirSync(d, { withFileTypes: true }).flatMap((n) => (n.isDirectory() ? all(join(d, n.name)) : [join(d, n.name)]));
  const read = (f) => { try { return readFileSync(f); } catch (e) { if (e.code === 'ENOENT') return null; throw e; } };
  // The platform runs: a file that was replaced meanwhile is looked for again in a new list.
  for (let whole = false, turn = 0; !whole; turn++) {
    assert.ok(turn < 10, 'a list that stays as it is while it is read');
    whole = true;
    for (const f of [...all(platform.data), platform.logFile]) {
      const bytes = read(f);
      if (!bytes) { whole = false; continue; }
      for (const c of canaries) assert.ok(!bytes.includes(c), `${c.slice(0, 20)} in ${f}`);
    }
  }
});
