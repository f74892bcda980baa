// Tokens that only their reader can open: ours for clients that ask (read with jose), and those of a
// provider that encrypts for this platform.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compactDecrypt, createLocalJWKSet, jwtVerify } from 'jose';
import { Platform } from '../lib/platform.mjs';
import { Client, send } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';
import { Upstream, sealFor } from '../lib/upstream.mjs';

const REDIRECT = 'http://localhost:3000/cb';
const b64 = (v) => Buffer.from(v).toString('base64url');
class Sealing extends Upstream { sealed(jws) { return this.seal ? this.seal(jws) : jws; } }
let platform, open, closed;

function addProvider(u, id, conf) {
  const file = join(platform.folder, `${id}.json`);
  writeFileSync(file, JSON.stringify(conf));
  platform.must(['provider', 'add', '--id', id, '--name', id, '--issuer', u.issuer, '--client-id', u.client, '--secret-stdin', '--conf', file], { input: `${u.secret}\n` });
}
before(async () => {
  platform = await Platform.start({ demo: false, args: ['--allow_inside=yes'] });
  open = await Sealing.start(platform.ownPort(0));
  closed = await Sealing.start(platform.ownPort(1), { signedUserinfo: true });
  addProvider(open, 'clair', {});
  addProvider(closed, 'scelle', { encrypted: true });
}, { timeout: 180000 });
after(async () => { await open?.stop(); await closed?.stop(); await platform?.destroy(); }, { timeout: 60000 });

function newClient(args, keys) {
  const file = join(platform.folder, `${b64(randomBytes(6))}.json`);
  writeFileSync(file, JSON.stringify({ keys }));
  return platform.command(['client', 'add', '--name', 'Service', '--redirect-uri', REDIRECT, '--jwks', file, '--json', ...args]);
}
async function walk(k, provider) {
  const person = new Client(), q = { response_type: 'code', client_id: k.client_id, redirect_uri: REDIRECT, scope: 'openid profile', state: 's', nonce: b64(randomBytes(18)), idp_hint: provider };
  person.stopAt = (u) => u.startsWith(REDIRECT);
  await person.go(`${platform.base}/api/v2/authorize?${new URLSearchParams(q)}`);
  if (!person.stopped && person.text.includes(text('identity', 'info.continue', 'fr'))) await person.press(text('identity', 'info.continue', 'fr'));
  return { person, nonce: q.nonce, code: person.stopped && new URL(person.stopped).searchParams.get('code') };
}
async function tokens(k, provider) {
  const { code, nonce, person } = await walk(k, provider);
  assert.ok(code, person.page?.text.slice(0, 400));
  const r = await send(`${platform.base}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${Buffer.from(`${k.client_id}:${k.client_secret}`).toString('base64')}` }, body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: REDIRECT }).toString() });
  assert.equal(r.status, 200, r.text);
  return { ...r.json, nonce };
}
const pairOf = (alg) => {
  const pair = alg === 'ECDH-ES' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...pair, jwk: { ...pair.publicKey.export({ format: 'jwk' }), use: 'enc', alg, kid: `enc-${alg}` } };
};

for (const alg of ['ECDH-ES', 'RSA-OAEP-256'])
  test(`ID token and userinfo for a client that asks for ${alg}: signed, then encrypted for its key`, async () => {
    const key = pairOf(alg), r = newClient(['--id-token-alg', `ES256 ${alg}`, '--userinfo-alg', `ES256 ${alg}`], [key.jwk]);
    assert.equal(r.code, 0, r.stderr);
    const k = JSON.parse(r.stdout), t = await tokens(k, 'clair');
    const issuer = createLocalJWKSet((await send(`${platform.base}/api/v2/jwks`)).json);
    const read = async (jwe) => {
      const { plaintext, protectedHeader } = await compactDecrypt(jwe, key.privateKey);
      assert.deepEqual([protectedHeader.alg, protectedHeader.enc, protectedHeader.cty, protectedHeader.kid], [alg, 'A256GCM', 'JWT', key.jwk.kid]);
      return (await jwtVerify(new TextDecoder().decode(plaintext), issuer, { issuer: platform.base, audience: k.client_id })).payload;
    };
    const id = await read(t.id_token);
    assert.equal(id.nonce, t.nonce);
    assert.equal(id.at_hash, createHash('sha256').update(t.access_token).digest().subarray(0, 16).toString('base64url'));
    const info = await send(`${platform.base}/api/v2/userinfo`, { headers: { authorization: `Bearer ${t.access_token}` } });
    assert.match(info.headers['content-type'], /^application\/jwt/);
    const claims = await read(info.text);
    assert.equal(claims.sub, id.sub);
    assert.equal(claims.family_name, open.person.family_name);
  });

test('encryption is not registered without a key for it', () => {
  const ec = pairOf('ECDH-ES');
  for (const [args, keys] of [[['--id-token-alg', 'ES256 RSA-OAEP-256'], [ec.jwk]], [['--userinfo-alg', 'ES256 ECDH-ES'], [{ ...ec.jwk, use: 'sig', alg: 'ES256' }]], [['--id-token-alg', 'ES256 RSA1_5'], [ec.jwk]], [['--id-token-alg', 'none ECDH-ES'], [ec.jwk]]])
    assert.notEqual(newClient(args, keys).code, 0, args.join(' '));
});

test('a provider that encrypts for us: by either algorithm; in clear, altered or for another it is refused', async () => {
  const k = platform.json(['client', 'add', '--name', 'Service derrière', '--redirect-uri', REDIRECT]);
  const ours = `${platform.base}/api/v2/client/jwks`, published = (await send(ours)).json.keys;
  assert.ok(published.every((x) => !x.d), 'public halves only');
  assert.ok(published.some((x) => x.use === 'sig') && published.some((x) => x.use === 'enc'));
  for (const alg of ['ECDH-ES', 'RSA-OAEP-256']) {
    closed.seal = (jws) => sealFor(ours, jws, alg);
    assert.ok((await tokens(k, 'scelle')).id_token, alg);
  }
  const wrong = {
    'in clear': (jws) => jws,
    'altered': async (jws) => (await sealFor(ours, jws)).replace(/.$/, (c) => (c === 'A' ? 'Q' : 'A')),
    'for a key that nobody has': async (jws) => { const [h, ...rest] = (await sealFor(ours, jws)).split('.'); const head = JSON.parse(Buffer.from(h, 'base64url')); return [b64(JSON.stringify({ ...head, kid: 'x' })), ...rest].join('.'); },
    'no token inside': () => sealFor(ours, '{"sub":"x"}'),
  };
  for (const [what, seal] of Object.entries(wrong)) {
    closed.seal = seal;
    const { person, code } = await walk(k, 'scelle');
    assert.ok(!code, what);
    assert.match(person.page.text, /IDT-502-PROVIDER/, what);
  }
});
