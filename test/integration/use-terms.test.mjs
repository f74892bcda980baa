// [P5.1.3] What a body finds with each API to reuse it: samples that work, terms of use under a number,
// and the agreement made of them, in which it accepts these terms.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, Visit } from '../lib/browser.mjs';
import { Bodies, api as asBody, expect, terms } from '../lib/contracts.mjs';
import { decode, send, words } from '../lib/http.mjs';
import { Platform, root, until } from '../lib/platform.mjs';
import { World, walkSignIn } from '../lib/story.mjs';

const R = '/api/contracts/requests', OWN = 'Article 1. Lire seulement.\n\nArticle 2. Dire qui lit <b>et</b> pourquoi.';
let platform, world, bodies, town, fund, client, hooks;
const told = [];
const good = readFileSync(join(root, 'test/integration/samples/good.yaml'), 'utf8');
// The fund's own API, under terms of its own where it says so.
const description = (own) => good.replace('x-socle-id: stationnement', `${own ? `x-socle-terms: ${JSON.stringify(own)}\n  ` : ''}x-socle-id: reuse`).replace('x-socle-scope: stationnement', 'x-socle-scope: reuse');
function publish(own) {
  const file = join(platform.folder, 'reuse.yaml');
  writeFileSync(file, description(own));
  return platform.command(['api', 'import', file, '--org', bodies.fund, '--origin', 'http://127.0.0.1:9', '--json']);
}
const get = async (path) => { const r = await send(`${platform.base}${path}`); assert.equal(r.status, 200, `${path}: ${r.text.slice(0, 300)}`); return r; };
const use = async (a, v, number) => (await get(`/api/catalogue/apis/${a}/${v}/terms${number ? `?number=${number}` : ''}`)).json;

before(async () => {
  platform = await Platform.start({ args: ['--allow-inside=yes'] });
  world = new World(platform);
  bodies = new Bodies(platform, world);
  client = platform.json(['client', 'add', '--name', 'Réutilisation', '--redirect-uri', 'http://localhost:3000/callback', '--org', bodies.town]);
  ({ town, fund } = await bodies.sides());
  const r = publish();
  assert.equal(r.code, 0, r.stdout + r.stderr);
  hooks = createServer((rq, rs) => { let b = ''; rq.on('data', (d) => { b += d; }); rq.on('end', () => { told.push(JSON.parse(b)); rs.end(); }); });
  await new Promise((done) => hooks.listen(platform.ownPort(0), '127.0.0.1', done));
}, { timeout: 180000 });
after(async () => { hooks?.closeAllConnections(); hooks?.close(); await platform?.destroy(); }, { timeout: 60000 });

const sh = (code) => new Promise((done) => {
  const c = spawn('sh', ['-c', code], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  for (const s of [c.stdout, c.stderr]) s.on('data', (d) => { out += d; });
  c.on('close', (status) => done({ status, out }));
});

test('[P5.1.3] each entry of the catalogue has samples that work, terms of use, and an agreement made of both', { timeout: 120000 }, async () => {
  const items = (await get('/api/catalogue/apis')).json.items;
  assert.ok(items.length >= 3, items.map((i) => i.id).join(' '));
  for (const { id, version } of items) {
    const page = (await get(`/catalogue/${id}/${version}`)).text;
    const samples = [...page.matchAll(/<details><summary>curl<\/summary>[^]*?<pre><code>([^]*?)<\/code><\/pre>/g)].map((m) => decode(m[1]));
    assert.ok(samples.length, `${id} has samples`);
    const r = await sh(samples[0]);
    assert.equal(r.status, 0, `${id}: ${samples[0]}\n${r.out}`);
    assert.ok(/[{[]/.test(r.out), `${id} answers: ${r.out}`);

    const t = await use(id, version);
    assert.equal(t.number, 1);
    assert.equal(t.digest, createHash('sha256').update(`${t.text.fr}\0${t.text.en}`).digest('hex'));
    assert.ok(page.includes(`/catalogue/${id}/${version}/conditions`), `${id}: its page leads to its terms`);
    const shown = words((await get(`/catalogue/${id}/${version}/conditions`)).text);
    for (const p of t.text.fr.split('\n\n')) assert.ok(shown.includes(words(p)), p);
    assert.ok(!/\{\{|\[terms/.test(t.text.fr + t.text.en));

    const asked = await town('POST', R, terms(client.client_id, { api: id, version, fields: '*', impact_assessment: 'Étude du 1er mars', officer_opinion: 'Avis favorable' }));
    const { id: request } = expect(asked, 201);
    const draft = expect(await town('GET', `${R}/${request}`), 200);
    assert.deepEqual([draft.terms_of_use.accepted, draft.terms_of_use.number], [false, 1]);
    const sent = await town('POST', `${R}/${request}/submit`, { terms_of_use: '1' });
    expect(sent, 200);
    const agreement = JSON.parse(expect(await town('GET', `${R}/${request}/agreement`), 200).text);
    assert.deepEqual(agreement.terms_of_use, { number: 1, digest: t.digest }, `${id}: the text both sides sign names the terms`);
    assert.equal(agreement.api, id);
  }
});

test('[P5.1.3] new terms have a new number; a contract keeps those it accepted, and its body is told', { timeout: 120000 }, async () => {
  const more = { api: 'reuse', version: 'v1', fields: '*', impact_assessment: 'Étude du 1er mars', officer_opinion: 'Avis favorable' };
  const { version } = (await get('/api/catalogue/apis')).json.items.find((i) => i.id === 'reuse');
  const one = await use('reuse', version);
  assert.match(one.text.fr, /^1\. Objet\. .*Caisse des familles/, 'the common terms, filled');
  assert.match(one.text.en, /Family fund/);
  assert.equal(publish().code, 0);
  assert.equal((await use('reuse', version)).number, 1, 'the same text is the same number');
  const before = expect(await town('POST', R, terms(client.client_id, { ...more, version })), 201);
  expect(await town('POST', `${R}/${before.id}/submit`), 200);
  const late = expect(await town('POST', R, terms(client.client_id, { ...more, version })), 201);
  bodies.raiseLevel(); // behind the platform's back: it hears of it when what it keeps is over
  await until('the fund validates', async () => {
    ({ fund } = await bodies.sides());
    const r = await fund('POST', `${R}/${before.id}/validate`);
    return r.status === 200 || (assert.equal(r.json.code, 'CTR-403-LEVEL', r.text), false);
  }, { timeoutMs: 60000, everyMs: 300 });
  expect(await town('POST', '/api/hooks', { url: `http://127.0.0.1:${platform.ownPort(0)}/hook` }), 200);

  const r = publish(OWN);
  assert.equal(r.code, 0, r.stdout);
  const two = await use('reuse', version);
  assert.deepEqual([two.number, two.newest, two.text.fr, two.text.en], [2, 2, OWN, OWN]);
  assert.deepEqual((await use('reuse', version, 1)).text, one.text, 'the first ones stay to be read');
  assert.equal((await send(`${platform.base}/api/catalogue/apis/reuse/${version}/terms?number=3`)).status, 404);
  const page = (await get(`/catalogue/reuse/${version}/conditions`)).text;
  assert.ok(page.includes('Dire qui lit &lt;b&gt;et&lt;/b&gt; pourquoi.'), 'words, whatever they are');
  assert.ok(words((await get(`/catalogue/reuse/${version}/conditions?numero=1`)).text).includes('Une version plus récente est publiée'));

  await until('the consumer is told', () => told.some((e) => e.event === 'catalogue.terms' && e.api === 'reuse'), { timeoutMs: 60000 });
  const kept = expect(await town('GET', `${R}/${before.id}`), 200).terms_of_use;
  assert.deepEqual([kept.accepted, kept.number, kept.newest, kept.digest], [true, 1, 2, one.digest]);
  const refused = await town('POST', `${R}/${late.id}/submit`, { terms_of_use: '1' });
  assert.deepEqual(expect(refused, 422, 'CTR-422-TERMS').errors, { terms_of_use: 'terms_of_use' }, 'what was read is not what is in force');
  expect(await town('POST', `${R}/${late.id}/submit`, { terms_of_use: '2' }), 200);
  assert.equal(expect(await town('GET', `${R}/${late.id}`), 200).terms_of_use.number, 2);
  const again = expect(await town('POST', `${R}/${before.id}/reopen`), 200);
  expect(await town('POST', `${R}/${again.id}/submit`), 200);
  assert.equal(expect(await town('GET', `${R}/${again.id}`), 200).terms_of_use.number, 2, 'reopened, under the new ones');
  for (const bad of [['liste'], 'x'.repeat(20001), '  ', { en: 'English alone' }]) {
    const x = publish(bad);
    assert.equal(x.code, 1, JSON.stringify(bad).slice(0, 40));
    assert.match(x.stdout, /x-socle-terms/);
  }
  assert.equal((await use('reuse', version)).number, 2);
});

test('[P5.1.3] looked at: the terms, and the contract that accepts them', { timeout: 120000 }, async () => {
  const { version } = (await get('/api/catalogue/apis')).json.items.find((i) => i.id === 'reuse');
  const draft = expect(await town('POST', R, terms(client.client_id, { api: 'famille', version: 'v1', fields: '*', impact_assessment: 'Étude', officer_opinion: 'Favorable' })), 201);
  const person = await bodies.browser('town');
  await person.go(`${world.townUrl}/contrats/${draft.id}`);
  assert.ok(person.text.includes('vous acceptez les conditions d’utilisation de l’interface, version 1'), person.text);
  await person.press('Envoyer');
  assert.ok(person.text.includes('Version 1, acceptée'), person.text);
  const browser = await launch();
  try {
    for (const [lang, width] of [['fr', 1280], ['fr', 320], ['en', 1280], ['en', 320]]) {
      const v = await Visit.open(browser, { name: `conditions-${lang}-${width}`, lang, width });
      await v.page.goto(`${platform.base}/catalogue/famille/v1/conditions?lang=${lang}`);
      await v.see('communes');
      await v.page.goto(`${platform.base}/catalogue/reuse/${version}/conditions?numero=1`);
      await v.see('anciennes');
      await v.close();
    }
  } finally {
    await browser.close();
  }
});
