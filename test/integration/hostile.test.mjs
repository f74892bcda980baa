// People who mean no good at the issuer's doors: keys mistaken for one another, headers nobody knows,
// clocks, parameters given twice, forms of other sites.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac, createPublicKey } from 'node:crypto';
import { Platform } from '../lib/platform.mjs';
import { Client, send } from '../lib/http.mjs';
import { World } from '../lib/story.mjs';
import { Relying, b64, basic, json, newKey, now, proof } from '../lib/relying.mjs';

const key = newKey();
let platform, world, rp, k, byKey;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  rp = new Relying(world);
  k = rp.add('Service visé');
  byKey = rp.add('Service visé, par clé', [], key);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

const grant = { grant_type: 'client_credentials', scope: '' };

test('key confusion: a public key is no shared secret, in an assertion, a proof, an access token', async () => {
  const pem = createPublicKey(key.privateKey).export({ type: 'spki', format: 'pem' });
  const hs = (header, claims, secret) => { const input = `${json({ alg: 'HS256', ...header })}.${json(claims)}`; return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`; };
  const claims = { iss: byKey.client_id, sub: byKey.client_id, aud: world.issuer, iat: now(), exp: now() + 60, jti: b64(Buffer.from(String(Math.random()))) };
  for (const secret of [pem, JSON.stringify(key.jwk), key.jwk.x]) {
    const r = await rp.post('/token', { ...grant, ...rp.assertion(byKey, key), client_assertion: hs({ kid: 'k1' }, claims, secret) });
    assert.equal(r.status, 401);
    assert.equal(r.json.error, 'invalid_client');
  }
  const { keys } = (await send(rp.at('/jwks'))).json, t = await rp.tokens(k);
  for (const x of keys) {
    const forged = hs({ kid: x.kid, typ: 'at+jwt' }, JSON.parse(Buffer.from(t.access_token.split('.')[1], 'base64url')), JSON.stringify(x));
    const r = await rp.userinfo(forged);
    assert.equal(r.status, 401);
    assert.match(r.headers['www-authenticate'], /error="invalid_token"/);
  }
});

test('crit that nobody knows: refused in an assertion and a proof', async () => {
  const header = { crit: ['inconnu'], inconnu: true };
  const a = await rp.post('/token', { ...grant, ...rp.assertion(byKey, key, {}, header) });
  assert.equal(a.json.error, 'invalid_client');
  const d = await rp.post('/token', grant, { ...basic(k), dpop: proof(newKey(), 'POST', rp.at('/token'), { header }) });
  assert.equal(d.json.error, 'invalid_dpop_proof');
});

test('parameters given twice: invalid_request, whichever comes first', async () => {
  const q = rp.request(k);
  for (const name of ['scope', 'nonce', 'response_type', 'prompt']) {
    const back = await rp.refusal(q, `${rp.url({ ...q, prompt: q.prompt ?? 'login' })}&${name}=${encodeURIComponent(q[name] ?? 'login')}`);
    assert.equal(back.get('error'), 'invalid_request', name);
  }
  for (const more of ['redirect_uri=https://evil.example/', 'client_id=x']) {
    const r = await send(`${rp.url(q)}&${more}`);
    assert.ok(!String(r.headers.location ?? '').startsWith('https://evil.example'), more);
  }
  const r = await send(rp.at('/token'), { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic(k) }, body: 'grant_type=client_credentials&scope=&scope=openid' });
  assert.equal(r.json.error, 'invalid_request');
});

test('signing out: another site’s form changes nothing', async () => {
  const person = new Client();
  await rp.code(k, {}, { person });
  const cookie = [...person.jar(world.issuer)].map(([n, v]) => `${n}=${v}`).join('; ');
  const form = { 'content-type': 'application/x-www-form-urlencoded', cookie, origin: 'https://evil.example' };
  for (const path of ['/api/v2/session/end', '/deconnexion'])
    await send(`${world.issuer}${path}`, { method: 'POST', headers: form, body: 'csrf=x' });
  const { back } = await rp.through(rp.url(rp.request(k, { prompt: 'none' })), { person });
  assert.ok(back.get('code'), 'still signed in');
});
