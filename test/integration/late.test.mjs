// Processes that do not answer: the one that holds the keys is stopped, not dead, so that nobody starts
// it again. Whoever waits for it is told so within its time; nobody else waits; what it says when it
// comes to itself reaches nobody who has gone.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Platform, until } from '../lib/platform.mjs';
import { Client, send } from '../lib/http.mjs';
import { World } from '../lib/story.mjs';
import { Relying, basic } from '../lib/relying.mjs';

let platform, world, rp, k, person;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  rp = new Relying(world);
  k = rp.add('Service pressé');
  person = new Client();
  await rp.tokens(k, {}, { person });
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

test('the keys stopped: SOC-504 in its time, pages go on, and all is well when they are back', { timeout: 120000 }, async () => {
  const codes = [];
  for (let i = 0; i < 6; i++) codes.push(await rp.code(k, {}, { person }));
  const pid = platform.pid('keys');
  process.kill(pid, 'SIGSTOP');
  try {
    const at = Date.now();
    const waiting = codes.map((c) => rp.post('/token', c.grant, basic(k)));
    const pages = [];
    for (const url of [`${world.issuer}/`, `${world.townUrl}/`, `${world.issuer}/legal`]) pages.push((await send(url)).status);
    assert.deepEqual(pages, [200, 200, 200], 'meanwhile');
    for (const r of await Promise.all(waiting)) {
      assert.equal(r.status, 504, r.text);
      assert.equal(r.json.code, 'SOC-504');
      assert.ok(r.headers['content-type'].includes('json'));
      assert.doesNotMatch(r.text, /access_token/);
    }
    assert.ok(Date.now() - at >= 4000, 'it was given its time');
  } finally { process.kill(pid, 'SIGCONT'); }
  // The same process answers late, to nobody; the next one to ask gets what is its own.
  await until('tokens again', async () => (await rp.post('/token', (await rp.code(k, {}, { person })).grant, basic(k))).status === 200, { timeoutMs: 60000 });
  assert.equal(platform.pid('keys'), pid, 'nobody had to start it again');
  const [x, y] = await Promise.all([rp.tokens(k, {}, { person: new Client() }), rp.tokens(k, {}, { person: new Client(), account: world.account('jeanne.rousseau') })]);
  assert.notEqual(x.claims.sub, y.claims.sub);
  platform.must(['journal', 'verify']);
});
