// A person objects to a use of her data: a case with the body's data officer, an answer, both proved.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Platform, until } from '../lib/platform.mjs';
import { World, call, tokensFor, walkSignIn } from '../lib/story.mjs';
import { Client, decode, links, words } from '../lib/http.mjs';
import { entries } from '../lib/journal.mjs';
import { text } from '../lib/text.mjs';

let platform, world, entry, camille;
const t = (key) => text('account', key);
const signedIn = async (who, at, url) => { const c = new Client(); await c.go(at); await walkSignIn(c, who); await c.go(url); return c; };

before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  const tokens = await tokensFor(world, world.citizen, { client: world.town, scope: 'openid famille_foyer' });
  const r = await call(world, '/gw/famille/v1/foyer', tokens.access_token);
  assert.equal(r.status, 200, r.text);
  entry = r.headers['socle-entry'];
  camille = await signedIn(world.citizen, `${platform.base}/connexion?return=/account`, `${platform.base}/account/uses`);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

test('[P2.1.3] every exchange has one plain line, and an objection opens a case that the data officer answers', { timeout: 120000 }, async () => {
  await until('the use is in her account', async () => (await camille.go(`${platform.base}/account/uses/${entry}`)).status === 200);
  await camille.follow(t('objection.link'));
  await camille.press(t('objection.button'), { reason: '   ' });
  assert.equal(camille.page.status, 422);
  assert.ok(camille.text.includes(t('objection.missing')));
  await camille.press(t('objection.button'), { reason: 'Je n’ai <rien> demandé à la mairie.' });
  assert.match(camille.page.url, /\/account\/objections$/);
  assert.ok(camille.text.includes('Je n’ai <rien> demandé à la mairie.') && camille.text.includes(t('objections.open')));

  const officer = await signedIn(world.agent, `${world.townUrl}/agent`, `${world.townUrl}/oppositions`);
  assert.ok(officer.text.includes('Je n’ai <rien> demandé à la mairie.'), officer.text.slice(0, 800));
  assert.ok(officer.text.includes(entry), 'the body finds the use in its own records');
  assert.doesNotMatch(officer.text, /MARTIN|Camille/, 'the case bears no name');
  await officer.press(t('cases.button'), { answer: 'Vous avez déclaré un changement d’adresse.' });
  await camille.go(`${platform.base}/account/objections`);
  assert.ok(camille.text.includes('Vous avez déclaré un changement d’adresse.') && camille.text.includes(t('objections.answered')));
  assert.ok(!officer.text.includes(t('cases.button')), 'one answer');

  await until('both are in the journal', () => ['objection.opened', 'objection.answered'].every((k) => entries(platform.journalFolder).some((e) => e.kind === k)));
  const [opened, answered] = ['objection.opened', 'objection.answered'].map((k) => entries(platform.journalFolder).find((e) => e.kind === k));
  assert.equal(opened.object, answered.object);
  assert.match(answered.actor, /^agent:/);
  assert.ok(!JSON.stringify(entries(platform.journalFolder)).includes('demandé'), 'her words are not in it');
});

test('[P2.1.3] a named data officer alone sees the cases; nobody else’s use can be objected to', { timeout: 120000 }, async () => {
  const answered = entries(platform.journalFolder).find((e) => e.kind === 'objection.answered');
  const org = platform.json(['org', 'list']).find?.((o) => /nantes|mairie/i.test(JSON.stringify(o)))?.id ?? 'mairie';
  platform.must(['officer', 'add', org, 'agent:00000000000000000000000000']);
  const agent = await signedIn(world.agent, `${world.townUrl}/agent`, `${world.townUrl}/oppositions`);
  assert.equal(agent.page.status, 403);
  platform.must(['officer', 'add', org, answered.actor]);
  assert.equal((await agent.go(`${world.townUrl}/oppositions`)).status, 200);
  const pocket = platform.json(['client', 'add', '--name', 'Mon compte de poche', '--redirect-uri', 'http://localhost:3000/callback', '--scopes', 'openid account']);
  const client = { ...pocket, redirect_uris: ['http://localhost:3000/callback'] }, other = world.accounts.find((a) => a.realm !== 'agents' && a.login !== world.citizen.login);
  const post = async (who, id, reason) => call(world, `/api/account/uses/${id}/objection`, (await tokensFor(world, who, { client, scope: 'openid account' })).access_token, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ reason }) });
  assert.equal((await post(other, entry, 'non')).status, 404);
  assert.equal((await post(world.citizen, entry, 'encore')).status, 409, 'once a use');
  assert.equal((await post(world.citizen, entry, '')).status, 422);
});

test('[P2.1.3] a client of the data tracker asks with the person’s token', { timeout: 60000 }, async () => {
  const pocket = platform.json(['client', 'add', '--name', 'Andmejälgija', '--redirect-uri', 'http://localhost:3000/callback', '--scopes', 'openid account']);
  const { access_token: token } = await tokensFor(world, world.citizen, { client: { ...pocket, redirect_uris: ['http://localhost:3000/callback'] }, scope: 'openid account' });
  const get = async (what, t) => call(world, `/api/tracker/${what}`, t);
  assert.equal((await get('findUsage')).status, 401);
  assert.equal((await get('heartbeat')).json.status, 'UP');
  const all = (await get('findUsage?limit=1000', token)).json.findUsageResponses, one = all.find((u) => u.id === entry);
  assert.ok(one.receiver && one.action && !Number.isNaN(Date.parse(one.logtime)), JSON.stringify(one));
  assert.deepEqual((await get('findUsage?offset=1&limit=2', token)).json.findUsageResponses, all.slice(1, 3));
  const period = (await get('usagePeriod', token)).json;
  assert.ok(all.every((u) => u.logtime >= period.from && u.logtime <= period.to), JSON.stringify(period));
});

test('[2.1.1.d4] a withdrawn consent’s page leads to its proof', { timeout: 60000 }, async () => {
  await camille.go(`${platform.base}/account/consents`);
  const link = links(camille.page.text).find((l) => /withdraw$/.test(l.href));
  assert.ok(link, words(camille.page.text).slice(0, 500));
  await camille.go(decode(link.href));
  await camille.press(t('withdraw.button'));
  const proof = links(camille.page.text).find((l) => /account\/uses\/[0-9A-Z]{26}$/.test(l.href));
  assert.ok(proof, camille.text);
  await until('the proof is ready', async () => (await camille.go(decode(proof.href))).status === 200 && camille.text.includes(t('proof.ok.title')));
});
