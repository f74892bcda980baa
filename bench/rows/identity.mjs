// Sign-ins beside npm oidc-provider in memory, and beside the signatures alone.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROUNDS, SECONDS, begin, benches, median, note, output, pin, pssKb, root, round, run } from '../kit.mjs';
import { Platform, processesOf, until } from '../../test/lib/platform.mjs';
import { newClient, publish } from '../../test/lib/provider.mjs';
import { send } from '../../test/lib/http.mjs';

// What is durable must reach a disk: a folder in memory would not measure it.
mkdirSync(join(root, 'build/bench-tmp'), { recursive: true });
process.env.SOCLE_TEST_TMP ??= join(root, 'build/bench-tmp');

const PEER = 'oidc-provider@8.8.1', PEERS = join(root, 'build/peers');
const REDIRECT = 'https://client.example/cb';
const basic = (id, secret) => Buffer.from(`${id}:${secret}`).toString('base64');
const authorize = (path, id) => `${path}?${new URLSearchParams({ response_type: 'code', client_id: id, redirect_uri: REDIRECT, scope: 'openid profile birth' })}`;

// ---- the peer, and what bounds both ---------------------------------------------------------------
let peer;
async function oidcProvider(port) {
  if (peer) return peer;
  if (!existsSync(join(PEERS, 'node_modules/oidc-provider'))) {
    mkdirSync(PEERS, { recursive: true });
    writeFileSync(join(PEERS, 'package.json'), '{"private":true}\n');
    const r = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--silent', PEER], { cwd: PEERS, encoding: 'utf8' });
    if (r.status !== 0) throw new Error(`npm install ${PEER}: ${r.stderr}`);
  }
  begin(0, 'node', ['bench/oidc-provider.mjs', String(port), PEERS]);
  await until('oidc-provider answers', () => send(`http://127.0.0.1:${port}/jwks`).then((r) => r.status === 200, () => false));
  peer = { url: `http://127.0.0.1:${port}`, args: ['-T', '/token', '-I', '/me', '-R', REDIRECT, '-a', authorize('/auth', 'banc'), '-b', basic('banc', 'secret-du-banc')] };
  return peer;
}

const [signCmd, ...signPrefix] = [...pin(0), 'build/bench/sign'];
const signatures = async () => (await output(signCmd, [...signPrefix, '1'])).rate;

async function logins(url, args, seconds = SECONDS) {
  const [cmd, ...prefix] = [...pin(1), 'build/bench/login'];
  const r = await output(cmd, [...prefix, '-c', '64', '-d', String(seconds), ...args, url]);
  if (r.failed || !r.logins) throw new Error(`${url}: ${r.failed} of ${r.logins + r.failed} failed`);
  return r;
}

// ---- our side -------------------------------------------------------------------------------------
const SOCLE = ['supervisor', 'web', 'keys', 'journal', 'jobs'];
/** A platform with so many people who signed in before; some of them still have a session. */
async function platformOf(people, sessions) {
  const p = await Platform.start({ prefix: pin(0), args: ['--loops', '1', '--log-level', 'warn', '--allow-inside=yes'] });
  const upstream = `http://127.0.0.1:${p.ownPort(4)}`;
  const k = p.json(['client', 'add', '--name', 'Banc', '--redirect-uri', REDIRECT, '--userinfo-alg', 'ES256']);
  p.must(['provider', 'add', '--id', 'banc', '--name', 'Banc', '--issuer', upstream, '--client-id', 'socle', '--secret-stdin'], { input: 'secret-du-fournisseur' });
  await p.stop();
  const keys = mkdtempSync(join(run, 'keys-'));
  const r = spawnSync('build/bench/people', [join(p.data, 'keys'), p.database?.url ?? `sqlite:${join(p.data, 'db/socle.db')}`, k.client_id, 'banc', 'localhost', String(people), String(sessions)], { encoding: 'utf8', maxBuffer: 1 << 30 });
  if (r.status !== 0) throw new Error(`people: ${r.stderr}`);
  const cookies = join(keys, 'cookies');
  writeFileSync(cookies, r.stdout);
  begin(1, 'build/bench/upstream', [keys, String(p.ownPort(4)), 'socle', String(people)]);
  await p.begin();
  const common = ['-H', `localhost:${p.port}`, '-R', REDIRECT, '-b', basic(k.client_id, k.client_secret)];
  const asked = authorize('/api/v2/authorize', k.client_id);
  return {
    p, url: `http://127.0.0.1:${p.port}`, client: k,
    session: [...common, '-a', asked, '-C', cookies],
    brokered: [...common, '-a', `${asked}&idp_hint=banc`, '-U', upstream],
    cpu: () => Object.entries(p.cpuSeconds()).filter(([n]) => SOCLE.includes(n)).reduce((a, [, v]) => a + v, 0),
    memoryMb: () => pssKb(Object.entries(p.pids()).filter(([n]) => SOCLE.includes(n)).flatMap(([, l]) => l)) / 1024,
    bytes: () => readdirSync(join(p.data, 'db')).reduce((n, f) => n + statSync(join(p.data, 'db', f)).size, 0),
  };
}

async function measure(s, args) {
  const before = s.cpu();
  const r = await logins(s.url, args);
  return { ...r, cpu_us: ((s.cpu() - before) * 1e6) / (r.rate * (r.seconds + 1)) };
}

// Both in turns, then ours at half of its peak. n: how many signatures Socle makes in one.
async function besidePeer(name, unit, s, ours, theirs, n) {
  const a = [], b = [], signs = [], q = await oidcProvider(s.p.ownPort(5));
  for (let i = 0; i < ROUNDS; i++) {
    a.push(await measure(s, ours));
    b.push((await logins(q.url, [...q.args, ...theirs])).rate);
    signs.push(await signatures());
  }
  const rate = median(a.map((x) => x.rate)), half = Math.floor(rate / 2), bound = median(signs) / n;
  const at = await logins(s.url, [...ours, '-r', String(half)]);
  note({ name, value: round(rate, 0), unit, comparator: 'npm oidc-provider 8.8.1 in memory', comparator_value: round(median(b), 0), cpu_us: round(median(a.map((x) => x.cpu_us))), comparator_cpu_us: round(1e6 / bound), at_rate: half, p99_us: at.p99_us, bound: round(bound, 0), of_bound: round(rate / bound), memory_mb: round(s.memoryMb(), 1), hold: `of the bound of its ${n} signatures alone, ${round(bound, 0)}/s: ${round(rate / bound)}; ${round(s.memoryMb(), 1)} MB` });
}

async function row(people, fn) {
  const s = await platformOf(people, Math.min(people, 4096));
  try { await fn(s); } finally { await s.p.destroy(); peer = null; }
}

benches.login_session = () => row(1000, (s) => besidePeer('login_session', 'logins/s, session', s, s.session, ['-k'], 3));
benches.login_brokered = () => row(1000, (s) => besidePeer('login_brokered', 'logins/s, brokered', s, s.brokered, [], 3));

benches.token_mint = () => row(1, async (s) => {
  const client = newClient(s.p);
  publish(s.p, { client, id: 'passe', port: s.p.ownPort(0), fields: '*' });
  const mint = ['-M', 'grant_type=client_credentials&scope=passe_lire'];
  await besidePeer('token_mint', 'ES256 tokens/s', s, [...mint, '-H', `localhost:${s.p.port}`, '-b', basic(client.client_id, client.client_secret)], mint, 1);
});

// The same sign-in with so many people: BENCH_PEOPLE=45000000 by name only, for it takes a day's disk.
benches.login_at_scale = async () => {
  const people = Number(process.env.BENCH_PEOPLE ?? 1000000), rates = {};
  for (const n of [1000, people]) {
    await row(n, async (s) => {
      const list = [];
      for (let i = 0; i < ROUNDS; i++) list.push(await measure(s, s.session));
      const rate = median(list.map((x) => x.rate));
      const at = await logins(s.url, [...s.session, '-r', String(Math.floor(rate / 2))]);
      rates[n] = { rate, p99_us: at.p99_us, mb: s.bytes() / 1e6 };
    });
  }
  const few = rates[1000], many = rates[people];
  note({ name: 'login_at_scale', value: round(many.rate, 0), unit: `logins/s, ${people} people`, comparator: 'the same with 1,000 people', comparator_value: round(few.rate, 0), at_rate: round(many.rate / 2, 0), p99_us: many.p99_us, comparator_p99_us: few.p99_us, p99_added_us: many.p99_us - few.p99_us, hold: `${round(few.rate / many.rate)} times slower (1.2 at most); database ${round(many.mb, 0)} MB` });
};
