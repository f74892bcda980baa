// The issuer, asked by a client that nobody here wrote: openid-client 6, as any service would use it.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import * as oidc from 'openid-client';
import { Platform } from '../lib/platform.mjs';
import { Client, localFetch, send } from '../lib/http.mjs';
import { World, tokensFor, walkSignIn } from '../lib/story.mjs';

let platform, world, client, config, redirect;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  client = world.outside;
  redirect = client.redirect_uris[0];
  config = await oidc.discovery(new URL(world.issuer), client.client_id, client.client_secret, undefined, { execute: [oidc.allowInsecureRequests], [oidc.customFetch]: localFetch });
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

const scope = 'openid profile birth email';

// The person's part: from the address the client made to the address she comes back to.
async function through(url, { account = world.citizen, person = new Client(), decision } = {}) {
  const stopAt = (u) => u.startsWith(redirect);
  person.stopAt = stopAt;
  await person.go(String(url));
  const at = await walkSignIn(person, account, { decision, stopAt });
  return { at: at && new URL(at), person };
}

async function request(extra = {}) {
  const verifier = oidc.randomPKCECodeVerifier(), state = oidc.randomState(), nonce = oidc.randomNonce();
  const parameters = { redirect_uri: redirect, scope, state, nonce, acr_values: 'eidas1', code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...extra };
  for (const k of Object.keys(parameters)) if (parameters[k] === undefined) delete parameters[k];
  return { url: oidc.buildAuthorizationUrl(config, parameters), checks: { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce }, state, nonce, verifier };
}

test('discovery says what there is, and the keys are there', async () => {
  const m = config.serverMetadata();
  assert.equal(m.issuer, world.issuer);
  for (const name of ['authorization_endpoint', 'token_endpoint', 'userinfo_endpoint', 'jwks_uri', 'end_session_endpoint', 'revocation_endpoint']) assert.ok(m[name], name);
  assert.ok(m.code_challenge_methods_supported.includes('S256'));
  assert.ok(m.id_token_signing_alg_values_supported.includes('ES256'));
  assert.deepEqual(m.response_types_supported, ['code']);
  const jwks = (await send(m.jwks_uri)).json;
  assert.ok(jwks.keys.length >= 1);
  for (const k of jwks.keys) {
    assert.ok(k.kid && k.kty && (k.use === 'sig' || k.key_ops), 'a key says what it is for');
    assert.equal(k.d, undefined, 'no private half');
  }
});

test('[2.1.1] code flow with PKCE, state and nonce: ID token, userinfo, the same sub in both', async () => {
  const rq = await request();
  const { at } = await through(rq.url);
  const tokens = await oidc.authorizationCodeGrant(config, at, rq.checks);
  const claims = tokens.claims();
  assert.equal(claims.aud, client.client_id);
  assert.equal(claims.nonce, rq.nonce);
  assert.ok(claims.exp - claims.iat <= 600, 'ID tokens are short');
  assert.ok(['eidas1', 'eidas2', 'eidas3'].includes(claims.acr));
  assert.ok(claims.auth_time || claims.iat);
  const info = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(info.sub, claims.sub);
  assert.equal(info.family_name, 'MARTIN');
  assert.equal(info.birthdate, '1988-04-12');
});

test('the ID token verifies against the published keys with nothing but a crypto library', async () => {
  const t = await tokensFor(world, world.citizen, { scope });
  const [h, p, s] = t.id_token.split('.');
  const header = JSON.parse(Buffer.from(h, 'base64url'));
  const { keys } = (await send(config.serverMetadata().jwks_uri)).json;
  const key = createPublicKey({ format: 'jwk', key: keys.find((k) => k.kid === header.kid) });
  assert.ok(verify('sha256', Buffer.from(`${h}.${p}`), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(s, 'base64url')));
});

test('sub is pairwise: two bodies see two names of one person, each always the same', async () => {
  const a = await tokensFor(world, world.citizen, { scope: 'openid' });
  const b = await tokensFor(world, world.citizen, { scope: 'openid' });
  const town = await tokensFor(world, world.citizen, { scope: 'openid', client: world.town });
  const sub = (t) => JSON.parse(Buffer.from(t.id_token.split('.')[1], 'base64url')).sub;
  assert.equal(sub(a), sub(b));
  assert.notEqual(sub(a), sub(town));
});

test('single sign-on: signed in once, the second request asks for no password; prompt=login asks again', async () => {
  const first = await request();
  const { person } = await through(first.url);
  const trail = person.trail.length;
  const second = await request();
  const { at } = await through(second.url, { person });
  assert.ok(at.searchParams.get('code'));
  assert.ok(!person.trail.slice(trail).some((l) => l.includes(`:${platform.port + 1}`)), 'the identity provider was not asked');
  const third = await request({ prompt: 'login' });
  await through(third.url, { person });
  assert.ok(person.trail.slice(trail).some((l) => l.includes(`:${platform.port + 1}`)), 'the identity provider was asked');
});

test('prompt=none without a session: login_required, to the client', async () => {
  const rq = await request({ prompt: 'none' });
  const { at } = await through(rq.url);
  assert.equal(at.searchParams.get('error'), 'login_required');
  assert.equal(at.searchParams.get('state'), rq.state);
});

test('a code works once; used again it is refused and its tokens end', async () => {
  const t = await tokensFor(world, world.citizen, { scope });
  const again = () => send(`${world.issuer}/api/v2/token`, { method: 'POST', headers: { authorization: `Basic ${t.basic}`, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'authorization_code', code: t.code, redirect_uri: t.redirect, code_verifier: t.verifier }).toString() });
  const r = await again();
  assert.equal(r.status, 400);
  assert.equal(r.json.error, 'invalid_grant');
  const info = await send(config.serverMetadata().userinfo_endpoint, { headers: { authorization: `Bearer ${t.access_token}` } });
  assert.equal(info.status, 401, 'RFC 6749 4.1.2: what the code gave is taken back');
});

test('a code is refused with another verifier, another address, another client, no authentication', async () => {
  const wrongs = {
    'another verifier': [{ code_verifier: randomBytes(32).toString('base64url') }, {}],
    'no verifier': [{ code_verifier: undefined }, {}],
    'another address': [{ redirect_uri: 'http://localhost:3000/other' }, {}],
    'another secret': [{}, { authorization: `Basic ${Buffer.from(`${client.client_id}:wrong`).toString('base64')}` }],
    'another client': [{}, { authorization: `Basic ${Buffer.from(`${world.town.client_id}:${world.town.client_secret}`).toString('base64')}` }],
  };
  const person = new Client();
  for (const [what, [body, headers]] of Object.entries(wrongs)) {
    const rq = await request();
    const { at } = await through(rq.url, { person });
    const all = { grant_type: 'authorization_code', code: at.searchParams.get('code'), redirect_uri: redirect, code_verifier: rq.verifier, ...body };
    for (const k of Object.keys(all)) if (all[k] === undefined) delete all[k];
    const r = await send(`${world.issuer}/api/v2/token`, { method: 'POST', headers: { authorization: `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')}`, 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams(all).toString() });
    assert.ok([400, 401].includes(r.status), `${what}: ${r.status} ${r.text}`);
    assert.ok(['invalid_grant', 'invalid_client'].includes(r.json.error), `${what}: ${r.text}`);
    assert.match(r.headers['cache-control'] ?? '', /no-store/, what);
  }
});

test('a request that is wrong about client or address never leaves the issuer', async () => {
  for (const [what, extra] of Object.entries({
    'another address': { redirect_uri: 'https://evil.example/callback' }, 'a longer address': { redirect_uri: `${redirect}/x` }, 'an address with a query': { redirect_uri: `${redirect}?a=b` },
    'an unknown client': { client_id: 'nobody' }, 'no address': { redirect_uri: undefined },
  })) {
    const url = (await request()).url;
    for (const [k, v] of Object.entries(extra)) { if (v === undefined) url.searchParams.delete(k); else url.searchParams.set(k, v); }
    const r = await send(url.href);
    assert.ok(r.status >= 400 && r.status < 500, `${what}: ${r.status}`);
    assert.equal(r.headers.location, undefined, what);
  }
});

test('what is wrong otherwise is told to the client, with its state', async () => {
  for (const [what, [extra, error]] of Object.entries({
    'another response type': [{ response_type: 'token' }, 'unsupported_response_type'], 'a scope that nothing stands behind': [{ scope: 'openid no_such_scope' }, 'invalid_scope'], 'no openid': [{ scope: 'profile' }, 'invalid_scope'],
    'PKCE plain': [{ code_challenge_method: 'plain' }, 'invalid_request'],
  })) {
    const rq = await request();
    for (const [k, v] of Object.entries(extra)) rq.url.searchParams.set(k, v);
    const r = await send(rq.url.href);
    assert.ok([302, 303].includes(r.status), `${what}: ${r.status} ${r.text.slice(0, 200)}`);
    const at = new URL(r.headers.location);
    assert.equal(at.origin + at.pathname, redirect, what);
    assert.equal(at.searchParams.get('error'), error, `${what}: ${at.search}`);
    assert.equal(at.searchParams.get('state'), rq.state, what);
  }
});

test('she refuses: access_denied or a token without what she refused; nothing is given', async () => {
  const t = await tokensFor(world, world.account('lucas.ndiaye'), { scope: 'openid famille_foyer', decision: 'refuse' });
  if (t.error) assert.equal(t.error, 'access_denied');
  else assert.doesNotMatch(Buffer.from(t.access_token.split('.')[1], 'base64url').toString(), /"contract"/);
});

test('revocation, then userinfo refuses; logout ends the session and comes back with its state', async () => {
  const rq = await request();
  const { at, person } = await through(rq.url);
  const tokens = await oidc.authorizationCodeGrant(config, at, rq.checks);
  await oidc.tokenRevocation(config, tokens.access_token);
  await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub));
  const home = client.post_logout_redirect_uris?.[0] ?? new URL('/', redirect).href;
  const url = oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: home, state: 'retour' });
  person.stopAt = (u) => u.startsWith(home);
  await person.go(url.href);
  if (!person.stopped) { // asked first
    const { forms } = await import('../lib/http.mjs');
    const button = forms(person.page.text).flatMap((f) => f.buttons)[0];
    if (button) await person.press(button.text);
  }
  assert.ok(person.stopped, `back at the client: ${person.page?.url} ${person.page ? person.text.slice(0, 300) : ''}`);
  assert.equal(new URL(person.stopped).searchParams.get('state'), 'retour');
  const after = await request({ prompt: 'none' });
  const { at: end } = await through(after.url, { person });
  assert.equal(end.searchParams.get('error'), 'login_required', 'the session is over');
});

test('people of every shape sign in: born abroad, date not whole, name in use, homonym', async () => {
  const subs = new Set();
  for (const login of ['camille.martin', 'camille.martin.2', 'fatima.benkacem', 'jeanne.rousseau', 'lucas.ndiaye']) {
    const rq = await request({ scope: 'openid identite_pivot preferred_username' });
    const { at } = await through(rq.url, { account: world.account(login) });
    const tokens = await oidc.authorizationCodeGrant(config, at, rq.checks);
    const info = await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);
    assert.match(info.birthdate, /^\d{4}-\d{2}-\d{2}$/, login);
    assert.ok(info.birthcountry, login);
    subs.add(info.sub);
  }
  assert.equal(subs.size, 5, 'each has a name of their own');
});

test('tokens, secrets and passwords are not in the log', () => {
  const log = platform.log();
  assert.doesNotMatch(log, /eyJ[A-Za-z0-9_-]{20,}\./, 'no token');
  assert.ok(!log.includes(client.client_secret), 'no secret');
  assert.ok(!log.includes(world.citizen.password), 'no password');
});
