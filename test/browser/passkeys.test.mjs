// Passkeys in a real browser: Chromium's virtual authenticator, over its debugging protocol. The only
// pages of the platform with a script; without it they say what else to do. Each page is looked at.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server';
import { join } from 'node:path';
import { Platform } from '../lib/platform.mjs';
import { launch, shots, Visit } from '../lib/browser.mjs';
import { text } from '../lib/text.mjs';
import { World } from '../lib/story.mjs';

const T = (key, lang = 'fr') => text('accounts', key, lang);
let platform, world, browser;
before(async () => {
  [platform, browser] = await Promise.all([Platform.start(), launch()]);
  world = new World(platform);
}, { timeout: 180000 });
after(async () => { await browser?.close(); await platform?.destroy(); }, { timeout: 60000 });

// A person whose browser runs the script, with an authenticator of her own.
async function person(options = {}) {
  const context = await browser.newContext({ locale: 'fr-FR', viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  const faults = [];
  page.on('console', (m) => { if (['error', 'warning'].includes(m.type()) && !/status of 4\d\d/.test(m.text())) faults.push(m.text()); });
  page.on('pageerror', (e) => faults.push(e.message));
  const cdp = await context.newCDPSession(page);
  await cdp.send('WebAuthn.enable');
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true, ...options } });
  return { context, page, cdp, authenticatorId, faults };
}
const button = (page, key) => page.getByRole('button', { name: T(key) });
async function toSignIn(page) {
  await page.goto(`${platform.base}/connexion?return=/compte`);
  await page.getByRole('link', { name: 'Compte Socle' }).click();
}
async function signIn(page, account = world.own_accounts[0]) {
  await toSignIn(page);
  await page.getByLabel(T('email.label')).fill(account.email);
  await page.getByLabel(T('password.label')).fill(account.password);
  await button(page, 'signin.button').click();
}
async function add(page, name, account = world.own_accounts[0]) {
  const form = page.locator('form[action="/compte/cle"]');
  await page.getByText(T('home.key.add'), { exact: true }).click();
  await form.locator('input[name=current]').fill(account.password);
  await form.getByRole('button').click();
  await page.getByLabel(T('key.name')).fill(name);
  await button(page, 'key.button').click();
  await page.getByText(T('done.key')).waitFor();
}
// What the script sent, kept on its way.
function keep(page, path) {
  const kept = {};
  page.on('request', (r) => { if (r.method() === 'POST' && new URL(r.url()).pathname === path) Object.assign(kept, Object.fromEntries(new URLSearchParams(r.postData()))); });
  return kept;
}

test('[P6.4.4] [2.1.3] two devices are added, used without a name and without a password, and removed', { timeout: 120000 }, async () => {
  const p = await person();
  await signIn(p.page);
  assert.equal(await p.page.locator('h1').innerText(), T('home.title'));
  const made = keep(p.page, '/compte/cle/ajouter');
  await add(p.page, 'Mon ordinateur');
  await p.page.screenshot({ path: join(shots, 'passkeys-home-1280.png'), fullPage: true });
  const challenge = (sent) => createHash('sha256').update(sent.ticket).digest('base64url');
  const [credential] = (await p.cdp.send('WebAuthn.getCredentials', { authenticatorId: p.authenticatorId })).credentials;
  const id = Buffer.from(credential.credentialId, 'base64').toString('base64url');
  const expected = (sent) => ({ expectedChallenge: challenge(sent), expectedOrigin: platform.base, expectedRPID: 'localhost' });
  const theirs = await verifyRegistrationResponse({ ...expected(made), response: { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response: { clientDataJSON: made.client_data, attestationObject: made.attestation } } });
  assert.ok(theirs.verified, 'the other verifier agrees on what the browser sent');

  await p.context.clearCookies();
  const got = keep(p.page, '/compte/connexion/cle');
  await toSignIn(p.page);
  await button(p.page, 'signin.key.button').click();
  await p.page.getByText('Mon ordinateur').first().waitFor();
  assert.match(await p.page.locator('.card', { hasText: 'Mon ordinateur' }).innerText(), new RegExp(T('home.key.used')));
  const response = { id: got.credential, rawId: got.credential, type: 'public-key', clientExtensionResults: {}, response: { clientDataJSON: got.client_data, authenticatorData: got.authenticator_data, signature: got.signature } };
  const authenticator = { credentialID: theirs.registrationInfo.credentialID, credentialPublicKey: theirs.registrationInfo.credentialPublicKey, counter: theirs.registrationInfo.counter };
  assert.ok((await verifyAuthenticationResponse({ ...expected(got), response, authenticator })).verified);
  const broken = Buffer.from(got.signature, 'base64url');
  broken[broken.length - 1] ^= 1;
  const altered = await verifyAuthenticationResponse({ ...expected(got), response: { ...response, response: { ...response.response, signature: broken.toString('base64url') } }, authenticator }).then((r) => r.verified, () => false);
  assert.equal(altered, false, 'and refuses an altered one, as Socle does');

  // Her password alone, on a device that has no key of hers: the page says so.
  const q = await person({ transport: 'usb' });
  await signIn(q.page);
  await q.page.getByRole('heading', { name: T('factor.title') }).waitFor();
  await q.page.screenshot({ path: join(shots, 'passkeys-factor-1280.png'), fullPage: true });
  await button(q.page, 'factor.key.button').click();
  await q.page.getByText(T('key.fault')).waitFor();
  await q.context.close();

  // A second device; then only it is at hand.
  const { authenticatorId: second } = await p.cdp.send('WebAuthn.addVirtualAuthenticator', { options: { protocol: 'ctap2', transport: 'usb', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  await p.cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId: p.authenticatorId, enabled: false });
  await add(p.page, 'Ma clé de secours');
  await p.context.clearCookies();
  await toSignIn(p.page);
  await button(p.page, 'signin.key.button').click();
  await p.page.getByText('Ma clé de secours').first().waitFor();

  // The first is lost: it is removed, and opens nothing any more.
  const card = p.page.locator('.card', { hasText: 'Mon ordinateur' });
  await p.page.goto(`${platform.base}/compte`);
  await card.getByText(T('home.key.remove')).first().click();
  await card.locator('input[name=current]').fill(world.own_accounts[0].password);
  await card.getByRole('button').click();
  await p.page.getByText(T('done.key_off')).waitFor();
  await p.cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId: second });
  await p.cdp.send('WebAuthn.setAutomaticPresenceSimulation', { authenticatorId: p.authenticatorId, enabled: true });
  await p.context.clearCookies();
  await toSignIn(p.page);
  await button(p.page, 'signin.key.button').click();
  await p.page.getByText(T('signin.wrong')).waitFor();
  assert.deepEqual(p.faults, [], 'nothing was complained of');
  await p.context.close();
});

test('[P6.4.4] without scripts the page says what else to do, and a password does', { timeout: 60000 }, async () => {
  const v = await Visit.open(browser, { name: 'sans-script' });
  await v.page.goto(`${platform.base}/connexion?return=/compte`);
  await v.page.getByRole('link', { name: 'Compte Socle' }).click();
  assert.ok(await v.page.getByText(T('key.noscript')).isVisible(), 'the page says that scripts are off');
  await v.page.getByLabel(T('email.label')).fill(world.own_accounts[1].email);
  await v.page.getByLabel(T('password.label')).fill(world.own_accounts[1].password);
  await v.page.getByRole('button', { name: T('signin.button') }).click();
  assert.equal(await v.page.locator('h1').innerText(), T('home.title'), 'a password needs no script');
  await v.close();
});

// Looked at, without the script, as a person would walk through them.
for (const [lang, width] of [['fr', 1280], ['fr', 320], ['en', 1280], ['en', 320]]) {
  test(`[M018] the pages of an account, ${lang}, ${width} pixels: axe finds nothing, nothing reaches out`, { timeout: 90000 }, async () => {
    const v = await Visit.open(browser, { name: `compte-${lang}-${width}`, lang, width });
    const t = (key) => T(key, lang), page = v.page, email = `visite.${lang}.${width}@exemple.fr`, password = 'cheval agrafe pile correcte';
    const look = async (name) => { await v.see(name); };
    const press = (key) => page.getByRole('button', { name: t(key), exact: true }).click();
    await page.goto(`${platform.base}/connexion?return=/compte&lang=${lang}`);
    await look('choix');
    await page.getByRole('link', { name: lang === 'fr' ? 'Compte Socle' : 'Socle account' }).click();
    await look('connexion');
    await page.getByRole('link', { name: t('signin.forgot') }).click();
    await look('oubli');
    await page.getByLabel(t('email.label')).fill(email);
    await press('forgot.button');
    await look('nouveau');
    await page.goBack(); await page.goBack();
    await page.getByRole('link', { name: t('signin.new.button') }).click();
    await page.getByLabel(t('email.label')).fill(email);
    await page.getByLabel(t('register.password')).fill('trop court');
    await page.evaluate(() => 0);
    await look('inscription');
    await page.getByLabel(t('register.password')).fill(password);
    await press('register.button');
    await look('courriel');
    await page.getByLabel(t('confirm.code')).fill(/\b(\d{8})\b/.exec(await page.locator('.panel').innerText())[1]);
    await press('confirm.button');
    await look('compte');
    const act = async (summary, action) => { await page.getByText(t(summary), { exact: true }).click(); const f = page.locator(`form[action="${action}"]`); await f.locator('input[name=current]').fill(password); await f.getByRole('button').click(); };
    await act('home.totp.add', '/compte/application');
    await look('application');
    await page.goto(`${platform.base}/compte`);
    await act('home.recovery.new', '/compte/codes');
    await look('codes');
    await page.goto(`${platform.base}/compte`);
    await act('home.key.add', '/compte/cle');
    await look('cle');
    await page.goto(`${platform.base}/compte/supprimer`);
    await look('supprimer');
    await v.close();
  });
}
