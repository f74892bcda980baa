// What consumers read beside the data: versions that end, traces, refusals in the format their tools
// know; and what producers read of answers that are not as described.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, sleep, until } from '../lib/platform.mjs';
import { newClient, publish } from '../lib/provider.mjs';
import { World, call, machineToken } from '../lib/story.mjs';

let platform, world, provider, client, token, port;
let answer = { total: 2 }, last;

const description = (version) => ({
  openapi: '3.0.3',
  info: { title: 'Mesures', version, description: 'Mesures d’essai.', 'x-socle-id': 'mesures', license: { name: 'Licence Ouverte 2.0', url: 'https://www.etalab.gouv.fr/licence-ouverte-open-licence' }, contact: { name: 'Essai', email: 'essai@example.fr' } },
  servers: [{ url: `http://127.0.0.1:${port}` }],
  security: [],
  paths: { '/releves': { get: { operationId: 'lireReleves', summary: 'Lire les relevés', description: 'Les relevés.', tags: ['releves'], responses: { 200: { description: 'Les relevés', content: { 'application/json': { schema: { $ref: '#/components/schemas/Releves' }, example: { total: 1, lieux: [{ station: 'Nantes' }] } } } }, 400: { description: 'Requête non valide' }, 401: { description: 'Jeton absent' }, 404: { description: 'Aucun relevé' }, 429: { description: 'Trop de requêtes' }, 500: { description: 'Erreur' } } } } },
  tags: [{ name: 'releves', description: 'Relevés' }],
  components: { schemas: { Releves: { type: 'object', required: ['total'], properties: { total: { type: 'integer', description: 'Nombre de relevés', example: 1, 'x-socle-sensitivity': 0 }, lieux: { type: 'array', description: 'Lieux', items: { type: 'object', properties: { station: { type: 'string', description: 'Station', example: 'Nantes', 'x-socle-sensitivity': 0 } } } } } } } },
});

before(async () => {
  platform = await Platform.start({ args: ['--loops', '1'] });
  world = new World(platform);
  port = platform.ownPort(0);
  provider = createServer((rq, rs) => { last = rq; rs.writeHead(200, { 'content-type': 'application/json' }); rs.end(JSON.stringify(answer)); });
  await new Promise((done) => provider.listen(port, '127.0.0.1', done));
  client = newClient(platform);
  publish(platform, { client, id: 'finit', port, fields: 'total', api: { deprecated_at: Date.UTC(2026, 0, 1), sunset_at: Date.UTC(2027, 5, 30) } });
  publish(platform, { client, id: 'entreprise', port, fields: 'total', api: { gateway: { errors: 'api-entreprise' } }, contract: { purpose_needed: true, quota_per_minute: 10, recipients: '99900600000015' } });
  const file = join(platform.folder, 'mesures.json');
  writeFileSync(file, JSON.stringify(description('1.0.0')));
  platform.must(['api', 'import', file, '--org', 'essai-demo', '--circle', '3']);
  const v = platform.json(['api', 'list']).find((x) => x.id === 'mesures');
  platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: client.client_id, org_id: 'essai-demo', api: 'mesures', version: v.version, fields: 'total', purpose: { fr: 'Mesurer', en: 'Measure' }, legal_basis: { fr: 'Essai', en: 'Test' } }) });
  token = await machineToken(world, { client, scope: `finit_lire entreprise_lire ${v.scope}` });
  await sleep(500);
}, { timeout: 120000 });
after(async () => {
  provider?.closeAllConnections?.();
  provider?.close();
  await platform?.destroy();
}, { timeout: 60000 });
const get = (path, options) => call(world, path, token, options);

test('a version that ends says so on each answer: Deprecation (RFC 9745), Sunset (RFC 8594)', async () => {
  const r = await get('/gw/finit/v1/x');
  assert.equal(r.status, 200, r.text);
  assert.equal(r.headers.deprecation, `@${Date.UTC(2026, 0, 1) / 1000}`);
  assert.equal(Date.parse(r.headers.sunset), Date.UTC(2027, 5, 30));
  const other = await get('/gw/entreprise/v1/x', { headers: { 'Socle-Context': 'a', 'Socle-Object': 'b', 'Socle-Recipient': '99900600000015' } });
  assert.equal(other.status, 200, other.text);
  assert.equal(other.headers.deprecation, undefined);
});

test('W3C trace context: the caller’s trace goes on to the provider and comes back', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const r = await get('/gw/finit/v1/x', { headers: { traceparent: `00-${trace}-00f067aa0ba902b7-01` } });
  assert.equal(r.headers.traceparent.split('-')[1], trace);
  assert.match(last.headers.traceparent, new RegExp(`^00-${trace}-[0-9a-f]{16}-0[01]$`));
  assert.notEqual(last.headers.traceparent.split('-')[2], '00f067aa0ba902b7');
});

test('refusals in API Entreprise’s format, where the API says so', async () => {
  const purpose = { 'Socle-Context': 'marche', 'Socle-Object': 'lot 3', 'Socle-Recipient': '99900600000015' };
  const said = (r, status, code) => {
    assert.equal(r.status, status, r.text);
    assert.match(r.headers['content-type'], /^application\/json/);
    const [e] = r.json.errors;
    assert.deepEqual(Object.keys(e), ['code', 'title', 'detail', 'source', 'meta']);
    assert.equal(e.code, code);
    return e;
  };
  let e = said(await get('/gw/entreprise/v1/x', { headers: { 'Socle-Context': 'a' } }), 400, '00201');
  assert.equal(e.source.parameter, 'object');
  said(await get('/gw/entreprise/v1/x', { headers: { ...purpose, 'Socle-Recipient': '1' } }), 403, '00203');
  said(await call(world, '/gw/entreprise/v1/x', ''), 401, '00101');
  let r;
  for (let i = 0; i < 15 && r?.status !== 429; i++) r = await get('/gw/entreprise/v1/x', { headers: purpose });
  e = said(r, 429, '00429');
  assert.ok(e.meta.retry_in >= 1 && Number(r.headers['retry-after']) === e.meta.retry_in);
  assert.ok(Number(r.headers['ratelimit-limit']) === 10 && r.headers['ratelimit-remaining'] === '0');
});

test('[P5.5.5] answers are compared with the description; what departs is counted and told to the producer', async () => {
  const v = platform.json(['api', 'list']).find((x) => x.id === 'mesures');
  platform.must(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id: 'mesures', version: v.version, org_id: 'essai-demo', title: { fr: 'Mesures', en: 'Measures' }, summary: { fr: 'M', en: 'M' }, scope: v.scope, origin: `http://127.0.0.1:${port}`, prefix: '', methods: 'GET', circle: 3, fields: [{ path: 'total', label: { fr: 'Total', en: 'Total' }, sensitivity: 0 }], gateway: { sample: 1 } }) });
  await sleep(1200);
  const ask = async (body) => { answer = body; const r = await get(`/gw/mesures/${v.version}/releves`); assert.equal(r.status, 200, r.text); };
  await ask({ total: 2, lieux: [{ station: 'Lyon' }] });
  await ask({ total: 3 });
  await ask({ total: 'valeur-secrete', lieux: [{ station: 7 }] });
  const s = await until('the three are judged', () => { const x = platform.json(['api', 'status', 'mesures', v.version])[0]; return x.today.sampled === 3 && x; });
  assert.equal(s.today.departures, 1);
  assert.deepEqual(s.departures.map((d) => `${d.path} ${d.rule}`).sort(), ['lieux.station type', 'total type']);
  assert.ok(!JSON.stringify(s).includes('valeur-secrete'), 'places and rules, never values');
});
