// A second reader of the journal, written from docs/formats alone and sharing no line with the
// program: what it finds there is there.
import { createHash, createPublicKey, verify } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import assert from 'node:assert/strict';

const sha = (...parts) => { const h = createHash('sha256'); for (const p of parts) h.update(p); return h.digest(); };

// C2SP tlog-tiles: 1234067 is x001/x234/067.
function tilePath(n) {
  const groups = [];
  do { groups.unshift(String(n % 1000).padStart(3, '0')); n = Math.floor(n / 1000); } while (n > 0);
  return groups.map((g, i) => (i < groups.length - 1 ? `x${g}` : g)).join('/');
}

function bundle(folder, n) {
  const full = join(folder, 'tile/entries', tilePath(n));
  if (existsSync(full)) return readFileSync(full);
  const partial = `${full}.p`;
  if (!existsSync(partial)) return null;
  const widest = readdirSync(partial).filter((w) => /^\d+$/.test(w)).map(Number).sort((a, b) => b - a)[0];
  return widest === undefined ? null : readFileSync(join(partial, String(widest)));
}

// The leaves in order, as bytes.
export function leaves(folder) {
  const out = [];
  for (let n = 0; ; n++) {
    const b = bundle(folder, n);
    if (!b) return out;
    let at = 0, count = 0;
    while (at < b.length) {
      const length = b.readUInt16BE(at);
      out.push(b.subarray(at + 2, at + 2 + length));
      at += 2 + length;
      count++;
    }
    if (count < 256) return out;
  }
}

export const entries = (folder) => leaves(folder).map((l) => JSON.parse(l.toString('utf8')));

// RFC 6962 2.1.
function root(list) {
  if (list.length === 0) return sha('');
  if (list.length === 1) return sha(Buffer.from([0]), list[0]);
  let k = 1;
  while (k * 2 < list.length) k *= 2;
  return sha(Buffer.from([1]), root(list.slice(0, k)), root(list.slice(k)));
}

// The checkpoint's size, root and signature against the entries themselves.
export function check(folder) {
  const note = readFileSync(join(folder, 'checkpoint'), 'utf8');
  const [body, signatures] = note.split('\n\n');
  const [origin, size, base64] = body.split('\n');
  const key = readFileSync(join(folder, 'key'), 'utf8').trim();
  const line = signatures.split('\n').find((l) => l.startsWith(`\u2014 ${origin} `));
  assert.ok(line, 'the log signs under its own name');
  const public32 = Buffer.from(key.split('+').slice(2).join('+'), 'base64').subarray(1);
  assert.equal(public32.length, 32, 'an Ed25519 key');
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), public32]);
  const signature = Buffer.from(line.split(' ')[2], 'base64').subarray(4);
  assert.ok(verify(null, Buffer.from(`${body}\n`), createPublicKey({ key: der, format: 'der', type: 'spki' }), signature), 'the signature is right');
  const list = leaves(folder);
  assert.ok(list.length >= Number(size), `${list.length} entries, ${size} signed`);
  assert.equal(root(list.slice(0, Number(size))).toString('base64'), base64, 'the root is that of the entries');
  return { origin, size: Number(size), entries: list.length };
}
