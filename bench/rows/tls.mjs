// The gateway where the caller is tied to its call: over TLS with tokens bound to the client's
// certificate, with DPoP proofs, with signed messages. Each on a platform of its own, ended after.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Agent } from 'node:https';
import { ROUNDS, SECONDS, begin, benches, median, note, output, pin, round, run } from '../kit.mjs';
import { Platform, portBlock, processesOf, sleep, until } from '../../test/lib/platform.mjs';
import { newClient, publish } from '../../test/lib/provider.mjs';
import { send } from '../../test/lib/http.mjs';
import { Authority, secure } from '../../test/lib/tls.mjs';
import { newKey, signRequest } from '../../test/lib/httpsig.mjs';

const TOKENS = 1000, SMALL = '{"ok":true,"at":"2026"}', SOCLE = ['supervisor', 'web', 'keys', 'journal', 'jobs'];
const b64 = (v) => Buffer.from(typeof v === 'string' ? v : JSON.stringify(v)).toString('base64url');

function generate(args) {
  const [cmd, ...prefix] = [...pin(1), 'build/bench/load'];
  return output(cmd, [...prefix, '-c', '64', '-d', String(SECONDS), '-w', '1', ...args]);
}

/** A platform with an origin, a client and a contract; `fn` measures on it. */
async function onItsOwn({ clientOptions, contract = {}, authority }, fn) {
  const ports = await portBlock(), at = (n) => ports.base + n;
  const platform = await Platform.start({ ports, prefix: pin(0), args: ['--loops', '1', '--log-level', 'warn', '--mtls-port', String(at(12)), '--mtls-authorities', authority.pem] });
  let origin;
  try {
    const fill = (name, values) => {
      let text = readFileSync(`bench/${name}`, 'utf8');
      for (const [k, v] of Object.entries({ RUN: run, SMALL, DOCUMENT: SMALL, ...values })) text = text.replaceAll(`@${k}@`, v);
      writeFileSync(join(run, `${at(0)}-${name}`), text);
      return join(run, `${at(0)}-${name}`);
    };
    origin = begin(1, '/usr/sbin/nginx', ['-c', fill('origin.conf', { ORIGIN: at(10) }), '-e', join(run, 'e5')]);
    await until('the origin answers', () => send(`http://127.0.0.1:${at(10)}/small`).then((r) => r.status === 200, () => false));
    const client = newClient(platform, ...clientOptions);
    publish(platform, { client, id: 'passe', port: at(10), fields: '*', api: { prefix: '' }, contract: { quota_per_minute: 100000000, ...contract } });
    await sleep(1200);
    return await fn({ platform, client, at, fill });
  } finally {
    await platform.destroy();
    if (origin) try { process.kill(-origin.pid, 'SIGTERM'); } catch { /* gone */ }
  }
}

const cpuOf = (platform) => Object.entries(platform.cpuSeconds()).filter(([n]) => SOCLE.includes(n)).reduce((a, [, v]) => a + v, 0);
async function turn(cpu, args) {
  const before = cpu();
  const r = await generate(await args());
  if (r.other_status || r.errors) throw new Error(`${r.other_status} answers of another status, ${r.errors} errors`);
  return { ...r, cpu_us: ((cpu() - before) * 1e6) / (r.rate * (r.seconds + 1)) };
}
const middle = (list, k) => median(list.map((x) => x[k]));

// ---- over TLS, beside nginx that checks the same certificates -----------------------------------------
benches.gateway_tls = async () => {
  const folder = join(run, 'tls');
  mkdirSync(folder, { recursive: true });
  const authority = new Authority(folder), mine = authority.sign('consumer');
  authority.sign('proxy', { hosts: 'localhost' });
  writeFileSync(join(folder, 'both.pem'), Buffer.concat([mine.cert, mine.key]));
  const der = Buffer.from(mine.cert.toString().replace(/-----[^-]+-----|\s/g, ''), 'base64');
  const jwk = createPublicKey(createPrivateKey(mine.key)).export({ format: 'jwk' });
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify({ keys: [{ ...jwk, 'x5t#S256': createHash('sha256').update(der).digest('base64url') }] }));
  await onItsOwn({ authority, clientOptions: ['--jwks', join(folder, 'jwks.json'), '--auth', 'self_signed_tls_client_auth', '--bound', 'mtls'] }, async ({ platform, client, at, fill }) => {
    platform.must(['tls', 'make', 'default', 'localhost,127.0.0.1']);
    await until('a certificate', () => secure(at(12), '/healthz', mine).then((r) => r.status === 200, () => false));
    const agent = new Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false, ...mine });
    const lines = [];
    const body = new URLSearchParams({ grant_type: 'client_credentials', scope: 'passe_lire', client_id: client.client_id }).toString();
    await Promise.all([...Array(8)].map(async () => {
      while (lines.length < TOKENS) {
        const r = await secure(at(12), '/api/v2/token', { agent, method: 'POST', headers: { host: `localhost:${platform.port}`, 'content-type': 'application/x-www-form-urlencoded' }, body });
        if (r.status !== 200) throw new Error(`a token: ${r.status} ${r.text}`);
        lines.push(`Authorization: Bearer ${r.json.access_token}`);
      }
    }));
    agent.destroy();
    writeFileSync(join(folder, 'tokens'), lines.join('\n'));
    const proxy = begin(0, '/usr/sbin/nginx', ['-c', fill('proxy_tls.conf', { ORIGIN: at(10), PROXY: at(11), CERT: authority.file('proxy', 'pem'), KEY: authority.file('proxy', 'key'), AUTHORITY: authority.pem }), '-e', join(run, 'e6')]);
    await until('nginx answers', () => secure(at(11), '/small', mine).then((r) => r.status === 200, () => false));
    const ours = [], theirs = [];
    const nginx = () => processesOf(proxy.pid).reduce((a, p) => a + p.ticks / 100, 0);
    for (let i = 0; i < ROUNDS; i++) {
      ours.push(await turn(() => cpuOf(platform), () => ['-C', join(folder, 'both.pem'), '-L', join(folder, 'tokens'), '-H', `Host: localhost:${platform.port}`, `https://127.0.0.1:${at(12)}/gw/passe/v1/small`]));
      theirs.push(await turn(nginx, () => ['-C', join(folder, 'both.pem'), `https://127.0.0.1:${at(11)}/small`]));
    }
    process.kill(-proxy.pid, 'SIGTERM');
    note({ name: 'gateway_tls', value: round(middle(ours, 'rate'), 0), unit: `req/s, ${TOKENS} bound tokens`, comparator: 'nginx, the same client certificates', comparator_value: round(middle(theirs, 'rate'), 0), cpu_us: round(middle(ours, 'cpu_us')), comparator_cpu_us: round(middle(theirs, 'cpu_us')), hold: 0.8 });
  });
};

// ---- proofs and signatures: beside the CPU of their cryptography alone --------------------------------
function speed() {
  const [cmd, ...args] = [...pin(0), 'openssl', 'speed', '-seconds', '2', '-mr', 'ecdsap256'];
  const line = /^\+F4:\d+:256:([\d.]+):([\d.]+)$/m.exec(spawnSync(cmd, args, { encoding: 'utf8' }).stdout);
  return { sign_us: 1e6 / Number(line[1]), verify_us: 1e6 / Number(line[2]) };
}

const authorityOf = () => { const f = join(run, 'tls2'); mkdirSync(f, { recursive: true }); return new Authority(f); };
const basic = (c) => `Basic ${Buffer.from(`${c.client_id}:${c.client_secret}`).toString('base64')}`;
async function tokenOf(platform, client, headers = {}) {
  const r = await send(`${platform.base}/api/v2/token`, { method: 'POST', headers: { authorization: basic(client), 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'passe_lire' }).toString() });
  if (r.status !== 200) throw new Error(`a token: ${r.text}`);
  return r.json.access_token;
}

// Made before each turn, since each may be used once and lives a minute.
async function measured(name, platform, make, crypto_us, comparator) {
  const list = [];
  let enough = 60000;
  for (let i = 0; i < ROUNDS; i++) {
    const file = join(run, `${name}-${i}`);
    writeFileSync(file, Array.from({ length: enough }, make).join('\n'));
    list.push(await turn(() => cpuOf(platform), () => ['-L', file, '-H', `Host: localhost:${platform.port}`, `http://127.0.0.1:${platform.port}/gw/passe/v1/small`]));
    enough = Math.ceil(list[i].rate * (SECONDS + 1) * 1.3);
  }
  note({ name, value: round(middle(list, 'rate'), 0), unit: 'req/s', comparator, comparator_value: round(1e6 / crypto_us, 0), cpu_us: round(middle(list, 'cpu_us')), comparator_cpu_us: round(crypto_us) });
}

benches.gateway_dpop = () => onItsOwn({ authority: authorityOf(), clientOptions: ['--bound', 'dpop'] }, async ({ platform, client }) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const header = b64({ typ: 'dpop+jwt', alg: 'ES256', jwk: publicKey.export({ format: 'jwk' }) });
  const proof = (htm, path, more = {}) => {
    const input = `${header}.${b64({ jti: randomUUID(), htm, htu: `${platform.base}${path}`, iat: Math.floor(Date.now() / 1000), ...more })}`;
    return `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  const token = await tokenOf(platform, client, { dpop: proof('POST', '/api/v2/token') });
  const ath = createHash('sha256').update(token).digest('base64url');
  await measured('gateway_dpop', platform, () => `Authorization: DPoP ${token}\tDPoP: ${proof('GET', '/gw/passe/v1/small', { ath })}`, speed().verify_us, 'one ES256 verification alone');
});

benches.gateway_signed = () => {
  const key = newKey('bench'), authority = authorityOf();
  writeFileSync(join(run, 'signer.json'), JSON.stringify({ keys: [key.jwk] }));
  return onItsOwn({ authority, contract: { signatures: 'both' }, clientOptions: ['--jwks', join(run, 'signer.json'), '--auth', 'client_secret_basic'] }, async ({ platform, client }) => {
    const token = await tokenOf(platform, client), { sign_us, verify_us } = speed();
    const line = () => Object.entries(signRequest(key, { url: `${platform.base}/gw/passe/v1/small`, headers: { authorization: `Bearer ${token}` } })).map(([k, v]) => `${k}: ${v}`).join('\t');
    await measured('gateway_signed', platform, line, sign_us + verify_us, 'one ES256 verification and one signature alone');
  });
};
