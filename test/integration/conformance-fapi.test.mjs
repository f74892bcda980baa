// The FAPI 2.0 Security Profile as the OpenID Foundation's suite looks at it, module by module
// (fapi2-security-profile-final-*), with private_key_jwt and DPoP.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Platform, sleep } from '../lib/platform.mjs';
import { Client, send } from '../lib/http.mjs';
import { World } from '../lib/story.mjs';
import { Relying, b64, claimsOf, headerOf, json, jws, newKey, now, proof, sha } from '../lib/relying.mjs';

const key = newKey(), key2 = newKey('ES256', 'k2'), dpopKey = newKey(), thief = newKey();
const her = new Client();
let platform, world, rp, k, k2;

before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  rp = new Relying(world);
  k = rp.add('FAPI', ['--profile', 'fapi', '--scopes', 'openid profile offline_access'], key);
  k2 = rp.add('FAPI, second client', ['--profile', 'fapi'], key2);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

const module = (name, what, body) => test(`fapi2-security-profile-final-${name}: ${what}`, body);
const verifierOf = () => b64(randomBytes(32));
const wanted = (verifier, extra = {}) => rp.request(k, { scope: 'openid profile', code_challenge: sha(verifier), code_challenge_method: 'S256', ...extra });
const push = (q, { by = k, with: signer = key, claims, header, dpop } = {}) => rp.post('/par', { ...q, ...rp.assertion(by, signer, claims, header) }, dpop ? { dpop } : {});
const atToken = (kk = dpopKey, extra = {}) => proof(kk, 'POST', rp.at('/token'), extra);
const address = (request_uri, client = k, extra = {}) => rp.url({ client_id: client.client_id, request_uri, ...extra });

async function pushed(extra = {}, options = {}) {
  const verifier = verifierOf(), q = wanted(verifier, extra), r = await push(q, options);
  assert.equal(r.status, 201, r.text);
  return { verifier, q, uri: r.json.request_uri, expires: r.json.expires_in };
}
async function code(extra = {}, options = {}) {
  const p = await pushed(extra, options);
  const { back } = await rp.through(address(p.uri), { person: her });
  assert.ok(back.get('code'), `${back}`);
  return { ...p, back, grant: { grant_type: 'authorization_code', code: back.get('code'), redirect_uri: p.q.redirect_uri, code_verifier: p.verifier } };
}
const redeem = (grant, { by = k, with: signer = key, claims, header, dpop = atToken() } = {}) => rp.post('/token', { ...grant, ...rp.assertion(by, signer, claims, header) }, dpop ? { dpop } : {});
const info = (t, by = dpopKey, extra = {}) => rp.userinfo(t, { authorization: `DPoP ${t}`, dpop: proof(by, 'GET', rp.at('/userinfo'), { token: t, ...extra }) });
async function refused(promise, status, error) {
  const r = await promise;
  assert.equal(r.status, status, r.text);
  assert.equal(r.json.error, error);
}

module('discovery-end-point-verification', 'what a FAPI client needs is announced', async () => {
  const m = (await send(`${world.issuer}/.well-known/openid-configuration`)).json;
  assert.ok(m.pushed_authorization_request_endpoint);
  assert.deepEqual(m.code_challenge_methods_supported, ['S256']);
  assert.equal(m.authorization_response_iss_parameter_supported, true);
  assert.ok(m.dpop_signing_alg_values_supported.includes('ES256') && m.dpop_signing_alg_values_supported.includes('PS256'));
  assert.ok(m.token_endpoint_auth_methods_supported.includes('private_key_jwt'));
  for (const a of ['ES256', 'PS256']) assert.ok(m.token_endpoint_auth_signing_alg_values_supported.includes(a));
  assert.ok(!m.response_types_supported.some((t) => t !== 'code'));
  assert.ok(!m.grant_types_supported.includes('password') && !m.grant_types_supported.includes('implicit'));
});

module('happy-flow', 'pushed, signed in, redeemed with a proof: ES256, iss, tokens of the profile’s length', async () => {
  const c = await code();
  assert.ok(c.expires < 600 && c.expires >= 5);
  assert.ok(Buffer.from(c.uri.split(':').pop(), 'base64url').length >= 16, 'at least 128 bits');
  assert.equal(c.back.get('iss'), world.issuer);
  assert.equal(c.back.get('state'), c.q.state);
  const r = await redeem(c.grant);
  assert.equal(r.status, 200, r.text);
  assert.equal(r.json.token_type, 'DPoP');
  assert.equal(headerOf(r.json.id_token).alg, 'ES256');
  assert.equal(claimsOf(r.json.id_token).nonce, c.q.nonce);
  assert.equal(claimsOf(r.json.access_token).cnf.jkt, dpopKey.jkt);
  assert.equal((await info(r.json.access_token)).json.family_name, 'MARTIN');
});

module('user-rejects-authentication', 'access_denied with state and iss', async () => {
  const p = await pushed({ prompt: 'consent' });
  const { back } = await rp.through(address(p.uri), { account: world.account('lucas.ndiaye'), decision: 'refuse', person: new Client() });
  if (back.get('code')) return; // a client that only tells has no page with a refusal
  assert.equal(back.get('error'), 'access_denied');
  assert.equal(back.get('state'), p.q.state);
  assert.equal(back.get('iss'), world.issuer);
});

// ---- the request -------------------------------------------------------------------------------------
for (const [name, what, extra] of [
  ['ensure-authorization-request-without-state-success', 'no state asked, none given back', { state: undefined }],
  ['ensure-authorization-request-with-long-state', 'a state of 1,000 characters comes back whole', { state: 'a'.repeat(1000) }],
  ['ensure-authorization-request-without-nonce-success', 'an ID token without nonce', { nonce: undefined }],
  ['ensure-authorization-request-with-long-nonce', 'a nonce of 384 characters is in the ID token', { nonce: 'n'.repeat(384) }]])
  module(name, what, async () => {
    const c = await code(extra);
    assert.equal(c.back.get('state'), c.q.state ?? null);
    const r = await redeem(c.grant);
    assert.equal(claimsOf(r.json.id_token).nonce, c.q.nonce);
  });

for (const [name, what, extra, error] of [
  ['par-ensure-pkce-required', 'without a challenge: invalid_request', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
  ['par-plain-pkce-rejected', 'plain: invalid_request', { code_challenge_method: 'plain' }, 'invalid_request'],
  ['par-pkce-method-missing-rejected', 'no method means plain: invalid_request', { code_challenge_method: undefined }, 'invalid_request'],
  ['par-ensure-redirect-uri-in-authorization-request', 'without an address: invalid_request', { redirect_uri: undefined }, 'invalid_request'],
  ['par-ensure-registered-redirect-uri', 'an address that is not registered: invalid_request', { redirect_uri: 'https://evil.example/cb' }, 'invalid_request'],
  ['par-authorization-request-containing-request_uri-form-param', 'a request_uri is not pushed: invalid_request', { request_uri: 'urn:ietf:params:oauth:request_uri:abc' }, 'invalid_request'],
  ['ensure-response-type-code-idtoken-fails', 'only code', { response_type: 'code id_token' }, 'unsupported_response_type'],
  ['ensure-response-type-token-fails', 'only code', { response_type: 'token' }, 'unsupported_response_type'],
  ['ensure-response-mode-fragment-fails', 'only in the query', { response_mode: 'fragment' }, 'invalid_request']])
  module(name, what, () => refused(push(wanted(verifierOf(), extra)), 400, error));

module('par-without-duplicate-parameters', 'a parameter given twice: invalid_request', async () => {
  const body = `${new URLSearchParams({ ...wanted(verifierOf()), ...rp.assertion(k, key) })}&scope=openid`;
  const r = await send(rp.at('/par'), { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body });
  assert.equal(r.status, 400);
  assert.equal(r.json.error, 'invalid_request');
});

module('par-attempt-invalid-http-method', 'PUT and GET: 405', async () => {
  for (const method of ['PUT', 'GET']) assert.equal((await send(rp.at('/par'), { method, headers: { 'content-type': 'application/x-www-form-urlencoded' } })).status, 405, method);
});

module('ensure-unsigned-authorization-request-without-using-par-fails', 'not pushed: invalid_request, no page of sign-in', async () => {
  const back = await rp.refusal(wanted(verifierOf()));
  assert.equal(back.get('error'), 'invalid_request');
  assert.equal(back.get('iss'), world.issuer);
});

module('par-attempt-reuse-request_uri', 'used once: a page, and nobody is sent anywhere', async () => {
  const c = await code();
  await rp.kept({ client_id: k.client_id, request_uri: c.uri }, 'IDT-400-REQUEST');
});

module('par-attempt-to-use-request_uri-for-different-client', 'another client’s: a page', async () => {
  const p = await pushed();
  await rp.kept({ client_id: k2.client_id, request_uri: p.uri }, 'IDT-400-REQUEST');
});

module('par-attempt-to-use-unknown-request_uri', 'made up: a page', async () => {
  await rp.kept({ client_id: k.client_id, request_uri: `urn:ietf:params:oauth:request_uri:${b64(randomBytes(32))}` }, 'IDT-400-REQUEST');
});

module('par-attempt-to-override-pushed-parameters', 'what stands beside request_uri counts for nothing', async () => {
  const p = await pushed();
  const { back } = await rp.through(address(p.uri, k, { state: 'autre', scope: 'openid email', redirect_uri: 'https://evil.example/' }), { person: her });
  assert.equal(back.get('state'), p.q.state);
  const r = await redeem({ grant_type: 'authorization_code', code: back.get('code'), redirect_uri: p.q.redirect_uri, code_verifier: p.verifier });
  assert.equal(r.json.scope ?? 'openid profile', 'openid profile');
});

// ---- the client ----------------------------------------------------------------------------------------
const par = (claims, header, signer = key) => push(wanted(verifierOf()), { claims, header, with: signer });
for (const [name, what, claims] of [
  ['par-test-array-as-audience-for-client-assertion-fails', 'aud as a list', () => ({ aud: [world.issuer] })],
  ['par-test-par-endpoint-url-as-audience-for-client-assertion-fails', 'aud is the PAR endpoint', () => ({ aud: rp.at('/par') })],
  ['par-test-token-endpoint-url-as-audience-for-client-assertion-fails', 'aud is the token endpoint', () => ({ aud: rp.at('/token') })],
  ['ensure-client-assertion-with-wrong-aud-fails', 'aud of another issuer', () => ({ aud: 'https://other.example' })],
  ['ensure-client-assertion-with-exp-is-5-minutes-in-past-fails', 'expired five minutes ago', () => ({ iat: now() - 600, exp: now() - 300 })],
  ['ensure-client-assertion-without-exp-fails', 'without an end', () => ({ exp: undefined })],
  ['ensure-client-assertion-nbf-60-minutes-in-future-fails', 'not yet, for an hour', () => ({ nbf: now() + 3600, iat: now() + 3600, exp: now() + 3660 })],
  ['ensure-client-assertion-with-no-sub-fails', 'without sub', () => ({ sub: undefined })],
  ['ensure-client-assertion-with-wrong-sub-fails', 'sub of another client', () => ({ sub: k2.client_id })],
  ['ensure-client-assertion-with-wrong-iss-fails', 'iss of another', () => ({ iss: k2.client_id })],
  ['ensure-client-assertion-without-jti-fails', 'without jti', () => ({ jti: undefined })]])
  module(name, `${what}: invalid_client`, () => refused(par(claims()), 401, 'invalid_client'));

module('ensure-server-accepts-client-assertion-8-seconds-in-future', 'a clock eight seconds ahead is accepted', async () => {
  assert.equal((await par({ iat: now() + 8, nbf: now() + 8, exp: now() + 68 })).status, 201);
});

module('ensure-client-assertion-in-token-endpoint', 'no assertion, or another client’s key: invalid_client', async () => {
  const c = await code();
  await refused(rp.post('/token', { ...c.grant, client_id: k.client_id }, { dpop: atToken() }), 401, 'invalid_client');
  await refused(redeem(c.grant, { with: key2 }), 401, 'invalid_client');
  await refused(redeem(c.grant, { claims: { aud: rp.at('/token') } }), 401, 'invalid_client');
});

module('ensure-signed-client-assertion-with-RS256-fails', 'RS256, HS256 and none: invalid_client', async () => {
  await refused(par({}, {}, newKey('RS256')), 401, 'invalid_client');
  const a = rp.assertion(k, key), [, body] = a.client_assertion.split('.');
  for (const alg of ['none', 'HS256']) await refused(rp.post('/par', { ...wanted(verifierOf()), ...a, client_assertion: `${json({ alg, kid: 'k1' })}.${body}.${alg === 'none' ? '' : b64(randomBytes(32))}` }), 401, 'invalid_client');
});

module('ensure-client-assertion-used-once', 'the same assertion again: invalid_client', async () => {
  const a = rp.assertion(k, key);
  assert.equal((await rp.post('/par', { ...wanted(verifierOf()), ...a })).status, 201);
  await refused(rp.post('/par', { ...wanted(verifierOf()), ...a }), 401, 'invalid_client');
});

// ---- the code ------------------------------------------------------------------------------------------
module('attempt-reuse-authorization-code-after-one-second', 'invalid_grant, and the token it gave ends', async () => {
  const c = await code(), first = await redeem(c.grant);
  await sleep(1000);
  await refused(redeem(c.grant), 400, 'invalid_grant');
  assert.equal((await info(first.json.access_token)).status, 401);
});

module('ensure-authorization-code-is-bound-to-client', 'another client’s: invalid_grant; its own may still use it', async () => {
  const c = await code();
  await refused(redeem(c.grant, { by: k2, with: key2 }), 400, 'invalid_grant');
  assert.equal((await redeem(c.grant)).status, 200);
});

module('ensure-pkce-code-verifier-required', 'none, and one that does not fit: invalid_grant', async () => {
  const c = await code();
  await refused(redeem({ ...c.grant, code_verifier: undefined }), 400, 'invalid_grant');
  await refused(redeem({ ...c.grant, code_verifier: verifierOf() }), 400, 'invalid_grant');
});

module('ensure-redirect-uri-at-token-endpoint', 'another address: invalid_grant', async () => {
  const c = await code();
  await refused(redeem({ ...c.grant, redirect_uri: 'http://localhost:3000/other' }), 400, 'invalid_grant');
});

// ---- DPoP ----------------------------------------------------------------------------------------------
module('ensure-holder-of-key-required', 'no proof: invalid_dpop_proof; the token as Bearer: refused', async () => {
  const c = await code();
  await refused(redeem(c.grant, { dpop: null }), 400, 'invalid_dpop_proof');
  const t = (await redeem(c.grant)).json.access_token;
  assert.equal((await rp.userinfo(t)).status, 401);
});

module('ensure-dpop-auth-code-binding-success', 'dpop_jkt: the key that was named, and no other', async () => {
  const c = await code({ dpop_jkt: dpopKey.jkt });
  await refused(redeem(c.grant, { dpop: atToken(thief) }), 400, 'invalid_grant');
  assert.equal((await redeem(c.grant)).status, 200);
});

module('ensure-dpopproof-at-par-endpoint-binding-success', 'a proof at PAR binds the code as dpop_jkt does', async () => {
  const c = await code({}, { dpop: proof(dpopKey, 'POST', rp.at('/par')) });
  await refused(redeem(c.grant, { dpop: atToken(thief) }), 400, 'invalid_grant');
  assert.equal((await redeem(c.grant)).status, 200);
});

module('ensure-mismatched-dpop-jkt-fails', 'dpop_jkt of one key, a proof of another: invalid_dpop_proof', async () => {
  await refused(push(wanted(verifierOf(), { dpop_jkt: thief.jkt }), { dpop: proof(dpopKey, 'POST', rp.at('/par')) }), 400, 'invalid_dpop_proof');
});

module('dpop-negative-tests', 'each wrong proof at PAR, token and userinfo', async () => {
  const c = await code();
  const wrong = (method, url, token) => ({
    'htm': proof(dpopKey, 'PUT', url, { token }), 'htu': proof(dpopKey, method, 'https://other.example/x', { token }),
    'iat an hour ago': proof(dpopKey, method, url, { token, iat: now() - 3600 }), 'iat in an hour': proof(dpopKey, method, url, { token, iat: now() + 3600 }),
    'no iat': proof(dpopKey, method, url, { token, iat: undefined }), 'no jti': proof(dpopKey, method, url, { token, jti: undefined }),
    'no htm': proof(dpopKey, undefined, url, { token }), 'no htu': proof(dpopKey, method, undefined, { token }),
    'typ': proof(dpopKey, method, url, { token, header: { typ: 'JWT' } }), 'no jwk': proof(dpopKey, method, url, { token, header: { jwk: undefined } }),
    'private jwk': proof(dpopKey, method, url, { token, header: { jwk: dpopKey.privateKey.export({ format: 'jwk' }) } }),
    'another key': proof(dpopKey, method, url, { token, header: { jwk: thief.jwk } }), 'garbage': 'x.y.z',
  });
  for (const [what, dpop] of Object.entries(wrong('POST', rp.at('/par')))) { const r = await push(wanted(verifierOf()), { dpop }); assert.equal(r.json.error, 'invalid_dpop_proof', `par: ${what}`); }
  for (const [what, dpop] of Object.entries(wrong('POST', rp.at('/token')))) { const r = await redeem(c.grant, { dpop }); assert.equal(r.json.error, 'invalid_dpop_proof', `token: ${what}`); }
  const t = (await redeem(c.grant)).json.access_token;
  for (const [what, dpop] of Object.entries({ ...wrong('GET', rp.at('/userinfo'), t), 'no ath': proof(dpopKey, 'GET', rp.at('/userinfo')), 'ath of another token': proof(dpopKey, 'GET', rp.at('/userinfo'), { token: 'x' }), 'the thief’s key': proof(thief, 'GET', rp.at('/userinfo'), { token: t }) })) {
    const r = await rp.userinfo(t, { authorization: `DPoP ${t}`, dpop });
    assert.equal(r.status, 401, what);
    assert.match(r.headers['www-authenticate'], /^DPoP .*error="invalid_dpop_proof"/, what);
  }
  assert.equal((await info(t)).status, 200, 'the right one still serves');
});

module('access-token-type-header-case-sensitivity', 'the scheme in any case', async () => {
  const t = (await redeem((await code()).grant)).json.access_token;
  for (const scheme of ['DPoP', 'dpop', 'DPOP']) assert.equal((await rp.userinfo(t, { authorization: `${scheme} ${t}`, dpop: proof(dpopKey, 'GET', rp.at('/userinfo'), { token: t }) })).status, 200, scheme);
});

module('refresh-token', 'bound to the client; the tokens it gives to the key', async () => {
  const c = await code({ scope: 'openid offline_access', prompt: 'consent' }), t = (await redeem(c.grant)).json;
  const refresh = (options) => redeem({ grant_type: 'refresh_token', refresh_token: t.refresh_token }, options);
  await refused(refresh({ by: k2, with: key2 }), 400, 'invalid_grant');
  const r = await refresh();
  assert.equal(r.status, 200, r.text);
  assert.equal(claimsOf(r.json.access_token).cnf.jkt, dpopKey.jkt);
});

module('par-attempt-to-use-expired-request_uri', 'its minute over: a page', async () => {
  const p = await pushed();
  platform.sql(`UPDATE pushed_request SET until_at = ${Date.now() - 1000}`);
  await rp.kept({ client_id: k.client_id, request_uri: p.uri }, 'IDT-400-REQUEST');
});

module('attempt-to-use-expired-authorization-code', 'its minute over: invalid_grant', async () => {
  const c = await code();
  platform.sql(`UPDATE code SET until_at = ${Date.now() - 1000}`);
  await refused(redeem(c.grant), 400, 'invalid_grant');
});
