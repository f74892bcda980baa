// The story, in a real browser where no script runs: a citizen moves house. She finds the procedure,
// signs in with an account she has, agrees to what the town receives, files; an agent accepts; she
// reads the decision, then who used her data, with its proof; she withdraws, and the next call is
// refused. On a phone in French, on a desk in English, and with the keyboard alone. Every state is
// looked at by axe-core and kept as a picture in build/shots.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, run, sleep, until } from '../lib/platform.mjs';
import { launch, Visit } from '../lib/browser.mjs';
import { World, call, tokensFor } from '../lib/story.mjs';
import { pattern, text } from '../lib/text.mjs';

let platform, world, browser;
before(async () => {
  [platform, browser] = await Promise.all([Platform.start(), launch()]);
  world = new World(platform);
}, { timeout: 180000 });
after(async () => {
  await browser?.close();
  await platform?.destroy();
}, { timeout: 120000 });

// Steps build on one another: once one fails, those that follow are not reached.
function chain(t) {
  let broken = null;
  return (name, fn) => t.test(name, async () => {
    if (broken) throw new Error(`not reached: "${broken}" failed`);
    broken = name;
    await fn();
    broken = null;
  });
}

// ---- steps ----------------------------------------------------------------------------------------
async function find(v, typed) {
  await v.page.goto(`${platform.base}/?lang=${v.lang}`);
  await v.see('home');
  await v.page.getByRole('searchbox').fill('zzzz qqqq');
  await v.press(text('platform', 'action.search', v.lang));
  await v.see('home-nothing-found');
  await v.page.getByRole('searchbox').fill(typed);
  await v.press(text('platform', 'action.search', v.lang));
  await v.see('home-found');
  const first = v.page.locator('ul.cards a').first();
  await first.click();
  await v.page.waitForLoadState();
  assert.equal(new URL(v.page.url()).origin, world.townUrl, 'the procedure is at the town’s own site');
  await v.see('procedure-start');
}

async function signIn(v, account, { tagged = 'citizen' } = {}) {
  const p = (key) => pattern('identity', key, v.lang);
  for (let i = 0; i < 10; i++) {
    const h1 = (await v.page.locator('h1').first().innerText()).replace(/\s+/g, ' ');
    if (await v.page.locator('input[type=password]').count()) {
      if (v.seen.filter((s) => s === `${tagged}-provider`).length === 0) {
        await v.see(`${tagged}-provider`);
        // A slip of the hand first: the words typed stay, and the page says what is wrong.
        await v.page.locator('input[type=text], input[type=email], input:not([type])').first().fill(account.login);
        await v.page.locator('input[type=password]').fill('wrong-password');
        await v.page.locator('form button[type=submit]').last().click();
        await v.page.waitForLoadState();
        await v.see(`${tagged}-provider-wrong`);
      }
      await v.page.locator('input[type=text], input[type=email], input:not([type])').first().fill(account.login);
      await v.page.locator('input[type=password]').fill(account.password);
      await v.page.locator('form button[type=submit]').last().click();
    } else if (p('choose.title').test(h1)) {
      assert.equal(new URL(v.page.url()).origin, new URL(world.issuer).origin, 'the choice is the issuer’s');
      await v.see(`${tagged}-choose`);
      const named = v.page.locator('ul.cards').getByText(account.provider, { exact: false });
      await ((await named.count()) ? named.first() : v.page.locator('ul.cards a, ul.cards button').first()).click();
    } else if (p('consent.title').test(h1)) {
      await v.see(`${tagged}-consent`);
      if (v.onConsent) await v.onConsent();
      await v.button(text('identity', 'consent.agree', v.lang)).click();
    } else if (p('info.title').test(h1)) {
      await v.see(`${tagged}-info`);
      const name = text('identity', 'info.continue', v.lang);
      await v.page.getByRole('link', { name }).or(v.page.getByRole('button', { name })).first().click();
    } else {
      return;
    }
    await v.page.waitForLoadState();
  }
  assert.fail('the sign-in does not end');
}

async function begin(v, account) {
  await v.follow(text('platform', 'identity.button', v.lang));
  await signIn(v, account);
  assert.equal(new URL(v.page.url()).origin, world.townUrl, 'back at the town');
  await v.see('procedure-signed-in');
  await v.press(text('procedures', 'start.button', v.lang));
}

const proceed = (v) => v.press(text('platform', 'action.continue', v.lang));

async function fill(v) {
  const sourced = pattern('platform', 'field.source', v.lang);
  // 1: identity and household, from the issuer and from the family fund.
  await v.see('form-household');
  await v.has(v.who.name, 'her name came with the sign-in');
  assert.ok((await v.page.locator('[name=enfants]').inputValue()).includes(v.who.child), 'her children came from the family fund');
  assert.match(await v.words(), sourced, 'each value names its source and date');
  assert.equal(await v.page.locator('input[name=nom]:not([type=hidden])').count(), 0, 'what the law fixes cannot be typed over');
  await proceed(v);
  // 2: the former address, from the tax office; she corrects the street.
  await v.see('form-former-address');
  const street = v.page.locator('input[name=ancienne_voie]');
  assert.ok((await street.inputValue()).includes(v.who.street), 'her former street came from the tax office');
  assert.match(await v.words(), sourced);
  await street.fill(`bis ${await street.inputValue()}`);
  await proceed(v);
  // 3: what nobody knows yet. Sent empty first: the errors say what to do, and link to the fields.
  await v.see('form-new-address');
  await proceed(v);
  await v.see('form-new-address-errors');
  assert.ok((await v.page.title()).startsWith(text('platform', 'error.prefix', v.lang).trim()), 'the title says that there is an error');
  const jump = v.page.locator('.error-summary a, [role=alert] a').first();
  const target = (await jump.getAttribute('href')).slice(1);
  await jump.click();
  assert.equal(await v.page.locator(`[id="${target}"]`).count(), 1, 'the error links to its field');
  await v.page.locator('input[name="date.day"]').fill('14');
  await v.page.locator('input[name="date.month"]').fill('11');
  await v.page.locator('input[name="date.year"]').fill('2026');
  await v.page.locator('input[name=nouvelle_voie]').fill('8 rue de Strasbourg');
  const town = v.page.locator('[name=nouvelle_commune]').first();
  await town.fill('nantes');
  await proceed(v);
  if (await v.page.locator('input[type=radio][name=nouvelle_commune]').count()) { // several communes answer to the name
    await v.see('form-which-commune');
    await v.page.locator('input[type=radio][name=nouvelle_commune]').first().check();
    await proceed(v);
  }
}

async function submit(v) {
  await v.see('check-answers');
  await v.has(/bis \d+/, 'her correction stands');
  await v.has('Nantes');
  const ticks = v.page.locator('form input[type=checkbox]');
  for (let i = 0; i < await ticks.count(); i++) await ticks.nth(i).check();
  await v.press(text('procedures', 'check.button', v.lang));
  await v.see('receipt');
  const number = (await v.page.locator('.receipt .number').innerText()).trim();
  assert.match(number, /\d{4}/, 'the receipt has a number');
  assert.ok(await v.page.locator('.facts time[datetime]').count(), 'the receipt has its time');
  assert.match(await v.words(), /[A-Za-z0-9_+/=-]{43,}|([0-9a-f]{4,} ?){8,}/, 'the receipt has a digest');
  await v.follow(text('procedures', 'receipt.follow', v.lang));
  await v.see('dossier-filed');
  return { number, url: v.page.url() };
}

async function instruct(lang, number) {
  const v = await Visit.open(browser, { name: `${lang}-agent`, lang, width: 1280 });
  await v.page.goto(`${world.townUrl}/agent?lang=${lang}`);
  await signIn(v, world.agent, { tagged: 'agent' });
  await v.see('agent-list');
  await v.page.getByRole('searchbox').first().fill(number);
  await v.press(text('platform', 'action.search', lang));
  await v.see('agent-list-found');
  await v.page.getByRole('link', { name: number }).first().click();
  await v.page.waitForLoadState();
  await v.see('agent-dossier');
  await v.has(/bis \d+/, 'the agent reads what she corrected');
  const start = v.button(text('procedures', 'agent.start.button', lang));
  if (await start.count()) {
    await start.click();
    await v.page.waitForLoadState();
    await v.see('agent-dossier-started');
  }
  // Without a choice: an error, not a decision.
  await v.press(text('procedures', 'agent.decide.button', lang));
  await v.see('agent-decide-error');
  await v.page.getByLabel(text('procedures', 'agent.decide.accept', lang)).check();
  await v.press(text('procedures', 'agent.decide.button', lang));
  await v.see('agent-confirm');
  await v.press(text('procedures', 'agent.confirm.accept.button', lang));
  await v.see('agent-decided');
  await v.close();
}

async function readUses(v) {
  await v.page.goto(`${platform.base}/account?lang=${v.lang}`);
  await signIn(v, v.who.account);
  await v.see('account');
  await v.page.goto(`${platform.base}/account/uses?lang=${v.lang}`);
  await v.see('uses');
  const use = v.page.locator('li.use').filter({ hasText: v.lang === 'fr' ? 'Ville de Nantes' : 'City of Nantes' }).first();
  const said = (await use.innerText()).replace(/\s+/g, ' ');
  for (const key of ['use.what', 'use.why', 'use.from']) assert.ok(said.toLowerCase().includes(text('platform', key, v.lang).toLowerCase()), `${key} is said: ${said}`);
  assert.ok(await use.locator('time[datetime]').count(), 'when is said');
  assert.ok(await use.locator('dd .muted').count(), `the legal basis is said: ${said}`);
}

async function proof(v) {
  const deadline = Date.now() + 15000;
  await v.page.locator('li.use .proof a').first().click();
  await v.page.waitForLoadState();
  while ((await v.words()).includes(text('account', 'proof.pending.title', v.lang)) && Date.now() < deadline) { await sleep(300); await v.page.reload(); }
  await v.has(text('account', 'proof.ok.title', v.lang));
  await v.see('proof');
  const [download] = await Promise.all([v.page.waitForEvent('download'), v.link(text('account', 'proof.download', v.lang)).click()]);
  const file = join(platform.folder, `${v.name}-${download.suggestedFilename()}`);
  await download.saveAs(file);
  return file;
}

// ---- passes ---------------------------------------------------------------------------------------
// Two people, so that each pass is somebody's first time.
for (const { lang, width, typed, who } of [
  { lang: 'fr', width: 320, typed: 'je demenaje', who: { login: 'camille.martin', name: 'MARTIN', child: 'Inès', street: 'rue des Capucins' } },
  { lang: 'en', width: 1280, typed: 'moving hous', who: { login: 'jeanne.rousseau', name: 'DUPONT-ÉTIENNE', child: 'Maël', street: 'place de l’Église' } },
]) {
  test(`[2.1.1] the story in ${lang === 'fr' ? 'French on a phone' : 'English on a desk'}`, { timeout: 400000 }, async (t) => {
    const step = chain(t), where = `(${lang}, ${width} px)`;
    const v = await Visit.open(browser, { name: `${lang}-${width}`, lang, width, height: width < 500 ? 700 : 900 });
    t.after(() => v.close());
    v.who = { ...who, account: world.account(who.login) };
    let filed, file, consent;

    await step(`[2.1.1.e] she finds the procedure in her own words, misspelt ${where}`, () => find(v, typed));
    await step(`[2.1.1] she signs in with an account she has, and sees what the town will receive ${where}`, async () => {
      v.onConsent = async () => {
        consent = await v.words();
        for (const key of ['consent.what', 'consent.from', 'consent.to', 'consent.why', 'consent.how_long']) await v.has(new RegExp(text('identity', key, lang), 'i'), key);
      };
      await begin(v, v.who.account);
      assert.ok(consent, 'she was asked');
    });
    await step(`[2.1.1.c] the form comes prefilled from two other bodies, each value with its source; she corrects one ${where}`, () => fill(v));
    await step(`[2.1.1] she submits and gets a receipt with number, time and digest ${where}`, async () => { filed = await submit(v); });
    await step(`[2.1.1] an agent of the town reads the dossier and accepts it ${where}`, () => instruct(lang, filed.number));
    await step(`[2.1.1.e] she reads the decision ${where}`, async () => {
      await v.page.goto(filed.url);
      await v.see('dossier-decided');
      await v.has(text('procedures', 'state.accepted', lang));
    });
    await step(`[2.1.1.e] her account says who used which data, from whom, why, on what basis and when ${where}`, () => readUses(v));
    await step(`[2.1.1] the proof of a use verifies on her own machine, without the platform ${where}`, async () => {
      file = await proof(v);
      const good = run(['journal', 'verify', file]);
      assert.equal(good.code, 0, good.stderr + good.stdout);
      const { readFileSync } = await import('node:fs');
      const bytes = readFileSync(file);
      bytes[Math.floor(bytes.length / 2)] ^= 1;
      writeFileSync(`${file}.altered`, bytes);
      assert.notEqual(run(['journal', 'verify', `${file}.altered`]).code, 0, 'an altered proof is refused');
    });
    await step(`[P5.1.4.a] she withdraws her consent; the town’s next call to that API gets 403 within 1 s ${where}`, async () => {
      // The town's own token for her, of before the withdrawal.
      const token = await tokensFor(world, v.who.account, { client: world.town, scope: 'openid famille_foyer adresse_fiscale' });
      assert.equal((await call(world, '/gw/famille/v1/foyer', token.access_token)).status, 200, 'the call is accepted before');
      await v.page.goto(`${platform.base}/account/consents?lang=${lang}`);
      await v.see('consents');
      const card = v.page.locator('li.card').filter({ hasText: lang === 'fr' ? /foyer/i : /household/i }).first();
      await card.getByRole('link', { name: text('account', 'consents.withdraw', lang) }).click();
      await v.page.waitForLoadState();
      await v.see('consent-withdraw');
      await v.button(text('account', 'withdraw.button', lang)).click();
      await v.page.waitForLoadState();
      const at = Date.now();
      let last;
      do { // not as fast as it goes: that would be the contract's quota of a minute
        await sleep(10);
        last = await call(world, '/gw/famille/v1/foyer', token.access_token);
      } while (last.status === 200 && Date.now() - at < 10000);
      const took = Date.now() - at;
      console.log(`figure: refused ${took} ms after the withdrawal was confirmed`);
      assert.equal(last.status, 403);
      assert.match(last.headers['content-type'], /^application\/problem\+json/);
      assert.equal(last.json.code, 'EXC-403-CONSENT');
      assert.ok(last.json.detail.length > 20, 'the problem says why');
      assert.ok(took <= 1000, `within 1 s: ${took} ms`);
      await v.see('consent-withdrawn');
      await v.page.goto(`${platform.base}/account/consents?lang=${lang}`);
      await v.has(text('account', 'consents.withdrawn', lang));
      await v.see('consents-after');
      const other = await call(world, '/gw/adresse/v1/adresse', token.access_token);
      assert.equal(other.status, 200, 'what she did not withdraw still works');
    });
    await step(`[2.1.1.e] the refused call is in her account; she signs out ${where}`, async () => {
      // The refusal is written while nobody waits for it.
      await until('the refused call is listed', async () => {
        await v.page.goto(`${platform.base}/account/uses?lang=${lang}`);
        return (await v.words()).includes(text('platform', 'use.refused', lang));
      }, { timeoutMs: 60000, everyMs: 300 });
      await v.see('uses-refused');
      await Promise.all([v.page.waitForNavigation(), v.press(text('platform', 'layout.sign_out', lang))]);
      await until('signed out', async () => {
        await v.page.goto(`${platform.base}/account?lang=${lang}`).catch(() => {}); // still being sent back from her provider
        return !(await v.words().catch(() => text('account', 'uses.title', lang))).includes(text('account', 'uses.title', lang));
      }, { timeoutMs: 60000, everyMs: 300 });
      await v.see('signed-out');
    });
  });
}

// The words of the need itself: 360 pixels, the keyboard, nothing else.
test('[2.1.1.e] find, sign in, follow and withdraw with the keyboard only, at 360 pixels', { timeout: 240000 }, async (t) => {
  const v = await Visit.open(browser, { name: 'fr-360-keyboard', lang: 'fr', width: 360, height: 740 });
  t.after(() => v.close());
  const k = (module, key) => text(module, key, 'fr');
  await v.page.goto(`${platform.base}/`);
  await v.keyType(v.page.getByRole('searchbox'), 'demenagement');
  await v.keyPress(v.button(k('platform', 'action.search')));
  await v.keyPress(v.page.locator('ul.cards a').first());
  await v.keyPress(v.link(k('platform', 'identity.button')));
  for (let i = 0; i < 8; i++) {
    const h1 = (await v.page.locator('h1').first().innerText()).replace(/\s+/g, ' ');
    if (await v.page.locator('input[type=password]').count()) {
      await v.keyType(v.page.locator('input[type=text], input[type=email], input:not([type])').first(), world.citizen.login);
      await v.keyType(v.page.locator('input[type=password]'), world.citizen.password);
      await v.keyPress(v.page.locator('form button[type=submit]').last());
    } else if (pattern('identity', 'choose.title').test(h1)) await v.keyPress(v.page.locator('ul.cards a, ul.cards button').first());
    else if (pattern('identity', 'consent.title').test(h1)) await v.keyPress(v.button(k('identity', 'consent.agree')));
    else if (pattern('identity', 'info.title').test(h1)) {
      const name = k('identity', 'info.continue');
      await v.keyPress(v.page.getByRole('link', { name }).or(v.page.getByRole('button', { name })).first());
    } else break;
  }
  await v.see('keyboard-signed-in');
  await v.page.goto(`${platform.base}/account`);
  await signIn(v, world.citizen);
  await v.keyPress(v.page.getByRole('link', { name: /\d{4}|adresse/ }).filter({ hasNot: v.page.locator('nav') }).first());
  await v.see('keyboard-follow');
  await v.page.goto(`${platform.base}/account/consents`);
  await v.keyPress(v.link(k('account', 'consents.withdraw')));
  await v.keyPress(v.button(k('account', 'withdraw.button')));
  await v.has(k('account', 'withdrawn.title'));
});

test('the legal pages, the catalogue and the faults, in both languages', { timeout: 240000 }, async (t) => {
  for (const lang of ['fr', 'en']) {
    const v = await Visit.open(browser, { name: `${lang}-pages`, lang, width: 320 });
    t.after(() => v.close());
    for (const path of ['legal', 'accessibility', 'privacy', 'security', 'sitemap', 'status', 'catalogue', 'catalogue/famille', 'no-such-page']) {
      for (const site of path.startsWith('catalogue') ? [platform.base] : [platform.base, world.townUrl]) {
        await v.page.goto(`${site}/${path}?lang=${lang}`);
        const look = await v.see(`${path.replace('/', '-')}${site === platform.base ? '' : '-town'}`);
        assert.equal(look.lang, lang, `${site}/${path} is in ${lang}`);
      }
    }
    await v.page.goto(`${platform.base}/accessibility?lang=${lang}`);
    await v.has(lang === 'fr' ? /non conforme/i : /not compliant|non-compliant/i, 'no audit yet, and the page says so');
  }
});

test('the language changes by the switch, and stays', async (t) => {
  const v = await Visit.open(browser, { name: 'switch', lang: 'fr', width: 1280 });
  t.after(() => v.close());
  await v.page.goto(`${platform.base}/`);
  await v.follow(text('platform', 'lang.other', 'fr'));
  assert.equal(await v.page.evaluate(() => document.documentElement.lang), 'en');
  await v.page.goto(`${platform.base}/legal`);
  assert.equal(await v.page.evaluate(() => document.documentElement.lang), 'en', 'the choice is remembered');
});
