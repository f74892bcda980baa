// Requests are held against the API's description before the provider is asked: what does not fit is
// refused with the name of the parameter and the rule, and never reaches it.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, sleep, until } from '../lib/platform.mjs';
import { newClient } from '../lib/provider.mjs';
import { World, call, machineToken } from '../lib/story.mjs';

let platform, world, provider, client, token, port, asked = 0;

const answers = { 200: { description: 'Les permis', content: { 'application/json': { schema: { $ref: '#/components/schemas/Permis' }, example: { total: 1 } } } }, 400: { description: 'Requête non valide' }, 401: { description: 'Jeton absent' }, 404: { description: 'Aucun permis' }, 429: { description: 'Trop de requêtes' }, 500: { description: 'Erreur' } };
const operation = (operationId, more) => ({ operationId, summary: 'Des permis', description: 'Des permis.', tags: ['permis'], responses: answers, ...more });
const description = (annee) => ({
  openapi: '3.0.3',
  info: { title: 'Permis', version: '1.0.0', description: 'Permis d’essai.', 'x-socle-id': 'permis', license: { name: 'Licence Ouverte 2.0', url: 'https://www.etalab.gouv.fr/licence-ouverte-open-licence' }, contact: { name: 'Essai', email: 'essai@example.fr' } },
  servers: [{ url: `http://127.0.0.1:${port}` }],
  security: [],
  tags: [{ name: 'permis', description: 'Permis' }],
  paths: {
    '/permis': {
      get: operation('listerPermis', { parameters: [
        { name: 'annee', in: 'query', required: true, description: 'Année', schema: annee, example: 2020 },
        { name: 'etat', in: 'query', description: 'État', schema: { type: 'string', enum: ['ouvert', 'clos'] }, example: 'ouvert' },
        { name: 'siret', in: 'query', description: 'SIRET', schema: { type: 'string', pattern: '^[0-9]{14}$' }, example: '99900600000015' },
        { name: 'zone', in: 'query', description: 'Zones', schema: { type: 'array', items: { type: 'string', maxLength: 3 } }, example: ['A'] },
      ] }),
      post: operation('deposerPermis', { requestBody: { required: true, content: { 'application/json': { schema: { $ref: '#/components/schemas/Depot' }, example: { nom: 'Essai', niveau: { haut: 2 } } } } } }),
    },
    '/permis/{numero}': { get: operation('lirePermis', { parameters: [{ name: 'numero', in: 'path', required: true, description: 'Numéro', schema: { type: 'integer', minimum: 1 }, example: 1 }] }) },
  },
  components: { schemas: {
    Permis: { type: 'object', properties: { total: { type: 'integer', description: 'Nombre', example: 1, 'x-socle-sensitivity': 'public' } } },
    Depot: { type: 'object', required: ['nom'], additionalProperties: false, properties: { nom: { type: 'string', description: 'Intitulé', 'x-socle-sensitivity': 'public', pattern: '^[A-Z]', example: 'Essai' }, niveau: { $ref: '#/components/schemas/Niveau' } } },
    Niveau: { type: 'object', description: 'Niveau', properties: { haut: { type: 'integer', description: 'Haut', example: 2 }, dessous: { $ref: '#/components/schemas/Niveau' } } },
  } },
});
const publish = (annee) => {
  const file = join(platform.folder, 'permis.json');
  writeFileSync(file, JSON.stringify(description(annee)));
  platform.must(['api', 'import', file, '--org', 'essai-demo', '--circle', '3']);
  return platform.json(['api', 'list']).find((x) => x.id === 'permis');
};

before(async () => {
  platform = await Platform.start({ args: ['--loops', '1'] });
  world = new World(platform);
  port = platform.ownPort(0);
  provider = createServer((rq, rs) => { asked++; rq.resume(); rs.writeHead(200, { 'content-type': 'application/json' }); rs.end('{"total":2}'); });
  await new Promise((done) => provider.listen(port, '127.0.0.1', done));
  client = newClient(platform);
  const v = publish({ type: 'integer', minimum: 1900 });
  platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: client.client_id, org_id: 'essai-demo', api: 'permis', version: v.version, fields: 'total', purpose: { fr: 'Instruire', en: 'Examine' }, legal_basis: { fr: 'Essai', en: 'Test' } }) });
  token = await machineToken(world, { client, scope: v.scope });
  await until('the gateway knows the description', async () => (await get('/permis')).status === 422);
}, { timeout: 120000 });
after(async () => {
  provider?.closeAllConnections?.();
  provider?.close();
  await platform?.destroy();
}, { timeout: 60000 });

const get = (path, options) => call(world, `/gw/permis/v1${path}`, token, options);
const passes = async (path, options) => {
  const r = await get(path, options);
  assert.equal(r.status, 200, `${path} ${r.text}`);
};
const refused = async (path, said, options) => {
  const before = asked, r = await get(path, options);
  assert.equal(r.status, 422, `${path} ${r.text}`);
  assert.equal(r.json.code, 'EXC-422-FIELD');
  assert.equal(`${r.json.in} ${r.json.field} ${r.json.rule}`, said, path);
  assert.equal(asked, before, 'the provider was not asked');
  return r;
};
const post = (body, type = 'application/json') => ({ method: 'POST', headers: { 'content-type': type }, body: typeof body === 'string' ? body : JSON.stringify(body) });

test('query parameters: required, typed, bounded, of a list, of a pattern', async () => {
  await passes('/permis?annee=2020&etat=ouvert&siret=99900600000015&inconnu=1');
  await refused('/permis', 'query annee required');
  await refused('/permis?annee=', 'query annee type');
  await refused('/permis?annee=deux', 'query annee type');
  await refused('/permis?annee=2020.5', 'query annee type');
  await refused('/permis?annee=1800', 'query annee minimum');
  await refused('/permis?annee=2020&etat=perdu', 'query etat enum');
  await refused('/permis?annee=2020&siret=123', 'query siret pattern');
  await refused('/permis?annee=2020&siret=9990060000001%0A', 'query siret pattern');
  await refused('/permis?annee=2020&ann%65e=2021', 'query annee repeated');
  await refused('/permis?annee=2020&etat=%FF', 'query etat type');
  await passes('/permis?annee=2020&zone=A&zone=B');
  await refused('/permis?annee=2020&zone=A&zone=longue', 'query zone maxLength');
});

test('path parameters; what the description does not name goes on as before', async () => {
  await passes('/permis/12');
  await refused('/permis/douze', 'path numero type');
  await refused('/permis/0', 'path numero minimum');
  await passes('/ailleurs?annee=deux');
});

test('a body: its media type, its schema through references, what is too long to be looked at', async () => {
  await passes('/permis', post({ nom: 'Essai', niveau: { haut: 1, dessous: { haut: 2 } } }));
  await refused('/permis', 'body body required', { method: 'POST' });
  await refused('/permis', 'header Content-Type mediaType', post('nom=Essai', 'application/x-www-form-urlencoded'));
  await refused('/permis', 'body body json', post('{"nom":'));
  await refused('/permis', 'body nom required', post({}));
  await refused('/permis', 'body nom pattern', post({ nom: 'essai' }));
  await refused('/permis', 'body niveau.dessous.haut type', post({ nom: 'E', niveau: { dessous: { haut: 'x' } } }));
  const r = await refused('/permis', 'body autre additionalProperties', post({ nom: 'E', autre: 'valeur-secrete' }));
  assert.ok(!r.text.includes('valeur-secrete'), 'places and rules, never values');
  await passes('/permis', post({ nom: `E${'x'.repeat(70000)}`, autre: 1 }));
});

test('a new description holds within moments; a route may do without', async () => {
  publish({ type: 'integer', minimum: 2000 });
  await until('the new minimum holds', async () => (await get('/permis?annee=1950')).status === 422);
  await passes('/permis?annee=2001');
  const v = platform.json(['api', 'list']).find((x) => x.id === 'permis');
  const declare = (gateway) => ({ input: JSON.stringify({ v: 1, id: 'permis', version: v.version, org_id: 'essai-demo', title: { fr: 'Permis', en: 'Permits' }, summary: { fr: 'P', en: 'P' }, scope: v.scope, origin: `http://127.0.0.1:${port}`, prefix: '', methods: 'GET POST', circle: 3, fields: [{ path: 'total', label: { fr: 'Total', en: 'Total' }, sensitivity: 0 }], gateway }) });
  assert.notEqual(platform.command(['api', 'put', '-'], declare({ requests: 'sometimes' })).code, 0);
  platform.must(['api', 'put', '-'], declare({ requests: 'unchecked' }));
  await until('nothing is held any more', async () => (await get('/permis')).status === 200);
});

test('refusals in API Entreprise’s format name the parameter', async () => {
  const v = platform.json(['api', 'list']).find((x) => x.id === 'permis');
  platform.must(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id: 'permis', version: v.version, org_id: 'essai-demo', title: { fr: 'Permis', en: 'Permits' }, summary: { fr: 'P', en: 'P' }, scope: v.scope, origin: `http://127.0.0.1:${port}`, prefix: '', methods: 'GET POST', circle: 3, fields: [{ path: 'total', label: { fr: 'Total', en: 'Total' }, sensitivity: 0 }], gateway: { errors: 'api-entreprise' } }) });
  const r = await until('it is held again', async () => { const x = await get('/permis'); return x.status === 422 && x; });
  assert.equal(r.json.errors[0].code, '00303');
  assert.equal(r.json.errors[0].source.parameter, 'annee');
});
