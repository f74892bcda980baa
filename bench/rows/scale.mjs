// The gateway with a country's contracts in its snapshot and a country's consents in the database,
// beside itself before; and what 10,000 connections, slow readers and slow providers cost in memory.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { benches, load, note, pssKb, round, ROUNDS, median, run, stand } from '../kit.mjs';
import { machineToken } from '../../test/lib/story.mjs';
import { processesOf, sleep } from '../../test/lib/platform.mjs';

const CONTRACTS = 10_000, CONSENTS = 1_000_000;

async function passthrough({ platform, world, client }) {
  const rates = [], cpus = [];
  const cpu = () => Object.entries(platform.cpuSeconds()).filter(([n]) => ['web', 'journal', 'keys'].includes(n)).reduce((a, [, v]) => a + v, 0);
  for (let i = 0; i < ROUNDS; i++) {
    const token = await machineToken(world, { client, scope: 'passe_lire' });
    const at = cpu();
    const r = await load(`http://127.0.0.1:${platform.port}/gw/passe/v1/small`, { headers: { Host: `localhost:${platform.port}`, Authorization: `Bearer ${token}` } });
    if (r.other_status || r.errors) throw new Error(`${r.other_status} answers of another status, ${r.errors} errors`);
    rates.push(r.rate);
    cpus.push(((cpu() - at) * 1e6) / (r.rate * (r.seconds + 1)));
  }
  return { rate: median(rates), cpu_us: round(median(cpus)) };
}

benches.gateway_at_scale = async () => {
  const s = await stand();
  if (!s.platform.data || s.platform.database) throw new Error('this row fills a SQLite database');
  const before = await passthrough(s);
  // Rows as the platform's own, copied: a contract of another client each, a consent of another person.
  execFileSync('python3', ['-c', `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60)
cols = [r[1] for r in db.execute('PRAGMA table_info(contract)')]
rest = ','.join(c for c in cols if c not in ('id', 'client_id'))
db.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${CONTRACTS}) INSERT INTO contract(id, client_id, {rest}) SELECT 'scale-' || i, 'client-' || i, {rest} FROM n, (SELECT * FROM contract WHERE api = 'filtre' LIMIT 1)")
db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${CONSENTS}) INSERT INTO consent(id, person, client_id, contract_id, given_at, until_at, withdrawn_at, detail) SELECT 'scale-' || i, 'person-' || i, 'client-' || (i % ${CONTRACTS} + 1), 'scale-' || (i % ${CONTRACTS} + 1), 1, 9999999999999, 0, x'00' FROM n")
db.commit()`, `${s.platform.data}/db/socle.db`]);
  s.platform.must(['contract', 'suspend', 'scale-1']); /* a change: the loops get a new snapshot */
  await sleep(3000);
  const after = await passthrough(s);
  note({ name: 'gateway_at_scale', value: round(after.rate, 0), unit: 'req/s, 10,000 contracts', comparator: 'itself before, hold 0.95', comparator_value: round(before.rate, 0), cpu_us: after.cpu_us, comparator_cpu_us: before.cpu_us });
};

benches.gateway_memory = async () => {
  const { platform, world, client } = await stand();
  const token = await machineToken(world, { client, scope: 'passe_lire' });
  const pids = processesOf(platform.child.pid).filter((p) => p.title === 'socle: web').map((p) => p.pid);
  const kb = () => pssKb(pids);
  await load(`http://127.0.0.1:${platform.port}/gw/passe/v1/small`, { headers: { Host: `localhost:${platform.port}`, Authorization: `Bearer ${token}` }, seconds: 2 });
  writeFileSync(join(run, 'file/big'), Buffer.alloc(8 << 20, 'x'));
  const base = kb(), open = [];
  const line = (path) => `GET ${path} HTTP/1.1\r\nHost: localhost:${platform.port}\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  const reach = async (n, path, read) => {
    for (let i = 0; i < n; i++) {
      const c = connect(platform.port, '127.0.0.1');
      c.on('error', () => {});
      if (!read) c.pause();
      open.push(c);
      await new Promise((done) => c.once('connect', done).once('close', done));
      if (path) c.write(line(path));
    }
    await sleep(1000);
  };
  await reach(9000);
  const idle = kb() - base;
  await reach(500, '/gw/passe/v1/file/big', false); /* they never read */
  const slow = kb() - base - idle;
  note({ name: 'gateway_memory', value: round((idle * 1024) / 9000, 0), unit: 'bytes an idle connection', comparator: '500 that do not read, KB each', comparator_value: round(slow / 500, 1) });
  for (const c of open) c.destroy();
};
