// Somebody who builds a service, at the partners' console without a browser.
import assert from 'node:assert/strict';
import { Client, words } from './http.mjs';
import { walkSignIn } from './story.mjs';
import { text } from './text.mjs';

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
