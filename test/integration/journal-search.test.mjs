// The operator searches the journal: by command and on a page, by party, kind, time, id and person; and
// whoever looks leaves a line there too.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Visit, launch } from '../lib/browser.mjs';
import { entries } from '../lib/journal.mjs';
import { Platform, until } from '../lib/platform.mjs';
import { text } from '../lib/text.mjs';
import { join } from 'node:path';

let p, browser, admin;
const search = (...args) => p.json(['journal', 'search', ...args]).items.map((i) => i.entry);
const all = () => entries(join(p.data, 'journal'));

before(async () => {
  p = await Platform.start({ demo: false, args: ['--handlers=4', '--loops=1'] });
  admin = p.json(['user', 'add', '--login', 'admin@canari.example', '--name', 'Canari Opérateur']);
  for (const name of ['agent:un', 'agent:deux']) p.must(['officer', 'add', 'org-un', name]);
  p.must(['officer', 'remove', 'org-un', 'agent:un']);
  await until('it is in the journal', () => all().some((e) => e.kind === 'officer.removed'));
  browser = await launch();
}, { timeout: 60000 });
after(async () => { await browser?.close(); await p?.destroy(); }, { timeout: 60000 });

test('[F2.1.2] the command finds entries by kind, party, time and both, newest first, and no others', async () => {
  const log = all(), ids = (list) => list.map((e) => e.id);
  const named = log.filter((e) => e.kind === 'officer.named');
  assert.equal(named.length, 2);
  assert.deepEqual(ids(search('--kind', 'officer.named')), ids(named).reverse());
  assert.deepEqual(ids(search('--party', 'org-un/agent:un')), ids(log.filter((e) => e.object === 'org-un/agent:un')).reverse());
  assert.deepEqual(ids(search('--party', 'org-un/agent:un', '--kind', 'officer.removed')), ids(log.filter((e) => e.kind === 'officer.removed')));
  const at = named[1].at, time = (ms) => new Date(ms).toISOString();
  assert.deepEqual(ids(search('--kind', 'officer.named', '--from', time(at))), [named[1].id]);
  assert.deepEqual(ids(search('--kind', 'officer.named', '--to', time(at))), [named[0].id]);
  assert.deepEqual(search('--kind', 'officer.named', '--party', 'nobody'), []);
  assert.equal(search('--limit', '1').length, 1);
  assert.equal(p.command(['journal', 'search', '--from', 'yesterday']).code, 2);
});

async function signedIn(lang, width) {
  const v = await Visit.open(browser, { name: `journal-search-${lang}-${width}`, lang, width });
  await v.page.goto(`${p.base}/operateur/journal`);
  await v.page.goto(`${p.base}/connexion/operateur?return=/operateur/journal`);
  await v.page.fill('[name=login]', 'admin@canari.example');
  await v.page.fill('[name=password]', admin.password);
  await v.press(text('identity', 'operator.sign_in', lang));
  return v;
}

test('the page searches for operators alone, and writes each search down', { timeout: 120000 }, async () => {
  const named = all().filter((e) => e.kind === 'officer.named');
  for (const [lang, width] of [['fr', 1280], ['en', 320]]) {
    const v = await signedIn(lang, width);
    await v.page.goto(`${p.base}/operateur/journal`);
    await v.see('empty');
    const before = all().filter((e) => e.kind === 'audit.search').length;
    await v.page.fill('[name=kind]', 'officer.named');
    await v.press(text('trust', 'search.button', lang));
    await v.has(named[0].id, 'the older one');
    await v.has(named[1].id, 'the newer one');
    await v.see('found');
    await until('it is in the journal', () => all().filter((e) => e.kind === 'audit.search').length === before + 1);
    const note = all().filter((e) => e.kind === 'audit.search').at(-1);
    assert.match(note.object, /^[\w-]{43}$/, 'what was asked, as a digest');
    assert.ok(!JSON.stringify(note).includes('officer.named'));
    await v.page.goto(`${p.base}/operateur/journal?id=${named[0].id}`);
    await v.has('org-un/agent:un');
    await v.page.goto(`${p.base}/operateur/journal?party=nobody-at-all`);
    await v.has(text('trust', 'search.none', lang));
    const bad = await v.page.goto(`${p.base}/operateur/journal?from=hier`);
    assert.equal(bad.status(), 422);
    await v.close();
  }
  const stranger = await Visit.open(browser, { name: 'journal-search-stranger' });
  await stranger.page.goto(`${p.base}/operateur/journal?kind=officer.named`);
  assert.ok(!(await stranger.page.content()).includes(named[0].id), 'nobody else');
  await stranger.close();
});
