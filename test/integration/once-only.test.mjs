// Once only: what the State holds is shown with its source, no paper is asked; and a form that would
// ask for it all the same is flagged before it is published.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, until } from '../lib/platform.mjs';
import { Provider } from '../lib/provider.mjs';
import { World, call, machineToken, openProcedure } from '../lib/story.mjs';
import { forms, send, words } from '../lib/http.mjs';
import { pattern, text } from '../lib/text.mjs';
import { Bodies, expect, terms } from '../lib/contracts.mjs';

let platform, world, bodies;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  bodies = new Bodies(platform, world);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

test('[F2.1.6] [2.1.1.c] in the demonstration’s procedure, what other bodies hold is prefilled with its source, and no paper is asked', { timeout: 120000 }, async () => {
  const client = await openProcedure(world, world.citizen);
  await client.press(text('procedures', 'start.button'));
  const next = text('platform', 'action.continue'), seen = [];
  for (let i = 0; i < 8; i++) {
    const html = client.page.text;
    seen.push(html);
    assert.ok(!/type="file"/.test(html), `no paper is asked on ${client.page.url}`);
    const f = forms(html).find((x) => x.buttons.some((b) => b.text === next));
    if (!f) break;
    const typed = {};
    for (const [k, v] of f.fields) if (v === '' && k !== 'csrf') typed[k] = /\.day$/.test(k) ? '14' : /\.month$/.test(k) ? '11' : /\.year$/.test(k) ? '2026' : /commune/.test(k) ? 'Nantes' : /voie/.test(k) ? '8 rue de Strasbourg' : '';
    for (const [k, values] of Object.entries(f.choices)) if (!f.fields.some(([n, v]) => n === k && v)) typed[k] = values.find((v) => v);
    await client.press(next, typed);
  }
  const all = seen.map(words).join(' ');
  const sourced = all.match(new RegExp(pattern('platform', 'field.source').source, 'g')) ?? [];
  assert.ok(sourced.length >= 4, `fields with their source: ${sourced.length}`);
  assert.match(all, /MARTIN/);
  for (const body of ['famille', 'fiscale']) assert.ok(sourced.join(' ').toLowerCase().includes(body), `${body} in ${[...new Set(sourced)].join(' | ').slice(0, 600)}`);
});

test('a form that asks for what the catalogue can supply is flagged, with the contract request filled in', { timeout: 60000 }, async () => {
  const field = (name, fr, en, more = {}) => ({ name, type: 'text', label: { fr, en }, ...more });
  const form = { v: 1, title: { fr: 'Carte de bibliothèque', en: 'Library card' }, steps: [{ id: 'a', fields: [field('cp', 'Votre code postal', 'Your postcode'), field('titre', 'Titre du livre', 'Title of the book'), field('nom', 'Nom de naissance', 'Birth name', { from: { claim: 'family_name' } })] }] };
  const over = await send(`${world.townUrl}/api/catalogue/once-only`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(form) });
  assert.equal(over.status, 200, over.text);
  assert.equal(over.json.holds, false);
  assert.deepEqual(over.json.items.map((x) => [x.field, x.datum.id]), [['cp', 'code-postal']], 'what is asked, and neither what is filled in nor what nobody holds');
  const source = over.json.items[0].sources[0];
  assert.match(source.request.url, /^\/contrats\/nouveau\?api=/);
  const file = join(platform.folder, 'form.json');
  writeFileSync(file, JSON.stringify(form));
  assert.equal(platform.command(['api', 'once-only', file]).code, 1, 'a build stops');
  const bad = await send(`${world.townUrl}/api/catalogue/once-only`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' });
  assert.deepEqual([bad.status, bad.json.code], [422, 'CAT-422-FORM']);
  // An agent pastes it, and follows the link: the request is half written.
  const agent = await bodies.browser('town');
  await agent.go(`${world.townUrl}/une-seule-fois`);
  await agent.press(text('catalogue', 'once.button'), { form: JSON.stringify(form) });
  assert.ok(agent.text.includes(text('catalogue', 'once.found')), agent.text.slice(0, 500));
  await agent.go(`${world.townUrl}${source.request.url}`);
  const f = forms(agent.page.text).find((x) => x.fields.some(([k]) => k === 'fields'));
  assert.equal(Object.fromEntries(f.fields).fields.trim(), source.path);
  assert.equal(Object.fromEntries(f.fields)['purpose.fr'].trim(), 'Carte de bibliothèque');
});

test('a contract is free or has a price: the month’s calls are counted, and stated for both sides', { timeout: 90000 }, async () => {
  const R = '/api/contracts/requests', { town, fund } = await bodies.sides();
  const provider = await Provider.start(platform.ownPort(0));
  try {
    platform.must(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id: 'essai', version: 'v1', org_id: bodies.fund, title: { fr: 'Essai', en: 'Test' }, summary: { fr: 'x', en: 'x' }, scope: 'essai_lire', origin: `http://127.0.0.1:${provider.port}`, prefix: '/p', methods: 'GET', circle: 3, fields: [{ path: 'total', label: { fr: 'Total', en: 'Total' }, sensitivity: 0 }] }) });
    const client = platform.json(['client', 'add', '--name', 'Payeur', '--redirect-uri', 'http://localhost:3000/x', '--org', bodies.town]);
    const { id } = expect(await town('POST', R, terms(client.client_id, { fields: 'total', price_per_1000: 500 })), 201);
    expect(await town('POST', `${R}/${id}/submit`, {}), 200);
    assert.match(platform.must(['contract', 'text', id]), /"price_per_1000":500/, 'the price is in what both sides sign');
    expect(await fund('POST', `${R}/${id}/validate`, {}), 200);
    const token = await until('a token', async () => { const t = await machineToken(world, { client, scope: 'essai_lire' }).catch(() => null); return t && (await call(world, '/gw/essai/v1/ok', t)).status === 200 && t; });
    for (let i = 0; i < 9; i++) assert.equal((await call(world, '/gw/essai/v1/ok', token)).status, 200);
    const mine = await until('ten calls are counted', async () => { const s = expect(await town('GET', `${R}/${id}/statement`), 200); return s.delivered >= 10 && s; });
    assert.deepEqual([mine.delivered, mine.price_per_1000, mine.amount_cents, mine.currency], [10, 500, 5, 'EUR']);
    assert.deepEqual(expect(await fund('GET', `${R}/${id}/statement`), 200), mine, 'the same for both');
    assert.equal(expect(await town('GET', `${R}/${id}/statement?month=2020-01`), 200).delivered, 0);
    expect(await town('GET', `${R}/${id}/statement?month=2020-13`), 422, 'CTR-422-TERMS');
    const agent = await bodies.browser('town');
    await agent.go(`${world.townUrl}/contrats/${id}/releve`);
    assert.match(agent.page.text, /^day,delivered,refused,bytes\r\n\d{4}-\d\d-\d\d,10,0,\d+\r\ntotal,10,0,\r\nprice_per_1000_cents,500,,\r\namount_cents,5,,\r\n$/);
    await agent.go(`${world.townUrl}/contrats/${id}`);
    assert.ok(agent.text.includes(text('contracts', 'one.statement')) && agent.text.includes('5,00'));
  } finally { await provider.stop(); }
});
