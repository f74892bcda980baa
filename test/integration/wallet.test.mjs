// A wallet as a source of identity: signing in at a service with one on this device and on another,
// and every answer that proves nothing.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, until } from '../lib/platform.mjs';
import { Client, links, send } from '../lib/http.mjs';
import { Relying, basic, claimsOf } from '../lib/relying.mjs';
import { World, walkSignIn } from '../lib/story.mjs';
import { Issuer, Wallet, identity, newPair, now, readCode, trustWallets } from '../lib/wallet.mjs';

let platform, world, rp, client, issuer, certified, stranger, wallet, credential;

before(async () => {
  platform = await Platform.start();
  ({ issuer, certified, stranger } = await trustWallets(platform));
  world = new World(platform);
  rp = new Relying(world);
  client = rp.add('Médiathèque');
  wallet = new Wallet();
  credential = await issuer.issue(identity, wallet.jwk);
}, { timeout: 120000 });
after(() => platform?.destroy());

// A person at the service who chose the wallet; both addresses that she is shown.
async function begin({ extra = {}, c = client, person = new Client() } = {}) {
  const q = rp.request(c, { scope: 'openid identite_pivot preferred_username', acr_values: 'eidas2', ...extra });
  person.stopAt = (u) => u.startsWith(Relying.redirect);
  await person.go(rp.url(q));
  await person.follow('Portefeuille d’identité');
  return { person, q, ...shown(person) };
}
const shown = (person) => ({ same: links(person.page.text).find((l) => l.href?.startsWith('openid4vp:'))?.href, cross: person.page.text.includes('role="img"') ? readCode(person.page.text) : null });
const codeOn = (person) => /<code>(IDT-[A-Z0-9-]+)<\/code>/.exec(person.page.text)?.[1];

async function tokens(person, q, c = client) {
  const at = new URL(await walkSignIn(person, {}, { stopAt: person.stopAt }) ?? person.stopped).searchParams;
  const r = await rp.post('/token', { grant_type: 'authorization_code', code: at.get('code'), redirect_uri: q.redirect_uri }, basic(c));
  assert.equal(r.status, 200, r.text);
  const info = await rp.userinfo(r.json.access_token);
  return { id: claimsOf(r.json.id_token), info: /^\{/.test(info.text) ? info.json : claimsOf(info.text) };
}

test('from another device: the code on the page, an answer, and the page goes on by itself', async () => {
  const { person, q, cross } = await begin();
  assert.equal(person.page.headers.refresh, '5');
  const request = await wallet.ask(cross);
  assert.equal(request.response_mode, 'direct_post.jwt');
  assert.deepEqual(request.dcql_query.credentials[0].meta.vct_values, ['urn:eudi:pid:1']);
  assert.ok(!JSON.stringify(request.dcql_query).match(/email|address|nationalit/), 'only the pivot is asked for');
  await person.go(person.page.url);
  assert.match(person.text, /Montrez votre identité/, 'nothing came yet: it waits');
  const r = await wallet.answer(request, credential);
  assert.equal(r.status, 200, r.text);
  assert.deepEqual(r.json, {}, 'the other device has nowhere to go');
  await person.go(person.page.url);
  const t = await tokens(person, q);
  assert.equal(t.id.acr, 'eidas2');
  assert.deepEqual([t.info.family_name, t.info.given_name, t.info.birthdate, t.info.gender, t.info.birthplace, t.info.birthcountry],
    ['DURAND', 'Inès Marie', '1990-07-03', 'female', '44109', '99100']);
  assert.equal(t.info.email, undefined);
  assert.deepEqual(t.info.given_name_array, ['Inès', 'Marie']);
});

test('from the same device: only the browser that began, with the code that only the wallet was told', async () => {
  const { person, q, same } = await begin();
  const request = await wallet.ask(same), r = await wallet.answer(request, credential);
  assert.equal(r.status, 200, r.text);
  const back = r.json.redirect_uri;
  assert.ok(back.startsWith(`${platform.base}/connexion/portefeuille/retour?`));
  await person.go(person.page.url);
  assert.match(person.text, /Votre portefeuille a répondu/, 'the page that waits does not go on without the code');
  const thief = new Client();
  await thief.go(back);
  assert.equal(codeOn(thief), 'IDT-403-BROWSER', 'an address is worth nothing elsewhere');
  const wrong = new URL(back);
  wrong.searchParams.set('response_code', 'A'.repeat(43));
  await person.go(wrong.href);
  assert.equal(codeOn(person), 'IDT-403-WALLET');
  wrong.searchParams.delete('response_code');
  await person.go(wrong.href);
  assert.equal(codeOn(person), 'IDT-403-WALLET');
  await person.go(back);
  const t = await tokens(person, q);
  assert.equal(t.info.family_name, 'DURAND');
  const again = new Client();
  again.jars = person.jars;
  await again.go(back);
  assert.notEqual(again.page.status, 200, 'and once');
});

test('the same person keeps her sub, from a renewed credential, another issuer and another wallet', async () => {
  const subs = new Set();
  const young = new Wallet();
  for (const [w, cred] of [[wallet, credential], [wallet, await issuer.issue(identity, wallet.jwk)], [young, await certified.issue(identity, young.jwk)]]) {
    const { person, q, cross } = await begin();
    const r = await w.answer(await w.ask(cross), cred);
    assert.equal(r.status, 200, r.text);
    await person.go(person.page.url);
    subs.add((await tokens(person, q)).id.sub);
  }
  assert.equal(subs.size, 1);
});

test('her account has the sign-in among its uses, and she may block this way in', async () => {
  const me = { ...identity, given_name: 'Zoé', birthdate: '1979-11-30' };
  const cred = await issuer.issue(me, wallet.jwk);
  const enter = async () => {
    const person = new Client();
    await person.go(`${platform.base}/connexion?return=/account`);
    await person.follow('Portefeuille d’identité');
    const r = await wallet.answer(await wallet.ask(shown(person).cross), cred);
    assert.equal(r.status, 200, r.text);
    await person.go(person.page.url);
    return person;
  };
  const person = await enter();
  assert.match(person.page.url, /\/account$/);
  assert.match(person.text, /Zoé DURAND/);
  await until('the sign-in is in her history', async () => { await person.go('/account/sign-ins'); return /Portefeuille d’identité/.test(person.text); }, { timeoutMs: 60000, everyMs: 200 });
  await person.go('/account/security/block?provider=portefeuille');
  await person.press(/Bloquer/);
  const back = await enter();
  assert.equal(codeOn(back), 'IDT-403-BLOCKED-PROVIDER');
});

test('the name at birth is the pivot’s; the other is the one in use; born abroad has no place', async () => {
  const cred = await issuer.issue({ ...identity, birth_family_name: 'KOWALSKI', place_of_birth: { country: 'PL', locality: 'Gdańsk' } }, wallet.jwk);
  const { person, q, cross } = await begin();
  const r = await wallet.answer(await wallet.ask(cross), cred);
  assert.equal(r.status, 200, r.text);
  await person.go(person.page.url);
  const { info } = await tokens(person, q);
  assert.deepEqual([info.family_name, info.preferred_username, info.birthcountry, info.birthplace], ['KOWALSKI', 'DURAND', '99122', '']);
});

test('answers that prove nothing: each is refused for its own reason, to the wallet and on the page', async () => {
  const other = newPair();
  const flip = (p) => { const parts = p.split('~'); const d = JSON.parse(Buffer.from(parts[1], 'base64url')); d[2] = 'ROI'; parts[1] = Buffer.from(JSON.stringify(d)).toString('base64url'); return parts.join('~'); };
  const unsign = (p) => { const [jwt, ...rest] = p.split('~'); return [`${Buffer.from('{"alg":"none","typ":"dc+sd-jwt"}').toString('base64url')}.${jwt.split('.')[1]}.`, ...rest].join('~'); };
  const resign = (p) => { const [jwt, ...rest] = p.split('~'), [h, b, s] = jwt.split('.'); return [`${h}.${b}.${s.startsWith('A') ? 'B' : 'A'}${s.slice(1)}`, ...rest].join('~'); };
  const made = async (o = {}, i = issuer, claims = identity) => i.issue(claims, wallet.jwk, o);
  const without = (k) => Object.fromEntries(['family_name', 'given_name', 'birthdate', 'sex', 'place_of_birth'].filter((x) => x !== k).map((x) => [x, true]));
  const cases = [
    ['wrong nonce', credential, { binding: { nonce: 'x'.repeat(43) } }, 'the key binding has another nonce'],
    ['wrong audience', credential, { binding: { aud: 'https://elsewhere.example' } }, 'the key binding is for another audience'],
    ['an old binding', credential, { binding: { iat: now() - 3600 } }, 'the key binding is older than the request'],
    ['a binding from the future', credential, { binding: { iat: now() + 3600 } }, 'the key binding is from the future'],
    ['no binding', credential, { bound: false }, 'no key binding'],
    ['a binding by another key', credential, { pair: other }, 'the key binding is by another key'],
    ['a credential without a key', await made({ cnf: null }), {}, 'the credential names no usable key of its holder'],
    ['an altered disclosure', credential, { mutate: flip }, 'a disclosure that nothing refers to'],
    ['a disclosure left out after signing', credential, { mutate: (p) => { const parts = p.split('~'); parts.splice(1, 1); return parts.join('~'); } }, 'the key binding is of another presentation'],
    ['alg none', credential, { mutate: unsign }, 'it is malformed, or not signed'],
    ['another signature', credential, { mutate: resign }, 'its signature is not its issuer\'s'],
    ['not a presentation', credential, { mutate: () => 'x' }, 'it is malformed, or not signed'],
    ['expired', await made({ open: { exp: now() - 60 } }), {}, 'expired'],
    ['without an end', await made({ open: { exp: undefined } }), {}, 'exp is missing or no date'],
    ['not yet valid', await made({ open: { nbf: now() + 3600 } }), {}, 'nbf is in the future or no date'],
    ['an unknown issuer', await made({}, new Issuer('https://nobody.example')), {}, 'its issuer is not trusted here'],
    ['a known issuer’s name, another’s key', await made({}, new Issuer(issuer.url)), {}, 'its signature is not its issuer\'s'],
    ['a certificate of another authority', await made({}, stranger), {}, 'its signature is not its issuer\'s'],
    ['another type', await made({ open: { vct: 'urn:example:library-card' } }), {}, 'it is a credential of another type'],
    ['another format', await made({ header: { typ: 'JWT' } }), {}, 'it is no credential of this format'],
    ['a claim that is not disclosed', credential, { frame: without('birthdate') }, 'the identity lacks a usable birthdate', 'IDT-422-PIVOT'],
    ['no sex', credential, { frame: without('sex') }, 'the identity lacks a usable gender', 'IDT-422-PIVOT'],
    ['a place that no commune bears', await made({}, issuer, { ...identity, place_of_birth: { country: 'FR', locality: 'Atlantis' } }), {}, 'the identity lacks a usable birthplace', 'IDT-422-PIVOT'],
  ];
  for (const [what, cred, how, why, code = 'IDT-403-WALLET'] of cases) {
    const { person, cross } = await begin();
    const r = await wallet.answer(await wallet.ask(cross), cred, how);
    assert.equal(r.status, 400, `${what}: ${r.text}`);
    assert.deepEqual([r.json.error, r.json.error_description], ['invalid_request', why], what);
    await person.go(person.page.url);
    assert.equal(codeOn(person), code, what);
    assert.match(person.text, /Choisir un autre compte/, what);
  }
});

test('an answer counts once, for its own request, and only encrypted where that was asked', async () => {
  const { person, cross, same } = await begin();
  const request = await wallet.ask(cross);
  const clear = await wallet.answer(request, credential, { seal: false });
  assert.deepEqual([clear.status, clear.json.error_description], [400, 'the answer is not encrypted']);
  const presentation = await wallet.present(request, credential);
  const two = await wallet.post(request, { vp_token: { pid: [presentation, presentation] } });
  assert.equal(two.json.error_description, 'vp_token has not the one credential that was asked');
  const late = await wallet.answer(request, credential);
  assert.equal(late.json.error_description, 'state names no request that is open', 'an attempt is over after its first answer');
  const gone = await send(new URL(cross).searchParams.get('request_uri'));
  assert.equal(gone.status, 404);
  await person.go(person.page.url);
  assert.equal(codeOn(person), 'IDT-403-WALLET');
  // Begun again: what was made for one request is worth nothing at another.
  const b = await begin();
  const replayed = await wallet.post(await wallet.ask(b.cross), { vp_token: { pid: [presentation] } });
  assert.equal(replayed.json.error_description, 'the key binding has another nonce');
  const none = await wallet.post(request, { vp_token: { pid: [presentation] }, state: 'x'.repeat(43) });
  assert.equal(none.json.error_description, 'state names no request that is open');
  assert.equal((await send(`${platform.base}/api/v2/wallet/request/${'x'.repeat(43)}`)).status, 404);
  assert.ok(same);
});

test('she refuses in her wallet; a service that asks for more; one that takes no wallets', async () => {
  const { person, cross } = await begin();
  const r = await wallet.post(await wallet.ask(cross), { error: 'access_denied' }, { seal: false });
  assert.equal(r.status, 200, r.text);
  await person.go(person.page.url);
  assert.equal(codeOn(person), 'IDT-403-PROVIDER');
  const high = await begin({ extra: { acr_values: 'eidas3' } });
  assert.equal(codeOn(high.person), 'IDT-403-LEVEL');
  const narrow = rp.add('Étroit', ['--providers', 'impots-demo']), chooser = new Client();
  await chooser.go(rp.url(rp.request(narrow)));
  assert.ok(!links(chooser.page.text).some((l) => /portefeuille/.test(l.href ?? '')));
  const flow = new URL(chooser.page.url).searchParams.get('flow');
  await chooser.go(`${platform.base}/connexion/portefeuille?flow=${flow}`);
  assert.equal(codeOn(chooser), 'IDT-404-PROVIDER');
});

test('direct_post in clear and no second device where the settings say so; wallets off where they are off', async () => {
  await platform.restart({ env: { SOCLE_WALLET_ENCRYPTED: 'no', SOCLE_WALLET_CROSS_DEVICE: 'no', SOCLE_WALLET_LEVEL: 'eidas1' } });
  const { person, q, same, cross } = await begin({ extra: { acr_values: 'eidas1' } });
  assert.equal(cross, null);
  const request = await wallet.ask(same);
  assert.equal(request.response_mode, 'direct_post');
  assert.equal(request.client_metadata.jwks, undefined);
  const r = await wallet.answer(request, credential);
  assert.equal(r.status, 200, r.text);
  await person.go(r.json.redirect_uri);
  assert.equal((await tokens(person, q)).id.acr, 'eidas1');
  await platform.restart({ env: { SOCLE_WALLET: 'no' } });
  const plain = new Client();
  await plain.go(`${platform.base}/connexion`);
  assert.ok(!/Portefeuille/.test(plain.text));
  assert.equal((await send(request.response_uri, { method: 'POST', body: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } })).status, 404);
});

test('a level that is none, issuers that are none, no certificate: the platform does not start, and says why', async () => {
  const file = join(platform.folder, 'bad.json'), good = platform.options.env.SOCLE_WALLET_ISSUERS;
  const refused = (env, what) => {
    const r = platform.command(['serve', '--demo=no'], { env });
    assert.equal(r.code, 1, what);
    assert.match(r.stderr, /"event":"wallet_refused"/, what);
    return r.stderr;
  };
  await platform.stop();
  assert.match(refused({ SOCLE_WALLET_LEVEL: 'eidas9' }, 'level'), /wallet_level/);
  writeFileSync(file, '{"version":1,"issuers":[]}');
  assert.match(refused({ SOCLE_WALLET_ISSUERS: file }, 'issuers'), /issuers is empty/);
  assert.match(refused({ SOCLE_WALLET_ISSUERS: good, SOCLE_TLS_CERTIFICATES: platform.folder }, 'certificate'), /socle tls request client-wallet/);
});
