// New sources and ends of versions, told to the bodies they concern; signed so that the receiver can
// tell who speaks, by its secret or by the platform's published key.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, verify } from 'node:crypto';
import { createServer } from 'node:http';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, root, until } from '../lib/platform.mjs';
import { SmtpSink } from '../lib/smtp.mjs';
import { World, call, machineToken } from '../lib/story.mjs';
import { send } from '../lib/http.mjs';
import { base, digest } from '../lib/httpsig.mjs';
import { Bodies, expect, terms } from '../lib/contracts.mjs';

const good = readFileSync(join(root, 'test/integration/samples/good.yaml'), 'utf8');
const R = '/api/contracts/requests';
let platform, world, bodies, town, fund, provider, listener, secret, address, sink;
const heard = [];
before(async () => {
  sink = await SmtpSink.start();
  platform = await Platform.start({ env: { SOCLE_MAIL_RELAY: sink.url, SOCLE_MAIL_FROM: 'socle@etat.example' } });
  world = new World(platform);
  bodies = new Bodies(platform, world);
  ({ town, fund } = await bodies.sides());
  provider = createServer((rq, rs) => { rs.setHeader('content-type', 'application/json'); rs.end(JSON.stringify({ numero: 'A-7', titulaire: { nom: 'Durand' } })); });
  await new Promise((done) => provider.listen(platform.ownPort(0), '127.0.0.1', done));
  listener = createServer((rq, rs) => { let body = ''; rq.on('data', (d) => { body += d; }); rq.on('end', () => { heard.push({ method: rq.method, url: rq.url, headers: rq.headers, body, event: JSON.parse(body) }); rs.writeHead(204).end(); }); });
  await new Promise((done) => listener.listen(platform.ownPort(1), '127.0.0.1', done));
  address = `http://127.0.0.1:${listener.address().port}/evenements?de=socle`;
  secret = expect(await town('POST', '/api/hooks', { url: address }), 200).secret;
}, { timeout: 180000 });
after(async () => { provider?.close(); listener?.close(); await sink?.stop(); await platform?.destroy(); }, { timeout: 60000 });

const described = (more = '') => good.replace('x-socle-id: stationnement', `${more}x-socle-id: logement`).replace('x-socle-scope: stationnement', 'x-socle-scope: logement').replace('x-socle-topic: mobilité', 'x-socle-topic: logement social');
function imported(text) {
  const file = join(platform.folder, 'description');
  writeFileSync(file, text);
  platform.must(['api', 'import', file, '--org', bodies.fund, '--origin', `http://127.0.0.1:${provider.address().port}`]);
}
const event = (name) => until(name, () => heard.find((h) => h.event.event === name));

test('[M113] one script: a source is declared, announced, contracted under its legal basis, and read; without the basis it is refused', { timeout: 120000 }, async () => {
  expect(await town('POST', '/api/catalogue/follow', { topic: 'logement social' }), 200);
  imported(described());
  const told = await event('catalogue.published');
  assert.deepEqual([told.event.api, told.event.version, told.event.topic], ['logement', 'v1', 'logement social']);
  assert.deepEqual(expect(await town('GET', '/api/catalogue/news'), 200).items.map((n) => n.api), ['logement']);
  const client = platform.json(['client', 'add', '--name', 'Logement', '--redirect-uri', 'http://localhost:3000/x', '--org', bodies.town, '--id', 'logement-lecteur']);
  const asked = (more) => town('POST', R, terms('logement-lecteur', { api: 'logement', fields: 'numero', ...more }));
  const bare = expect(await asked({ legal_basis: { fr: '', en: '' } }), 201);
  assert.deepEqual(Object.keys(expect(await town('POST', `${R}/${bare.id}/submit`, {}), 422, 'CTR-422-TERMS').errors), ['legal_basis']);
  const { id } = expect(await asked({}), 201);
  expect(await town('POST', `${R}/${id}/submit`, {}), 200);
  expect(await fund('POST', `${R}/${id}/validate`, {}), 200);
  const read = await until('it is read', async () => {
    const t = await machineToken(world, { client: { client_id: 'logement-lecteur', client_secret: client.client_secret }, scope: 'logement' }).catch(() => null);
    const r = t && await call(world, '/gw/logement/v1/cartes/A-7', t);
    return r?.status === 200 && r.json;
  });
  assert.deepEqual(read, { numero: 'A-7' });
});

test('an event is signed twice: by the address’s secret, and by the platform’s published key (RFC 9421)', { timeout: 60000 }, async () => {
  const h = await event('catalogue.published'), t = h.headers['x-socle-timestamp'];
  assert.equal(h.headers['x-hub-signature-256'], `sha256=${createHmac('sha256', secret).update(`${t}.${h.body}`).digest('hex')}`);
  assert.equal(h.headers['content-digest'], digest(h.body));
  const [, label, list, params] = /^(\w+)=\(([^)]*)\)(.*)$/.exec(h.headers['signature-input']);
  const components = list.split(' ');
  assert.deepEqual(components, ['"@method"', '"@target-uri"', '"content-digest"', '"content-type"']);
  const { keys } = JSON.parse((await send(`${platform.base}/api/v2/messages/jwks`)).text);
  const jwk = keys.find((k) => k.kid === /keyid="([^"]+)"/.exec(params)[1]);
  const signature = Buffer.from(new RegExp(`${label}=:([^:]*):`).exec(h.headers.signature)[1], 'base64');
  const holds = (url) => verify('sha256', Buffer.from(base(components, params, { method: h.method, url, headers: h.headers })), { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }, signature);
  assert.ok(holds(address));
  assert.ok(!holds(address.replace('socle', 'autre')), 'it was for that address');
});

test('[2.1.1.c2] the end of a version is told to whom has a contract on it, once', { timeout: 60000 }, async () => {
  expect(await town('POST', '/api/hooks/mail', { address: 'dsi@nantes.example' }), 200);
  imported(described('x-socle-deprecated: true\n  x-socle-sunset: "2027-06-30"\n  '));
  const told = await event('catalogue.deprecated');
  assert.equal(told.event.sunset_at, Date.UTC(2027, 5, 30));
  assert.ok(expect(await town('GET', '/api/catalogue/news'), 200).items.some((n) => n.kind === 'deprecated' && n.api === 'logement'));
  imported(described('x-socle-deprecated: true\n  x-socle-sunset: "2027-06-30"\n  '));
  // Whatever is queued after it comes after it: the refusal of a draft's archive is heard, and no second end.
  const { id } = expect(await town('POST', R, terms('logement-lecteur', { api: 'logement', fields: 'numero' })), 201);
  expect(await town('POST', `${R}/${id}/submit`, {}), 200);
  await until('a later event', () => heard.some((h) => h.event.request === id));
  assert.equal(heard.filter((h) => h.event.event === 'catalogue.deprecated').length, 1);
  const mail = await until('a mail', () => sink.mails.map((m) => m.mail ?? m).find((m) => m.subject?.includes('prend fin')), { timeoutMs: 30000 });
  assert.match(mail.text, /30 juin 2027[\s\S]*\/catalogue\/logement\/v1/);
});
