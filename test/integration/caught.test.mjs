// A journal that is altered, truncated, forked, back-dated or incomplete: what the verifier (with
// receipts, and following from outside), a witness and the Python verifier each say of it, and what
// each cannot see by nature (docs/formats/witness.md, *Who sees what*). The log is one whose keeper
// signs whatever he likes.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Platform, portBlock, program, root as top } from '../lib/platform.mjs';
import { Log, root } from '../lib/tlog.mjs';

const folder = mkdtempSync(join(tmpdir(), 'caught-')), log = new Log('registre.test/journal');
const file = (name, text) => { writeFileSync(join(folder, name), text); return join(folder, name); };
const HELD = 20, AT = 1764000000000;
const ulid = (i, at = AT + i * 1000) => {
  const abc = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  let out = '', t = at;
  for (let k = 0; k < 10; k++) { out = abc[t % 32] + out; t = Math.floor(t / 32); }
  return out + String(i).padStart(16, '0');
};
const entry = (i, more = '', at = AT + i * 1000) => Buffer.from(`{"v":1,"id":"${ulid(i)}","at":${at},"kind":"exchange.decision"${more}}`);
const honest = Array.from({ length: 25 }, (_, i) => entry(i)), seen = honest.slice(0, HELD);
const idOf = (leaf) => JSON.parse(leaf).id;
const commitment = (leaf) => createHash('sha256').update(Buffer.concat([Buffer.from([0]), leaf])).digest('base64url');
const path = (i, list) => {
  if (list.length === 1) return [];
  let k = 1;
  while (k * 2 < list.length) k *= 2;
  return i < k ? [...path(i, list.slice(0, k)), root(list.slice(k))] : [...path(i - k, list.slice(k)), root(list.slice(0, k))];
};
const proof = (list, i, { leaf = list[i], note = log.note(list), hashes = path(i, list) } = {}) =>
  `c2sp.org/tlog-proof@v1\nextra ${Buffer.concat([Buffer.from(`socle-proof-1\n${log.key}\n`), leaf]).toString('base64')}\nindex ${i}\n${hashes.map((h) => `${h.toString('base64')}\n`).join('')}\n${note}`;

let block, witness, server, files = {};
// What the log shows: its own files, and proofs. `shown`: leaves that are not those it signed.
function publish(list, shown = list) {
  const bundle = Buffer.concat(shown.flatMap((l) => [Buffer.from([l.length >> 8, l.length & 255]), l]));
  files = { key: `${log.key}\n`, checkpoint: log.note(list), [`tile/0/000.p/${list.length}`]: Buffer.concat(list.map((l) => root([l]))), [`tile/entries/000.p/${list.length}`]: bundle };
  shown.forEach((leaf, i) => { files[`receipts/${idOf(leaf)}`] = proof(list, i, { leaf }); });
}
const url = () => `http://127.0.0.1:${block.base + 7}/journal`;
const run = (cmd, args) => new Promise((done) => {
  const child = spawn(cmd, args, { cwd: top });
  let out = '';
  child.stdout.on('data', (d) => { out += d; });
  child.on('close', (code) => done({ code, out }));
});
const add = async (list, options) => (await fetch(`${witness.base}/witness/add-checkpoint`, { method: 'POST', body: log.request(HELD, list, options) })).status;

before(async () => {
  block = await portBlock();
  server = createServer((q, r) => { const f = files[q.url.slice('/journal/'.length)]; r.writeHead(f ? 200 : 404).end(f ?? ''); });
  await new Promise((done) => server.listen(block.base + 7, '127.0.0.1', done));
  witness = await Platform.start({ demo: false, ports: { base: block.base, release() {} }, args: ['--handlers=2', '--loops=1', '--witness_name=cnil.test/temoin', `--witness_logs=${file('logs', `${log.key}\n`)}`] });
  assert.equal((await fetch(`${witness.base}/witness/add-checkpoint`, { method: 'POST', body: log.request(0, seen) })).status, 200);
  publish(seen);
  assert.equal((await run(program, ['journal', 'monitor', url(), '--key', log.key, '--state', join(folder, 'seen')])).code, 0);
  file('receipts', seen.map((l) => `${idOf(l)} ${commitment(l)}\n`).join(''));
}, { timeout: 120000 });
after(async () => { server?.close(); server?.closeAllConnections?.(); await witness?.destroy(); block?.release(); rmSync(folder, { recursive: true, force: true }); }, { timeout: 60000 });

const other = (i) => entry(i, ',"actor":"another"');
const but = (i, leaf, list = seen) => list.map((l, k) => (k === i ? leaf : l));
// list: what is signed now; shown: entries that are shown for it; of: the entry whose receipt is asked
// about; python: the best proof that the log could offer for it.
const harms = [
  { name: 'nothing happened', list: honest, of: 5, receipt: 'covered', monitor: 'good', witness: 200, python: true },
  { name: 'altered, and signed anew', list: but(5, other(5)), of: 5, receipt: 'altered', monitor: 'fork', witness: 409, python: false },
  { name: 'altered in place', list: honest, shown: but(22, other(22), honest), of: 22, receipt: 'false', monitor: 'altered', witness: 200, python: false, blind: 'a witness sees no entries' },
  { name: 'truncated', list: seen.slice(0, 15), of: 17, receipt: 'omitted', monitor: 'rollback', witness: [400, 409], python: false, offer: () => proof(seen.slice(0, 15), 17, { leaf: seen[17], hashes: path(17, seen) }) },
  { name: 'forked', list: but(18, other(18), honest), of: 18, receipt: 'altered', monitor: 'fork', witness: 422, python: false },
  { name: 'back-dated: slipped in among older ones', list: [...honest.slice(0, 8), entry(99, '', AT + 7500), ...honest.slice(8)], of: 12, receipt: 'covered', monitor: 'fork', witness: 422, python: false, offer: (l) => proof(l, 12, { leaf: seen[12], hashes: path(12, seen) }), blind: 'a receipt names an entry, not its place' },
  { name: 'back-dated: appended with an older time', list: [...seen, entry(99, '', AT + 7500)], of: 12, receipt: 'covered', monitor: 'good', witness: 200, python: true, blind: 'a time is the word of who wrote it: the place in the log says when it was written' },
  { name: 'incomplete: promised, never written', list: honest, of: 77, receipt: 'omitted', monitor: 'good', witness: 200, python: false, offer: (l) => proof(l, 5), blind: 'who sees the tree alone does not know what was promised' },
];
for (const h of harms) test(`[2.1.1.d1] ${h.name}${h.blind ? ` (${h.blind})` : ''}`, { timeout: 60000 }, async () => {
  const leaf = honest[h.of] ?? entry(h.of), shown = h.shown ?? h.list;
  publish(h.list, shown);
  const kept = file('kept', `${idOf(leaf)} ${commitment(leaf)}\n`);
  const said = JSON.parse((await run(program, ['verify', kept, '--log', url(), '--key', log.key, '--json'])).out);
  assert.equal(said[0].state, h.receipt, 'socle verify');
  cpSync(join(folder, 'seen'), join(folder, 'state'));
  const monitor = JSON.parse((await run(program, ['journal', 'monitor', url(), '--key', log.key, '--state', join(folder, 'state'), '--json'])).out);
  assert.equal(monitor.state, h.monitor, 'socle journal monitor');
  const i = shown.findIndex((l) => idOf(l) === idOf(leaf));
  const offered = file('offered', h.offer ? h.offer(h.list) : proof(h.list, i, { leaf: shown[i] }));
  const python = await run('python3', ['tools/verify_proof.py', offered, '--key', log.key, '--receipt', commitment(leaf)]);
  assert.equal(python.code === 0, h.python, `tools/verify_proof.py: ${python.out}`);
  // What is good is asked of the witness once, below: its answer moves it.
  if (h.witness !== 200) assert.ok([h.witness].flat().includes(await add(h.list, h.list.length > HELD ? {} : { proof: [] })), 'the witness');
});

test('[2.1.1.d1] what a witness cannot see, it signs', { timeout: 60000 }, async () => {
  assert.equal(await add(honest), 200, 'it is shown the tree, neither entries nor promises');
});
