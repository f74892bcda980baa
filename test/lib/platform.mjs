// A whole platform for a test: its own folder, ports and (on PostgreSQL) database. Started as an
// operator starts it, ended as an operator ends it, and nothing may be left of it.
//
//   SOCLE_TEST_ENGINE=sqlite|postgres  SOCLE_TEST_PG=postgresql://...  (tools/test.mjs sets them)
//   SOCLE_TEST_PORTS=21700-21799       where to look for free ports
//   SOCLE_TEST_KEEP=1                  keeps the folder of each platform, and says where it is
import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const engine = process.env.SOCLE_TEST_ENGINE || 'sqlite';
export const program = process.env.SOCLE_TEST_PROGRAM || join(root, 'build/socle');
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// ---- ports --------------------------------------------------------------------------------------
// A block of 16: the platform, its four demonstration bodies, others for the test's own servers. The
// last one is held by this process while the block is in use, so that two test processes never meet.
const BLOCK = 16;
const [FIRST, LAST] = (process.env.SOCLE_TEST_PORTS || '23000-25999').split('-').map(Number);

function listens(port) {
  return new Promise((done) => {
    const s = createServer().once('error', () => done(null));
    s.listen({ port, host: '127.0.0.1', exclusive: true }, () => done(s));
  });
}

export async function portBlock() {
  const blocks = Math.max(1, Math.floor((LAST - FIRST + 1) / BLOCK));
  const from = Math.floor(Math.random() * blocks);
  for (let i = 0; i < blocks; i++) {
    const base = FIRST + ((from + i) % blocks) * BLOCK;
    const lock = await listens(base + BLOCK - 1);
    if (!lock) continue;
    lock.unref();
    const probes = await Promise.all(Array.from({ length: BLOCK - 1 }, (_, k) => listens(base + k)));
    const free = probes.every(Boolean);
    await Promise.all(probes.filter(Boolean).map((s) => new Promise((done) => s.close(done))));
    if (free) return { base, release: () => lock.close() };
    lock.close();
  }
  throw new Error(`no free block of ports in ${FIRST}-${LAST}`);
}

// ---- databases ----------------------------------------------------------------------------------
let serial = 0;

function psql(sql, url = process.env.SOCLE_TEST_PG) {
  const r = spawnSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', url, '-c', sql], { encoding: 'utf8' });
  assert.equal(r.status, 0, `psql: ${r.stderr}`);
  return r.stdout;
}

export function freshDatabase() {
  if (engine !== 'postgres') return null;
  assert.ok(process.env.SOCLE_TEST_PG, 'SOCLE_TEST_PG names the server');
  const name = `socle_${process.pid}_${++serial}`;
  psql(`CREATE DATABASE ${name}`);
  const url = new URL(process.env.SOCLE_TEST_PG);
  url.pathname = `/${name}`;
  return { url: url.href, name, drop: () => psql(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

// ---- processes ----------------------------------------------------------------------------------
// Field 6 of /proc/PID/stat is the session: a platform is started in one of its own, so that what it
// started is found even when its parent is gone.
export function processesOf(session) {
  const found = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(rest[3]) !== session || rest[0] === 'Z') continue;
      const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0];
      found.push({ pid: Number(pid), ppid: Number(rest[1]), title, ticks: Number(rest[11]) + Number(rest[12]) });
    } catch { /* ended meanwhile */ }
  }
  return found;
}

export async function until(what, check, { timeoutMs = 20000, everyMs = 20 } = {}) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const v = await check();
    if (v) return v;
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(everyMs);
  }
}

export function run(args, { env = {}, input, cwd = root, timeoutMs = 120000 } = {}) {
  const r = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, ...env }, input, cwd, timeout: timeoutMs, maxBuffer: 64 << 20 });
  return { code: r.status, signal: r.signal, stdout: r.stdout, stderr: r.stderr };
}

const running = new Set();
const sweepAll = () => { for (const p of running) p.sweep(); };
process.on('exit', sweepAll);
for (const s of ['SIGTERM', 'SIGINT']) process.on(s, () => { sweepAll(); process.exit(1); });

// ---- a platform ---------------------------------------------------------------------------------
export class Platform {
  static async start(options = {}) {
    const p = new Platform();
    p.options = { demo: true, args: [], env: {}, ...options };
    p.folder = mkdtempSync(join(process.env.SOCLE_TEST_TMP || tmpdir(), 'socle-test-'));
    p.data = options.data ?? join(p.folder, 'data');
    p.ports = options.ports ?? await portBlock();
    p.port = p.ports.base;
    p.base = `http://localhost:${p.port}`;
    p.database = options.database ?? freshDatabase();
    p.logFile = join(p.folder, 'log');
    mkdirSync(p.folder, { recursive: true });
    try {
      await p.begin();
    } catch (e) {
      await p.destroy().catch(() => {});
      throw e;
    }
    return p;
  }

  // A port for the test's own servers.
  ownPort(n) { return this.port + 5 + n; }

  settings() {
    const list = ['--data', this.data, '--port', String(this.port)];
    if (this.options.demo) list.unshift('--demo=yes');
    if (this.database) list.push('--database', this.database.url);
    return list.concat(this.options.args);
  }

  async begin({ env = {}, args = [], prefix = this.options.prefix ?? [] } = {}) {
    const log = openSync(this.logFile, 'a');
    const line = [...prefix, program, 'serve', ...this.settings(), ...args];
    this.out = '';
    this.startedAt = process.hrtime.bigint();
    this.child = spawn(line[0], line.slice(1), { cwd: root, env: { ...process.env, ...this.options.env, ...env }, stdio: ['ignore', 'pipe', log], detached: true });
    closeSync(log);
    running.add(this);
    this.ended = new Promise((done) => this.child.once('close', (code, signal) => { this.exit = { code, signal }; done(this.exit); }));
    this.exit = null;
    await new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`no ready line within 60 s\n${this.tail()}`)), 60000);
      this.child.once('error', (e) => { clearTimeout(timer); fail(e); });
      this.ended.then(({ code, signal }) => { clearTimeout(timer); fail(new Error(`the platform ended with ${code ?? signal}\n${this.tail()}`)); });
      this.child.stdout.on('data', (d) => {
        this.out += d;
        if (!/^socle: ready /m.test(this.out)) return;
        this.readyMs ??= Number(process.hrtime.bigint() - this.startedAt) / 1e6;
        clearTimeout(timer);
        done();
      });
    });
  }

  log() { return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : ''; }
  tail() { return `${this.out.slice(-1000)}\n${this.log().slice(-4000)}`; }

  // By title, without "socle: ": {supervisor: [pid], web: [pid] ...}
  pids() {
    const by = {};
    for (const p of processesOf(this.child.pid)) {
      const name = p.title.replace(/^socle: /, '');
      (by[name] ??= []).push(p.pid);
    }
    return by;
  }

  pid(name) {
    const list = this.pids()[name] ?? [];
    assert.equal(list.length, 1, `one process "${name}", of ${Object.keys(this.pids()).join(', ')}`);
    return list[0];
  }

  kill(name, signal = 'SIGKILL') {
    const pid = this.pid(name);
    process.kill(pid, signal);
    return pid;
  }

  // CPU time in seconds, by process name; `of` leaves others out.
  cpuSeconds() {
    const by = {};
    for (const p of processesOf(this.child.pid)) by[p.title.replace(/^socle: /, '')] = p.ticks / 100;
    return by;
  }

  command(args, { env = {}, ...rest } = {}) {
    const settings = ['--data', this.data, '--port', String(this.port)];
    if (this.database) settings.push('--database', this.database.url);
    return run([...args, ...settings], { env: { ...this.options.env, ...env }, ...rest });
  }

  // A command that must succeed; its output.
  must(args, options) {
    const r = this.command(args, options);
    assert.equal(r.code, 0, `socle ${args.join(' ')} ended with ${r.code ?? r.signal}: ${r.stderr}${r.stdout}`);
    return r.stdout;
  }

  json(args, options) {
    const text = this.must([...args, '--json'], options);
    try { return JSON.parse(text); } catch (e) { throw new Error(`socle ${args.join(' ')} --json printed no JSON: ${text.slice(0, 400)}`); }
  }

  // A statement in its database, behind its back: for what only time would do.
  sql(text) {
    if (this.database) return psql(text, this.database.url);
    const r = spawnSync('python3', ['-c', 'import sqlite3,sys\nd=sqlite3.connect(sys.argv[1],timeout=20)\nd.execute(sys.argv[2])\nd.commit()', join(this.data, 'db/socle.db'), text], { encoding: 'utf8' });
    assert.equal(r.status, 0, r.stderr);
  }

  // One value of its database.
  value(text) {
    if (this.database) return psql(text, this.database.url).trim();
    const r = spawnSync('python3', ['-c', 'import sqlite3,sys\nd=sqlite3.connect(sys.argv[1],timeout=20)\nprint(d.execute(sys.argv[2]).fetchone()[0])', join(this.data, 'db/socle.db'), text], { encoding: 'utf8' });
    assert.equal(r.status, 0, r.stderr);
    return r.stdout.trim();
  }

  describe() { return this.json(['demo', 'describe']); }

  get journalFolder() { return join(this.data, 'journal'); }

  // Ends it as Ctrl-C or an operator does: code 0, nothing left.
  async stop({ signal = 'SIGTERM', expect = 0 } = {}) {
    if (!this.child || this.exit) return;
    const session = this.child.pid;
    process.kill(session, signal);
    // unref: the timer alone must not keep the test's process for its whole time.
    await Promise.race([this.ended, new Promise((done) => { setTimeout(done, 30000).unref(); })]);
    if (!this.exit) { this.sweep(); assert.fail(`the platform did not end within 30 s\n${this.tail()}`); }
    const left = processesOf(session);
    this.sweep();
    assert.deepEqual(left.map((p) => p.title), [], 'no process is left');
    if (expect !== null) assert.equal(this.exit.code, expect, `exit code (signal ${this.exit.signal})\n${this.tail()}`);
  }

  // The power cut.
  async crash() {
    for (const p of processesOf(this.child.pid)) { try { process.kill(p.pid, 'SIGKILL'); } catch {} }
    await this.ended;
    await until('its processes are gone', () => processesOf(this.child.pid).length === 0);
  }

  async restart(options = {}) {
    if (!this.exit) await this.stop();
    this.readyMs = undefined;
    await this.begin(options);
  }

  sweep() {
    if (this.child) for (const p of processesOf(this.child.pid)) { try { process.kill(p.pid, 'SIGKILL'); } catch {} }
  }

  async destroy() {
    try {
      await this.stop();
    } finally {
      this.sweep();
      running.delete(this);
      if (!this.options.database) this.database?.drop();
      if (!this.options.ports) this.ports.release();
      if (process.env.SOCLE_TEST_KEEP) console.error(`kept: ${this.folder}`);
      else rmSync(this.folder, { recursive: true, force: true });
    }
  }
}
