// make bench [NAME=x]: each figure beside a peer, measured in turns in the same run, on the same
// machine, one core each side. Prints a table and writes build/bench.json.
//
// Core 0 has everything that is measured: all processes of Socle (and its database), or the peer.
// Core 1 has the origin and the load generator. CPU per request is summed over all processes of the
// side that is measured. Figures of one machine: only the ratios travel.
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Platform, processesOf, sleep, until } from '../test/lib/platform.mjs';
import { World, call, machineToken, tokensFor, walkSignIn } from '../test/lib/story.mjs';
import { newClient, publish } from '../test/lib/provider.mjs';
import { send } from '../test/lib/http.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
process.chdir(root);
const only = process.argv[2] ?? '';
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3), SECONDS = Number(process.env.BENCH_SECONDS ?? 4);
const twoCores = cpus().length > 1;
const pin = (core) => (twoCores ? ['taskset', '-c', String(core)] : []);
const rows = [];
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const round = (v, n = 2) => Number(v.toFixed(n));

function note(row) {
  rows.push(row);
  const i = rows.length - 1;
  rows[i].ratio = row.comparator_value ? round(row.value / row.comparator_value, 3) : null;
}

async function output(cmd, args) {
  const child = spawn(cmd, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', err = '';
  child.stdout.on('data', (d) => { out += d; });
  child.stderr.on('data', (d) => { err = (err + d).slice(-4000); });
  const code = await new Promise((done) => child.on('close', done));
  if (code !== 0) throw new Error(`${cmd} ${args.join(' ')} ended with ${code}\n${err}`);
  return JSON.parse(out.trim().split('\n').pop());
}

function load(url, { connections = 64, rate = 0, headers = {}, seconds = SECONDS, warm = 1 } = {}) {
  const [cmd, ...prefix] = [...pin(1), 'build/bench/load'];
  const h = Object.entries(headers).flatMap(([k, v]) => ['-H', `${k}: ${v}`]);
  return output(cmd, [...prefix, '-c', String(connections), '-d', String(seconds), '-w', String(warm), ...(rate ? ['-r', String(rate)] : []), ...h, url]);
}

// ---- what stands around ---------------------------------------------------------------------------
const run = mkdtempSync(join(tmpdir(), 'socle-bench-'));
chmodSync(run, 0o755); /* nginx's worker is another user */
const started = [];
function begin(core, cmd, args) {
  const [first, ...rest] = [...pin(core), cmd, ...args];
  const child = spawn(first, rest, { stdio: 'inherit', detached: true });
  started.push(child);
  return child;
}

// A document of 2 KB as bodies send them: what the contract lets through, and as much that it does not.
const document = { dossier: { numero: '2026-000128', personnes: Array.from({ length: 9 }, (_, i) => ({ nom: `MARTIN-${i}`, prenoms: 'Camille Anne', date_naissance: '1988-04-12', numero_securite_sociale: `21606690011223${i}`, adresse: { voie: `${i} rue des Capucins`, code_postal: '69001' } })) }, total: 9, interne: { trace: 'x'.repeat(200) } };
const small = JSON.stringify({ ok: true, at: '2026' });

let platform, world, client, ports, proxy;
async function stand() {
  if (platform) return;
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
}

const SOCLE = ['supervisor', 'web', 'keys', 'journal', 'jobs'];
const socleCpu = () => Object.entries(platform.cpuSeconds()).filter(([n]) => SOCLE.includes(n)).reduce((a, [, v]) => a + v, 0);
const nginxCpu = () => processesOf(proxy.pid).reduce((a, p) => a + p.ticks / 100, 0);

// Both sides in turns; medians. before(): makes what a side needs for one turn (a token lives a minute).
async function beside(ours, theirs, options = {}) {
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

async function gateway(name, path, tail, token) {
  await stand();
  const ours = async () => ({ url: `http://127.0.0.1:${platform.port}${path}${tail}`, headers: { Host: `localhost:${platform.port}`, Authorization: `Bearer ${await token()}` } });
  const theirs = async () => ({ url: `http://127.0.0.1:${ports.PROXY}${tail}`, headers: {} });
  const first = await ours();
  const answer = await send(first.url, { headers: Object.fromEntries(Object.entries(first.headers).map(([k, v]) => [k.toLowerCase(), v])) });
  if (answer.status !== 200 || !answer.headers['socle-entry']) throw new Error(`${name}: ${answer.status} ${answer.text.slice(0, 300)}`);
  const peak = await beside(ours, theirs);
  // Latency: both at half of what Socle can do, by the clock.
  const rate = Math.floor(Math.min(peak.ours.rate, peak.theirs.rate) / 2);
  const at = await beside(ours, theirs, { rate });
  note({ name, value: round(peak.ours.rate, 0), unit: 'req/s', comparator: 'nginx proxy_pass, keepalive', comparator_value: round(peak.theirs.rate, 0), cpu_us: round(peak.ours.cpu_us), comparator_cpu_us: round(peak.theirs.cpu_us), at_rate: rate, p99_us: at.ours.p99_us, comparator_p99_us: at.theirs.p99_us, p99_added_us: round(at.ours.p99_us - at.theirs.p99_us, 0) });
}

const machine = () => machineToken(world, { client, scope: 'passe_lire filtre_lire' });
const person = async () => (await tokensFor(world, world.citizen, { client, scope: 'openid filtre_lire' })).access_token;

function pssKb(pids) {
  let sum = 0;
  for (const pid of pids) sum += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
  return sum;
}

const benches = {
  gateway_passthrough: () => gateway('gateway_passthrough', '/gw/passe/v1', '/small', machine),
  gateway_filtered: () => gateway('gateway_filtered', '/gw/filtre/v1', '/document', machine),
  // The same about a person: her copy of each exchange is sealed and kept too.
  gateway_person: () => gateway('gateway_person', '/gw/filtre/v1', '/document', person),

  async journal_append() {
    const folder = mkdtempSync(join(root, 'build/bench-journal-'));
    const [cmd, ...prefix] = [...pin(0), 'build/bench/journal'];
    try {
      const ours = [], theirs = [], steady = [];
      for (let i = 0; i < ROUNDS; i++) {
        const f = join(folder, String(i));
        mkdirSync(f);
        ours.push(await output(cmd, [...prefix, '-f', f, '-d', String(SECONDS)]));
        theirs.push(await output(cmd, [...prefix, '-f', f, '-d', String(SECONDS / 2), '-p']));
        steady.push(await output(cmd, [...prefix, '-f', f, '-d', String(SECONDS / 2), '-r', '20000']));
      }
      if (ours.some((r) => r.failed)) throw new Error('appends failed');
      note({ name: 'journal_append', value: round(median(ours.map((r) => r.rate)), 0), unit: 'durable entries/s', comparator: 'one fdatasync per entry', comparator_value: round(median(theirs.map((r) => r.rate)), 0), at_rate: 20000, p99_us: median(steady.map((r) => r.p99_us)), disk_sync_us: round(1e6 / median(theirs.map((r) => r.rate)), 0) });
    } finally { rmSync(folder, { recursive: true, force: true }); }
  },

  async cold_start() {
    const times = [], peers = [];
    const p = await Platform.start({ demo: false, prefix: pin(0), args: ['--loops', '1'] });
    try {
      for (let i = 0; i < ROUNDS * 3; i++) {
        await p.restart();
        times.push(p.readyMs);
        await until('it answers', () => send(`${p.base}/healthz`).then((r) => r.status === 200, () => false));
        // The peer: nginx from nothing to its first answer.
        const conf = join(run, 'cold.conf'), port = p.ownPort(2);
        writeFileSync(conf, readFileSync('bench/origin.conf', 'utf8').replaceAll('@RUN@', run).replaceAll('@ORIGIN@', port).replaceAll('@SMALL@', 'ok').replaceAll('@DOCUMENT@', 'ok').replace('origin.pid', 'cold.pid'));
        const at = process.hrtime.bigint();
        const child = begin(0, '/usr/sbin/nginx', ['-c', conf, '-e', join(run, 'e3')]);
        await until('nginx answers', () => send(`http://127.0.0.1:${port}/small`).then((r) => r.status === 200, () => false), { everyMs: 1 });
        peers.push(Number(process.hrtime.bigint() - at) / 1e6);
        child.kill();
        await new Promise((done) => child.once('close', done));
      }
    } finally { await p.destroy(); }
    note({ name: 'cold_start', value: round(median(times), 0), unit: 'ms', comparator: 'nginx to its first answer', comparator_value: round(median(peers), 0), hold: '< 300 ms' });
  },

  async resident_memory() {
    const p = await Platform.start({ demo: false, prefix: pin(0), args: ['--loops', '1'] });
    try {
      for (let i = 0; i < 200; i++) await send(`${p.base}/`);
      await sleep(1000);
      const by = p.pids();
      const ours = Object.fromEntries(Object.entries(by).map(([n, pids]) => [n, round(pssKb(pids) / 1024, 1)]));
      await stand();
      const theirs = pssKb(processesOf(proxy.pid).map((x) => x.pid)) / 1024;
      note({ name: 'resident_memory', value: round(Object.values(ours).reduce((a, b) => a + b, 0), 1), unit: 'MB PSS, all processes', comparator: 'nginx, master and worker', comparator_value: round(theirs, 1), hold: '< 60 MB', processes: ours });
    } finally { await p.destroy(); }
  },

  async page() {
    await stand();
    const t = await tokensFor(world, world.citizen, { client, scope: 'openid filtre_lire' });
    for (let i = 0; i < 30; i++) await call(world, '/gw/filtre/v1/document', t.access_token);
    await sleep(1200);
    const c = t.person;
    c.stopAt = null;
    await c.go(`${platform.base}/account/uses`);
    await walkSignIn(c, world.citizen);
    const r = await c.go(`${platform.base}/account/uses`);
    const n = (r.text.match(/<li class="use/g) ?? []).length;
    if (r.status !== 200 || n !== 25) throw new Error(`the page has ${n} rows, status ${r.status}`);
    writeFileSync(join(run, 'file/page.html'), r.bytes);
    const cookie = [...c.jar(platform.base)].map(([k, v]) => `${k}=${v}`).join('; ');
    const f = await beside(async () => ({ url: `http://127.0.0.1:${platform.port}/account/uses`, headers: { Host: `localhost:${platform.port}`, Cookie: cookie } }), async () => ({ url: `http://127.0.0.1:${ports.PROXY}/file/page.html`, headers: {} }), { connections: 32 });
    note({ name: 'page', value: round(f.ours.rate, 0), unit: 'pages/s, 25 rows, session', comparator: 'nginx, the same bytes as a file', comparator_value: round(f.theirs.rate, 0), cpu_us: round(f.ours.cpu_us), comparator_cpu_us: round(f.theirs.cpu_us), bytes: r.bytes.length });
  },
};

// ---- the run --------------------------------------------------------------------------------------
let code = 0;
try {
  const names = Object.keys(benches).filter((n) => !only || n === only);
  if (names.length === 0) { console.error(`make bench: no ${only}; there are ${Object.keys(benches).join(', ')}`); code = 2; }
  for (const n of names) {
    process.stderr.write(`${n} ...\n`);
    try { await benches[n](); } catch (e) { console.error(`${n}: ${e.message}`); code = 1; }
  }
} finally {
  await platform?.destroy().catch((e) => { console.error(e.message); code = 1; });
  for (const c of started) { try { process.kill(-c.pid, 'SIGTERM'); } catch {} }
  rmSync(run, { recursive: true, force: true });
}
if (rows.length) {
  const cell = (v, n) => String(v ?? '').padStart(n);
  console.log(`\n${'path'.padEnd(21)}${cell('figure', 10)}  ${'unit'.padEnd(28)}${cell('comparator', 11)}${cell('ratio', 8)}   ${'CPU us/req'.padEnd(16)}against`);
  for (const r of rows) {
    const cpu = r.cpu_us ? `${r.cpu_us} / ${r.comparator_cpu_us}` : '';
    console.log(`${r.name.padEnd(21)}${cell(r.value, 10)}  ${r.unit.padEnd(28)}${cell(r.comparator_value, 11)}${cell(r.ratio, 8)}   ${cpu.padEnd(16)}${r.comparator}${r.hold ? ` (hold: ${r.hold})` : ''}`);
  }
  for (const r of rows.filter((x) => x.at_rate)) console.log(`  ${r.name} at ${r.at_rate}/s: p99 ${r.p99_us} us${r.comparator_p99_us ? `, comparator ${r.comparator_p99_us} us, added ${r.p99_added_us} us` : ''}${r.disk_sync_us ? `; one sync of this disk ${r.disk_sync_us} us` : ''}`);
  for (const r of rows.filter((x) => x.processes)) console.log(`  ${r.name}: ${Object.entries(r.processes).map(([k, v]) => `${k} ${v}`).join(', ')}`);
  const file = 'build/bench.json';
  const kept = only && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).filter((o) => !rows.some((r) => r.name === o.name)) : [];
  mkdirSync('build', { recursive: true });
  writeFileSync(file, `${JSON.stringify([...kept, ...rows], null, 1)}\n`);
  console.log(`written to ${file}`);
}
process.exit(code);
