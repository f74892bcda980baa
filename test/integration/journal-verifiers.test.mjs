// Two verifiers that share no line, `socle journal verify` and tools/verify_proof.py, say the same of
// the same files: good ones, and each of them altered.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import assert from 'node:assert/strict';

const folder = mkdtempSync(join(tmpdir(), 'verifiers-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const corpus = 'test/corpus';
const key = readFileSync(`${corpus}/journal_proof.key`, 'utf8').trim();

const both = (file, ...args) => {
  const ours = spawnSync('build/socle', ['journal', 'verify', file, ...args], { encoding: 'utf8' });
  const theirs = spawnSync('python3', ['tools/verify_proof.py', file, ...args], { encoding: 'utf8' });
  assert.equal(theirs.stderr, '', 'no accident in Python');
  assert.equal(ours.status, theirs.status, `${file}: ${ours.stdout}${ours.stderr} / ${theirs.stdout}`);
  if (ours.status === 0) assert.equal(ours.stdout, theirs.stdout, 'the same words');
  return ours.status;
};

test('both accept a proof, with and without a key kept elsewhere', () => {
  const file = `${corpus}/journal_proof/good`;
  assert.equal(both(file), 0);
  assert.equal(both(file, '--key', key), 0);
  assert.equal(both(file, '--key', `${corpus}/journal_proof.key`), 0);
  const other = Buffer.concat([Buffer.from([1]), Buffer.alloc(32, 9)]), name = key.split('+')[0];
  const id = createHash('sha256').update(`${name}\n`).update(other).digest('hex').slice(0, 8);
  assert.equal(both(file, '--key', `${name}+${id}+${other.toString('base64')}`), 1, 'another journal’s key');
});

test('both agree on every file of the corpus', () => {
  for (const name of readdirSync(`${corpus}/journal_proof`)) both(join(corpus, 'journal_proof', name));
});

test('both refuse a proof with any bit changed', () => {
  const good = readFileSync(`${corpus}/journal_proof/good`), file = join(folder, 'altered');
  for (let at = 0; at < good.length; at += 13) {
    const bad = Buffer.from(good);
    bad[at] ^= 1 << (at % 7);
    writeFileSync(file, bad);
    assert.equal(both(file), 1, `byte ${at}`);
  }
  writeFileSync(file, Buffer.concat([good, Buffer.from('\n')]));
  assert.equal(both(file), 1, 'a line more');
});

test('Python checks a checkpoint alone', () => {
  const check = (name) => spawnSync('python3', ['tools/verify_proof.py', `${corpus}/journal_note/${name}`, '--key', `${corpus}/journal_note/key`]).status;
  assert.equal(check('checkpoint'), 0);
  assert.equal(check('two_signatures'), 0);
  assert.equal(check('witness'), 0, 'a witness’s signature is not ours to judge');
  for (const name of ['extension', 'empty_line', 'no_signature', 'size_with_zero', 'control', 'cut']) assert.equal(check(name), 1, name);
});

test('Python reads a checkpoint of others as they signed it', () => {
  const c2sp = 'test/vectors/c2sp', log = readFileSync(`${c2sp}/keys`, 'utf8').split('\n')[0];
  assert.equal(spawnSync('python3', ['tools/verify_proof.py', `${c2sp}/checkpoint`, '--key', log]).status, 0);
  const altered = join(folder, 'c2sp');
  writeFileSync(altered, readFileSync(`${c2sp}/checkpoint`, 'utf8').replace('\n1432', '\n1433'));
  assert.equal(spawnSync('python3', ['tools/verify_proof.py', altered, '--key', log]).status, 1);
});
