// What the gateway makes of answers in XML, of other protocols, and of what serves once on any loop.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, until } from '../lib/platform.mjs';
import { Provider, newClient, publish } from '../lib/provider.mjs';
import { World, call, machineToken, tokensFor, walkSignIn } from '../lib/story.mjs';
import { send } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';
import { newKey, signRequest } from '../lib/httpsig.mjs';

let platform, world, provider, people, token;
const key = newKey('essai-1');
const at = (path) => `${platform.base}${path}`;
const get = (path, headers = {}) => send(at(path), { headers: { authorization: `Bearer ${token}`, ...headers } });

before(async () => {
  platform = await Platform.start({ args: ['--loops', '4'] });
  world = new World(platform);
  provider = await Provider.start(platform.ownPort(0));
  const file = join(platform.folder, 'jwks.json');
  writeFileSync(file, JSON.stringify({ keys: [key.jwk] }));
  const client = newClient(platform, '--jwks', file, '--auth', 'client_secret_basic');
  const api = { gateway: { answers: 'xml', breaker: { calls: 0 } } };
  publish(platform, { client, id: 'ancien', port: provider.port, api });
  publish(platform, { client, id: 'seuil', port: provider.port, api, fields: 'dossier.personnes.age>=40 total?' });
  publish(platform, { client, port: provider.port, api: { gateway: { breaker: { calls: 0 } } } });
  publish(platform, { client, id: 'signe', port: provider.port, contract: { signatures: 'requests' } });
  people = newClient(platform);
  publish(platform, { client: people, id: 'accord', port: provider.port, api: { gateway: { answer_ms: 60000 } }, contract: { consent_needed: true } });
  publish(platform, { client, id: 'pause', port: provider.port });
  token = await machineToken(world, { client, scope: 'ancien_lire seuil_lire essai_lire signe_lire pause_lire' });
  await until('the gateway knows the contracts', async () => (await get('/gw/essai/v1/ok')).status === 200);
}, { timeout: 120000 });
after(async () => {
  await provider?.stop();
  await platform?.destroy();
}, { timeout: 60000 });

test('an answer in XML is cut down to the contract’s fields, repeated and nested ones too', async () => {
  const r = await get('/gw/ancien/v1/xml');
  assert.equal(r.status, 200, r.text);
  assert.match(r.headers['content-type'], /^application\/xml/);
  assert.equal(r.text.split('\n')[1], '<reponse><dossier><numero>D-1</numero><personnes><nom>MARTIN</nom></personnes><personnes><nom>BENALI</nom></personnes></dossier><total>2</total></reponse>');
  assert.equal((await get('/gw/ancien/v1/ok')).json.total, 2, 'JSON from the same provider, as ever');
  const asked = await get('/gw/seuil/v1/xml');
  assert.equal(asked.text.split('\n')[1], '<reponse><dossier><personnes><age>true</age></personnes><personnes><age>false</age></personnes></dossier><total>true</total></reponse>');
});

test('XML that is not strict, or that no declaration announced, stays at the provider', async () => {
  for (const path of ['/gw/ancien/v1/xml-latin', '/gw/ancien/v1/xml-doctype', '/gw/ancien/v1/xml-cut', '/gw/ancien/v1/html', '/gw/essai/v1/xml']) {
    const r = await get(path);
    assert.equal(r.status, 502, `${path}: ${r.text}`);
    assert.equal(r.json.code, 'EXC-502-FORM');
    assert.doesNotMatch(r.text, /ne-doit-pas-sortir|D-1/);
  }
});

test('no other protocol is opened: neither by the consumer, nor by the provider', async () => {
  const before = provider.requests.length;
  const r = await get('/gw/essai/v1/ok', { connection: 'Upgrade', upgrade: 'websocket' });
  assert.equal(r.status, 400, r.text);
  assert.equal(r.json.code, 'EXC-400-UPGRADE');
  assert.equal(provider.requests.length, before, 'the provider was not asked');
  const forced = await get('/gw/essai/v1/switch');
  assert.equal(forced.status, 502, forced.text);
  assert.doesNotMatch(forced.text, /ne-doit-pas-sortir/);
  assert.equal((await get('/gw/essai/v1/ok')).status, 200, 'and calls go on');
});

test('a signed request serves once, whichever loop its second copy comes to', async () => {
  const url = at('/gw/signe/v1/ok');
  const unsigned = () => send(url, { headers: { authorization: `Bearer ${token}` }, via: new Agent() });
  await until('every loop knows the contract', async () => (await Promise.all(Array.from({ length: 24 }, unsigned))).every((r) => r.json.code === 'EXC-401-SIGNATURE'));
  const headers = signRequest(key, { method: 'GET', url, headers: { authorization: `Bearer ${token}` } });
  const answers = await Promise.all(Array.from({ length: 24 }, () => send(url, { headers, via: new Agent() })));
  assert.deepEqual(answers.map((r) => r.json.code ?? 'served').sort(), [...Array(23).fill('EXC-401-SIGNATURE'), 'served']);
  assert.match(answers.find((r) => r.status === 401).json.detail, /sent before/);
});

test('a consent withdrawn while the provider works: what it then answers does not leave', async () => {
  const account = world.account('jeanne.rousseau');
  const t = await tokensFor(world, account, { client: people, scope: 'openid accord_lire' });
  await until('the gateway knows it', async () => (await call(world, '/gw/accord/v1/ok', t.access_token)).status === 200);
  const held = call(world, '/gw/accord/v1/held', t.access_token, { timeoutMs: 60000 });
  await until('the provider is asked', () => provider.last.target === '/p/held');
  const c = t.person;
  await c.go(`${platform.base}/account/consents`);
  await walkSignIn(c, account);
  await c.go(`${platform.base}/account/consents`);
  await c.follow(text('account', 'consents.withdraw'));
  await c.press(text('account', 'withdraw.button'));
  await until('new calls are refused', async () => (await call(world, '/gw/accord/v1/ok', t.access_token)).status === 403);
  Provider.release();
  const r = await held;
  assert.equal(r.status, 403, r.text);
  assert.equal(r.json.code, 'EXC-403-CONSENT');
  assert.doesNotMatch(r.text, /MARTIN|D-1/);
});

test('a provider that says as a date how long it wants to be left alone is left alone as long', async () => {
  const first = await get('/gw/pause/v1/pause-date');
  assert.equal(first.status, 503, first.text);
  assert.equal(first.json.code, 'EXC-503-LIMIT');
  const left = Number(first.headers['retry-after']);
  assert.ok(left > 100 && left <= 120, `said ${left}`);
});
