// What may happen to a journal's files: each kind of file altered, cut, exchanged, put back from a
// backup; a clock that jumps. The verifier names it, or the journal
// goes on without a loss. SOCLE_TEST_LONG=1: every file, many places.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Platform, program, root, until } from '../lib/platform.mjs';
import { check, entries } from '../lib/journal.mjs';

const folder = mkdtempSync(join(tmpdir(), 'journal-fault-'));
const long = process.env.SOCLE_TEST_LONG === '1';
const whole = join(folder, 'whole'), early = join(folder, 'early');
let platform, seed = 12345;
const random = (n) => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return seed % n; };
const walk = (dir) => readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? walk(join(dir, e.name)) : [join(dir, e.name)]));
const verify = (dir, ...args) => { const r = spawnSync(program, ['verify', dir, '--json', ...args], { encoding: 'utf8', cwd: root }); assert.ok(r.stdout, r.stderr); return { code: r.status, ...JSON.parse(r.stdout) }; };
let acts = 0;
const act = (n = 1) => { for (let i = 0; i < n; i++) platform.must(['client', 'remove', platform.json(['client', 'add', '--name', `Essai ${++acts}`, '--redirect-uri', `http://localhost:1/${acts}`]).client_id]); };
const sealed = (n) => until('all is sealed', () => existsSync(join(platform.journalFolder, 'checkpoint')) && entries(platform.journalFolder).length >= n && check(platform.journalFolder).size === entries(platform.journalFolder).length, { timeoutMs: 60000, everyMs: 100 });

before(async () => {
  platform = await Platform.start({ args: ['--handlers=2', '--loops=1'] });
  const before = entries(platform.journalFolder).length;
  act(2);
  await sealed(before + 1);
  await platform.stop();
  cpSync(platform.journalFolder, early, { recursive: true });
  await platform.begin();
  act(3);
  await sealed(entries(early).length + 1);
  await platform.stop();
  cpSync(platform.journalFolder, whole, { recursive: true });
}, { timeout: 240000 });
after(async () => { await platform?.destroy(); rmSync(folder, { recursive: true, force: true }); }, { timeout: 60000 });

// What the signed log is made of; `wal`, `ids` and `side` are made again, or hold what is not sealed.
const isProof = (name) => /^(tile\/|checkpoint$|key$)/.test(name);

test('[2.1.1.d1] one byte changed anywhere in the log is named, with its file', { timeout: 240000 }, () => {
  const dir = join(folder, 'byte');
  cpSync(whole, dir, { recursive: true });
  assert.equal(verify(dir).code, 0, 'good before');
  for (const file of walk(dir).filter((f) => isProof(relative(dir, f)))) {
    const good = readFileSync(file);
    for (let i = 0; i < (long ? 200 : 6); i++) {
      const bad = Buffer.from(good), at = random(good.length);
      bad[at] ^= 1 << random(8);
      writeFileSync(file, bad);
      const v = verify(dir), name = relative(dir, file);
      assert.equal(v.code, 1, `${name}, byte ${at}`);
      assert.ok(v.what && (v.file === name || /^(checkpoint|key)$/.test(v.file || 'key') || v.file.startsWith('tile')), `${name}: ${v.file}: ${v.what}`);
      if (name.startsWith('tile')) assert.equal(v.file, name, `${at}: ${v.what}`);
    }
    writeFileSync(file, good);
  }
  assert.equal(verify(dir).code, 0, 'and good again');
});

test('[2.1.1.d1] a file cut, missing, exchanged or put back from a backup is named', { timeout: 120000 }, () => {
  const dir = join(folder, 'files');
  const fresh = () => { rmSync(dir, { recursive: true, force: true }); cpSync(whole, dir, { recursive: true }); };
  fresh();
  const proofs = walk(dir).map((f) => relative(dir, f)).filter(isProof);
  for (const name of proofs) {
    fresh();
    truncateSync(join(dir, name), Math.floor(statSync(join(dir, name)).size / 2));
    assert.equal(verify(dir).code, 1, `${name} cut`);
    fresh();
    rmSync(join(dir, name));
    assert.equal(verify(dir).code, 1, `${name} missing`);
  }
  const tiles = proofs.filter((n) => /^tile\/(0|entries)\//.test(n));
  if (tiles.length > 1) {
    fresh();
    renameSync(join(dir, tiles[0]), join(dir, 'x'));
    renameSync(join(dir, tiles[1]), join(dir, tiles[0]));
    renameSync(join(dir, 'x'), join(dir, tiles[1]));
    assert.equal(verify(dir).code, 1, 'two tiles exchanged');
  }
  fresh();
  cpSync(join(early, 'checkpoint'), join(dir, 'checkpoint'));
  const v = verify(dir);
  assert.deepEqual([v.code, v.file], [1, 'checkpoint'], v.what);
  fresh();
  for (const name of ['state', 'durable']) { cpSync(join(early, name), join(dir, name)); }
  assert.equal(verify(dir).code, 1, 'an older state');
});

test('[2.1.1.a] a whole folder put back from a backup opens no second history: who kept a checkpoint says so', { timeout: 120000 }, () => {
  const state = join(folder, 'seen');
  // Alone, an older journal is a good journal; against what was seen of it, it is a rollback.
  assert.equal(verify(early).code, 0);
  assert.equal(verify(whole).entries > verify(early).entries, true);
  const receipts = join(folder, 'receipts');
  const last = entries(whole).at(-1), leafHash = JSON.parse(spawnSync(program, ['journal', 'show', last.id, '--json', `--data=${join(platform.data)}`], { encoding: 'utf8', cwd: root }).stdout).leaf_hash;
  writeFileSync(receipts, `${last.id} ${Buffer.from(leafHash, 'hex').toString('base64url')}\n`);
  const said = (log) => JSON.parse(spawnSync(program, ['verify', receipts, '--log', log, '--json'], { encoding: 'utf8', cwd: root, env: { ...process.env, SOCLE_CLOCK_OFFSET_MS: '60000' } }).stdout)[0].state;
  assert.equal(said(whole), 'covered');
  assert.equal(said(early), 'omitted');
  assert.ok(!existsSync(state));
});

test('[2.1.1.a] indexes and what is not sealed yet, lost or altered, are made again', { timeout: 240000 }, async () => {
  const held = entries(whole).length;
  for (const [what, harm] of Object.entries({
    'no index of ids': (d) => rmSync(join(d, 'ids'), { recursive: true, force: true }),
    'an index of ids cut': (d) => { for (const f of walk(join(d, 'ids'))) truncateSync(f, 20); },
    'no state': (d) => rmSync(join(d, 'state'), { force: true }),
  })) {
    rmSync(platform.journalFolder, { recursive: true });
    cpSync(whole, platform.journalFolder, { recursive: true });
    harm(platform.journalFolder);
    await platform.begin();
    act();
    await sealed(held + 1);
    assert.equal(verify(platform.journalFolder).code, 0, what);
    assert.equal(platform.command(['journal', 'show', entries(whole)[0].id]).code, 0, `${what}: entries are found`);
    await platform.stop();
  }
});

test('[2.1.1.a] a clock that jumps back or ahead changes the order of nothing', { timeout: 120000 }, async () => {
  rmSync(platform.journalFolder, { recursive: true });
  cpSync(whole, platform.journalFolder, { recursive: true });
  const before = entries(whole).map((e) => e.id);
  for (const offset of [-86400000, 86400000]) {
    await platform.begin({ env: { SOCLE_CLOCK_OFFSET_MS: String(offset) } });
    await sealed(before.length);
    const held = entries(platform.journalFolder).length;
    act(); // by a command, whose clock is right
    await sealed(held + 2);
    await platform.stop();
    assert.equal(verify(platform.journalFolder).code, 0);
    assert.deepEqual(entries(platform.journalFolder).map((e) => e.id).slice(0, before.length), before, 'what was there is there, in its order');
  }
});
