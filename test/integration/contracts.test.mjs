// Contracts as two bodies make them: asked, discussed, signed, decided, watched, ended; and what the
// gateway does at each step.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, until, sleep } from '../lib/platform.mjs';
import { Provider, publish, newClient } from '../lib/provider.mjs';
import { World, call, machineToken, tokensFor, walkSignIn } from '../lib/story.mjs';
import { forms, send } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';
import { Bodies, bodyKey, expect, hookHeaders, terms } from '../lib/contracts.mjs';

let platform, world, provider, bodies, town, fund, client;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  bodies = new Bodies(platform, world);
  provider = await Provider.start(platform.ownPort(0));
  // The fund publishes an API; a machine client of the town will read it.
  client = newClient(platform);
  publish(platform, { client, port: provider.port, api: { org_id: bodies.fund, fields: [['dossier.numero', 1], ['dossier.personnes.nom', 1], ['total', 1], ['interne', 2]].map(([path, sensitivity]) => ({ path, label: { fr: `Le champ ${path}`, en: `Field ${path}` }, sensitivity })) } });
  for (const k of platform.json(['contract', 'list'])) if (k.client_id === client.client_id) platform.must(['contract', 'suspend', k.id]);
  client = platform.json(['client', 'add', '--name', 'Tarifs', '--redirect-uri', 'http://localhost:3000/callback', '--org', bodies.town]);
  ({ town, fund } = await bodies.sides());
}, { timeout: 180000 });
after(async () => { await provider?.stop(); await platform?.destroy(); }, { timeout: 60000 });

const R = '/api/contracts/requests';
const act = (side, id, action, body = {}) => side('POST', `${R}/${id}/${action}`, body);
const create = async (more) => expect(await town('POST', R, terms(client.client_id, more)), 201);
async function granted(more) {
  const { id } = await create(more);
  expect(await act(town, id, 'submit'), 200);
  return expect(await act(fund, id, 'validate'), 200);
}
const read = async () => call(world, '/gw/essai/v1/ok', await machineToken(world, { client, scope: 'essai_lire' }).catch(() => null));

test('[M022] asked, corrected, decided by two bodies; the token and the data come with the decision, and go with it', { timeout: 120000 }, async () => {
  const { id, state } = await create();
  assert.equal(state, 'draft');
  assert.equal((await fund('GET', `${R}/${id}`)).status, 404, 'a draft is its writer’s');
  assert.notEqual((await read()).status, 200, 'no token without a contract');
  expect(await act(fund, id, 'validate'), 404);
  expect(await act(town, id, 'validate'), 403, 'CTR-403-SIDE');
  expect(await act(town, id, 'submit'), 200);
  expect(await act(town, id, 'submit'), 409, 'CTR-409-STATE');
  expect(await act(fund, id, 'request_changes'), 422, 'CTR-422-WORDS');
  const asked = expect(await act(fund, id, 'request_changes', { message: 'Un champ de trop.' }), 200);
  assert.equal(asked.state, 'changes_requested');
  const changed = expect(await town('POST', `${R}/${id}`, { fields: 'dossier.numero total>=2' }), 200);
  expect(await act(town, id, 'submit', { revision: changed.revision - 1 }), 409, 'CTR-409-REVISION');
  expect(await act(town, id, 'submit', { revision: changed.revision, message: 'Corrigé.' }), 200);
  const valid = expect(await act(fund, id, 'validate'), 200);
  assert.equal(valid.state, 'validated');
  assert.deepEqual(valid.messages.map((m) => m.kind), ['submit', 'request_changes', 'submit', 'validate']);
  assert.match(valid.messages[1].who, /HADDAD/);
  // [F2.1.15] the number is what the contract names; of the total, only whether it reaches 2.
  const r = await until('the data come', async () => { const x = await read(); return x.status === 200 && x; });
  assert.deepEqual(r.json, { dossier: { numero: 'D-1' }, total: true });
  // Either side holds it; who held it lets it go.
  const token = await machineToken(world, { client, scope: 'essai_lire' });
  const status = async () => (await call(world, '/gw/essai/v1/ok', token)).status;
  for (const [one, other] of [[fund, town], [town, fund]]) {
    const at = Date.now();
    expect(await act(one, id, 'suspend', { message: 'Contrôle en cours.' }), 200);
    await until('refused', async () => (await status()) === 403, { timeoutMs: 10000 });
    console.log(`figure: suspended, refused after ${Date.now() - at} ms`);
    expect(await act(other, id, 'resume'), 403, 'CTR-403-SIDE');
    expect(await act(one, id, 'resume'), 200);
    await until('passes again', async () => (await status()) === 200);
  }
  expect(await act(fund, id, 'revoke', { message: 'Fin de l’expérience.' }), 200);
  await until('refused for good', async () => (await status()) === 403, { timeoutMs: 10000 });
  expect(await act(fund, id, 'resume'), 409, 'CTR-409-STATE');
  assert.equal(expect(await act(town, id, 'archive'), 200).state, 'archived');
});

test('a request that says too little is refused field by field, and names nothing beyond the two sides', { timeout: 60000 }, async () => {
  const { id } = await create({ fields: 'total>=2 total>=3', recipients: '', purpose: { fr: '', en: '' }, months: 500, client_id: 'socle-essai' });
  const p = expect(await act(town, id, 'submit'), 422, 'CTR-422-TERMS');
  assert.deepEqual(Object.keys(p.errors).sort(), ['client_id', 'fields', 'months', 'purpose', 'recipients']);
  expect(await town('POST', R, terms(client.client_id, { api: 'rien' })), 404, 'CTR-404-API');
  const none = await send(`${world.townUrl}${R}`);
  assert.equal(none.status, 401);
  expect(await act(town, id, 'invented'), 404);
});

test('reopening keeps the old access until the new decision; then the same contract changes', { timeout: 60000 }, async () => {
  const old = await granted({ fields: 'dossier.numero' });
  await until('open', async () => (await read()).status === 200);
  const draft = expect(await act(town, old.id, 'reopen'), 200);
  assert.equal(draft.state, 'draft');
  assert.equal(draft.contract, old.contract);
  expect(await town('POST', `${R}/${draft.id}`, { fields: 'total' }), 200);
  expect(await act(town, draft.id, 'submit'), 200);
  assert.deepEqual((await read()).json, { dossier: { numero: 'D-1' } }, 'the old one holds');
  expect(await act(fund, draft.id, 'validate'), 200);
  await until('the new one', async () => { const r = await read(); return r.status === 200 && JSON.stringify(r.json) === '{"total":2}'; });
  assert.equal(expect(await town('GET', `${R}/${old.id}`), 200).state, 'archived');
  expect(await act(town, draft.id, 'revoke', { message: 'Essai fini.' }), 200);
});

test('sandbox, then production: no real token before', { timeout: 60000 }, async () => {
  const s = await granted({ stage: 'sandbox' });
  assert.equal(platform.json(['contract', 'show', s.contract]).state, 'sandbox');
  await assert.rejects(machineToken(world, { client, scope: 'essai_lire' }).then((t) => call(world, '/gw/essai/v1/ok', t)).then((r) => { if (r.status !== 200) throw new Error('refused'); }));
  const p = expect(await act(town, s.id, 'production'), 200);
  assert.equal(p.stage, 'production');
  expect(await act(town, p.id, 'submit'), 200);
  expect(await act(fund, p.id, 'validate'), 200);
  await until('open', async () => (await read()).status === 200);
  expect(await act(town, p.id, 'revoke', { message: 'Essai fini.' }), 200);
});

test('[P3.3.3] sensitive data: an impact assessment, the officer’s opinion, a substantial sign-in', { timeout: 90000 }, async () => {
  const { id } = await create({ fields: 'total interne' });
  const p = expect(await act(town, id, 'submit'), 422, 'CTR-422-TERMS');
  assert.deepEqual(Object.keys(p.errors).sort(), ['impact_assessment', 'officer_opinion']);
  expect(await town('POST', `${R}/${id}`, { impact_assessment: 'AIPD-2026-12', officer_opinion: 'Favorable, sous réserve de purge.' }), 200);
  expect(await act(town, id, 'submit'), 200);
  expect(await act(fund, id, 'validate'), 403, 'CTR-403-LEVEL');
  const page = await bodies.browser('fund');
  await page.go(`${bodies.fundUrl}/contrats/${id}`);
  assert.ok(page.text.includes(text('contracts', 'one.level_needed').replace(/\s+/g, ' ')), page.text.slice(0, 800));
  bodies.raiseLevel();
  await sleep(1200); // known everywhere within a second
  const higher = (await bodies.sides()).fund;
  assert.equal(expect(await act(higher, id, 'validate'), 200).state, 'validated');
  expect(await act(town, id, 'revoke', { message: 'Essai fini.' }), 200);
});

test('[M022] both sides sign the text with their own keys; it is archived and checked anew', { timeout: 90000 }, async () => {
  const keys = { town: bodyKey('ed25519'), fund: bodyKey('p256'), thief: bodyKey('ed25519') };
  expect(await town('POST', '/api/contracts/keys', { jwk: keys.town.jwk }), 201);
  expect(await town('POST', '/api/contracts/keys', { jwk: { ...keys.town.jwk, d: 'AAAA' } }), 422, 'CTR-422-KEY');
  const file = join(platform.folder, 'fund.jwk');
  writeFileSync(file, JSON.stringify(keys.fund.jwk));
  platform.must(['contract', 'key', bodies.fund, file]);
  const { id } = await create();
  expect(await act(town, id, 'submit'), 200);
  expect(await act(fund, id, 'validate'), 409, 'CTR-409-SIGNATURE');
  const signedText = platform.must(['contract', 'text', id]);
  const a = expect(await town('GET', `${R}/${id}/agreement`), 200);
  assert.equal(a.text, signedText);
  assert.equal(createHash('sha256').update(signedText).digest('hex'), a.digest);
  const said = JSON.parse(signedText);
  assert.equal(said.consumer.siret, '99900000300015');
  assert.match(said.fields.find((f) => f.name === 'total>=2').label.fr, /au moins 2, oui ou non seulement/);
  expect(await act(town, id, 'sign', { jws: keys.thief.sign(signedText) }), 422, 'CTR-422-JWS');
  expect(await act(town, id, 'sign', { jws: keys.town.sign(signedText.replace('600', '6000')) }), 422, 'CTR-422-JWS');
  expect(await act(fund, id, 'sign', { jws: keys.town.sign(signedText) }), 422, 'CTR-422-JWS');
  expect(await act(town, id, 'sign', { jws: keys.town.sign(signedText) }), 200);
  const jws = join(platform.folder, 'fund.jws');
  writeFileSync(jws, `${keys.fund.sign(signedText)}\n`);
  platform.must(['contract', 'sign', id, bodies.fund, jws]);
  expect(await act(fund, id, 'validate'), 200);
  assert.match(platform.must(['contract', 'verify', id]), /valid {5}[\s\S]*valid {5}/);
  const page = await bodies.browser('town');
  await page.go(`${world.townUrl}/contrats/${id}/convention`);
  assert.ok(page.text.includes(a.digest), 'the digest is there to compare');
  assert.equal(page.page.text.match(new RegExp(text('contracts', 'agreement.valid'), 'g')).length, 2);
  // The text is one act of the journal, with its digest.
  await until('sealed', () => platform.command(['journal', 'verify']).code === 0);
  expect(await act(town, id, 'revoke', { message: 'Essai fini.' }), 200);
  // Keys stay for the tests that follow: they sign too.
  bodies.keys = keys;
});

async function signedGrant(more) {
  const { id } = await create(more);
  expect(await act(town, id, 'submit'), 200);
  const t = platform.must(['contract', 'text', id]);
  expect(await act(town, id, 'sign', { jws: bodies.keys.town.sign(t) }), 200);
  expect(await act(fund, id, 'sign', { jws: bodies.keys.fund.sign(t) }), 200);
  return expect(await act(fund, id, 'validate'), 200);
}

test('[P5.5.6] [P8.1.3] [5.7.b] a quality report reaches the producer, who answers; a use beyond the agreement cuts access, in public', { timeout: 90000 }, async () => {
  const k = await signedGrant({ report_days: 30 });
  expect(await act(town, k.id, 'report', { kind: 'quality', message: 'Des totaux négatifs depuis mardi.' }), 200);
  const seen = expect(await fund('GET', `${R}/${k.id}`), 200);
  assert.match(seen.reports[0].text, /négatifs/);
  expect(await act(town, k.id, 'report', { kind: 'answer', message: 'Nous nous répondons.' }), 403, 'CTR-403-SIDE');
  expect(await act(fund, k.id, 'report', { kind: 'answer', message: 'Corrigé ce matin.' }), 200);
  expect(await act(town, k.id, 'report', { kind: 'usage', message: '120 tarifs calculés.', fields: 'dossier.numero', calls: 120 }), 200);
  const open = JSON.parse((await send(`${platform.base}/api/contracts`)).text).items.find((x) => x.contract === k.contract);
  assert.match(open.uses[0].text, /120 tarifs/);
  await until('open', async () => (await read()).status === 200);
  const cut = expect(await act(town, k.id, 'report', { kind: 'usage', message: 'Aussi pour la cantine.', fields: 'dossier.numero dossier.personnes.nom' }), 200);
  assert.equal(cut.held_by, 'operator');
  const token = await machineToken(world, { client, scope: 'essai_lire' }).catch(() => null);
  if (token) assert.equal((await call(world, '/gw/essai/v1/ok', token)).status, 403);
  expect(await act(fund, k.id, 'resume'), 403, 'CTR-403-SIDE');
  const page = await send(`${platform.base}/conventions`, { headers: { accept: 'text/html' } });
  assert.ok(page.text.includes(text('contracts', 'state.suspended')));
  assert.match(page.text, /Aussi pour la cantine/);
  expect(await act(fund, k.id, 'revoke', { message: 'Hors convention.' }), 200);
});

test('a signed webhook makes, changes and revokes a contract; forged, old and repeated ones do not', { timeout: 90000 }, async () => {
  const secret = platform.must(['contract', 'hook', bodies.town, 'in']).trim();
  // The town is the provider here: its desk decides on the town's API, for another body.
  const partner = newClient(platform);
  platform.must(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id: 'tarifs', version: 'v1', org_id: bodies.town, title: { fr: 'Tarifs', en: 'Fees' }, summary: { fr: 'x', en: 'x' }, scope: 'tarifs_lire', origin: `http://127.0.0.1:${provider.port}`, prefix: '/p', methods: 'GET', circle: 3, fields: [{ path: 'total', label: { fr: 'Total', en: 'Total' }, sensitivity: 1 }, { path: 'interne', label: { fr: 'i', en: 'i' }, sensitivity: 3 }] }) });
  // A body that registered a key signs by itself: the desk's town drops out of this by using a fresh API owner.
  const post = (event, contract, { id = Math.random().toString(36).slice(2), at, sender = bodies.town, key = secret, more = {} } = {}) => {
    const body = JSON.stringify({ v: 1, id, event, contract: { id: 'DP-1', org_id: 'essai-demo', ...contract }, ...more });
    return send(`${platform.base}/api/contracts/webhook`, { method: 'POST', headers: hookHeaders(sender, key, body, at), body });
  };
  const said = { ...terms(partner.client_id, { api: 'tarifs', fields: 'total' }) };
  for (const [what, options] of [['another secret', { key: 'x' }], ['an old one', { at: Math.floor(Date.now() / 1000) - 900 }], ['an unknown sender', { sender: 'nobody' }]])
    assert.equal((await post('contract.validated', said, options)).status, 401, what);
  const missing = await post('contract.validated', said);
  assert.equal(missing.status, 409, 'the town has a key: its signature is needed');
  assert.equal(missing.json.code, 'CTR-409-SIGNATURE');
  assert.equal(platform.json(['contract', 'requests']).filter((x) => x.contract.endsWith('.DP-1') && x.state === 'validated').length, 0);
  // The other desk: of a body without a key.
  const desk = platform.must(['contract', 'hook', 'essai-demo', 'in']).trim();
  platform.must(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id: 'libre', version: 'v1', org_id: 'essai-demo', title: { fr: 'Libre', en: 'Free' }, summary: { fr: 'x', en: 'x' }, scope: 'libre_lire', origin: `http://127.0.0.1:${provider.port}`, prefix: '/p', methods: 'GET', circle: 3, fields: [{ path: 'total', label: { fr: 'Total', en: 'Total' }, sensitivity: 1 }, { path: 'interne', label: { fr: 'i', en: 'i' }, sensitivity: 3 }] }) });
  const libre = terms(partner.client_id, { api: 'libre', fields: 'total' });
  const by = { sender: 'essai-demo', key: desk };
  assert.equal((await post('contract.validated', said, by)).status, 403, 'another body’s API');
  const id = 'event-1';
  const made = await post('contract.validated', libre, { ...by, id });
  assert.equal(made.status, 200, made.text);
  assert.equal((await post('contract.validated', libre, { ...by, id })).status, 409, 'repeated');
  const get = async () => call(world, '/gw/libre/v1/ok', await machineToken(world, { client: partner, scope: 'libre_lire' }).catch(() => null));
  await until('open', async () => (await get()).status === 200);
  assert.equal((await post('contract.changed', { ...libre, fields: 'total?' }, by)).status, 200);
  await until('changed', async () => { const r = await get(); return r.status === 200 && JSON.stringify(r.json) === '{"total":true}'; });
  assert.equal((await post('contract.changed', { ...libre, fields: 'interne', impact_assessment: 'AIPD-1', officer_opinion: 'Favorable' }, by)).status, 403, 'sensitive, without a substantial sign-in at the desk');
  assert.equal((await post('contract.revoked', {}, { ...by, more: { message: 'Fin' } })).status, 200);
  await until('closed', async () => (await get()).status !== 200);
});

test('a body hears of its contracts by signed webhooks, tried again, replayed at will', { timeout: 90000 }, async () => {
  const heard = [];
  let fail = true;
  const server = createServer((rq, rs) => {
    let body = '';
    rq.on('data', (d) => { body += d; });
    rq.on('end', () => { heard.push({ headers: rq.headers, body }); rs.writeHead(fail ? 500 : 204).end(); });
  });
  await new Promise((done) => server.listen(platform.ownPort(1), '127.0.0.1', done));
  try {
    const secret = platform.must(['contract', 'hook', bodies.fund, 'out', `http://127.0.0.1:${server.address().port}/hook`]).trim();
    const { id } = await create();
    expect(await act(town, id, 'submit'), 200);
    const first = await until('told', () => heard[0]);
    const t = first.headers['x-socle-timestamp'];
    assert.equal(first.headers['x-hub-signature-256'], `sha256=${createHmac('sha256', secret).update(`${t}.${first.body}`).digest('hex')}`);
    const event = JSON.parse(first.body);
    assert.equal(event.event, 'contract.submitted');
    assert.equal(event.request, id);
    fail = false;
    await until('queued again', () => platform.command(['contract', 'replay', event.id]).code === 0);
    await until('told again', () => heard.length > 1 && JSON.parse(heard.at(-1).body).id === event.id);
    expect(await act(fund, id, 'refuse', { message: 'Pas de fondement.' }), 200);
  } finally { server.close(); }
});

test('[M022] the pages: asked at one site, decided at the other, in both languages', { timeout: 120000 }, async () => {
  const asker = await bodies.browser('town');
  await asker.follow(text('contracts', 'list.new'));
  await asker.press(text('contracts', 'form.save'), { api_version: 'essai/v1', client_id: client.client_id, fields: 'dossier.numero', 'purpose.fr': 'Calculer', 'legal_basis.fr': 'CRPA L114-8', recipients: '' });
  await asker.press(text('contracts', 'act.submit'));
  assert.equal(asker.page.status, 422);
  assert.ok(asker.text.includes(text('contracts', 'fault.recipients')), asker.text.slice(0, 1500));
  await asker.press(text('contracts', 'form.save'), { recipients: '99900000300015' });
  await asker.press(text('contracts', 'act.submit'));
  assert.ok(asker.text.includes(text('contracts', 'state.submitted')), asker.text.slice(0, 600));
  const id = /contrats\/([0-9A-Z]{26})/.exec(asker.page.url)[1];
  const decider = await bodies.browser('fund');
  await decider.go(`${bodies.fundUrl}/contrats/${id}?lang=en`);
  assert.ok(decider.text.includes(text('contracts', 'act.refuse', 'en')), decider.text.slice(0, 600));
  assert.ok(!decider.text.includes('['), 'no missing text');
  await decider.go(`${bodies.fundUrl}/contrats/${id}?lang=fr`);
  await decider.press(text('contracts', 'act.refuse'), { message: 'Le texte cité ne suffit <pas>.' });
  assert.ok(decider.text.includes('ne suffit <pas>'), 'said as written');
  const citizen = await send(`${world.townUrl}/contrats`, { headers: { accept: 'text/html' } });
  assert.equal(citizen.status, 303);
});

test('[F2.1.7] [P5.5.6] a reminder 30 days before the end, a yearly review list, an overdue report stops renewal, the end closes access', { timeout: 240000 }, async () => {
  const k = await signedGrant({ report_days: 300 });
  const days = async (n) => {
    await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(n * 86400 * 1000) } });
    ({ town, fund } = await bodies.sides());
  };
  await days(335);
  const reminded = await until('reminded', async () => { const r = expect(await town('GET', `${R}/${k.id}`), 200); return r.messages.some((m) => m.kind === 'remind') && r; });
  assert.equal(reminded.report_overdue, true);
  expect(await act(fund, k.id, 'renew'), 409, 'CTR-409-REPORT');
  expect(await act(town, k.id, 'report', { kind: 'usage', message: 'Tarifs de l’année.', fields: 'dossier.numero', calls: 9 }), 200);
  const renewed = expect(await act(fund, k.id, 'renew'), 200);
  assert.ok(renewed.ends_at > k.ends_at + 300 * 86400e3);
  const short = await signedGrant({ months: 1 });
  await days(335 + 366);
  const review = expect(await fund('GET', `${R}?state=review`), 200).items;
  assert.ok(review.some((x) => x.id === k.id));
  expect(await act(fund, k.id, 'review'), 200);
  assert.ok(!expect(await fund('GET', `${R}?state=review`), 200).items.some((x) => x.id === k.id));
  await until('ended', async () => expect(await town('GET', `${R}/${short.id}`), 200).state === 'archived');
});

test('[P5.1.4.a] a service outside the gateway keeps, checks and ends a consent; after a withdrawal it deletes, and the person reads it', { timeout: 120000 }, async () => {
  await platform.restart();
  const shop = newClient(platform), other = newClient(platform);
  const t = await tokensFor(world, world.citizen, { client: shop, scope: 'openid profile' });
  const sub = JSON.parse(Buffer.from(t.access_token.split('.')[1], 'base64url')).sub;
  const as = (k) => async (method, path, body) => {
    const r = await send(`${platform.base}${path}`, { method, headers: { authorization: `Basic ${Buffer.from(`${k.client_id}:${k.client_secret}`).toString('base64')}`, ...(body ? { 'content-type': 'application/json' } : {}) }, body: body ? JSON.stringify(body) : undefined });
    return { status: r.status, text: r.text, get json() { return JSON.parse(r.text); } };
  };
  const mine = as(shop), theirs = as(other);
  const said = { sub, fields: ['Adresse de livraison'], purpose: { fr: 'Livrer', en: 'Deliver' }, legal_basis: { fr: 'Accord', en: 'Consent' }, recipients: [other.client_id], duration_days: 30 };
  assert.equal((await as({ ...shop, client_secret: 'faux' })('POST', '/api/consents', said)).status, 401);
  expect(await theirs('POST', '/api/consents', said), 404, 'CNS-404-SUB');
  expect(await mine('POST', '/api/consents', { ...said, fields: [] }), 422, 'CNS-422-BODY');
  const given = expect(await mine('POST', '/api/consents', said), 201);
  assert.equal(JSON.parse(Buffer.from(given.receipt.split('.')[1], 'base64url')).event, 'given');
  assert.equal(expect(await mine('GET', `/api/consents/${given.id}`), 200).state, 'active');
  assert.equal((await theirs('GET', `/api/consents/${given.id}`)).status, 404, 'not another’s');
  assert.equal(expect(await mine('GET', `/api/consents?sub=${encodeURIComponent(sub)}`), 200).items.length, 1);
  // She finds it in her account, and withdraws it there.
  const she = t.person;
  await she.go(`${platform.base}/account/consents`);
  await walkSignIn(she, world.citizen);
  assert.ok(she.text.includes('Adresse de livraison'), she.text.slice(0, 1000));
  await she.go(`${platform.base}/account/consents/${given.id}/withdraw`);
  const f = forms(she.page.text).find((x) => x.action?.includes('/withdraw') || x.buttons.some((b) => /retire/i.test(b.text)));
  await she.press(f.buttons[0].text);
  assert.equal(expect(await mine('GET', `/api/consents/${given.id}`), 200).state, 'withdrawn');
  // Both who had the data are told, and say that they deleted.
  for (const k of [mine, theirs]) {
    const { items } = expect(await k('GET', '/api/consents/notices'), 200);
    assert.deepEqual(items.map((x) => x.consent), [given.id]);
  }
  expect(await theirs('POST', `/api/consents/notices/${given.id}/acknowledge`), 200);
  assert.equal((await theirs('POST', `/api/consents/notices/${given.id}/acknowledge`)).status, 404, 'once');
  await she.go(`${platform.base}/account/consents`);
  assert.ok(she.text.includes(text('account', 'consents.deleted')));
  assert.ok(she.text.includes(text('account', 'consents.told')));
  // A service may end it too.
  const again = expect(await mine('POST', '/api/consents', said), 201);
  assert.equal(JSON.parse(Buffer.from(expect(await mine('POST', `/api/consents/${again.id}/withdraw`), 200).receipt.split('.')[1], 'base64url')).event, 'withdrawn');
});
