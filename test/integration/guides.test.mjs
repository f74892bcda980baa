// The guides as somebody who copies them: their own blocks, run against a real platform. Nothing but
// the addresses, the folder and the secret just printed is changed in them.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Platform, program, root, until } from '../lib/platform.mjs';
import { Client, send } from '../lib/http.mjs';
import { World, walkSignIn } from '../lib/story.mjs';

let platform, world;
const started = [];
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
}, { timeout: 180000 });
after(async () => {
  for (const c of started) { try { process.kill(-c.pid, 'SIGKILL'); } catch { /* ended */ } }
  await platform?.destroy();
}, { timeout: 60000 });

function guide(name) {
  const blocks = {};
  for (const [, kind, body] of readFileSync(join(root, 'docs/guides', name), 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)) (blocks[kind] ??= []).push(body);
  return blocks;
}

// A newcomer's folder, and her own values in what she copies.
class Newcomer {
  constructor(name, port, folder = join(platform.folder, name)) {
    this.port = port;
    this.self = `http://localhost:${port}`;
    this.folder = folder;
    mkdirSync(this.folder, { recursive: true });
    this.values = [['http://localhost:8080', world.issuer], ['localhost:3000', `localhost:${port}`], ['localhost%3A3000', `localhost%3A${port}`], ['127.0.0.1:3000', `127.0.0.1:${port}`], ['PORT=3000', `PORT=${port}`], ['FOLDER', this.folder],
      [/--data DATA/g, `--data ${platform.data}${platform.database ? ` --database ${platform.database.url}` : ''}`]];
  }

  filled(text) { return this.values.reduce((t, [from, to]) => t.replaceAll(from, to), text); }
  // Node 18 has Web Crypto behind an option, as the guide says.
  env() { return { ...process.env, PATH: `${dirname(program)}:/usr/sbin:${process.env.PATH}`, ...(Number(process.versions.node.split('.')[0]) < 20 ? { NODE_OPTIONS: '--experimental-global-webcrypto' } : {}) }; }

  sh(text) {
    const r = spawnSync('sh', ['-e', '-c', this.filled(text)], { cwd: this.folder, env: this.env(), encoding: 'utf8', timeout: 60000 });
    assert.equal(r.status, 0, `${text}\n${r.stdout}${r.stderr}`);
    return r.stdout;
  }

  makeClient(text) {
    const out = this.sh(text);
    this.values.push(['THE_CLIENT', /client_id\W+([\w-]+)/.exec(out)[1]], ['THE_SECRET', /client_secret\W+([\w-]+)/.exec(out)[1]]);
  }

  async start(text, { as = [] } = {}) {
    const [line, ...rest] = [...as, 'sh', '-e', '-c', this.filled(text)];
    const c = spawn(line, rest, { cwd: this.folder, env: this.env(), detached: true, stdio: ['ignore', 'ignore', 'inherit'] });
    started.push(c);
    await until(`${this.self} answers`, () => send(`${this.self}/`).catch(() => null));
  }
}

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
  const g = guide('SERVICE_IN_C.md'), n = new Newcomer('c', platform.ownPort(0));
  assert.ok(g.c[0].trimEnd().split('\n').length < 150, `${g.c[0].trimEnd().split('\n').length} lines`);
  n.makeClient(g.sh[0]);
  writeFileSync(join(n.folder, 'service.c'), g.c[0]);
  await n.start(g.sh[1]);
  await usesService(n);
});

test('a service in Node with openid-client, from the guide alone', async () => {
  const g = guide('SERVICE_IN_NODE.md'), n = new Newcomer('node', platform.ownPort(1));
  n.makeClient(g.sh[0]);
  symlinkSync(join(root, 'test/node_modules'), join(n.folder, 'node_modules'));
  writeFileSync(join(n.folder, 'service.mjs'), g.js[0]);
  await n.start(g.sh[1]);
  await usesService(n);
});

test('a site behind Debian\u2019s Apache and mod_auth_openidc, from the guide alone', async () => {
  // Root's Apache would be www-data's in its children: everybody's own folder, and nobody's Apache.
  const folder = mkdtempSync('/tmp/socle-apache-'), asRoot = process.getuid() === 0;
  const g = guide('APACHE.md'), n = new Newcomer('apache', platform.ownPort(2), folder);
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
  const n = new Newcomer('api', platform.ownPort(3)), orgs = platform.json(['org', 'list']);
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
    // A contract counts within a second: asked again until it does.
    await until('the contract counts', async () => {
      const read = spawn('sh', ['-c', n.filled(blocks[5])], { stdio: ['ignore', 'pipe', 'ignore'] });
      out = '';
      for await (const d of read.stdout) out += d;
      return out.includes('numero') || (console.error(out.slice(0, 200)), false);
    }, { everyMs: 200, timeoutMs: 10000 });
    assert.deepEqual(JSON.parse(out), { numero: 'A-1' });
  } finally {
    origin.close();
    origin.closeAllConnections();
  }
});
