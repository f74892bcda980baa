// An identity provider for tests: the real protocol with nothing but node:crypto, and every way to
// break it. Nobody is asked for a password: `person` is who signs in.
import { createHash, createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { CompactEncrypt, importJWK } from 'jose';
import { send } from './http.mjs';
import { sleep } from './platform.mjs';

const b64 = (v) => Buffer.from(v).toString('base64url');
export const people = {
  camille: { sub: 'cm-1', given_name: 'Camille Anne', family_name: 'CANARI-MARTIN', birthdate: '1988-04-12', gender: 'female', birthplace: '69123', birthcountry: '99100', email: 'camille@canari.example' },
  elie: { sub: 'el-2', given_name: 'Élie Jean-Noël', family_name: 'L’HÉRITIER', birthdate: '1971-00-00', gender: 'male', birthplace: '', birthcountry: '99352' },
};

export function jws(payload, key, header) {
  const input = `${b64(JSON.stringify(header))}.${b64(JSON.stringify(payload))}`;
  const alg = header.alg;
  if (alg === 'none') return `${input}.`;
  if (alg === 'HS256') return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
  const sig = alg === 'ES256' ? sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }) : sign('sha256', Buffer.from(input), key);
  return `${input}.${sig.toString('base64url')}`;
}

export const newKey = (alg, kid) => {
  const pair = alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { alg, kid, ...pair, jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' } };
};

// Encrypted for whoever publishes keys there, as FranceConnect+ does.
export async function sealFor(url, jws, alg = 'ECDH-ES') {
  const jwk = (await send(url)).json.keys.find((k) => k.use === 'enc' && k.alg === alg);
  return new CompactEncrypt(new TextEncoder().encode(jws)).setProtectedHeader({ alg, enc: 'A256GCM', kid: jwk.kid, cty: 'JWT' }).encrypt(await importJWK(jwk, alg));
}

export class Upstream {
  static async start(port, options = {}) {
    const u = new this();
    // `break` holds what is wrong: functions or values that each step looks at.
    Object.assign(u, { port, issuer: `http://127.0.0.1:${port}`, alg: 'ES256', person: people.camille, secret: 'upstream-secret-é', client: 'socle', acr: null, signedUserinfo: false, pkce: true, break: {}, codes: new Map(), tokens: new Map(), requests: [] }, options);
    u.keys = [newKey(u.alg, 'k1')];
    u.server = createServer((rq, rs) => u.serve(rq, rs).catch((e) => { rs.statusCode = 500; rs.end(String(e)); }));
    await new Promise((done, fail) => u.server.once('error', fail).listen(port, '127.0.0.1', done));
    return u;
  }

  async stop() { this.server.closeAllConnections?.(); await new Promise((done) => this.server.close(done)); }
  last(path) { return this.requests.filter((r) => r.path === path).at(-1); }

  async serve(rq, rs) {
    const url = new URL(rq.url, this.issuer);
    let body = '';
    for await (const d of rq) body += d;
    const q = Object.fromEntries(rq.method === 'POST' ? new URLSearchParams(body) : url.searchParams);
    this.requests.push({ method: rq.method, path: url.pathname, q, headers: rq.headers });
    const json = (v, status = 200, type = 'application/json') => { rs.writeHead(status, { 'content-type': type }); rs.end(typeof v === 'string' ? v : JSON.stringify(v)); };
    if (this.break.down) return rs.destroy();
    if (this.break[url.pathname]) return this.break[url.pathname](rq, rs, { q, json });
    switch (url.pathname) {
      case '/.well-known/openid-configuration':
        return json({ issuer: this.issuer, authorization_endpoint: `${this.issuer}/authorize`, token_endpoint: `${this.issuer}/token`, userinfo_endpoint: `${this.issuer}/userinfo`, jwks_uri: `${this.issuer}/jwks`, end_session_endpoint: `${this.issuer}/end`, response_types_supported: ['code'], ...this.break.metadata });
      case '/jwks': return json({ keys: this.keys.map((k) => k.jwk) });
      case '/authorize': return this.authorize(q, rs);
      case '/token': return this.token(q, rq, json);
      case '/userinfo': return this.userinfo(rq, json);
      case '/end': {
        const to = new URL(q.post_logout_redirect_uri);
        if (q.state) to.searchParams.set('state', q.state);
        rs.writeHead(303, { location: to.href });
        return rs.end();
      }
      default: return json({ error: 'not_found' }, 404);
    }
  }

  authorize(q, rs) {
    const to = new URL(q.redirect_uri);
    if (!this.pkce && q.code_challenge) to.searchParams.set('error', 'invalid_request');
    else if (this.break.error) to.searchParams.set('error', this.break.error);
    else {
      const code = b64(randomBytes(24));
      this.codes.set(code, { ...q, person: this.person });
      to.searchParams.set('code', code);
    }
    to.searchParams.set('state', this.break.state ?? q.state);
    if (this.break.iss !== undefined) to.searchParams.set('iss', this.break.iss);
    rs.writeHead(303, { location: to.href });
    rs.end();
  }

  sealed(jws) { return jws; }

  async token(q, rq, json) {
    const code = this.codes.get(q.code);
    this.codes.delete(q.code);
    const [id, secret] = Buffer.from((rq.headers.authorization ?? '').slice(6), 'base64').toString().split(':').map(decodeURIComponent);
    const known = (id === this.client && secret === this.secret) || (q.client_id === this.client && q.client_secret === this.secret) || q.client_assertion;
    if (!known) return json({ error: 'invalid_client' }, 401);
    if (!code || code.redirect_uri !== q.redirect_uri) return json({ error: 'invalid_grant' }, 400);
    if (code.code_challenge && createHash('sha256').update(q.code_verifier ?? '').digest('base64url') !== code.code_challenge) return json({ error: 'invalid_grant' }, 400);
    const token = b64(randomBytes(24)), now = Math.floor(Date.now() / 1000);
    this.tokens.set(token, code.person);
    const key = this.break.key ?? this.keys.at(-1);
    const claims = { iss: this.issuer, aud: this.client, sub: code.person.sub, iat: now, exp: now + 60, nonce: code.nonce, acr: this.acr ?? code.acr_values, amr: ['pwd'], ...this.break.claims };
    for (const k of Object.keys(claims)) if (claims[k] === undefined) delete claims[k];
    const id_token = this.break.idToken?.(claims, this) ?? jws(claims, key.privateKey, { alg: key.alg, kid: key.kid, typ: 'JWT' });
    json({ access_token: token, token_type: 'Bearer', expires_in: 60, id_token: await this.sealed(id_token) });
  }

  async userinfo(rq, json) {
    const person = this.tokens.get((rq.headers.authorization ?? '').slice(7));
    if (!person) return json({ error: 'invalid_token' }, 401);
    const info = { ...person, ...this.break.userinfo };
    if (!this.signedUserinfo) return json(info);
    const key = this.break.userinfoKey ?? this.keys.at(-1), now = Math.floor(Date.now() / 1000);
    json(await this.sealed(jws({ iss: this.issuer, aud: this.client, iat: now, exp: now + 60, ...info }, key.privateKey, { alg: key.alg, kid: key.kid })), 200, 'application/jwt');
  }

  async slow(ms, then) { await sleep(ms); return then(); }
}
