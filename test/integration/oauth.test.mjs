// The issuer's newer half, asked by clients nobody here wrote (openid-client 6) and by people who mean
// no good: bound tokens, pushed and signed requests, the FAPI 2.0 profile, refresh tokens, logout from
// behind, introspection.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as oidc from 'openid-client';
import { Platform, until } from '../lib/platform.mjs';
import { Client, forms, links, localFetch, send } from '../lib/http.mjs';
import { World, call, openProcedure, tokensFor, walkSignIn } from '../lib/story.mjs';
import { text } from '../lib/text.mjs';

const b64 = (v) => Buffer.from(v).toString('base64url');
const json = (v) => b64(JSON.stringify(v));
const decode = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));
const sha = (s) => createHash('sha256').update(s).digest('base64url');
const now = () => Math.floor(Date.now() / 1000);
const options = { execute: [oidc.allowInsecureRequests], [oidc.customFetch]: localFetch };
const REDIRECT = 'http://localhost:3000/cb';
let platform, world, outside;

before(async () => {
  platform = await Platform.start({ args: ['--trusted_proxies=127.0.0.1'] });
  world = new World(platform);
  outside = world.outside;
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

// ---- keys, proofs, clients -----------------------------------------------------------------------
function newKey(alg = 'ES256', kid = 'k1') {
  const pair = alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = pair.publicKey.export({ format: 'jwk' });
  return { alg, kid, jwk, privateKey: pair.privateKey, jkt: sha(alg === 'ES256' ? JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }) : JSON.stringify({ e: jwk.e, kty: jwk.kty, n: jwk.n })) };
}
function jws(key, header, claims) {
  const input = `${json({ alg: key.alg, ...header })}.${json(claims)}`;
  const how = key.alg === 'ES256' ? { key: key.privateKey, dsaEncoding: 'ieee-p1363' } : key.privateKey;
  return `${input}.${b64(sign('sha256', Buffer.from(input), how))}`;
}
const proof = (key, method, url, { token, header = {}, ...claims } = {}) =>
  jws(key, { typ: 'dpop+jwt', jwk: key.jwk, ...header }, { htm: method, htu: url, iat: now(), jti: b64(randomBytes(12)), ...(token ? { ath: sha(token) } : {}), ...claims });

function addClient(name, args = [], key) {
  const more = [];
  if (key) {
    const file = join(platform.folder, `${key.kid}-${randomBytes(4).toString('hex')}.json`);
    writeFileSync(file, JSON.stringify({ keys: [{ ...key.jwk, kid: key.kid, use: 'sig', alg: key.alg, ...(key.x5t ? { 'x5t#S256': key.x5t } : {}) }] }));
    more.push('--jwks', file);
  }
  return { ...platform.json(['client', 'add', '--name', name, '--redirect-uri', REDIRECT, '--post-logout-uri', 'http://localhost:3000/', ...more, ...args]), redirect_uris: [REDIRECT] };
}
const post = (path, body, headers = {}) => send(`${world.issuer}${path}`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams(body).toString() });
const basic = (k) => ({ authorization: `Basic ${Buffer.from(`${k.client_id}:${k.client_secret}`).toString('base64')}` });
const assertion = (k, key, aud = world.issuer) => ({ client_id: k.client_id, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: jws(key, { kid: key.kid }, { iss: k.client_id, sub: k.client_id, aud, iat: now(), exp: now() + 60, jti: b64(randomBytes(12)) }) });

async function through(url, { account = world.citizen, person = new Client() } = {}) {
  const stopAt = (u) => u.startsWith(REDIRECT);
  person.stopAt = stopAt;
  await person.go(String(url));
  const at = await walkSignIn(person, account, { stopAt });
  assert.ok(at, `back at the client: ${person.page?.url} ${person.page && person.text.slice(0, 400)}`);
  return { at: new URL(at), person };
}
function parameters(k, extra = {}) {
  const verifier = b64(randomBytes(32));
  return { verifier, q: { response_type: 'code', client_id: k.client_id, redirect_uri: k.redirect_uris[0], scope: 'openid profile', state: b64(randomBytes(12)), nonce: b64(randomBytes(18)), acr_values: 'eidas1', code_challenge: sha(verifier), code_challenge_method: 'S256', ...extra } };
}
const authorizeUrl = (q) => `${world.issuer}/api/v2/authorize?${new URLSearchParams(q)}`;
// A code for a client, by hand.
async function codeFor(k, extra = {}, opts = {}) {
  const { verifier, q } = parameters(k, extra);
  const { at, person } = await through(authorizeUrl(q), opts);
  assert.ok(at.searchParams.get('code'), at.search);
  return { person, grant: { grant_type: 'authorization_code', code: at.searchParams.get('code'), redirect_uri: q.redirect_uri, code_verifier: verifier } };
}
const tokenUrl = () => `${world.issuer}/api/v2/token`;

// ---- DPoP ------------------------------------------------------------------------------------------
// The gateway knows the demonstration's client: a token of it, bound to a key.
async function boundToken(key) {
  const k = outside, verifier = b64(randomBytes(32));
  const q = { response_type: 'code', client_id: k.client_id, redirect_uri: k.redirect_uris[0], scope: 'openid profile famille_foyer', acr_values: 'eidas1', state: b64(randomBytes(12)), nonce: b64(randomBytes(18)), code_challenge: sha(verifier), code_challenge_method: 'S256' };
  const person = new Client(), stopAt = (u) => u.startsWith(q.redirect_uri);
  person.stopAt = stopAt;
  await person.go(authorizeUrl(q));
  const at = new URL(await walkSignIn(person, world.citizen, { stopAt }));
  const r = await post('/api/v2/token', { grant_type: 'authorization_code', code: at.searchParams.get('code'), redirect_uri: q.redirect_uri, code_verifier: verifier }, { ...basic(k), dpop: proof(key, 'POST', tokenUrl()) });
  assert.equal(r.status, 200, r.text);
  return r.json;
}

test('DPoP with openid-client: token, userinfo; the token says which key', async () => {
  const k = addClient('Service DPoP', ['--bound', 'dpop']);
  const config = await oidc.discovery(new URL(world.issuer), k.client_id, k.client_secret, undefined, options);
  assert.ok(config.serverMetadata().dpop_signing_alg_values_supported.includes('ES256'));
  const pair = await oidc.randomDPoPKeyPair('ES256');
  const DPoP = oidc.getDPoPHandle(config, pair);
  const verifier = oidc.randomPKCECodeVerifier(), state = oidc.randomState(), nonce = oidc.randomNonce();
  const url = oidc.buildAuthorizationUrl(config, { redirect_uri: REDIRECT, scope: 'openid profile', state, nonce, code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' });
  const { at } = await through(url);
  const tokens = await oidc.authorizationCodeGrant(config, at, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce }, undefined, { DPoP });
  assert.equal(tokens.token_type, 'dpop');
  assert.match(decode(tokens.access_token).cnf.jkt, /^[\w-]{43}$/);
  const info = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP });
  assert.equal(info.family_name, 'MARTIN');
  const bare = await send(`${world.issuer}/api/v2/userinfo`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  assert.equal(bare.status, 401);
  assert.match(bare.headers['www-authenticate'], /^DPoP /);
  const { grant } = await codeFor(k);
  const none = await post('/api/v2/token', grant, basic(k));
  assert.equal(none.status, 400, 'registered as bound: no token without a proof');
  assert.equal(none.json.error, 'invalid_dpop_proof');
});

test('a proof at the token endpoint: wrong in any way is refused, and used once', async () => {
  const key = newKey(), other = newKey();
  const good = proof(key, 'POST', tokenUrl());
  const grant = { grant_type: 'client_credentials', scope: '' };
  const ask = (dpop) => post('/api/v2/token', grant, { ...basic(outside), dpop });
  const cases = {
    'another method': proof(key, 'GET', tokenUrl()), 'another address': proof(key, 'POST', 'https://evil.example/token'),
    'too old': proof(key, 'POST', tokenUrl(), { iat: now() - 120 }), 'from tomorrow': proof(key, 'POST', tokenUrl(), { iat: now() + 3600 }),
    'no jti': proof(key, 'POST', tokenUrl(), { jti: undefined }), 'another type': proof(key, 'POST', tokenUrl(), { header: { typ: 'JWT' } }),
    'another key’s signature': proof(key, 'POST', tokenUrl(), { header: { jwk: other.jwk } }),
    'a private key inside': proof(key, 'POST', tokenUrl(), { header: { jwk: key.privateKey.export({ format: 'jwk' }) } }),
    'alg none': `${json({ typ: 'dpop+jwt', alg: 'none', jwk: key.jwk })}.${good.split('.')[1]}.`,
    'a shared secret': proof(key, 'POST', tokenUrl(), { header: { alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } } }), 'no JWS': 'x',
  };
  for (const [what, dpop] of Object.entries(cases)) {
    const r = await ask(dpop);
    assert.equal(r.status, 400, what);
    assert.equal(r.json.error, 'invalid_dpop_proof', what);
  }
  assert.notEqual((await ask(good)).json.error, 'invalid_dpop_proof');
  assert.equal((await ask(good)).json.error, 'invalid_dpop_proof', 'used before');
});

test('the gateway: a bound token needs its key, for this call, once; plain Bearer is refused', async () => {
  const key = newKey(), thief = newKey(), t = await boundToken(key);
  assert.equal(t.token_type, 'DPoP');
  assert.equal(decode(t.access_token).cnf.jkt, key.jkt);
  const path = '/gw/famille/v1/foyer', url = new URL(world.gateway).origin + path;
  const ask = (dpop, scheme = 'DPoP') => call(world, path, null, { headers: { authorization: `${scheme} ${t.access_token}`, ...(dpop ? { dpop } : {}) } });
  for (let i = 0; i < 3; i++) {
    const r = await ask(proof(key, 'GET', url, { token: t.access_token }));
    assert.equal(r.status, 200, r.text);
  }
  const once = proof(key, 'GET', url, { token: t.access_token });
  const used = await Promise.all([ask(once), ask(once), ask(once), ask(once), ask(once), ask(once)]);
  assert.ok(used.some((r) => r.status === 200) && used.some((r) => r.json?.code === 'EXC-401-PROOF'), 'a proof is good once in a loop');
  for (const [what, [dpop, scheme, code]] of Object.entries({
    'stolen, as Bearer': [undefined, 'Bearer', 'EXC-401-BOUND'], 'as Bearer with a proof': [proof(key, 'GET', url, { token: t.access_token }), 'Bearer', 'EXC-401-BOUND'],
    'without a proof': [undefined, 'DPoP', 'EXC-401-PROOF'], 'with the thief’s key': [proof(thief, 'GET', url, { token: t.access_token }), 'DPoP', 'EXC-401-PROOF'],
    'without ath': [proof(key, 'GET', url), 'DPoP', 'EXC-401-PROOF'], 'for another token': [proof(key, 'GET', url, { token: 'x' }), 'DPoP', 'EXC-401-PROOF'],
    'for another path': [proof(key, 'GET', `${url}/x`, { token: t.access_token }), 'DPoP', 'EXC-401-PROOF'], 'for another method': [proof(key, 'POST', url, { token: t.access_token }), 'DPoP', 'EXC-401-PROOF'],
    'of two minutes ago': [proof(key, 'GET', url, { token: t.access_token, iat: now() - 120 }), 'DPoP', 'EXC-401-PROOF'],
    'altered': [proof(key, 'GET', url, { token: t.access_token }).replace(/.{4}$/, 'AAAA'), 'DPoP', 'EXC-401-PROOF'],
  })) {
    const r = await ask(dpop, scheme);
    assert.equal(r.status, 401, what);
    assert.equal(r.json.code, code, what);
    assert.match(r.headers['www-authenticate'], /^DPoP .*algs="ES256/, what);
  }
  const loose = await tokensFor(world, world.citizen, { scope: 'openid famille_foyer' });
  const r = await call(world, path, null, { headers: { authorization: `DPoP ${loose.access_token}`, dpop: proof(key, 'GET', url, { token: loose.access_token }) } });
  assert.equal(r.status, 401, 'a bearer token does not become bound by saying so');
});

// ---- pushed and signed requests --------------------------------------------------------------------
test('PAR with openid-client; a request_uri works once, for its client, and not after', async () => {
  const k = addClient('Service PAR', ['--par']);
  const config = await oidc.discovery(new URL(world.issuer), k.client_id, k.client_secret, undefined, options);
  const verifier = oidc.randomPKCECodeVerifier(), state = oidc.randomState(), nonce = oidc.randomNonce();
  const url = await oidc.buildAuthorizationUrlWithPAR(config, { redirect_uri: REDIRECT, scope: 'openid profile', state, nonce, code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' });
  assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri']);
  const stolen = new URL(url);
  stolen.searchParams.set('client_id', outside.client_id);
  assert.equal((await send(stolen.href)).status, 400, 'another client’s');
  const { at } = await through(url);
  const tokens = await oidc.authorizationCodeGrant(config, at, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce });
  assert.ok(tokens.id_token);
  const again = await send(url.href);
  assert.equal(again.status, 400);
  assert.match(again.text, /IDT-400-REQUEST/);
  assert.equal(again.headers.location, undefined);
  const plain = await send(authorizeUrl(parameters(k).q));
  assert.equal(new URL(plain.headers.location).searchParams.get('error'), 'invalid_request', 'this client must push');
});

test('what is wrong is told when it is pushed', async () => {
  const k = addClient('Service PAR fautif');
  for (const [what, [extra, error]] of Object.entries({
    'another address': [{ redirect_uri: 'https://evil.example/cb' }, 'invalid_request'], 'another client': [{ client_id: outside.client_id }, 'invalid_request'],
    'a request_uri': [{ request_uri: 'urn:ietf:params:oauth:request_uri:x' }, 'invalid_request'], 'another response type': [{ response_type: 'token' }, 'unsupported_response_type'],
    'a scope of nobody’s': [{ scope: 'openid no_such' }, 'invalid_scope'], 'PKCE plain': [{ code_challenge_method: 'plain' }, 'invalid_request'],
  })) {
    const r = await post('/api/v2/par', parameters(k, extra).q, basic(k));
    assert.equal(r.status, 400, `${what}: ${r.text}`);
    assert.equal(r.json.error, error, what);
  }
  assert.equal((await post('/api/v2/par', parameters(k).q)).status, 401, 'nobody pushes without proof of who it is');
  const ok = await post('/api/v2/par', parameters(k).q, basic(k));
  assert.equal(ok.status, 201);
  assert.equal(ok.json.expires_in, 60);
});

test('JAR: a signed request is obeyed, and what stands beside it is not; unsigned, foreign or stale is refused', async () => {
  const key = newKey(), foreign = newKey();
  const k = addClient('Service JAR', ['--auth', 'client_secret_basic private_key_jwt'], key);
  const object = (claims = {}, signer = key, header = {}) => {
    const { q } = parameters(k);
    return jws(signer, { kid: 'k1', typ: 'oauth-authz-req+jwt', ...header }, { iss: k.client_id, aud: world.issuer, iat: now(), nbf: now(), exp: now() + 60, ...q, state: 'du-dedans', ...claims });
  };
  const url = (request, extra = {}) => authorizeUrl({ client_id: k.client_id, redirect_uri: REDIRECT, request, ...extra });
  const { at } = await through(url(object(), { state: 'du-dehors', scope: 'openid email' }));
  assert.ok(at.searchParams.get('code'));
  assert.equal(at.searchParams.get('state'), 'du-dedans');
  const unsigned = `${json({ alg: 'none' })}.${json({ iss: k.client_id, aud: world.issuer, exp: now() + 60, ...parameters(k).q })}.`;
  for (const [what, o] of Object.entries({
    'another key': object({}, foreign), 'alg none': unsigned, 'another audience': object({ aud: 'https://evil.example' }), 'another issuer': object({ iss: outside.client_id }),
    'stale': object({ exp: now() - 60 }), 'without end': object({ exp: undefined }), 'for a year': object({ exp: now() + 365 * 86400 }), 'another client inside': object({ client_id: outside.client_id }),
    'nested': object({ request_uri: 'https://evil.example' }), 'crit': object({}, key, { crit: ['x'], x: 1 }), 'another type': object({}, key, { typ: 'at+jwt' }), 'garbage': 'x.y.z',
  })) {
    const r = await send(url(o));
    assert.equal(new URL(r.headers.location).searchParams.get('error'), 'invalid_request_object', what);
  }
  const evil = await send(url(object({ redirect_uri: 'https://evil.example/' })));
  assert.equal(evil.headers.location, undefined, 'an address inside is checked like one outside');
});

// ---- FAPI 2.0 --------------------------------------------------------------------------------------
test('the FAPI 2.0 profile with openid-client: PAR, PKCE, private_key_jwt, DPoP; nothing less', async () => {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const key = { alg: 'ES256', kid: 'f1', jwk: await crypto.subtle.exportKey('jwk', pair.publicKey), privateKey: createPrivateKey({ format: 'jwk', key: await crypto.subtle.exportKey('jwk', pair.privateKey) }) };
  delete key.jwk.key_ops; delete key.jwk.ext;
  const k = addClient('Service FAPI', ['--profile', 'fapi'], key);
  const config = await oidc.discovery(new URL(world.issuer), k.client_id, undefined, oidc.PrivateKeyJwt({ key: pair.privateKey, kid: 'f1' }), options);
  const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'));
  const verifier = oidc.randomPKCECodeVerifier(), state = oidc.randomState(), nonce = oidc.randomNonce();
  const url = await oidc.buildAuthorizationUrlWithPAR(config, { redirect_uri: REDIRECT, scope: 'openid profile', state, nonce, code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' }, { DPoP });
  const { at } = await through(url);
  assert.equal(at.searchParams.get('iss'), world.issuer);
  const tokens = await oidc.authorizationCodeGrant(config, at, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce }, undefined, { DPoP });
  assert.equal(tokens.token_type, 'dpop');
  assert.equal((await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub, { DPoP })).family_name, 'MARTIN');

  const plain = await send(authorizeUrl(parameters(k).q));
  assert.equal(new URL(plain.headers.location).searchParams.get('error'), 'invalid_request', 'not pushed');
  const { q } = parameters(k);
  const loose = { ...q }; delete loose.code_challenge; delete loose.code_challenge_method;
  assert.equal((await post('/api/v2/par', { ...loose, ...assertion(k, key) })).json.error, 'invalid_request', 'without PKCE');
  assert.equal((await post('/api/v2/par', { ...q, ...assertion(k, key, [world.issuer]) })).status, 401, 'FAPI 2.0: aud is the issuer, as a string');
  assert.equal((await post('/api/v2/par', { ...q, ...assertion(k, key, tokenUrl()) })).status, 401, 'the token endpoint is no audience');
  const r = await post('/api/v2/par', { ...q, ...assertion(k, key) });
  assert.ok(r.json.expires_in <= 60);
  for (const args of [['--auth', 'client_secret_basic'], ['--id-token-alg', 'RS256']])
    assert.notEqual(platform.command(['client', 'add', '--name', 'x', '--redirect-uri', REDIRECT, '--profile', 'fapi', ...args]).code, 0, args.join(' '));
});

test('a code bound to a key at the start (dpop_jkt, or a proof at PAR) is of no use to another', async () => {
  const key = newKey(), thief = newKey(), k = addClient('Service lié');
  const { grant } = await codeFor(k, { dpop_jkt: key.jkt });
  const stolen = await post('/api/v2/token', grant, { ...basic(k), dpop: proof(thief, 'POST', tokenUrl()) });
  assert.equal(stolen.json.error, 'invalid_grant');
  assert.equal((await post('/api/v2/token', grant, basic(k))).json.error, 'invalid_grant', 'without a proof');
  assert.equal((await post('/api/v2/token', grant, { ...basic(k), dpop: proof(key, 'POST', tokenUrl()) })).status, 200);
});

test('tokens bound to a client certificate that a trusted proxy saw (RFC 8705, RFC 9440)', async () => {
  const der = randomBytes(300), cert = `:${der.toString('base64')}:`, other = `:${randomBytes(300).toString('base64')}:`;
  const key = { ...newKey(), kid: 'c1', x5t: createHash('sha256').update(der).digest('base64url') };
  const k = addClient('Service mTLS', ['--auth', 'self_signed_tls_client_auth', '--bound', 'mtls'], key);
  const { grant } = await codeFor(k);
  assert.equal((await post('/api/v2/token', { ...grant, client_id: k.client_id }, { 'client-cert': other })).status, 401);
  assert.equal((await post('/api/v2/token', { ...grant, client_id: k.client_id })).status, 401);
  const r = await post('/api/v2/token', { ...grant, client_id: k.client_id }, { 'client-cert': cert });
  assert.equal(r.status, 200, r.text);
  assert.equal(decode(r.json.access_token).cnf['x5t#S256'], key.x5t);
  const info = (headers) => send(`${world.issuer}/api/v2/userinfo`, { headers: { authorization: `Bearer ${r.json.access_token}`, ...headers } });
  assert.equal((await info({ 'client-cert': cert })).status, 200);
  assert.equal((await info({ 'client-cert': other })).status, 401);
  assert.equal((await info({})).status, 401);
});

// ---- refresh ---------------------------------------------------------------------------------------
test('[M034] refresh tokens turn; one that comes again ends them all, and the tokens they gave', async () => {
  const k = addClient('Service durable', ['--scopes', 'openid profile offline_access']);
  const { grant } = await codeFor(k, { scope: 'openid profile offline_access' });
  const first = (await post('/api/v2/token', grant, basic(k))).json;
  assert.ok(first.refresh_token);
  const refresh = (token, extra = {}, headers = basic(k)) => post('/api/v2/token', { grant_type: 'refresh_token', refresh_token: token, ...extra }, headers);
  const second = await refresh(first.refresh_token);
  assert.equal(second.status, 200, second.text);
  assert.notEqual(second.json.refresh_token, first.refresh_token);
  assert.equal(decode(second.json.id_token).sub, decode(first.id_token).sub);
  assert.equal(decode(second.json.id_token).auth_time, decode(first.id_token).auth_time, 'nobody signed in again');
  assert.equal((await refresh(second.json.refresh_token, { scope: 'openid email' })).json.error, 'invalid_scope', 'no more than what was granted');
  assert.equal((await refresh(second.json.refresh_token, {}, basic(outside))).json.error, 'invalid_grant', 'another client’s');
  const userinfo = (t) => send(`${world.issuer}/api/v2/userinfo`, { headers: { authorization: `Bearer ${t}` } });
  assert.equal((await userinfo(second.json.access_token)).status, 200);
  const again = await refresh(first.refresh_token);
  assert.equal(again.json.error, 'invalid_grant', 'a token that was turned');
  assert.equal((await refresh(second.json.refresh_token)).json.error, 'invalid_grant', 'the family has ended');
  for (const t of [first.access_token, second.json.access_token]) assert.equal((await userinfo(t)).status, 401);
  for (const bad of ['', 'x', b64(randomBytes(70)), first.access_token]) assert.ok(['invalid_grant', 'invalid_request'].includes((await refresh(bad)).json.error));
});

test('[M034] a refresh token is asked for by name, bound to its key, and revoked by its client', async () => {
  const key = newKey(), k = addClient('Service durable lié', ['--scopes', 'openid profile offline_access', '--bound', 'dpop']);
  const { grant } = await codeFor(k, { scope: 'openid offline_access' });
  const t = (await post('/api/v2/token', grant, { ...basic(k), dpop: proof(key, 'POST', tokenUrl()) })).json;
  const refresh = (token, by) => post('/api/v2/token', { grant_type: 'refresh_token', refresh_token: token }, { ...basic(k), dpop: proof(by, 'POST', tokenUrl()) });
  assert.equal((await refresh(t.refresh_token, newKey())).json.error, 'invalid_grant', 'the thief’s key');
  const next = await refresh(t.refresh_token, key);
  assert.equal(next.status, 200, next.text);
  assert.equal((await post('/api/v2/token/revocation', { token: next.json.refresh_token }, basic(k))).status, 200);
  assert.equal((await refresh(next.json.refresh_token, key)).json.error, 'invalid_grant');
  const any = addClient('Service quelconque');
  const r = await send(authorizeUrl(parameters(any, { scope: 'openid offline_access' }).q));
  assert.equal(new URL(r.headers.location).searchParams.get('error'), 'invalid_scope', 'registered by name only');
});

test('[M034] she reads which services read while she is away, ends one, and the next read of data is refused within 1 s', async () => {
  const k = addClient('Service qui veille', ['--scopes', 'openid profile offline_access']);
  const person = new Client();
  const { grant } = await codeFor(k, { scope: 'openid profile offline_access' }, { person });
  const t = (await post('/api/v2/token', grant, basic(k))).json;
  person.stopAt = undefined;
  await person.go(`${world.issuer}/account/access`);
  assert.match(person.text, /Service qui veille/);
  const other = new Client();
  await codeFor(k, {}, { person: other, account: world.account('lucas.ndiaye') });
  other.stopAt = undefined;
  await other.go(`${world.issuer}/account/access`);
  assert.doesNotMatch(other.text, /Service qui veille/, 'another person’s');
  const form = forms(person.page.text).find((f) => f.buttons.some((b) => b.text.includes('Service qui veille')));
  const at = Date.now();
  await person.press(form.buttons[0].text);
  const read = () => send(`${world.issuer}/api/v2/userinfo`, { headers: { authorization: `Bearer ${t.access_token}` } });
  assert.equal((await read()).status, 401, `refused ${Date.now() - at} ms later`);
  assert.equal((await post('/api/v2/token', { grant_type: 'refresh_token', refresh_token: t.refresh_token }, basic(k))).json.error, 'invalid_grant');
  assert.doesNotMatch(person.text, /Service qui veille/);
});

test('the claims parameter: what is asked for the ID token is in the ID token, what is asked for userinfo is not', async () => {
  const k = addClient('Service exact');
  const { grant } = await codeFor(k, { scope: 'openid', claims: JSON.stringify({ id_token: { family_name: null, no_such: null }, userinfo: { birthdate: { essential: true } } }) });
  const t = (await post('/api/v2/token', grant, basic(k))).json;
  const id = decode(t.id_token);
  assert.equal(id.family_name, 'MARTIN');
  assert.equal(id.birthdate, undefined);
  const info = (await send(`${world.issuer}/api/v2/userinfo`, { headers: { authorization: `Bearer ${t.access_token}` } })).json;
  assert.equal(info.birthdate, '1988-04-12');
});

// ---- logout from behind ----------------------------------------------------------------------------
// A client's own server: what it receives, and what it answers.
async function listener(n, answers = []) {
  const got = [];
  const server = createServer((rq, rs) => {
    let body = '';
    rq.on('data', (d) => { body += d; });
    rq.on('end', () => { got.push({ at: rq.url, type: rq.headers['content-type'], token: new URLSearchParams(body).get('logout_token') }); rs.statusCode = answers.shift() ?? 200; rs.end(); });
  });
  await new Promise((done) => server.listen(platform.ownPort(n), '127.0.0.1', done));
  return { got, url: `http://localhost:${platform.ownPort(n)}/logout`, stop: () => new Promise((done) => { server.closeAllConnections(); server.close(done); }) };
}

test('back-channel logout: every client of the session that asked is told, signed, again when it was away', async () => {
  const one = await listener(0), two = await listener(1, [503]);
  try {
    const a = addClient('Service un', ['--backchannel-logout-uri', one.url]);
    const b = addClient('Service deux', ['--backchannel-logout-uri', two.url, '--id-token-alg', 'RS256']);
    const quiet = addClient('Service muet');
    const person = new Client();
    const tokens = {};
    for (const k of [a, b, quiet]) {
      const { grant } = await codeFor(k, {}, { person });
      tokens[k.client_id] = (await post('/api/v2/token', grant, basic(k))).json;
    }
    const sid = decode(tokens[a.client_id].id_token).sid;
    assert.equal(decode(tokens[b.client_id].id_token).sid, sid, 'one session');
    person.stopAt = (u) => u === 'http://localhost:3000/' || u.startsWith('http://localhost:3000/?');
    await person.go(`${world.issuer}/api/v2/session/end?${new URLSearchParams({ id_token_hint: tokens[a.client_id].id_token, post_logout_redirect_uri: 'http://localhost:3000/' })}`);
    await until('both are told', () => one.got.length >= 1 && two.got.length >= 2, { timeoutMs: 60000 });
    const config = await oidc.discovery(new URL(world.issuer), a.client_id, a.client_secret, undefined, options);
    assert.equal(config.serverMetadata().backchannel_logout_supported, true);
    for (const [k, l] of [[a, one], [b, two]]) {
      const { token, type } = l.got[0], claims = decode(token);
      assert.match(type, /x-www-form-urlencoded/);
      assert.equal(JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).typ, 'logout+jwt');
      assert.equal(claims.iss, world.issuer);
      assert.equal(claims.aud, k.client_id);
      assert.equal(claims.sid, sid);
      assert.equal(claims.sub, decode(tokens[k.client_id].id_token).sub, 'by the name this client knows');
      assert.deepEqual(claims.events, { 'http://schemas.openid.net/event/backchannel-logout': {} });
      assert.equal(claims.nonce, undefined, 'never mistaken for an ID token');
      assert.ok(claims.jti && claims.exp - claims.iat <= 120);
    }
    assert.equal(one.got.length, 1, 'once is enough where it was heard');
  } finally { await one.stop(); await two.stop(); }
});

test('signing out at the issuer ends her session at the town’s site too', async () => {
  const person = new Client(), asked = () => links(person.page.text).some((l) => l.text === text('platform', 'identity.button', person.lang));
  await openProcedure(world, world.citizen, { client: person });
  const page = person.page.url;
  person.stopAt = undefined;
  await person.go(page);
  assert.ok(!asked(), 'signed in at the town');
  await person.go(`${world.issuer}/api/v2/session/end`);
  await person.press(forms(person.page.text).flatMap((f) => f.buttons)[0].text);
  await person.go(page);
  assert.ok(asked(), `asked to sign in again: ${person.page.url}`);
});

// ---- introspection -----------------------------------------------------------------------------------
test('checktoken: a provider of data learns, signed, that a token lives and whose it is by its own name for her', async () => {
  const k = addClient('Service qui demande'), fd = addClient('Fournisseur de données', ['--data-provider']), nosy = addClient('Service curieux');
  const { grant } = await codeFor(k);
  const t = (await post('/api/v2/token', grant, basic(k))).json;
  const r = await post('/api/v2/checktoken', { token: t.access_token }, basic(fd));
  assert.equal(r.status, 200, r.text);
  assert.match(r.headers['content-type'], /application\/token-introspection\+jwt/);
  const claims = decode(r.text);
  assert.equal(claims.iss, world.issuer);
  assert.equal(claims.aud, fd.client_id);
  const about = claims.token_introspection;
  assert.equal(about.active, true);
  assert.equal(about.aud, k.client_id);
  assert.match(about.sub, /^[0-9a-f]{64}v1$/);
  assert.notEqual(about.sub, decode(t.id_token).sub, 'the service’s name for her is not told');
  assert.equal((await post('/api/v2/token/introspection', { token: t.access_token }, basic(fd))).json.sub, about.sub);
  const config = await oidc.discovery(new URL(world.issuer), k.client_id, k.client_secret, undefined, options);
  assert.equal((await oidc.tokenIntrospection(config, t.access_token)).active, true, 'its own');
  assert.deepEqual((await post('/api/v2/token/introspection', { token: t.access_token }, basic(nosy))).json, { active: false });
  assert.equal((await post('/api/v2/checktoken', { token: t.access_token })).status, 401);
  for (const bad of ['x', t.id_token, `${t.access_token.slice(0, -6)}AAAAAA`]) assert.deepEqual((await post('/api/v2/token/introspection', { token: bad }, basic(fd))).json, { active: false });
  await post('/api/v2/token/revocation', { token: t.access_token }, basic(k));
  assert.deepEqual(decode((await post('/api/v2/checktoken', { token: t.access_token }, basic(fd))).text).token_introspection, { active: false });
});

test('the page that tells says her birth date in words and the place by its name', async () => {
  const k = addClient('Service bavard'), person = new Client();
  const { q } = parameters(k, { scope: 'openid identite_pivot' });
  await through(authorizeUrl(q), { person });
  const again = parameters(k, { scope: 'openid identite_pivot', prompt: 'consent' });
  person.stopAt = (u) => u.startsWith(REDIRECT);
  await person.go(authorizeUrl(again.q));
  assert.match(person.text, /12 avril 1988/);
  assert.match(person.text, /\p{Lu}\p{Ll}+[^–]* – \d\w\d{3}/u, person.text);
  assert.match(person.text, /France – 99100/);
  assert.doesNotMatch(person.text, /1988-04-12/);
});
