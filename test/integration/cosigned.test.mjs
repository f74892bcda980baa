// A quorum of witnesses, timestamps from outside, and nodes that follow each other's logs.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Platform, portBlock, program, root, until } from '../lib/platform.mjs';
import { entries } from '../lib/journal.mjs';
import { cosignatures } from '../lib/tlog.mjs';

const folder = mkdtempSync(join(tmpdir(), 'cosigned-'));
const path = (name) => join(folder, name);
const openssl = (...args) => { const r = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' }); assert.equal(r.status, 0, r.stderr); return r.stdout; };
let block, log, witness, tsa;
const at = (n) => ({ base: block.base + n, release() {} });
const text = async (p, url) => (await fetch(`${p.base}${url}`)).text();
let acts = 0;
const act = () => log.must(['client', 'remove', log.json(['client', 'add', '--name', `Essai ${++acts}`, '--redirect-uri', `http://localhost:1/${acts}`]).client_id]);

// The responder of `openssl ts`, over HTTP.
function timestamping() {
  writeFileSync(path('tsa.cnf'), `[tsa]\ndefault_tsa = one\n[one]\nserial = ${path('serial')}\ncrypto_device = builtin\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\ndigests = sha256\nordering = yes\ness_cert_id_alg = sha256\n[ext]\nextendedKeyUsage = critical,timeStamping\nkeyUsage = critical,digitalSignature\n[ca]\nbasicConstraints = critical,CA:true\n[req]\ndistinguished_name = dn\n[dn]\n`);
  writeFileSync(path('serial'), '01\n');
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '3650', '-subj', '/CN=Autorité d’essai', '-config', 'tsa.cnf', '-extensions', 'ca');
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'tsa.key', '-out', 'tsa.csr', '-subj', '/CN=Horodatage d’essai', '-config', 'tsa.cnf');
  openssl('x509', '-req', '-in', 'tsa.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '3650', '-extfile', 'tsa.cnf', '-extensions', 'ext', '-out', 'tsa.pem');
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'other.key', '-out', 'other.pem', '-days', '3650', '-subj', '/CN=Autre', '-config', 'tsa.cnf', '-extensions', 'ca');
  return createServer((q, r) => {
    const parts = [];
    q.on('data', (d) => parts.push(d)).on('end', () => {
      writeFileSync(path('query'), Buffer.concat(parts));
      openssl('ts', '-reply', '-config', 'tsa.cnf', '-section', 'one', '-queryfile', 'query', '-signer', 'tsa.pem', '-inkey', 'tsa.key', '-out', 'answer');
      r.writeHead(200, { 'content-type': 'application/timestamp-reply' }).end(readFileSync(path('answer')));
    });
  });
}

before(async () => {
  block = await portBlock();
  tsa = timestamping();
  await new Promise((done) => tsa.listen(block.base + 6, '127.0.0.1', done));
  log = await Platform.start({ demo: false, ports: at(0), args: ['--handlers=2', '--loops=1', '--journal_origin=registre.test/journal', '--allow_inside=yes'] });
  act();
  const key = await until('the log is signed', async () => { const t = await text(log, '/journal/key'); return t.includes('+') && t.trim(); });
  writeFileSync(path('watched'), `${key}\n`);
  writeFileSync(path('nodes'), `# every node\n${key} ${log.base}/journal\n`);
  witness = await Platform.start({ demo: false, ports: at(1), args: ['--handlers=2', '--loops=1', '--witness_name=cnil.test/temoin', `--witness_logs=${path('watched')}`, `--journal_nodes=${path('nodes')}`, '--allow_inside=yes'] });
  writeFileSync(path('witnesses'), `${(await text(witness, '/witness/key')).trim()} ${witness.base}/witness\n`);
  log.options.args.push(`--witnesses=${path('witnesses')}`, '--witness_quorum=1', `--tsa_url=http://127.0.0.1:${block.base + 6}/`, '--tsa_seconds=1');
  await log.restart();
}, { timeout: 240000 });
after(async () => {
  for (const p of [log, witness]) await p?.destroy();
  tsa?.close();
  tsa?.closeAllConnections?.();
  block?.release();
  rmSync(folder, { recursive: true, force: true });
}, { timeout: 120000 });

test('[M084] a checkpoint without its quorum of witnesses is not published, and acts go on', { timeout: 120000 }, async () => {
  act();
  const key = (await text(witness, '/witness/key')).trim();
  const size = (note) => Number(note.split('\n')[1]);
  const note = await until('the witness has signed all', async () => { const n = await text(log, '/journal/checkpoint'); return size(n) === entries(log.journalFolder).length && n; });
  assert.equal(cosignatures(note, key).length, 1);
  await witness.stop();
  act();
  const own = await until('the log has signed on', () => { const n = readFileSync(join(log.journalFolder, 'checkpoint'), 'utf8'); return size(n) > size(note) && n; });
  assert.equal(await text(log, '/journal/checkpoint'), note, 'the one that the witness saw stays the published one');
  const state = JSON.parse(await text(log, '/api/journal'));
  assert.deepEqual([state.published, state.quorum, state.signed], [size(note), 1, 1]);
  assert.ok(state.entries >= size(own));
  assert.match(await text(log, '/metrics'), new RegExp(`^socle_journal_published ${size(note)}$`, 'm'));
  await witness.begin();
  await until('the witness has caught up', async () => size(await text(log, '/journal/checkpoint')) >= size(own), { timeoutMs: 60000, everyMs: 200 });
  assert.match(await text(log, '/journal?lang=en'), /cnil\.test\/temoin/);
});

test('[2.1.1.d1] an outside service timestamps checkpoints, and the evidence holds it', { timeout: 120000 }, async () => {
  const id = entries(log.journalFolder)[0].id;
  const evidence = await until('there is a timestamp', () => { const r = log.command(['journal', 'export', id]); return r.code === 0 && JSON.parse(r.stdout).timestamps && r.stdout; }, { timeoutMs: 60000, everyMs: 300 });
  const verify = (name, ...args) => spawnSync(program, ['verify', path(name), ...args], { encoding: 'utf8', cwd: root });
  const python = (name) => spawnSync('python3', ['tools/verify_proof.py', path(name)], { encoding: 'utf8', cwd: root });
  writeFileSync(path('evidence'), evidence);
  const good = verify('evidence', '--tsa', path('ca.pem'));
  assert.equal(good.status, 0, good.stdout);
  assert.match(good.stdout, /timestamp of 20\d\d-/);
  assert.equal(verify('evidence', '--tsa', path('other.pem')).status, 1, 'another authority');
  assert.match(verify('evidence').stdout, /a timestamp, not checked/);
  assert.equal(python('evidence').stdout, verify('evidence').stdout);
  const e = JSON.parse(evidence), note = e.proof.slice(e.proof.indexOf('\n\n') + 2);
  writeFileSync(path('text'), `${note.split('\n\n')[0]}\n`);
  writeFileSync(path('response'), Buffer.from(e.timestamps[0], 'base64'));
  assert.match(openssl('ts', '-verify', '-in', 'response', '-data', 'text', '-CAfile', 'ca.pem'), /OK/);
  const raw = Buffer.from(e.timestamps[0], 'base64');
  raw[raw.length - 20] ^= 1;
  writeFileSync(path('altered'), JSON.stringify({ ...e, timestamps: [raw.toString('base64')] }));
  assert.equal(verify('altered', '--tsa', path('ca.pem')).status, 1);
});

test('[P5.1.4.b] one page and one command follow the logs of all nodes, and name the one that went back', { timeout: 120000 }, async () => {
  const nodes = async () => JSON.parse(await text(witness, '/api/journal')).nodes;
  await until('the log is followed', async () => (await nodes())[0]?.state === 'good' && (await nodes())[0].entries > 0, { timeoutMs: 60000, everyMs: 300 });
  const all = spawnSync(program, ['journal', 'monitor', '--nodes', path('nodes'), '--state', path('state')], { encoding: 'utf8', cwd: root });
  assert.equal(all.status, 0, all.stdout + all.stderr);
  // The node comes back with what it held before its last entries.
  await log.stop();
  const old = path('old');
  spawnSync('cp', ['-r', log.journalFolder, old]);
  const held = entries(log.journalFolder).length;
  await log.begin();
  act();
  await until('the new entries were seen', async () => (await nodes())[0].entries > held, { timeoutMs: 60000, everyMs: 300 });
  assert.equal(spawnSync(program, ['journal', 'monitor', '--nodes', path('nodes'), '--state', path('state')], { cwd: root }).status, 0);
  await log.stop();
  rmSync(log.journalFolder, { recursive: true });
  spawnSync('cp', ['-r', old, log.journalFolder]);
  log.options.args = log.options.args.filter((a) => !/^--witness/.test(a));
  await log.begin();
  await until('it is told', async () => ['rollback', 'fork'].includes((await nodes())[0].state), { timeoutMs: 60000, everyMs: 300 });
  assert.match(await text(witness, '/journal?lang=en'), /Signed entries are gone|Two signed histories/);
  const told = spawnSync(program, ['journal', 'monitor', '--nodes', path('nodes'), '--state', path('state'), '--json'], { encoding: 'utf8', cwd: root });
  assert.equal(told.status, 1, told.stdout);
});
