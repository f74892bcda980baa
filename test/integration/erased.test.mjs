// Who was erased stays erased, whatever the age of the database that is restored.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, engine, sleep } from '../lib/platform.mjs';
import { World, tokensFor } from '../lib/story.mjs';

let platform, world;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

const people = () => platform.json(['person', 'list']).items.filter((p) => p.realm === 'citizens');

test('[2.1.1.d2] an erasure in the restored journal is obeyed, even when the database never heard of it', { timeout: 120000 }, async () => {
  await tokensFor(world, world.citizen, { scope: 'openid' });
  const [her] = people();
  assert.equal(her.state, 'active');
  const old = join(platform.folder, 'old'), backup = join(platform.folder, 'backup');
  let dump;
  if (engine === 'sqlite') platform.must(['backup', old]);
  else dump = spawnSync('pg_dump', ['-Fc', platform.database.url], { maxBuffer: 1 << 30 });
  platform.must(['person', 'erase', her.id, '--yes']);
  await sleep(2500); // the running platform seals the act of a command
  platform.must(['backup', backup]);
  await platform.stop();
  if (engine === 'sqlite') cpSync(join(old, 'socle.db'), join(backup, 'socle.db'));
  else assert.equal(spawnSync('pg_restore', ['--clean', '--if-exists', '-d', platform.database.url], { input: dump.stdout }).status, 0);
  rmSync(platform.data, { recursive: true });
  assert.match(platform.must(['restore', backup]), /[1-9]\d* withdrawals, blocks and erasures obeyed/);
  assert.equal(people().find((p) => p.id === her.id).state, 'erased');
  await platform.begin();
  await tokensFor(world, world.citizen, { scope: 'openid' });
  assert.equal(people().filter((p) => p.state === 'active' && p.id !== her.id).length, 1 + world.own_accounts.length, 'she comes back as somebody new');
});
