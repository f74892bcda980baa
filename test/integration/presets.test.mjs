// Behind what a body already uses: peers with the manners of FranceConnect, FranceConnect+ and
// ProConnect. They refuse every parameter that they do not name, want the secret by POST, sign
// userinfo, and chain signing out.
import { test, before, after, afterEach } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform } from '../lib/platform.mjs';
import { Client, send } from '../lib/http.mjs';
import { World } from '../lib/story.mjs';
import { Relying, basic, claimsOf } from '../lib/relying.mjs';
import { Upstream, jws, newKey, people, sealFor } from '../lib/upstream.mjs';

class Mannered extends Upstream {
  async serve(rq, rs) { rq.url = rq.url.replace(/^\/api\/v2/, ''); return super.serve(rq, rs); }
  authorize(q, rs) {
    this.refused = Object.keys(q).filter((k) => !this.names.has(k));
    if (!['acr_values', 'state', 'scope'].every((k) => q[k]) || !(q.nonce?.length >= 32) || !(q.state?.length >= 32)) this.refused.push('incomplete');
    if (q.prompt && !['login', 'consent'].includes(q.prompt)) this.refused.push('prompt');
    if (this.refused.length) { rs.statusCode = 400; return rs.end(`Y000400: ${this.refused}`); }
    return super.authorize(q, rs);
  }
  token(q, rq, json) { return rq.headers.authorization || q.code_verifier ? json({ error: 'invalid_client' }, 401) : super.token(q, rq, json); }
  // FranceConnect+ encrypts for the key that its client publishes.
  async sealed(jws) { return this.readers ? sealFor(this.readers, jws) : jws; }
}

const franceconnect = ['response_type', 'client_id', 'redirect_uri', 'scope', 'state', 'nonce', 'acr_values', 'claims', 'prompt', 'idp_hint', 'ui_locales'];
const proconnect = ['response_type', 'client_id', 'redirect_uri', 'scope', 'state', 'nonce', 'acr_values', 'claims', 'prompt', 'idp_hint', 'login_hint', 'siret_hint'];
const agent = { sub: 'ag-1', given_name: 'Nadia', usual_name: 'ROCHE', email: 'nadia@ville.example', uid: 'nr1', siret: '21440109300015' };
const presets = {
  franceconnect: { id: 'franceconnect', acr: 'eidas1', person: people.camille, names: franceconnect, scope: 'openid profile', args: [] },
  'franceconnect+': { id: 'franceconnect-plus', acr: 'eidas2', person: people.camille, names: franceconnect, scope: 'openid profile', args: [], encrypts: true },
  proconnect: { id: 'proconnect', acr: 'eidas1', person: agent, names: proconnect, scope: 'openid given_name usual_name', args: ['--realm', 'agents'] },
};
let platform, world, rp;
const peers = {}, clients = {};

before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  rp = new Relying(world);
  for (const [i, [preset, p]] of Object.entries(presets).entries()) {
    const port = platform.ownPort(i), url = `http://127.0.0.1:${port}`;
    peers[preset] = await Mannered.start(port, { issuer: `${url}/api/v2`, secret: randomBytes(32).toString('hex'), signedUserinfo: true, pkce: false, person: p.person, names: new Set(p.names), readers: p.encrypts ? rp.at('/client/jwks') : null });
    platform.must(['provider', 'add', '--preset', preset, '--client-id', peers[preset].client, '--secret-stdin', '--url', url], { input: `${peers[preset].secret}\n` });
    clients[preset] = rp.add(`Service derrière ${preset}`, p.args);
  }
}, { timeout: 180000 });
afterEach(() => { for (const p of Object.values(peers)) Object.assign(p, { break: {}, acr: null }); });
after(async () => {
  for (const p of Object.values(peers)) await p.stop();
  await platform?.destroy();
}, { timeout: 60000 });

const through = (preset, extra = {}, options = {}) => rp.code(clients[preset], { scope: presets[preset].scope, idp_hint: presets[preset].id, ...extra }, options);
async function refused(preset, extra = {}) {
  const person = new Client();
  person.stopAt = (u) => u.startsWith(Relying.redirect);
  await person.go(rp.url(rp.request(clients[preset], { scope: presets[preset].scope, idp_hint: presets[preset].id, ...extra })));
  assert.equal(person.stopped, null, 'nobody is signed in');
  return /<code>(IDT-[0-9]+-[A-Z]+)<\/code>/.exec(person.page.text)?.[1];
}
const shared = (u) => ({ alg: 'HS256', privateKey: u.secret });

for (const [preset, p] of Object.entries(presets)) {
  test(`[M005] ${preset}: an address, a client id and a secret are enough; signed in, its level, signed out through it and back`, async () => {
    const peer = peers[preset], person = new Client();
    const { grant } = await through(preset, { login_hint: 'nadia@ville.example', siret_hint: agent.siret }, { person });
    assert.deepEqual(peer.refused, []);
    const { q } = peer.last('/authorize');
    assert.equal(q.acr_values, p.acr);
    assert.equal(q.login_hint, preset === 'proconnect' ? 'nadia@ville.example' : undefined, 'passed on to who takes it');
    assert.equal(q.siret_hint, preset === 'proconnect' ? agent.siret : undefined);
    const t = await rp.post('/token', grant, basic(clients[preset]));
    assert.equal(claimsOf(t.json.id_token).acr, p.acr);
    person.stopAt = (u) => u.startsWith(Relying.home) && !u.startsWith(Relying.redirect);
    await person.go(`${rp.at('/session/end')}?${new URLSearchParams({ id_token_hint: t.json.id_token, post_logout_redirect_uri: Relying.home, state: 'fini' })}`);
    assert.equal(new URL(person.stopped).searchParams.get('state'), 'fini');
    const out = peer.last('/end');
    assert.ok(out.q.id_token_hint && out.q.post_logout_redirect_uri && out.q.state.length >= 32, 'signed out there too');
  });

  test(`${preset}: signing out by the service’s form; from another site it comes without cookies`, async () => {
    const peer = peers[preset], person = new Client(), c = await through(preset, {}, { person });
    const t = (await rp.post('/token', c.grant, basic(clients[preset]))).json;
    const body = new URLSearchParams({ id_token_hint: t.id_token, post_logout_redirect_uri: Relying.home, state: 'é &=' }).toString();
    const n = peer.requests.filter((r) => r.path === '/end').length;
    const first = await send(rp.at('/session/end'), { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded', origin: 'http://localhost:3000' } });
    assert.equal(first.status, 303, 'asked to come again, with cookies');
    person.stopAt = (u) => u.startsWith(Relying.home) && !u.startsWith(Relying.redirect);
    await person.go(first.headers.location);
    assert.equal(new URL(person.stopped).searchParams.get('state'), 'é &=');
    assert.equal(peer.requests.filter((r) => r.path === '/end').length, n + 1, 'through the provider');
    const back = await rp.refusal(rp.request(clients[preset], { prompt: 'none' }));
    assert.equal(back.get('error'), 'login_required');
    const long = await send(rp.at('/session/end'), { method: 'POST', body: `${body}&filler=${'x'.repeat(7000)}`, headers: { 'content-type': 'application/x-www-form-urlencoded', origin: 'http://localhost:3000' } });
    assert.equal(long.status, 400);
    assert.match(long.text, /IDT-400-LOGOUT/, 'never "signed out" to somebody who may not be');
  });

  test(`${preset}: the level is the higher of what the service and it ask, and what comes back is checked`, async () => {
    const peer = peers[preset];
    await through(preset, { acr_values: 'eidas3' });
    assert.equal(peer.last('/authorize').q.acr_values, 'eidas3');
    assert.equal(peer.last('/authorize').q.prompt, 'login', 'the high level signs in again');
    for (const acr of ['eidas0', 'eidas0-mfa', 'inconnu', p.acr === 'eidas2' ? 'eidas1-mfa' : 'mfa']) {
      peer.acr = acr;
      assert.equal(await refused(preset), 'IDT-403-LEVEL', acr);
    }
    peer.acr = `${p.acr}-mfa`;
    const { grant } = await through(preset);
    const t = (await rp.post('/token', grant, basic(clients[preset]))).json;
    assert.equal(claimsOf(t.id_token).acr, p.acr, 'a second factor is no other level');
  });

  test(`${preset}: userinfo in clear, of another key, for another client is refused${p.encrypts ? '; unencrypted too' : ''}`, async () => {
    const peer = peers[preset];
    peer.signedUserinfo = false;
    assert.equal(await refused(preset), 'IDT-502-PROVIDER');
    peer.signedUserinfo = true;
    peer.break = { userinfoKey: newKey('ES256', 'k1') };
    assert.equal(await refused(preset), 'IDT-502-PROVIDER');
    peer.break = { userinfo: { aud: 'autre' } };
    assert.equal(await refused(preset), 'IDT-502-PROVIDER');
    if (!p.encrypts) return;
    const { readers } = peer;
    peer.break = {};
    peer.readers = null;
    assert.equal(await refused(preset), 'IDT-502-PROVIDER');
    peer.readers = readers;
  });

  test(`${preset}: HS256 under the client’s secret ${p.encrypts ? 'is refused' : 'is taken, and under any other refused'}`, async () => {
    const peer = peers[preset];
    peer.break = { key: shared(peer), userinfoKey: shared(peer) };
    if (p.encrypts) return void assert.equal(await refused(preset), 'IDT-502-PROVIDER');
    await through(preset);
    for (const secret of ['', peer.client, JSON.stringify(peer.keys[0].jwk)]) {
      peer.break = { idToken: (c) => jws(c, secret, { alg: 'HS256', kid: 'k1' }) };
      assert.equal(await refused(preset), 'IDT-502-PROVIDER');
    }
  });
}

test('what is said beside a preset changes that and nothing else', () => {
  const conf = join(platform.folder, 'conf.json');
  writeFileSync(conf, JSON.stringify({ scope: 'openid identite_pivot', ui_locales: false }));
  const list = ['--client-id', 'x', '--secret-stdin', '--url', 'http://127.0.0.1:1', '--sandbox'];
  platform.must(['provider', 'add', '--preset', 'franceconnect', '--id', 'fc-bis', '--conf', conf, ...list], { input: 'secret\n' });
  assert.notEqual(platform.command(['provider', 'add', '--preset', 'franceconnect', '--id', 'fc-ter', '--conf', platform.logFile, ...list], { input: 'secret\n' }).code, 0, 'what is no JSON object is refused');
  assert.notEqual(platform.command(['provider', 'add', '--preset', 'nope', '--client-id', 'x', '--url', 'http://127.0.0.1:1']).code, 0);
});
