// Processes are killed while people and programs work: what was acknowledged is in the journal
// afterwards, once each, and the platform answers again within a second.
//   SOCLE_TEST_LONG=1   1,000 kills instead of 20 (SOCLE_TEST_KILLS: so many);   SOCLE_TEST_SEED   which, and when
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Platform, run, sleep, until } from '../lib/platform.mjs';
import { Provider, newClient, publish } from '../lib/provider.mjs';
import { World, call, fileProcedure, tokensFor } from '../lib/story.mjs';
import { Client, send } from '../lib/http.mjs';
import { check, entries } from '../lib/journal.mjs';

const KILLS = Number(process.env.SOCLE_TEST_KILLS) || (process.env.SOCLE_TEST_LONG ? 1000 : 20);
const VICTIMS = ['web', 'journal', 'keys'];
let seed = Number(process.env.SOCLE_TEST_SEED ?? 20261124);
const random = () => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return seed / 2 ** 32; };

let platform, world, provider, client;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  provider = await Provider.start(platform.ownPort(0));
  client = newClient(platform);
  publish(platform, { client, port: provider.port });
}, { timeout: 120000 });
after(async () => {
  await provider?.stop();
  await platform?.destroy();
}, { timeout: 60000 });

test(`${KILLS} kills of web, journal and keys under load: nothing acknowledged is lost, and the platform is back within 1 s`, { timeout: KILLS * 10000 + 200000 }, async () => {
  const people = ['camille.martin', 'jeanne.rousseau', 'fatima.benkacem', 'yann.legoff'].map((l) => world.account(l));
  const exchanges = [], receipts = [], failures = new Map();
  let stop = false, token = null, renewals = 0;
  const fail = (what) => failures.set(what, (failures.get(what) ?? 0) + 1);

  // A token lives a minute: somebody renews it all along.
  async function renew() {
    while (!stop) {
      try {
        token = (await tokensFor(world, people[1], { client, scope: 'openid essai_lire' })).access_token;
        renewals++;
        for (let i = 0; i < 150 && !stop; i++) await sleep(100);
      } catch { fail('sign-in'); await sleep(100); }
    }
  }
  async function exchange() {
    while (!stop) {
      try {
        const r = token ? await call(world, '/gw/essai/v1/ok', token, { timeoutMs: 15000 }) : null;
        if (r?.status === 200) exchanges.push(r.headers['socle-entry']);
        else { if (r) fail(`exchange ${r.status}`); await sleep(20); }
      } catch { fail('exchange cut'); await sleep(20); }
    }
  }
  async function file(k) {
    while (!stop) {
      try { receipts.push((await fileProcedure(world, people[k % people.length], { client: new Client() })).number); }
      catch { fail('filing'); await sleep(50); }
    }
  }
  const load = [renew(), ...Array.from({ length: 8 }, exchange), file(0), file(2)];
  await until('work is under way', () => exchanges.length > 50 && receipts.length > 0, { timeoutMs: 60000 });

  // Back: a page, an exchange, and the parts behind (readyz asks the journal and keys).
  async function back(startedAt) {
    for (;;) {
      try {
        const [page, deep, gw] = await Promise.all([send(`${platform.base}/`, { timeoutMs: 5000 }), send(`${platform.base}/readyz`, { timeoutMs: 5000 }), call(world, '/gw/essai/v1/ok', token, { timeoutMs: 5000 })]);
        if (gw.status === 200) exchanges.push(gw.headers['socle-entry']);
        if (page.status === 200 && deep.status === 200 && [200, 401].includes(gw.status)) return Date.now() - startedAt;
      } catch { /* not yet */ }
      assert.ok(Date.now() - startedAt < 30000, `not back within 30 s\n${platform.tail()}`);
      await sleep(5);
    }
  }
  const took = { web: [], journal: [], keys: [] };
  for (let i = 0; i < KILLS; i++) {
    await sleep(200 + Math.floor(random() * 500));
    const victim = VICTIMS[i % VICTIMS.length];
    const old = platform.kill(victim);
    took[victim].push(await back(Date.now()));
    assert.ok(!(platform.pids()[victim] ?? []).includes(old), `${victim} is a new process`);
  }
  stop = true;
  await Promise.all(load);
  for (const [name, list] of Object.entries(took)) {
    list.sort((a, b) => a - b);
    console.log(`figure: ${name} killed ${list.length} times, back after ${list[list.length >> 1]} ms in the middle, ${list.at(-1)} ms at most`);
  }
  console.log(`figure: ${exchanges.length} exchanges and ${receipts.length} filings acknowledged meanwhile; ${[...failures].map(([k, n]) => `${k}: ${n}`).join(', ') || 'no failure'}; ${renewals} sign-ins`);

  await platform.stop();
  const all = entries(platform.journalFolder), times = new Map();
  for (const e of all) times.set(e.id, (times.get(e.id) ?? 0) + 1);
  const lost = exchanges.filter((id) => !times.has(id));
  assert.deepEqual(lost, [], 'each acknowledged exchange is in the journal');
  assert.deepEqual([...times].filter(([, n]) => n > 1), [], 'nothing is there twice');
  const filed = all.filter((e) => /submit/.test(e.kind));
  assert.ok(filed.length >= receipts.length, `${receipts.length} receipts, ${filed.length} filings sealed`);
  assert.equal(new Set(receipts).size, receipts.length, 'each receipt has its own number');
  check(platform.journalFolder);
  const verdict = run(['journal', 'verify', platform.journalFolder]);
  assert.equal(verdict.code, 0, verdict.stdout + verdict.stderr);
  // In the middle counts everywhere; at most only where the machine is not shared by others.
  const worst = Math.max(...Object.values(took).flat());
  const middle = Math.max(...Object.values(took).map((l) => l[l.length >> 1] ?? 0));
  assert.ok(middle <= 1000, `back within 1 s: ${middle} ms in the middle`);
  assert.ok(worst <= 5000, `${worst} ms at most`);
});

test('the power is cut: all processes at once, in the middle of work; the next start needs no repair', { timeout: 180000 }, async () => {
  await platform.begin();
  const acknowledged = [];
  for (let round = 0; round < (process.env.SOCLE_TEST_LONG ? 50 : 3); round++) {
    const t = await tokensFor(world, world.citizen, { client, scope: 'openid essai_lire' });
    let stop = false;
    const work = Array.from({ length: 8 }, async () => {
      while (!stop) { try { const r = await call(world, '/gw/essai/v1/ok', t.access_token, { timeoutMs: 5000 }); if (r.status === 200) acknowledged.push(r.headers['socle-entry']); } catch { await sleep(10); } }
    });
    await sleep(300 + Math.floor(random() * 700));
    await platform.crash();
    stop = true;
    await Promise.all(work);
    await platform.begin();
  }
  await platform.stop();
  const ids = new Set(entries(platform.journalFolder).map((e) => e.id));
  assert.ok(acknowledged.length > 50);
  assert.deepEqual(acknowledged.filter((id) => !ids.has(id)), []);
  assert.equal(run(['journal', 'verify', platform.journalFolder]).code, 0);
  await platform.begin();
});
