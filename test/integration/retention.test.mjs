// What is kept no longer than it should be: sign-ins for 36 months, in the journal too.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, until } from '../lib/platform.mjs';
import { Client, words } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';

const T = (key) => text('accounts', key, 'fr');
const MONTH = 2629746000, EMAIL = 'camille@exemple.fr', PASSWORD = 'cheval agrafe pile correcte';
let platform;
before(async () => { platform = await Platform.start({ demo: false, args: ['--own-accounts=yes'] }); }, { timeout: 120000 });
after(async () => { await platform?.destroy(); }, { timeout: 60000 });

const arrive = async () => { const p = new Client(); await p.go(`${platform.base}/connexion?return=/account/sign-ins`); await p.follow(/Compte Socle/); return p; };
const signIn = async () => { const p = await arrive(); await p.press(T('signin.button'), { email: EMAIL, password: PASSWORD }); return p; };
const at = (months) => platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(months * MONTH) } });
// The rows say their kind in clear; what they tell is sealed. An erased one says nothing.
const rows = (kind) => { const f = join(platform.data, 'journal/side/rows'); return existsSync(f) ? readFileSync(f, 'latin1').split(kind).length - 1 : 0; };
const shown = async (p, months = '') => { await p.go(`${platform.base}/account/sign-ins${months}`); return (p.page.text.match(/<li class="use">/g) ?? []).length; };

test('sign-ins of more than 36 months are erased from the journal, others stay, and so do all proofs', { timeout: 120000 }, async () => {
  const p = await arrive();
  await p.follow(T('signin.new.button'));
  await p.press(T('register.button'), { email: EMAIL, password: PASSWORD });
  const first = await signIn();
  await until('it is in the history', async () => await shown(first) === 1);
  await at(7);
  const second = await signIn();
  await until('it is in the history', async () => await shown(second) === 1);
  assert.ok(second.text.includes(words(text('account', 'signins.older', 'fr').replace('{{kept}}', '36'))), 'older ones on demand');
  assert.equal(await shown(second, '?months=36'), 2);
  assert.equal(rows('identity.signin'), 2);
  await at(37);
  await until('the first is erased', () => rows('identity.signin') === 1);
  assert.ok(rows('accounts.created') === 1, 'what no rule names stays');
  const third = await signIn();
  await until('it is in the history', async () => await shown(third) === 1);
  assert.equal(await shown(third, '?months=36'), 2);
  const entries = platform.json(['journal', 'list', '--limit', '100']).items.map((i) => i.entry);
  assert.equal(entries.filter((e) => e.kind === 'identity.signin').length, 3, 'what they proved stays proved');
  assert.deepEqual(entries.filter((e) => e.kind === 'journal.expired').map((e) => [e.of, e.rows]), [['identity.signin', 1]], 'and the journal says what was erased');
  platform.must(['journal', 'verify']);
});

test('a rule that is none stops the start', () => {
  const r = platform.command(['serve', '--retention=identity.signin=toujours']);
  assert.notEqual(r.code, 0);
  assert.match(r.stderr, /retention is KIND=MONTHS/);
});
