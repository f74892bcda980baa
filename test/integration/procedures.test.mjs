// What a person relies on while she fills a form: nothing typed is lost, nothing is sent twice, nobody
// else sees it. And the same acts by the API. Without a browser: forms as the pages give them.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Platform, until } from '../lib/platform.mjs';
import { Client, forms, links, send, words } from '../lib/http.mjs';
import { World, fileProcedure, openProcedure, tokensFor, walkSignIn } from '../lib/story.mjs';
import { text } from '../lib/text.mjs';

const said = (s) => s.replace(/\s+/g, ' '); // as words() gives a page
const t = (key, lang = 'fr') => said(text('procedures', key, lang));
const next = text('platform', 'action.continue');
let platform, world;
before(async () => { platform = await Platform.start(); world = new World(platform); }, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 120000 });

const citizens = () => world.accounts.filter((a) => a.realm !== 'agents');
const other = () => citizens().find((a) => !a.login.startsWith(world.citizen.login)); // not her namesake

async function begun(account = world.citizen, client = new Client()) {
  await openProcedure(world, account, { client });
  await client.press(t('start.button'));
  assert.match(client.page.url, /\/dossiers\/[0-9A-Z]{26}\//);
  return { client, id: /dossiers\/([0-9A-Z]{26})/.exec(client.page.url)[1] };
}

const at = (client, id, path) => client.go(`${world.townUrl}/dossiers/${id}${path}`);
const field = (client, name) => forms(client.page.text).flatMap((f) => f.fields).find(([k]) => k === name)?.[1];

const arrival = { 'date.day': '14', 'date.month': '11', 'date.year': '2026', nouvelle_voie: '8 rue de Strasbourg', nouvelle_commune: 'Nantes', courriel: 'camille@exemple.fr' };

async function complete(client, id) {
  await at(client, id, '/etape/1');
  await client.press(next);
  await client.press(next, field(client, 'ancienne_voie') ? {} : { ancienne_voie: '1 rue A', ancienne_commune: 'Lyon' });
  await client.press(next, arrival);
  assert.ok(client.text.includes(t('check.title')), client.text.slice(0, 1200));
}

test('[2.1.1] errors name the field in both languages and keep what was typed; a draft resumes elsewhere', { timeout: 120000 }, async () => {
  const { client, id } = await begun();
  await at(client, id, '/etape/3');
  await client.press(next, { ...arrival, 'date.day': '31', nouvelle_commune: 'Saint-Denis', courriel: 'camille' });
  assert.equal(client.page.status, 422);
  assert.match(client.page.text, /<title>Erreur\s?:/);
  for (const target of ['date-day', 'nouvelle_commune-0', 'courriel'])
    assert.match(client.page.text, new RegExp(`href="#${target}"[\\s\\S]*id="${target}"`), `the summary leads to ${target}`);
  for (const name of ['date', 'nouvelle_commune', 'courriel']) {
    assert.match(client.page.text, new RegExp(`aria-describedby="${name}-error`), `${name} is described by its error`);
    assert.match(client.page.text, new RegExp(`class="error" id="${name}-error"`), name);
  }
  assert.equal(field(client, 'date.day'), '31');
  assert.equal(field(client, 'courriel'), 'camille');
  assert.equal(field(client, 'nouvelle_voie'), '8 rue de Strasbourg');
  // In English, on another device, the same draft with the same faults.
  const phone = new Client({ lang: 'en' });
  await openProcedure(world, world.citizen, { client: phone });
  assert.ok(phone.text.includes(t('start.drafts', 'en')));
  await at(phone, id, '/etape/3');
  assert.match(phone.text, /this date does not exist/);
  assert.equal(field(phone, 'courriel'), 'camille');
  // Sending is refused while something is wrong: she is led to it.
  await at(phone, id, '/verifier');
  assert.match(phone.page.url, /etape\/\d$/);
  await at(client, id, '/etape/3');
  await client.press(t('form.save'), { ...arrival, courriel: '' });
  assert.ok(client.text.includes(t('flash.saved')));
});

test('a commune is found by name, postcode, and with a slip of the finger', { timeout: 120000 }, async () => {
  const { client, id } = await begun();
  const typed = async (nouvelle_commune) => {
    await at(client, id, '/etape/3');
    await client.press(next, { ...arrival, nouvelle_commune });
    if (client.page.status === 422) return forms(client.page.text).flatMap((f) => f.choices.nouvelle_commune ?? []);
    await at(client, id, '/etape/3');
    return field(client, 'nouvelle_commune');
  };
  assert.match(await typed('nantes'), /^Nantes \(44\)$/);
  assert.match(await typed('44000'), /^Nantes \(44\)$/);
  assert.match(await typed('st etienne'), /^Saint-Étienne \(42\)$/);
  assert.ok((await typed('nantess')).includes('44109'), 'offered, not taken');
  assert.ok((await typed('Saint-Denis')).length > 2, 'several: she chooses');
  assert.deepEqual(await typed('zzzzzz'), [], 'none: she types again');
});

test('another person, and a person who is not signed in, see nothing of it', { timeout: 120000 }, async () => {
  const { client, id } = await begun();
  const stranger = new Client();
  await openProcedure(world, other(), { client: stranger });
  for (const path of ['', '/etape/1', '/verifier', '/recu', '/depot.json']) {
    const r = await stranger.once(`${world.townUrl}/dossiers/${id}${path}`);
    assert.equal(r.status, 404, path);
    assert.ok(!/MARTIN|Capucins/.test(r.text), path);
    const nobody = await send(`${world.townUrl}/dossiers/${id}${path}`, { headers: { accept: 'text/html' } });
    assert.equal(nobody.status, 303, path);
    assert.match(nobody.headers.location, /^\/connexion\?return=/, path);
  }
  await at(client, id, '/etape/1');
  const csrf = field(client, 'csrf');
  const forged = await send(`${world.townUrl}/dossiers/${id}/etape/1`, { method: 'POST', body: `csrf=${csrf}`, headers: { 'content-type': 'application/x-www-form-urlencoded', cookie: [...client.jar(world.townUrl)].map(([k, v]) => `${k}=${v}`).join('; '), origin: 'http://evil.localhost' } });
  assert.equal(forged.status, 403, 'a form of another site');
});

test('two tabs: what changed in one is not sent unread from the other; sending twice sends once', { timeout: 180000 }, async () => {
  const { client, id } = await begun();
  await complete(client, id);
  const stale = client.page; // "check your answers", as the first tab shows it
  await at(client, id, '/etape/3');
  await client.press(next, { ...arrival, nouvelle_voie: '9 rue de Verdun' });
  client.page = stale;
  await client.press(t('check.button'));
  assert.equal(client.page.status, 409);
  assert.ok(client.text.includes(t('flash.changed')));
  assert.ok(client.text.includes('9 rue de Verdun'), 'she reads what would be sent');
  const body = new URLSearchParams(client.form(t('check.button')).fields).toString();
  const post = () => client.once(`${world.townUrl}/dossiers/${id}/envoyer`, { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded', origin: world.townUrl } });
  const answers = await Promise.all([post(), post(), post(), post()]); // a nervous finger
  for (const r of answers) {
    assert.equal(r.status, 303);
    assert.equal(r.headers.location, `/dossiers/${id}/recu`);
  }
  await at(client, id, '/recu');
  const number = /<p class="number">([^<]+)/.exec(client.page.text)[1];
  const digest = /<code>([0-9a-f]{64})<\/code>/.exec(client.page.text)[1];
  const file = await client.once(`${world.townUrl}/dossiers/${id}/depot.json`);
  assert.equal(createHash('sha256').update(file.bytes).digest('hex'), digest, 'the digest is that of what she can download');
  assert.equal(file.json.number, number);
  assert.equal(file.json.values.nouvelle_voie.value, '9 rue de Verdun');
  await at(client, id, '');
  assert.equal(client.page.text.match(/class="what"/g).length, 2, 'sent once, and the answer to come');
  // The other tab still has the form: it says kindly that it is sent.
  client.page = stale;
  await client.press(t('check.button'));
  assert.ok(client.text.includes(t('receipt.title')));
});

test('[2.1.1] a session that ends while she types loses nothing, and shows it to nobody else', { timeout: 240000 }, async () => {
  const { client, id } = await begun();
  await at(client, id, '/etape/2');
  const f = client.form(next);
  await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(2 * 3600 * 1000) } }); // lunch
  const typed = { ...Object.fromEntries(f.fields), ancienne_voie: '77 rue des Tanneurs, bâtiment « B »', ancienne_commune: 'Lyon', go: 'next' };
  await client.go(`${world.townUrl}/dossiers/${id}/etape/2`, { method: 'POST', body: new URLSearchParams(typed).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', origin: world.townUrl } });
  assert.ok(client.text.includes(text('platform', 'session_ended.title')), client.text.slice(0, 600));
  assert.ok(client.text.includes(text('platform', 'session_ended.kept')));
  const signIn = links(client.page.text).find((l) => l.text === text('platform', 'identity.button')).href;
  const kept = decodeURIComponent(/return=([^&]+)/.exec(signIn)[1]);
  assert.match(kept, /^\/reprendre\/[0-9A-Z]{26}$/);
  const stranger = new Client();
  await openProcedure(world, other(), { client: stranger });
  const r = await stranger.once(`${world.townUrl}${kept}`);
  assert.equal(r.status, 404, 'another person on the same computer');
  assert.ok(!r.text.includes('Tanneurs'));
  await client.go(signIn);
  await walkSignIn(client, world.citizen);
  assert.ok(client.text.includes(text('platform', 'resume.title')), client.text.slice(0, 600));
  await client.press(text('platform', 'resume.button'));
  assert.match(client.page.url, /etape\/3$/, 'she is where she would have been');
  await at(client, id, '/etape/2');
  assert.equal(field(client, 'ancienne_voie'), typed.ancienne_voie);
  // After signing out herself, nothing is kept.
  const late = { ...typed, csrf: field(client, 'csrf') };
  await client.press(text('platform', 'layout.sign_out'));
  await client.go(`${world.townUrl}/dossiers/${id}/etape/2`, { method: 'POST', body: new URLSearchParams(late).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', origin: world.townUrl } });
  assert.ok(!client.text.includes(text('platform', 'session_ended.kept')), client.text.slice(0, 300));
  await platform.restart();
});

test('[2.1.1] an agent finds, refuses with a reason, once; the citizen reads it, and who read her dossier', { timeout: 240000 }, async () => {
  const { client: she, number } = await fileProcedure(world, world.citizen);
  const agent = new Client();
  await agent.go(`${world.townUrl}/agent`);
  await walkSignIn(agent, world.agent);
  assert.match(agent.text, new RegExp(`${t('agent.filter.submitted')} \\(\\d+\\)`));
  await agent.press(text('platform', 'action.search'), { q: 'martin' });
  assert.ok(agent.text.includes(number), 'found by name');
  await agent.follow(number);
  const dossier = agent.page.url;
  await agent.press(t('agent.decide.button'), { outcome: 'refuse', reason: '' });
  assert.equal(agent.page.status, 422);
  assert.ok(agent.text.includes(t('agent.error.reason')));
  await agent.press(t('agent.decide.button'), { outcome: 'refuse', reason: 'L’adresse est <hors> de la commune.' });
  const confirm = agent.page;
  assert.ok(agent.text.includes('L’adresse est <hors> de la commune.'));
  await agent.press(t('agent.confirm.back'));
  assert.equal(field(agent, 'reason'), 'L’adresse est <hors> de la commune.', 'going back keeps what was written');
  agent.page = confirm;
  await agent.press(t('agent.confirm.refuse.button'));
  assert.ok(agent.text.includes(t('flash.decided')));
  agent.page = confirm; // pressed again
  await agent.press(t('agent.confirm.refuse.button'));
  assert.ok(agent.text.includes(t('flash.decided_before')));
  assert.equal(agent.page.url.split('?')[0], dossier);
  await she.follow(t('receipt.follow'));
  for (const line of [t('decision.refused'), 'L’adresse est <hors> de la commune.', t('dossier.appeal')]) assert.ok(she.text.includes(line), line);
  await she.go(`${platform.base}/account/uses`);
  await walkSignIn(she, world.citizen);
  await until('the agent’s look is in her account', async () => (await she.go(`${platform.base}/account/uses`)) && she.text.includes(`Votre dossier ${number}`));
  const csv = await agent.once(`${world.townUrl}/agent?etat=all&format=csv`);
  assert.match(csv.headers['content-type'], /^text\/csv/);
  assert.ok(csv.text.includes(`"${number}"`));
  // A citizen is no agent.
  const r = await she.once(`${world.townUrl}/agent`);
  assert.equal(r.status, 303);
});

test('[P5.2.3] the same acts by the API: begin, answer, send, decide', { timeout: 240000 }, async () => {
  const scope = 'openid profile birth famille_foyer adresse_fiscale';
  const { access_token: hers } = await tokensFor(world, world.citizen, { client: world.town, scope });
  const api = async (method, path, token, body) => {
    const r = await send(`${world.townUrl}${path}`, { method, headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(body ? { 'content-type': 'application/json' } : {}) }, body: body ? JSON.stringify(body) : undefined });
    return { ...r, json: /json/.test(r.headers['content-type'] ?? '') ? JSON.parse(r.text) : null };
  };
  const none = await api('GET', '/api/dossiers');
  assert.equal(none.status, 401);
  assert.match(none.headers['www-authenticate'], /^Bearer/);
  assert.equal(none.json.code, 'SOC-401-TOKEN');
  const altered = `${hers.slice(0, -2)}${hers.endsWith('A') ? 'B' : 'A'}${hers.slice(-1)}`;
  assert.equal((await api('GET', '/api/dossiers', altered)).status, 401);
  const { access_token: foreign } = await tokensFor(world, world.citizen, { client: world.outside, scope });
  const refused = await api('GET', '/api/dossiers', foreign);
  assert.equal(refused.status, 403, 'a token given to another service');
  assert.equal(refused.json.code, 'SOC-403-SCOPE');
  const elsewhere = await send(`${platform.base}/api/account`, { headers: { authorization: `Bearer ${hers}` } });
  assert.equal(elsewhere.status, 403, 'her account is not the town’s to read');

  const procedures = (await api('GET', '/api/procedures')).json.items;
  const begunBy = await api('POST', '/api/dossiers', hers, { procedure: procedures[0].id });
  assert.equal(begunBy.status, 201, begunBy.text);
  const id = begunBy.json.id, path = `/api/dossiers/${id}`;
  assert.equal(begunBy.json.values.nom.value, 'MARTIN');
  assert.equal(begunBy.json.values.nom.source, 'identity');
  const early = await api('POST', `${path}/submit`, hers);
  const wrong = await api('POST', `${path}/steps/3`, hers, { date: '2026-02-30', nouvelle_voie: '8 rue de Strasbourg', nouvelle_commune: '44109' });
  assert.equal(wrong.status, 422);
  assert.equal(wrong.json.code, 'PRC-422-FIELDS');
  assert.deepEqual(Object.keys(wrong.json.errors), ['date']);
  assert.ok([422, 200].includes(early.status));
  if (!begunBy.json.values.ancienne_voie) assert.equal((await api('POST', `${path}/steps/2`, hers, { ancienne_voie: '1 rue A', ancienne_commune: '69123' })).status, 200);
  const right = await api('POST', `${path}/steps/3`, hers, { date: { day: 14, month: 11, year: 2026 }, nouvelle_voie: '8 rue de Strasbourg', nouvelle_commune: '44109' });
  assert.equal(right.status, 200, right.text);
  assert.equal(right.json.values.date.value, '2026-11-14');
  assert.equal((await api('POST', `${path}/submit`, hers, { revision: right.json.revision - 1 })).status, 409);
  const sentOnce = await api('POST', `${path}/submit`, hers, { revision: right.json.revision });
  const sentTwice = await api('POST', `${path}/submit`, hers);
  assert.equal(sentOnce.status, 200, sentOnce.text);
  assert.equal(sentTwice.json.number, sentOnce.json.number);
  const deposit = await api('GET', `${path}/deposit`, hers);
  assert.equal(createHash('sha256').update(deposit.bytes).digest('hex'), sentOnce.json.digest);
  assert.equal((await api('GET', '/api/agent/dossiers', hers)).status, 403, 'a citizen is no agent');

  const { access_token: his } = await tokensFor(world, world.agent, { client: world.town, scope: 'openid given_name usual_name uid siret email', extra: { realm: 'agents' } });
  const list = await api('GET', `/api/agent/dossiers?q=${sentOnce.json.number}`, his);
  assert.equal(list.status, 200, list.text);
  assert.deepEqual(list.json.items.map((x) => x.id), [id]);
  const noReason = await api('POST', `/api/agent/dossiers/${id}/decision`, his, { outcome: 'refuse' });
  assert.deepEqual(Object.keys(noReason.json.errors), ['reason']);
  const decided = await api('POST', `/api/agent/dossiers/${id}/decision`, his, { outcome: 'accept' });
  assert.equal(decided.status, 200, decided.text);
  assert.equal((await api('POST', `/api/agent/dossiers/${id}/decision`, his, { outcome: 'accept' })).json.code, 'PRC-409-DECIDED');
  assert.equal((await api('GET', path, hers)).json.decision.accepted, true);
  for (const [body, status] of [['{"a":1,"a":2}', 400], ['[]', 400], ['{', 400], ['{"a":"\\u0000"}', 400]]) {
    const r = await send(`${world.townUrl}/api/dossiers`, { method: 'POST', headers: { authorization: `Bearer ${hers}`, 'content-type': 'application/json' }, body });
    assert.equal(r.status, status, body);
    assert.match(r.headers['content-type'], /^application\/problem\+json/);
  }
});

test('[P5.2.3] her account by the API: who used her data, with its proof; a consent withdrawn', { timeout: 240000 }, async () => {
  const scope = 'openid profile birth famille_foyer adresse_fiscale';
  const { access_token: towns } = await tokensFor(world, world.citizen, { client: world.town, scope });
  await send(`${new URL(world.gateway).origin}/gw/famille/v1/foyer`, { headers: { authorization: `Bearer ${towns}` } });
  const client = platform.json(['client', 'add', '--name', 'Mon compte de poche', '--redirect-uri', 'http://localhost:3000/callback', '--scopes', 'openid account']);
  client.redirect_uris = ['http://localhost:3000/callback'];
  const { access_token: token } = await tokensFor(world, world.citizen, { client, scope: 'openid account' });
  const api = async (method, path) => { const r = await send(`${platform.base}/api/account${path}`, { method, headers: { authorization: `Bearer ${token}` } }); assert.equal(r.status, 200, `${path}: ${r.text}`); return r; };
  assert.ok((await api('GET', '')).json.dossiers.length > 0);
  const use = await until('the call is in her account', async () => (await api('GET', '/uses')).json.items.find((u) => u.kind === 'exchange.decision'));
  assert.equal(use.salt, undefined);
  for (const member of ['consumer', 'fields', 'purpose', 'legal_basis', 'at', 'provider']) assert.ok(use[member], member);
  const one = await until('its proof', async () => { const v = (await api('GET', `/uses/${use.entry}`)).json; return v.proof.pending ? null : v; });
  assert.equal(one.proof.checked, true);
  assert.match((await api('GET', `/uses/${use.entry}/proof`)).text, /^c2sp\.org\/tlog-proof@v1/);
  const consent = (await api('GET', '/consents')).json.items.find((c) => c.state === 'active');
  assert.ok((await api('POST', `/consents/${consent.id}/withdraw`)).json.withdrawn_at > 0);
  assert.equal((await api('GET', '/consents')).json.items.find((c) => c.id === consent.id).state, 'withdrawn');
  const theirs = await send(`${platform.base}/api/account/consents/${consent.id}/withdraw`, { method: 'POST', headers: { authorization: `Bearer ${(await tokensFor(world, other(), { client, scope: 'openid account' })).access_token}` } });
  assert.equal(theirs.status, 404, 'the consent of another');
  assert.equal((await send(`${world.townUrl}/api/dossiers`, { headers: { authorization: `Bearer ${token}` } })).status, 403, 'and the town’s API is not this client’s');
});

test('[2.1.1.e] search in plain words: accents, plurals, slips, both languages', { timeout: 60000 }, async () => {
  const found = async (q) => (await send(`${platform.base}/api/search?q=${encodeURIComponent(q)}`)).json.items.map((x) => x.id);
  for (const q of ['je déménage', 'demenaje', 'nouvelles adresses', 'moving hous', 'chagement d’adresse', '']) assert.ok((await found(q)).includes('changement-adresse'), q);
  for (const q of ['zzzz', 'carte grise', '%', '<script>']) assert.deepEqual(await found(q), [], q);
  const page = await send(`${platform.base}/?q=${encodeURIComponent('<b>"demenage')}`, { headers: { accept: 'text/html' } });
  assert.ok(!page.text.includes('<b>'), 'what was typed is shown as text');
  assert.ok(words(page.text).includes('<b>"demenage'));
});
