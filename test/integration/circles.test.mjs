// The platform read as three circles; what a component owes the others; a body that publishes alone.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, root, until } from '../lib/platform.mjs';
import { World, call, machineToken } from '../lib/story.mjs';
import { send, words } from '../lib/http.mjs';
import { entries } from '../lib/journal.mjs';
import { text } from '../lib/text.mjs';
import { Bodies } from '../lib/contracts.mjs';

const good = readFileSync(join(root, 'test/integration/samples/good.yaml'), 'utf8');
let platform, world, bodies, provider;
before(async () => {
  platform = await Platform.start({ env: { SOCLE_PING_SECONDS: '1' } });
  world = new World(platform);
  bodies = new Bodies(platform, world);
  provider = createServer((rq, rs) => { rs.setHeader('content-type', 'application/json'); rs.end(JSON.stringify({ numero: rq.url.includes('/v1/') ? 'un' : 'deux', titulaire: { nom: 'Durand' } })); });
  await new Promise((done) => provider.listen(platform.ownPort(0), '127.0.0.1', done));
}, { timeout: 180000 });
after(async () => { provider?.close(); await platform?.destroy(); }, { timeout: 60000 });

const page = async (path, lang = 'fr') => words((await send(`${platform.base}${path}?lang=${lang}`, { headers: { accept: 'text/html' } })).text);
const file = (name, body) => { const f = join(platform.folder, name); writeFileSync(f, body); return f; };

test('[P5.1.4] the three circles: each component the architecture names, with its state', { timeout: 60000 }, async () => {
  const r = await until('the bodies’ APIs are asked', async () => { const x = (await send(`${platform.base}/api/catalogue/circles`)).json; return x.items.flatMap((c) => c.components).every((k) => k.state !== 'unknown') && x; });
  const [core, commons, partners] = r.items;
  assert.deepEqual(r.items.map((c) => c.circle), [1, 2, 3]);
  for (const id of ['identity', 'consents', 'trust', 'catalogue', 'management']) assert.equal(core.components.find((k) => k.id === id)?.state, 'up', id);
  for (const id of ['data', 'payment', 'forge', 'documentation', 'local-management', 'hubs']) assert.ok(commons.components.some((k) => k.id === id), id);
  assert.ok(['planned', 'up'].includes(commons.components.find((k) => k.id === 'forge').state), 'what is not there is said');
  assert.ok(r.items.flatMap((c) => c.components).some((k) => k.id === 'famille'), 'the bodies’ own APIs stand in their circle');
  assert.ok(Array.isArray(partners.components));
  for (const lang of ['fr', 'en']) {
    const p = await page('/cercles', lang);
    for (const key of ['component.identity', 'component.consents', 'component.payment', 'component.state.up', 'circle.1', 'circle.2', 'circle.3']) assert.ok(p.includes(text('catalogue', key, lang)), `${lang} ${key}`);
  }
  for (const k of core.components.filter((x) => x.url.startsWith('/') && x.url !== '/account/consents' && x.url !== '/account')) assert.equal((await send(`${platform.base}${k.url}`)).status, 200, `${k.id} ${k.url}`);
});

const software = (without) => {
  const parts = { licence: 'legal:\n  license: EUPL-1.2\n', documentation: 'documentation: https://a.example/doc\n', sandbox: '  sandbox: https://a.example/essai\n', version: 'softwareVersion: "1.4.0"\n', tests: '  tests: make test\n' };
  const has = (k) => (k === without ? '' : parts[k]);
  return `publiccodeYmlVersion: "0.4"\nname: Outil\n${has('licence')}${has('version')}${has('documentation')}x-socle:\n  owner: DSI\n${has('sandbox')}${has('tests')}`;
};

test('[P5.4.3] a component lacking licence, documentation, sandbox, version or tests fails the check, by its name', { timeout: 60000 }, async () => {
  const check = (body) => { const r = platform.command(['api', 'component', file('component.yml', body), '--json']); return { code: r.code, ...JSON.parse(r.stdout) }; };
  assert.deepEqual([check(software()).code, check(software()).holds], [0, true]);
  for (const duty of ['licence', 'documentation', 'sandbox', 'version', 'tests']) {
    const r = check(software(duty));
    assert.equal(r.code, 1, duty);
    assert.deepEqual(r.duties.filter((d) => !d.holds).map((d) => d.duty), [duty]);
  }
  assert.equal(check(software().replace('EUPL-1.2', 'proprietary')).duties.find((d) => d.duty === 'licence').holds, false);
  for (const v of ['1.4', 'v1', '01.2.3', '']) assert.equal(check(software().replace('1.4.0', v)).duties.find((d) => d.duty === 'version').holds, false, v);
  // The same of an API's description.
  assert.equal(check(good).holds, true, JSON.stringify(check(good)));
  assert.equal(check(good.replace(/ {2}license: .*\n/, '')).holds, false);
  assert.ok(check('a: [').fault.line >= 1);
  const over = await send(`${platform.base}/api/catalogue/component`, { method: 'POST', headers: { 'content-type': 'application/yaml' }, body: software('sandbox') });
  assert.deepEqual(over.json.duties.filter((d) => !d.holds).map((d) => d.duty), ['sandbox']);
});

test('[F2.1.12] [P5.4.3] a body declares, tests and publishes its API alone; two versions run side by side; the operator reads the record', { timeout: 120000 }, async () => {
  const agent = await bodies.browser('town');
  await agent.go(`${world.townUrl}/agent/interfaces`);
  const own = (version, path) => good.replace('x-socle-id: stationnement', 'x-socle-id: voirie').replace('x-socle-scope: stationnement', 'x-socle-scope: voirie').replace('version: 1.2.0', `version: ${version}`).replace('- url: /', `- url: ${path}`);
  const origin = `http://127.0.0.1:${provider.address().port}`;
  // Declared wrong: told what is wrong, nothing published.
  await agent.press(text('catalogue', 'publish.button'), { origin, description: own('1.2.0', '/v1').replace(/ {2}license: .*\n/, '') });
  assert.equal(agent.page.status, 422);
  assert.equal((await send(`${platform.base}/catalogue/voirie`)).status, 404);
  for (const [version, path] of [['1.2.0', '/v1'], ['2.0.0', '/v2']]) {
    await agent.press(text('catalogue', 'publish.button'), { origin, description: own(version, path) });
    assert.ok(agent.text.includes(text('catalogue', 'publish.done')), agent.text.slice(0, 600));
  }
  // Tested in the sandbox, then both versions under contract.
  assert.equal((await send(`${platform.base}/sandbox/voirie/v2/cartes/A-1`)).json.titulaire.nom, 'Martin');
  const client = platform.json(['client', 'add', '--name', 'Lecteur', '--redirect-uri', 'http://localhost:3000/x', '--org', 'essai-demo', '--id', 'lecteur-voirie']);
  for (const version of ['v1', 'v2']) platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: 'lecteur-voirie', org_id: 'essai-demo', api: 'voirie', version, fields: 'numero', purpose: { fr: 'P', en: 'P' }, legal_basis: { fr: 'L', en: 'L' } }) });
  for (const [version, numero] of [['v1', 'un'], ['v2', 'deux']]) {
    const r = await until(`${version} answers`, async () => {
      const t = await machineToken(world, { client: { client_id: 'lecteur-voirie', client_secret: client.client_secret }, scope: 'voirie' }).catch(() => null);
      const x = t && await call(world, `/gw/voirie/${version}/cartes/A`, t);
      return x?.status === 200 && x;
    });
    assert.deepEqual(r.json, { numero });
  }
  // The operator did nothing, and reads who did it.
  const record = await until('the record', () => { const l = entries(platform.journalFolder).filter((e) => e.kind === 'catalogue.api.imported' && e.object.startsWith('voirie/')); return l.length === 2 && l; });
  for (const e of record) assert.match(e.actor, /^agent:/);
  assert.match(platform.must(['api', 'list']), /voirie\/v1[\s\S]*voirie\/v2/);
});
