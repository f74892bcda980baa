// An identity wallet and issuers of identities, with the libraries that real ones are made of. Each
// part of what a wallet answers is open to be answered wrong.
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compactVerify, CompactEncrypt, importJWK } from 'jose';
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc';
import jsQR from 'jsqr';
import { send } from './http.mjs';
import { Authority } from './tls.mjs';

const b64 = (v) => Buffer.from(v).toString('base64url');
const hasher = (data, alg) => new Uint8Array(createHash(alg.replace('-', '')).update(data).digest());
const signer = (key) => async (data) => sign('sha256', Buffer.from(data), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
export const newPair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const now = () => Math.floor(Date.now() / 1000);

export const identity = {
  family_name: 'DURAND', given_name: 'Inès Marie', birthdate: '1990-07-03', sex: 2,
  place_of_birth: { country: 'FR', locality: 'Nantes', region: '44' }, nationalities: ['FR'], email: 'ines@example.fr',
};

export class Issuer {
  constructor(url, { pair = newPair(), x5c, kid = 'pid-1' } = {}) { Object.assign(this, { url, pair, x5c, kid }); }
  get jwks() { return { keys: [{ ...this.pair.publicKey.export({ format: 'jwk' }), kid: this.kid, alg: 'ES256', use: 'sig' }] }; }

  // A credential for the holder of `jwk`; `open`: claims that are not hidden.
  async issue(claims, jwk, { header, open = {}, hidden = Object.keys(claims), cnf = { jwk } } = {}) {
    const vc = new SDJwtVcInstance({ signer: signer(this.pair.privateKey), signAlg: 'ES256', hasher, hashAlg: 'sha-256', saltGenerator: () => b64(randomBytes(16)) });
    const set = { iss: this.url, iat: now(), exp: now() + 3600, vct: 'urn:eudi:pid:1', ...(cnf ? { cnf } : {}), ...claims, ...open };
    return vc.issue(set, { _sd: hidden, _sd_decoy: 2 }, { header: { ...(this.x5c ? { x5c: this.x5c } : { kid: this.kid }), ...header } });
  }
}

// Opens a platform to wallets and starts it again: it trusts `issuer` by its keys and `certified` by
// an authority; `stranger` has the second's name and another authority's certificate.
export async function trustWallets(platform) {
  const authority = new Authority(platform.folder, 'pid-ca'), other = new Authority(platform.folder, 'other-ca');
  const by = (c) => ({ pair: { privateKey: createPrivateKey(c.key), publicKey: createPublicKey(c.key) }, x5c: [c.cert.toString().replace(/-----[A-Z ]+-----|\s/g, '')] });
  const issuer = new Issuer('https://pid.example');
  const certified = new Issuer('https://etat.example', by(authority.sign('signer', { hosts: 'etat.example' })));
  const stranger = new Issuer('https://etat.example', by(other.sign('rogue', { hosts: 'etat.example' })));
  const file = join(platform.folder, 'issuers.json');
  writeFileSync(file, JSON.stringify({ version: 1, issuers: [{ issuer: issuer.url, jwks: issuer.jwks }, { issuer: certified.url, authorities: authority.read('pid-ca').cert.toString() }] }));
  platform.must(['tls', 'make', 'client-wallet', 'localhost']);
  Object.assign(platform.options.env, { SOCLE_WALLET: 'yes', SOCLE_WALLET_ISSUERS: file });
  await platform.restart();
  return { issuer, certified, stranger };
}

export class Wallet {
  constructor({ pair = newPair() } = {}) { this.pair = pair; this.jwk = pair.publicKey.export({ format: 'jwk' }); }

  // Reads what the address asks, as OpenID4VP has a wallet do: signed by the certificate it is named by.
  async ask(address) {
    const q = new URL(address).searchParams, nonce = b64(randomBytes(12));
    assert.equal(q.get('request_uri_method'), 'post');
    const r = await send(q.get('request_uri'), { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `wallet_nonce=${nonce}` });
    assert.equal(r.status, 200, r.text);
    assert.equal(r.headers['content-type'], 'application/oauth-authz-req+jwt');
    const header = JSON.parse(Buffer.from(r.text.split('.')[0], 'base64url'));
    const leaf = new X509Certificate(Buffer.from(header.x5c[0], 'base64'));
    const { payload, protectedHeader } = await compactVerify(r.text, leaf.publicKey, { algorithms: ['ES256'] });
    const request = JSON.parse(Buffer.from(payload));
    assert.equal(protectedHeader.typ, 'oauth-authz-req+jwt');
    assert.equal(request.client_id, `x509_hash:${createHash('sha256').update(leaf.raw).digest('base64url')}`);
    assert.equal(request.client_id, q.get('client_id'));
    assert.equal(request.wallet_nonce, nonce);
    assert.equal(request.aud, 'https://self-issued.me/v2');
    assert.equal(request.response_type, 'vp_token');
    assert.ok(request.exp > now() && request.nonce.length >= 32);
    return request;
  }

  // The claims that are asked for and that the credential has, with the holder's signature.
  async present(request, credential, { pair = this.pair, frame, binding = {}, bound = true } = {}) {
    const vc = new SDJwtVcInstance({ hasher, hashAlg: 'sha-256', kbSigner: signer(pair.privateKey), kbSignAlg: 'ES256', saltGenerator: () => b64(randomBytes(16)) });
    const wanted = frame ?? Object.fromEntries(request.dcql_query.credentials[0].claims.map((c) => [c.path[0], true]));
    return vc.present(credential, wanted, bound ? { kb: { payload: { iat: now(), aud: request.client_id, nonce: request.nonce, ...binding } } } : undefined);
  }

  async post(request, body, { seal = request.response_mode === 'direct_post.jwt' } = {}) {
    let form = { ...body, state: body.state ?? request.state };
    if (seal) {
      const jwk = request.client_metadata.jwks.keys[0];
      const jwe = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(form))).setProtectedHeader({ alg: 'ECDH-ES', enc: request.client_metadata.encrypted_response_enc_values_supported[0], kid: jwk.kid }).encrypt(await importJWK(jwk, 'ECDH-ES'));
      form = { response: jwe };
    } else if (form.vp_token) form.vp_token = JSON.stringify(form.vp_token);
    return send(request.response_uri, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams(form).toString() });
  }

  async answer(request, credential, { mutate = (p) => p, ...how } = {}) {
    return this.post(request, { vp_token: { pid: [mutate(await this.present(request, credential, how))] } }, how);
  }
}

// What a camera sees of the code drawn on a page.
export function readCode(html) {
  const svg = /<svg viewBox="0 0 (\d+) \1"[^>]*role="img"[\s\S]*?<path d="([^"]+)" fill="#000"/.exec(html);
  assert.ok(svg, 'a code is drawn');
  const SCALE = 4, size = Number(svg[1]) * SCALE, pixels = new Uint8ClampedArray(size * size * 4).fill(255);
  for (const [, x, y, w] of svg[2].matchAll(/M(\d+) (\d+)h(\d+)v1h-\3z/g))
    for (let j = y * SCALE; j < (Number(y) + 1) * SCALE; j++)
      for (let i = x * SCALE; i < (Number(x) + Number(w)) * SCALE; i++) pixels.fill(0, (j * size + i) * 4, (j * size + i) * 4 + 3);
  const code = jsQR(pixels, size, size);
  assert.ok(code, 'the code can be read');
  return code.data;
}
