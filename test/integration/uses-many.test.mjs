// More uses than one answer holds: the list is walked by a cursor, and the export is whole.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Platform, until } from '../lib/platform.mjs';
import { Provider, newClient, publish } from '../lib/provider.mjs';
import { World, call, tokensFor, walkSignIn } from '../lib/story.mjs';
import { Client } from '../lib/http.mjs';
import { entries } from '../lib/journal.mjs';

const USES = 620;
let platform, world, provider, client, token;
const asked = new Set();
const list = async (query = '') => { const r = await call(world, `/api/account/uses${query}`, token); assert.equal(r.status, 200, r.text); return r.json; };

before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  provider = await Provider.start(platform.ownPort(0));
  client = newClient(platform, '--scopes', 'openid account essai_lire');
  publish(platform, { client, port: provider.port });
  token = (await tokensFor(world, world.citizen, { client, scope: 'openid account essai_lire' })).access_token;
  for (let tries = 0; asked.size < USES && tries < 200; tries++)
    for (const r of await Promise.all(Array.from({ length: 20 }, () => call(world, '/gw/essai/v1/ok', token))))
      if (r.status === 200) asked.add(r.headers['socle-entry']);
  assert.ok(asked.size >= USES, `${asked.size} uses`);
  await until('all are in the journal', () => { const ids = new Set(entries(platform.journalFolder).map((e) => e.id)); return [...asked].every((id) => ids.has(id)); }, { timeoutMs: 60000, everyMs: 100 });
}, { timeout: 180000 });
after(async () => { await provider?.stop(); await platform?.destroy(); }, { timeout: 60000 });

test('[P2.1.3] the list of uses is walked to its end by a cursor, each use once, while new ones come', { timeout: 120000 }, async () => {
  const first = await until('the first page is full', async () => { const l = await list(); return l.next && l; });
  assert.equal(first.items.length, 500);
  const fresh = await call(world, '/gw/essai/v1/ok', token);
  for (const limit of [500, 97]) {
    const seen = [];
    let cursor = limit === 500 ? first.next : (await list('?limit=1')).next, pages = 0;
    if (limit === 500) seen.push(...first.items.map((i) => i.entry));
    for (; cursor && pages < 100; pages++) {
      const page = await list(`?limit=${limit}&before=${cursor}`);
      seen.push(...page.items.map((i) => i.entry));
      cursor = page.next;
    }
    assert.equal(new Set(seen).size, seen.length, 'none twice');
    const missing = [...asked].filter((id) => !seen.includes(id));
    assert.ok(missing.length <= (limit === 500 ? 0 : 1), `${missing.length} missing of ${asked.size}`);
    if (limit === 500) assert.ok(!seen.includes(fresh.headers['socle-entry']), 'what came meanwhile is not slipped in');
  }
});

test('a cursor or a limit that is none is refused', async () => {
  for (const q of ['?before=x', '?before=1', '?before=0.x', '?limit=0', '?limit=501', '?limit=x']) {
    const r = await call(world, `/api/account/uses${q}`, token);
    assert.ok(r.status >= 400 && r.status < 500, `${q}: ${r.status}`);
  }
});

test('[P2.1.3] the export holds every use, and by kind or word those alone', { timeout: 120000 }, async () => {
  const camille = new Client();
  await camille.go(`${platform.base}/connexion?return=/account`);
  await walkSignIn(camille, world.citizen);
  const csv = async (q = '') => (await camille.once(`${platform.base}/account/uses?format=csv${q}`)).text;
  const whole = await until('the last one is in it', async () => { const t = await csv(); return [...asked].every((id) => t.includes(id)) && t; });
  const lines = whole.trim().split('\n');
  assert.equal(new Set(lines).size, lines.length, 'no line twice');
  const none = await csv('&q=zzzznothing');
  assert.equal(none.trim().split('\n').length, 1);
});
