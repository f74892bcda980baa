// The partners' console at a browser: without JavaScript, at 320 and 1280 pixels, in French and in
// English, with the keyboard alone, axe-core finding nothing.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Visit, launch } from '../lib/browser.mjs';
import { send } from '../lib/http.mjs';
import { Platform } from '../lib/platform.mjs';
import { signInAt as signIn } from '../lib/console.mjs';
import { World } from '../lib/story.mjs';
import { text } from '../lib/text.mjs';
import { Upstream } from '../lib/upstream.mjs';

let platform, world, browser, up;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  up = await Upstream.start(platform.ownPort(0), { acr: 'eidas1' });
  browser = await launch();
});
after(async () => { await browser?.close(); await up?.stop(); await platform.destroy(); });

const t = (key, lang) => text('partners', key, lang);

async function open(v, account) {
  await v.page.goto(`${world.issuer}/partenaires`);
  await signIn(v, account);
}

// A team, its client, what was refused it, production, an identity provider.
async function visit(lang, width, login, name) {
  const v = await Visit.open(browser, { name, lang, width });
  try {
    await open(v, world.account(login));
    await v.see('teams');
    await v.page.getByLabel(t('label.team_name', lang)).fill('Atelier numérique');
    await v.press(t('home.create', lang));
    await v.see('team-empty');
    await v.follow(t('team.clients.new', lang));
    await v.see('client-form');
    await v.page.getByLabel(t('label.client_name', lang)).fill('Inscription à la cantine de Saint-Herblain');
    await v.page.getByLabel(t('label.redirect_uris', lang)).fill('http://nom.example/x');
    await v.page.locator('#auth').selectOption('key');
    await v.press(t('client_new.send', lang));
    await v.see('client-form-error');
    await v.page.locator('#auth').selectOption('secret');
    await v.page.getByLabel(t('label.redirect_uris', lang)).fill('');
    await v.press(t('client_new.send', lang));
    await v.see('keys');
    const id = await v.page.locator('dd code').first().innerText();
    await v.follow(t('client.try', lang));
    await v.see('try');
    await send(`${world.issuer}/api/v2/authorize?client_id=${id}&redirect_uri=${encodeURIComponent('http://localhost:3000/callback?x=1')}`);
    await send(`${world.issuer}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `client_id=${id}&client_secret=wrong&grant_type=authorization_code&code=x` });
    await v.page.goto(`${world.issuer}/partenaires/clients/${id}`);
    await v.has(t('refusal.redirect.meaning', lang).replace(/\s+/g, ' '));
    await v.see('client');
    await v.follow(t('errors.all', lang));
    await v.has(t('refusal.auth_secret.meaning', lang).replace(/\s+/g, ' '));
    await v.see('errors');
    await v.page.goto(`${world.issuer}/partenaires/clients/${id}/production`);
    await v.see('production-form');
    await v.page.locator('#org').fill('99900300400018');
    await v.page.locator('#org').fill('99900000300015');
    await v.page.locator('#api_version').selectOption('famille/v1');
    await v.page.locator('#purpose').fill('Calculer le tarif de la cantine.');
    await v.page.locator('#redirect_uris').fill('https://cantine.example/retour');
    await v.press(t('production.send', lang));
    await v.has(t('production.state.draft', lang));
    await v.see('client-asked');
    await v.follow(t('production.client', lang));
    await v.see('client-waiting');
    await v.page.goto(`${world.issuer}/partenaires/identites`);
    await v.see('identities');
    return v;
  } catch (e) {
    await v.close();
    throw e;
  }
}

test('a team creates a client and sees its errors, in French at 320 pixels', async () => { await (await visit('fr', 320, 'yann.legoff', 'console-fr-320')).close(); });
test('the same in English at 1280 pixels', async () => { await (await visit('en', 1280, 'jeanne.rousseau', 'console-en-1280')).close(); });

test('the same in French at 1280 pixels; then an identity provider is tried', async () => {
  const v = await visit('fr', 1280, 'lucas.ndiaye', 'console-fr-1280');
  try {
    await v.page.goto(`${world.issuer}/partenaires`);
    await v.follow('Atelier numérique');
    await v.follow(t('team.providers.new'));
    await v.see('provider-form');
    for (const [k, x] of [['provider_name', 'Compte Canari'], ['issuer', up.issuer], ['client_id', up.client], ['secret', up.secret]]) await v.page.locator(`#${k}`).fill(x);
    await v.press(t('provider_new.send'));
    await v.see('provider-new');
    up.break = { metadata: { end_session_endpoint: undefined }, claims: { nonce: 'wrong' } };
    await v.press(t('provider.check'));
    await v.follow(t('provider.trial'));
    await v.has(t('check.nonce.wrong').replace(/\s+/g, ' '));
    await v.see('provider-failing');
    up.break = {};
    await v.press(t('provider.check'));
    await v.follow(t('provider.trial'));
    await v.see('provider-ready');
    await v.follow(t('provider.logout'));
    await v.page.setViewportSize({ width: 320, height: 900 });
    await v.see('provider-narrow');
  } finally {
    await v.close();
  }
});

test('with the keyboard alone: a team, a client, its keys', async () => {
  const v = await Visit.open(browser, { name: 'console-keys', lang: 'en', width: 1280 });
  try {
    await open(v, world.account('fatima.benkacem'));
    await v.keyType(v.page.locator('#team_name'), 'Keyboard team');
    await v.keyPress(v.button(t('home.create', 'en')));
    await v.keyPress(v.link(t('team.clients.new', 'en')));
    await v.keyType(v.page.locator('#client_name'), 'Keyboard service');
    await v.keyPress(v.button(t('client_new.send', 'en')));
    await v.has(t('keys.once', 'en'));
  } finally {
    await v.close();
  }
});

test('an organisation’s agents have its team on its own site', async () => {
  const v = await Visit.open(browser, { name: 'console-agent', lang: 'fr', width: 1280 });
  try {
    await v.page.goto(`${world.townUrl}/partenaires`);
    await signIn(v, world.agent);
    await v.has(t('team.members.org'));
    await v.see('agents-team');
    await v.follow(t('team.clients.new'));
    await v.page.locator('#client_name').fill('Guichet de la ville');
    await v.press(t('client_new.send'));
    const id = await v.page.locator('dd code').first().innerText();
    assert.match(platform.json(['client', 'show', id]).org, /ville/);
  } finally {
    await v.close();
  }
});
