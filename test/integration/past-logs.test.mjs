// A restored backup opens another log; what the one before published stays where it was, byte for
// byte, and can be followed and checked there.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Platform, run, until } from '../lib/platform.mjs';
import { check, entries } from '../lib/journal.mjs';

const folder = mkdtempSync(join(tmpdir(), 'past-logs-'));
let platform, acts = 0;
const act = () => platform.must(['client', 'remove', platform.json(['client', 'add', '--name', `Essai ${++acts}`, '--redirect-uri', `http://localhost:1/${acts}`]).client_id]);
const get = async (path) => { const r = await fetch(`${platform.base}/journal${path}`); return { status: r.status, bytes: Buffer.from(await r.arrayBuffer()) }; };
const walk = (dir) => readdirSync(dir, { withFileTypes: true }).flatMap((e) => (e.isDirectory() ? walk(join(dir, e.name)) : [join(dir, e.name)]));
const monitor = (path, ...args) => { const r = run(['journal', 'monitor', `${platform.base}/journal${path}`, '--json', ...args]); assert.ok(r.stdout, r.stderr); return JSON.parse(r.stdout); };
const sealed = () => until('all is signed', () => existsSync(join(platform.journalFolder, 'checkpoint')) && check(platform.journalFolder).size === entries(platform.journalFolder).length, { timeoutMs: 60000, everyMs: 100 });
let key;

before(async () => {
  platform = await Platform.start({ demo: false, args: ['--handlers=2', '--loops=1'] });
  for (let i = 0; i < 3; i++) act();
  await until('there are entries', () => entries(platform.journalFolder).length > 3, { timeoutMs: 60000 });
  await sealed();
  key = (await get('/logs/1/key')).bytes.toString().trim();
  assert.equal(monitor('/logs/1', '--key', key, '--state', join(folder, 'state')).state, 'good', 'while it is under way');
  await platform.stop();
  writeFileSync(join(platform.journalFolder, 'restored'), '');
  await platform.begin();
  act();
  await until('another log is under way', () => readFileSync(join(platform.journalFolder, 'key'), 'utf8').trim() !== key);
  await sealed();
}, { timeout: 180000 });
after(async () => { await platform?.destroy(); rmSync(folder, { recursive: true, force: true }); }, { timeout: 60000 });

test('[2.1.1.a] the list names each log, and the old one is where it was, byte for byte', { timeout: 60000 }, async () => {
  const [first, second, ...rest] = (await get('/logs')).bytes.toString().trim().split('\n').map((l) => l.split(' '));
  assert.deepEqual([first[0], second[0], rest.length], ['1', '2', 0]);
  assert.equal(first[1], key.split('+')[0]);
  assert.ok(second[1].startsWith(`${first[1]}/`), 'its origin goes on');
  const past = join(platform.journalFolder, 'past/1'), files = walk(past).map((f) => f.slice(past.length + 1)).filter((f) => /^(tile\/|checkpoint$|key$)/.test(f));
  assert.ok(files.length >= 4);
  for (const f of files) assert.deepEqual((await get(`/logs/1/${f}`)).bytes, readFileSync(join(past, f)), f);
  assert.deepEqual((await get('/logs/2/checkpoint')).bytes, (await get('/checkpoint')).bytes, 'the one under way has both addresses');
  for (const bad of ['/logs/3/checkpoint', '/logs/0/key', '/logs/01/key', '/logs/x/key', '/logs/1/tile/0/x000/000', '/logs/1/tile/9/000', '/logs/1/state', '/logs/1/tile/entries/001'])
    assert.equal((await get(bad)).status, 404, bad);
});

test('[2.1.1.d1] a monitor goes on following it there; the next log names its last checkpoint', { timeout: 60000 }, async () => {
  const m = monitor('/logs/1', '--key', key, '--state', join(folder, 'state'));
  assert.equal(m.state, 'good', m.what);
  assert.equal(monitor('', '--key', key).state, 'signature', 'the other address carries another log');
  const opened = entries(platform.journalFolder)[0], note = (await get('/logs/1/checkpoint')).bytes.toString().split('\n');
  assert.equal(opened.kind, 'journal.opened');
  assert.deepEqual(opened.previous, { origin: note[0], size: Number(note[1]), root: note[2] });
  const file = join(folder, 'note');
  writeFileSync(file, (await get('/logs/1/checkpoint')).bytes);
  assert.equal(spawnSync('python3', ['tools/verify_proof.py', file, '--key', key]).status, 0);
});
