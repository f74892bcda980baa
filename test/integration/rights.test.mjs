// The daily work on rights of access, by script: a reminder 30 days before the end, a suspension that
// holds within seconds, a yearly list of what to review; told by webhook and by mail.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { Platform, until } from '../lib/platform.mjs';
import { Provider } from '../lib/provider.mjs';
import { SmtpSink } from '../lib/smtp.mjs';
import { World, call, machineToken } from '../lib/story.mjs';
import { text } from '../lib/text.mjs';
import { Bodies, expect, terms } from '../lib/contracts.mjs';

const R = '/api/contracts/requests', DAY = 86400e3;
let platform, world, bodies, town, fund, provider, sink, listener, client, contract;
const heard = [];
before(async () => {
  sink = await SmtpSink.start();
  platform = await Platform.start({ env: { SOCLE_MAIL_RELAY: sink.url, SOCLE_MAIL_FROM: 'socle@etat.example' } });
  world = new World(platform);
  bodies = new Bodies(platform, world);
  provider = await Provider.start(platform.ownPort(0));
  listener = createServer((rq, rs) => { let body = ''; rq.on('data', (d) => { body += d; }); rq.on('end', () => { heard.push(JSON.parse(body)); rs.writeHead(204).end(); }); });
  await new Promise((done) => listener.listen(platform.ownPort(1), '127.0.0.1', done));
  ({ town, fund } = await bodies.sides());
  expect(await town('POST', '/api/hooks', { url: `http://127.0.0.1:${listener.address().port}/` }), 200);
  expect(await town('POST', '/api/hooks/mail', { address: 'conventions@nantes.example' }), 200);
  expect(await town('POST', '/api/hooks/mail', { address: 'a@b\r\nBcc: x@y.example' }), 422, 'SOC-422-HOOK');
  platform.must(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id: 'essai', version: 'v1', org_id: bodies.fund, title: { fr: 'Essai', en: 'Test' }, summary: { fr: 'x', en: 'x' }, scope: 'essai_lire', origin: `http://127.0.0.1:${provider.port}`, prefix: '/p', methods: 'GET', circle: 3, fields: [{ path: 'total', label: { fr: 'Total', en: 'Total' }, sensitivity: 0 }] }) });
  client = platform.json(['client', 'add', '--name', 'Droits', '--redirect-uri', 'http://localhost:3000/x', '--org', bodies.town]);
}, { timeout: 180000 });
after(async () => { listener?.close(); await provider?.stop(); await sink?.stop(); await platform?.destroy(); }, { timeout: 60000 });

const act = (side, action, body = {}) => side('POST', `${R}/${contract.id}/${action}`, body);
async function days(n) {
  await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(n * DAY) } });
  ({ town, fund } = await bodies.sides());
}
const mailed = (subject) => until(`a mail: ${subject}`, () => sink.mails.map((m) => m.mail ?? m).find((m) => m.subject?.includes(subject)), { timeoutMs: 30000 });

test('[F2.1.7] granted, suspended within seconds, let go on', { timeout: 90000 }, async () => {
  const { id } = expect(await town('POST', R, terms(client.client_id, { fields: 'total', months: 24 })), 201);
  contract = { id };
  expect(await act(town, 'submit'), 200);
  contract = expect(await act(fund, 'validate'), 200);
  const token = await until('a token', async () => { const t = await machineToken(world, { client, scope: 'essai_lire' }).catch(() => null); return t && (await call(world, '/gw/essai/v1/ok', t)).status === 200 && t; });
  const at = Date.now();
  expect(await act(fund, 'suspend', { message: 'Contrôle.' }), 200);
  await until('refused', async () => (await call(world, '/gw/essai/v1/ok', token)).status === 403, { timeoutMs: 5000 });
  console.log(`figure: suspended by script, refused after ${Date.now() - at} ms`);
  await until('told', () => heard.some((h) => h.event === 'contract.suspended' && h.held_by === 'provider'));
  expect(await act(fund, 'resume'), 200);
});

test('[F2.1.7] the yearly review: listed for the provider, told to both sides, done once', { timeout: 120000 }, async () => {
  await days(366);
  const list = async () => expect(await fund('GET', `${R}?state=review`), 200).items.map((x) => x.id);
  assert.deepEqual(await list(), [contract.id]);
  await until('told', () => heard.some((h) => h.event === 'contract.review_due' && h.request === contract.id));
  const mail = await mailed('revue annuelle');
  assert.match(mail.text, new RegExp(`mairie\\.localhost:\\d+/contrats/${contract.id}`), 'with the page to act on');
  assert.match(expect(await town('GET', `${R}/${contract.id}`), 200).messages.map((m) => m.kind).join(' '), /review_due/);
  const agent = await bodies.browser('town');
  await agent.go(`${world.townUrl}/contrats/${contract.id}`);
  assert.ok(agent.text.includes(text('contracts', 'event.review_due')));
  expect(await act(fund, 'review'), 200);
  assert.deepEqual(await list(), []);
});

test('[F2.1.7] 30 days before the end: one reminder, to each side, by webhook and by mail; renewed, it goes on', { timeout: 120000 }, async () => {
  await days(24 * 30 - 29);
  await until('told', () => heard.some((h) => h.event === 'contract.reminder' && h.request === contract.id));
  const mail = await mailed('prend fin le');
  assert.match(mail.headers.to, /conventions@nantes\.example/);
  const before = expect(await fund('GET', `${R}/${contract.id}`), 200);
  assert.equal(before.messages.filter((m) => m.kind === 'remind').length, 1);
  const renewed = expect(await act(fund, 'renew'), 200);
  assert.ok(renewed.ends_at > before.ends_at + 600 * DAY);
  assert.equal(heard.filter((h) => h.event === 'contract.reminder').length, 1, 'once');
});
