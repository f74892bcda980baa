// Private operators: what they read under which agreement is public, what they declare is compared
// with what the gateway counted, and a breach cuts their access.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Platform, until } from '../lib/platform.mjs';
import { Provider } from '../lib/provider.mjs';
import { World, call, machineToken } from '../lib/story.mjs';
import { send, words } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';
import { Bodies, expect, terms } from '../lib/contracts.mjs';

const R = '/api/contracts/requests';
let platform, world, provider, bodies, town, operator, client, contract;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  bodies = new Bodies(platform, world);
  provider = await Provider.start(platform.ownPort(0));
  // The town provides; the other body is a private operator for this test.
  platform.must(['org', 'put', bodies.fund, '99900100100018', 'private', 'Opérateur d’essai', 'Test operator']);
  platform.must(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id: 'essai', version: 'v1', org_id: bodies.town, title: { fr: 'Essai', en: 'Test' }, summary: { fr: 'x', en: 'x' }, scope: 'essai_lire', origin: `http://127.0.0.1:${provider.port}`, prefix: '/p', methods: 'GET', circle: 3, fields: ['dossier.numero', 'dossier.personnes.nom', 'total'].map((path) => ({ path, label: { fr: `Le champ ${path}`, en: path }, sensitivity: 1 })) }) });
  client = platform.json(['client', 'add', '--name', 'Opérateur', '--redirect-uri', 'http://localhost:3000/callback', '--org', bodies.fund]);
  ({ town, fund: operator } = await bodies.sides());
}, { timeout: 180000 });
after(async () => { await provider?.stop(); await platform?.destroy(); }, { timeout: 60000 });

const act = (side, id, action, body = {}) => side('POST', `${R}/${id}/${action}`, body);
const read = async (token) => call(world, '/gw/essai/v1/ok', token);
const shown = async () => JSON.parse((await send(`${platform.base}/api/contracts`)).text).items.find((x) => x.contract === contract.contract);
const counted = async (n) => until(`${n} calls are counted`, async () => { const k = await shown(); return k.counted.delivered >= n && k; });
async function calls(n) {
  const token = await machineToken(world, { client, scope: 'essai_lire' });
  for (let i = 0; i < n; i++) assert.equal((await read(token)).status, 200);
}

test('[5.7.b] a partner gets only the agreed data, its uses are public, and suspension stops it at once', { timeout: 90000 }, async () => {
  const { id } = expect(await operator('POST', R, terms(client.client_id, { fields: 'total', report_days: 90 })), 201);
  expect(await act(operator, id, 'submit'), 200);
  contract = expect(await act(town, id, 'validate'), 200);
  const token = await until('a token with the grant', async () => { const t = await machineToken(world, { client, scope: 'essai_lire' }).catch(() => null); return t && (await read(t)).status === 200 && t; });
  assert.deepEqual((await read(token)).json, { total: 2 }, 'and nothing else of what the provider answers');
  const k = await counted(1);
  assert.deepEqual([k.private, k.fields.map((f) => f.name)], [true, ['total']]);
  const page = words((await send(`${platform.base}/conventions?lang=fr`, { headers: { accept: 'text/html' } })).text);
  for (const w of [text('contracts', 'public.private'), 'Opérateur d’essai', 'Calculer un tarif', 'Le champ total', 'La passerelle a compté']) assert.ok(page.includes(w), `${w}: ${page.slice(0, 900)}`);
  const at = Date.now();
  expect(await act(town, id, 'suspend', { message: 'Contrôle.' }), 200);
  await until('refused', async () => (await read(token)).status === 403, { timeoutMs: 10000 });
  console.log(`figure: partner suspended, refused after ${Date.now() - at} ms`);
  assert.equal((await shown()).suspended, true);
  expect(await act(town, id, 'resume'), 200);
  await until('passes again', async () => (await read(token)).status === 200);
});

test('[P8.1.3] the use an operator declares is compared with the contract and with the count; a breach cuts access', { timeout: 120000 }, async () => {
  await calls(40);
  const before = (await counted(41)).counted.delivered;
  // Honest: the count is within a tenth.
  const fair = expect(await act(operator, contract.id, 'report', { kind: 'usage', message: 'Simulations du mois.', fields: 'total', calls: before - 2 }), 200);
  assert.equal(fair.held_by, '');
  const use = (await shown()).uses[0];
  assert.ok(use.calls === before - 2 && use.counted >= before, JSON.stringify(use));
  // Far less than what was read.
  await calls(40);
  await counted(before + 40);
  const cut = expect(await act(operator, contract.id, 'report', { kind: 'usage', message: 'Presque rien.', fields: 'total', calls: 3 }), 200);
  assert.equal(cut.held_by, 'operator');
  const token = await machineToken(world, { client, scope: 'essai_lire' }).catch(() => null);
  if (token) assert.equal((await read(token)).status, 403);
  assert.match(cut.messages.at(-1).text, /comptés|counted/);
  for (const side of [operator, town]) expect(await act(side, contract.id, 'resume'), 403, 'CTR-403-SIDE');
  for (const lang of ['fr', 'en']) {
    const page = words((await send(`${platform.base}/conventions?lang=${lang}`, { headers: { accept: 'text/html' } })).text);
    assert.ok(page.includes(text('contracts', 'state.suspended', lang)) && page.includes('Presque rien.'), page.slice(0, 900));
  }
});

test('[P8.1.3] a use beyond the agreed fields cuts access, whoever declares it', { timeout: 60000 }, async () => {
  const { id } = expect(await operator('POST', R, terms(client.client_id, { fields: 'total' })), 201);
  expect(await act(operator, id, 'submit'), 200);
  expect(await act(town, id, 'validate'), 200);
  const cut = expect(await act(operator, id, 'report', { kind: 'usage', message: 'Noms aussi.', fields: 'total dossier.personnes.nom', calls: 0 }), 200);
  assert.equal(cut.held_by, 'operator');
  assert.match(cut.messages.at(-1).text, /dossier\.personnes\.nom/);
});
