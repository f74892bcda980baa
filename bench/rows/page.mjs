// A page of 25 rows with a session, rendered afresh, beside the same bytes as a file.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { benches, beside, note, round, run, stand } from '../kit.mjs';
import { sleep } from '../../test/lib/platform.mjs';
import { call, tokensFor, walkSignIn } from '../../test/lib/story.mjs';

benches.page = async () => {
  const { platform, world, client, ports } = await stand();
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
};
