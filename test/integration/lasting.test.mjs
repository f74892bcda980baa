// [M034] She lets a service read a datum of hers for six months, by a button of that service: with the
// page that asks, the token that lasts, her account where it stands, and its end.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Platform, until } from '../lib/platform.mjs';
import { Client, forms } from '../lib/http.mjs';
import { World, call, walkSignIn } from '../lib/story.mjs';
import { Relying, basic } from '../lib/relying.mjs';
import { text } from '../lib/text.mjs';

const DAY = 86400 * 1000, T = (key, lang = 'fr') => text('identity', key, lang);
const scope = 'openid profile famille_foyer offline_access';
let platform, world, rp, k;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  rp = new Relying(world);
  const org = platform.json(['org', 'list'])[0].id;
  k = rp.add('Aide au logement', ['--org', org, '--login-uri', 'http://aide.localhost:3000/entrer', '--scopes', scope]);
  platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: k.client_id, org_id: org, api: 'famille', version: 'v1', fields: '*', consent_needed: true, duration_days: 183,
    purpose: { fr: 'Calculer votre aide chaque mois', en: 'Work out your benefit each month' }, legal_basis: { fr: 'Avec votre accord', en: 'With your consent' } }) });
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

const read = (token) => call(world, '/gw/famille/v1/foyer', token);
const refresh = (token) => rp.post('/token', { grant_type: 'refresh_token', refresh_token: token }, basic(k));
const refused = (token, why) => until(why, async () => { const r = await read(token); return r.status !== 200 && r; }, { timeoutMs: 60000 });
// A contract just made counts within a second, whatever a loop says before.
const counts = (token) => until('the contract counts', async () => {
  const r = await read(token);
  return r.status === 200 ? r : (assert.equal(r.json.code, 'EXC-403-CONTRACT', r.text), null);
}, { timeoutMs: 60000 });
async function grantOf(person) {
  const stop = person.stopAt;
  person.stopAt = undefined;
  await person.go(`${world.issuer}/account/access`);
  person.stopAt = stop;
  return forms(person.page.text).find((f) => f.buttons.some((b) => b.text.includes('Aide au logement')));
}
const asked = (person, from) => person.trail.slice(from).some((l) => l.includes('/connexion/accord'));

test('[M034] the button opens her space, which leads back', async () => {
  const person = new Client();
  await person.go(`${world.issuer}/account/spaces?from=${k.client_id}`);
  await walkSignIn(person, world.citizen);
  assert.equal(new URL(person.page.url).pathname, '/account/spaces', 'the sign-in keeps where she wanted to go');
  assert.ok(person.text.includes('Revenir à Aide au logement'), person.text);
});

test('[M034] six months: she agrees, the service reads again and again without her, until they are over', { timeout: 120000 }, async () => {
  const person = new Client();
  let page;
  const press = person.press.bind(person);
  person.press = (b, v) => { if (b === T('consent.agree')) page = person.text; return press(b, v); };
  const t = await rp.tokens(k, { scope }, { person });
  for (const w of ['Aide au logement', 'Calculer votre aide chaque mois', 'Accès en votre absence', 'pendant six mois, jusqu’au', '183 jours']) assert.ok(page.includes(w), `the page that asks says "${w}": ${page}`);
  assert.ok(t.refresh_token);
  await counts(t.access_token);
  let next = await refresh(t.refresh_token);
  assert.equal(next.status, 200, next.text);
  const data = await read(next.json.access_token);
  assert.equal(data.status, 200, data.text);
  assert.ok(Object.keys(data.json).length, 'the datum itself');
  assert.ok(await grantOf(person), 'her account says who reads while she is away');
  assert.match(person.text, /Jusqu’au \d/);

  const ahead = async (days) => { await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(days * DAY) } }); };
  await ahead(181);
  assert.equal((await read(next.json.access_token)).status, 401, 'a short token does not last');
  next = await refresh(next.json.refresh_token);
  assert.equal(next.status, 200, next.text);
  assert.equal((await counts(next.json.access_token)).status, 200, 'the day before the last');
  await ahead(184);
  assert.equal((await refresh(next.json.refresh_token)).json.error, 'invalid_grant', 'six months are over');
  await platform.restart();
});

test('[M034] she ends it: the next read is refused, no refresh brings it back, and it is not given again without her', async () => {
  const person = new Client();
  const t = await rp.tokens(k, { scope }, { person });
  const next = (await refresh(t.refresh_token)).json;
  await counts(next.access_token);
  let from = person.trail.length;
  await rp.tokens(k, { scope }, { person });
  assert.equal(asked(person, from), false, 'not asked again while it holds');
  for (let f; (f = await grantOf(person));) await person.press(f.buttons[0].text);
  const r = await refused(next.access_token, 'the next read is refused');
  assert.equal(r.json.code, 'EXC-401-REVOKED');
  assert.equal((await refresh(next.refresh_token)).json.error, 'invalid_grant');
  assert.equal((await refresh(t.refresh_token)).json.error, 'invalid_grant');
  from = person.trail.length;
  const none = await rp.refusal(rp.request(k, { scope, prompt: 'none' }));
  assert.ok(['login_required', 'consent_required'].includes(none.get('error')));
  const again = await rp.tokens(k, { scope }, { person });
  assert.ok(asked(person, from), 'she is asked again');
  assert.ok(again.refresh_token);
});

test('[M034] she refuses: she is signed in, and nothing lasts', async () => {
  const person = new Client();
  const t = await rp.tokens(k, { scope }, { person, account: world.account('lucas.ndiaye'), decision: 'refuse' });
  assert.equal(t.refresh_token, undefined);
  assert.doesNotMatch(t.scope ?? '', /offline_access/);
  assert.equal((await rp.userinfo(t.access_token)).status, 200);
  assert.notEqual((await read(t.access_token)).status, 200, 'nor is the datum read');
  assert.equal(await grantOf(person), undefined);
});

test('[M034] she withdraws the consent alone: the next read is refused, refreshed or not', async () => {
  const person = new Client();
  const t = await rp.tokens(k, { scope, prompt: 'consent' }, { person });
  await counts(t.access_token);
  person.stopAt = undefined;
  await person.go(`${world.issuer}/account/consents`);
  const card = /<li class="card">(?:(?!<\/li>)[\s\S])*?chaque mois[\s\S]*?href="(\/account\/consents\/[^"]+\/withdraw)"/.exec(person.page.text);
  await person.go(`${world.issuer}${card[1]}`);
  await person.press(forms(person.page.text).find((f) => f.action.endsWith('/withdraw')).buttons[0].text);
  assert.equal((await refused(t.access_token, 'the next read is refused')).json.code, 'EXC-403-CONSENT');
  const next = await refresh(t.refresh_token);
  assert.equal(next.status, 200, 'she is still known while she is away');
  assert.notEqual((await read(next.json.access_token)).status, 200, 'but her datum is not read');
});
