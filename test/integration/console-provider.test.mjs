// A body puts its identity provider behind the platform: declared in the sandbox, judged in plain
// words, tried by one sign-in that makes nobody, then accepted by the operator.
import { after, before, test } from 'node:test';
import { execFile } from 'node:child_process';
import assert from 'node:assert/strict';
import { Developer } from '../lib/console.mjs';
import { Client, links } from '../lib/http.mjs';
import { Platform, program } from '../lib/platform.mjs';
import { World, walkSignIn } from '../lib/story.mjs';
import { Upstream, newKey } from '../lib/upstream.mjs';

let platform, world, dev, up, path, id;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  up = await Upstream.start(platform.ownPort(0), { acr: 'eidas1' });
  dev = new Developer(world, world.account('yann.legoff'));
});
after(async () => { await up?.stop(); await platform.destroy(); });

const open = () => dev.open(path);
const check = async () => { await open(); await dev.http.press(dev.t('provider.check')); return dev.http.text; };
const tryIt = async () => { await open(); await dev.http.follow(dev.t('provider.trial')); return dev.http.text; };
// Not run(): the provider under test answers from this process.
const commandBeside = (args) => new Promise((done) => {
  const settings = ['--data', platform.data, '--allow-inside=yes', ...(platform.database ? ['--database', platform.database.url] : [])];
  execFile(program, [...args, ...settings], (e, stdout, stderr) => done({ code: e ? e.code : 0, stdout, stderr }));
});
const people = () => platform.json(['person', 'list']).items?.length ?? platform.json(['person', 'list']).length;

test('a provider is declared in the sandbox; nobody is offered it', async () => {
  await dev.team('Compte Canari');
  await dev.open(`${dev.teamPath}/fournisseurs/nouveau`);
  await dev.http.press(dev.t('provider_new.send'), { provider_name: 'Compte Canari', issuer: 'pas une adresse', client_id: up.client, secret: up.secret });
  assert.ok(dev.http.text.includes(dev.t('error.issuer')));
  await dev.http.press(dev.t('provider_new.send'), { issuer: up.issuer, secret: up.secret });
  path = new URL(dev.http.page.url).pathname;
  id = path.split('/').pop();
  assert.match(id, /^compte-canari-[a-z0-9]{8}$/);
  assert.ok(dev.http.text.includes(`${world.issuer}${path}/retour`), 'the address to register is shown');
  const person = new Client();
  await person.go(`${world.issuer}/connexion`);
  assert.ok(!person.text.includes('Compte Canari'));
  const flow = new URL(person.page.url).searchParams.get('flow');
  await person.go(`${world.issuer}/connexion/vers/${id}?flow=${flow}`);
  assert.equal(person.page.status, 404, 'nor by its address');
  assert.equal(platform.json(['provider', 'list']).find((p) => p.id === id).state, 'sandbox');
});

test('the metadata are judged in plain words', async () => {
  const says = async (broken, key) => { up.break = broken; assert.ok((await check()).includes(dev.t(key)), `${key}: ${dev.http.text.slice(0, 1500)}`); };
  await says({ metadata: { issuer: 'http://other.example' } }, 'why.another_issuer');
  await says({ '/.well-known/openid-configuration': (rq, rs) => { rs.writeHead(500); rs.end(); } }, 'why.unreachable');
  await says({ '/.well-known/openid-configuration': (rq, rs) => rs.end('<html>') }, 'why.not_json');
  await says({ metadata: { token_endpoint: undefined } }, 'check.discovery.wrong');
  await says({ '/jwks': (rq, rs, { json }) => json({ keys: [] }) }, 'why.no_key');
  await says({ metadata: { id_token_signing_alg_values_supported: ['HS256'] } }, 'check.algorithms.wrong');
  await says({ metadata: { end_session_endpoint: undefined } }, 'check.logout.wrong');
  const better = await commandBeside(['provider', 'check', id]);
  assert.equal(better.code, 0, `what could be better is no failure: ${better.stdout}${better.stderr}`);
  up.break = { metadata: { response_types_supported: ['id_token'] } };
  const r = await commandBeside(['provider', 'check', id, '--json']);
  assert.equal(r.code, 1);
  assert.equal(JSON.parse(r.stdout).items.find((i) => i.check === 'code').verdict, 'fail');
});

test('one sign-in is walked through: what is wrong is named, and no person comes of it', async () => {
  const before = people();
  const says = async (broken, key) => { up.break = broken; assert.ok((await tryIt()).includes(dev.t(key)), `${key}: ${dev.http.text.slice(0, 2500)}`); };
  await says({ error: 'access_denied' }, 'why.error_access_denied');
  await says({ claims: { nonce: 'another' } }, 'check.nonce.wrong');
  await says({ claims: { aud: 'somebody-else' } }, 'why.another_audience');
  await says({ claims: { acr: 'gold' } }, 'why.acr_missing_or_unknown');
  await says({ '/token': (rq, rs, { json }) => json({ error: 'invalid_client' }, 401) }, 'why.the_token_endpoint_refused');
  await says({ '/userinfo': (rq, rs, { json }) => json({ sub: 'x' }) }, 'why.sub_of_userinfo');
  const other = newKey('ES256', 'k1');
  await says({ '/jwks': (rq, rs, { json }) => json({ keys: [other.jwk] }), key: other }, up.break.key === undefined ? 'check.signature.wrong' : 'verdict.fail');
  const { birthdate, ...partial } = up.person;
  up.break = {};
  const whole = up.person;
  up.person = partial;
  assert.ok((await tryIt()).includes(dev.t('why.birthdate')));
  up.person = whole;
  assert.equal(people(), before, 'a trial makes nobody');
  await open();
  assert.ok(dev.http.text.includes(dev.t('provider.not_ready')));
});

test('all passes; the way back belongs to the browser that began; signing out keeps its state', async () => {
  up.break = { metadata: { acr_values_supported: ['eidas1'], code_challenge_methods_supported: ['S256'] } };
  await check();
  const done = await tryIt();
  assert.ok(done.includes(dev.t('provider.ready')), done.slice(0, 2500));
  assert.ok(!done.includes('CANARI-MARTIN'), 'names of claims, not their values');
  const thief = new Developer(world, world.account('lucas.ndiaye'));
  await thief.open(`${path}/retour?code=x&state=y`);
  assert.equal(thief.http.page.status, 404, 'another team’s');
  await tryIt();
  await dev.http.follow(dev.t('provider.logout'));
  assert.ok(!dev.http.text.includes(dev.t('why.state_lost')));
  await dev.http.go(`${path}/fin?state=forged`);
  assert.ok(dev.http.text.includes(dev.t('why.state_lost')));
});

test('production is asked for and accepted by the operator; then people choose it', async () => {
  assert.equal(platform.command(['provider', 'accept', id]).code, 1, 'not before it was asked for');
  await check();
  await tryIt();
  await dev.http.press(dev.t('provider.ask'));
  assert.ok(dev.http.text.includes(dev.t('provider.state.asked')));
  platform.must(['provider', 'accept', id]);
  const person = new Client();
  await person.go(`${world.issuer}/connexion?return=/account`);
  const l = links(person.page.text).find((x) => x.text.includes('Compte Canari'));
  assert.ok(l, 'on the page of choice');
  up.break = {};
  await person.go(l.href);
  assert.equal(new URL(person.page.url).pathname, '/account', person.text.slice(0, 500));
  // What people are sent to is no longer the team's to change.
  await open();
  assert.ok(!dev.http.text.includes(dev.t('provider.not_ready')));
});
