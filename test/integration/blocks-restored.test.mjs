// What was blocked stays blocked, whatever the age of the database that is restored.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, engine, sleep } from '../lib/platform.mjs';
import { Client, send, words } from '../lib/http.mjs';
import { Upstream, people } from '../lib/upstream.mjs';
import { text } from '../lib/text.mjs';

const b64 = (v) => v.toString('base64url');
let platform, upstream, client;
before(async () => {
  platform = await Platform.start({ demo: false, args: ['--allow_inside=yes'] });
  upstream = await Upstream.start(platform.ownPort(0));
  for (const id of ['un', 'deux']) platform.must(['provider', 'add', '--id', id, '--name', `Compte ${id}`, '--issuer', upstream.issuer, '--client-id', upstream.client, '--secret-stdin'], { input: `${upstream.secret}\n` });
  client = platform.json(['client', 'add', '--name', 'Service d’essai', '--redirect-uri', 'http://localhost:3000/cb', '--scopes', 'openid email offline_access']);
}, { timeout: 120000 });
after(async () => { await upstream?.stop(); await platform?.destroy(); }, { timeout: 60000 });

const basic = () => `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')}`;
const token = (form) => send(`${platform.base}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: basic() }, body: new URLSearchParams(form).toString() });
const codeOf = (p) => /<code>([A-Z]{3}-[0-9]+[A-Z-]*)<\/code>/.exec(p.page?.text ?? '')?.[1];
const somebody = (i) => ({ ...people.camille, sub: `r-${i}`, birthdate: `19${60 + i}-05-06` });

// Tokens, or the code of the page that says no.
async function signIn(who, { provider = 'un', p = new Client() } = {}) {
  const verifier = b64(randomBytes(32));
  upstream.person = who;
  p.stopAt = (a) => a.startsWith('http://localhost:3000/');
  p.stopped = null;
  await p.go(`${platform.base}/api/v2/authorize?${new URLSearchParams({ response_type: 'code', client_id: client.client_id, redirect_uri: 'http://localhost:3000/cb', scope: 'openid email offline_access', acr_values: 'eidas1', state: b64(randomBytes(16)), nonce: b64(randomBytes(18)), code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' })}`);
  if (!p.stopped) await p.follow(new RegExp(`/connexion/vers/${provider}\\b`));
  if (!p.stopped && words(p.page.text).includes(words(text('identity', 'info.title', 'fr')))) await p.press(text('identity', 'info.continue', 'fr'));
  if (!p.stopped && words(p.page.text).includes(words(text('identity', 'consent.title', 'fr')))) await p.press(text('identity', 'consent.agree', 'fr')); // access that lasts is asked for
  if (!p.stopped) return codeOf(p);
  return (await token({ grant_type: 'authorization_code', code: new URL(p.stopped).searchParams.get('code'), redirect_uri: 'http://localhost:3000/cb', code_verifier: verifier })).json;
}
const idOf = (known) => platform.json(['person', 'list']).items.map((p) => p.id).find((id) => !known.includes(id));

test('blocks in the restored journal are obeyed, and what they lifted is open, even when the database never heard of them', { timeout: 120000 }, async () => {
  const ids = [], browsers = [], got = [];
  for (let i = 0; i < 4; i++) {
    browsers.push(new Client());
    got.push(await signIn(somebody(i), { p: browsers[i] }));
    assert.ok(got[i].refresh_token, JSON.stringify(got[i]));
    ids.push(idOf(ids));
  }
  const [provider, account, lifted] = ids;
  const old = join(platform.folder, 'old'), backup = join(platform.folder, 'backup');
  let dump;
  if (engine === 'sqlite') platform.must(['backup', old]);
  else dump = spawnSync('pg_dump', ['-Fc', platform.database.url], { maxBuffer: 1 << 30 });
  platform.must(['person', 'block', provider, 'un']);
  platform.must(['person', 'block', account]);
  platform.must(['person', 'block', lifted, 'un']);
  platform.must(['person', 'unblock', lifted, 'un']);
  await sleep(2500); // the running platform seals the acts of commands
  platform.must(['backup', backup]);
  await platform.stop();
  if (engine === 'sqlite') cpSync(join(old, 'socle.db'), join(backup, 'socle.db'));
  else assert.equal(spawnSync('pg_restore', ['--clean', '--if-exists', '-d', platform.database.url], { input: dump.stdout }).status, 0);
  rmSync(platform.data, { recursive: true });
  assert.match(platform.must(['restore', backup]), /4 withdrawals, blocks and erasures obeyed/);
  await platform.begin();

  const lasts = async (t) => (await token({ grant_type: 'refresh_token', refresh_token: t.refresh_token })).status === 200;
  const isIn = async (p) => { p.stopAt = undefined; await p.go(`${platform.base}/account/security`); return words(p.page.text).includes(words(text('safety', 'home.title', 'fr'))); };
  assert.deepEqual(await Promise.all(got.map(lasts)), [false, false, false, true], 'lasting access of before the blocks');
  assert.deepEqual(await Promise.all(browsers.map(isIn)), [false, false, false, true], 'sessions of before them');
  assert.equal(await signIn(somebody(0)), 'IDT-403-BLOCKED-PROVIDER');
  assert.ok((await signIn(somebody(0), { provider: 'deux' })).access_token, 'the other provider is open');
  for (const p of ['un', 'deux']) assert.equal(await signIn(somebody(1), { provider: p }), 'IDT-403-BLOCKED');
  assert.ok((await signIn(somebody(2))).access_token, 'a block that was lifted is not set again');
  assert.ok((await signIn(somebody(3))).access_token);
});
