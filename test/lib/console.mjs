// Somebody who builds a service, at the partners' console without a browser.
import assert from 'node:assert/strict';
import { Client, words } from './http.mjs';
import { walkSignIn } from './story.mjs';
import { pattern, text } from './text.mjs';

const rows = (html) => Object.fromEntries([...html.matchAll(/<dt>([\s\S]*?)<\/dt><dd[^>]*>([\s\S]*?)<\/dd>/g)].map((m) => [words(m[1]), words(m[2])]));

export class Developer {
  constructor(world, account, { lang = 'fr' } = {}) {
    this.world = world;
    this.account = account;
    this.http = new Client({ lang });
    this.t = (key) => text('partners', key, lang).replace(/\s+/g, ' ');
  }

  async open(path = '/partenaires') {
    await this.http.go(`${this.world.issuer}${path}`);
    await walkSignIn(this.http, this.account);
    return this.http;
  }

  async team(name) {
    await this.open();
    await this.http.press(this.t('home.create'), { team_name: name });
    this.teamPath = new URL(this.http.page.url).pathname;
    return this.teamPath;
  }

  // The keys that the page shows once.
  keys() {
    const found = rows(this.http.page.text);
    assert.ok(found.client_id, `keys on the page: ${this.http.text.slice(0, 800)}`);
    return found;
  }

  async client(values) {
    await this.open(`${this.teamPath}/clients/nouveau`);
    await this.http.press(this.t('client_new.send'), values);
    return this.keys();
  }
}

// The same walk at a browser, where the pages of signing in are not what is looked at.
export async function signInAt(v, account) {
  const p = (key) => pattern('identity', key, v.lang);
  for (let i = 0; i < 10; i++) {
    const h1 = (await v.page.locator('h1').first().innerText()).replace(/\s+/g, ' ');
    if (await v.page.locator('input[type=password]').count()) {
      await v.page.locator('input[type=text], input[type=email], input:not([type])').first().fill(account.login);
      await v.page.locator('input[type=password]').fill(account.password);
      await v.page.locator('form button[type=submit]').last().click();
    } else if (p('choose.title').test(h1)) await v.page.locator('ul.cards a, ul.cards button').first().click();
    else if (p('consent.title').test(h1)) await v.button(text('identity', 'consent.agree', v.lang)).click();
    else if (p('info.title').test(h1)) {
      const name = text('identity', 'info.continue', v.lang);
      await v.page.getByRole('link', { name }).or(v.page.getByRole('button', { name })).first().click();
    } else return;
    await v.page.waitForLoadState();
  }
  assert.fail('the sign-in does not end');
}
