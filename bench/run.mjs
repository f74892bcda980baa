// make bench [NAME=x]: each figure beside a peer, measured in turns in the same run, on the same
// machine, one core each side. Prints a table and writes build/bench.json. The rows are in rows/, what
// they stand on in kit.mjs.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { benches, end, rows } from './kit.mjs';

const only = process.argv[2] ?? '';
for (const f of readdirSync(new URL('./rows/', import.meta.url)).sort()) await import(`./rows/${f}`);

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
  await end().catch((e) => { console.error(e.message); code = 1; });
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
