// One vocabulary: two bodies that name and nest the same data otherwise are read alike; and what the
// catalogue publishes is what standard readers of linked data read.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import jsonld from 'jsonld';
import { Parser } from 'n3';
import { Platform, until } from '../lib/platform.mjs';
import { newClient } from '../lib/provider.mjs';
import { World, machineToken } from '../lib/story.mjs';
import { send, words } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';

// Two descriptions: one flat and in camel case, one nested and short, with a list.
const described = (id, schema, example) => JSON.stringify({ openapi: '3.0.3', info: { title: `Source ${id}`, version: '1.0.0', 'x-socle-id': id, 'x-socle-scope': id, 'x-socle-legal-basis': 'Article L. 114-8 du CRPA', 'x-socle-responsible': 'DSI', 'x-socle-retention': 'Un an', termsOfService: 'https://a.example/', 'x-socle-availability': '99 %', contact: { name: 'DSI', email: 'dsi@a.example' }, license: { name: 'Licence Ouverte 2.0', url: 'https://www.etalab.gouv.fr/licence-ouverte-open-licence/' } }, servers: [{ url: '/' }], security: [{ jeton: [] }],
  paths: { '/fiche': { get: { operationId: `lire-${id}`, summary: 'Lit', responses: { 200: { description: 'La fiche.', content: { 'application/json': { schema, example } } }, default: { description: 'Erreur', content: { 'application/problem+json': { schema: { type: 'object' } } } } } } } },
  components: { securitySchemes: { jeton: { type: 'http', scheme: 'bearer' } } } });
const field = (concept, title, sensitivity = 1) => ({ type: 'string', title, description: title, example: 'x', 'x-socle-concept': concept, 'x-socle-sensitivity': sensitivity });
const flat = { familyName: 'Durand', firstNames: 'Anne', zipCode: '44000', town: 'Nantes', internalRef: 'R1' };
const nested = { identite: { nf: 'Durand', pn: 'Anne' }, adresses: [{ cp: '44000', ville: 'Nantes' }, { cp: '35000', ville: 'Rennes' }] };
let platform, world, provider, client;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  provider = createServer((rq, rs) => { rs.setHeader('content-type', 'application/json'); rs.end(JSON.stringify(rq.url.startsWith('/a') ? flat : nested)); });
  await new Promise((done) => provider.listen(platform.ownPort(0), '127.0.0.1', done));
  const sources = {
    'source-a': [{ type: 'object', properties: { familyName: field('nom', 'Family name'), firstNames: field('prenom', 'First names'), zipCode: field('code-postal', 'Zip code', 0), town: field('commune', 'Town', 0), internalRef: field('reference-interne', 'Référence', 0) } }, flat],
    'source-b': [{ type: 'object', properties: { identite: { type: 'object', title: 'Identité', description: 'Identité', properties: { nf: field('nom', 'Nom'), pn: field('prenom', 'Prénom') } }, adresses: { type: 'array', title: 'Adresses', description: 'Adresses', items: { type: 'object', properties: { cp: field('code-postal', 'CP', 0), ville: field('commune', 'Ville', 0) } } } } }, nested],
  };
  client = newClient(platform, '--id', 'lecteur-vocabulaire');
  for (const [id, [schema, example]] of Object.entries(sources)) {
    const file = join(platform.folder, id);
    writeFileSync(file, described(id, schema, example));
    const r = platform.command(['api', 'import', file, '--org', 'essai-demo', '--origin', `http://127.0.0.1:${provider.address().port}`, '--json']);
    assert.equal(r.code, 0, r.stdout + r.stderr);
    platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: client.client_id, org_id: 'essai-demo', api: id, version: 'v1', fields: id === 'source-a' ? 'familyName firstNames zipCode town internalRef' : 'identite.nf identite.pn adresses', purpose: { fr: 'P', en: 'P' }, legal_basis: { fr: 'L', en: 'L' } }) });
  }
}, { timeout: 180000 });
after(async () => { provider?.close(); await platform?.destroy(); }, { timeout: 60000 });

const json = async (path) => { const r = await send(`${platform.base}${path}`); assert.equal(r.status, 200, `${path}: ${r.text}`); return r.json; };
async function read(id, path) {
  return until(`${id} is read`, async () => {
    const token = await machineToken(world, { client, scope: id }).catch(() => null);
    const r = token && await send(`${platform.base}/api/vocabulary/${id}/v1/${path}`, { headers: { authorization: `Bearer ${token}` } });
    return r && r.status === 200 && r;
  });
}

test('[P5.5.2] two sources with different field names are read through one vocabulary', { timeout: 60000 }, async () => {
  const a = (await read('source-a', 'a/fiche')).json, b = (await read('source-b', 'b/fiche')).json;
  for (const k of ['nom', 'prenom']) assert.equal(a[k], b[k], k);
  assert.equal(a.nom, 'Durand');
  assert.equal(a['code-postal'], '44000');
  assert.deepEqual(b.adresses.map((x) => x['code-postal']), ['44000', '35000']);
  assert.ok(!('familyName' in a) && !JSON.stringify(b).includes('"nf"'));
  // The same by a JSON-LD reader, from the sources' own answers and the contexts that are published.
  const expanded = [];
  for (const [id, own] of [['source-a', flat], ['source-b', nested]]) {
    const context = (await json(`/catalogue/${id}/v1/context.jsonld`))['@context'];
    expanded.push((await jsonld.expand({ '@context': context, ...own }))[0]);
  }
  const nom = `${platform.base}/vocabulaire#nom`, cp = `${platform.base}/vocabulaire#code-postal`;
  assert.equal(expanded[0][nom][0]['@value'], 'Durand');
  const inner = Object.values(expanded[1]).flat();
  assert.ok(inner.some((x) => x[nom]?.[0]['@value'] === 'Durand'), JSON.stringify(expanded[1]));
  assert.deepEqual(inner.filter((x) => x[cp]).map((x) => x[cp][0]['@value']), ['44000', '35000']);
});

test('the gateway still decides: no token, no contract, no field beyond it', { timeout: 60000 }, async () => {
  assert.equal((await send(`${platform.base}/api/vocabulary/source-a/v1/a/fiche`)).status, 401);
  assert.equal((await send(`${platform.base}/api/vocabulary/nulle/v1/x`)).status, 404);
  const token = await machineToken(world, { client, scope: 'source-a' });
  assert.equal((await send(`${platform.base}/api/vocabulary/source-b/v1/b/fiche`, { headers: { authorization: `Bearer ${token}` } })).status, 403);
});

test('[P5.5.2] one definition for each concept, the mapping of each source, found by a source’s own name', { timeout: 60000 }, async () => {
  const { items } = await json('/api/vocabulary');
  const cp = items.find((x) => x.id === 'code-postal');
  assert.equal(cp.same_as, 'http://www.w3.org/ns/locn#postCode');
  assert.ok(cp.meaning.fr);
  const names = cp.producers.filter((p) => p.api.startsWith('source-')).map((p) => p.path).sort();
  assert.deepEqual(names, ['adresses.cp', 'zipCode']);
  platform.must(['api', 'concept', (() => { const f = join(platform.folder, 'concept.json'); writeFileSync(f, JSON.stringify({ id: 'reference-interne', label: { fr: 'Référence interne', en: 'Internal reference' }, meaning: { fr: 'Le numéro que l’organisme donne.', en: 'The number the body gives.' } })); return f; })()]);
  for (const lang of ['fr', 'en']) {
    const found = words((await send(`${platform.base}/vocabulaire?champ=zipCode&lang=${lang}`, { headers: { accept: 'text/html' } })).text);
    assert.ok(found.includes('code-postal') && found.includes('adresses.cp') && !found.includes('reference-interne'), found.slice(0, 600));
    const none = words((await send(`${platform.base}/vocabulaire?champ=nexistepas&lang=${lang}`, { headers: { accept: 'text/html' } })).text);
    assert.ok(none.includes(text('catalogue', 'vocabulary.none.title', lang)));
  }
  assert.ok(words((await send(`${platform.base}/donnees/reference-interne?lang=fr`)).text).includes('Le numéro que l’organisme donne.'));
});

// N-Quads by one library, read by another.
async function quads(path) {
  const doc = await json(path);
  return new Parser({ format: 'N-Quads' }).parse(await jsonld.toRDF(doc, { format: 'application/n-quads' }));
}

test('the vocabulary is SKOS: each concept with a label in both languages and a scheme; each field an exact match', { timeout: 60000 }, async () => {
  const q = await quads('/vocabulaire.jsonld'), skos = 'http://www.w3.org/2004/02/skos/core#';
  const type = 'http://www.w3.org/1999/02/22-rdf-syntax-ns#type';
  const concepts = q.filter((x) => x.predicate.value === type && x.object.value === `${skos}Concept`).map((x) => x.subject.value);
  assert.ok(concepts.length > 5);
  for (const c of concepts) {
    const of = (p) => q.filter((x) => x.subject.value === c && x.predicate.value === skos + p);
    assert.deepEqual(of('prefLabel').map((x) => x.object.language).sort(), ['en', 'fr'], c);
    assert.equal(of('inScheme').length, 1, c);
  }
  const match = q.find((x) => x.subject.value.endsWith('/catalogue/source-a/v1#zipCode') && x.predicate.value === `${skos}exactMatch`);
  assert.equal(match.object.value, `${platform.base}/vocabulaire#code-postal`);
});

test('DCAT-AP: a reader of RDF harvests the catalogue, and every node has what the profile asks', { timeout: 60000 }, async () => {
  const q = await quads('/catalogue.jsonld');
  const ns = { dcat: 'http://www.w3.org/ns/dcat#', dct: 'http://purl.org/dc/terms/', rdf: 'http://www.w3.org/1999/02/22-rdf-syntax-ns#', foaf: 'http://xmlns.com/foaf/0.1/' };
  const iri = (s) => s.replace(/^(\w+):/, (_, p) => ns[p]);
  const of = (s, p) => q.filter((x) => x.subject.value === s && x.predicate.value === iri(p)).map((x) => x.object);
  const all = (t) => q.filter((x) => x.predicate.value === iri('rdf:type') && x.object.value === iri(t)).map((x) => x.subject.value);
  // What DCAT-AP 3 makes mandatory, with the kind of value it must be.
  const musts = { 'dcat:Catalog': { 'dct:title': 'Literal', 'dct:description': 'Literal', 'dct:publisher': 'IRI' }, 'dcat:Dataset': { 'dct:title': 'Literal', 'dct:description': 'Literal', 'dct:publisher': 'IRI', 'dcat:distribution': 'any' }, 'dcat:Distribution': { 'dcat:accessURL': 'IRI' }, 'dcat:DataService': { 'dct:title': 'Literal', 'dcat:endpointURL': 'IRI', 'dcat:servesDataset': 'IRI' }, 'foaf:Agent': { 'foaf:name': 'Literal' } };
  for (const [t, props] of Object.entries(musts)) {
    const nodes = all(t);
    assert.ok(nodes.length, `a ${t}`);
    for (const n of nodes) for (const [p, kind] of Object.entries(props)) {
      const values = of(n, p);
      assert.ok(values.length, `${t} ${n} has ${p}`);
      if (kind === 'Literal') assert.ok(values.every((v) => v.termType === 'Literal' && v.value), `${n} ${p}`);
      if (kind === 'IRI') assert.ok(values.every((v) => v.termType === 'NamedNode'), `${n} ${p}: ${values.map((v) => v.value)}`);
    }
  }
  const datasets = new Set(all('dcat:Dataset'));
  for (const c of all('dcat:Catalog')) for (const d of of(c, 'dcat:dataset')) assert.ok(datasets.has(d.value), d.value);
  for (const d of datasets) assert.ok(of(d, 'dct:modified').every((v) => v.datatype.value === 'http://www.w3.org/2001/XMLSchema#dateTime' && !Number.isNaN(Date.parse(v.value))), d);
});
