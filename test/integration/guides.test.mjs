// The guides as somebody who copies them: their own blocks, run against a real platform. Nothing but
// the addresses, the folder and the secret just printed is changed in them.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { chownSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, root, until } from '../lib/platform.mjs';
import { Client } from '../lib/http.mjs';
import { Newcomer, guide } from '../lib/guide.mjs';
import { World, walkSignIn } from '../lib/story.mjs';

let platform, world;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
}, { timeout: 180000 });
after(async () => {
  Newcomer.end();
  await platform?.destroy();
}, { timeout: 60000 });

// In by /connexion, greeted by name, out by /deconnexion; and what a stranger may not do.
async function usesService(n) {
  const person = new Client();
  await person.go(`${n.self}/connexion`);
  await walkSignIn(person, world.citizen);
  assert.equal(person.page.url, `${n.self}/`);
  assert.match(person.page.text, /Bonjour Camille( Anne)? MARTIN/);
  const forged = await person.once(`${n.self}/retour?code=abc&state=forged`);
  assert.doesNotMatch(forged.text, /Bonjour/);
  assert.match((await new Client().go(`${n.self}/`)).text, /Pour vous identifier/);
  await person.go(`${n.self}/deconnexion`);
  assert.match((await person.go(`${n.self}/`)).text, /Pour vous identifier/, 'the service forgot her');
  await person.go(`${n.self}/connexion`);
  assert.ok(!person.page.url.startsWith(n.self), `signed out at the platform too: ${person.page.url}`);
}

test('a service in C, under 150 lines, from the guide alone', async () => {
  const g = guide('SERVICE_IN_C.md'), n = new Newcomer(world, 'c', platform.ownPort(0));
  assert.ok(g.c[0].trimEnd().split('\n').length < 150, `${g.c[0].trimEnd().split('\n').length} lines`);
  n.makeClient(g.sh[0]);
  writeFileSync(join(n.folder, 'service.c'), g.c[0]);
  await n.start(g.sh[1]);
  await usesService(n);
});

test('a service in Node with openid-client, from the guide alone', async () => {
  const g = guide('SERVICE_IN_NODE.md'), n = new Newcomer(world, 'node', platform.ownPort(1));
  n.makeClient(g.sh[0]);
  symlinkSync(join(root, 'test/node_modules'), join(n.folder, 'node_modules'));
  writeFileSync(join(n.folder, 'service.mjs'), g.js[0]);
  await n.start(g.sh[1]);
  await usesService(n);
});

test('a site behind Debian\u2019s Apache and mod_auth_openidc, from the guide alone', async () => {
  // Root's Apache would be www-data's in its children: everybody's own folder, and nobody's Apache.
  const folder = mkdtempSync('/tmp/socle-apache-'), asRoot = process.getuid() === 0;
  const g = guide('APACHE.md'), n = new Newcomer(world, 'apache', platform.ownPort(2), folder);
  try {
    n.makeClient(g.sh[0]);
    writeFileSync(join(folder, 'socle.conf'), n.filled(g.apache[0]));
    if (asRoot) chownSync(folder, 65534, 65534);
    await n.start(g.sh[1], { as: asRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [] });
    const person = new Client(), page = `${n.self}/prive/index.html`;
    const stranger = await new Client().once(page);
    assert.equal(stranger.status, 302, 'nobody reads it unknown');
    await person.go(page);
    await walkSignIn(person, world.citizen);
    assert.equal(person.page.url, page);
    assert.match(person.page.text, /Bonjour/);
    assert.equal(person.page.headers['x-seen-name'], 'MARTIN');
    await person.go(`${n.self}/prive/retour?logout=${encodeURIComponent(`${n.self}/`)}`);
    assert.equal((await person.once(page)).status, 302, 'signed out');
  } finally {
    try { process.kill(Number(readFileSync(join(folder, 'apache.pid'), 'utf8')), 'SIGTERM'); } catch { /* did not start */ }
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
});

test('an API published and read under contract between two bodies, from the guide alone', async () => {
  const text = readFileSync(join(root, 'docs/guides/PUBLISH_AN_API.md'), 'utf8');
  const blocks = [...text.matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map((m) => m[1]);
  const n = new Newcomer(world, 'api', platform.ownPort(3)), orgs = platform.json(['org', 'list']);
  const origin = createServer((rq, rs) => rs.setHeader('content-type', 'application/json').end('{"numero": "A-1", "nom": "MARTIN"}'));
  await new Promise((done) => origin.listen(platform.ownPort(4), '127.0.0.1', done));
  try {
    n.values.push(['127.0.0.1:9000', `127.0.0.1:${platform.ownPort(4)}`], ['"CONSUMER"', `"${orgs[1].id}"`], ['--org CONSUMER', `--org ${orgs[1].id}`], ['--org ORG', `--org ${orgs[0].id}`]);
    writeFileSync(join(n.folder, 'description.yaml'), blocks[0]);
    n.sh(blocks[1]);
    n.sh(blocks[2]);
    const sandbox = spawn('sh', ['-c', n.filled(blocks[3])], { stdio: ['ignore', 'pipe', 'ignore'] });
    let out = '';
    for await (const d of sandbox.stdout) out += d;
    assert.match(out, /"numero"/);
    const [add, put] = [blocks[4].slice(0, blocks[4].indexOf('echo')), blocks[4].slice(blocks[4].indexOf('echo'))];
    n.makeClient(add);
    n.sh(put);
    n.values.push(['THE_CLIENT:SECRET', n.filled('THE_CLIENT:THE_SECRET')]);
    n.values.unshift(n.values.pop());
    // What was just put counts within a second, says the guide: a loop that has not heard of it, or of
    // anything for a second, is asked again, and for nothing else.
    await until('the contract counts', async () => {
      const read = spawn('sh', ['-c', n.filled(blocks[5])], { stdio: ['ignore', 'pipe', 'ignore'] });
      out = '';
      for await (const d of read.stdout) out += d;
      return !['EXC-403-CONTRACT', 'EXC-404-ROUTE', 'EXC-503-STALE'].includes(JSON.parse(out).code);
    }, { everyMs: 200, timeoutMs: 60000 });
    assert.deepEqual(JSON.parse(out), { numero: 'A-1' });
  } finally {
    origin.close();
    origin.closeAllConnections();
  }
});
