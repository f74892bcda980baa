// Confidentiality at rest. The story is played with values that exist nowhere else; then everything
// the platform keeps is dumped raw (database, its side files, journal, spool, keys, logs) and searched,
// in every spelling a dump could have them.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, engine, run, sleep, until } from '../lib/platform.mjs';
import { Client } from '../lib/http.mjs';
import { World, address, call, fileProcedure, tokensFor, walkSignIn } from '../lib/story.mjs';

// What she types, and what the bodies know of her. (Not "MARTIN" nor "Nantes": the register of
// communes, which is public, has both.)
const typed = ['impasse du Canari Violet 4711'];
const known = ['camille.martin@exemple.fr', '1988-04-12', 'Camille Anne', 'rue des Capucins', '216066900112233', '119026900145566', '7712345', 'BENALI MARTIN'];
const agents = ['sophie.leroy@mairie.exemple.fr'];
let platform, world, filed;

before(async () => {
  platform = await Platform.start({ args: ['--log-level', 'debug'] });
  world = new World(platform);
  address.voie = typed[0];
  filed = await fileProcedure(world, world.citizen);
  const agent = new Client();
  await agent.go(`${world.townUrl}/agent`);
  await walkSignIn(agent, world.agent);
  const t = await tokensFor(world, world.citizen);
  for (const path of ['/gw/famille/v1/foyer', '/gw/adresse/v1/adresse']) assert.equal((await call(world, path, t.access_token)).status, 200);
  await sleep(1500);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

// A value as bytes, in both spellings of hex, and in base64 at each of its three alignments.
function spellings(value) {
  const bytes = Buffer.from(value, 'utf8'), out = [bytes, Buffer.from(bytes.toString('hex')), Buffer.from(bytes.toString('hex').toUpperCase()), Buffer.from(bytes.toString('utf16le'), 'utf16le'), Buffer.from(value, 'utf16le'), Buffer.from(encodeURIComponent(value)), Buffer.from(value.toLowerCase()), Buffer.from(value.toUpperCase())];
  for (let shift = 0; shift < 3; shift++) {
    const b = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    const inner = b.slice(shift ? Math.ceil((shift * 8) / 6) : 0, Math.floor(((shift + bytes.length) * 8) / 6));
    out.push(Buffer.from(inner), Buffer.from(inner.replaceAll('+', '-').replaceAll('/', '_')));
  }
  return out;
}

const files = (dir) => !existsSync(dir) ? [] : readdirSync(dir).flatMap((n) => {
  const p = join(dir, n), s = statSync(p, { throwIfNoEntry: false });
  return s?.isDirectory() ? files(p) : s?.isFile() ? [p] : [];
});

// Everything that is kept, as [name, bytes].
function dump() {
  // The journal's index files come and go while we read.
  const read = (f) => { try { return [[f.replace(platform.folder, ''), readFileSync(f)]]; } catch (e) { if (e.code === 'ENOENT') return []; throw e; } };
  const all = [...files(platform.data), platform.logFile].flatMap(read);
  if (engine === 'postgres') {
    const r = spawnSync('pg_dump', ['--inserts', platform.database.url], { maxBuffer: 1 << 30 });
    assert.equal(r.status, 0, String(r.stderr));
    all.push(['pg_dump', r.stdout]);
  }
  return all;
}

function search(values) {
  const found = [], everything = dump();
  assert.ok(everything.length > 5, 'there is something to search');
  for (const value of values)
    for (const s of new Set(spellings(value).filter((b) => b.length >= 6).map((b) => b.toString('latin1'))))
      for (const [name, bytes] of everything)
        if (bytes.includes(Buffer.from(s, 'latin1'))) found.push(`${value} in ${name}`);
  return [...new Set(found)];
}

test('the search finds what is there: a public value of the register, the dossier’s number in the database', () => {
  assert.ok(search(['Saint-Étienne']).length > 0, 'a commune is found');
});

test('[2.1.1.d2] no personal value of the story is in a raw dump of the database, the journal, the spool or the logs', () => {
  assert.deepEqual(search([...typed, ...known, ...agents]), []);
});

test('[2.1.1.d2] no secret is: passwords, client secrets, tokens, cookies', () => {
  const secrets = [world.citizen.password, ...world.clients.map((c) => c.client_secret), ...[...filed.client.jars.values()].flatMap((j) => [...j.values()]).filter((v) => v.length > 20)];
  assert.deepEqual(search(secrets).filter((f) => !f.includes('/keys/')), []);
});

test('[2.1.1.d2] the keys are readable by their owner only', () => {
  for (const f of files(join(platform.data, 'keys'))) assert.equal(statSync(f).mode & 0o077, 0, f);
  for (const d of ['keys', 'db', 'journal', 'spool'].map((n) => join(platform.data, n)).filter(existsSync)) assert.equal(statSync(d).mode & 0o077, 0, d);
});

test('[2.1.1.d2] erasing a person destroys her key: what was hers opens no more, what was proved stays proved', { timeout: 60000 }, async () => {
  const people = () => platform.json(['person', 'list']).items.filter((p) => p.state !== 'erased' && !p.id.startsWith('agent:'));
  const before = people();
  assert.equal(before.length, 1 + world.own_accounts.length, 'one citizen signed in so far');
  assert.doesNotMatch(JSON.stringify(platform.json(['person', 'list'])), /Camille|MARTIN|LEROY/, 'people are known by an identifier alone');
  const her = await tokensFor(world, world.citizen);
  assert.equal((await call(world, '/gw/famille/v1/foyer', her.access_token)).status, 200);
  const uses = async (c) => {
    const csv = `${platform.base}/account/uses?format=csv`;
    await c.go(csv);
    await walkSignIn(c, world.citizen);
    return (await c.go(csv)).text.trim().split('\n').length - 1;
  };
  assert.ok(await uses(her.person) >= 3, 'she reads her uses');
  assert.notEqual(platform.command(['person', 'erase', before[0].id]).code, 0, 'nobody is erased by a slip');
  platform.must(['person', 'erase', before[0].id, '--yes']);
  const refused = await until('her consent is over for the gateway', async () => { const r = await call(world, '/gw/famille/v1/foyer', her.access_token); return r.status !== 200 && r; }, { timeoutMs: 5000 });
  assert.ok([401, 403].includes(refused.status), refused.text);
  // Her sessions are over; who signs in with her account now is somebody new, with an empty past.
  const again = await until('she may come back as somebody new', () => tokensFor(world, world.citizen, { scope: 'openid' }).catch(() => null));
  assert.ok(people().every((p) => p.id !== before[0].id), 'under another identifier');
  assert.ok(await uses(again.person) <= 2, 'nothing of before is shown');
  await until('the journal verifies', () => run(['journal', 'verify', platform.journalFolder]).code === 0);
  assert.deepEqual(search(known), []);
});
