// A person who is blocked is cut off at the gateway too: what she gave before is refused within a second.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Platform, until } from '../lib/platform.mjs';
import { World, call, tokensFor } from '../lib/story.mjs';

let platform, world;
before(async () => { platform = await Platform.start(); world = new World(platform); }, { timeout: 60000 });
after(() => platform?.destroy());

test('a blocked account’s tokens are refused at the gateway; those given after the block is lifted are not', async () => {
  const path = '/gw/famille/v1/foyer';
  const t = await tokensFor(world, world.citizen);

  const first = await call(world, path, t.access_token);
  assert.equal(first.status, 200, first.text);
  const id = platform.json(['person', 'list']).items.find((p) => p.realm === 'citizens').id;
  platform.must(['person', 'block', id]);
  const at = Date.now();
  const r = await until('refused', async () => { const x = await call(world, path, t.access_token); return x.status !== 200 && x; });
  assert.equal(r.json.code, 'EXC-401-REVOKED');
  assert.ok(Date.now() - at < 5000);
  platform.must(['person', 'unblock', id]);
  const again = await tokensFor(world, world.citizen);
  assert.equal((await call(world, path, again.access_token)).status, 200);
});
