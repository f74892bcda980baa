// One call, three providers: each part under its own contract and in the journal, each source named,
// one signature over all; and what is said when one is down.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { createServer } from 'node:http';
import { Platform, sleep } from '../lib/platform.mjs';
import { newClient, publish } from '../lib/provider.mjs';
import { World, call, machineToken } from '../lib/story.mjs';

let platform, world, client, token;
const servers = [], seen = [];
const companies = { legal: { siren: '123456782', nom: 'ATELIERS RÉUNIS', secret: 'x' }, taxes: { siren: '123456782', a_jour: true, secret: 'x' }, social: { siren: '123456782', effectif: 12, secret: 'x' } };

before(async () => {
  platform = await Platform.start({ args: ['--loops', '1'] });
  world = new World(platform);
  client = newClient(platform);
  const fields = { legal: 'siren nom', taxes: 'siren a_jour', social: 'siren effectif' };
  for (const [i, name] of Object.keys(companies).entries()) {
    const port = platform.ownPort(i);
    const s = createServer((rq, rs) => { seen.push(`${name} ${rq.url}`); rs.writeHead(200, { 'content-type': 'application/json' }); rs.end(JSON.stringify(companies[name])); });
    await new Promise((done) => s.listen(port, '127.0.0.1', done));
    servers.push(s);
    publish(platform, { client, id: name, port, fields: fields[name], api: { prefix: '', gateway: { retries: 0 } } });
  }
  platform.must(['api', 'federate', '-'], { input: JSON.stringify({ v: 1, id: 'entreprise', title: { fr: 'Entreprise', en: 'Company' }, parts: Object.keys(companies).map((name) => ({ name, api: name, version: 'v1', path: '/entreprises/{siren}' })) }) });
  token = await machineToken(world, { client, scope: 'legal_lire taxes_lire social_lire' });
  await sleep(1200);
}, { timeout: 120000 });
after(async () => {
  for (const s of servers) { s.closeAllConnections?.(); s.close(); }
  await platform?.destroy();
}, { timeout: 60000 });

async function signed(r) {
  const { keys } = (await call(world, '/api/v2/messages/jwks', token)).json;
  const [h, p, s] = r.headers['socle-signature'].split('.');
  const header = JSON.parse(Buffer.from(h, 'base64url')), payload = JSON.parse(Buffer.from(p, 'base64url'));
  const key = keys.find((k) => k.kid === header.kid);
  assert.ok(key, 'its key is published');
  assert.ok(verify('sha256', Buffer.from(`${h}.${p}`), { key: createPublicKey({ key, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }, Buffer.from(s, 'base64url')));
  assert.equal(payload['sha-256'], createHash('sha256').update(r.bytes ?? r.text).digest('hex'));
  assert.equal(header.typ, 'socle-federated');
}

test('[F2.1.9] one call merges three providers, each filtered and journalled by itself, each named, all signed', async () => {
  const r = await call(world, '/api/federe/entreprise?siren=123456782&annee=2026', token);
  assert.equal(r.status, 200, r.text);
  assert.deepEqual(r.json.data, { legal: { siren: '123456782', nom: 'ATELIERS RÉUNIS' }, taxes: { siren: '123456782', a_jour: true }, social: { siren: '123456782', effectif: 12 } });
  assert.equal(r.json.complete, true);
  assert.deepEqual(r.json.sources.map((s) => s.name), ['legal', 'taxes', 'social']);
  assert.equal(new Set(r.json.sources.map((s) => s.entry)).size, 3, 'three decisions');
  assert.ok(r.json.sources.every((s) => s.status === 200 && s.provider.id === 'essai-demo' && s.provider.name.fr));
  assert.ok(seen.includes('taxes /entreprises/123456782?annee=2026'), seen.join());
  await signed(r);
});

test('[F2.1.9] with one provider down the others’ data come, and the answer says what is missing and why', async () => {
  servers[1].closeAllConnections?.();
  await new Promise((done) => servers[1].close(done));
  const r = await call(world, '/api/federe/entreprise?siren=123456782', token);
  assert.equal(r.status, 200, r.text);
  assert.equal(r.json.complete, false);
  assert.equal(r.json.data.taxes, null);
  assert.equal(r.json.data.legal.nom, 'ATELIERS RÉUNIS');
  const source = r.json.sources[1];
  assert.equal(source.status, 503);
  assert.equal(source.code, 'EXC-503-PROVIDER');
  assert.ok(source.provider.id && source.detail && source.retry_after);
  await signed(r);
});

test('what cannot be asked is refused: no token, another’s token, no parameter, a parameter that climbs, no such API', async () => {
  assert.equal((await call(world, '/api/federe/entreprise?siren=1', '')).status, 401);
  assert.equal((await call(world, '/api/federe/entreprise', token)).status, 400);
  const before = seen.length;
  for (const evil of ['..', '../../x', 'a/b', '%2e%2e', 'a\\b'])
    assert.notEqual((await call(world, `/api/federe/entreprise?siren=${encodeURIComponent(evil)}`, token)).status, 200, evil);
  assert.equal(seen.length, before, 'no provider was asked');
  assert.equal((await call(world, '/api/federe/inconnue', token)).status, 404);
  const other = newClient(platform);
  publish(platform, { client: other, id: 'seule', port: platform.ownPort(0), fields: 'siren' });
  await sleep(1200);
  const r = await call(world, '/api/federe/entreprise?siren=1', await machineToken(world, { client: other, scope: 'seule_lire' }));
  assert.equal(r.status, 403, r.text);
  assert.ok(Object.values(r.json.data).every((v) => v === null));
  const bad = platform.command(['api', 'federate', '-'], { input: JSON.stringify({ v: 1, id: 'x', parts: [{ name: 'a', api: 'b', version: 'v1', path: 'nulle-part' }] }) });
  assert.notEqual(bad.code, 0);
  assert.match(bad.stderr, /path/);
});
