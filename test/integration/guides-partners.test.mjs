// Two more guides as somebody who copies them: buttons in a service's pages, with a datum shared by one
// of them ([M034]), and an identity provider of one's own.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, Visit } from '../lib/browser.mjs';
import { Developer } from '../lib/console.mjs';
import { Newcomer, guide } from '../lib/guide.mjs';
import { Client, forms, links } from '../lib/http.mjs';
import { Platform, root, until } from '../lib/platform.mjs';
import { World, walkSignIn } from '../lib/story.mjs';
import { text } from '../lib/text.mjs';

let platform, world;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
}, { timeout: 180000 });
after(async () => {
  Newcomer.end();
  await platform?.destroy();
}, { timeout: 60000 });

const withModules = (n) => symlinkSync(join(root, 'test/node_modules'), join(n.folder, 'node_modules'));

test('[M034] buttons: she signs in, shares a datum for six months, opens her space, ends it; from the guide alone', { timeout: 120000 }, async () => {
  const g = guide('BUTTON.md'), n = new Newcomer(world, 'button', platform.ownPort(0));
  n.values.push([/\bORG\b/g, platform.json(['org', 'list'])[0].id]);
  n.makeClient(g.sh[0]);
  n.sh(g.sh[1]);
  for (const [name, body] of [['page.html', g.html[0]], ['boutons.css', g.css[0]], ['service.mjs', g.js[0]]]) writeFileSync(join(n.folder, name), name === 'page.html' ? n.filled(body) : body);
  withModules(n);
  await n.start(g.sh[2]);
  const night = () => n.sh(g.sh[3]).trim();

  const person = new Client();
  await person.go(`${n.self}/`);
  assert.match(person.page.headers['content-security-policy'], /default-src 'none'/);
  await person.follow('S’identifier');
  await walkSignIn(person, world.citizen);
  assert.match(person.text, /Bonjour Camille( Anne)? MARTIN/);
  assert.equal(night(), '', 'nothing lasts that she did not give');
  await person.follow('Partager la composition de mon foyer');
  assert.ok(person.text.includes('Calculer votre aide chaque mois') && person.text.includes('pendant six mois, jusqu’au'), person.text);
  await person.press(text('identity', 'consent.agree', 'fr'));
  assert.equal(person.page.url, `${n.self}/`);
  const data = JSON.parse(await until('the contract counts', () => { const s = night(); return !s.includes('EXC-403-CONTRACT') && s; }, { timeoutMs: 60000 }));
  assert.ok(data.quotient_familial && data.foyer?.enfants?.length, JSON.stringify(data));
  assert.equal(JSON.parse(night()).quotient_familial.valeur, data.quotient_familial.valeur, 'and again');

  await person.follow('Mon espace personnel');
  assert.equal(new URL(person.page.url).pathname, '/account/spaces');
  await person.follow('Revenir à Aide au logement');
  assert.match(person.text, /Bonjour/, 'signed in without a question');
  await person.go(`${world.issuer}/account/access`);
  await person.press(forms(person.page.text).find((f) => f.buttons.some((b) => b.text.includes('Aide au logement'))).buttons[0].text);
  assert.equal(night(), 'Accès terminé');
  await person.go(`${n.self}/partager`);
  assert.ok(person.text.includes('pendant six mois, jusqu’au'), 'asked again once it has ended');
  await person.press(text('identity', 'consent.refuse', 'fr'));
  assert.match(person.text, /Bonjour/);
  assert.equal(night(), '');

  const browser = await launch();
  try {
    for (const width of [320, 1280]) {
      const v = await Visit.open(browser, { name: `bouton-${width}`, width });
      await v.page.goto(`${n.self}/`);
      await v.see('service');
      await v.follow('Mon espace personnel');
      assert.equal(new URL(v.page.url()).origin, world.issuer, 'the button opens the platform, from another origin');
      await v.page.goto(`${n.self}/partager`);
      await v.page.locator('ul.cards a').first().click();
      await v.page.locator('input[type=text], input:not([type])').first().fill(world.citizen.login);
      await v.page.locator('input[type=password]').fill(world.citizen.password);
      await v.page.locator('form button[type=submit]').last().click();
      await v.page.getByRole('button', { name: text('identity', 'consent.agree', 'fr') }).waitFor();
      await v.see('accord');
      await v.close();
    }
  } finally {
    await browser.close();
  }
});

// Its development pages: a name, then an agreement.
async function atProvider(http, at) {
  for (let i = 0; i < 6 && http.page.url.startsWith(at); i++) {
    if (/name="login"/.test(http.page.text)) await http.press('Sign-in', { login: 'cm-1', password: 'x' });
    else await http.press('Continue');
  }
}

test('an identity provider: registered, checked, signed in through; then in the sandbox of the console; from the guide alone', { timeout: 120000 }, async () => {
  const g = guide('IDENTITY_PROVIDER.md'), port = platform.ownPort(1), at = `http://127.0.0.1:${port}`;
  const n = new Newcomer(world, 'provider', port);
  n.values.unshift(['127.0.0.1:9100', `127.0.0.1:${port}`], ['PORT=9100', `PORT=${port}`]);
  withModules(n);
  writeFileSync(join(n.folder, 'provider.mjs'), g.js[0]);
  writeFileSync(join(n.folder, 'mon-compte.json'), g.json[0]);
  const running = await n.start(g.sh[0]);
  assert.match(n.sh(g.sh[1]), /\/connexion\/retour\/mon-compte/);
  assert.match(n.sh(g.sh[2]), /^pass +keys/m);

  const person = new Client();
  const offered = await until('it is on the page of choice', async () => { await person.go(`${world.issuer}/connexion`); return links(person.page.text).find((l) => l.text.includes('Mon compte')); }, { timeoutMs: 60000 });
  await person.go(offered.href);
  await atProvider(person, at);
  assert.equal(new URL(person.page.url).pathname, '/account', person.text.slice(0, 500));
  assert.ok(person.text.includes('Camille Anne'));
  platform.must(['provider', 'disable', 'mon-compte']);
  await until('off the page of choice', async () => { const other = new Client(); await other.go(`${world.issuer}/connexion`); return !other.text.includes('Mon compte'); }, { timeoutMs: 60000 });

  // The sandbox: its two addresses are known once it is declared.
  const dev = new Developer(world, world.account('yann.legoff'));
  await dev.team('Notre compte');
  await dev.open(`${dev.teamPath}/fournisseurs/nouveau`);
  const values = /```\n(provider_name[\s\S]*?)```/.exec(readFileSync(join(root, 'docs/guides/IDENTITY_PROVIDER.md'), 'utf8'))[1];
  await dev.http.press(dev.t('provider_new.send'), Object.fromEntries(n.filled(values).trim().split('\n').map((l) => l.split(/ = (.*)/).slice(0, 2))));
  const path = new URL(dev.http.page.url).pathname;
  for (const end of ['retour', 'fin']) assert.ok(dev.http.text.includes(`${world.issuer}${path}/${end}`), dev.http.text);
  process.kill(-running.pid, 'SIGKILL');
  n.values.unshift([/RETURN=\S+/g, `RETURN=${world.issuer}${path}/retour`], [/SIGNED_OUT=\S+/g, `SIGNED_OUT=${world.issuer}${path}/fin`]);
  await n.start(g.sh[0]);
  await dev.open(path);
  await dev.http.press(dev.t('provider.check'));
  const people = () => platform.json(['person', 'list']).items.length, before = people();
  await dev.http.follow(dev.t('provider.trial'));
  await atProvider(dev.http, at);
  assert.ok(dev.http.text.includes(dev.t('provider.ready')), dev.http.text);
  assert.equal(people(), before, 'a trial makes nobody');
});
