// A log in a few lines (RFC 6962, C2SP signed notes and tlog-witness), written from the standards and
// sharing nothing with the program: it can be honest, or fork.
import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';

const sha = (...parts) => { const h = createHash('sha256'); for (const p of parts) h.update(p); return h.digest(); };
const LEAF = Buffer.from([0]), NODE = Buffer.from([1]);
const split = (n) => { let k = 1; while (k * 2 < n) k *= 2; return k; };
export function root(list) {
  if (list.length === 0) return sha('');
  if (list.length === 1) return sha(LEAF, list[0]);
  const k = split(list.length);
  return sha(NODE, root(list.slice(0, k)), root(list.slice(k)));
}
function subproof(m, list, whole) {
  if (m === list.length) return whole ? [] : [root(list)];
  const k = split(list.length);
  return m <= k ? [...subproof(m, list.slice(0, k), whole), root(list.slice(k))]
    : [...subproof(m - k, list.slice(k), false), root(list.slice(0, k))];
}
export const consistency = (m, list) => (m === 0 ? [] : subproof(m, list, true));

const keyId = (name, type, raw) => sha(`${name}\n`, Buffer.from([type]), raw).subarray(0, 4);
export const keyLine = (name, type, raw) => `${name}+${keyId(name, type, raw).toString('hex')}+${Buffer.concat([Buffer.from([type]), raw]).toString('base64')}`;

export class Log {
  constructor(origin) {
    this.origin = origin;
    this.pair = generateKeyPairSync('ed25519');
    this.raw = this.pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    this.key = keyLine(origin, 1, this.raw);
  }
  note(list, { with: pair = this.pair } = {}) {
    const text = `${this.origin}\n${list.length}\n${root(list).toString('base64')}\n`;
    const line = Buffer.concat([keyId(this.origin, 1, this.raw), sign(null, Buffer.from(text), pair.privateKey)]).toString('base64');
    return `${text}\n\u2014 ${this.origin} ${line}\n`;
  }
  request(old, list, { proof = consistency(old, list), ...options } = {}) {
    return `old ${old}\n${proof.map((h) => `${h.toString('base64')}\n`).join('')}\n${this.note(list, options)}`;
  }
}

// The cosignatures of a note that a witness's key line verifies: their times.
export function cosignatures(note, vkey) {
  const [name, id, ...rest] = vkey.trim().split('+');
  const raw = Buffer.from(rest.join('+'), 'base64');
  if (raw[0] !== 4) throw new Error('no cosigner key');
  const key = createPublicKey({ key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw.subarray(1)]), format: 'der', type: 'spki' });
  const at = note.lastIndexOf('\n\n'), text = note.slice(0, at + 1), times = [];
  for (const line of note.slice(at + 2).split('\n').filter(Boolean)) {
    const [, who, base64] = line.split(' '), bytes = Buffer.from(base64, 'base64');
    if (who !== name || bytes.subarray(0, 4).toString('hex') !== id) continue;
    const time = bytes.readBigUInt64BE(4);
    if (!verify(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), key, bytes.subarray(12))) throw new Error(`a wrong cosignature of ${name}`);
    times.push(Number(time));
  }
  return times;
}
