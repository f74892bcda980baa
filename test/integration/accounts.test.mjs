// Accounts of the platform's own: opened, signed in with, lost and found again, made stronger, and
// ended; and people who try what is not theirs.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server';
import { Platform, until } from '../lib/platform.mjs';
import { Client, decode, forms, send, words } from '../lib/http.mjs';
import { SmtpSink } from '../lib/smtp.mjs';
import { text } from '../lib/text.mjs';
import { World, walkSignIn } from '../lib/story.mjs';
import { Upstream, people } from '../lib/upstream.mjs';
import { Authenticator, b64, maker } from '../lib/authenticator.mjs';

const T = (key, lang = 'fr') => text('accounts', key, lang);
const PASSWORD = 'cheval agrafe pile correcte';
let platform, world, client, trusted, sink, anchors;

before(async () => {
  trusted = maker();
  anchors = mkdtempSync(join(tmpdir(), 'anchors-'));
  writeFileSync(join(anchors, 'essai.pem'), trusted.pem);
  sink = await SmtpSink.start();
  platform = await Platform.start({ args: [`--passkey-anchors=${anchors}`, `--mail-relay=${sink.url}`, '--mail-from=socle@essai.example'] });
  world = new World(platform);
  client = platform.json(['client', 'add', '--name', 'Service d’essai', '--redirect-uri', 'http://localhost:3000/cb']);
}, { timeout: 180000 });
after(async () => {
  await platform?.destroy();
  await sink?.stop();
  rmSync(anchors, { recursive: true, force: true });
}, { timeout: 60000 });

// ---- steps ----------------------------------------------------------------------------------------
const h1 = (p) => words(/<h1\b[^>]*>([\s\S]*?)<\/h1>/.exec(p.page.text)?.[1] ?? '');
const at = (p, key) => h1(p) === words(T(key, p.lang));
const codeOf = (p) => /<code>([A-Z]{3}-[0-9]{3}-[A-Z]+)<\/code>/.exec(p.page.text)?.[1];
// The first letter to an address that came since `from` were there, and that says something.
const letterTo = (address, { from = 0, says = /code pour[^\d]*\d{8}/ } = {}) => until(`a letter to ${address}`, () => sink.mails.slice(from).find((m) => m.to.some((t) => t.includes(address)) && says.test(m.text)), { timeoutMs: 20000 });
const codeIn = (mail) => /\b(\d{8})\b/.exec(mail.text)[1];
let n = 0;
const address = () => `essai${++n}.${randomBytes(4).toString('hex')}@exemple.fr`;

// At a service that asks for a level: on the page of the own account.
async function arrive(p, { acr = 'eidas1', scope = 'openid email', k = client } = {}) {
  p.k = k;
  const verifier = b64(randomBytes(32));
  const url = new URL(`${platform.base}/api/v2/authorize`);
  const q = { response_type: 'code', client_id: k.client_id, redirect_uri: 'http://localhost:3000/cb', scope, acr_values: acr, state: 's'.repeat(22), nonce: b64(randomBytes(18)), code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' };
  for (const [k, v] of Object.entries(q)) url.searchParams.set(k, v);
  p.verifier = verifier;
  p.stopAt = (u) => u.startsWith('http://localhost:3000/');
  await p.go(url.href);
  if (!p.stopped && at2(p, 'choose.title')) await p.follow(/Compte Socle|Socle account/);
  return p;
}
const at2 = (p, key) => h1(p) === words(text('identity', key, p.lang));

// Through the information page, to the service: the ID token and what userinfo says.
async function received(p) {
  if (!p.stopped && at2(p, 'info.title')) {
    const next = text('identity', 'info.continue', p.lang);
    if (forms(p.page.text).some((f) => f.buttons.some((b) => b.text === next))) await p.press(next); else await p.follow(next);
  }
  assert.ok(p.stopped, `at the service, not on "${h1(p)}": ${p.text.slice(0, 600)}`);
  const code = new URL(p.stopped).searchParams.get('code');
  assert.ok(code, p.stopped);
  p.stopped = null;
  const auth = `Basic ${Buffer.from(`${p.k.client_id}:${p.k.client_secret}`).toString('base64')}`;
  const r = await send(`${platform.base}/api/v2/token`, { method: 'POST', headers: { authorization: auth, 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: 'http://localhost:3000/cb', code_verifier: p.verifier }).toString() });
  assert.equal(r.status, 200, r.text);
  const id = JSON.parse(Buffer.from(r.json.id_token.split('.')[1], 'base64url'));
  const info = await send(`${platform.base}/api/v2/userinfo`, { headers: { authorization: `Bearer ${r.json.access_token}`, accept: 'application/json' } });
  return { id, info: info.json, token: r.json.access_token };
}

async function open(email, { p = new Client(), password = PASSWORD, acr } = {}) {
  await arrive(p, { acr });
  await p.follow(T('signin.new.button'));
  const from = sink.mails.length;
  await p.press(T('register.button'), { email, password });
  assert.ok(at(p, 'confirm.title'), p.text.slice(0, 400));
  await p.press(T('confirm.button'), { code: codeIn(await letterTo(email, { from, says: /\b\d{8}\b/ })) });
  return p;
}

async function signIn(email, { p = new Client(), password = PASSWORD, ...where } = {}) {
  await arrive(p, where);
  if (at(p, 'signin.title')) await p.press(T('signin.button'), { email, password });
  return p;
}

async function own(p) {
  p.stopAt = undefined;
  await p.go(`${platform.base}/compte`);
  assert.ok(at(p, 'home.title'), p.text.slice(0, 400));
  return p;
}

// RFC 6238, by hand: a second implementation.
function totp(secret, step) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((x) => parseInt(x, 2)));
  const m = Buffer.alloc(8);
  m.writeBigUInt64BE(BigInt(step));
  const h = createHmac('sha1', key).update(m).digest();
  return String((h.readUInt32BE(h[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}
const step = () => Math.floor(Date.now() / 30000);

async function addTotp(p) {
  await own(p);
  await p.press(T('home.totp.add.button'), { current: PASSWORD, ...pick(p, '/compte/application') });
  const secret = /<code>([A-Z2-7]{32})<\/code>/.exec(p.page.text)[1];
  assert.match(p.page.text, /<path d="M\d+ \d+h\d+v1/, 'the drawing to take a picture of');
  await p.press(T('totp.button'), { code: totp(secret, step() - 1) });
  assert.ok(p.text.includes(words(T('done.totp'))), p.text.slice(0, 400));
  return secret;
}
// Several forms of the page have a button of the same name: the one with this action.
function pick(p, action) {
  const f = forms(p.page.text).find((x) => x.action === action);
  assert.ok(f, `a form to ${action}`);
  p.form = () => { delete p.form; return f; };
  return {};
}
const submit = (p, action, values) => { const f = (pick(p, action), p.form()); p.form = () => { delete p.form; return f; }; return p.press(f.buttons[0].text, values); };

const passkeyForm = (p, action) => {
  const m = [...p.page.text.matchAll(/<form\b([^>]*)data-passkey="(\w+)" data-options="([^"]*)"/g)].find((x) => x[1].includes(`action="${action}"`));
  assert.ok(m, `a passkey's form to ${action}: ${p.text.slice(0, 300)}`);
  return JSON.parse(decode(m[3]));
};
async function addKey(p, key, change) {
  await own(p);
  await submit(p, '/compte/cle', { current: PASSWORD });
  const options = passkeyForm(p, '/compte/cle/ajouter');
  const answer = key.create(options, platform.base, change);
  await submit(p, '/compte/cle/ajouter', { name: 'Clé d’essai', ...answer });
  return { options, answer };
}
async function useKey(p, key, change) {
  const options = passkeyForm(p, '/compte/connexion/cle');
  const answer = key.get(options, platform.base, change);
  await submit(p, '/compte/connexion/cle', answer);
  return { options, answer };
}

// ---- opening an account -----------------------------------------------------------------------------
test('[2.1.1.b] an account is opened with an address and a password, and signs in at the low level, without a civil identity', { timeout: 60000 }, async () => {
  const email = address();
  const first = await received(await open(email));
  assert.equal(first.id.acr, 'eidas1');
  assert.deepEqual(first.id.amr, ['pwd']);
  assert.equal(first.info.email, email);
  const again = await received(await signIn(email, { scope: 'openid email identite_pivot' }));
  assert.equal(again.id.sub, first.id.sub, 'the same person');
  assert.equal(again.info.given_name, undefined, 'nobody has seen her papers');
  const other = await received(await open(address()));
  assert.notEqual(other.id.sub, first.id.sub, 'two people without papers are two people');
});

test('a code of a letter is good once, for its own page, and cannot be guessed', { timeout: 60000 }, async () => {
  const email = address(), p = new Client();
  await arrive(p);
  await p.follow(T('signin.new.button'));
  await p.press(T('register.button'), { email, password: PASSWORD });
  for (let i = 0; i < 5; i++) {
    await p.press(T('confirm.button'), { code: '00000000' });
    assert.equal(p.page.status, 422, 'wrong');
  }
  await p.press(T('confirm.button'), { code: codeIn(await letterTo(email)) });
  assert.equal(p.page.status, 429, 'after five tries the right one does not help either');
  assert.equal(codeOf(p), 'ACN-429-TRIES');
});

test('nobody learns from a page whether an address has an account: same status, same words', { timeout: 60000 }, async () => {
  const known = world.own_accounts[0].email, unknown = address();
  const shape = (p, email) => p.text.replaceAll(email, 'ADRESSE').replace(/[0-9a-f]{32}/g, '');
  const seen = async (email, steps) => { const p = new Client(); await arrive(p); await steps(p, email); return { status: p.page.status, text: shape(p, email) }; };
  const ways = {
    password: (p, email) => p.press(T('signin.button'), { email, password: 'mauvais mot de passe' }),
    register: async (p, email) => { await p.follow(T('signin.new.button')); await p.press(T('register.button'), { email, password: PASSWORD }); },
    forgotten: async (p, email) => { await p.follow(T('signin.forgot')); await p.press(T('forgot.button'), { email }); },
    'wrong code': async (p, email) => { await p.follow(T('signin.forgot')); await p.press(T('forgot.button'), { email }); await p.press(T('reset.button'), { code: '12345678', password: PASSWORD }); },
  };
  for (const [name, steps] of Object.entries(ways)) assert.deepEqual(await seen(known, steps), await seen(unknown, steps), name);
  await letterTo(known, { says: /nouveau mot de passe/ }); // its holder learns
  await letterTo(known, { says: /en a déjà un/ });
  await letterTo(unknown, { says: /pas de compte/ });
});

test('passwords are tried slowly, whether the account exists or not; a new password by letter frees it', { timeout: 60000 }, async () => {
  const email = address();
  await open(email);
  for (const who of [email, address()]) {
    const p = new Client();
    await arrive(p);
    for (let i = 0; i < 5; i++) { await p.press(T('signin.button'), { email: who, password: `mauvais numéro ${i}` }); assert.equal(p.page.status, 401); }
    await p.press(T('signin.button'), { email: who, password: PASSWORD });
    assert.equal(p.page.status, 429, 'the sixth is not looked at');
  }
  const p = new Client(), fresh = 'nouvelle phrase bien longue';
  await arrive(p);
  await p.follow(T('signin.forgot'));
  await p.press(T('forgot.button'), { email });
  const mail = await letterTo(email, { says: /choisir/ });
  await p.press(T('reset.button'), { code: codeIn(mail), password: fresh });
  assert.ok(at(p, 'opened.title'), p.text.slice(0, 300));
  assert.equal((await signIn(email, { password: PASSWORD })).page?.status, 401, 'the old one is over');
  assert.equal((await received(await signIn(email, { password: fresh }))).id.acr, 'eidas1');
});

test('a weak password, a malformed address and an address with a name are refused with what to do', async () => {
  const p = new Client();
  await arrive(p);
  await p.follow(T('signin.new.button'));
  for (const [email, password, key] of [['pas une adresse', PASSWORD, 'fault.email'], ['Nom <a@b.fr>', PASSWORD, 'fault.email'], ['a@b.fr', 'court', 'fault.password_short'], ['longue.adresse@exemple.fr', 'longue.adresse', 'fault.password_weak'], ['a@b.fr', 'aaaaaaaaaaaaaaa', 'fault.password_weak']]) {
    await p.press(T('register.button'), { email, password });
    assert.equal(p.page.status, 422);
    assert.ok(p.text.includes(words(T(key))), `${key}: ${p.text.slice(0, 300)}`);
  }
});

// ---- the second factor --------------------------------------------------------------------------------
test('[P6.4.4] [M018] an application’s code completes the password; a code is good once; recovery codes work once each', { timeout: 90000 }, async () => {
  const email = address(), p = await open(email);
  await received(p);
  const secret = await addTotp(p);
  await own(p);
  await submit(p, '/compte/codes', { current: PASSWORD });
  const codes = /<pre>([\s\S]*?)<\/pre>/.exec(p.page.text)[1].trim().split(/\s+/);
  assert.equal(new Set(codes).size, 10);
  assert.match(p.page.text, /download="codes-de-secours.txt" href="data:text\/plain/);

  const q = await signIn(email);
  assert.ok(at(q, 'factor.title'));
  await q.press(T('factor.button'), { code: totp(secret, step() + 5) });
  assert.equal(q.page.status, 401, 'not of this time');
  const now = totp(secret, step());
  await q.press(T('factor.button'), { code: now });
  const got = await received(q);
  assert.deepEqual(got.id.amr, ['pwd', 'otp', 'mfa']);
  assert.equal(got.id.acr, 'eidas1', 'nobody has seen her papers: more factors do not make her known');

  const again = await signIn(email);
  await again.press(T('factor.button'), { code: now });
  assert.equal(again.page.status, 401, 'the same code again');
  await again.press(T('factor.button'), { code: codes[0].toLowerCase().replaceAll('-', ' ') });
  await received(again);
  const third = await signIn(email);
  await third.press(T('factor.button'), { code: codes[0] });
  assert.equal(third.page.status, 401, 'a recovery code is good once');
});

test('[2.1.3] a service that asks for more gets it from a verified account with a second factor, and never from a password', { timeout: 90000 }, async () => {
  const lucas = world.own_accounts.find((a) => a.verified), mail = { password: lucas.password };
  const low = await received(await signIn(lucas.email, { ...mail, scope: 'openid identite_pivot' }));
  assert.equal(low.id.acr, 'eidas1');
  assert.equal(low.info.family_name, 'N’DIAYE', 'her papers were seen');
  for (const acr of ['eidas2', 'eidas3']) {
    const p = await signIn(lucas.email, { ...mail, acr });
    assert.equal(p.page?.status, 403, acr);
    assert.ok(at(p, 'level.title'));
    assert.ok(p.text.includes(words(T('level.factor'))), 'and is told what is missing');
    assert.equal(p.stopped, null, 'nothing was passed on');
  }
});

// ---- the desk, and the high level ---------------------------------------------------------------------
const papers = { given_name: 'Awa Marie', family_name: 'TRAORÉ', birthdate: '1991-07-03', gender: 'female', birthcountry: '99100', birthplace: '44109', seen: 'yes' };
async function deskCode(person = papers) {
  const a = new Client();
  await a.go(`${world.townUrl}/agent/comptes`);
  await walkSignIn(a, world.agent);
  await a.go(`${world.townUrl}/agent`);
  await a.follow(T('nav.desk'));
  await a.press(T('desk.button'), { ...person, seen: [] });
  assert.equal(a.page.status, 422, 'without the papers there is no code');
  await a.press(T('desk.button'), { ...person, birthdate: '03/07/1991' });
  assert.ok(a.text.includes(words(T('desk.fault.birthdate'))));
  await a.press(T('desk.button'), person);
  return /<strong><code>([0-9A-Z-]{19})<\/code>/.exec(a.page.text)[1];
}

test('[2.1.3] [MW-M16] at a desk: papers are seen, a code is used once, and a key of a known maker reaches the high level', { timeout: 120000 }, async () => {
  const email = address(), p = await open(email);
  const before = await received(p);
  const desk = await deskCode();
  await own(p);
  await submit(p, '/compte/guichet', { code: 'AAAA-BBBB-CCCC-DDDD', current: PASSWORD });
  assert.equal(p.page.status, 403, 'a made-up code');
  await submit(p, '/compte/guichet', { code: desk.toLowerCase(), current: PASSWORD });
  const q = await signIn(email, { scope: 'openid email identite_pivot' });
  const known = await received(q);
  assert.equal(known.id.sub, before.id.sub, 'services know her by the same name');
  assert.equal(known.info.family_name, 'TRAORÉ');
  assert.equal(known.id.acr, 'eidas1');

  const key = new Authenticator({ format: 'packed', maker: trusted });
  const { options } = await addKey(q, key);
  assert.equal(options.attestation, 'direct', 'the maker is asked for');
  assert.ok(q.text.includes(words(T('home.key.high'))), q.text.slice(0, 600));
  await submit(q, '/compte/guichet', { code: desk, current: PASSWORD });
  assert.equal(q.page.status, 403, 'the code was used');

  const high = new Client();
  await arrive(high, { acr: 'eidas3' });
  await useKey(high, key);
  const got = await received(high);
  assert.equal(got.id.acr, 'eidas3');
  assert.deepEqual(got.id.amr, ['hwk', 'user', 'mfa']);

  const password = await signIn(email, { acr: 'eidas3' });
  assert.ok(at(password, 'factor.title'), 'a password that asks for the high level is stepped up');
  await useKey(password, key, { flags: 0x01 });
  assert.equal(password.page?.status, 403, 'without the device’s own check it is not the high level');
});

test('[2.1.3] a key that may be copied, of an unknown maker, or added by a stolen password stays below the high level', { timeout: 120000 }, async () => {
  const tries = [
    ['backup-eligible', new Authenticator({ format: 'packed', maker: trusted, flags: 0x0d }), 'eidas2'],
    ['of an unknown maker', new Authenticator({ format: 'packed', maker: maker() }), 'eidas2'],
    ['self-attested', new Authenticator({ format: 'packed' }), 'eidas2'],
  ];
  for (const [name, key, reaches] of tries) {
    const email = address(), p = await open(email);
    await received(p);
    await own(p);
    await submit(p, '/compte/guichet', { code: await deskCode({ ...papers, given_name: `Awa ${name}`, birthdate: `19${60 + n}-01-02` }), current: PASSWORD });
    const q = await signIn(email);
    await received(q);
    await addKey(q, key);
    for (const [acr, good] of [['eidas3', false], [reaches, true]]) {
      const r = new Client();
      await arrive(r, { acr });
      await useKey(r, key);
      if (good) assert.equal((await received(r)).id.acr, acr, name);
      else assert.equal(r.page?.status, 403, `${name} at ${acr}`);
    }
    // The desk lets in one: the next one counts for what the session was.
    const late = new Authenticator({ format: 'packed', maker: trusted });
    await addKey(q, late);
    const r = new Client();
    await arrive(r, { acr: 'eidas2' });
    await useKey(r, late);
    assert.equal(r.page?.status, 403, 'added by a password alone, it does not make her sign-in substantial');
  }
});

// ---- passkeys: good ones and altered ones, and a second verifier's opinion ------------------------------
async function theirs(kind, expected, input) {
  try {
    const r = kind === 'create'
      ? await verifyRegistrationResponse({ response: { id: b64(input.key.id), rawId: b64(input.key.id), type: 'public-key', clientExtensionResults: {}, response: { clientDataJSON: input.answer.client_data, attestationObject: input.answer.attestation } }, ...expected })
      : await verifyAuthenticationResponse({ response: { id: input.answer.credential, rawId: input.answer.credential, type: 'public-key', clientExtensionResults: {}, response: { clientDataJSON: input.answer.client_data, authenticatorData: input.answer.authenticator_data, signature: input.answer.signature } }, ...expected });
    return r.verified ? r : null;
  } catch { return null; }
}

test('[P6.4.4] registration: @simplewebauthn/server and Socle agree on good keys and on altered ones', { timeout: 120000 }, async () => {
  const email = address(), p = await open(email);
  await received(p);
  const expect = (o) => ({ expectedChallenge: o.challenge, expectedOrigin: platform.base, expectedRPID: 'localhost', requireUserVerification: false, supportedAlgorithmIDs: [-7, -8, -257] });
  const cases = [
    ['ES256 none', {}, {}, true], ['EdDSA none', { kind: 'EdDSA' }, {}, true], ['RS256 none', { kind: 'RS256' }, {}, true],
    ['packed self', { format: 'packed' }, {}, true], ['packed self EdDSA', { format: 'packed', kind: 'EdDSA' }, {}, true],
    ['packed x5c', { format: 'packed', maker: trusted }, {}, true],
    ['u2f', { format: 'fido-u2f', maker: { ...trusted, aaguid: Buffer.alloc(16) } }, {}, true],
    ['another origin', {}, { origin: 'http://evil.localhost:1' }, false], ['another relying party', {}, { rpId: 'evil.localhost' }, false],
    ['another challenge', {}, { challenge: b64(randomBytes(32)) }, false], ['another type', {}, { type: 'webauthn.get' }, false],
    ['nobody present', {}, { flags: 0x04 }, false], ['backed up and not eligible', {}, { flags: 0x15 }, false],
    ['a broken signature', { format: 'packed' }, { object: (o) => { const at = o.indexOf(Buffer.from('sig')) + 20; o[at] ^= 1; } }, false],
    ['a broken maker’s signature', { format: 'packed', maker: trusted }, { object: (o) => { const at = o.indexOf(Buffer.from('sig')) + 20; o[at] ^= 1; } }, false],
    ['another aaguid than the certificate’s', { format: 'packed', maker: { ...trusted, aaguid: Buffer.alloc(16, 7) } }, {}, false],
  ];
  for (const [name, how, change, good] of cases) {
    const key = new Authenticator(how);
    const { options, answer } = await addKey(p, key, change);
    assert.equal(p.page.status === 200, good, `${name}: ${p.text.slice(0, 200)}`);
    if (good) assert.ok(p.text.includes(words(T('done.key'))), name);
    else assert.equal(p.page.status, 422, name);
    const stricter = ['backed up and not eligible', 'another aaguid than the certificate’s']; /* than the other verifier */
    if (!stricter.includes(name)) assert.equal(Boolean(await theirs('create', expect(options), { key, answer })), good, `${name}: the other verifier`);
  }
});

test('[P6.4.4] assertion: both verifiers agree; a challenge is good once; a copied counter is noticed', { timeout: 120000 }, async () => {
  const email = address(), p = await open(email);
  await received(p);
  for (const kind of ['ES256', 'EdDSA', 'RS256']) {
    const key = new Authenticator({ kind });
    const made = await addKey(p, key);
    const r = await theirs('create', { expectedChallenge: made.options.challenge, expectedOrigin: platform.base, expectedRPID: 'localhost', requireUserVerification: false, supportedAlgorithmIDs: [-7, -8, -257] }, { key, answer: made.answer });
    const device = { credentialID: r.registrationInfo.credentialID, credentialPublicKey: r.registrationInfo.credentialPublicKey };
    const opinion = (options, answer, counter) => theirs('get', { expectedChallenge: options.challenge, expectedOrigin: platform.base, expectedRPID: 'localhost', requireUserVerification: true, authenticator: { ...device, counter } }, { answer });
    const altered = [
      ['another origin', { origin: 'http://evil.localhost:1' }], ['another relying party', { rpId: 'evil.localhost' }], ['another challenge', { challenge: b64(randomBytes(32)) }],
      ['another type', { type: 'webauthn.create' }], ['a broken signature', { signature: (s) => { s[s.length - 1] ^= 1; } }], ['without verification', { flags: 0x01 }],
    ];
    for (const [name, change] of altered) {
      const q = new Client();
      await arrive(q);
      const counter = key.count;
      const { options, answer } = await useKey(q, key, change);
      assert.equal(q.page?.status, 401, `${kind}, ${name}`);
      assert.equal(await opinion(options, answer, counter), null, `${kind}, ${name}: the other verifier`);
    }
    const q = new Client();
    await arrive(q);
    const page = q.page, counter = key.count;
    const { options, answer } = await useKey(q, key);
    assert.ok(await opinion(options, answer, counter), `${kind}: the other verifier`);
    const got = await received(q);
    assert.deepEqual(got.id.amr, ['hwk', 'user', 'mfa'], kind);
    const replay = new Client();
    await arrive(replay);
    const fresh = replay.page.text;
    const old = forms(page.text).find((f) => f.action === '/compte/connexion/cle').fields.find(([k]) => k === 'ticket')[1];
    await submit(replay, '/compte/connexion/cle', { ...answer, ticket: old });
    assert.equal(replay.page.status, 401, 'the same answer again');
    assert.notEqual(fresh, page.text);
    key.count = 0;
    const copy = new Client();
    await arrive(copy);
    await useKey(copy, key);
    assert.equal(copy.page.status, 401, 'a copy counts from before');
  }
});

test('[2.1.3] an account is linked to a substantial sign-in of another provider: what she adds then is substantial too', { timeout: 90000 }, async () => {
  const upstream = await Upstream.start(platform.ownPort(0), { acr: 'eidas2' });
  try {
    platform.must(['provider', 'add', '--id', 'substantiel', '--name', 'Compte substantiel', '--issuer', upstream.issuer, '--client-id', upstream.client, '--secret-stdin'], { input: `${upstream.secret}\n` });
    const email = address();
    await received(await open(email));
    const p = new Client();
    await p.go(`${platform.base}/connexion?return=/compte`);
    await until('the provider is on the page', async () => { if (p.text.includes('Compte substantiel')) return true; await p.go(p.page.url); return false; });
    await p.follow('Compte substantiel');
    assert.ok(at(p, 'home.title'), p.text.slice(0, 400));
    await submit(p, '/compte/lier', { email, current: 'pas le bon' });
    assert.equal(p.page.status, 403);
    await submit(p, '/compte/lier', { email, current: PASSWORD });
    assert.ok(p.text.includes(words(T('done.linked'))), p.text.slice(0, 400));
    const secret = await addTotp(p);
    const q = await signIn(email, { acr: 'eidas2', scope: 'openid email identite_pivot' });
    assert.ok(at(q, 'factor.title'));
    await q.press(T('factor.button'), { code: totp(secret, step()) });
    const got = await received(q);
    assert.equal(got.id.acr, 'eidas2');
    assert.equal(got.info.family_name, 'CANARI-MARTIN', 'vouched for by the other provider');
  } finally { await upstream.stop(); }
});

test('[2.1.3] a key that is added straight from a high sign-in of another provider reaches the high level; from a substantial one it does not', { timeout: 90000 }, async () => {
  const upstream = await Upstream.start(platform.ownPort(1));
  try {
    platform.must(['provider', 'add', '--id', 'fort', '--name', 'Compte fort', '--issuer', upstream.issuer, '--client-id', upstream.client, '--secret-stdin'], { input: `${upstream.secret}\n` });
    for (const [acr, high] of [['eidas3', true], ['eidas2', false]]) {
      const email = address(), key = new Authenticator({ format: 'packed', maker: trusted });
      await received(await open(email));
      Object.assign(upstream, { acr, person: { ...people.camille, sub: `fort-${acr}`, birthdate: `19${70 + n}-02-03` } });
      const p = new Client();
      await p.go(`${platform.base}/connexion?return=/compte`);
      await until('the provider is on the page', async () => { if (p.text.includes('Compte fort')) return true; await p.go(p.page.url); return false; });
      await p.follow('Compte fort');
      await submit(p, '/compte/lier', { email, current: PASSWORD });
      assert.ok(p.text.includes(words(T('done.linked'))), p.text.slice(0, 400));
      await addKey(p, key);
      assert.equal(p.text.includes(words(T('home.key.high'))), high, acr);
      const q = new Client();
      await arrive(q, { acr: 'eidas3' });
      await useKey(q, key);
      if (high) assert.equal((await received(q)).id.acr, 'eidas3');
      else assert.equal(q.page?.status, 403, 'a substantial sign-in makes no high key');
    }
  } finally { await upstream.stop(); }
});

test('without letters and without a demonstration, a page still does not say whether an address is taken', { timeout: 60000 }, async () => {
  const bare = await Platform.start({ demo: false, args: ['--own-accounts=yes'] });
  try {
    const email = address(), seen = [];
    for (const password of [PASSWORD, 'une autre phrase bien longue']) {
      const p = new Client();
      await p.go(`${bare.base}/connexion?return=/compte`);
      await p.follow(/Compte Socle/);
      await p.follow(T('signin.new.button'));
      await p.press(T('register.button'), { email, password });
      assert.ok(at(p, 'opened.title'));
      seen.push(p.text.replace(/[0-9a-f]{32}/g, ''));
    }
    assert.equal(seen[0], seen[1]);
    const q = new Client();
    await q.go(`${bare.base}/connexion?return=/compte`);
    await q.follow(/Compte Socle/);
    await q.press(T('signin.button'), { email, password: 'une autre phrase bien longue' });
    assert.equal(q.page.status, 401, 'the account is still its first holder’s');
    await q.press(T('signin.button'), { email, password: PASSWORD });
    assert.ok(at(q, 'home.title'));
    assert.ok(q.text.includes(words(T('home.unconfirmed'))), 'its address was never proved');
  } finally { await bare.destroy(); }
});

// ---- her own page, and its twin -------------------------------------------------------------------------
test('[P5.2.3] each act asks for the password, is told in her uses, and has a twin in the API', { timeout: 90000 }, async () => {
  const guessed = address(), p = await open(guessed);
  await received(p);
  await own(p);
  const actions = forms(p.page.text).filter((f) => f.action.startsWith('/compte'));
  assert.ok(actions.length >= 6);
  for (const f of actions) {
    const q = await own(p);
    await submit(q, f.action, { current: 'pas le bon', password: 'une autre longue phrase', email: address(), code: 'AAAA-AAAA-AAAA-AAAA' });
    assert.ok([403, 429].includes(q.page.status), `${f.action} ${q.page.status}`);
  }
  const email = address();
  await received(await open(email));
  const k = platform.json(['client', 'add', '--name', 'Mon application', '--redirect-uri', 'http://localhost:3000/cb', '--scopes', 'openid account']);
  const { token } = await received(await signIn(email, { k, scope: 'openid account' }));
  const api = (path, body, auth = `Bearer ${token}`) => send(`${platform.base}/api/compte${path}`, body ? { method: 'POST', body: JSON.stringify(body), headers: { authorization: auth, 'content-type': 'application/json' } } : { headers: { authorization: auth } });
  assert.equal((await api('', null, 'Bearer x')).status, 401);
  assert.equal((await api('')).json.email, email);
  const wrong = await api('/codes', { current: 'pas le bon' });
  assert.equal(wrong.status, 403);
  assert.equal(wrong.json.code, 'ACN-403-PASSWORD');
  assert.equal((await api('/codes', { current: PASSWORD })).json.codes.length, 10);
  const app = (await api('/application', { current: PASSWORD })).json;
  assert.equal((await api('/application/activer', { ticket: app.ticket, code: totp(app.secret, step()) })).status, 200);
  const state = (await api('')).json;
  assert.deepEqual([state.totp, state.recovery_left, state.passkeys], [true, 10, []]);
  const uses = () => send(`${platform.base}/api/account/uses`, { headers: { authorization: `Bearer ${token}` } });
  await until('it is told among what was done with her data', async () => /Vous avez relié une application/.test((await uses()).text));
});

test('another address: confirmed by a letter to it, told to the old one; deleting leaves nothing of her', { timeout: 90000 }, async () => {
  const email = address(), next = address(), p = await open(email);
  const { id } = await received(p);
  await own(p);
  await submit(p, '/compte/adresse', { current: PASSWORD, email: next });
  await p.press(T('address.button'), { code: codeIn(await letterTo(next)) });
  assert.ok(p.text.includes(words(T('done.email'))));
  await until('the old address is told', () => sink.mails.find((m) => m.to.some((t) => t.includes(email)) && /autre adresse/.test(m.text)));
  const q = await signIn(next);
  assert.equal((await received(q)).info.email, next);
  const people = platform.json(['person', 'list']).items;
  await own(q);
  await q.follow(T('delete.title'));
  await q.press(T('delete.button'), { current: PASSWORD });
  assert.equal((await signIn(next)).page?.status, 401, 'nobody signs in any more');
  const after = platform.json(['person', 'list']).items;
  assert.equal(after.filter((x) => x.state === 'erased').length, people.filter((x) => x.state === 'erased').length + 1, 'who had no other way in is erased');
  const back = await received(await open(next));
  assert.notEqual(back.id.sub, id.sub, 'she comes back as somebody new');
});

test('[2.1.1.d2] erasing a person from the command line takes her account with her', { timeout: 60000 }, async () => {
  const email = address();
  await received(await open(email));
  const [her] = platform.json(['person', 'list']).items;
  platform.must(['person', 'erase', her.id, '--yes']);
  assert.equal((await signIn(email)).page?.status, 401);
});

test('a sign-in of another browser, and one that is over, lead nowhere', async () => {
  const p = new Client();
  await arrive(p);
  const stranger = new Client();
  await stranger.go(p.page.url);
  assert.equal(stranger.page.status, 403);
  await stranger.go(`${platform.base}/compte/connexion?flow=${'A'.repeat(43)}`);
  assert.equal(stranger.page.status, 410);
  await stranger.go(`${platform.base}/compte/connexion`);
  assert.ok(at2(stranger, 'choose.title'), 'who comes by herself chooses first');
});
