// One line of JSON for each test that ran: {status, name, ms, why}. A test with subtests is its
// subtests; it counts by itself only when it failed and none of them did.
export default async function* reporter(source) {
  const below = []; /* by nesting: how many subtests ended, how many of them failed */
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') {
      if (type === 'test:stderr' || type === 'test:stdout') yield data.message;
      continue;
    }
    const level = data.nesting, sub = below[level + 1] ?? { ended: 0, failed: 0 };
    below.length = level + 1;
    below[level] ??= { ended: 0, failed: 0 };
    below[level].ended++;
    const failed = type === 'test:fail' && !data.todo;
    if (failed) below[level].failed++;
    const isFile = /\.test\.mjs$/.test(data.name);
    if (sub.ended > 0 && !(failed && sub.failed === 0)) continue;
    if (isFile && !failed) continue;
    const skipped = data.skip !== undefined && data.skip !== false || data.todo !== undefined && data.todo !== false;
    const error = data.details?.error;
    yield `${JSON.stringify({ status: failed ? 'failed' : skipped ? 'skipped' : 'passed', name: isFile ? 'the file runs to its end' : data.name, ms: Math.round(data.details?.duration_ms ?? 0), why: failed ? String(error?.cause?.stack ?? error?.cause ?? error?.stack ?? error) : undefined })}\n`;
  }
}
