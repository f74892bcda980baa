// Answers kept by the gateway where an API's declaration asks for it: for whom, how long, what the
// provider and the caller may say against it, what ends it, and what the journal says of a kept one.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { Platform, sleep, until } from '../lib/platform.mjs';
import { entries } from '../lib/journal.mjs';
import { newClient, publish } from '../lib/provider.mjs';
import { World, call, machineToken, tokensFor } from '../lib/story.mjs';

let platform, world, provider, client, other, contract, port, token, asked = [];
let headers = {};

const fields = (sensitivity) => [{ path: 'total', label: { fr: 'Total', en: 'Total' }, sensitivity }];
const open = { fields: fields(0), gateway: { cache_seconds: 60 } };
const declaration = (id, more) => ({ input: JSON.stringify({ v: 1, id, version: 'v1', org_id: 'essai-demo', title: { fr: 'E', en: 'E' }, summary: { fr: 'E', en: 'E' }, scope: `${id}_lire`, origin: `http://127.0.0.1:${port}`, prefix: '', methods: 'GET POST', circle: 3, ...more }) });

before(async () => {
  platform = await Platform.start({ args: ['--loops', '1'] });
  world = new World(platform);
  port = platform.ownPort(0);
  provider = createServer((rq, rs) => { asked.push(rq); rq.resume(); rs.writeHead(200, { 'content-type': 'application/json', ...headers }); rs.end(JSON.stringify({ total: asked.length, secret: 'ne-doit-pas-sortir' })); });
  await new Promise((done) => provider.listen(port, '127.0.0.1', done));
  client = newClient(platform);
  other = newClient(platform);
  contract = publish(platform, { client, id: 'garde', port, fields: 'total', api: open });
  publish(platform, { client: other, id: 'garde', port, fields: 'total', api: open });
  publish(platform, { client, id: 'simple', port, fields: 'total', api: { fields: fields(0) } });
  publish(platform, { client, id: 'intime', port, fields: 'total', api: { fields: fields(1), gateway: { cache_seconds: 60, cache_personal: true } } });
  publish(platform, { client, id: 'compte', port, fields: 'total', api: open, contract: { quota_per_minute: 4 } });
  token = await machineToken(world, { client, scope: 'garde_lire simple_lire compte_lire' });
  await sleep(500);
}, { timeout: 180000 });
after(async () => {
  provider?.closeAllConnections?.();
  provider?.close();
  await platform?.destroy();
}, { timeout: 60000 });

const get = async (path, { as = token, ...options } = {}) => {
  const r = await call(world, `/gw/${path}`, as, options);
  assert.equal(r.status, 200, r.text);
  return r;
};
// Asks twice: is the second answer the first one, kept?
const isKept = async (path, options) => {
  const one = await get(path, options), n = asked.length, two = await get(path, options);
  const kept = asked.length === n;
  assert.equal(two.text === one.text, kept);
  assert.equal(two.headers.age !== undefined, kept, 'Age says that it was kept');
  return kept;
};

test('the same call is answered from what was kept, filtered, with its age; another call is not', async () => {
  assert.equal(await isKept('garde/v1/a'), true);
  assert.equal(await isKept('simple/v1/a'), false, 'only where the declaration asks for it');
  const n = asked.length, r = await get('garde/v1/a');
  assert.deepEqual(Object.keys(r.json), ['total'], 'the contract’s fields, as ever');
  assert.match(r.headers.age, /^\d+$/);
  assert.equal(r.headers['cache-control'], 'no-store', 'the consumer keeps nothing by itself');
  assert.equal(asked.length, n);
  await get('garde/v1/a?x=1');
  await get('garde/v1/a', { headers: { accept: 'application/vnd.essai+json' } });
  await get('garde/v1/a', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } });
  assert.equal(asked.length, n + 3, 'query, Accept and method are part of the call');
  await get('garde/v1/a', { as: await machineToken(world, { client: other, scope: 'garde_lire' }) });
  assert.equal(asked.length, n + 4, 'another contract’s answer is its own');
});

test('a kept answer has its own decision and outcome in the journal, which say so', async () => {
  await get('garde/v1/journal');
  const r = await get('garde/v1/journal'), id = r.headers['socle-entry'];
  const all = await until('both are written', () => { const l = entries(platform.journalFolder); return l.some((e) => e.kind === 'exchange.outcome' && e.ref === id) && l; });
  assert.equal(all.find((e) => e.id === id).cached, true);
  const outcome = all.find((e) => e.ref === id);
  assert.equal(outcome.status, 200);
  assert.equal(typeof outcome.age_s, 'number');
  assert.equal(outcome.fields.length, 1, 'what was delivered is committed to');
  const first = all.filter((e) => e.kind === 'exchange.decision' && e.id < id).at(-1);
  assert.equal(first.cached, undefined);
});

test('the provider’s Cache-Control holds: no-store, private, max-age; cookies and other variants are not kept', async () => {
  const said = async (h) => { headers = h; const kept = await isKept(`garde/v1/dit-${Math.random()}`); headers = {}; return kept; };
  assert.equal(await said({ 'cache-control': 'public, max-age=30' }), true);
  assert.equal(await said({ 'cache-control': 'no-store' }), false);
  assert.equal(await said({ 'cache-control': 'max-age=30, Private' }), false);
  assert.equal(await said({ 'cache-control': 'max-age=0' }), false);
  assert.equal(await said({ 'cache-control': 'max-age=10', age: '10' }), false);
  assert.equal(await said({ expires: '0' }), false);
  assert.equal(await said({ 'set-cookie': 'a=b' }), false);
  assert.equal(await said({ vary: 'Accept' }), true);
  assert.equal(await said({ vary: '*' }), false);
  headers = { 'cache-control': 'max-age=1' };
  await get('garde/v1/court');
  headers = {};
  const n = asked.length;
  await until('it grew too old', async () => { await get('garde/v1/court'); return asked.length > n; });
});

test('the caller may ask for a fresh one', async () => {
  const n = asked.length;
  await get('garde/v1/frais');
  await get('garde/v1/frais', { headers: { 'cache-control': 'no-cache' } });
  assert.equal(asked.length, n + 2);
  await get('garde/v1/jamais', { headers: { 'cache-control': 'no-store' } });
  await get('garde/v1/jamais');
  assert.equal(asked.length, n + 4, 'what the caller wants nowhere kept is not');
});

test('data about persons: refused unless the declaration says so, and then each has her own', async () => {
  const r = platform.command(['api', 'put', '-'], declaration('refus', { fields: fields(1), gateway: { cache_seconds: 60 } }));
  assert.notEqual(r.code, 0);
  const people = [world.citizen, world.account('lucas.ndiaye')];
  const tokens = [];
  for (const p of people) tokens.push((await tokensFor(world, p, { client, scope: 'openid intime_lire garde_lire' })).access_token);
  assert.equal(await isKept('garde/v1/personne', { as: tokens[0] }), false, 'a call about a person, where persons are not kept');
  assert.equal(await isKept('intime/v1/moi', { as: tokens[0] }), true);
  const n = asked.length, mine = await get('intime/v1/moi', { as: tokens[0] }), hers = await get('intime/v1/moi', { as: tokens[1] });
  assert.equal(asked.length, n + 1, 'the other person’s is asked for');
  assert.notEqual(mine.text, hers.text);
});

test('a suspended contract reads nothing that was kept, nor does it find it again', async () => {
  assert.equal(await isKept('garde/v1/suspendu'), true);
  platform.must(['contract', 'suspend', contract]);
  await until('it is refused', async () => (await call(world, '/gw/garde/v1/suspendu', token)).status === 403);
  platform.must(['contract', 'resume', contract]);
  const n = asked.length;
  await until('it is let through', async () => (await call(world, '/gw/garde/v1/suspendu', token)).status === 200);
  assert.equal(asked.length, n + 1, 'the provider is asked anew');
});

test('a change of configuration drops what was kept', async () => {
  assert.equal(await isKept('garde/v1/change'), true);
  const n = asked.length;
  platform.must(['api', 'put', '-'], declaration('autre', { fields: fields(0) }));
  await until('it is asked anew', async () => { await get('garde/v1/change'); return asked.length > n; });
});

test('a kept answer counts as a call of the contract’s quota', async () => {
  const statuses = [];
  for (let i = 0; i < 6; i++) statuses.push((await call(world, '/gw/compte/v1/x', token)).status);
  assert.ok(statuses.includes(429), statuses.join(' '));
});
