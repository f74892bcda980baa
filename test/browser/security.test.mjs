// The security of the account in a real browser: sessions, devices, history, a report, a block. On a
// phone in French and on a desk in English; every page is looked at by axe-core and kept as a picture.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Platform, until } from '../lib/platform.mjs';
import { launch, Visit } from '../lib/browser.mjs';
import { World } from '../lib/story.mjs';
import { text } from '../lib/text.mjs';

let platform, world, browser;
before(async () => {
  [platform, browser] = await Promise.all([Platform.start(), launch()]);
  world = new World(platform);
}, { timeout: 120000 });
after(async () => { await browser?.close(); await platform?.destroy(); }, { timeout: 60000 });

async function signIn(v, account, path) {
  await v.page.goto(`${platform.base}${path}${path.includes('?') ? '&' : '?'}lang=${v.lang}`);
  const provider = v.page.locator('a[href*="/connexion/vers/impots-demo"]').first();
  if (await provider.count()) { await provider.click(); await v.page.waitForLoadState(); }
  if (await v.page.locator('input[type=password]').count()) {
    await v.page.locator('input[type=text], input[type=email], input:not([type])').first().fill(account.login);
    await v.page.locator('input[type=password]').fill(account.password);
    await v.page.locator('form button[type=submit]').last().click();
    await v.page.waitForLoadState();
  }
}

for (const [lang, width] of [['fr', 320], ['en', 1280]]) {
  test(`security of the account, ${lang}, ${width} px`, async () => {
    const account = world.account(lang === 'fr' ? 'yann.legoff' : 'lucas.ndiaye');
    const say = (key, module = 'safety') => text(module, key, lang);
    const other = await Visit.open(browser, { name: `security-other-${lang}`, lang, width });
    const v = await Visit.open(browser, { name: `security-${lang}-${width}`, lang, width });
    try {
      await signIn(other, account, '/account');
      await signIn(v, account, '/account/security');
      await v.has(say('home.title'));
      await v.see('security');
      await v.press(new RegExp(`^${say('devices.trust')}`));
      await v.has(say('trusted'));
      await v.press(say('sessions.end_others'));
      assert.equal(await v.button(say('sessions.end_others')).count(), 0, 'no other is left');
      await other.page.goto(`${platform.base}/account`);
      assert.match(other.page.url(), /\/connexion/, 'the other is signed out');
      await v.see('alone');
      await until('the history', async () => { await v.page.goto(`${platform.base}/account/sign-ins`); return await v.page.locator('li.use').count(); });
      await v.see('history');
      await v.follow(new RegExp(`^${say('signins.report', 'account')}`));
      await v.press(say('report.button'));
      await v.see('report-missing');
      await v.page.locator('#words').fill(lang === 'fr' ? 'Je dormais.' : 'I was asleep.');
      await v.press(say('report.button'));
      await v.has(say('reported.title'));
      await v.see('reported');
      await v.page.goto(`${platform.base}/account/security`);
      await v.follow(say('blocks.account'));
      await v.see('block');
      await v.press(say('block.account.button'));
      await v.has(say('done.account.title'));
      await v.see('blocked');
      await v.page.goto(`${platform.base}/account`);
      await v.page.locator('a[href*="/connexion/vers/impots-demo"]').first().click();
      await v.page.waitForLoadState();
      await v.has('IDT-403-BLOCKED');
      await v.see('refused');
      await v.page.goto(`${platform.base}/erreurs/IDT-403-BLOCKED`);
      await v.see('code');
    } finally {
      await other.close();
      await v.close();
    }
  });
}
