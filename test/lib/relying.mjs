// A client of the issuer, by hand: what a relying party sends, each part of it open to be sent wrong.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, send } from './http.mjs';
import { walkSignIn } from './story.mjs';

export const b64 = (v) => Buffer.from(v).toString('base64url');
export const json = (v) => b64(JSON.stringify(v));
export const sha = (s) => createHash('sha256').update(s).digest('base64url');
export const now = () => Math.floor(Date.now() / 1000);
export const claimsOf = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));
export const headerOf = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[0], 'base64url'));
export const basic = (k) => ({ authorization: `Basic ${Buffer.from(`${k.client_id}:${k.client_secret}`).toString('base64')}` });
const without = (o) => Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined));

export function newKey(alg = 'ES256', kid = 'k1') {
  const ec = alg === 'ES256';
  const pair = ec ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = pair.publicKey.export({ format: 'jwk' });
  return { alg, kid, jwk, privateKey: pair.privateKey, jkt: sha(ec ? JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x, y: jwk.y }) : JSON.stringify({ e: jwk.e, kty: jwk.kty, n: jwk.n })) };
}

export function jws(key, header, claims) {
  const input = `${json({ alg: key.alg, ...header })}.${json(without(claims))}`;
  return `${input}.${b64(sign('sha256', Buffer.from(input), key.alg === 'ES256' ? { key: key.privateKey, dsaEncoding: 'ieee-p1363' } : key.privateKey))}`;
}

export const proof = (key, method, url, { token, header = {}, ...claims } = {}) =>
  jws(key, { typ: 'dpop+jwt', jwk: key.jwk, ...header }, { htm: method, htu: url, iat: now(), jti: b64(randomBytes(12)), ...(token ? { ath: sha(token) } : {}), ...claims });

export class Relying {
  static redirect = 'http://localhost:3000/cb';
  static home = 'http://localhost:3000/';

  constructor(world) { this.world = world; }

  // Registers a client; `key`: its public half is registered too.
  add(name, args = [], key) {
    const p = this.world.platform, more = [];
    if (key) {
      const file = join(p.folder, `jwks-${b64(randomBytes(4))}.json`);
      writeFileSync(file, JSON.stringify({ keys: [{ ...key.jwk, kid: key.kid, use: 'sig', alg: key.alg }] }));
      more.push('--jwks', file);
    }
    const k = p.json(['client', 'add', '--name', name, '--redirect-uri', Relying.redirect, '--post-logout-uri', Relying.home, ...more, ...args]);
    return { ...k, redirect: Relying.redirect };
  }

  at(path) { return `${this.world.issuer}/api/v2${path}`; }
  post(path, body, headers = {}) {
    return send(this.at(path), { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams(without(body)).toString() });
  }
  userinfo(token, headers = {}) { return send(this.at('/userinfo'), { headers: { authorization: `Bearer ${token}`, ...headers } }); }

  assertion(k, key, claims = {}, header = {}) {
    return { client_id: k.client_id, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: jws(key, { kid: key.kid, ...header }, { iss: k.client_id, sub: k.client_id, aud: this.world.issuer, iat: now(), exp: now() + 60, jti: b64(randomBytes(12)), ...claims }) };
  }

  // What the standard asks and no more; `extra` adds, undefined leaves out.
  request(k, extra = {}) {
    return without({ response_type: 'code', client_id: k.client_id, redirect_uri: k.redirect, scope: 'openid', state: b64(randomBytes(12)), nonce: b64(randomBytes(18)), ...extra });
  }
  url(q) { return `${this.at('/authorize')}?${new URLSearchParams(q)}`; }

  // The person's part; the address she comes back to, and whether she was asked who she is.
  async through(url, { person = new Client(), account = this.world.citizen, decision } = {}) {
    const stopAt = (u) => u.startsWith(Relying.redirect), from = person.trail.length;
    person.stopAt = stopAt;
    await person.go(url);
    const back = await walkSignIn(person, account, { decision, stopAt });
    assert.ok(back, `back at the client, not ${person.page?.url}: ${person.page && person.text.slice(0, 300)}`);
    const asked = person.trail.slice(from).some((l) => l.includes(`:${this.world.platform.port + 1}`));
    return { back: new URL(back).searchParams, asked, person };
  }

  async code(k, extra = {}, options = {}) {
    const q = this.request(k, extra);
    const { back, asked, person } = await this.through(this.url(q), options);
    assert.ok(back.get('code'), `a code: ${back}`);
    assert.equal(back.get('state'), q.state ?? null);
    assert.equal(back.get('iss'), this.world.issuer);
    return { q, asked, person, grant: { grant_type: 'authorization_code', code: back.get('code'), redirect_uri: q.redirect_uri } };
  }

  async tokens(k, extra = {}, options = {}) {
    const c = await this.code(k, extra, options);
    const r = await this.post('/token', { ...c.grant, ...options.body }, options.headers ?? basic(k));
    assert.equal(r.status, 200, r.text);
    return { ...c, ...r.json, claims: claimsOf(r.json.id_token), headers: r.headers };
  }

  // Refused before the person is asked: what the client is told.
  async refusal(q, url = this.url(q)) {
    const r = await send(url);
    assert.ok([302, 303].includes(r.status), `sent back: ${r.status} ${r.text.slice(0, 200)}`);
    const at = new URL(r.headers.location);
    assert.equal(at.origin + at.pathname, Relying.redirect);
    return at.searchParams;
  }

  // Never sent anywhere: the person reads what is wrong.
  async kept(q, code) {
    const r = await send(this.url(q));
    assert.ok(r.status >= 400 && r.status < 500, `${r.status}`);
    assert.equal(r.headers.location, undefined);
    assert.match(r.text, new RegExp(code));
  }
}
