// A software vendor acts for the bodies that use its product: each declares it, the vendor accepts,
// either ends it; every call names the body it is made for.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { Platform, until } from '../lib/platform.mjs';
import { Provider, publish, newClient } from '../lib/provider.mjs';
import { World, call, machineToken } from '../lib/story.mjs';
import { send } from '../lib/http.mjs';
import { entries } from '../lib/journal.mjs';
import { text } from '../lib/text.mjs';
import { Bodies, expect, hookHeaders, terms } from '../lib/contracts.mjs';

const TOWN = '99900000300015', D = '/api/contracts/delegations';
let platform, world, provider, bodies, town, vendor, client;
const heard = [];
let server, secret;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  bodies = new Bodies(platform, world);
  provider = await Provider.start(platform.ownPort(0));
  publish(platform, { client: newClient(platform), port: provider.port });
  ({ town, fund: vendor } = await bodies.sides()); // the fund is the vendor here, the town its client
  client = platform.json(['client', 'add', '--name', 'Logiciel', '--redirect-uri', 'http://localhost:3000/callback', '--org', bodies.fund]);
  server = createServer((rq, rs) => {
    let body = '';
    rq.on('data', (d) => { body += d; });
    rq.on('end', () => { heard.push({ headers: rq.headers, body, event: JSON.parse(body) }); rs.writeHead(204).end(); });
  });
  await new Promise((done) => server.listen(platform.ownPort(1), '127.0.0.1', done));
  // Each side sets its own address, by the API.
  secret = expect(await vendor('POST', '/api/hooks', { url: `http://127.0.0.1:${server.address().port}/hook` }), 200).secret;
  // The provider's own desk grants the vendor its contract.
  const desk = platform.must(['contract', 'hook', 'essai-demo', 'in']).trim();
  const body = JSON.stringify({ v: 1, id: 'grant-1', event: 'contract.validated', contract: { id: 'V-1', org_id: bodies.fund, ...terms(client.client_id, { fields: 'total', recipients: '', for_clients: true }) } });
  const r = await send(`${platform.base}/api/contracts/webhook`, { method: 'POST', headers: hookHeaders('essai-demo', desk, body), body });
  assert.equal(r.status, 200, r.text);
}, { timeout: 180000 });
after(async () => { server?.close(); await provider?.stop(); await platform?.destroy(); }, { timeout: 60000 });

const forWhom = async (recipient) => {
  const token = await machineToken(world, { client, scope: 'essai_lire' });
  return call(world, '/gw/essai/v1/ok', token, { headers: { 'socle-context': 'Instruction', 'socle-object': 'Tarif 12', 'socle-recipient': recipient } });
};

test('a vendor calls for a body only while that body’s delegation holds, and the journal names both', { timeout: 120000 }, async () => {
  await until('the contract is known', async () => { const t = await machineToken(world, { client, scope: 'essai_lire' }).catch(() => null); return t && JSON.parse(Buffer.from(t.split('.')[1], 'base64url')).grants?.length; });
  assert.equal((await forWhom(TOWN)).status, 403, 'nobody delegated yet');
  assert.equal((await forWhom('*')).status, 403);
  const { id } = expect(await town('POST', D, { vendor: '99900100100018', api: 'essai' }), 201);
  assert.equal((await forWhom(TOWN)).status, 403, 'declared is not accepted');
  expect(await town('POST', `${D}/${id}/accept`), 403, 'CTR-403-SIDE');
  expect(await vendor('POST', `${D}/${id}/accept`), 200);
  const open = await until('open', async () => { const r = await forWhom(TOWN); return r.status === 200 && r; });
  assert.deepEqual(open.json, { total: 2 });
  assert.equal((await forWhom('99900500200012')).status, 403, 'another body');
  assert.equal((await forWhom(`${TOWN} x`)).status, 403);
  const decision = await until('the decision is sealed', () => entries(platform.journalFolder).find((e) => e.kind === 'exchange.decision' && e.for === TOWN));
  assert.equal(decision.client, client.client_id, 'and the vendor’s client');
  const at = Date.now();
  expect(await town('POST', `${D}/${id}/end`), 200);
  await until('refused', async () => (await forWhom(TOWN)).status === 403, { timeoutMs: 10000 });
  console.log(`figure: delegation ended, refused after ${Date.now() - at} ms`);
  expect(await vendor('POST', `${D}/${id}/accept`), 409, 'CTR-409-STATE');
  const kinds = entries(platform.journalFolder).map((e) => e.kind).filter((k) => k.startsWith('delegation.'));
  assert.deepEqual(kinds, ['delegation.declared', 'delegation.accepted', 'delegation.ended']);
});

test('a delegation says whom and how long; wrong, repeated and strange ones are refused', { timeout: 60000 }, async () => {
  for (const body of [{ vendor: '12345678901234' }, { vendor: TOWN }, { vendor: '' }, { vendor: '99900100100018', months: 0 }, { vendor: '99900100100018', months: 61 }, { vendor: '99900100100018', api: 'a b' }])
    expect(await town('POST', D, body), 422, 'CTR-422-VENDOR');
  const { id } = expect(await town('POST', D, { vendor: '99900100100018' }), 201);
  expect(await town('POST', D, { vendor: '99900100100018' }), 409, 'CTR-409-STATE');
  expect(await town('POST', `${D}/${id}/invent`), 404);
  expect(await vendor('POST', `${D}/${id}/end`), 200);
  expect(await vendor('POST', `${D}/${id}/end`), 409, 'CTR-409-STATE');
  const mine = expect(await town('GET', D), 200).items.find((x) => x.id === id);
  assert.deepEqual([mine.side, mine.state, mine.actions], ['client', 'ended', []]);
  assert.equal((await send(`${world.townUrl}${D}`)).status, 401);
});

test('the vendor hears of it, signed, and has it sent again', { timeout: 60000 }, async () => {
  const first = await until('told', () => heard.find((h) => h.event.event === 'delegation.declared'));
  const t = first.headers['x-socle-timestamp'];
  assert.equal(first.headers['x-hub-signature-256'], `sha256=${createHmac('sha256', secret).update(`${t}.${first.body}`).digest('hex')}`);
  assert.equal(first.event.vendor, bodies.fund);
  const { items } = expect(await vendor('GET', '/api/hooks/deliveries'), 200);
  assert.ok(items.some((x) => x.id === first.event.id && x.state === 'delivered'));
  const n = heard.length;
  expect(await vendor('POST', `/api/hooks/deliveries/${first.event.id}/replay`), 200);
  await until('again', () => heard.slice(n).some((h) => h.event.id === first.event.id));
  assert.equal((await town('POST', `/api/hooks/deliveries/${first.event.id}/replay`)).status, 404, 'another’s');
  expect(await town('POST', '/api/hooks', { url: 'file:///etc/passwd' }), 422, 'SOC-422-HOOK');
  expect(await vendor('POST', '/api/hooks', { url: '' }), 200);
  assert.equal(expect(await vendor('GET', '/api/hooks'), 200).url, '');
});

test('the pages: declared at one site, accepted at the other', { timeout: 60000 }, async () => {
  const asker = await bodies.browser('town');
  await asker.go(`${world.townUrl}/contrats/delegations`);
  await asker.press(text('contracts', 'delegation.declare'), { vendor: '123', api: '', months: '' });
  assert.equal(asker.page.status, 422);
  assert.ok(asker.text.includes(text('contracts', 'delegation.wrong')));
  await asker.press(text('contracts', 'delegation.declare'), { vendor: '99900100100018', api: 'essai', months: '6' });
  assert.ok(asker.text.includes(text('contracts', 'delegation.state.declared')), asker.text.slice(0, 600));
  const decider = await bodies.browser('fund');
  await decider.go(`${bodies.fundUrl}/contrats/delegations?lang=en`);
  await decider.press(text('contracts', 'delegation.act.accept', 'en'));
  assert.ok(decider.text.includes(text('contracts', 'delegation.state.active', 'en')));
  await until('open', async () => (await forWhom(TOWN)).status === 200);
  await decider.go(`${bodies.fundUrl}/agent/evenements`);
  assert.equal(decider.page.status, 200);
});
