// The journal: durable entries through the process boundary.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
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
