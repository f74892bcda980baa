// What a service gets from the platform without writing it: integrity, confidentiality, control of
// access, history and proof. The sample is the story's own service, which is declarations; each
// property has its negative.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, root, run, sleep, until } from '../lib/platform.mjs';
import { Client, send } from '../lib/http.mjs';
import { World, call, fileProcedure, tokensFor, walkSignIn } from '../lib/story.mjs';

const sample = join(root, 'services/address-change');
let platform, world, filed;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  filed = await fileProcedure(world, world.citizen);
  await sleep(1500);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

const files = (dir) => readdirSync(dir).flatMap((n) => {
  const p = join(dir, n);
  return statSync(p).isDirectory() ? (n === 'test' ? [] : files(p)) : [p];
});

test('[2.1.1.d] the sample is under 200 lines and none of them is about protection', () => {
  const own = files(sample);
  const lines = own.reduce((n, f) => n + readFileSync(f, 'utf8').split('\n').length, 0);
  assert.ok(lines < 200, `${lines} lines`);
  assert.ok(own.every((f) => /\.(json|md|html|sql)$/.test(f)), 'declarations only');
});

test('[2.1.1.d] integrity: a byte changed in the journal does not pass', () => {
  const copy = join(platform.folder, 'copy');
  cpSync(platform.journalFolder, copy, { recursive: true });
  assert.equal(run(['journal', 'verify', copy]).code, 0);
  const bundle = readdirSync(join(copy, 'tile/entries'), { recursive: true }).map((n) => join(copy, 'tile/entries', n)).filter((p) => statSync(p).isFile()).sort((a, b) => statSync(b).size - statSync(a).size)[0];
  const bytes = readFileSync(bundle);
  bytes[bytes.length >> 1] ^= 0x20;
  writeFileSync(bundle, bytes);
  assert.notEqual(run(['journal', 'verify', copy]).code, 0);
});

test('[2.1.1.d] confidentiality: nothing she typed is readable in what is kept', () => {
  const kept = ['db', 'journal', 'spool'].map((d) => join(platform.data, d)).flatMap((d) => { try { return files(d); } catch { return []; } });
  assert.ok(kept.length > 3);
  for (const f of kept) assert.ok(!readFileSync(f).includes('8 rue de Strasbourg'), f);
});

test('[2.1.1.d] access: neither another citizen nor an agent of another body', async () => {
  const url = filed.client.page.url;
  for (const [where, login] of [[`${world.townUrl}/connexion`, 'jeanne.rousseau'], [`${world.townUrl}/agent`, 'karim.haddad']]) {
    const c = new Client();
    await c.go(where);
    await walkSignIn(c, world.account(login));
    assert.ok([403, 404].includes((await c.go(url)).status) || !c.text.includes(filed.number), login);
  }
  assert.ok([302, 303].includes((await send(url)).status), 'nor somebody who is not signed in');
});

test('[2.1.1.d] history: she reads who used what for it; another does not', async () => {
  const c = new Client();
  await c.go(`${platform.base}/account/uses`);
  await walkSignIn(c, world.citizen);
  const page = await until('the uses are there', async () => { const r = await c.go(`${platform.base}/account/uses`); return r.text.includes('class="use') && r; });
  assert.ok(page.text.includes(world.town.name.fr), 'the town is named');
  const other = new Client();
  await other.go(`${platform.base}/account/uses`);
  await walkSignIn(other, world.account('lucas.ndiaye'));
  assert.ok(!other.page.text.includes(filed.number));
  const proof = /href="(\/account\/uses\/[0-9A-Z]{26})"/.exec(page.text)[1];
  assert.equal((await other.go(`${platform.base}${proof}`)).status, 404, 'nor a proof of hers');
});

test('[2.1.1.d] trust: the receipt’s act is proved offline; a proof of another entry is not taken for it', async () => {
  const t = await tokensFor(world, world.citizen, { client: world.town, scope: 'openid famille_foyer' });
  const ids = [];
  for (let i = 0; i < 2; i++) ids.push((await call(world, '/gw/famille/v1/foyer', t.access_token)).headers['socle-entry']);
  const proofs = [];
  for (const id of ids) proofs.push(await until('it is proved', () => { const r = platform.command(['journal', 'prove', id]); return r.code === 0 && r.stdout; }));
  const file = join(platform.folder, 'proof');
  writeFileSync(file, proofs[0]);
  assert.equal(run(['journal', 'verify', file]).code, 0);
  const index = (p) => /^index (\d+)$/m.exec(p)[1];
  writeFileSync(file, proofs[0].replace(/^index \d+$/m, `index ${index(proofs[1])}`));
  assert.notEqual(run(['journal', 'verify', file]).code, 0);
});
