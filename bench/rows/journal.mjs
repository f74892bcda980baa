// The journal: durable entries through the process boundary.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROUNDS, SECONDS, benches, median, note, output, pin, root, round } from '../kit.mjs';

benches.journal_append = async () => {
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
};

// A log to read, filled as fast as the journal takes entries for LOG_SECONDS, or until it has
// LOG_ENTRIES (10000000: half a minute, 4 GB). LOG_FOLDER keeps it: the next row finds it there.
async function filled(work) {
  const wanted = Number(process.env.LOG_ENTRIES ?? 0), kept = process.env.LOG_FOLDER;
  const folder = kept ?? mkdtempSync(join(root, 'build/bench-journal-'));
  const log = () => [folder, ...readdirSync(folder).map((n) => join(folder, n))].find((f) => existsSync(join(f, 'checkpoint')));
  const held = () => (log() ? Number(readFileSync(join(log(), 'checkpoint'), 'utf8').split('\n')[1]) : 0);
  mkdirSync(folder, { recursive: true });
  try {
    const [cmd, ...prefix] = [...(wanted ? [] : pin(0)), 'build/bench/journal'].filter(Boolean);
    for (let before = -1; !log() || held() < wanted;) {
      await output(cmd, [...prefix, '-f', folder, '-d', wanted ? '5' : process.env.LOG_SECONDS ?? String(SECONDS)]);
      if (held() <= before) throw new Error(`no log that grows in ${folder}`);
      before = held();
    }
    await work(log());
  } finally { if (!kept) rmSync(folder, { recursive: true, force: true }); }
}

benches.journal_proof = () => filled(async (log) => {
  const r = await output(...((c) => [c[0], c.slice(1)])([...pin(0), 'build/bench/proof', '-f', log]));
  note({ name: 'journal_proof', value: r.mean_us, unit: 'us a proof', comparator: 'to stay under', comparator_value: 1000, p99_us: r.p99_us, entries: r.entries });
});

benches.journal_verify = () => filled(async (log) => {
  const [cmd, ...args] = [...pin(0), 'build/socle', 'verify', log, '--json'];
  const from = process.hrtime.bigint(), r = spawnSync(cmd, args, { cwd: root, encoding: 'utf8' });
  const seconds = Number(process.hrtime.bigint() - from) / 1e9, v = JSON.parse(r.stdout);
  if (!v.good) throw new Error(v.what);
  const disk = Number(spawnSync('du', ['-sb', log], { encoding: 'utf8' }).stdout.split('\t')[0]);
  note({ name: 'journal_verify', value: round(v.entries / seconds, 0), unit: 'entries/s, offline', comparator: 'to hold', comparator_value: 500000, entries: v.entries, disk_bytes_per_entry: round(disk / v.entries, 0) });
});

benches.journal_search = () => filled(async (log) => {
  const r = await output(...((c) => [c[0], c.slice(1)])([...pin(0), 'build/bench/search', '-f', log]));
  note({ name: 'journal_search', value: r.p99_us, unit: 'us, p99 of a search', comparator: 'to stay under', comparator_value: 50000, mean_us: r.mean_us, entries: r.entries });
});

// One reply at a steady pace, apart from what the journal can take at most.
benches.journal_reply = async () => {
  const folder = mkdtempSync(join(root, 'build/bench-journal-'));
  const [cmd, ...prefix] = [...pin(0), 'build/bench/journal'];
  try {
    const all = [];
    for (let i = 0; i < ROUNDS; i++) {
      const f = join(folder, String(i));
      mkdirSync(f);
      all.push(await output(cmd, [...prefix, '-f', f, '-d', String(SECONDS), '-r', '20000']));
    }
    if (all.some((r) => r.failed)) throw new Error('appends failed');
    note({ name: 'journal_reply', value: median(all.map((r) => r.p99_us)), unit: 'us, p99 at 20,000/s', comparator: 'to stay under', comparator_value: 5000, p50_us: median(all.map((r) => r.p50_us)) });
  } finally { rmSync(folder, { recursive: true, force: true }); }
};
