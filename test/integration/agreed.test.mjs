// An agreement opens exactly what it says, from the moment both bodies agreed until its last day; and
// what flows under it is counted as it was sent, documents and files alike.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { Platform, sleep, until } from '../lib/platform.mjs';
import { newClient, publish } from '../lib/provider.mjs';
import { World, call, machineToken } from '../lib/story.mjs';
import { Bodies, expect, terms } from '../lib/contracts.mjs';
import { text } from '../lib/text.mjs';

const file = randomBytes(24 << 20), digest = (b) => createHash('sha256').update(b).digest('hex');
let platform, world, provider, bodies, town, fund, client, other;
const got = [];

before(async () => {
  platform = await Platform.start({ args: ['--loops', '1'] });
  world = new World(platform);
  bodies = new Bodies(platform, world);
  provider = createServer((rq, rs) => {
    const parts = [];
    rq.on('data', (d) => parts.push(d));
    rq.on('end', () => {
      if (rq.url.endsWith('/vieux')) return setTimeout(() => { rs.writeHead(200, { 'content-type': 'application/json' }); rs.end('{"total":2}'); }, 450);
      got.push({ url: rq.url, method: rq.method, bytes: Buffer.concat(parts).length });
      if (rq.url.endsWith('/fichier')) { rs.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': file.length }); return rs.end(file); }
      if (rq.url.endsWith('/morceaux')) { rs.writeHead(200, { 'content-type': 'application/octet-stream' }); for (let at = 0; at < file.length; at += 1 << 20) rs.write(file.subarray(at, at + (1 << 20))); return rs.end(); }
      rs.writeHead(200, { 'content-type': 'application/json' });
      rs.end('{"dossier":{"numero":"D-1","secret":"x"},"total":2}');
    });
  });
  await new Promise((done) => provider.listen(platform.ownPort(0), '127.0.0.1', done));
  client = newClient(platform, '--org', bodies.town);
  publish(platform, { client, port: platform.ownPort(0), api: { org_id: bodies.fund } });
  publish(platform, { client, id: 'fichiers', port: platform.ownPort(0), fields: '*' });
  for (const k of platform.json(['contract', 'list'])) if (k.api === 'essai/v1' || k.api === 'essai') platform.must(['contract', 'suspend', k.id]);
  other = platform.json(['client', 'add', '--name', 'Tarifs', '--redirect-uri', 'http://localhost:3000/callback', '--org', bodies.town]);
  publish(platform, { client: other, id: 'voisine', port: platform.ownPort(0), contract: { org_id: bodies.town } });
  publish(platform, { client: other, id: 'vieille', port: platform.ownPort(0), fields: 'total', api: { org_id: bodies.fund, title: { fr: 'Vieille application', en: 'Old system' }, gateway: { breaker: { calls: 4, percent: 50, slow_ms: 300, open_s: 60 } } }, contract: { org_id: bodies.town } });
  ({ town, fund } = await bodies.sides());
}, { timeout: 180000 });
after(async () => {
  provider?.closeAllConnections?.();
  provider?.close();
  await platform?.destroy();
}, { timeout: 60000 });

const R = '/api/contracts/requests';
const act = (side, id, action, body = {}) => side('POST', `${R}/${id}/${action}`, body);

test('[2.1.1.c3] [M022] 403 before the provider accepted, passes after, 403 outside the agreed scope and after the last day', { timeout: 120000 }, async () => {
  const path = '/gw/essai/v1/ok';
  // The consumer has a token, of another agreement: it opens nothing here.
  const early = await until('its other contract is there', () => machineToken(world, { client: other, scope: 'voisine_lire' }).catch(() => null));
  const refused = async (t, code, what) => {
    const r = await call(world, path, t);
    assert.equal(r.status, 403, `${what}: ${r.text}`);
    assert.ok(code.includes(r.json.code), `${what}: ${r.json.code}`);
  };
  await until('the gateway knows the API', async () => (await call(world, path, early)).status === 403);
  await refused(early, ['EXC-403-SCOPE'], 'before anything was asked');
  const { id } = expect(await town('POST', R, terms(other.client_id, { fields: 'total' })), 201);
  await refused(early, ['EXC-403-SCOPE'], 'as a draft');
  expect(await act(town, id, 'submit'), 200);
  await refused(early, ['EXC-403-SCOPE'], 'submitted');
  await assert.rejects(machineToken(world, { client: other, scope: 'essai_lire' }).then((t) => call(world, path, t)).then((r) => { assert.equal(r.status, 200); }), 'no token either');
  const valid = expect(await act(fund, id, 'validate'), 200);
  const token = await until('tokens are issued', () => machineToken(world, { client: other, scope: 'essai_lire' }).catch(() => null));
  const r = await until('accepted, it passes', async () => { const x = await call(world, path, token); return x.status === 200 && x; });
  assert.deepEqual(r.json, { total: 2 }, 'and gives what was agreed');
  await refused(early, ['EXC-403-SCOPE'], 'the older token is not of this agreement');
  // Audience and scope: the token names this gateway, this contract, and nothing else.
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  assert.equal(claims.aud, world.issuer);
  assert.equal(claims.scope, 'essai_lire');
  assert.deepEqual(claims.grants.map((g) => g.contract), [valid.contract]);
  assert.equal((await call(world, '/gw/voisine/v1/ok', token)).status, 403, 'outside the agreed scope');
  const k = platform.json(['contract', 'show', valid.contract]);
  platform.must(['contract', 'put', '-'], { input: JSON.stringify({ ...k, ends_at: Date.now() - 1 }) });
  await until('its last day is over', async () => (await call(world, path, token)).status === 403);
  await refused(token, ['EXC-403-CONTRACT'], 'after the last day');
});

const pss = (pid) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) * 1024;

test('[2.1.1.c4] a file flows through whole, to a reader as slow as it likes, in little memory; limits hold both ways; each is counted', { timeout: 120000 }, async () => {
  const t = await until('its token', () => machineToken(world, { client, scope: 'fichiers_lire' }).catch(() => null));
  const ask = (path, options = {}) => call(world, `/gw/fichiers/v1${path}`, t, { timeoutMs: 60000, ...options });
  await until('the gateway knows it', async () => (await ask('/x')).status === 200);
  const counted = () => platform.json(['api', 'status', 'fichiers', 'v1'])[0].consumers[0];
  await until('that call is counted', () => counted()?.delivered === 1);
  for (const path of ['/fichier', '/morceaux']) {
    const r = await ask(path);
    assert.equal(r.status, 200);
    assert.equal(r.headers['content-type'], 'application/octet-stream');
    assert.equal(digest(r.bytes), digest(file), path);
  }
  // Eight at once that hardly read: the gateway holds what is between, not the files.
  const web = platform.pid('web'), before = pss(web), agent = new Agent();
  const answers = await Promise.all(Array.from({ length: 8 }, () => new Promise((done, fail) => {
    request({ agent, host: '127.0.0.1', port: platform.port, path: '/gw/fichiers/v1/fichier', headers: { host: `localhost:${platform.port}`, authorization: `Bearer ${t}` } }, (rs) => { rs.pause(); done(rs); }).on('error', fail).end();
  })));
  await sleep(1500);
  const grown = pss(web) - before;
  console.log(`figure: 8 files of 24 MB held back by their readers: ${Math.round(grown / 1024)} KB more`);
  assert.ok(grown < file.length, `${grown} bytes more`);
  const read = await Promise.all(answers.map(async (rs) => { const h = createHash('sha256'); for await (const d of rs) h.update(d); return h.digest('hex'); }));
  assert.deepEqual([...new Set(read)], [digest(file)], 'each is whole in the end');
  agent.destroy();
  // What is sent up has its limit too, and reaches the provider as it is.
  const post = (n) => ask('/depot', { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: Buffer.alloc(n, 1) });
  assert.equal((await post(900000)).status, 200);
  assert.equal(got.at(-1).bytes, 900000);
  const n = got.length;
  const r = await post((1 << 20) + 1);
  assert.equal(r.status, 413);
  assert.equal(r.json.code, 'EXC-413-BODY');
  assert.equal(got.length, n, 'the provider hears nothing of it');
  await until('each call is counted, and none twice', () => counted().delivered === 12);
  await sleep(300);
  assert.equal(counted().delivered, 12, '1 to begin with, 2 files, 8 at once, 1 deposit');
});

test('[F3.5.1] an old system slows: its breaker opens, and its owner’s page says so, with who asks and how many were refused', { timeout: 60000 }, async () => {
  const t = await until('its token', () => machineToken(world, { client: other, scope: 'vieille_lire' }).catch(() => null));
  const ask = () => call(world, '/gw/vieille/v1/vieux', t);
  let n = 0;
  await until('the breaker opens', async () => { const r = await ask(); n += r.status === 200; return r.status === 503 && r.json.code === 'EXC-503-BREAKER'; });
  const agent = await bodies.browser('fund');
  await until('the owner reads it', async () => {
    await agent.go(`${bodies.fundUrl}/agent/suivi/vieille/v1?lang=fr`);
    return agent.text.includes(text('exchange', 'status.state.open'));
  });
  const page = agent.text;
  for (const w of ['Vieille application', 'Ville de Nantes', 'Appels refusés pour la ménager']) assert.ok(page.includes(w), `${w}: ${page.slice(0, 1200)}`);
  const mine = (await fund('GET', '/api/exchange/status/vieille/v1')).json;
  assert.ok(mine.today.refused >= 1 && mine.consumers[0].refused_today >= 1 && mine.consumers[0].delivered_today === n, JSON.stringify(mine));
  // Nobody else's page has it.
  const others = await bodies.browser('town');
  await others.go(`${world.townUrl}/agent/suivi/vieille/v1`);
  assert.equal(others.page.status, 404);
});
