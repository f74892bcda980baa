// Auditors read the journal and operate nothing; each reading is an entry, and a person whose lines
// were read by her name is told so.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Platform, until } from '../lib/platform.mjs';
import { World, walkSignIn } from '../lib/story.mjs';
import { Client } from '../lib/http.mjs';
import { entries } from '../lib/journal.mjs';
import { text } from '../lib/text.mjs';

let platform, world, auditor, operator, auditorId, camille, camilleId;
const of = (kind) => entries(platform.journalFolder).filter((e) => e.kind === kind);
const api = async (who, query) => { const r = await who.once(`${platform.base}/api/operator/journal${query}`); return { status: r.status, json: r.status === 200 ? JSON.parse(r.text) : null, text: r.text }; };

async function signedIn(role) {
  const login = `${role}@canari.example`, k = platform.json(['user', 'add', '--login', login, '--name', role, '--role', role]);
  const c = new Client();
  await c.go(`${platform.base}/connexion/operateur?return=/operateur/journal`);
  await c.press(text('identity', 'operator.sign_in', c.lang), { login, password: k.password });
  assert.match(c.page.url, /\/operateur\/journal$/);
  return [c, k.id];
}

before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  [auditor, auditorId] = await signedIn('auditor');
  [operator] = await signedIn('admin');
  camille = new Client();
  await camille.go(`${platform.base}/connexion?return=/account`);
  await walkSignIn(camille, world.citizen);
  await until('her sign-in is in the journal', () => of('identity.signin').length > 0);
  const mine = of('identity.signin').at(-1);
  for (const p of platform.json(['person', 'list']).items.filter((x) => x.realm === 'citizens')) {
    const found = await api(operator, `?person=${encodeURIComponent(p.id)}`);
    if (found.json.items.some((i) => i.entry.id === mine.id)) camilleId = p.id;
  }
  assert.ok(camilleId, 'her reference');
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

test('[2.1.1.d4] an auditor reads the journal, by page and by API, and none of what operates', { timeout: 60000 }, async () => {
  assert.equal((await auditor.go(`${platform.base}/operateur/journal?kind=identity.signin`)).status, 200);
  assert.ok(auditor.text.includes('identity.signin'));
  const found = await api(auditor, '?kind=identity.signin');
  assert.equal(found.status, 200, found.text);
  assert.ok(found.json.items.length > 0 && found.json.items.every((i) => i.entry.kind === 'identity.signin'));
  for (const path of ['/operateur/traces', '/operateur/alertes', '/operateur/signalements', '/operateur/catalogue', '/operateur/contrats'])
    assert.equal((await auditor.once(`${platform.base}${path}`)).status, 303, path);
  assert.equal((await api(operator, '?kind=identity.signin')).status, 200, 'an operator may too');
  for (const who of [new Client(), camille]) assert.equal((await api(who, '?kind=identity.signin')).status, 403);
  assert.equal((await api(auditor, '?from=hier')).status, 422);
});

test('[2.1.1.d4] each reading is an entry: who, what, when; the words are for those who may read the journal', { timeout: 60000 }, async () => {
  const since = Date.now();
  await api(auditor, '?purpose=recherche-unique-42&kind=identity.signin');
  const note = await until('it is in the journal', () => of('audit.search').find((e) => e.actor === auditorId && e.at >= since), { timeoutMs: 60000 });
  assert.ok(!JSON.stringify(entries(platform.journalFolder)).includes('recherche-unique-42'), 'not in the public leaf');
  await until('it is found', async () => (await operator.go(`${platform.base}/operateur/journal?id=${note.id}`)).status === 200 && operator.text.includes('recherche-unique-42'));
  assert.ok(operator.text.includes(auditorId));
});

test('[2.1.1.d4] she sees that an auditor read her lines when the search named her, and nobody else does', { timeout: 60000 }, async () => {
  const since = Date.now(), words = 'Un auditeur de la plateforme';
  await camille.go(`${platform.base}/account/uses`);
  assert.ok(!camille.text.includes(words), 'not yet');
  await api(auditor, '?kind=identity.signin');
  assert.equal((await api(auditor, '?person=nobody-of-that-name')).json.items.length, 0);
  const found = await api(auditor, `?person=${encodeURIComponent(camilleId)}`);
  assert.ok(found.json.items.length > 0);
  const told = await until('she is told', () => of('audit.read').find((e) => e.actor === auditorId && e.at >= since), { timeoutMs: 60000 });
  assert.equal(of('audit.read').filter((e) => e.actor === auditorId).length, 1, 'once');
  assert.ok(of('audit.search').some((e) => e.id === told.object), 'it names the search');
  await until('she sees it', async () => (await camille.go(`${platform.base}/account/uses`)).status === 200 && camille.text.includes(words));
  assert.ok(camille.text.includes('Contrôler le journal'));
  assert.equal((await camille.go(`${platform.base}/account/uses/${told.id}`)).status, 200, 'with its proof');
  const other = new Client();
  await other.go(`${platform.base}/connexion?return=/account`);
  await walkSignIn(other, world.accounts.find((a) => a.realm !== 'agents' && a.login !== world.citizen.login));
  await other.go(`${platform.base}/account/uses`);
  assert.ok(!other.text.includes(words));
});
