// The guides' own blocks, and somebody who copies them.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { program, root, until } from './platform.mjs';
import { send } from './http.mjs';

export function guide(name) {
  const blocks = {};
  for (const [, kind, body] of readFileSync(join(root, 'docs/guides', name), 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)) (blocks[kind] ??= []).push(body);
  return blocks;
}

// A newcomer's folder, and her own values in what she copies.
export class Newcomer {
  static started = [];

  constructor(world, name, port, folder = join(world.platform.folder, name)) {
    const { platform } = world;
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
    Newcomer.started.push(c);
    let ended = null;
    c.once('exit', (code) => { ended = code; });
    await until(`${this.self} answers`, () => {
      assert.ok(!ended, `it ended with ${ended}: ${text}`);
      return send(`${this.self}/`).catch(() => null);
    }, { timeoutMs: 60000 });
    return c;
  }

  static end() { for (const c of Newcomer.started) { try { process.kill(-c.pid, 'SIGKILL'); } catch { /* ended */ } } }
}
