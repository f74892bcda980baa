// The journal seen from outside: bodies that cosign one register, a log that forks before a witness,
// a monitor that follows it, and evidence that needs nobody.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Platform, portBlock, run, until } from '../lib/platform.mjs';
import { entries } from '../lib/journal.mjs';
import { Log, consistency, cosignatures, root } from '../lib/tlog.mjs';

const folder = mkdtempSync(join(tmpdir(), 'witness-'));
const BODIES = ['mairie', 'departement', 'prefecture', 'cnil'];
const outside = new Log('ailleurs.test/journal');
let block, log, bodies = [], keys = [];

const at = (n) => ({ base: block.base + n, release() {} });
const get = (p, path) => fetch(`${p.base}${path}`);
const words = async (p, path) => { const r = await get(p, path); assert.equal(r.status, 200, `${path}: ${r.status}`); return r.text(); };
const add = async (p, body) => {
  const r = await fetch(`${p.base}/witness/add-checkpoint`, { method: 'POST', body, headers: { 'content-type': 'text/plain' } });
  return { status: r.status, type: r.headers.get('content-type'), text: await r.text() };
};
let acts = 0;
// An act of the operator: the removal of a client is journalled.
const act = () => log.must(['client', 'remove', log.json(['client', 'add', '--name', `Essai ${++acts}`, '--redirect-uri', `http://localhost:1/${acts}`]).client_id]);
const size = (note) => Number(note.split('\n')[1]);

before(async () => {
  block = await portBlock();
  log = await Platform.start({ demo: false, ports: at(0), args: ['--handlers=2', '--loops=1', '--journal_origin=registre.test/journal', `--allow_inside=yes`] });
  act();
  const key = await until('the log is signed', async () => { const r = await get(log, '/journal/key'); return r.status === 200 && (await r.text()).trim(); });
  const watched = join(folder, 'logs');
  writeFileSync(watched, `# the logs we watch\n${key}\n${outside.key}\n`);
  bodies = await Promise.all(BODIES.map((name, i) => Platform.start({ demo: false, ports: at(i + 1), args: ['--handlers=2', '--loops=1', `--witness_name=${name}.test/temoin`, `--witness_logs=${watched}`] })));
  keys = await Promise.all(bodies.map(async (b) => (await words(b, '/witness/key')).trim()));
  writeFileSync(join(folder, 'witnesses'), keys.map((k, i) => `${k} ${bodies[i].base}/witness\n`).join(''));
  log.options.args.push(`--witnesses=${join(folder, 'witnesses')}`);
  await log.restart();
}, { timeout: 240000 });
after(async () => {
  for (const p of [log, ...bodies]) await p?.destroy();
  block?.release();
  rmSync(folder, { recursive: true, force: true });
}, { timeout: 120000 });

test('[M084] four bodies cosign one register: each new checkpoint carries their four signatures', { timeout: 120000 }, async () => {
  for (let round = 0; round < 2; round++) {
    act();
    const held = entries(log.journalFolder).length;
    const note = await until('all four have signed', async () => {
      const n = await words(log, '/journal/checkpoint');
      return size(n) >= held && keys.every((k) => cosignatures(n, k).length === 1) && n;
    }, { timeoutMs: 60000, everyMs: 200 });
    for (const k of keys) assert.ok(Math.abs(cosignatures(note, k)[0] - Date.now() / 1000) < 120, 'signed now');
  }
});

test('[P2.1.3] a witness signs only trees that hold all it signed before', { timeout: 120000 }, async () => {
  const [w] = bodies, leaves = Array.from({ length: 40 }, (_, i) => Buffer.from(`entry ${i}`));
  const first = await add(w, outside.request(0, leaves.slice(0, 7)));
  assert.equal(first.status, 200, first.text);
  assert.equal(cosignatures(outside.note(leaves.slice(0, 7)) + first.text, keys[0]).length, 1);
  assert.equal((await add(w, outside.request(7, leaves.slice(0, 7)))).status, 200, 'the same again');
  assert.equal((await add(w, outside.request(7, leaves.slice(0, 20)))).status, 200);

  const stale = await add(w, outside.request(7, leaves.slice(0, 30)));
  assert.deepEqual([stale.status, stale.type, stale.text], [409, 'text/x.tlog.size', '20\n']);
  assert.equal((await add(w, outside.request(31, leaves.slice(0, 30), { proof: [] }))).status, 400, 'an old size over the new one');
  assert.equal((await add(w, outside.request(20, leaves, { proof: consistency(20, leaves).slice(1) }))).status, 422, 'a proof cut short');
  assert.equal((await add(w, outside.request(20, leaves, { with: generateKeyPairSync('ed25519') }))).status, 403);
  assert.equal((await add(w, new Log('inconnu.test/journal').request(0, leaves))).status, 404);
  for (const bad of ['', 'old 20\n', `old 020\n\n${outside.note(leaves)}`, outside.request(20, leaves).replace('\n\n', '\nAAAA\n\n')]) assert.equal((await add(w, bad)).status, 400, JSON.stringify(bad.slice(0, 30)));

  // Two histories: the same size, a longer one, and back to a shorter one.
  const forked = leaves.map((l, i) => (i === 3 ? Buffer.from('another') : l));
  assert.equal((await add(w, outside.request(20, forked.slice(0, 20), { proof: [] }))).status, 409);
  assert.equal((await add(w, outside.request(20, forked))).status, 422);
  assert.equal((await add(w, outside.request(7, leaves.slice(0, 7)))).status, 409);
  await until('each refusal is in the witness’s own journal', () => {
    const said = entries(w.journalFolder).filter((e) => e.kind === 'witness.refused').map((e) => `${e.actor} ${e.object.split(':')[0]}`);
    return ['fork', 'inconsistent', 'rollback'].every((why) => said.includes(`ailleurs.test/journal ${why}`));
  });

  // Many at once, then a restart: one history only.
  const at20 = await Promise.all([25, 26, 27, 28].map((n) => add(w, outside.request(20, leaves.slice(0, n)))));
  assert.equal(at20.filter((r) => r.status === 200).length, 1, 'one of them moved it');
  await w.restart();
  const known = Number((await add(w, outside.request(0, leaves))).text);
  assert.ok(known >= 25 && known <= 28, `it remembers: ${known}`);
  assert.equal((await add(w, outside.request(known, leaves))).status, 200);
});

const noteOf = (proof) => proof.slice(proof.indexOf('\n\n') + 2);
const file = (name, text) => { const path = join(folder, name); writeFileSync(path, text); return path; };

test('[2.1.1.d1] evidence is one file that two verifiers accept alone, and refuse altered', { timeout: 120000 }, async () => {
  const id = entries(log.journalFolder)[0].id;
  const text = await until('it bears the four signatures', () => { const t = log.must(['journal', 'export', id, `--witnesses=${join(folder, 'witnesses')}`]); return keys.every((k) => cosignatures(noteOf(JSON.parse(t).proof), k).length === 1) && t; }, { timeoutMs: 60000, everyMs: 500 });
  const both = (path) => {
    const ours = run(['journal', 'verify', path]), theirs = spawnSync('python3', ['tools/verify_proof.py', path], { encoding: 'utf8' });
    assert.equal(theirs.stderr, '');
    assert.equal(ours.code, theirs.status, `${ours.stdout} / ${theirs.stdout}`);
    if (ours.code === 0) assert.equal(ours.stdout, theirs.stdout, 'the same words');
    return ours;
  };
  const good = both(file('evidence', text));
  assert.equal(good.code, 0, good.stdout);
  for (const name of BODIES) assert.match(good.stdout, new RegExp(`witness ${name}.test/temoin signed at \\d+`));
  const change = (fn) => { const e = JSON.parse(text); fn(e); return both(file('altered', JSON.stringify(e))).code; };
  assert.equal(change((e) => { e.witnesses[1] = outside.key; }), 1, 'a log’s key is no witness’s');
  assert.equal(change((e) => { e.format = 'socle-evidence-3'; }), 1);
  assert.equal(change((e) => { e.proof = e.proof.replace('\nindex 0', '\nindex 1'); }), 1);
  for (const name of BODIES) assert.equal(change((e) => { e.proof = e.proof.split('\n').map((l) => (l.startsWith(`\u2014 ${name}.test/`) ? `${l.slice(0, 70)}${l[70] === 'A' ? 'B' : 'A'}${l.slice(71)}` : l)).join('\n'); }), 1, `${name}’s signature altered`);
  assert.equal(both(file('cut', text.slice(0, text.length / 2))).code, 1);
});

test('[2.1.1.d1] a monitor names a rollback, a fork and an altered tile', { timeout: 120000 }, async () => {
  const leaves = Array.from({ length: 300 }, (_, i) => Buffer.from(`entry ${i}`));
  let files = {};
  const publish = (list, alter = {}) => {
    files = { key: `${outside.key}\n`, checkpoint: outside.note(list) };
    for (let from = 0; from < list.length; from += 256) {
      const part = list.slice(from, from + 256), n = `00${from / 256}`, w = part.length < 256 ? `.p/${part.length}` : '';
      files[`tile/0/${n}${w}`] = Buffer.concat(part.map((l) => root([l])));
      files[`tile/entries/${n}${w}`] = Buffer.concat(part.flatMap((l) => [Buffer.from([l.length >> 8, l.length & 255]), l]));
    }
    if (list.length >= 256) files['tile/1/000.p/1'] = Buffer.from(root(list.slice(0, 256)));
    for (const [name, fn] of Object.entries(alter)) fn(files[name]);
  };
  const server = createServer((q, r) => { const f = files[q.url.slice('/journal/'.length)]; r.writeHead(f ? 200 : 404).end(f ?? ''); });
  await new Promise((done) => server.listen(block.base + 7, '127.0.0.1', done));
  const look = (state) => new Promise((done) => {
    const child = spawn('build/socle', ['journal', 'monitor', `http://127.0.0.1:${block.base + 7}/journal`, '--key', outside.key, '--state', join(folder, state), '--json']);
    let out = '', err = '';
    child.stdout.on('data', (d) => { out += d; });
    child.stderr.on('data', (d) => { err += d; });
    child.on('close', (code) => { assert.ok(out, err); done({ code, ...JSON.parse(out) }); });
  });
  try {
    publish(leaves.slice(0, 100));
    assert.deepEqual((({ code, state, to }) => [code, state, to])(await look('m')), [0, 'good', 100]);
    publish(leaves.slice(0, 270));
    assert.deepEqual((({ code, state, from, to }) => [code, state, from, to])(await look('m')), [0, 'good', 100, 270]);
    publish(leaves.slice(0, 270), { 'tile/1/000.p/1': (b) => { b[3] ^= 1; } });
    assert.deepEqual((({ code, state, file: f }) => [code, state, f])(await look('fresh')), [1, 'altered', 'tile/1/000.p/1'], 'an upper tile');
    publish(leaves.slice(0, 200));
    assert.deepEqual((({ code, state }) => [code, state])(await look('m')), [1, 'rollback']);
    const forked = leaves.map((l, i) => (i === 5 ? Buffer.from('entry X') : l));
    publish(forked.slice(0, 270));
    assert.deepEqual((({ code, state }) => [code, state])(await look('m')), [1, 'fork'], 'the same size');
    publish(forked);
    assert.deepEqual((({ code, state }) => [code, state])(await look('m')), [1, 'fork'], 'longer, with another past');
    publish(leaves, { 'tile/entries/001.p/44': (b) => { b[b.length - 1] ^= 1; } });
    assert.deepEqual((({ code, state, file: f }) => [code, state, f])(await look('m')), [1, 'altered', 'tile/entries/001.p/44']);
    publish(leaves, { 'tile/0/001.p/44': (b) => { b[b.length - 1] ^= 1; } });
    assert.equal((await look('m')).state, 'altered');
    publish(leaves);
    assert.deepEqual((({ code, state, from, to }) => [code, state, from, to])(await look('m')), [0, 'good', 270, 300], 'and what was seen is still known');
  } finally { server.close(); server.closeAllConnections?.(); }
  const live = run(['journal', 'monitor', `${log.base}/journal`, '--state', join(folder, 'live')]);
  assert.equal(live.code, 0, live.stdout + live.stderr);
});

test('[F2.1.2] the public log is tiles and a checkpoint that any cache may carry', { timeout: 60000 }, async () => {
  const note = await words(log, '/journal/checkpoint'), n = size(note);
  const tile = await get(log, `/journal/tile/0/000.p/${n}`);
  assert.equal(tile.status, 200);
  assert.equal((await tile.arrayBuffer()).byteLength, 32 * n);
  const bundle = Buffer.from(await (await get(log, `/journal/tile/entries/000.p/${n}`)).arrayBuffer());
  assert.match(bundle.subarray(2).toString(), /^\{"v":1,"id":"/);
  assert.ok(!bundle.includes('Essai'), 'no name is in it');
  for (const path of ['0/000', '0/000.p/0', '0/000.p/256', '0/0', '00/000.p/1', '0/x000/000.p/1', 'x/000.p/1', '9/000.p/1', `0/000.p/${n + 200}`, '0/001.p/1']) assert.equal((await get(log, `/journal/tile/${path}`)).status, 404, path);
});
