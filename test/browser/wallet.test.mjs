// The pages of a wallet in Chromium without scripts: what they look like, and that the page with the
// code goes on by itself when the wallet has answered.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Platform } from '../lib/platform.mjs';
import { Visit, launch } from '../lib/browser.mjs';
import { text } from '../lib/text.mjs';
import { Wallet, identity, readCode, trustWallets } from '../lib/wallet.mjs';

let platform, browser, issuer;
before(async () => {
  platform = await Platform.start();
  ({ issuer } = await trustWallets(platform));
  browser = await launch();
}, { timeout: 180000 });
after(async () => { await browser?.close(); await platform?.destroy(); });

for (const [lang, width] of [['fr', 320], ['en', 1280]])
  test(`a wallet signs in from another device: ${lang}, ${width} pixels`, async () => {
    const v = await Visit.open(browser, { name: `wallet-${lang}-${width}`, lang, width });
    const wallet = new Wallet(), name = text('identity', 'wallet.title', lang);
    await v.page.goto(`${platform.base}/connexion?return=/account`);
    await v.see('choose');
    await v.follow(lang === 'fr' ? 'Portefeuille d’identité' : 'Identity wallet');
    await v.see('wait');
    await v.has(name);
    const request = await wallet.ask(readCode(await v.page.content()));
    const r = await wallet.answer(request, await issuer.issue(identity, wallet.jwk));
    assert.equal(r.status, 200, r.text);
    await v.page.waitForURL(/\/account$/, { timeout: 60000 });
    await v.has('Inès Marie');
    await v.close();
  });

test('an answer that proves nothing, and one on the same device', async () => {
  const v = await Visit.open(browser, { name: 'wallet-refused', lang: 'fr', width: 1280 });
  const wallet = new Wallet(), stranger = new Wallet();
  await v.page.goto(`${platform.base}/connexion?return=/account`);
  await v.follow('Portefeuille d’identité');
  const same = await wallet.ask(await v.link('Ouvrir mon portefeuille').getAttribute('href'));
  const good = await wallet.answer(same, await issuer.issue(identity, wallet.jwk));
  await v.page.reload();
  await v.see('answered');
  await v.page.goto(good.json.redirect_uri);
  await v.has('Inès Marie');
  await v.context.clearCookies();
  await v.page.goto(`${platform.base}/connexion?return=/account`);
  await v.follow('Portefeuille d’identité');
  const bad = await wallet.answer(await wallet.ask(readCode(await v.page.content())), await issuer.issue(identity, wallet.jwk), { pair: stranger.pair });
  assert.equal(bad.status, 400);
  await v.page.reload();
  await v.see('refused');
  await v.has('IDT-403-WALLET');
  await v.close();
});
