// Names by which services knew people before they came here: brought in by a file, and what wins.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform } from '../lib/platform.mjs';
import { World } from '../lib/story.mjs';
import { Relying } from '../lib/relying.mjs';

let platform, world, rp;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  rp = new Relying(world);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

// docs/formats/sub.md, from what userinfo says of her.
const hashOf = (p) => createHash('sha256').update(`${p.given_name}${p.family_name}${p.birthdate}${p.gender}${p.birthcountry === '99100' ? p.birthplace : ''}${p.birthcountry}`).digest('base64');
const bring = (...lines) => {
  const file = join(platform.folder, 'subs.tsv');
  writeFileSync(file, lines.map((l) => `${l.join('\t')}\n`).join(''));
  return platform.command(['client', 'subs', 'import', file]);
};
const pivotOf = async (k, account) => (await rp.userinfo((await rp.tokens(k, { scope: 'openid identite_pivot' }, { account })).access_token)).json;

test('a person has at her first sign-in the name her service knows; at other services another; a stored one wins', async () => {
  const lucas = world.account('lucas.ndiaye'), seen = rp.add('Déjà venue'), known = rp.add('Avec un passé', ['--entity', 'caisse-ancienne']), also = rp.add('De la même caisse', ['--entity', 'caisse-ancienne']);
  const pivot = await pivotOf(seen, lucas), hash = hashOf(pivot), before = `${'ab'.repeat(32)}v1`;
  const r = bring(['caisse-ancienne', hash, before], [seen.client_id, hash, 'too-late']);
  assert.equal(r.code, 0, r.stderr);
  assert.match(r.stdout, /^2 imported/);
  assert.equal((await rp.tokens(known, {}, { account: lucas })).claims.sub, before);
  assert.equal((await rp.tokens(also, {}, { account: lucas })).claims.sub, before, 'clients of one entity');
  assert.equal((await pivotOf(seen, lucas)).sub, pivot.sub, 'the stored one wins');
  assert.notEqual((await rp.tokens(known, {}, { account: world.citizen })).claims.sub, before, 'another person');
  assert.equal(bring(['caisse-ancienne', hash, before]).code, 0, 'the same again is no fault');
});

test('a file with a line that is wrong, or that contradicts, is named by its line and brings in nothing', async () => {
  const k = rp.add('Sans passé', ['--entity', 'caisse-nouvelle']), fatima = world.account('fatima.benkacem');
  const hash = hashOf(await pivotOf(rp.add('Pour lire son pivot'), fatima)), other = createHash('sha256').update('x').digest('base64');
  for (const [what, line, second] of [
    ['two fields', 2, ['caisse-nouvelle', other]], ['four', 2, ['caisse-nouvelle', other, 's', 't']], ['no SHA-256', 2, ['caisse-nouvelle', 'AAAA', 's']],
    ['a blank in the name', 2, ['caisse-nouvelle', other, 'a b']], ['no name', 2, ['caisse-nouvelle', other, '']],
    ['another name for the same person', 2, ['caisse-nouvelle', hash, 'other']], ['the same name for another person', 2, ['caisse-nouvelle', other, 'first']]]) {
    const r = bring(['caisse-nouvelle', hash, 'first'], second);
    assert.notEqual(r.code, 0, what);
    assert.match(r.stderr, new RegExp(`subs.tsv:${line}\\b`), what);
  }
  assert.match((await rp.tokens(k, {}, { account: fatima })).claims.sub, /^[0-9a-f]{64}v1$/);
  assert.notEqual(platform.command(['client', 'subs', 'import', '/nonexistent']).code, 0);
});
