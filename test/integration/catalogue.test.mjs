// The catalogue: a body publishes an OpenAPI description, and everything else follows from it.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, root, until } from '../lib/platform.mjs';
import { World, call, machineToken, tokensFor } from '../lib/story.mjs';
import { send, words } from '../lib/http.mjs';
import { entries } from '../lib/journal.mjs';

const sample = (name) => join(root, 'test/integration/samples', name);
const good = readFileSync(sample('good.yaml'), 'utf8');
let platform, world, provider, origin;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  origin = `http://127.0.0.1:${platform.ownPort(1)}`;
  provider = createServer((rq, rs) => {
    rs.setHeader('content-type', 'application/json');
    rs.end(JSON.stringify({ numero: 'A-7', titulaire: { nom: 'Durand' }, code_postal: '44000', fin: null }));
  }).listen(platform.ownPort(1), '127.0.0.1');
}, { timeout: 180000 });
after(async () => { provider?.close(); await platform?.destroy(); }, { timeout: 60000 });

const get = (path) => send(`${platform.base}${path}`);
const json = async (path) => { const r = await get(path); assert.equal(r.status, 200, `${path}: ${r.text}`); return r.json; };
const file = (name, text) => { const p = join(platform.folder, name); writeFileSync(p, text); return p; };
const imported = (text, args = []) => {
  const r = platform.command(['api', 'import', file('description', text), '--org', 'ville-de-nantes-demo', '--origin', origin, '--json', ...args]);
  return { code: r.code, ...JSON.parse(r.stdout || '{}'), stderr: r.stderr };
};
const contractPut = (terms) => platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, purpose: { fr: 'Vérifier', en: 'Check' }, legal_basis: { fr: 'Article L. 114-8 du CRPA', en: 'Article L. 114-8 CRPA' }, ...terms }) }).trim();

test('[2.1.4.a] the rules on one good and one bad description: each failed rule with its name, its line and its page', async () => {
  const fine = platform.json(['api', 'check', sample('good.yaml')]);
  assert.deepEqual([fine.valid, fine.errors, fine.warnings], [true, 0, 0], JSON.stringify(fine.findings));
  const r = platform.command(['api', 'check', sample('bad.yaml'), '--json']);
  assert.equal(r.code, 1);
  const report = JSON.parse(r.stdout);
  const at = new Map([...report.findings].reverse().map((f) => [f.rule, f])); // the first of each
  for (const [rule, line] of [['responses', 31], ['references', 28], ['references-inside', 40], ['types', 39], ['security-defined', 22], ['version-number', 4], ['https', 6], ['no-secret-in-address', 12], ['personal-data-marked', 37], ['licence', 2], ['contact', 2]]) {
    assert.ok(at.has(rule), `${rule} of ${[...at.keys()]}`);
    assert.equal(at.get(rule).line, line, rule);
    assert.equal(at.get(rule).severity, 'error', rule);
  }
  assert.deepEqual([...new Set(report.findings.map((f) => f.topic))].sort(), ['legal', 'operation', 'privacy', 'responsibility', 'security', 'technical'], 'every topic');
  for (const lang of ['fr', 'en']) {
    for (const { url } of at.values()) {
      const page = await send(`${url}?lang=${lang}`);
      assert.equal(page.status, 200, url);
      assert.ok(!words(page.text).includes('['), `${url}: no text is missing`);
    }
  }
  assert.equal((await get('/doctrine/no-such-rule')).status, 404);
  const over = await send(`${platform.base}/api/catalogue/check`, { method: 'POST', headers: { 'content-type': 'application/yaml' }, body: readFileSync(sample('bad.yaml')) });
  assert.deepEqual(over.json.findings.map((f) => f.rule), report.findings.map((f) => f.rule), 'the same over the API');
});

test('[2.1.1.c2] an invalid file is refused with the line at fault, and nothing is published', async () => {
  const before = (await json('/api/catalogue/apis')).items.length;
  for (const [text, line, rule] of [
    ['openapi: 3.0.3\ninfo:\n  title: X\n title: Y\n', 4, 'document'],
    ['{"openapi": "3.0.3",\n "info": {"title": "X",}}', 2, 'document'],
    ['openapi: 2.0\ninfo: {title: X, version: "1.0"}\npaths: {}\n', 1, 'openapi-version'],
    [good.replace('get:\n      operationId: lireCarte', 'get:\n      responses: {}\n    put:\n      operationId: lireCarte'), good.split('\n').findIndex((l) => l.includes('operationId: lireCarte')) + 1, 'responses'],
    ['- a\n', 1, 'document'], ['', 1, 'document'], ['\u0000', 1, 'document'],
  ]) {
    const r = imported(text);
    assert.equal(r.code, 1, text.slice(0, 60));
    assert.equal(r.published, false);
    const f = r.report.findings.find((x) => x.rule === rule);
    assert.ok(f, `${rule}: ${JSON.stringify(r.report.findings)}`);
    assert.equal(f.line, line, `${rule}: ${JSON.stringify(f)}`);
  }
  assert.equal((await json('/api/catalogue/apis')).items.length, before);
});

test('[2.1.1.c2] [F2.1.4] one import: listed, found, documented, versioned, with circle, owner and availability', async () => {
  const r = imported(good);
  assert.equal(r.code, 0, JSON.stringify(r));
  assert.equal(`${r.api}/${r.version}`, 'stationnement/v1');
  const one = await json('/api/catalogue/apis/stationnement/v1');
  assert.equal(one.provider.id, 'ville-de-nantes-demo');
  const found = await json('/api/catalogue/search?q=carte+stationement');
  assert.equal(found.apis[0].id, 'stationnement', 'found with a slip of the finger');
  for (const [lang, say] of [['fr', ['Cartes de stationnement', 'Partenaires', 'Ville de Nantes', 'Jours ouvrés, 99 %', 'Numéro de la carte', 'Personnelle', 'lecture et écriture']], ['en', ['Parking cards', 'Partners', 'City of Nantes', 'read and write']]]) {
    const page = await get(`/catalogue/stationnement/v1?lang=${lang}`);
    assert.equal(page.status, 200);
    for (const w of say) assert.ok(words(page.text).includes(w), `${lang}: ${w}`);
  }
  assert.equal((await get('/catalogue/stationnement/v1/description')).text, good, 'the file itself, byte for byte');
  const second = imported(good.replace('version: 1.2.0', 'version: 2.0.0'));
  assert.equal(second.version, 'v2');
  const old = imported(good.replace('x-socle-id:', 'x-socle-deprecated: true\n  x-socle-sunset: "2027-06-30"\n  x-socle-id:'));
  assert.equal(old.code, 0, JSON.stringify(old));
  const page = words((await get('/catalogue/stationnement/v1?lang=fr')).text);
  assert.ok(page.includes('30 juin 2027'), 'the day it ends');
  assert.match((await get('/catalogue/stationnement')).text, /href="\/catalogue\/stationnement\/v1"[^]*href="\/catalogue\/stationnement\/v2"/, 'side by side');
});

test('an API is its body’s: another cannot take its name, and a body publishes its own over the API', { timeout: 60000 }, async () => {
  const { access_token: token } = await tokensFor(world, world.agent, { client: world.town, scope: 'openid given_name usual_name uid siret email', extra: { realm: 'agents' } });
  const post = (body, headers = {}) => send(`${world.townUrl}/api/catalogue/apis?origin=${encodeURIComponent(origin)}`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/yaml', ...headers }, body });
  const mine = await post(good.replaceAll('x-socle-id: stationnement', 'x-socle-id: stationnement-bis').replace('x-socle-scope: stationnement', 'x-socle-scope: stationnement_bis'));
  assert.equal(mine.status, 201, mine.text);
  assert.equal(mine.json.published, true);
  const theirs = await post(good.replace('x-socle-id: stationnement', 'x-socle-id: famille'));
  assert.equal(theirs.status, 403, theirs.text);
  assert.equal(theirs.json.code, 'CAT-403-PUBLISH');
  const wrong = await post(readFileSync(sample('bad.yaml')));
  assert.equal(wrong.status, 422);
  assert.equal(wrong.json.code, 'CAT-422-DESCRIPTION');
  assert.ok(wrong.json.report.findings.length > 10);
  assert.equal((await post(good, { authorization: 'Bearer x' })).status, 401);
  const { access_token: hers } = await tokensFor(world, world.citizen, { client: world.town, scope: 'openid profile' });
  assert.equal((await post(good, { authorization: `Bearer ${hers}` })).status, 403, 'a citizen publishes nothing');
});

test('the sandbox answers from the examples, with the contract’s filter, and refuses as the gateway does', async () => {
  const at = (path, o) => send(`${platform.base}/sandbox/stationnement/v2${path}`, o);
  assert.deepEqual((await at('/cartes/A-1')).json.titulaire, { nom: 'Martin', naissance: '2026-01-31' });
  assert.equal((await at('/cartes')).status, 422, 'zone is required');
  assert.ok(Array.isArray((await at('/cartes?zone=centre')).json));
  assert.equal((await at('/cartes', { method: 'POST', body: '{}' })).status, 201);
  assert.equal((await at('/nowhere')).json.code, 'CAT-404-PATH');
  assert.equal((await at('/cartes/A-1', { method: 'DELETE' })).json.code, 'EXC-405-METHOD');
  assert.equal((await send(`${platform.base}/sandbox/none/v1/x`)).json.code, 'EXC-404-ROUTE');
  const missing = await at('/cartes/A-1', { headers: { prefer: 'code=404' } });
  assert.deepEqual([missing.status, missing.headers['content-type'], missing.json.title], [404, 'application/problem+json', 'Not Found']);
  const id = contractPut({ client_id: 'socle-essai', org_id: 'essai-demo', api: 'stationnement', version: 'v2', fields: 'numero fin' });
  const cut = await at('/cartes/A-1', { headers: { 'socle-contract': id } });
  assert.deepEqual(Object.keys(cut.json).sort(), ['fin', 'numero'], 'only the contract’s fields');
  assert.equal((await at('/cartes/A-1?contract=mairie-famille')).json.code, 'EXC-403-CONTRACT', 'another API’s contract');
});

test('the samples run as they stand: curl, C, Python, Node', { timeout: 120000 }, async () => {
  const page = (await get('/catalogue/stationnement/v2?lang=en')).text;
  const decode = (s) => s.replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&');
  const samples = [...page.matchAll(/<details><summary>([^<]+)<\/summary>[^]*?<pre><code>([^]*?)<\/code><\/pre>/g)].map((m) => [m[1], decode(m[2])]);
  assert.equal(samples.length, 12, 'three operations in four languages');
  const runs = {
    curl: (code) => ['sh', ['-c', code]],
    Python: (code) => ['python3', ['-c', code]],
    'Node.js': (code) => ['node', ['--input-type=module', '-e', code]],
    'C (libcurl)': (code) => ['sh', ['-c', `cc -o ${platform.folder}/call ${file('call.c', code)} -lcurl && ${platform.folder}/call`]],
  };
  const ran = new Set();
  for (const [name, code] of samples) {
    const [program, args] = runs[name](code);
    const needs = name === 'curl' ? 'curl' : name.startsWith('C ') ? 'cc' : program;
    if (spawnSync('sh', ['-c', `command -v ${needs}`]).status !== 0) continue;
    const r = spawnSync(program, args, { encoding: 'utf8', timeout: 60000 });
    assert.equal(r.status, 0, `${name}: ${r.stderr}\n${code}`);
    assert.match(r.stdout, /"numero"/, name);
    ran.add(name);
  }
  assert.ok(ran.has('Node.js'));
});

test('[P5.5.4] a datum once, whoever holds it: meaning, format, producers, ways, law, and calls counted by the gateway', { timeout: 60000 }, async () => {
  const datum = async (id) => (await json('/api/catalogue/data')).items.find((x) => x.id === id);
  const postcode = await datum('code-postal');
  assert.deepEqual(postcode.producers.map((p) => p.provider.id).filter((x, i, all) => all.indexOf(x) === i).sort(), ['impots-demo', 'ville-de-nantes-demo'], 'two bodies, one word');
  const before = await datum('nom-du-titulaire');
  const mine = before.producers.find((p) => p.version === 'v2');
  assert.deepEqual([mine.read, mine.write, before.type, before.sensitivity], [true, true, 'string', 1]);
  assert.match(mine.legal_basis.fr, /L\. 2213-2/);
  const client = platform.json(['client', 'add', '--name', 'Compteur', '--redirect-uri', 'http://localhost:3000/x', '--org', 'essai-demo', '--id', 'compteur']);
  contractPut({ client_id: 'compteur', org_id: 'essai-demo', api: 'stationnement', version: 'v2', fields: 'numero titulaire.nom' });
  const token = await until('a token with the grant', async () => {
    const t = await machineToken(world, { client: { client_id: 'compteur', client_secret: client.client_secret }, scope: 'stationnement' });
    return (await call(world, '/gw/stationnement/v2/cartes/A-7', t)).status === 200 && t;
  });
  const answer = await call(world, '/gw/stationnement/v2/cartes/A-7', token);
  assert.deepEqual(answer.json, { numero: 'A-7', titulaire: { nom: 'Durand' } });
  const counted = await until('the gateway’s count', async () => {
    const now = await datum('nom-du-titulaire');
    return now.delivered >= before.delivered + 2 && now;
  });
  assert.ok(counted.delivered_30 >= 2);
  const page = words((await get('/donnees/nom-du-titulaire?lang=fr')).text);
  for (const w of ['Nom du titulaire', 'Personnelle', 'Ville de Nantes', 'L. 2213-2', 'lecture, écriture']) assert.ok(page.includes(w), `${w}: ${page.slice(0, 500)}`);
});

test('[P5.2.6] a route nobody documented is reported, and is not public', async () => {
  platform.must(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id: 'cachee', version: 'v1', org_id: 'impots-demo', title: { fr: 'Cachée', en: 'Hidden' }, scope: 'cachee', origin, fields: [] }) });
  assert.equal((await get('/catalogue/cachee')).status, 404);
  assert.ok(!(await json('/api/catalogue/apis')).items.some((a) => a.id === 'cachee'));
  assert.ok(!(await get('/catalogue.jsonld')).text.includes('cachee'));
  assert.match(platform.must(['api', 'list']), /cachee\/v1.*not documented/);
});

test('[P8.3.4] old and new systems stand in one list, with the same members', async () => {
  const { items } = await json('/api/catalogue/apis');
  const old = items.find((a) => a.adapter === 'xml'), fresh = items.find((a) => a.id === 'famille');
  assert.ok(old && fresh);
  assert.deepEqual(Object.keys(old).sort(), Object.keys(fresh).sort());
  const page = words((await get('/catalogue?lang=fr')).text);
  assert.ok(page.includes('Système ancien, par un adaptateur') && page.includes('Interface propre'));
});

test('[P5.4.2] a private body provides no core or common service, and consumes all the same', async () => {
  const text = good.replace('x-socle-id: stationnement', 'x-socle-id: prive').replace('x-socle-scope: stationnement', 'x-socle-scope: prive');
  const as = (circle) => platform.command(['api', 'import', file('private', text), '--org', 'essai-demo', '--origin', origin, '--circle', circle, '--json']);
  for (const circle of ['1', '2']) {
    const r = JSON.parse(as(circle).stdout);
    assert.equal(r.published, false);
    assert.equal(r.refused.rule, 'circle');
  }
  assert.equal(as('3').code, 0);
  assert.ok(contractPut({ client_id: 'socle-essai', org_id: 'essai-demo', api: 'famille', version: 'v1', fields: 'date_mise_a_jour' }), 'as a consumer');
  const put = platform.command(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id: 'prive2', version: 'v1', org_id: 'essai-demo', circle: 1, title: { fr: 'P', en: 'P' }, scope: 'prive2', origin, fields: [] }) });
  assert.equal(put.code, 1, 'nor by a bare declaration');
});

test('[F2.1.4] the second circle asks for its evidence', async () => {
  const poor = good.replace('x-socle-id: stationnement', 'x-socle-id: pauvre').replace('x-socle-scope: stationnement', 'x-socle-scope: pauvre').replace(/ {2}x-socle-availability: .*\n/, '').replace(/ {2}termsOfService: .*\n/, '');
  const r = imported(poor, ['--circle', '2']);
  assert.equal(r.published, false);
  assert.deepEqual(r.refused.missing.sort(), ['availability', 'terms']);
  assert.equal(imported(poor).published, true, 'a partner may');
  const moved = JSON.parse(platform.command(['api', 'circle', 'pauvre', '2', '--reason', 'essai', '--json']).stdout);
  assert.equal(moved.done, false);
});

test('[F2.1.5] enough subscribers raise a proposal; acceptance changes circle and history, with a trace', { timeout: 120000 }, async () => {
  for (let i = 0; i < 5; i++) {
    const org = `abonne-${i}`, siret = ['99900700000013', '99900300000015', '99900100100018', '99900200900010', '99900500200012'][i];
    platform.command(['org', 'put', org, siret, 'town', `Abonné ${i}`]);
    contractPut({ client_id: 'socle-essai', org_id: org, api: 'stationnement', version: 'v2', fields: 'numero' });
  }
  await until('the proposal is in the journal', () => entries(platform.journalFolder).some((e) => JSON.stringify(e).includes('catalogue.circle.proposed')), { timeoutMs: 90000, everyMs: 1000 });
  const done = JSON.parse(platform.must(['api', 'circle', 'stationnement', '2', '--reason', 'Cinq organismes l’utilisent', '--json']));
  assert.equal(done.done, true, JSON.stringify(done));
  assert.equal((await json('/api/catalogue/apis/stationnement/v2')).circle, 2);
  const page = words((await get('/catalogue/stationnement/v2?lang=fr')).text);
  assert.ok(page.includes('Services communs') && page.includes('changement de cercle accepté') && page.includes('Cinq organismes'), page.slice(0, 600));
});

test('[P5.2.1] the rate of systems with an API, by body', async () => {
  const { items } = await json('/api/catalogue/rates');
  const tax = items.find((x) => x.org_id === 'impots-demo');
  assert.deepEqual([tax.systems, tax.with_api, tax.percent], [3, 1, 33]);
  platform.must(['api', 'system', 'impots-demo', 'Cadastre', 'adresse']);
  assert.equal((await json('/api/catalogue/rates')).items.find((x) => x.org_id === 'impots-demo').percent, 66);
  platform.must(['api', 'system', 'impots-demo', 'Cadastre', 'pas-au-catalogue']);
  assert.equal((await json('/api/catalogue/rates')).items.find((x) => x.org_id === 'impots-demo').percent, 33, 'an API that is not in the catalogue does not count');
});

test('DCAT-AP: a catalogue, its datasets and services, each with what the profile requires', async () => {
  const r = await get('/catalogue.jsonld');
  assert.match(r.headers['content-type'], /^application\/ld\+json/);
  const graph = r.json['@graph'], by = new Map(graph.map((n) => [n['@id'], n]));
  const catalogue = graph.find((n) => n['@type'] === 'dcat:Catalog');
  for (const k of ['dct:title', 'dct:description', 'dct:publisher']) assert.ok(catalogue[k], k);
  assert.ok(catalogue['dcat:dataset'].length >= 3);
  for (const { '@id': id } of catalogue['dcat:dataset']) for (const k of ['dct:title', 'dct:description', 'dct:publisher', 'dcat:distribution', 'dct:accessRights']) assert.ok(by.get(id)?.[k], `${id} ${k}`);
  for (const { '@id': id } of catalogue['dcat:service']) for (const k of ['dct:title', 'dcat:endpointURL', 'dcat:servesDataset']) assert.ok(by.get(id)?.[k], `${id} ${k}`);
  for (const n of graph) assert.ok(URL.canParse ? URL.canParse(n['@id']) : new URL(n['@id']), n['@id']);
});

test('a description of half a megabyte is imported, shown and tried; one that lies ends soon', { timeout: 120000 }, async () => {
  const big = JSON.parse(JSON.stringify({ openapi: '3.0.3', info: { title: 'Grande', version: '1.0.0', 'x-socle-id': 'grande', contact: { email: 'a@b.example' }, license: { name: 'LO' } }, security: [], paths: {}, components: { schemas: {} } }));
  for (let i = 0; i < 600; i++) {
    big.components.schemas[`Objet${i}`] = { type: 'object', properties: Object.fromEntries(Array.from({ length: 8 }, (_, k) => [`champ_${k}`, { type: 'string', title: `Champ ${k} de l’objet ${i}`, description: 'x'.repeat(40) }])) };
    big.components.schemas[`Objet${i}`].properties.suite = { $ref: `#/components/schemas/Objet${(i + 1) % 600}` };
    big.paths[`/objets-${i}/{id}`] = { get: { summary: `Lit ${i}`, parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }], responses: { 200: { description: 'Oui', content: { 'application/json': { schema: { $ref: `#/components/schemas/Objet${i}` } } } } } } };
  }
  const text = JSON.stringify(big, null, 1);
  assert.ok(text.length > 500000);
  const r = imported(text);
  assert.equal(r.published, true, JSON.stringify(r).slice(0, 600));
  assert.equal(r.operations, 600);
  assert.equal((await get('/catalogue/grande/v1')).status, 200);
  assert.equal((await get('/sandbox/grande/v1/objets-7/x')).json.champ_0, 'exemple');
  const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]', ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(', ')}]`)].join('\n');
  assert.equal(imported(bomb).report.findings[0].rule, 'document');
  const circle = good.replace('#/components/schemas/Probleme', '#/components/schemas/Tour') + '    Tour: {$ref: "#/components/schemas/Retour"}\n    Retour: {$ref: "#/components/schemas/Tour"}\n';
  assert.ok(imported(circle).report.findings.some((f) => f.rule === 'references'));
});

test('[M113] a new source is announced to those who follow it, contracted, and read; without a legal basis it is refused', { timeout: 60000 }, async () => {
  const { access_token: token } = await tokensFor(world, world.agent, { client: world.town, scope: 'openid given_name usual_name uid siret email', extra: { realm: 'agents' } });
  const bearer = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  assert.equal((await send(`${world.townUrl}/api/catalogue/follow`, { method: 'POST', headers: bearer, body: '{"topic":"logement social"}' })).status, 200);
  const text = good.replace('x-socle-id: stationnement', 'x-socle-id: logement').replace('x-socle-scope: stationnement', 'x-socle-scope: logement').replace('x-socle-topic: mobilité', 'x-socle-topic: logement social');
  assert.equal(imported(text.replace(/ {2}x-socle-legal-basis: .*\n/, '')).report.findings[0].rule, 'legal-basis', 'personal data without a law are not published');
  assert.equal(imported(text).published, true);
  const news = (await send(`${world.townUrl}/api/catalogue/news`, { headers: bearer })).json.items;
  assert.deepEqual(news.map((n) => n.api), ['logement'], 'the topic it follows, and no other');
  const bare = platform.command(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: 'socle-essai', org_id: 'essai-demo', api: 'logement', version: 'v1', fields: 'numero', purpose: { fr: 'P', en: 'P' } }) });
  assert.equal(bare.code, 1, 'a contract without a legal basis');
  const client = platform.json(['client', 'add', '--name', 'Logement', '--redirect-uri', 'http://localhost:3000/x', '--org', 'ville-de-nantes-demo', '--id', 'logement-lecteur']);
  contractPut({ client_id: 'logement-lecteur', org_id: 'ville-de-nantes-demo', api: 'logement', version: 'v1', fields: 'numero' });
  const read = await until('the new source is read', async () => {
    const t = await machineToken(world, { client: { client_id: 'logement-lecteur', client_secret: client.client_secret }, scope: 'logement' });
    const r = await call(world, '/gw/logement/v1/cartes/A-7', t);
    return r.status === 200 && r.json;
  });
  assert.deepEqual(read, { numero: 'A-7' });
});
