// What protects an account: mails about new devices, blocks, sessions ended from afar, reports of fraud,
// the history of sign-ins, throttling, suspicious sign-ins. Real mails to a real relay, a real client.
import { after, before, beforeEach, test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, until } from '../lib/platform.mjs';
import { Client, links, send, words } from '../lib/http.mjs';
import { SmtpSink } from '../lib/smtp.mjs';
import { Upstream, people } from '../lib/upstream.mjs';
import { text } from '../lib/text.mjs';

const b64 = (v) => v.toString('base64url');
const decode = (jwt) => JSON.parse(Buffer.from(jwt.split('.')[1], 'base64url'));
const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0';
const SAFARI = 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Mobile/15E148 Safari/604.1';
let platform, un, deux, client, sink, listener, notices;

// A browser on a device, somewhere on the network (the platform trusts the test as its proxy).
class Browser extends Client {
  constructor({ agent = FIREFOX, from = '203.0.113.7', ...rest } = {}) { super(rest); this.agent = agent; this.from = from; }
  once(url, options = {}) {
    const ours = url.startsWith(platform.base);
    return super.once(url, { ...options, headers: { 'user-agent': this.agent, ...(ours ? { 'x-forwarded-for': this.from } : {}), ...(options.headers ?? {}) } });
  }
}
let nobody = 0;
const somebody = (more = {}) => { nobody++; return { ...people.camille, sub: `p-${nobody}`, birthdate: `19${50 + nobody}-04-12`, email: `p${nobody}@ville.example`, ...more }; };

function addProvider(u, id, conf = {}) {
  const file = join(platform.folder, `${id}.json`);
  writeFileSync(file, JSON.stringify(conf));
  platform.must(['provider', 'add', '--id', id, '--name', `Compte ${id}`, '--name-en', `Account ${id}`, '--issuer', u.issuer, '--client-id', u.client, '--secret-stdin', '--conf', file], { input: `${u.secret}\n` });
}

before(async () => {
  sink = await SmtpSink.start();
  notices = [];
  listener = createServer((rq, rs) => { let b = ''; rq.on('data', (d) => { b += d; }); rq.on('end', () => { notices.push(decode(new URLSearchParams(b).get('logout_token'))); rs.end(); }); });
  await new Promise((done) => listener.listen(0, '127.0.0.1', done));
  platform = await Platform.start({ demo: false, args: ['--allow_inside=yes', '--own_accounts=yes', '--trusted_proxies=127.0.0.1,::1'], env: { SOCLE_MAIL_RELAY: sink.url, SOCLE_MAIL_FROM: 'socle@etat.example' } });
  un = await Upstream.start(platform.ownPort(0));
  deux = await Upstream.start(platform.ownPort(1), { alg: 'RS256', signedUserinfo: true });
  addProvider(un, 'un');
  addProvider(deux, 'deux', { auth: 'post' });
  client = platform.json(['client', 'add', '--name', 'Service d’essai', '--redirect-uri', 'http://localhost:3000/cb', '--scopes', 'openid account email offline_access', '--backchannel-logout-uri', `http://127.0.0.1:${listener.address().port}/bcl`]);
}, { timeout: 120000 });
beforeEach(() => { for (const u of [un, deux]) Object.assign(u, { break: {}, acr: null }); });
after(async () => {
  await un?.stop(); await deux?.stop(); await platform?.destroy(); await sink?.stop();
  await new Promise((done) => listener.close(done));
}, { timeout: 60000 });

const h1 = (p) => words(/<h1\b[^>]*>([\s\S]*?)<\/h1>/.exec(p.page.text)?.[1] ?? '');
const said = (key, lang = 'fr', module = 'identity') => text(module, key, lang).replace(/\s+/g, ' ');
const code = (p) => /<code>([A-Z]{3}-[0-9]+[A-Z-]*)<\/code>/.exec(p.page?.text ?? '')?.[1];

// Signs in at the client (or, with url, anywhere on the portal). Returns tokens, or null at another page.
async function signIn(person, who, { provider = 'un', extra = {}, url } = {}) {
  const u = provider === 'un' ? un : deux;
  u.person = who;
  const verifier = b64(randomBytes(32)), q = { response_type: 'code', client_id: client.client_id, redirect_uri: 'http://localhost:3000/cb', scope: 'openid account email', acr_values: 'eidas1', state: b64(randomBytes(16)), nonce: b64(randomBytes(18)), code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256', ...extra };
  person.stopAt = (a) => a.startsWith('http://localhost:3000/');
  await person.go(url ?? `${platform.base}/api/v2/authorize?${new URLSearchParams(q)}`);
  for (let i = 0; i < 8 && !person.stopped; i++) {
    if (h1(person) === said('choose.title', person.lang)) await person.follow(new RegExp(`/connexion/vers/${provider}\\b`));
    else if (h1(person) === said('info.title', person.lang)) await person.press(text('identity', 'info.continue', person.lang));
    else if (h1(person) === said('consent.title', person.lang)) await person.press(text('identity', 'consent.agree', person.lang));
    else return null;
  }
  const at = new URL(person.stopped);
  person.stopped = null;
  assert.ok(at.searchParams.get('code'), at.href);
  const r = await send(`${platform.base}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')}` }, body: new URLSearchParams({ grant_type: 'authorization_code', code: at.searchParams.get('code'), redirect_uri: q.redirect_uri, code_verifier: verifier }).toString() });
  assert.equal(r.status, 200, r.text);
  return { ...r.json, claims: decode(r.json.id_token) };
}
const portal = (person, who, options = {}) => signIn(person, who, { url: `${platform.base}/account/security`, ...options });
const api = (t, path, body) => send(`${platform.base}${path}`, { method: body ? 'POST' : 'GET', headers: { authorization: `Bearer ${t.access_token}`, ...(body ? { 'content-type': 'application/json' } : {}) }, ...(body ? { body: JSON.stringify(body) } : {}) });
const isIn = async (person) => { await person.go(`${platform.base}/account/security`); return h1(person) === said('home.title', person.lang, 'safety'); };
const mails = (who) => sink.to(who.email);

test('a new device is told by mail, in the person’s language; a known one is not', async () => {
  const who = somebody(), first = new Browser();
  await signIn(first, who);
  await signIn(first, who, { extra: { prompt: 'login' } });
  const phone = new Browser({ agent: SAFARI, from: '198.51.100.23', lang: 'en' });
  await signIn(phone, who);
  const [m] = await until('the mail', () => mails(who).length && mails(who));
  assert.equal(m.subject, 'Sign-in from a new device');
  for (const part of [/Service: Service d’essai/, /Signed in with: Account un/, /Device: Safari on iPhone/, /Network: 198\.51\.x\.x/, /When: \d+ \w+ \d{4} at/, /\/securite\/alerte\?j=/]) assert.match(m.text, part);
  assert.ok(!m.text.includes('198.51.100.23'), 'no whole address');
  await signIn(phone, who, { extra: { prompt: 'login' } });
  await signIn(new Browser({ agent: 'curl/8' }), who);
  await until('the second mail', () => mails(who).length === 2);
  assert.equal(mails(who)[1].subject, 'Connexion depuis un nouvel appareil');
  assert.equal(mails(who).length, 2, 'the phone is known by now');
});

test('devices: trusted, no longer, forgotten; somebody else’s are out of reach', async () => {
  const who = somebody(), b = new Browser(), other = new Browser();
  const t = await signIn(b, who);
  const [d] = (await api(t, '/api/account/security')).json.devices;
  assert.deepEqual([d.label.fr, d.network, d.trusted], ['Firefox sur Windows', '203.0.x.x', false]);
  await portal(b, who);
  await b.press(/^Faire confiance/);
  assert.equal((await api(t, '/api/account/security')).json.devices[0].trusted, true);
  const stranger = await signIn(other, somebody());
  assert.equal((await api(stranger, `/api/account/devices/${d.id}`, { action: 'forget' })).status, 404);
  assert.equal((await api(t, `/api/account/devices/${d.id}`, { action: 'forget' })).status, 200);
  assert.deepEqual((await api(t, '/api/account/security')).json.devices, []);
});

test('sessions: listed, ended one by one and all at once; services are told, the other goes on', async () => {
  const who = somebody(), here = new Browser(), there = new Browser({ agent: SAFARI }), third = new Browser();
  const t = await signIn(here, who);
  await signIn(there, who);
  await signIn(third, who);
  assert.equal((await api(t, '/api/account/security')).json.sessions.length, 3);
  await portal(here, who);
  assert.match(here.text, /Safari sur iPhone/);
  notices.length = 0;
  await here.press(/^Déconnecter – Safari/);
  assert.equal(await isIn(there), false);
  assert.equal(await isIn(third), true);
  const n = await until('back-channel logout', () => notices.find((x) => x.sub === t.claims.sub));
  assert.equal(n.sub, t.claims.sub);
  await isIn(here);
  await here.press(/^Déconnecter toutes/);
  assert.equal(await isIn(third), false);
  assert.equal(await isIn(here), true);
  const stranger = await signIn(new Browser(), somebody());
  const [s] = (await api(t, '/api/account/security')).json.sessions;
  assert.equal((await api(stranger, `/api/account/sessions/${s.id}/end`, {})).status, 404);
});

const ACCESS = { extra: { scope: 'openid account email offline_access' } };
// Does this lasting access still read? It turns, so it is kept.
async function lasts(t) {
  const r = await send(`${platform.base}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')}` }, body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: t.refresh_token }).toString() });
  if (r.status === 200) t.refresh_token = r.json.refresh_token;
  else assert.equal(r.json.error, 'invalid_grant', r.text);
  return r.status === 200;
}

test('lasting access ends with the sessions it was given in, where she asks for that; other access goes on', async () => {
  const who = somebody(), [here, there, third, fourth] = [1, 2, 3, 4].map(() => new Browser());
  const mine = await signIn(here, who, ACCESS), theirs = [];
  for (const [b, provider] of [[there, 'un'], [third, 'un'], [fourth, 'deux']]) theirs.push(await signIn(b, who, { ...ACCESS, provider }));
  for (const t of [mine, ...theirs]) assert.equal(await lasts(t), true);
  const sessions = (await api(mine, '/api/account/security')).json.sessions;
  const first = sessions.filter((s) => !s.here).sort((a, b) => a.at - b.at)[1]; // there's: the second that began
  assert.equal((await api(mine, `/api/account/sessions/${first.id}/end`, {})).status, 200);
  assert.equal(await lasts(theirs[0]), true, 'not asked: it goes on without its session');
  // "All others" takes the access of those that it ends, and no more.
  await portal(here, who);
  await here.press(/^Déconnecter toutes/);
  assert.deepEqual(await Promise.all(theirs.map(lasts)), [true, false, false]);
  assert.equal(await lasts(mine), true);
  // One session, and its access with it.
  const again = new Browser({ agent: SAFARI }), t = await signIn(again, who, ACCESS);
  await isIn(here);
  await here.press(/^Déconnecter – Safari/, { access: '1' });
  assert.equal(await isIn(again), false);
  assert.equal(await lasts(t), false);
  assert.equal(await lasts(mine), true);
});

test('blocking a provider ends the lasting access given through it, and only that', async () => {
  const who = somebody(), a = new Browser(), b = new Browser();
  const [un1, deux1] = [await signIn(a, who, ACCESS), await signIn(b, who, { ...ACCESS, provider: 'deux' })];
  const t = await signIn(b, who, { ...ACCESS, provider: 'deux' });
  assert.equal((await api(t, '/api/account/blocks', { provider: 'un' })).status, 200);
  assert.deepEqual(await Promise.all([un1, deux1, t].map(lasts)), [false, true, true]);
  const last = await signIn(b, who, { ...ACCESS, provider: 'deux' });
  assert.equal((await api(last, '/api/account/blocks', {})).status, 200, 'the whole account');
  assert.deepEqual(await Promise.all([deux1, t, last].map(lasts)), [false, false, false]);
});

test('blocked from the mail’s link: session, token and provider at once; lifted by another strong sign-in only', async () => {
  const who = somebody(), mine = new Browser(), thief = new Browser({ agent: 'curl/8', from: '192.0.2.9' });
  await signIn(mine, who, { provider: 'deux' });
  const stolen = await signIn(thief, who);
  const [m] = await until('the mail', () => mails(who).length && mails(who));
  const link = /(http\S+\/securite\/alerte\?j=\S+)/.exec(m.text)[1];
  notices.length = 0;
  const reader = new Browser();
  await reader.go(link);
  await reader.press(/^Bloquer Compte un/);
  assert.equal(h1(reader), said('done.provider.title', 'fr', 'safety'));
  assert.equal((await api(stolen, '/api/account/security')).status, 401, 'the token');
  assert.equal((await send(`${platform.base}/api/v2/userinfo`, { headers: { authorization: `Bearer ${stolen.access_token}` } })).status, 401);
  assert.equal(await isIn(thief), false, 'the session');
  await until('the service is told', () => notices.length);
  assert.equal(await signIn(thief, who), null);
  assert.equal(code(thief), 'IDT-403-BLOCKED-PROVIDER');
  assert.equal(await isIn(mine), true, 'what came by the other provider goes on');
  const t = await signIn(mine, who, { provider: 'deux' });
  await isIn(mine);
  await mine.press(/^Débloquer/);
  assert.equal(h1(mine), said('stronger.title', 'fr', 'safety'), 'eidas1 is not enough');
  assert.equal((await api(t, '/api/account/blocks/lift', { provider: 'un' })).json.code, 'SAF-403-STRONG');
  deux.acr = 'eidas2';
  await mine.follow(said('stronger.button', 'fr', 'safety'));
  await mine.follow(/\/connexion\/vers\/deux\b/);
  await mine.press(/^Débloquer/);
  assert.match(mine.text, /Le blocage est levé/);
  assert.ok(await signIn(new Browser(), who), 'and the provider is open again');
});

test('the whole account: nobody comes in, until a strong sign-in through another provider, or an operator', async () => {
  const who = somebody(), mine = new Browser();
  const t = await signIn(mine, who);
  await portal(mine, who);
  await mine.follow(said('blocks.account', 'fr', 'safety'));
  await mine.press(said('block.account.button', 'fr', 'safety'));
  assert.equal(h1(mine), said('done.account.title', 'fr', 'safety'));
  assert.equal((await api(t, '/api/account/security')).status, 401);
  for (const provider of ['un', 'deux']) {
    const b = new Browser();
    assert.equal(await signIn(b, who, { provider }), null);
    assert.equal(code(b), 'IDT-403-BLOCKED', provider);
  }
  un.acr = deux.acr = 'eidas2';
  const again = new Browser();
  await signIn(again, who, { provider: 'un', url: `${platform.base}/connexion?level=eidas2&return=/account/security/unblock` });
  assert.equal(code(again), 'IDT-403-BLOCKED', 'the provider in question cannot');
  await again.follow(said('error.unblock'));
  deux.person = who;
  await again.follow(/\/connexion\/vers\/deux\b/);
  assert.equal(h1(again), said('home.title', 'fr', 'safety'));
  Object.assign(un, { acr: null });
  assert.ok(await signIn(new Browser(), who));
  const id = platform.json(['person', 'list']).items[0].id;
  const people0 = platform.json(['person', 'list']).items.map((p) => p.id);
  assert.ok(people0.includes(id));
  platform.must(['person', 'block', id]);
  platform.must(['person', 'unblock', id]);
  assert.equal(platform.command(['person', 'unblock', id]).code, 1, 'nothing to lift');
});

test('history: each sign-in with its service, means, device and proof; six months first', async () => {
  const who = somebody(), b = new Browser({ agent: SAFARI });
  const t = await signIn(b, who);
  await portal(b, who);
  const r = await until('it is in the journal’s index', async () => { const x = await api(t, '/api/account/sign-ins'); return x.json.items?.length >= 1 && x; });
  const s = r.json.items.at(-1);
  assert.deepEqual([s.consumer.fr, s.provider.fr, s.acr, s.device.en, s.network], ['Service d’essai', 'Compte un', 'eidas1', 'Safari on iPhone', '203.0.x.x']);
  assert.match(s.session, /^[0-9a-f]{32}$/);
  await b.go(`${platform.base}/account/sign-ins`);
  assert.match(b.text, /Service d’essai.*Safari sur iPhone/s);
  const proof = links(b.page.text).find((l) => l.href.startsWith('/account/uses/'));
  const p = await until('its proof', async () => { await b.go(`${platform.base}${proof.href}`); return b.text.includes(text('account', 'proof.ok.title', 'fr')); });
  assert.ok(p);
});

test('a report of fraud carries the ids, reaches operators, and is answered by mail', async () => {
  const who = somebody(), b = new Browser();
  const t = await signIn(b, who);
  await portal(b, who);
  await until('history', async () => { await b.go(`${platform.base}/account/sign-ins`); return /Ce n’était pas moi/.test(b.text); });
  await b.follow(/^Ce n’était pas moi – Service/);
  await b.press(said('report.button', 'fr', 'safety'), { words: '' });
  assert.equal(b.page.status, 422);
  await b.press(said('report.button', 'fr', 'safety'), { words: 'Je dormais. <b>' });
  const id = /<code>([0-9A-Z]{26})<\/code>/.exec(b.page.text)[1];
  const [m] = await until('acknowledged', () => mails(who).length && mails(who));
  assert.ok(m.text.includes(id));
  const found = platform.json(['person', 'reports']).items.find((x) => x.id === id);
  assert.deepEqual([found.words, found.service, found.state], ['Je dormais. <b>', 'Service d’essai', 'open']);
  const signIns = (await api(t, '/api/account/sign-ins')).json.items;
  assert.ok(signIns.some((s) => s.entry === found.sign_in && s.session === found.session), 'the entry and the session');
  assert.deepEqual((await api(t, '/api/account/security')).json.reports.map((x) => x.id), [id]);
  const added = platform.json(['user', 'add', '--login', 'chef', '--name', 'Chef']);
  const operator = new Browser();
  await operator.go(`${platform.base}/operateur/signalements`);
  await operator.press(text('identity', 'operator.sign_in', 'fr'), { login: 'chef', password: added.password });
  assert.match(operator.text, /Je dormais\. <b>/);
  await operator.press(new RegExp(`^Répondre et clore – ${id}`), { answer: 'C’était votre tablette.' });
  const answer = await until('the answer', () => mails(who).find((x) => /tablette/.test(x.text)));
  assert.ok(answer.text.includes(id));
  assert.equal((await api(t, '/api/account/reports', { words: '' })).json.code, 'SAF-400-REPORT');
});

test('a suspicious sign-in is asked for more: the provider says so, or habits do', async () => {
  const who = somebody(), b = new Browser();
  await signIn(b, who);
  const strange = new Browser({ agent: 'curl/8', from: '192.0.2.50' });
  assert.equal(await signIn(strange, { ...who, 'x-suspicious': '1' }), null);
  assert.equal(code(strange), 'IDT-403-SUSPICIOUS');
  un.acr = null;
  strange.stopAt = (a) => a.startsWith('http://localhost:3000/');
  await strange.follow(said('error.choose_again'));
  await strange.follow(/\/connexion\/vers\/un\b/);
  assert.equal(un.last('/authorize').q.acr_values, 'eidas2', 'more is asked of the provider');
  // The same by a header, of a plain answer and of a signed one; 0 is no suspicion.
  for (const [provider, u] of [['un', un], ['deux', deux]]) {
    const said = (v) => { u.break['/userinfo'] = (rq, rs, { json }) => { rs.setHeader('X-Suspicious', v); return u.userinfo(rq, json); }; };
    const one = somebody(), c = new Browser();
    said('1');
    assert.equal(await signIn(c, one, { provider }), null);
    assert.equal(code(c), 'IDT-403-SUSPICIOUS', provider);
    u.acr = 'eidas2';
    assert.ok(await signIn(new Browser(), one, { provider }), 'a strong one passes all the same');
    u.acr = null;
    said('0');
    assert.ok(await signIn(new Browser(), one, { provider }));
    u.break = {};
  }
  // Five failures from a network, then somebody from there whom it does not know.
  const far = '192.88.1.9';
  for (let i = 0; i < 6; i++) { const f = new Browser({ from: far }); un.break['/authorize'] = (rq, rs, { q }) => { rs.writeHead(303, { location: `${q.redirect_uri}?error=access_denied&state=${q.state}&iss=${encodeURIComponent(un.issuer)}` }); rs.end(); }; await signIn(f, who); }
  un.break = {};
  const guess = new Browser({ agent: SAFARI, from: far });
  assert.equal(await signIn(guess, who), null);
  assert.equal(code(guess), 'IDT-403-SUSPICIOUS');
  assert.ok(await signIn(new Browser({ from: far }), somebody()), 'who has no habits yet comes in');
});

test('throttling: pages by address, secrets by client, operators by login; who waits is told how long', async () => {
  const flood = async (from) => { const r = await Promise.all(Array.from({ length: 50 }, () => send(`${platform.base}/connexion?return=/account`, { headers: { accept: 'text/html', 'x-forwarded-for': from } }))); return r.find((x) => x.status === 429); };
  let refused;
  for (let i = 0; i < 20 && !refused; i++) refused = await flood('203.0.113.99');
  assert.ok(refused, '600 a minute');
  assert.match(refused.headers['retry-after'], /^[1-9]\d*$/);
  assert.match(words(refused.text), /Trop de demandes/);
  assert.equal((await send(`${platform.base}/connexion`, { headers: { accept: 'text/html', 'x-forwarded-for': '203.0.113.100' } })).status, 303, 'the neighbour goes on');
  // A login that exists and one that does not: the same answers, the same pause.
  platform.must(['user', 'add', '--login', 'alice', '--name', 'Alice']);
  const tries = async (login) => {
    const out = [];
    for (let i = 0; i < 6; i++) { const p = new Browser(); await p.go(`${platform.base}/connexion/operateur`); await p.press(text('identity', 'operator.sign_in', 'fr'), { login, password: 'mauvais mot' }); out.push([p.page.status, Boolean(p.page.headers['retry-after']), h1(p)].join(' ')); }
    return out;
  };
  const known = await tries('alice');
  assert.deepEqual(await tries('personne'), known);
  assert.match(known[5], /^429 true/);
  const bad = () => send(`${platform.base}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${Buffer.from(`${client.client_id}:faux`).toString('base64')}`, 'x-forwarded-for': '203.0.113.55' }, body: 'grant_type=client_credentials' });
  let last;
  for (let i = 0; i < 22; i++) last = await bad();
  assert.equal(last.status, 429);
  assert.match(last.headers['retry-after'], /^[1-9]\d*$/);
});

test('one network address cannot try account after account, and its neighbour goes on', async () => {
  const from = '203.0.113.150', T = (key) => text('accounts', key, 'fr');
  const forgot = async (p) => { await p.go(`${platform.base}/connexion?return=/compte`); await p.follow(/Compte Socle/); await p.follow(T('signin.forgot')); };
  const ask = async (p, i) => { await forgot(p); await p.press(T('forgot.button'), { email: `inconnue${i}@exemple.fr` }); return p.page; };
  const p = new Browser({ from });
  let last;
  for (let i = 0; i < 110 && last?.status !== 429; i++) last = await ask(p, i);
  assert.equal(last.status, 429);
  assert.equal(code(p), 'ACN-429-TRIES');
  assert.match(last.headers['retry-after'], /^[1-9]\d*$/);
  assert.equal((await ask(new Browser({ from: '203.0.113.151' }), 200)).status, 200);
});

test('a client that asks: she agrees or nothing passes; the agreement is kept, shown, withdrawn', async () => {
  const asking = platform.json(['client', 'add', '--name', 'Service privé', '--redirect-uri', 'http://localhost:3000/cb', '--scopes', 'openid account email', '--consent', 'ask']);
  assert.equal(platform.json(['client', 'show', asking.client_id]).consent, 'ask');
  const [plain, who, b] = [client, somebody(), new Browser()];
  client = asking;
  try {
    b.stopAt = (a) => a.startsWith('http://localhost:3000/');
    un.person = who;
    const url = () => `${platform.base}/api/v2/authorize?${new URLSearchParams({ response_type: 'code', client_id: asking.client_id, redirect_uri: 'http://localhost:3000/cb', scope: 'openid account email', acr_values: 'eidas1', state: b64(randomBytes(16)), nonce: b64(randomBytes(18)), code_challenge: b64(randomBytes(32)), code_challenge_method: 'S256' })}`;
    await b.go(url());
    await b.follow(/\/connexion\/vers\/un\b/);
    assert.equal(h1(b), said('consent.title'));
    await b.press(text('identity', 'consent.refuse', 'fr'));
    assert.equal(new URL(b.stopped).searchParams.get('error'), 'access_denied');
    b.stopped = null;
    const t = await signIn(b, who);
    await b.go(url());
    assert.ok(new URL(b.stopped).searchParams.get('code'), 'not asked twice');
    b.stopped = null;
    assert.deepEqual((await api(t, '/api/account/access')).json.agreements.map((a) => a.client_id), [asking.client_id]);
    await b.go(`${platform.base}/account/access`);
    await b.press(/^Retirer mon accord – Service privé/);
    assert.deepEqual((await api(t, '/api/account/access')).json.agreements, []);
    await b.go(url());
    assert.equal(h1(b), said('consent.title'), 'asked again');
  } finally { client = plain; }
});

test('erasing a person ends her sessions everywhere, and her services are told', async () => {
  const who = somebody(), b = new Browser();
  const t = await signIn(b, who);
  await portal(b, who);
  notices.length = 0;
  const id = platform.json(['person', 'list']).items[0].id;
  platform.must(['person', 'erase', id, '--yes']);
  const n = await until('told', () => notices.find((x) => x.sub === t.claims.sub));
  assert.equal(n.sub, t.claims.sub);
  assert.equal(await isIn(b), false);
});

test('the end of a session’s whole life is told to its services; idleness is no sign-out', async () => {
  const who = somebody(), b = new Browser();
  const t = await signIn(b, who);
  notices.length = 0;
  const told = () => notices.find((x) => x.sub === t.claims.sub);
  await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(45 * 60 * 1000) } });
  await new Promise((done) => setTimeout(done, 3000));
  assert.equal(told(), undefined, 'she may be writing at the service');
  await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(13 * 3600 * 1000) } });
  const n = await until('told', told);
  assert.ok(n.events['http://schemas.openid.net/event/backchannel-logout']);
});
