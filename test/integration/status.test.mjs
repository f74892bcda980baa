// How providers are doing: pinged by jobs, shown to everybody, told to those it concerns; reference
// sets beside what their bodies commit to.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, root, until } from '../lib/platform.mjs';
import { newClient } from '../lib/provider.mjs';
import { World } from '../lib/story.mjs';
import { send, words } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';
import { Bodies, expect } from '../lib/contracts.mjs';

const good = readFileSync(join(root, 'test/integration/samples/good.yaml'), 'utf8');
let platform, world, bodies, provider, listener, town, status = 200, modified = new Date(Date.now() - 2 * 86400e3);
const asked = [], heard = [];
before(async () => {
  platform = await Platform.start({ env: { SOCLE_PING_SECONDS: '1' } });
  world = new World(platform);
  bodies = new Bodies(platform, world);
  ({ town } = await bodies.sides());
  provider = createServer((rq, rs) => { asked.push(rq.url); if (status === 'hang') return; rs.writeHead(status, { 'content-type': 'application/json', 'last-modified': modified.toUTCString() }).end('{}'); });
  await new Promise((done) => provider.listen(platform.ownPort(0), '127.0.0.1', done));
  listener = createServer((rq, rs) => { let body = ''; rq.on('data', (d) => { body += d; }); rq.on('end', () => { heard.push(JSON.parse(body)); rs.writeHead(204).end(); }); });
  await new Promise((done) => listener.listen(platform.ownPort(1), '127.0.0.1', done));
  expect(await town('POST', '/api/hooks', { url: `http://127.0.0.1:${listener.address().port}/` }), 200);
  for (const [id, more] of [['communes', 'x-socle-health: /sante\n  x-socle-reference: {availability: 99.5, freshness-days: 7}\n  '], ['communes-lentes', 'x-socle-health: /sante\n  x-socle-reference: {availability: 99.5, freshness-days: 1}\n  ']]) {
    const file = join(platform.folder, 'description');
    writeFileSync(file, good.replace('x-socle-id: stationnement', `${more}x-socle-id: ${id}`).replace('x-socle-scope: stationnement', `x-socle-scope: ${id.replace('-', '_')}`));
    platform.must(['api', 'import', file, '--org', 'essai-demo', '--origin', `http://127.0.0.1:${provider.address().port}`]);
  }
  const client = newClient(platform, '--id', 'lecteur-etat');
  platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: client.client_id, org_id: bodies.town, api: 'communes', version: 'v1', fields: 'numero', purpose: { fr: 'P', en: 'P' }, legal_basis: { fr: 'L', en: 'L' } }) });
}, { timeout: 180000 });
after(async () => { provider?.closeAllConnections?.(); provider?.close(); listener?.close(); await platform?.destroy(); }, { timeout: 60000 });

const one = async (id = 'communes') => (await send(`${platform.base}/api/status`)).json.items.find((x) => x.api === id);
const page = async (path, lang = 'fr') => words((await send(`${platform.base}${path}?lang=${lang}`, { headers: { accept: 'text/html' } })).text);

test('[2.1.1.c2] each provider is pinged where its description says; state, figure and incidents are public', { timeout: 120000 }, async () => {
  const up = await until('it answers', async () => { const v = await one(); return v.state === 'up' && v; });
  assert.equal(up.availability, 10000);
  assert.ok(asked.includes('/sante'), 'the path the description names');
  status = 503;
  const down = await until('it does not', async () => { const v = await one(); return v.state === 'down' && v; });
  assert.ok(down.availability < 10000);
  assert.equal(down.incidents.length, 1);
  assert.equal(down.incidents[0].ended, 0);
  assert.equal(down.days.length, 90);
  assert.equal(down.days[0], -1, 'no figure before it was measured');
  for (const lang of ['fr', 'en']) assert.ok((await page('/etat', lang)).includes(text('catalogue', 'state.down', lang)));
  await until('the consumer heard', () => heard.some((h) => h.event === 'provider.down' && h.api === 'communes'));
  assert.ok(!heard.some((h) => h.api === 'communes-lentes'), 'and only what concerns it');
  status = 'hang';
  await until('a provider that hangs is asked again', () => { const n = asked.length; return new Promise((done) => setTimeout(() => done(asked.length > n), 1500)); });
  const others = await until('others are looked at meanwhile', async () => { const v = await one('famille'); return v?.state !== 'unknown' && v; });
  assert.notEqual(others.state, 'unknown');
  status = 200;
  const again = await until('it is back', async () => { const v = await one(); return v.state === 'up' && v; });
  assert.ok(again.incidents[0].ended > again.incidents[0].began);
  await until('told too', () => heard.some((h) => h.event === 'provider.up' && h.api === 'communes'));
});

test('[F2.1.8] reference sets: measured availability and freshness beside the commitment', { timeout: 60000 }, async () => {
  const list = async () => (await send(`${platform.base}/api/catalogue/references`)).json.items;
  const both = await until('both are measured', async () => { const l = await list(); return l.length === 2 && l.every((x) => x.reference.modified_at) && l; });
  const fresh = both.find((x) => x.api === 'communes').reference, old = both.find((x) => x.api === 'communes-lentes').reference;
  assert.deepEqual([fresh.availability_committed, fresh.freshness_committed, fresh.age_days, fresh.freshness_holds], [99.5, 7, 2, true]);
  assert.equal(old.freshness_holds, false, 'two days old, one promised');
  assert.equal(typeof fresh.availability_holds, 'boolean');
  for (const lang of ['fr', 'en']) {
    const p = await page('/referentiels', lang);
    for (const key of ['reference.holds', 'reference.fails', 'reference.measured']) assert.ok(p.includes(text('catalogue', key, lang)), `${key}: ${p.slice(0, 800)}`);
  }
  modified = new Date();
  await until('an update is seen', async () => (await list()).find((x) => x.api === 'communes-lentes').reference.freshness_holds === true);
});

test('neither a ping nor a webhook reaches inside where the settings do not allow it', { timeout: 120000 }, async () => {
  const closed = await Platform.start({ demo: false, env: { SOCLE_PING_SECONDS: '1' } });
  let reached = 0;
  const inside = createServer((rq, rs) => { reached++; rs.end('{}'); });
  try {
    await new Promise((done) => inside.listen(closed.ownPort(0), '127.0.0.1', done));
    const url = `http://127.0.0.1:${inside.address().port}`;
    closed.must(['org', 'put', 'un', '99900100100018', 'town', 'Un', 'One']);
    closed.must(['contract', 'hook', 'un', 'out', `${url}/hook`]);
    const file = join(closed.folder, 'description');
    writeFileSync(file, good);
    closed.must(['api', 'import', file, '--org', 'un', '--origin', url]);
    closed.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: 'x', org_id: 'un', api: 'stationnement', version: 'v1', fields: 'numero', purpose: { fr: 'P', en: 'P' }, legal_basis: { fr: 'L', en: 'L' } }) });
    await until('the ping was refused', async () => (await send(`${closed.base}/api/status`)).json.items[0]?.state === 'down');
    await until('and so was its event', () => /"event":"hook_not_delivered"/.test(closed.log()));
    assert.equal(reached, 0);
  } finally { inside.close(); await closed.destroy(); }
});
