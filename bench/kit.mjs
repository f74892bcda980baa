// What rows of the bench stand on: a platform, an origin and a peer, the load generator, and note().
//
// Core 0 has everything that is measured: all processes of Socle (and its database), or the peer.
// Core 1 has the origin and the load generator. CPU per request is summed over all processes of the
// side that is measured. Figures of one machine: only the ratios travel.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Platform, processesOf, sleep, until } from '../test/lib/platform.mjs';
import { World } from '../test/lib/story.mjs';
import { newClient, publish } from '../test/lib/provider.mjs';
import { send } from '../test/lib/http.mjs';

export const root = fileURLToPath(new URL('../', import.meta.url));
process.chdir(root);
export const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3), SECONDS = Number(process.env.BENCH_SECONDS ?? 4);
const twoCores = cpus().length > 1;
export const pin = (core) => (twoCores ? ['taskset', '-c', String(core)] : []);
export const rows = [];
export const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
export const round = (v, n = 2) => Number(v.toFixed(n));

export function note(row) {
  rows.push(row);
  const i = rows.length - 1;
  rows[i].ratio = row.comparator_value ? round(row.value / row.comparator_value, 3) : null;
}

export async function output(cmd, args) {
  const child = spawn(cmd, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', err = '';
  child.stdout.on('data', (d) => { out += d; });
  child.stderr.on('data', (d) => { err = (err + d).slice(-4000); });
  const code = await new Promise((done) => child.on('close', done));
  if (code !== 0) throw new Error(`${cmd} ${args.join(' ')} ended with ${code}\n${err}`);
  return JSON.parse(out.trim().split('\n').pop());
}

export function load(url, { connections = 64, rate = 0, headers = {}, seconds = SECONDS, warm = 1 } = {}) {
  const [cmd, ...prefix] = [...pin(1), 'build/bench/load'];
  const h = Object.entries(headers).flatMap(([k, v]) => ['-H', `${k}: ${v}`]);
  return output(cmd, [...prefix, '-c', String(connections), '-d', String(seconds), '-w', String(warm), ...(rate ? ['-r', String(rate)] : []), ...h, url]);
}

// ---- what stands around ---------------------------------------------------------------------------
export const run = mkdtempSync(join(tmpdir(), 'socle-bench-'));
chmodSync(run, 0o755); /* nginx's worker is another user */
const started = [];
/** A process on a core, ended with the run. */
export function begin(core, cmd, args) {
  const [first, ...rest] = [...pin(core), cmd, ...args];
  const child = spawn(first, rest, { stdio: 'inherit', detached: true });
  started.push(child);
  return child;
}

// A document of 2 KB as bodies send them: what the contract lets through, and as much that it does not.
const document = { dossier: { numero: '2026-000128', personnes: Array.from({ length: 9 }, (_, i) => ({ nom: `MARTIN-${i}`, prenoms: 'Camille Anne', date_naissance: '1988-04-12', numero_securite_sociale: `21606690011223${i}`, adresse: { voie: `${i} rue des Capucins`, code_postal: '69001' } })) }, total: 9, interne: { trace: 'x'.repeat(200) } };
const small = JSON.stringify({ ok: true, at: '2026' });

let platform, world, client, ports, proxy;
/** The platform that most rows measure, made once: { platform, world, client, ports, proxy }. */
export async function stand() {
  if (platform) return { platform, world, client, ports, proxy };
  platform = await Platform.start({ prefix: pin(0), args: ['--loops', '1', '--log-level', 'warn'] });
  world = new World(platform);
  ports = { ORIGIN: platform.ownPort(0), PROXY: platform.ownPort(1) };
  const fill = (name) => {
    let text = readFileSync(`bench/${name}`, 'utf8');
    for (const [k, v] of Object.entries({ ...ports, RUN: run, SMALL: small, DOCUMENT: JSON.stringify(document) })) text = text.replaceAll(`@${k}@`, v);
    writeFileSync(join(run, name), text);
    return join(run, name);
  };
  mkdirSync(join(run, 'file'));
  begin(1, '/usr/sbin/nginx', ['-c', fill('origin.conf'), '-e', join(run, 'e1')]);
  proxy = begin(0, '/usr/sbin/nginx', ['-c', fill('proxy.conf'), '-e', join(run, 'e2')]);
  for (const p of Object.values(ports)) await until('nginx answers', () => send(`http://127.0.0.1:${p}/small`).then((r) => r.status === 200, () => false));
  client = newClient(platform);
  publish(platform, { client, id: 'passe', port: ports.ORIGIN, fields: '*', api: { prefix: '' }, contract: { quota_per_minute: 100000000 } });
  publish(platform, { client, id: 'filtre', port: ports.ORIGIN, fields: 'dossier.numero dossier.personnes.nom dossier.personnes.date_naissance total', api: { prefix: '' }, contract: { quota_per_minute: 100000000 } });
  await sleep(1200);
  return { platform, world, client, ports, proxy };
}

const SOCLE = ['supervisor', 'web', 'keys', 'journal', 'jobs'];
const socleCpu = () => Object.entries(platform.cpuSeconds()).filter(([n]) => SOCLE.includes(n)).reduce((a, [, v]) => a + v, 0);
const nginxCpu = () => processesOf(proxy.pid).reduce((a, p) => a + p.ticks / 100, 0);

// Both sides in turns; medians. before(): makes what a side needs for one turn (a token lives a minute).
export async function beside(ours, theirs, options = {}) {
  const a = [], b = [];
  for (let i = 0; i < ROUNDS; i++) {
    for (const [side, list, cpu] of [[ours, a, socleCpu], [theirs, b, nginxCpu]]) {
      const { url, headers } = await side();
      const before = cpu();
      const r = await load(url, { headers, ...options });
      if (r.other_status || r.errors) throw new Error(`${url}: ${r.other_status} answers of another status, ${r.errors} errors`);
      // Warm-up is in the CPU figure too: counted at the same rate.
      list.push({ ...r, cpu_us: ((cpu() - before) * 1e6) / (r.rate * (r.seconds + 1)) });
    }
  }
  const pick = (list, k) => median(list.map((x) => x[k]));
  return { ours: { rate: pick(a, 'rate'), cpu_us: pick(a, 'cpu_us'), p99_us: pick(a, 'p99_us') }, theirs: { rate: pick(b, 'rate'), cpu_us: pick(b, 'cpu_us'), p99_us: pick(b, 'p99_us') } };
}

export function pssKb(pids) {
  let sum = 0;
  for (const pid of pids) sum += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
  return sum;
}

/** Ends all that was begun. */
export async function end() {
  await platform?.destroy();
  for (const c of started) { try { process.kill(-c.pid, 'SIGTERM'); } catch {} }
  rmSync(run, { recursive: true, force: true });
}

/** Rows by name; each file of bench/rows/ adds its own. */
export const benches = {};
