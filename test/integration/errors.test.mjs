// Each code of docs/ERRORS.md has a page in both languages, and problems and OAuth errors point to it.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, root } from '../lib/platform.mjs';
import { send, words } from '../lib/http.mjs';

let platform;
before(async () => { platform = await Platform.start({ demo: false }); });
after(() => platform?.destroy());
const page = (path, lang = 'fr') => send(`${platform.base}${path}`, { headers: { accept: 'text/html', 'accept-language': lang } });
const h1 = (r) => words(/<h1\b[^>]*>([\s\S]*?)<\/h1>/.exec(r.text)?.[1] ?? '');

test('every code says what happened, what it means, what to do', async () => {
  const codes = [...readFileSync(join(root, 'docs/ERRORS.md'), 'utf8').matchAll(/^\| `([A-Z0-9-]+)` \|/gm)].map((m) => m[1]);
  assert.ok(codes.length > 80);
  const all = (await page('/erreurs')).text;
  for (const code of codes) {
    const [fr, en] = await Promise.all([page(`/erreurs/${code}`), page(`/erreurs/${code}`, 'en')]);
    assert.deepEqual([fr.status, en.status], [200, 200], code);
    assert.notEqual(h1(fr).replace(/^Code /, ''), h1(en).replace(/^Code /, ''), code);
    for (const r of [fr, en]) assert.ok(h1(r).length > code.length + 10 && !/\[error/.test(r.text), code);
    assert.ok(all.includes(`/erreurs/${code}`), code);
  }
});

test('problems and OAuth errors point to such pages; what is no code is not found', async () => {
  const problem = (await send(`${platform.base}/api/account`)).json;
  assert.equal((await page(new URL(problem.type).pathname)).status, 200);
  const oauth = (await send(`${platform.base}/api/v2/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'grant_type=client_credentials' })).json;
  assert.equal((await page(new URL(oauth.error_uri).pathname)).status, 200);
  for (const bad of ['SOC-999', '%3Cb%3E', 'EXC']) assert.equal((await page(`/erreurs/${bad}`)).status, 404, bad);
});
