// The refusals that the standards name, door by door, each with its exact error: what
// docs/SECURITY.md lists under "Bad input, word by word" and no other suite plays. The clock is moved
// at the end, so that what ran out is told apart from what is wrong.
import { test, before, after, beforeEach } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, randomBytes } from 'node:crypto';
import { Platform } from '../lib/platform.mjs';
import { Client, forms, links, send } from '../lib/http.mjs';
import { World, walkSignIn } from '../lib/story.mjs';
import { Relying, b64, basic, claimsOf, json, jws, newKey, now, proof } from '../lib/relying.mjs';
import { Upstream, jws as tokenOf } from '../lib/upstream.mjs';
import { text } from '../lib/text.mjs';

const key = newKey();
const grant = { grant_type: 'client_credentials', scope: '' };
const form = { 'content-type': 'application/x-www-form-urlencoded' };
let platform, world, rp, k, byKey, honest, liar;

function provider(u, id) {
  platform.must(['provider', 'add', '--id', id, '--name', `Compte ${id}`, '--issuer', u.issuer, '--client-id', u.client, '--secret-stdin'], { input: `${u.secret}\n` });
}
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  rp = new Relying(world);
  k = rp.add('Service visé');
  byKey = rp.add('Service visé, par clé', [], key);
  honest = await Upstream.start(platform.ownPort(0));
  liar = await Upstream.start(platform.ownPort(1), { client: 'socle-chez-le-menteur' });
  provider(honest, 'honnete');
  provider(liar, 'menteur');
}, { timeout: 180000 });
beforeEach(() => { for (const u of [honest, liar]) u.break = {}; });
after(async () => {
  await honest?.stop();
  await liar?.stop();
  await platform?.destroy();
}, { timeout: 60000 });

const fault = (r) => /<code>([A-Z]{2,3}-[0-9]{3}-[A-Z-]+)<\/code>/.exec(r.text ?? r.page.text)?.[1];
const pageFault = (p) => fault(p.page);
const cookies = (person, url) => [...person.jar(url)].map(([n, v]) => `${n}=${v}`).join('; ');
const stillIn = async (person) => Boolean((await rp.through(rp.url(rp.request(k, { prompt: 'none' })), { person })).back.get('code'));
const object = (claims = {}, header = {}) => jws(key, { kid: key.kid, typ: 'oauth-authz-req+jwt', ...header }, { iss: byKey.client_id, aud: world.issuer, iat: now(), exp: now() + 60, ...rp.request(byKey), ...claims });
const jar = (request) => rp.refusal({ client_id: byKey.client_id, redirect_uri: byKey.redirect, request });
const hs256 = (header, claims, secret) => { const input = `${json({ alg: 'HS256', ...header })}.${json(claims)}`; return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`; };

// As far as the way back from an identity provider: `person.stopped`, or the page she was left on.
async function atProvider(person, id, { stopAt = (u) => u.startsWith(Relying.redirect), extra } = {}) {
  person.stopAt = stopAt;
  await person.go(rp.url(rp.request(k, { idp_hint: id, ...extra })));
  return person;
}

// ---- addresses ---------------------------------------------------------------------------------------
test('wrong redirect: another letter is another address; IDT-400-REDIRECT, and nobody is sent there', async () => {
  for (const to of ['http://localhost:3000/cb/', 'http://localhost:3000/CB', 'http://LOCALHOST:3000/cb', 'http://localhost:3001/cb', 'https://localhost:3000/cb', 'http://localhost:3000/cb?x=1', 'http://localhost:3000/cb#x', 'http://localhost:3000/./cb', 'http://localhost:3000/x/../cb', 'http://localhost:3000/%63b', 'http://localhost:3000/cb%00', ' http://localhost:3000/cb', 'http://localhost:3000@evil.example/cb', 'http://evil.example/http://localhost:3000/cb', 'http://127.0.0.1:3000/cb', 'javascript:alert(1)', '']) {
    const r = await send(rp.url(rp.request(k, { redirect_uri: to })));
    assert.equal(r.status, 400, to);
    assert.equal(r.headers.location, undefined, to);
    if (!to.includes('%00')) assert.equal(fault(r), 'IDT-400-REDIRECT', to);
  }
  const none = await send(rp.url(rp.request(k, { redirect_uri: undefined })));
  assert.equal(fault(none), 'IDT-400-REDIRECT', 'not even where one alone is registered');
  const other = await send(rp.url(rp.request(k, { client_id: 'personne' })));
  assert.equal(fault(other), 'IDT-400-CLIENT');
});

test('open redirection: every way back is a path of this site, read as a browser reads it', async () => {
  const ways = ['https://evil.example/', '//evil.example/', '/\\evil.example/', '/\t/evil.example/', '/\n/evil.example/', '\t//evil.example/', '/%09/evil.example/', 'javascript:alert(1)', '///evil.example', '\\\\evil.example', '/ /evil.example'];
  const person = new Client();
  for (const to of ways) {
    await person.go(`${world.townUrl}/connexion?return=${encodeURIComponent(to)}`);
    await walkSignIn(person, world.citizen);
    assert.equal(new URL(person.page.url).origin, world.townUrl, JSON.stringify(to));
    const r = await person.once(`${world.issuer}/connexion?return=${encodeURIComponent(to)}`);
    assert.equal(new URL(r.headers.location, world.issuer).origin, world.issuer, JSON.stringify(to));
  }
  // The language switch of a page whose path looks like another's address.
  for (const site of [world.issuer, world.townUrl]) {
    const r = await send(`${site}//evil.example/x`);
    for (const l of links(r.text)) assert.doesNotMatch(l.href ?? '', /^\/\//, `${site}: ${l.href}`);
  }
});

// ---- forms of other sites ----------------------------------------------------------------------------
test('CSRF on login: another site’s form signs nobody in, SOC-403-FORM; a lured way back neither', async () => {
  const operator = platform.json(['user', 'add', '--login', 'leurre@exemple.fr', '--name', 'Leurre']);
  const body = new URLSearchParams({ login: 'leurre@exemple.fr', password: operator.password, return: '/' }).toString();
  const own = new Client();
  own.stopAt = undefined;
  await own.go(rp.url(rp.request(k)));
  const flow = new URL(own.page.url).searchParams.get('flow');
  for (const [path, content] of [['/connexion/operateur', body], [`/compte/connexion?flow=${flow}`, new URLSearchParams({ flow, email: 'x@exemple.fr', password: 'x' }).toString()], [`/compte/inscription?flow=${flow}`, new URLSearchParams({ flow, email: 'x@exemple.fr', password: 'cheval agrafe pile correcte' }).toString()]])
    for (const from of [{ origin: 'https://evil.example' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }]) {
      const r = await own.once(`${world.issuer}${path}`, { method: 'POST', headers: { ...form, ...from }, body: content });
      assert.equal(r.status, 403, `${path} ${JSON.stringify(from)}`);
      assert.equal(fault(r), 'SOC-403-FORM');
      assert.equal(r.headers['set-cookie'], undefined, 'no session is begun');
    }
  const good = await send(`${world.issuer}/connexion/operateur`, { method: 'POST', headers: { ...form, origin: world.issuer }, body });
  assert.equal(good.status, 303, 'the same from this site’s own page');
  // The attacker's own sign-in, carried to the end in the victim's browser: at the issuer, at a site.
  const attacker = new Client(), victim = new Client();
  await atProvider(attacker, 'honnete', { stopAt: (u) => u.includes('/connexion/retour/') });
  await victim.go(attacker.stopped);
  assert.equal(pageFault(victim), 'IDT-403-BROWSER');
  const there = new Client();
  there.stopAt = (u) => u.includes('/oidc/retour');
  await there.go(`${world.townUrl}/connexion`);
  const at = await walkSignIn(there, world.citizen, { stopAt: there.stopAt });
  await victim.go(at);
  assert.equal(pageFault(victim), 'RP-400-STATE');
  assert.equal(victim.jar(world.townUrl).get('socle_org'), undefined);
});

test('CSRF on consent: SOC-403-FORM without the page’s own token, and no code comes of it', async () => {
  const person = new Client();
  await rp.code(k, {}, { person });
  person.stopAt = (u) => u.startsWith(Relying.redirect);
  await person.go(rp.url(rp.request(k, { prompt: 'consent' })));
  const f = forms(person.page.text).find((x) => x.action.includes('/connexion/accord'));
  assert.ok(f, person.text.slice(0, 300));
  const fields = Object.fromEntries(f.fields);
  for (const [change, headers] of [[{ csrf: undefined }, { origin: world.issuer }], [{ csrf: 'A'.repeat(fields.csrf.length) }, { origin: world.issuer }], [{}, { origin: 'https://evil.example' }], [{}, { origin: 'null' }], [{}, { 'sec-fetch-site': 'cross-site' }]]) {
    const pairs = Object.entries({ ...fields, ...change }).filter(([, v]) => v !== undefined);
    const r = await person.once(new URL(f.action, world.issuer).href, { method: 'POST', headers: { ...form, ...headers }, body: new URLSearchParams(pairs).toString() });
    assert.equal(r.status, 403);
    assert.equal(fault(r), 'SOC-403-FORM');
    assert.equal(r.headers.location, undefined);
  }
});

test('CSRF on logout: another site’s form is refused or asks her; she is still signed in', async () => {
  const person = new Client();
  await rp.code(k, {}, { person });
  const cookie = cookies(person, world.issuer);
  const elsewhere = { ...form, cookie, origin: 'https://evil.example' };
  const portal = await send(`${world.issuer}/deconnexion`, { method: 'POST', headers: elsewhere, body: 'csrf=x' });
  assert.equal(fault(portal), 'SOC-403-FORM');
  for (const r of [await send(rp.at('/session/end'), { method: 'POST', headers: elsewhere, body: 'csrf=x' }), await send(rp.at('/session/end'), { headers: { cookie } })]) {
    assert.equal(r.status, 200);
    assert.ok(forms(r.text).some((f) => f.action === '/api/v2/session/end'), 'the page that asks');
    assert.equal(r.headers['set-cookie'], undefined);
  }
  assert.ok(await stillIn(person));
});

test('clickjacking: no page that has a button may be framed', async () => {
  const person = new Client(), pages = [];
  const see = async (url) => { await person.go(url); if (person.page) pages.push(person.page); };
  await see(rp.url(rp.request(k)));
  const flow = new URL(person.page.url).searchParams.get('flow');
  await see(`${world.issuer}/compte/connexion?flow=${flow}`);
  await rp.code(k, {}, { person });
  person.stopAt = undefined;
  await see(rp.url(rp.request(k, { prompt: 'consent' })));
  await see(rp.at('/session/end'));
  await see(`${world.issuer}/account`);
  await see(`${world.issuer}/account/security`);
  await see(`${world.issuer}/connexion/operateur`);
  await see(`${world.issuer}/connexion/choix?flow=x`);
  await see(`${world.townUrl}/`);
  for (const r of pages) assert.match(r.headers['content-security-policy'], /frame-ancestors 'none'/, r.url);
  assert.ok(pages.length >= 9);
});

// ---- cookies -----------------------------------------------------------------------------------------
test('session fixation: what was planted before a sign-in is nobody’s after it, and ends with it', async () => {
  const attacker = new Client(), victim = new Client();
  await attacker.go(`${world.issuer}/connexion?return=/account`);
  for (const [name, value] of attacker.jar(world.issuer)) victim.jar(world.issuer).set(name, value);
  victim.jar(world.issuer).set('socle', b64(randomBytes(32)));
  const planted = cookies(victim, world.issuer);
  await rp.code(k, {}, { person: victim });
  assert.equal((await send(`${world.issuer}/account`, { headers: { cookie: planted } })).status, 303, 'asks to sign in');
  const first = cookies(victim, world.issuer);
  await rp.code(k, { prompt: 'login' }, { person: victim });
  assert.equal((await send(`${world.issuer}/account`, { headers: { cookie: first } })).status, 303, 'the session before is over');
});

test('cookie tossing: a neighbour’s cookie beside ours names nobody; over https ours cannot be tossed', async () => {
  const attacker = new Client(), victim = new Client();
  await rp.code(k, {}, { person: attacker, account: world.account('jeanne.rousseau') });
  await rp.code(k, {}, { person: victim });
  const [theirs, hers] = [attacker, victim].map((p) => p.jar(world.issuer).get('socle'));
  for (const cookie of [`socle=${theirs}; socle=${hers}`, `socle=${hers}; socle=${theirs}`]) {
    const r = await send(`${world.issuer}/account`, { headers: { cookie } });
    assert.equal(r.status, 303, 'asked to sign in, not shown another’s account');
  }
  assert.equal((await send(`${world.issuer}/account`, { headers: { cookie: `socle=${hers}` } })).status, 200);
  // The sign-in's own cookie: two of them lead nowhere.
  await attacker.go(rp.url(rp.request(k, { prompt: 'login' })));
  const flow = new URL(attacker.page.url).searchParams.get('flow'), browser = attacker.jar(world.issuer).get('socle_flow');
  const lured = await send(`${world.issuer}/connexion/choix?flow=${flow}`, { headers: { cookie: `socle_flow=${browser}; socle_flow=${b64(randomBytes(32))}` } });
  assert.equal(fault(lured), 'IDT-403-BROWSER');
  const behind = await Platform.start({ demo: false, args: ['--base-url', 'https://socle.example'] });
  try {
    const ask = (path, cookie) => send(`${behind.base}${path}`, { headers: { host: 'socle.example', ...(cookie ? { cookie } : {}) } });
    const r = await ask('/connexion?return=/account');
    const set = [].concat(r.headers['set-cookie']);
    for (const line of set) {
      assert.match(line, /^__Host-\w+=[^;]*; Path=\/; HttpOnly; SameSite=Lax; Secure/, 'a browser takes it from this host alone');
      assert.doesNotMatch(line, /Domain=/i);
    }
    const ours = set.find((l) => l.startsWith('__Host-socle_flow=')).split(';')[0];
    const to = new URL(r.headers.location).pathname + new URL(r.headers.location).search;
    assert.equal((await ask(to, ours)).status, 200);
    const bare = ours.replace('__Host-', '');
    for (const cookie of [bare, `=${ours}`, `\u00a0${ours}`.replace('\u00a0', '\xc2\xa0'), ours.replace('__Host-', '__host-'), `$Version=1;${bare}`, `x="${ours}`])
      assert.equal(fault(await ask(to, cookie)), 'IDT-403-BROWSER', cookie);
  } finally { await behind.destroy(); }
});

// ---- parameters --------------------------------------------------------------------------------------
test('parameter pollution: a thing said twice is refused at every door', async () => {
  const twice = (path, fields, more, headers = basic(k)) => send(rp.at(path), { method: 'POST', headers: { ...form, ...headers }, body: `${new URLSearchParams(fields)}&${more}` });
  for (const [path, fields, more] of [
    ['/token', grant, 'scope=openid'], ['/token', grant, 'inconnu=1&inconnu=2'], ['/par', rp.request(k), 'redirect_uri=https%3A%2F%2Fevil.example%2F'],
    ['/token/revocation', { token: 'x' }, 'token=y'], ['/checktoken', { token: 'x' }, 'token=y'],
  ]) {
    const r = await twice(path, fields, more);
    assert.equal(r.status, 400, `${path} ${r.text}`);
    assert.equal(r.json.error, 'invalid_request', path);
  }
  assert.equal((await twice('/token', { ...grant, client_id: k.client_id, client_secret: k.client_secret }, 'x=1')).json.error, 'invalid_request', 'two ways to say who one is');
  const t = await rp.tokens(k);
  const both = await send(rp.at('/userinfo'), { method: 'POST', headers: { ...form, authorization: `Bearer ${t.access_token}` }, body: `access_token=${t.access_token}` });
  assert.equal(both.status, 400);
  assert.equal(both.json.error, 'invalid_request', 'RFC 6750: one way');
  const headers = await send(rp.at('/userinfo'), { headers: { authorization: [`Bearer ${t.access_token}`, 'Bearer x'] } });
  assert.equal(headers.status, 400, 'two Authorization headers are no request');
  const p = newKey(), dpop = proof(p, 'POST', rp.at('/token'));
  const proofs = await send(rp.at('/token'), { method: 'POST', headers: { ...form, ...basic(k), dpop: [dpop, proof(p, 'POST', rp.at('/token'))] }, body: new URLSearchParams(grant).toString() });
  assert.equal(proofs.json.error, 'invalid_dpop_proof');
  const many = Object.fromEntries(Array.from({ length: 70 }, (_, i) => [`membre_${i}`, 'x']));
  assert.equal((await jar(object(many))).get('error'), 'invalid_request_object', 'no member is dropped unseen');
  const inside = `${JSON.stringify({ iss: byKey.client_id, aud: world.issuer, exp: now() + 60, ...rp.request(byKey) }).slice(0, -1)},"scope":"openid email"}`;
  const signed = jws(key, { kid: key.kid }, {}).split('.')[0];
  assert.equal((await jar(`${signed}.${b64(inside)}.AAAA`)).get('error'), 'invalid_request_object', 'a member given twice');
  // The answers that come back through a browser.
  const person = new Client();
  await atProvider(person, 'honnete', { stopAt: (u) => u.includes('/connexion/retour/') });
  const again = person.stopped;
  person.stopAt = undefined;
  await person.go(`${again}&state=autre`);
  assert.equal(pageFault(person), 'IDT-410-FLOW');
  const citizen = new Client(), back = (u) => u.includes('/oidc/retour');
  citizen.stopAt = back;
  await citizen.go(`${world.townUrl}/connexion`);
  const at = await walkSignIn(citizen, world.citizen, { stopAt: back });
  citizen.stopAt = undefined;
  for (const more of ['code=autre', 'state=autre', 'iss=https%3A%2F%2Fevil.example']) {
    await citizen.go(`${at}&${more}`);
    assert.equal(pageFault(citizen), 'RP-400-STATE', more);
  }
});

test('each error of the standards, by the request that earns it, with its state and a page that explains it', async () => {
  const strict = rp.add('Service strict visé', ['--profile', 'strict']);
  const person = new Client();
  await rp.code(k, {}, { person });
  const wanted = {
    invalid_request: [{ response_mode: 'fragment' }, { prompt: 'none login' }, { max_age: 'x' }, { claims: '{' }, { code_challenge: 'x'.repeat(43), code_challenge_method: 'plain' }],
    unsupported_response_type: [{ response_type: 'token' }, { response_type: 'code id_token' }, { response_type: 'none' }],
    invalid_scope: [{ scope: 'profile' }, { scope: 'openid inconnu' }, { scope: '' }],
    login_required: [{ prompt: 'none' }],
    invalid_request_object: [{ request: 'x' }],
    request_uri_not_supported: [{ request_uri: 'https://evil.example/demande' }],
    request_not_supported: [{ request: 'x', request_uri: 'https://evil.example/demande' }],
    registration_not_supported: [{ registration: '{}' }],
    invalid_request_uri: [{ request_uri: `urn:ietf:params:oauth:request_uri:${b64(randomBytes(32))}` }],
  };
  for (const [error, list] of Object.entries(wanted))
    for (const extra of list) {
      const q = rp.request(k, extra), back = await rp.refusal(q);
      assert.equal(back.get('error'), error, JSON.stringify(extra));
      assert.equal(back.get('state'), q.state, error);
      assert.equal(back.get('code'), null);
      assert.equal((await send(`${world.issuer}/erreurs/${error}`)).status, 200, `a page explains ${error}`);
    }
  // Signed in, but another level, another person's agreement, or another time is asked, unseen.
  for (const [error, extra] of [['login_required', { prompt: 'none', acr_values: 'eidas3' }], ['login_required', { prompt: 'none', max_age: '0' }]])
    assert.equal((await rp.through(rp.url(rp.request(k, extra)), { person })).back.get('error'), error, JSON.stringify(extra));
  const other = rp.add('Service jamais vu');
  assert.equal((await rp.through(rp.url(rp.request(other, { prompt: 'none', scope: 'openid profile' })), { person })).back.get('error'), 'consent_required', 'she was not told yet');
  const token = async (body, headers) => (await rp.post('/token', body, headers)).json.error;
  assert.equal(await token({ ...grant }, basic(strict)), 'unauthorized_client');
  assert.equal(await token({ grant_type: 'refresh_token', refresh_token: 'x' }, basic(strict)), 'unauthorized_client');
  assert.equal(await token({ grant_type: 'password', username: 'x', password: 'y' }, basic(k)), 'unsupported_grant_type');
  assert.equal(await token({ grant_type: 'urn:ietf:params:oauth:grant-type:device_code' }, basic(k)), 'unsupported_grant_type');
  assert.equal(await token({}, basic(k)), 'invalid_request');
  assert.equal(await token({ grant_type: 'authorization_code', redirect_uri: k.redirect }, basic(k)), 'invalid_request');
  // What stands in an address is not read: it would be in everybody's log.
  const q = new URLSearchParams({ ...grant, client_id: k.client_id, client_secret: k.client_secret });
  const r = await send(`${rp.at('/token')}?${q}`, { method: 'POST', headers: form, body: '' });
  assert.equal(r.json.error, 'invalid_client');
  const t = await rp.tokens(k);
  assert.equal((await send(`${rp.at('/userinfo')}?access_token=${t.access_token}`)).status, 401);
});

// ---- tokens ------------------------------------------------------------------------------------------
test('alg=none and key confusion: an assertion, a proof, a request object, a hint', async () => {
  const claims = { iss: byKey.client_id, sub: byKey.client_id, aud: world.issuer, iat: now(), exp: now() + 60 };
  const none = (header, c) => `${json({ alg: 'none', ...header })}.${json(c)}.`;
  const pem = createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' });
  const assertion = (value) => rp.post('/token', { ...grant, ...rp.assertion(byKey, key), client_assertion: value });
  for (const alg of ['none', 'None', 'NONE', '', undefined])
    assert.equal((await assertion(none({ alg }, { ...claims, jti: `${alg}` }))).json.error, 'invalid_client', `alg ${alg}`);
  const p = newKey(), dpop = { typ: 'dpop+jwt', jwk: p.jwk };
  assert.equal((await rp.post('/token', grant, { ...basic(k), dpop: none(dpop, { htm: 'POST', htu: rp.at('/token'), iat: now(), jti: 'n' }) })).json.error, 'invalid_dpop_proof');
  const request = { ...claims, ...rp.request(byKey) };
  assert.equal((await jar(none({ typ: 'oauth-authz-req+jwt' }, request))).get('error'), 'invalid_request_object');
  for (const secret of [pem, JSON.stringify(key.jwk), key.jwk.x])
    assert.equal((await jar(hs256({ kid: key.kid }, request, secret))).get('error'), 'invalid_request_object', 'the public key as a secret');
  // A hint nobody signed: neither says who is there, nor signs her out.
  const person = new Client(), t = await rp.tokens(k, {}, { person });
  const { keys } = (await send(rp.at('/jwks'))).json;
  for (const hint of [none({ typ: 'JWT' }, t.claims), hs256({ kid: keys[0].kid, typ: 'JWT' }, t.claims, JSON.stringify(keys[0])), t.access_token]) {
    const back = await rp.refusal(rp.request(k, { prompt: 'none', id_token_hint: hint }));
    assert.equal(back.get('error'), 'invalid_request');
    const out = await person.once(`${rp.at('/session/end')}?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: Relying.home })}`);
    assert.equal(fault(out), 'IDT-400-LOGOUT');
  }
  assert.ok(await stillIn(person));
});

test('wrong audience, wrong issuer: an assertion, a request object', async () => {
  for (const [what, claims] of Object.entries({ 'aud of another': { aud: 'https://evil.example' }, 'no aud': { aud: undefined }, 'aud nearly ours': { aud: `${world.issuer}.evil.example` }, 'iss of another': { iss: k.client_id }, 'no iss': { iss: undefined }, 'sub of another': { sub: k.client_id }, 'no jti': { jti: undefined }, 'for an hour': { exp: now() + 3600 }, 'without end': { exp: undefined } })) {
    const r = await rp.post('/token', { ...grant, ...rp.assertion(byKey, key, claims) });
    assert.equal(r.status, 401, what);
    assert.equal(r.json.error, 'invalid_client', what);
  }
  for (const [what, claims] of Object.entries({ 'aud of another': { aud: 'https://evil.example' }, 'no aud': { aud: undefined }, 'iss of another': { iss: k.client_id }, 'no iss': { iss: undefined } }))
    assert.equal((await jar(object(claims))).get('error'), 'invalid_request_object', what);
});

test('mix-up (RFC 9207), as issuer: every answer to a client says whose it is', async () => {
  assert.equal((await send(`${world.issuer}/.well-known/openid-configuration`)).json.authorization_response_iss_parameter_supported, true);
  const { back } = await rp.through(rp.url(rp.request(k)), {});
  assert.equal(back.get('iss'), world.issuer, 'a code');
  const person = new Client();
  person.stopAt = (u) => u.startsWith(Relying.redirect);
  await person.go(rp.url(rp.request(k)));
  await person.follow(text('identity', 'choose.cancel', 'fr'));
  const refused = new URL(person.stopped).searchParams;
  assert.equal(refused.get('error'), 'access_denied');
  assert.equal(refused.get('iss'), world.issuer, 'her refusal');
  for (const extra of [{ prompt: 'none' }, { scope: 'x' }, { response_type: 'token' }, { code_challenge: 'court' }])
    assert.equal((await rp.refusal(rp.request(k, extra))).get('iss'), world.issuer, JSON.stringify(extra));
  // Our own site as a client: another issuer's answer, or one that says none.
  const citizen = new Client(), stop = (u) => u.includes('/oidc/retour');
  citizen.stopAt = stop;
  await citizen.go(`${world.townUrl}/connexion`);
  const at = new URL(await walkSignIn(citizen, world.citizen, { stopAt: stop }));
  citizen.stopAt = undefined;
  for (const change of [(u) => u.searchParams.set('iss', 'https://evil.example'), (u) => u.searchParams.delete('iss')]) {
    const u = new URL(at);
    change(u);
    await citizen.go(u.href);
    assert.equal(pageFault(citizen), 'RP-502-ISSUER');
  }
});

test('mix-up towards providers: a code of the honest one is never brought to the liar', async () => {
  const asked = () => liar.requests.filter((r) => r.path === '/token').length;
  const person = new Client();
  const refusedWith = async (expected, what) => {
    const before_ = asked();
    await atProvider(person, 'menteur', { extra: { prompt: 'login' } });
    assert.equal(pageFault(person), expected, what);
    assert.equal(asked(), before_, `${what}: the liar got no code`);
  };
  // The liar sends her on to the honest provider, under our name there: its answer comes back elsewhere.
  const forward = (change) => (rq, rs, { q }) => {
    const to = new URL(`${honest.issuer}/authorize`);
    for (const [n, v] of Object.entries({ ...q, client_id: honest.client, ...change(q) })) to.searchParams.set(n, v);
    rs.writeHead(303, { location: to.href });
    rs.end();
  };
  liar.break = { '/authorize': forward((q) => ({ redirect_uri: q.redirect_uri.replace('menteur', 'honnete') })) };
  await refusedWith('IDT-410-FLOW', 'back at the honest one’s address');
  // To the liar's own address: the answer names its issuer.
  honest.break = { get iss() { return honest.issuer; } };
  liar.break = { '/authorize': forward(() => ({})) };
  await refusedWith('IDT-502-PROVIDER', 'an answer that names another issuer');
  // The liar's metadata name the honest provider's page of sign-in, and promise to say who answers.
  honest.break = {};
  liar.break = { metadata: { authorization_response_iss_parameter_supported: true } };
  platform.sql("DELETE FROM provider_state WHERE provider = 'menteur'");
  await new Promise((done) => setTimeout(done, 1100)); // what was read of a provider is kept for a second
  await refusedWith('IDT-502-PROVIDER', 'iss was promised and is not there');
});

test('clock skew: seconds of difference are forgiven, a minute is not, either way', async () => {
  const status = async (promise) => (await promise).status;
  const assertion = (claims) => rp.post('/token', { ...grant, ...rp.assertion(byKey, key, claims) });
  const taken = await status(assertion({}));
  for (const [what, claims] of Object.entries({ 'made 8 s ahead': () => ({ iat: now() + 8, nbf: now() + 8 }), 'ended 3 s ago': () => ({ iat: now() - 60, exp: now() - 3 }) })) assert.equal(await status(assertion(claims())), taken, what);
  for (const [what, claims] of Object.entries({ 'made a minute ahead': { iat: now() + 60 }, 'good in a minute': { nbf: now() + 60 }, 'ended a minute ago': { iat: now() - 120, exp: now() - 60 } })) assert.equal((await assertion(claims)).json.error, 'invalid_client', what);
  const dpop = (iat) => rp.post('/token', grant, { ...basic(k), dpop: proof(newKey(), 'POST', rp.at('/token'), { iat }) });
  for (const s of [8, -20]) assert.notEqual((await dpop(now() + s)).json.error, 'invalid_dpop_proof', `a proof of ${s} s`);
  for (const s of [60, -90]) assert.equal((await dpop(now() + s)).json.error, 'invalid_dpop_proof', `a proof of ${s} s`);
  const asked = async (claims) => { const r = await send(rp.url({ client_id: byKey.client_id, redirect_uri: byKey.redirect, request: object(claims) })); return new URL(r.headers.location, world.issuer).searchParams.get('error'); };
  for (const claims of [() => ({ iat: now() + 8, nbf: now() + 8 }), () => ({ exp: now() - 3 })]) assert.equal(await asked(claims()), null);
  for (const claims of [{ iat: now() + 60 }, { nbf: now() + 60 }, { exp: now() - 60 }]) assert.equal(await asked(claims), 'invalid_request_object');
  // A provider's clock.
  const upstream = async (claims) => { honest.break = { claims }; const person = new Client(); await atProvider(person, 'honnete'); return person.stopped || !pageFault(person) ? 'in' : pageFault(person); };
  for (const claims of [() => ({ iat: now() + 8 }), () => ({ exp: now() - 3 })]) assert.equal(await upstream(claims()), 'in', `${claims}`);
  for (const claims of [{ iat: now() + 60 }, { nbf: now() + 60 }, { exp: now() - 60 }]) assert.equal(await upstream(claims), 'IDT-502-PROVIDER', JSON.stringify(claims));
});

test('a signed userinfo is held to its own end, audience and issuer', async () => {
  honest.signedUserinfo = true;
  try {
    for (const [userinfo, expected] of [[{ exp: now() - 60 }, 'IDT-502-PROVIDER'], [{ aud: 'autre' }, 'IDT-502-PROVIDER'], [{ iss: liar.issuer }, 'IDT-502-PROVIDER'], [{}, undefined]]) {
      honest.break = { userinfo };
      const person = new Client();
      await atProvider(person, 'honnete');
      assert.equal(person.stopped ? undefined : pageFault(person), expected, JSON.stringify(userinfo));
    }
    honest.break = {};
    const { userinfo } = honest;
    honest.userinfo = (rq, reply) => reply(tokenOf({ iss: honest.issuer, aud: honest.client, sub: 'cm-1' }, null, { alg: 'none' }), 200, 'application/jwt');
    const person = new Client();
    await atProvider(person, 'honnete');
    assert.equal(pageFault(person), 'IDT-502-PROVIDER', 'alg none');
    honest.userinfo = userinfo;
  } finally { honest.signedUserinfo = false; }
});

// ---- time ----------------------------------------------------------------------------------------------
test('expiry: half an hour later nothing of a sign-in is good any more, each said by its error', { timeout: 120000 }, async () => {
  const person = new Client();
  const t = await rp.tokens(k, {}, { person }), c = await rp.code(k, {}, { person });
  const pushed = (await rp.post('/par', rp.request(k), basic(k))).json;
  const assertion = rp.assertion(byKey, key), dpop = proof(newKey(), 'POST', rp.at('/token')), signed = object();
  const half = new Client();
  await half.go(rp.url(rp.request(k)));
  const choice = half.page.url;
  await atProvider(half, 'honnete', { stopAt: (u) => u.includes('/connexion/retour/') });
  const back = half.stopped;
  half.stopAt = undefined;
  await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(31 * 60 * 1000) } });
  const info = await rp.userinfo(t.access_token);
  assert.equal(info.status, 401);
  assert.match(info.headers['www-authenticate'], /error="invalid_token"/, 'an access token');
  assert.equal((await rp.post('/token', c.grant, basic(k))).json.error, 'invalid_grant', 'a code');
  assert.equal(fault(await send(rp.url({ client_id: k.client_id, request_uri: pushed.request_uri }))), 'IDT-400-REQUEST', 'a pushed request');
  assert.equal((await rp.post('/token', { ...grant, ...assertion })).json.error, 'invalid_client', 'an assertion');
  assert.equal((await rp.post('/token', grant, { ...basic(k), dpop })).json.error, 'invalid_dpop_proof', 'a proof');
  assert.equal((await jar(signed)).get('error'), 'invalid_request_object', 'a request object');
  for (const url of [choice, back]) {
    await half.go(url);
    assert.equal(pageFault(half), 'IDT-410-FLOW', url);
  }
  const inactive = await rp.post('/checktoken', { token: t.access_token }, basic(k));
  assert.equal(claimsOf(inactive.text).token_introspection.active, false);
});
