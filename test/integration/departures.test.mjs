// What a producer is told of its own API: answers that are not as its description says, in its news
// and at its address; and the state of its breaker after the gateway began anew.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, root, until } from '../lib/platform.mjs';
import { newClient, publish } from '../lib/provider.mjs';
import { World, call, machineToken } from '../lib/story.mjs';
import { Bodies, expect } from '../lib/contracts.mjs';

const good = readFileSync(join(root, 'test/integration/samples/good.yaml'), 'utf8');
let platform, world, bodies, fund, provider, listener, version, answer = { numero: 'A-7' };
const heard = [];
before(async () => {
  platform = await Platform.start({ args: ['--loops', '1'] });
  world = new World(platform);
  bodies = new Bodies(platform, world);
  ({ fund } = await bodies.sides());
  provider = createServer((rq, rs) => { if (rq.url.startsWith('/p/casse')) { rs.writeHead(500).end(); return; } rs.setHeader('content-type', 'application/json'); rs.end(JSON.stringify(answer)); });
  await new Promise((done) => provider.listen(platform.ownPort(0), '127.0.0.1', done));
  listener = createServer((rq, rs) => { let body = ''; rq.on('data', (d) => { body += d; }); rq.on('end', () => { heard.push(JSON.parse(body)); rs.writeHead(204).end(); }); });
  await new Promise((done) => listener.listen(platform.ownPort(1), '127.0.0.1', done));
  expect(await fund('POST', '/api/hooks', { url: `http://127.0.0.1:${listener.address().port}/evenements` }), 200);
  const file = join(platform.folder, 'description');
  writeFileSync(file, good);
  platform.must(['api', 'import', file, '--org', bodies.fund, '--origin', `http://127.0.0.1:${provider.address().port}`]);
  version = platform.json(['api', 'list']).find((x) => x.id === 'stationnement').version;
}, { timeout: 180000 });
after(async () => {
  for (const s of [provider, listener]) { s?.closeAllConnections?.(); s?.close(); }
  await platform?.destroy();
}, { timeout: 60000 });

test('[P5.5.5] an answer that departs from its description is told to the producer, by place and rule', async () => {
  const client = newClient(platform);
  platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: client.client_id, org_id: bodies.town, api: 'stationnement', version, fields: 'numero', purpose: { fr: 'Lire', en: 'Read' }, legal_basis: { fr: 'Essai', en: 'Test' } }) });
  const token = await machineToken(world, { client, scope: 'stationnement' });
  answer = { numero: { valeur: 'valeur-secrete' } };
  await until('it is let through', async () => (await call(world, `/gw/stationnement/${version}/cartes/A-7`, token)).status === 200);
  const told = await until('the producer hears of it', () => heard.find((h) => h.event === 'catalogue.departed'));
  assert.deepEqual([told.api, told.version], ['stationnement', version]);
  assert.ok(told.items.some((d) => d.path === 'numero' && d.rule === 'type'), JSON.stringify(told));
  assert.ok(!JSON.stringify(told).includes('valeur-secrete'), 'never the value');
  const news = expect(await fund('GET', '/api/catalogue/news'), 200).items;
  const mine = news.filter((n) => n.kind === 'departed');
  assert.equal(mine.length, 1);
  assert.equal(mine[0].url, `/agent/suivi/stationnement/${version}`);
});

test('a breaker that was open is shown closed once the gateway has begun anew, which it is', async () => {
  const client = newClient(platform);
  publish(platform, { client, id: 'casse', port: provider.address().port, fields: 'total', api: { gateway: { breaker: { calls: 2, percent: 50, open_s: 600 } } } });
  const token = await machineToken(world, { client, scope: 'casse_lire' });
  const state = () => platform.json(['api', 'status', 'casse', 'v1'])[0].breaker.state;
  await until('the breaker opens', async () => (await call(world, '/gw/casse/v1/casse', token)).json?.code === 'EXC-503-BREAKER');
  await until('its owner sees it', () => state() === 'open');
  platform.kill('web');
  await until('it is shown closed', () => state() === 'closed');
});
