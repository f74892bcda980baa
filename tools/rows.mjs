// Each need of docs/mission/rows.tsv with the tests of the last run that bear its id, and the counts
// by module. `--json` for programs.
import { readFileSync, existsSync } from 'node:fs';
const lines = readFileSync('docs/mission/rows.tsv', 'utf8').trimEnd().split('\n').map((l) => l.split('\t'));
const head = lines.shift();
const col = (name) => head.indexOf(name);
const results = existsSync('build/test-results.tsv')
  ? readFileSync('build/test-results.tsv', 'utf8').trimEnd().split('\n').map((l) => l.split('\t')) : [];
const tests = new Map();
for (const [status, suite, name] of results)
  for (const m of (name ?? '').matchAll(/\[([A-Z]?\d[\w.]*)\]/g)) {
    if (!tests.has(m[1])) tests.set(m[1], []);
    tests.get(m[1]).push({ status, suite, name });
  }
const rows = lines.map((l) => {
  const id = l[col('id')];
  const t = tests.get(id) ?? [];
  const state = t.length === 0 ? 'no test' : t.every((x) => x.status === 'passed') ? 'passed' : 'failed';
  return { id, module: l[col('module')], need: l[col('need_en')], state, tests: t };
});
if (process.argv.includes('--json')) {
  console.log(JSON.stringify(rows, null, 1));
} else {
  for (const r of rows.filter((x) => x.tests.length))
    console.log(`${r.state.padEnd(7)} ${r.id.padEnd(9)} ${r.module.padEnd(12)} ${r.need.slice(0, 70)}\n` + r.tests.map((t) => `          ${t.status} ${t.suite}: ${t.name}`).join('\n'));
  const by = new Map();
  for (const r of rows) {
    const m = by.get(r.module) ?? { passed: 0, failed: 0, 'no test': 0 };
    m[r.state]++;
    by.set(r.module, m);
  }
  console.log('\nmodule          passed failed no-test');
  for (const [m, n] of [...by].sort()) console.log(`${m.padEnd(16)}${String(n.passed).padStart(5)} ${String(n.failed).padStart(6)} ${String(n['no test']).padStart(7)}`);
}
