// Two bodies with sites of their own and an agent each, who make contracts with each other.
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, sign as signBytes, createHmac } from 'node:crypto';
import { join } from 'node:path';
import assert from 'node:assert/strict';
import { Client, send } from './http.mjs';
import { tokensFor, walkSignIn } from './story.mjs';

const agentScope = 'openid given_name usual_name uid siret email';

// The family fund gets a site, where its agent decides; the town's agent asks.
export class Bodies {
  constructor(platform, world) {
    this.platform = platform;
    this.world = world;
    this.fundUrl = `http://caisse.localhost:${platform.port}`;
    const redirect = `${this.fundUrl}/oidc/retour`;
    const orgs = platform.json(['org', 'list']);
    this.fund = orgs.find((o) => o.siret === '99900100100018').id;
    this.town = orgs.find((o) => o.siret === '99900000300015').id;
    const c = platform.json(['client', 'add', '--name', 'Caisse', '--redirect-uri', redirect, '--org', this.fund, '--realm', 'agents', '--scopes', `${agentScope} belonging_population`]);
    this.fundClient = { ...c, redirect_uris: [redirect] };
    platform.must(['org', 'site', 'caisse.localhost', this.fund, c.client_id], { input: `${c.client_secret}\n` });
    this.asker = world.agent;
    this.decider = world.account('karim.haddad');
  }

  async sides() {
    const t = await tokensFor(this.world, this.asker, { client: this.world.town, scope: agentScope, extra: { realm: 'agents' } });
    const f = await tokensFor(this.world, this.decider, { client: this.fundClient, scope: agentScope, extra: { realm: 'agents' } });
    return { town: api(this.world.townUrl, t.access_token), fund: api(this.fundUrl, f.access_token) };
  }

  async browser(side) {
    const client = new Client();
    const [url, account] = side === 'town' ? [this.world.townUrl, this.asker] : [this.fundUrl, this.decider];
    await client.go(`${url}/contrats`);
    await walkSignIn(client, account);
    return client;
  }

  // The demonstration's agents sign in at a higher level from now on.
  raiseLevel() {
    const sql = `UPDATE identity_provider SET conf = (conf::jsonb || '{"acr":{"eidas2":"eidas1"}}'::jsonb)::text WHERE id = 'agents-demo'`;
    const r = this.platform.database
      ? spawnSync('psql', ['-X', '-q', this.platform.database.url, '-c', sql], { encoding: 'utf8' })
      : spawnSync('python3', ['-c', 'import sqlite3,sys,json\nd=sqlite3.connect(sys.argv[1],timeout=20)\nc=json.loads(d.execute("SELECT conf FROM identity_provider WHERE id=\'agents-demo\'").fetchone()[0])\nc["acr"]={"eidas2":"eidas1"}\nd.execute("UPDATE identity_provider SET conf=? WHERE id=\'agents-demo\'",(json.dumps(c),))\nd.commit()', join(this.platform.data, 'db/socle.db')], { encoding: 'utf8' });
    assert.equal(r.status, 0, r.stderr);
  }
}

export function api(base, token) {
  return async (method, path, body) => {
    const r = await send(`${base}${path}`, { method, headers: { authorization: `Bearer ${token}`, accept: 'application/json', ...(body ? { 'content-type': 'application/json' } : {}) }, body: body ? JSON.stringify(body) : undefined });
    return { status: r.status, text: r.text, get json() { return JSON.parse(r.text); } };
  };
}

export const terms = (client, more = {}) => ({
  client_id: client, api: 'essai', version: 'v1', fields: 'dossier.numero total>=2', recipients: '99900000300015',
  purpose: { fr: 'Calculer un tarif', en: 'Compute a fee' }, legal_basis: { fr: 'CRPA L114-8', en: 'CRPA L114-8' }, quota_per_minute: 600, months: 12, ...more });

export const expect = (r, status, code) => {
  assert.equal(r.status, status, r.text.slice(0, 500));
  if (code) assert.equal(r.json.code, code, r.text);
  return r.json;
};

// ---- signatures, as a body makes them with its own tools ------------------------------------------
const b64 = (v) => Buffer.from(v).toString('base64url');
export function bodyKey(type = 'ed25519') {
  const { publicKey, privateKey } = type === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const alg = type === 'ed25519' ? 'EdDSA' : 'ES256';
  return {
    jwk: publicKey.export({ format: 'jwk' }),
    sign(text) {
      const input = `${b64(JSON.stringify({ alg }))}.${b64(text)}`;
      const sig = type === 'ed25519' ? signBytes(null, Buffer.from(input), privateKey) : signBytes('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${input}.${b64(sig)}`;
    },
  };
}

export const hookHeaders = (sender, secret, body, at = Math.floor(Date.now() / 1000)) => ({
  'content-type': 'application/json', 'x-socle-sender': sender, 'x-socle-timestamp': String(at),
  'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}` });
