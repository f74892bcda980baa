// One consumer's load rises tenfold, uploads drip, contracts go while a call is under way,
// the configuration changes: what the others notice, which is nothing. Counts, not times.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { Agent, request } from 'node:http';
import { Platform, processesOf, sleep, until } from '../lib/platform.mjs';
import { newClient, publish } from '../lib/provider.mjs';
import { World, call, machineToken, tokensFor } from '../lib/story.mjs';

let platform, world, provider, flood, others, floodToken, otherTokens;
const mood = { delay: 15, hold: null };
let served = 0;

before(async () => {
  platform = await Platform.start({ args: ['--loops', '1'] });
  world = new World(platform);
  const port = platform.ownPort(0);
  provider = createServer((rq, rs) => {
    const answer = () => { served++; rs.writeHead(200, { 'content-type': 'application/json' }); rs.end('{"total":2}'); };
    rq.resume();
    if (rq.url.endsWith('/tenu')) { mood.hold = answer; return; }
    setTimeout(answer, mood.delay);
  });
  await new Promise((done) => provider.listen({ port, host: '127.0.0.1', backlog: 2000 }, done));
  flood = newClient(platform);
  others = [1, 2, 3].map(() => newClient(platform));
  publish(platform, { client: flood, id: 'partage', port, fields: 'total', api: { gateway: { breaker: { calls: 0 } }, methods: 'GET POST' } });
  for (const client of others)
    platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: client.client_id, org_id: 'essai-demo', api: 'partage', version: 'v1', fields: 'total', purpose: { fr: 'Partager', en: 'Share' }, legal_basis: { fr: 'Essai', en: 'Test' } }) });
  floodToken = await machineToken(world, { client: flood, scope: 'partage_lire' });
  otherTokens = await Promise.all(others.map((client) => machineToken(world, { client, scope: 'partage_lire' })));
  await sleep(1200);
}, { timeout: 120000 });
after(async () => {
  provider?.closeAllConnections?.();
  provider?.close();
  await platform?.destroy();
}, { timeout: 60000 });

// A consumer with connections of its own; each asks again as soon as it was answered.
async function consumer(token, connections, stop, path = '/gw/partage/v1/x') {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const counts = { sent: 0, retry: 0 };
  const one = () => new Promise((done) => {
    counts.sent++;
    const rq = request({ host: '127.0.0.1', port: platform.port, path, agent, headers: { host: `localhost:${platform.port}`, authorization: `Bearer ${token}` } }, (rs) => {
      counts[rs.statusCode] = (counts[rs.statusCode] ?? 0) + 1;
      if (rs.statusCode !== 200 && Number(rs.headers['retry-after']) >= 1) counts.retry++;
      rs.resume();
      rs.on('end', done);
    });
    rq.on('error', () => { counts.broken = (counts.broken ?? 0) + 1; done(); });
    rq.end();
  });
  await Promise.all(Array.from({ length: connections }, async () => { while (!stop()) await one(); }));
  agent.destroy();
  return counts;
}

test('[P5.2.2] one consumer’s load rises tenfold: the others are served as before, it is told when to come back', async () => {
  const measure = async (floods) => {
    let over = false;
    const all = [...otherTokens.map((t) => consumer(t, 8, () => over)), ...(floods ? [consumer(floodToken, 400, () => over)] : [])];
    await sleep(2500);
    over = true;
    return Promise.all(all);
  };
  const quiet = await measure(false);
  const loud = await measure(true);
  const flooding = loud.pop();
  for (const [i, c] of loud.entries()) {
    const errors = c.sent - (c[200] ?? 0);
    assert.ok(errors <= c.sent / 1000, `consumer ${i}: ${JSON.stringify(c)}`);
    assert.ok(c[200] > 8, 'it is served, and not behind the flood');
  }
  assert.ok(quiet.every((c) => c.sent === c[200]));
  const refused = flooding.sent - (flooding[200] ?? 0) - (flooding.broken ?? 0);
  assert.ok((flooding[200] ?? 0) > 0, 'it keeps its own share');
  assert.ok(refused > 0, JSON.stringify(flooding));
  assert.equal(flooding.retry, refused, 'each refusal says when to come back');
});

test('[2.1.1.c4] what the platform counted is what the consumers sent and the provider served', async () => {
  const before = served, calls = 57;
  const one = newClient(platform);
  const id = platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: one.client_id, org_id: 'essai-demo', api: 'partage', version: 'v1', fields: 'total', purpose: { fr: 'Compter', en: 'Count' }, legal_basis: { fr: 'Essai', en: 'Test' }, quota_per_minute: 50 }) }).trim();
  const t = await until('its contract is there', async () => machineToken(world, { client: one, scope: 'partage_lire' }));
  await sleep(600);
  let ok = 0, refused = 0;
  for (let i = 0; i < calls; i++) {
    const r = await call(world, '/gw/partage/v1/x', t);
    if (r.status === 200) ok++;
    else { assert.equal(r.status, 429); assert.ok(Number(r.headers['retry-after']) >= 1); refused++; }
  }
  assert.ok(refused > 0 && ok >= 50);
  assert.equal(served - before, ok);
  const mine = await until('the figures are written', () => {
    const k = platform.json(['api', 'status', 'partage', 'v1'])[0].consumers.find((x) => x.contract === id);
    return k.delivered + k.refused === calls && k;
  });
  assert.deepEqual([mine.delivered, mine.refused], [ok, refused]);
});

test('a contract suspended while its call is under way: nothing is delivered after', async () => {
  const one = newClient(platform);
  const id = platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: one.client_id, org_id: 'essai-demo', api: 'partage', version: 'v1', fields: 'total', purpose: { fr: 'Tenir', en: 'Hold' }, legal_basis: { fr: 'Essai', en: 'Test' } }) }).trim();
  const t = await until('its contract is there', async () => machineToken(world, { client: one, scope: 'partage_lire' }));
  await until('it passes', async () => (await call(world, '/gw/partage/v1/x', t)).status === 200);
  const held = call(world, '/gw/partage/v1/tenu', t);
  await until('the provider has the call', () => mood.hold);
  platform.must(['contract', 'suspend', id]);
  await sleep(1100);
  assert.equal((await call(world, '/gw/partage/v1/x', t)).status, 403);
  mood.hold();
  const r = await held;
  assert.equal(r.status, 403, r.text);
  assert.doesNotMatch(r.text, /total/);
});

test('a body that drips is cut off; one that flows at a fair pace is not', async () => {
  const s = connect(platform.port, '127.0.0.1');
  let text = '', closed = false;
  s.on('data', (d) => { text += d; });
  s.on('error', () => {});
  s.on('close', () => { closed = true; });
  s.write(`POST /gw/partage/v1/x HTTP/1.1\r\nHost: localhost:${platform.port}\r\nAuthorization: Bearer ${floodToken}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{`);
  const drip = setInterval(() => { if (!closed) s.write(' '); }, 250);
  try {
    await until('it is refused', () => text.includes(' 408 ') || closed, 20000);
    assert.match(text, /^HTTP\/1.1 408 /);
  } finally {
    clearInterval(drip);
    s.destroy();
  }
});

test('the configuration changes under load: no call is lost', async () => {
  let over = false;
  const load = otherTokens.map((t) => consumer(t, 4, () => over));
  for (let i = 0; i < 3; i++) {
    platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: flood.client_id, org_id: 'essai-demo', api: 'partage', version: 'v1', fields: 'total', purpose: { fr: `Changer ${i}`, en: `Change ${i}` }, legal_basis: { fr: 'Essai', en: 'Test' } }) });
    await sleep(300);
  }
  over = true;
  for (const c of await Promise.all(load)) assert.equal(c.sent, c[200], JSON.stringify(c));
});

test('[F2.1.13] web ends and is started again under load: every call is answered, those sent meanwhile wait', async () => {
  let over = false;
  const fresh = async (token) => { // a connection a call: none can be lost between two of them
    const counts = {};
    while (!over) {
      const r = await call(world, '/gw/partage/v1/x', token, { headers: { connection: 'close' } }).catch((e) => ({ status: e.code ?? String(e) }));
      counts[r.status] = (counts[r.status] ?? 0) + 1;
    }
    return counts;
  };
  const load = otherTokens.map(fresh);
  const web = () => processesOf(platform.child.pid).find((p) => p.title === 'socle: web')?.pid;
  await sleep(300);
  const first = web();
  process.kill(first, 'SIGTERM');
  await until('another web serves', () => web() && web() !== first);
  await sleep(1500);
  over = true;
  for (const c of await Promise.all(load)) assert.deepEqual(Object.keys(c), ['200'], JSON.stringify(c));
});
