// A withdrawn consent: the next call is refused, and a receipt signed by the issuer stays with the
// person and with the service, which anybody checks without this platform.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { Platform, until } from '../lib/platform.mjs';
import { newClient } from '../lib/provider.mjs';
import { World, call, tokensFor, walkSignIn } from '../lib/story.mjs';
import { forms, send } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';
import { expect } from '../lib/contracts.mjs';

let platform, world, keys;
before(async () => { platform = await Platform.start(); world = new World(platform); }, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

// By the published keys alone, as a court's expert would.
function opened(jws) {
  const [head, payload, signature] = jws.split('.');
  const header = JSON.parse(Buffer.from(head, 'base64url'));
  assert.deepEqual([header.alg, header.typ], ['ES256', 'consent-receipt+jwt']);
  const jwk = keys.find((k) => k.kid === header.kid);
  assert.ok(verify('sha256', Buffer.from(`${head}.${payload}`), { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url')), 'the signature holds');
  return JSON.parse(Buffer.from(payload, 'base64url'));
}

test('[P5.1.4.a] through the gateway: withdrawn, refused within the second, and a signed receipt for the person', { timeout: 120000 }, async () => {
  const discovery = (await send(`${platform.base}/api/v2/.well-known/openid-configuration`)).json ?? (await send(`${platform.base}/.well-known/openid-configuration`)).json;
  keys = (await send(discovery.jwks_uri)).json.keys;
  const t = await tokensFor(world, world.citizen, { scope: 'openid profile birth famille_foyer' });
  const read = () => call(world, '/gw/famille/v1/foyer', t.access_token);
  assert.equal((await read()).status, 200);
  const she = t.person;
  await she.go(`${platform.base}/account/consents`);
  await walkSignIn(she, world.citizen);
  assert.ok(she.text.includes(text('account', 'consents.receipt')), she.text.slice(0, 800));
  const id = /\/account\/consents\/([0-9A-Z]{26})\/withdraw/.exec(she.page.text)[1];
  await she.go(`${platform.base}/account/consents/${id}/receipt`);
  const given = opened(she.page.text);
  assert.deepEqual([given.consent, given.event, given.schema], [id, 'given', 'ISO/IEC TS 27560']);
  assert.ok(given.fields.length && given.purpose.fr && given.legal_basis.fr && given.given_at);
  await she.go(`${platform.base}/account/consents/${id}/withdraw`);
  const f = forms(she.page.text).find((x) => x.action?.includes('/withdraw'));
  const at = Date.now();
  await she.press(f.buttons[0].text);
  await until('refused', async () => (await read()).status === 403, { timeoutMs: 10000 });
  console.log(`figure: consent withdrawn, refused after ${Date.now() - at} ms`);
  assert.equal((await read()).json.code, 'EXC-403-CONSENT');
  await she.go(`${platform.base}/account/consents/${id}/receipt`);
  const receipt = opened(she.page.text);
  assert.equal(receipt.event, 'withdrawn');
  assert.ok(receipt.withdrawn_at >= given.given_at);
  assert.ok(!JSON.stringify(receipt).includes('MARTIN'), 'it names no person');
  await she.go(`${platform.base}/account/consents/01ARZ3NDEKTSV4RRFFQ69G5FAV/receipt`);
  assert.equal(she.page.status, 404);
  assert.equal((await send(`${platform.base}/api/account/consents/${id}/receipt`)).status, 401);
});

test('[P5.1.4.a] outside the gateway: the service has its receipt again at any time, and nobody else', { timeout: 90000 }, async () => {
  const shop = newClient(platform), other = newClient(platform);
  const t = await tokensFor(world, world.citizen, { client: shop, scope: 'openid profile' });
  const sub = JSON.parse(Buffer.from(t.access_token.split('.')[1], 'base64url')).sub;
  const as = (k) => async (method, path, body) => {
    const r = await send(`${platform.base}${path}`, { method, headers: { authorization: `Basic ${Buffer.from(`${k.client_id}:${k.client_secret}`).toString('base64')}`, ...(body ? { 'content-type': 'application/json' } : {}) }, body: body ? JSON.stringify(body) : undefined });
    return { status: r.status, text: r.text, get json() { return JSON.parse(r.text); } };
  };
  const mine = as(shop), theirs = as(other);
  const given = expect(await mine('POST', '/api/consents', { sub, fields: ['Adresse'], purpose: { fr: 'Livrer', en: 'Deliver' }, legal_basis: { fr: 'Accord', en: 'Consent' }, recipients: [other.client_id] }), 201);
  assert.deepEqual([opened(given.receipt).aud, opened(given.receipt).purpose.fr], [shop.client_id, 'Livrer']);
  assert.equal(opened(expect(await mine('GET', `/api/consents/${given.id}/receipt`), 200).receipt).event, 'given');
  assert.equal((await theirs('GET', `/api/consents/${given.id}/receipt`)).status, 404);
  const end = expect(await mine('POST', `/api/consents/${given.id}/withdraw`), 200);
  assert.equal(opened(end.receipt).event, 'withdrawn');
  assert.equal(opened(expect(await mine('GET', `/api/consents/${given.id}/receipt`), 200).receipt).withdrawn_at, end.withdrawn_at);
});
