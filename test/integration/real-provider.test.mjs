// npm oidc-provider as the identity provider behind this platform, as anybody would set it up:
// discovery, private_key_jwt or a secret, PKCE, userinfo, and its own page for signing out.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import Provider from 'oidc-provider';
import { Platform } from '../lib/platform.mjs';
import { Client, forms } from '../lib/http.mjs';
import { World, walkSignIn } from '../lib/story.mjs';
import { Relying, basic, claimsOf } from '../lib/relying.mjs';
import { people } from '../lib/upstream.mjs';

let platform, world, rp, server, k, issuer;
const seen = [];

before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  rp = new Relying(world);
  const port = platform.ownPort(0);
  issuer = `http://127.0.0.1:${port}`;
  const person = people.camille;
  const clients = [['oidc-provider', { client_secret: 'un-secret-assez-long-pour-lui', token_endpoint_auth_method: 'client_secret_basic' }],
    ['oidc-provider-jwt', { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: `${world.issuer}/api/v2/client/jwks`, token_endpoint_auth_signing_alg: 'ES256' }]]
    .map(([id, more]) => ({ client_id: id, redirect_uris: [`${world.issuer}/connexion/retour/${id}`], post_logout_redirect_uris: [`${world.issuer}/deconnexion/retour`], response_types: ['code'], grant_types: ['authorization_code'], ...more }));
  const op = new Provider(issuer, {
    clients,
    acrValues: ['eidas1', 'eidas2'],
    claims: { openid: ['sub', 'acr'], identite_pivot: ['given_name', 'family_name', 'birthdate', 'gender', 'birthplace', 'birthcountry'], email: ['email'] },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ ...person, sub: id }) }),
    features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    pkce: { required: () => true },
    cookies: { keys: ['a key for the test alone'] },
  });
  server = createServer((rq, rs) => { seen.push(`${rq.method} ${rq.url}`); op.callback()(rq, rs); });
  await new Promise((done) => server.listen(port, '127.0.0.1', done));
  // It says no level of its own: what its sign-ins are worth is said here.
  const conf = join(platform.folder, 'oidc-provider.json');
  writeFileSync(conf, JSON.stringify({ acr_assumed: 'eidas1', scope: 'openid identite_pivot email' }));
  for (const { client_id, client_secret } of clients)
    platform.must(['provider', 'add', '--id', client_id, '--name', `Compte ${client_id}`, '--issuer', issuer, '--client-id', client_id, '--conf', conf, ...(client_secret ? ['--secret-stdin'] : [])], client_secret ? { input: `${client_secret}\n` } : {});
  k = rp.add('Derrière oidc-provider');
}, { timeout: 180000 });
after(async () => {
  server?.closeAllConnections();
  await new Promise((done) => (server ? server.close(done) : done()));
  await platform?.destroy();
}, { timeout: 60000 });

for (const id of ['oidc-provider', 'oidc-provider-jwt'])
  test(`npm oidc-provider 8, unmodified (${id.endsWith('jwt') ? 'private_key_jwt' : 'secret'}): sign-in, the pivot in userinfo, sign-out through it and back`, async () => {
    const person = new Client(), q = rp.request(k, { scope: 'openid profile birth email', idp_hint: id });
    const stopAt = (u) => u.startsWith(Relying.redirect);
    person.stopAt = stopAt;
    await person.go(rp.url(q));
    for (let i = 0; i < 6 && !person.stopped && person.page.url.startsWith(issuer); i++) {
      if (/name="login"/.test(person.page.text)) await person.press('Sign-in', { login: 'cm-1', password: 'x' });
      else await person.press('Continue');
    }
    const at = person.stopped ?? await walkSignIn(person, world.citizen, { stopAt });
    assert.ok(at, `${person.page?.url} ${person.page && person.text.slice(0, 500)}`);
    const back = new URL(at).searchParams;
    assert.ok(back.get('code'), `${back}`);
    person.stopped = null;
    const t = (await rp.post('/token', { grant_type: 'authorization_code', code: back.get('code'), redirect_uri: q.redirect_uri }, basic(k))).json;
    assert.equal(claimsOf(t.id_token).acr, 'eidas1');
    const info = (await rp.userinfo(t.access_token)).json;
    assert.equal(info.family_name, 'CANARI-MARTIN');
    assert.equal(info.birthdate, '1988-04-12');
    assert.equal(info.email, 'camille@canari.example');

    person.stopAt = (u) => u.startsWith(`${Relying.home}?`);
    const before = seen.length;
    await person.go(`${rp.at('/session/end')}?${new URLSearchParams({ id_token_hint: t.id_token, post_logout_redirect_uri: Relying.home, state: 'fini' })}`);
    if (!person.stopped) { // its own page asks
      assert.ok(person.page.url.startsWith(issuer), person.page.url);
      const f = forms(person.page.text).find((x) => x.fields.some(([n]) => n === 'xsrf')); // its button stands outside
      await person.go(f.action, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams([...f.fields, ['logout', 'yes']]).toString() });
    }
    assert.ok(seen.slice(before).some((l) => l.includes('/session/end')), 'through the provider');
    assert.equal(new URL(person.stopped).searchParams.get('state'), 'fini');
    person.stopped = null;
    assert.equal((await rp.through(rp.url(rp.request(k, { prompt: 'none' })), { person })).back.get('error'), 'login_required');
  });
