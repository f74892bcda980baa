// The partners' console: from a developer who knows nobody to a client that signs people in, and on
// to production; what was refused, in plain words; test identities of every shape.
import { after, before, test } from 'node:test';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import assert from 'node:assert/strict';
import { Developer } from '../lib/console.mjs';
import { Bodies, terms } from '../lib/contracts.mjs';
import { Client, send } from '../lib/http.mjs';
import { entries } from '../lib/journal.mjs';
import { Platform, until, sleep } from '../lib/platform.mjs';
import { World, tokensFor, walkSignIn } from '../lib/story.mjs';

let platform, world, dev, keys;
before(async () => { platform = await Platform.start(); world = new World(platform); dev = new Developer(world, world.account('yann.legoff')); });
after(() => platform.destroy());

const basic = (k) => `Basic ${Buffer.from(`${k.client_id}:${k.client_secret}`).toString('base64')}`;
const tokenCall = (auth, fields) => send(`${world.issuer}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...(auth ? { authorization: auth } : {}) }, body: new URLSearchParams(fields).toString() });
const claimsOf = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));
const errorsOf = (id) => platform.json(['client', 'errors', id]).items;

test('[F2.1.10] an outside developer makes a team and a client, and calls the sandbox at once', async () => {
  const began = Date.now();
  await dev.team('Atelier numérique');
  keys = await dev.client({ client_name: 'Ma démarche' });
  assert.ok(keys.client_secret.length >= 40);
  assert.equal(keys.issuer, world.issuer);
  const sandbox = await send(`${world.issuer}/sandbox/famille/v1/foyer`);
  assert.equal(sandbox.status, 200, sandbox.text);
  assert.equal(sandbox.headers['socle-sandbox'], 'true');
  // Without a server of one's own: the console's page receives the code.
  const redirect = `${world.issuer}/partenaires/retour`;
  const t = await tokensFor(world, world.account('fatima.benkacem'), { client: { ...keys, redirect_uris: [redirect] }, scope: 'openid profile birth' });
  assert.ok(claimsOf(t.id_token).sub);
  assert.ok(Date.now() - began < 300000, 'under five minutes');
});

test('the page to try a client has a link that signs in and commands that run', async () => {
  await dev.open(`/partenaires/clients/${keys.client_id}/essai`);
  const person = new Client();
  const begin = /<a class="button" href="([^"]*\/api\/v2\/authorize[^"]*)"/.exec(dev.http.page.text)[1].replaceAll('&amp;', '&');
  await person.go(begin);
  await walkSignIn(person, world.citizen, { stopAt: undefined });
  assert.equal(new URL(person.page.url).pathname, '/partenaires/retour');
  const code = new URL(person.page.url).searchParams.get('code');
  assert.ok(person.text.includes(code), 'the code is shown');
  const commands = [...dev.http.page.text.matchAll(/<pre[^>]*><code>([\s\S]*?)<\/code>/g)].map((m) => m[1].replaceAll('&quot;', '"').replaceAll('&amp;', '&'));
  const sh = (line, env) => JSON.parse(spawnSync('sh', ['-c', line.replace('curl', 'curl -s -4')], { encoding: 'utf8', env: { ...process.env, ...env } }).stdout);
  const tokens = sh(commands.find((x) => x.includes('/token')), { SECRET: keys.client_secret, CODE: code });
  assert.ok(tokens.access_token, JSON.stringify(tokens));
  assert.ok(sh(commands.find((x) => x.includes('/userinfo')), { ACCESS_TOKEN: tokens.access_token }).sub);
  assert.equal(sh(commands.find((x) => x.includes('openid-configuration')), {}).issuer, world.issuer);
});

test('a form that is not usable comes back with what was typed and the error beside its field', async () => {
  await dev.open(`${dev.teamPath}/clients/nouveau`);
  await dev.http.press(dev.t('client_new.send'), { client_name: 'Mauvaise adresse', redirect_uris: 'http://example.org/retour#x' });
  assert.equal(dev.http.page.status, 422);
  assert.ok(dev.http.text.includes(dev.t('error.redirect_uris')));
  assert.match(dev.http.page.text, /value="Mauvaise adresse"/);
  await dev.http.press(dev.t('client_new.send'), { auth: 'key', redirect_uris: '' });
  assert.ok(dev.http.text.includes(dev.t('error.jwks')));
  await dev.http.press(dev.t('client_new.send'), { profile: 'fapi', auth: 'secret', jwks: '' });
  assert.ok(dev.http.text.includes(dev.t('error.auth')));
});

test('a client with a key, and another with a certificate', async () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'ES256' };
  const k = await dev.client({ client_name: 'Avec clé', profile: 'fapi', auth: 'key', jwks: JSON.stringify({ keys: [jwk] }), redirect_uris: 'https://service.example/retour' });
  assert.equal(k.client_secret, undefined, 'no secret is given to a client that has a key');
  const shown = platform.json(['client', 'show', k.client_id]);
  assert.deepEqual([shown.profile, shown.auth_methods, shown.redirect_uris], ['fapi', 'private_key_jwt', ['https://service.example/retour']]);
  const m = await dev.client({ client_name: 'Avec certificat', auth: 'mtls', jwks: JSON.stringify({ keys: [{ ...jwk, 'x5t#S256': 'A'.repeat(43) }] }) });
  assert.equal(platform.json(['client', 'show', m.client_id]).auth_methods, 'self_signed_tls_client_auth');
  // Other keys, by the page.
  await dev.open(`/partenaires/clients/${k.client_id}`);
  await dev.http.press(dev.t('rekey.send'), { jwks: '{"keys": "none"}' });
  assert.ok(dev.http.text.includes(dev.t('error.jwks')));
  await dev.http.press(dev.t('rekey.send'), { jwks: JSON.stringify({ keys: [{ ...jwk, kid: 'k2' }] }) });
  assert.equal(dev.http.page.status, 200);
});

test('what was refused is told in plain words, with the id, without a query or a stranger', async () => {
  const wrong = { ...keys, client_secret: 'x'.repeat(43) };
  const refused = await tokenCall(basic(wrong), { grant_type: 'authorization_code', code: 'x', redirect_uri: 'x' });
  assert.equal(refused.status, 401);
  await send(`${world.issuer}/api/v2/authorize?client_id=${keys.client_id}&response_type=code&scope=openid&redirect_uri=${encodeURIComponent('http://localhost:9/retour?nom=MARTIN')}`);
  await tokenCall(basic(keys), { grant_type: 'authorization_code', code: 'unknown', redirect_uri: 'x' });
  const items = errorsOf(keys.client_id);
  const secret = items.find((i) => i.code === 'invalid_client');
  assert.equal(secret.id, refused.json.trace, 'the id that the answer gave');
  assert.match(secret.meaning.fr, /secret/);
  assert.ok(secret.action.en.length > 20);
  assert.equal(items.find((i) => i.code === 'IDT-400-REDIRECT').sent, 'http://localhost:9/retour');
  assert.ok(items.some((i) => i.code === 'invalid_grant'));
  assert.ok(!JSON.stringify(items).includes('MARTIN'), 'nothing personal');
  await dev.open(`/partenaires/clients/${keys.client_id}/erreurs`);
  assert.ok(dev.http.text.includes(dev.t('refusal.redirect.action')) && dev.http.text.includes(secret.id));
  const other = new Developer(world, world.account('lucas.ndiaye'));
  await other.open(`/partenaires/clients/${keys.client_id}/erreurs`);
  assert.equal(other.http.page.status, 404, 'somebody of no such team');
  assert.equal(platform.command(['client', 'errors', 'nobody', '--json']).code, 1);
});

test('refusals are bounded: a loop gone wild writes one a second', async () => {
  const before = errorsOf(keys.client_id).length;
  for (let i = 0; i < 30; i++) await tokenCall(basic(keys), { grant_type: 'refresh_token', refresh_token: `x${i}` });
  assert.ok(errorsOf(keys.client_id).length - before < 15);
});

test('the secret is rotated: the old one lives as long as was said', async () => {
  const works = async (k) => (await tokenCall(basic(k), { grant_type: 'authorization_code', code: 'x', redirect_uri: 'x' })).status !== 401;
  await dev.open(`/partenaires/clients/${keys.client_id}`);
  await dev.http.press(dev.t('rotate.send'), { overlap_hours: '24' });
  const fresh = dev.keys();
  assert.ok(await works(keys) && await works(fresh), 'both');
  await dev.open(`/partenaires/clients/${keys.client_id}`);
  await dev.http.press(dev.t('rotate.send'), { overlap_hours: '0' });
  const last = dev.keys();
  assert.ok(!await works(fresh) && await works(last), 'the old one at once');
  keys = last;
});

test('somebody is invited to the team by a link that serves once', async () => {
  await dev.open(dev.teamPath);
  await dev.http.press(dev.t('team.invite'));
  const link = new RegExp(`${world.issuer}/partenaires/rejoindre/[\\w-]+`).exec(dev.http.page.text)[0];
  const mate = new Developer(world, world.account('lucas.ndiaye'));
  await mate.open(new URL(link).pathname);
  assert.ok(mate.http.text.includes('Atelier numérique'));
  await mate.http.press(mate.t('join.send'));
  assert.ok(mate.http.text.includes('Ma démarche'), 'the team’s clients');
  const third = new Developer(world, world.account('jeanne.rousseau'));
  await third.open(new URL(link).pathname);
  assert.equal(third.http.page.status, 410);
});

test('[F2.1.10] [F2.3.7] production keys are refused without a contract, and given once it is in force', async () => {
  const ask = { org: '99900600000015', api_version: 'famille/v1', fields: 'quotient_familial.valeur', purpose: 'Calculer un tarif', basis: 'Article L. 114-8 du CRPA', redirect_uris: 'https://ma-demarche.example/retour' };
  await dev.open(`/partenaires/clients/${keys.client_id}/production`);
  await dev.http.press(dev.t('production.send'), { ...ask, org: '12345678900000' });
  assert.ok(dev.http.text.includes(dev.t('error.org')));
  const bodies = new Bodies(platform, world);
  await dev.http.press(dev.t('production.send'), { ...ask, org: bodies.town, login_uri: 'javascript:alert(1)' });
  assert.ok(dev.http.text.includes(dev.t('error.login_uri')));
  await dev.http.press(dev.t('production.send'), { ...ask, org: bodies.town, login_uri: 'https://ma-demarche.example/entrer' });
  assert.ok(dev.http.text.includes(dev.t('production.state.draft')), dev.http.text.slice(0, 1500));
  await dev.http.follow(dev.t('production.client'));
  const production = new URL(dev.http.page.url).pathname.split('/').pop();
  // Not yet: the client may do nothing, and no page gives keys.
  const spaces = async () => { await dev.open('/account/spaces'); return dev.http.text; };
  assert.ok(!(await spaces()).includes('Ma démarche'), 'nor is it a space of anybody’s');
  await dev.open(`/partenaires/clients/${production}`);
  const opened = await dev.http.go(`/partenaires/clients/${production}/ouvrir`, { method: 'POST', body: new URLSearchParams({ csrf: /name="csrf" value="([^"]+)"/.exec(dev.http.page.text)[1] }).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', origin: world.issuer } });
  assert.equal(opened.status, 409);
  assert.match(opened.text, /PAR-409-CONTRACT/);
  assert.equal((await send(`${world.issuer}/api/v2/authorize?client_id=${production}&response_type=code`)).status, 400, 'a waiting client signs nobody in');
  // The body completes and submits, the data's body accepts.
  bodies.raiseLevel();
  await sleep(1200); // known everywhere within a second
  await until('the fund’s site is known', async () => (await send(`${bodies.fundUrl}/`)).status !== 421);
  const { town, fund } = await bodies.sides();
  const list = (await town('GET', '/api/contracts/requests')).json.items;
  const draft = list.find((r) => r.terms.client_id === production);
  assert.equal(draft.state, 'draft');
  const { client_id, api, version, ...more } = terms(production);
  const changed = await town('POST', `/api/contracts/requests/${draft.id}`, { impact_assessment: 'AIPD-1', officer_opinion: 'Favorable' });
  assert.equal(changed.status, 200, changed.text);
  const submitted = await town('POST', `/api/contracts/requests/${draft.id}/submit`, {});
  assert.equal(submitted.status, 200, submitted.text);
  const validated = await fund('POST', `/api/contracts/requests/${draft.id}/validate`, {});
  assert.equal(validated.status, 200, validated.text);
  await dev.open(`/partenaires/clients/${keys.client_id}`);
  await dev.http.press(dev.t('production.open'));
  const real = dev.keys();
  assert.equal(real.client_id, production);
  const shown = platform.json(['client', 'show', production]);
  assert.deepEqual([shown.state, shown.org, shown.redirect_uris], ['active', bodies.town, ['https://ma-demarche.example/retour']]);
  assert.equal(shown.initiate_login_uri, 'https://ma-demarche.example/entrer');
  assert.ok((await spaces()).includes('Ma démarche'), 'in the spaces of every account from now on');
  assert.notEqual((await tokenCall(basic(real), { grant_type: 'authorization_code', code: 'x', redirect_uri: 'x' })).status, 401);
});

test('the same by the API, with an access token', async () => {
  const client = platform.json(['client', 'add', '--name', 'Outil', '--redirect-uri', 'http://localhost:3001/x', '--scopes', 'openid account']);
  const t = await tokensFor(world, world.account('jeanne.rousseau'), { client: { ...client, redirect_uris: ['http://localhost:3001/x'] }, scope: 'openid account' });
  const api = async (method, path, body) => send(`${world.issuer}/api/partners${path}`, { method, headers: { authorization: `Bearer ${t.access_token}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
  const team = await api('POST', '/teams', { team_name: 'Par programme' });
  assert.equal(team.status, 201, team.text);
  const made = await api('POST', `/teams/${team.json.id}/clients`, { client_name: 'Robot', redirect_uris: 'https://a.example/1 https://a.example/2' });
  assert.equal(made.status, 201, made.text);
  assert.deepEqual((await api('GET', `/clients/${made.json.client_id}`)).json.redirect_uris, ['https://a.example/1', 'https://a.example/2']);
  const bad = await api('POST', `/teams/${team.json.id}/clients`, { client_name: '' });
  assert.equal(bad.status, 422);
  assert.equal(bad.json.code, 'PAR-422-FIELD');
  assert.equal((await api('POST', `/clients/${made.json.client_id}/open`, {})).json.code, 'PAR-409-CONTRACT');
  assert.equal((await api('POST', `/clients/${made.json.client_id}/secret`, { overlap_hours: 1 })).status, 200);
  assert.equal((await api('GET', `/clients/${keys.client_id}`)).status, 404, 'another team’s');
  assert.ok((await api('GET', '/identities')).json.items.length > 20);
});

test('each test identity signs in with the claims that are said, or is refused as is said', async () => {
  const { items } = await (async () => { await dev.open('/partenaires/identites'); return { items: JSON.parse(spawnSync('cat', ['demo/data/identities.json'], { encoding: 'utf8' }).stdout).accounts }; })();
  const page = dev.http.text;
  const client = { ...keys, redirect_uris: [`${world.issuer}/partenaires/retour`] };
  const subs = new Map();
  for (const i of items) {
    assert.ok(page.includes(i.note.fr) && page.includes(i.login), `listed: ${i.login}`);
    const account = { ...i, provider: 'impots-demo' };
    if (i.refused) {
      const person = new Client();
      await person.go(`${world.issuer}/api/v2/authorize?${new URLSearchParams({ client_id: client.client_id, response_type: 'code', redirect_uri: client.redirect_uris[0], scope: 'openid', state: 's', nonce: 'n'.repeat(22) })}`);
      await walkSignIn(person, account);
      assert.equal(person.page.status, 403, `${i.login} is refused`);
      assert.match(person.page.text, /error=access_denied/, 'and the way back says so');
      continue;
    }
    const t = await tokensFor(world, account, { client, scope: 'openid profile birth email' });
    const info = await send(`${world.issuer}/api/v2/userinfo`, { headers: { authorization: `Bearer ${t.access_token}` } });
    for (const [k, v] of Object.entries(i.claims)) assert.deepEqual(info.json[k] ?? '', v, `${i.login}: ${k}`);
    assert.ok(!subs.has(info.json.sub), `${i.login} is not ${subs.get(info.json.sub)}`);
    subs.set(info.json.sub, i.login);
  }
});

test('the command prints the running platform’s issuer whatever port it is told, and writes an entry', async () => {
  const settings = ['--data', platform.data, ...(platform.database ? ['--database', platform.database.url] : [])];
  const r = spawnSync('build/socle', ['client', 'add', '--name', 'Sans port', '--redirect-uri', 'http://localhost:3002/x', '--json', ...settings], { encoding: 'utf8' });
  assert.equal(r.status, 0, r.stderr);
  const made = JSON.parse(r.stdout);
  assert.equal(made.issuer, world.issuer);
  assert.equal((await send(made.discovery)).json.issuer, world.issuer);
  await until('the entry is in the journal', () => entries(platform.journalFolder).some((l) => l.kind === 'identity.client_registered' && l.object === made.client_id));
});
