// From nothing to the first answer, and what it holds in memory.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROUNDS, begin, benches, median, note, pin, pssKb, round, run, stand } from '../kit.mjs';
import { Platform, processesOf, sleep, until } from '../../test/lib/platform.mjs';
import { send } from '../../test/lib/http.mjs';

benches.cold_start = async () => {
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
};

benches.resident_memory = async () => {
  const p = await Platform.start({ demo: false, prefix: pin(0), args: ['--loops', '1'] });
  try {
    for (let i = 0; i < 200; i++) await send(`${p.base}/`);
    await sleep(1000);
    const by = p.pids();
    const ours = Object.fromEntries(Object.entries(by).map(([n, pids]) => [n, round(pssKb(pids) / 1024, 1)]));
    const { proxy } = await stand();
    const theirs = pssKb(processesOf(proxy.pid).map((x) => x.pid)) / 1024;
    note({ name: 'resident_memory', value: round(Object.values(ours).reduce((a, b) => a + b, 0), 1), unit: 'MB PSS, all processes', comparator: 'nginx, master and worker', comparator_value: round(theirs, 1), hold: '< 60 MB', processes: ours });
  } finally { await p.destroy(); }
};
