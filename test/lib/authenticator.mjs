// An authenticator made of software (WebAuthn level 2): it makes credentials and signs assertions as
// the pages' options ask, and lies where a test tells it to. Certificates of makers by openssl.
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const b64 = (v) => Buffer.from(v).toString('base64url');
const sha = (v) => createHash('sha256').update(v).digest();

// ---- CBOR, canonical ------------------------------------------------------------------------------
function head(major, n) {
  if (n < 24) return Buffer.from([major << 5 | n]);
  if (n < 256) return Buffer.from([major << 5 | 24, n]);
  return Buffer.from([major << 5 | 25, n >> 8, n & 255]);
}
export function cbor(v) {
  if (typeof v === 'number') return v >= 0 ? head(0, v) : head(1, -1 - v);
  if (typeof v === 'string') { const b = Buffer.from(v); return Buffer.concat([head(3, b.length), b]); }
  if (Buffer.isBuffer(v)) return Buffer.concat([head(2, v.length), v]);
  if (Array.isArray(v)) return Buffer.concat([head(4, v.length), ...v.map(cbor)]);
  const entries = v instanceof Map ? [...v] : Object.entries(v);
  return Buffer.concat([head(5, entries.length), ...entries.flatMap(([k, x]) => [cbor(k), cbor(x)])]);
}

const kinds = {
  ES256: { alg: -7, make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }), cose: (j) => new Map([[1, 2], [3, -7], [-1, 1], [-2, Buffer.from(j.x, 'base64url')], [-3, Buffer.from(j.y, 'base64url')]]), sign: (k, d) => sign('sha256', d, k) },
  EdDSA: { alg: -8, make: () => generateKeyPairSync('ed25519'), cose: (j) => new Map([[1, 1], [3, -8], [-1, 6], [-2, Buffer.from(j.x, 'base64url')]]), sign: (k, d) => sign(null, d, k) },
  RS256: { alg: -257, make: () => generateKeyPairSync('rsa', { modulusLength: 2048 }), cose: (j) => new Map([[1, 3], [3, -257], [-1, Buffer.from(j.n, 'base64url')], [-2, Buffer.from(j.e, 'base64url')]]), sign: (k, d) => sign('sha256', d, k) },
};

// A maker: its authority and one certificate for a batch of authenticators (WebAuthn 8.2.1).
export function maker(aaguid = randomBytes(16)) {
  const dir = mkdtempSync(join(tmpdir(), 'maker-')), ssl = (...a) => execFileSync('openssl', a, { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'] });
  const ext = `basicConstraints=critical,CA:FALSE\n1.3.6.1.4.1.45724.1.1.4=DER:0410${aaguid.toString('hex')}\n`;
  writeFileSync(join(dir, 'ext'), ext);
  ssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '3650', '-subj', '/C=FR/O=Essai/CN=Essai Root');
  ssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/C=FR/O=Essai/OU=Authenticator Attestation/CN=Essai Lot 1');
  ssl('x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '3650', '-extfile', 'ext', '-out', 'leaf.pem');
  const der = Buffer.from(readFileSync(join(dir, 'leaf.pem'), 'utf8').replace(/-----.*?-----|\s/g, ''), 'base64');
  const m = { aaguid, pem: readFileSync(join(dir, 'ca.pem'), 'utf8'), der, key: createPrivateKey(readFileSync(join(dir, 'leaf.key'))) };
  rmSync(dir, { recursive: true });
  return m;
}

export class Authenticator {
  constructor({ kind = 'ES256', format = 'none', maker = null, flags = 0x05, counts = true } = {}) {
    Object.assign(this, { kind: kinds[kind], format, maker, flags, counts, count: 0 });
    this.aaguid = maker?.aaguid ?? Buffer.alloc(16);
    this.keys = this.kind.make();
    this.id = randomBytes(32);
  }

  authData(rpId, attested, { flags = this.flags } = {}) {
    if (this.counts) this.count++;
    const tail = Buffer.alloc(5);
    tail[0] = flags | (attested ? 0x40 : 0);
    tail.writeUInt32BE(this.count, 1);
    const parts = [sha(rpId), tail];
    if (attested) parts.push(this.aaguid, Buffer.from([0, this.id.length]), this.id, cbor(this.kind.cose(this.keys.publicKey.export({ format: 'jwk' }))));
    return Buffer.concat(parts);
  }

  clientData(type, challenge, origin) { return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false })); }

  create(options, origin, change = {}) {
    const client = this.clientData(change.type ?? 'webauthn.create', change.challenge ?? options.challenge, change.origin ?? origin);
    const authData = this.authData(change.rpId ?? options.rp_id, true, change);
    const signed = Buffer.concat([authData, sha(client)]);
    let attStmt = {};
    if (this.format === 'packed' && this.maker) attStmt = { alg: -7, sig: sign('sha256', signed, this.maker.key), x5c: [this.maker.der] };
    else if (this.format === 'packed') attStmt = { alg: this.kind.alg, sig: this.kind.sign(this.keys.privateKey, signed) };
    else if (this.format === 'fido-u2f') {
      const j = this.keys.publicKey.export({ format: 'jwk' });
      const data = Buffer.concat([Buffer.from([0]), sha(options.rp_id), sha(client), this.id, Buffer.from([4]), Buffer.from(j.x, 'base64url'), Buffer.from(j.y, 'base64url')]);
      attStmt = { sig: sign('sha256', data, this.maker.key), x5c: [this.maker.der] };
    }
    const object = cbor({ fmt: this.format, attStmt, authData });
    change.object?.(object);
    return { client_data: b64(client), attestation: b64(object) };
  }

  get(options, origin, change = {}) {
    const client = this.clientData(change.type ?? 'webauthn.get', change.challenge ?? options.challenge, change.origin ?? origin);
    const authData = this.authData(change.rpId ?? options.rp_id, false, change);
    const signature = this.kind.sign(this.keys.privateKey, Buffer.concat([authData, sha(client)]));
    change.signature?.(signature);
    return { credential: b64(this.id), client_data: b64(client), authenticator_data: b64(authData), signature: b64(signature) };
  }
}
