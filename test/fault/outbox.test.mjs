// The platform dies between the database's commit and the journal's: before the entry is durable,
// and after it is but before anybody heard so. The act is there with its entry, once, after the
// next start.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Platform, until } from '../lib/platform.mjs';
import { World, fileProcedure } from '../lib/story.mjs';
import { entries } from '../lib/journal.mjs';

let platform, world;
before(async () => { platform = await Platform.start(); world = new World(platform); }, { timeout: 120000 });
after(() => platform?.destroy(), { timeout: 60000 });

const submitted = () => entries(platform.journalFolder).filter((e) => /submit/.test(e.kind));
const once = (list) => new Set(list.map((e) => e.id)).size === list.length;
const signal = (name, s) => { for (const pid of platform.pids()[name] ?? []) process.kill(pid, s); };
// The row is in the database, committed, while the journal stands still.
const waits = () => until('the act is committed', () => Number(platform.value('SELECT count(*) FROM outbox')) > 0, { timeoutMs: 60000, everyMs: 50 });

// Files a dossier; `atLast` is called when the last button was pressed and nobody answered yet.
async function filing(account, atLast) {
  let stopped = false;
  const work = fileProcedure(world, account, { beforeSend: () => { signal('journal', 'SIGSTOP'); stopped = true; } }).then(() => 'answered', () => 'cut');
  await until('the journal stands still', () => stopped, { timeoutMs: 60000 });
  await waits();
  await atLast();
  return work;
}

for (const [when, then] of [
  ['before the entry is durable', async () => {}],
  ['after it is, before anybody heard of it', async () => {
    signal('web', 'SIGSTOP');
    const held = entries(platform.journalFolder).length;
    signal('journal', 'SIGCONT');
    await until('the journal has it', () => entries(platform.journalFolder).length > held, { timeoutMs: 60000 });
  }],
]) test(`[2.1.1.a] a crash between the two commits, ${when}: the act is there with its entry, once`, { timeout: 180000 }, async () => {
  const before = submitted().length;
  const answer = await filing(world.account('camille.martin'), async () => { await then(); await platform.crash(); });
  assert.equal(answer, 'cut', 'nothing was acknowledged');
  await platform.begin();
  await until('its entry is there', () => submitted().length > before, { timeoutMs: 60000, everyMs: 100 });
  await until('nothing waits any more', () => Number(platform.value('SELECT count(*) FROM outbox')) === 0, { timeoutMs: 60000, everyMs: 100 });
  assert.equal(submitted().length, before + 1);
  assert.ok(once(entries(platform.journalFolder)), 'nothing twice');
  platform.must(['journal', 'verify']);
});
