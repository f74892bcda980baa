// The gateway as providers and consumers meet it: who may call, what comes through, what is written
// down, and what happens when the other side fails.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, run, sleep, until } from '../lib/platform.mjs';
import { Provider, newClient, publish, document } from '../lib/provider.mjs';
import { World, call, tokensFor, walkSignIn } from '../lib/story.mjs';
import { send } from '../lib/http.mjs';
import { text } from '../lib/text.mjs';

let platform, world, provider, client, contract, person;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  provider = await Provider.start(platform.ownPort(0));
  client = newClient(platform);
  contract = publish(platform, { client, port: provider.port });
  publish(platform, { client, id: 'tout', port: provider.port, fields: '*' });
  publish(platform, { client, id: 'motif', port: provider.port, contract: { purpose_needed: true, recipients: '99900600000015' } });
  publish(platform, { client, id: 'compte', port: provider.port, contract: { quota_per_minute: 20 } });
  person = await token(world.citizen, 'essai_lire tout_lire motif_lire compte_lire');
}, { timeout: 180000 });
after(async () => {
  await provider?.stop();
  await platform?.destroy();
}, { timeout: 60000 });

// A token for the test's own service, for somebody; and for the demonstration's, which has a contract
// with the two other bodies.
const token = (account, scope, options) => tokensFor(world, account, { client, scope: `openid ${scope}`, ...options });
const get = (path, options) => call(world, path, person.access_token, options);

function problem(r, status, code) {
  assert.equal(r.status, status, r.text.slice(0, 300));
  assert.match(r.headers['content-type'], /^application\/problem\+json/);
  const p = r.json;
  assert.equal(p.status, status);
  assert.equal(p.code, code, r.text);
  assert.ok(p.type && p.title && p.detail && p.trace, 'type, title, detail and trace are said');
  return p;
}

test('[2.1.1.c] two bodies’ data reach the consumer through the gateway, and only the fields of the contract', async () => {
  const t = await tokensFor(world, world.citizen, { client: world.town, scope: 'openid famille_foyer adresse_fiscale' });
  const family = await call(world, '/gw/famille/v1/foyer', t.access_token);
  assert.equal(family.status, 200, family.text);
  assert.match(family.text, /Inès/);
  assert.doesNotMatch(family.text, /numero_securite_sociale|216066900112233/, 'what the contract does not name stays');
  const tax = await call(world, '/gw/adresse/v1/adresse', t.access_token);
  assert.equal(tax.status, 200, tax.text);
  assert.match(tax.text, /rue des Capucins/);
  assert.doesNotMatch(tax.text, /revenu_fiscal|41250/, 'also through the adapter of the older service');
});

test('fields are dropped at every depth; a contract of "*" passes the body through', async () => {
  const r = await get('/gw/essai/v1/ok');
  assert.deepEqual(r.json, { dossier: { numero: 'D-1', personnes: [{ nom: 'MARTIN' }, { nom: 'BENALI' }] }, total: 2 });
  assert.deepEqual((await get('/gw/tout/v1/ok')).json, document);
  assert.deepEqual((await get('/gw/essai/v1/chunked')).json, r.json, 'in pieces too');
});

test('the provider gets the person’s identity, the purpose and a trace; not the token, not a cookie', async () => {
  await get('/gw/essai/v1/ok?x=1', { headers: { cookie: 'a=b', 'x-forwarded-for': '10.0.0.1', 'socle-subject': 'forged' } });
  const h = provider.last.headers;
  assert.equal(provider.last.target, '/p/ok?x=1');
  assert.equal(h.authorization, undefined);
  assert.equal(h.cookie, undefined);
  const pivot = JSON.parse(Buffer.from(h['socle-subject'], 'base64url').toString());
  assert.equal(pivot.family_name, 'MARTIN');
  assert.match(h.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
});

test('answers carry nothing of the provider’s own headers', async () => {
  const r = await get('/gw/tout/v1/cookie');
  assert.equal(r.status, 200);
  for (const name of ['set-cookie', 'server', 'x-internal']) assert.equal(r.headers[name], undefined, name);
  assert.equal(r.headers['cache-control'], 'no-store');
});

test('tokens: none, malformed, altered, unsigned, of another kind', async () => {
  const url = '/gw/essai/v1/ok';
  const none = await call(world, url, null);
  problem(none, 401, 'EXC-401-TOKEN');
  assert.match(none.headers['www-authenticate'], /^Bearer/);
  const [h, p, s] = person.access_token.split('.');
  const payload = JSON.parse(Buffer.from(p, 'base64url'));
  const b64 = (v) => Buffer.from(JSON.stringify(v)).toString('base64url');
  const flipped = Buffer.from(s, 'base64url');
  flipped[10] ^= 1;
  const wrong = {
    'not a JWT': 'abc', 'two parts': `${h}.${p}`, 'an altered signature': `${h}.${p}.${flipped.toString('base64url')}`,
    'an altered payload': `${h}.${b64({ ...payload, sub: 'somebody' })}.${s}`, 'alg none': `${b64({ alg: 'none', typ: 'at+jwt' })}.${p}.`,
    'alg HS256': `${b64({ alg: 'HS256', typ: 'at+jwt' })}.${p}.${s}`, 'an ID token': person.id_token, 'blanks inside': `${h}. ${p}.${s}`, 'very long': `${h}.${'A'.repeat(20000)}.${s}`,
  };
  for (const [what, token] of Object.entries(wrong)) {
    const r = await call(world, url, token);
    assert.ok([401, 431].includes(r.status), `${what}: ${r.status} ${r.text.slice(0, 120)}`);
    if (r.status === 401) assert.match(r.headers['www-authenticate'], /invalid_token|^Bearer/, what);
  }
  assert.equal((await get(url)).status, 200, 'the right one still works');
});

test('a flood of bad tokens is told to wait, and costs the others nothing', async () => {
  const bad = (i) => call(world, '/gw/essai/v1/ok', `eyJhbGciOiJFUzI1NiJ9.e30.${Buffer.from(`signature ${i} ${'x'.repeat(40)}`).toString('base64url')}`);
  const statuses = new Set((await Promise.all(Array.from({ length: 120 }, (_, i) => bad(i)))).map((r) => r.status));
  assert.ok(statuses.has(429), [...statuses].join());
  const elsewhere = await token(world.citizen, 'essai_lire', { person: person.person });
  assert.equal((await call(world, '/gw/essai/v1/ok', elsewhere.access_token, { localAddress: '127.0.0.2' })).status, 200, 'a new token from another address passes meanwhile');
  await sleep(1100);
});

test('[2.1.1.c3] a contract suspended refuses within 1 s, resumed passes again, ended refuses; another scope is not covered', async () => {
  const refused = async (what) => {
    const at = Date.now();
    const r = await until(what, async () => { const x = await get('/gw/essai/v1/ok'); return x.status === 403 && x; }, { timeoutMs: 10000 });
    const took = Date.now() - at;
    problem(r, 403, 'EXC-403-CONTRACT');
    console.log(`figure: ${what} after ${took} ms`);
    assert.ok(took < 1500, `${took} ms`);
  };
  const passes = () => until('it passes again', async () => (await get('/gw/essai/v1/ok')).status === 200);
  platform.must(['contract', 'suspend', contract]);
  await refused('a suspended contract refused');
  platform.must(['contract', 'resume', contract]);
  await passes();
  const terms = platform.json(['contract', 'show', contract]);
  platform.must(['contract', 'put', '-'], { input: JSON.stringify({ ...terms, ends_at: Date.now() - 1000 }) });
  await refused('an ended contract refused');
  platform.must(['contract', 'put', '-'], { input: JSON.stringify({ ...terms, ends_at: 0 }) });
  await passes();
  const narrow = await token(world.citizen, 'tout_lire', { person: person.person });
  problem(await call(world, '/gw/essai/v1/ok', narrow.access_token), 403, 'EXC-403-SCOPE');
});

test('without the person’s consent the contract that needs one refuses', async () => {
  const t = await tokensFor(world, world.account('jeanne.rousseau'), { scope: 'openid famille_foyer', decision: 'refuse' });
  if (t.error) return assert.equal(t.error, 'access_denied');
  const r = await call(world, '/gw/famille/v1/foyer', t.access_token);
  assert.equal(r.status, 403, r.text);
  assert.ok(['EXC-403-CONSENT', 'EXC-403-SCOPE'].includes(r.json.code), r.text);
});

test('a revoked token is refused within 1 s', async () => {
  const t = await token(world.citizen, 'essai_lire', { person: person.person });
  assert.equal((await call(world, '/gw/essai/v1/ok', t.access_token)).status, 200);
  const r = await send(`${world.issuer}/api/v2/token/revocation`, { method: 'POST', headers: { authorization: `Basic ${t.basic}`, 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams({ token: t.access_token }).toString() });
  assert.equal(r.status, 200, r.text);
  const at = Date.now();
  const refused = await until('it is refused', async () => { const x = await call(world, '/gw/essai/v1/ok', t.access_token); return x.status !== 200 && x; }, { timeoutMs: 10000 });
  console.log(`figure: a revoked token refused after ${Date.now() - at} ms`);
  problem(refused, 401, 'EXC-401-REVOKED');
  assert.ok(Date.now() - at < 1500);
});

test('[2.1.1.c4] the quota: what is left is said on each answer, then 429 and when to come back', async () => {
  let r, passed = 0;
  for (let i = 0; i < 40; i++) {
    r = await get('/gw/compte/v1/ok');
    if (r.status !== 200) break;
    passed++;
    assert.equal(r.headers['ratelimit-limit'], '20');
    assert.ok(Number(r.headers['ratelimit-remaining']) <= 20);
  }
  problem(r, 429, 'EXC-429-QUOTA');
  assert.ok(passed >= 10 && passed <= 20, `${passed} calls of 20 passed`);
  assert.ok(Number(r.headers['retry-after']) >= 1 && Number(r.headers['retry-after']) <= 60);
  assert.equal((await get('/gw/essai/v1/ok')).status, 200, 'other contracts are not touched');
});

test('purpose: context, object and recipient are asked where the contract says so', async () => {
  problem(await get('/gw/motif/v1/ok'), 400, 'EXC-400-PURPOSE');
  problem(await get('/gw/motif/v1/ok?context=Demande&object=D-1&recipient=11111111111111'), 403, 'EXC-403-RECIPIENT');
  assert.equal((await get('/gw/motif/v1/ok?context=Demande&object=D-1&recipient=99900600000015')).status, 200);
  assert.equal((await get('/gw/motif/v1/ok', { headers: { 'socle-context': 'Demande', 'socle-object': 'D-1', 'socle-recipient': '99900600000015' } })).status, 200);
});

test('paths: unknown, not plain, another method', async () => {
  problem(await get('/gw/nulle/v1/ok'), 404, 'EXC-404-ROUTE');
  problem(await get('/gw/essai/v9/ok'), 404, 'EXC-404-ROUTE');
  for (const path of ['/gw/essai/v1/a%2fb', '/gw/essai/v1/a%5cb', '/gw/essai/v1/%00', '/gw/essai/v1/a;b', '/gw/essai/v1/a//b']) {
    const r = await get(path);
    assert.equal(r.status, 400, `${path}: ${r.status}`);
  }
  const r = await get('/gw/essai/v1/ok', { method: 'DELETE' });
  problem(r, 405, 'EXC-405-METHOD');
  assert.match(r.headers.allow, /GET/);
});

test('a body is forwarded, and one over the limit is refused before the provider sees it', async () => {
  const r = await get('/gw/essai/v1/ok', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"q":1}' });
  assert.equal(r.status, 200);
  assert.equal(provider.last.body, '{"q":1}');
  const n = provider.requests.length;
  problem(await get('/gw/essai/v1/ok', { method: 'POST', headers: { 'content-type': 'application/json' }, body: 'x'.repeat((1 << 20) + 1) }), 413, 'EXC-413-BODY');
  assert.equal(provider.requests.length, n);
});

test('a provider that answers garbage, too much, not as agreed, or closes early: a clear error, nothing delivered', async () => {
  for (const path of ['close', 'close-head', 'close-body', 'garbage', 'two-lengths', 'length-and-chunked', 'not-json', 'cut-json', 'bad-utf8', 'deep', 'html', 'error', 'redirect', 'big-head']) {
    const r = await get(`/gw/essai/v1/${path}`);
    assert.ok([502, 503].includes(r.status), `${path}: ${r.status} ${r.text.slice(0, 200)}`);
    assert.match(r.headers['content-type'], /problem\+json/, path);
    assert.doesNotMatch(r.text, /stack trace|<html|total/, `${path}: nothing of the provider’s answer`);
    assert.ok(r.headers['socle-entry'], `${path}: the decision was written down all the same`);
  }
  problem(await get('/gw/essai/v1/missing'), 404, 'EXC-404-DATA');
  assert.equal((await get('/gw/essai/v1/ok')).status, 200, 'and the next call passes');
});

test('a provider that hangs, and one that never stops sending', { timeout: 120000 }, async () => {
  const slow = await Promise.all(['hang', 'hang-head', 'hang-body'].map((p) => get(`/gw/essai/v1/${p}`, { timeoutMs: 90000 })));
  slow.forEach((r) => problem(r, 504, 'EXC-504-PROVIDER'));
  const endless = await get('/gw/essai/v1/endless', { timeoutMs: 90000 });
  assert.equal(endless.status, 502, endless.text.slice(0, 200));
  assert.equal((await get('/gw/essai/v1/ok')).status, 200);
});

test('a provider that is down: 503 at once', async () => {
  publish(platform, { client, id: 'eteint', port: platform.ownPort(5) });
  const t = await token(world.citizen, 'eteint_lire', { person: person.person });
  const r = await until('the gateway knows the API', async () => { const x = await call(world, '/gw/eteint/v1/ok', t.access_token); return x.status !== 404 && x.status !== 403 && x; });
  problem(r, 503, 'EXC-503-PROVIDER');
  assert.ok(r.headers['retry-after']);
});

test('[2.1.1.d4] [2.1.1.d1] after 1,000 exchanges the journal verifies, and a person’s list is exactly hers', { timeout: 240000 }, async () => {
  const account = world.account('fatima.benkacem');
  const fatima = await token(account, 'essai_lire');
  const hers = [];
  await Promise.all(Array.from({ length: 16 }, async (_, k) => {
    for (let i = k; i < 1000; i += 16) {
      const own = i % 10 === 0;
      const r = await call(world, '/gw/essai/v1/ok', own ? fatima.access_token : person.access_token);
      assert.equal(r.status, 200, r.text);
      if (own) hers.push(r.headers['socle-entry']);
    }
  }));
  await fatima.person.go(`${platform.base}/account`);
  await walkSignIn(fatima.person, account);
  const csv = await until('each of her exchanges is listed', async () => {
    const r = await fatima.person.go(`${platform.base}/account/uses?format=csv`);
    assert.equal(r.status, 200);
    return hers.every((id) => r.text.includes(id)) && r;
  });
  const rows = csv.text.trim().split(/\r?\n/).slice(1).filter((l) => /Essai/.test(l));
  assert.equal(rows.length, hers.length, 'and no other');
  await until('the journal verifies', () => run(['journal', 'verify', platform.journalFolder]).code === 0);
});

test('[2.1.1] a decision is provable from its answer alone; the proof fails once altered', async () => {
  const r = await get('/gw/essai/v1/ok');
  const id = r.headers['socle-entry'];
  assert.match(id, /^[0-9A-HJKMNP-TV-Z]{26}$/);
  const proof = await until('a checkpoint covers it', () => { const p = platform.command(['journal', 'prove', id]); return p.code === 0 && p.stdout; });
  const file = join(platform.folder, 'proof');
  writeFileSync(file, proof);
  assert.equal(run(['journal', 'verify', file]).code, 0);
  writeFileSync(file, proof.replace(/[A-Za-z0-9+/]{40}/, (m) => m.split('').reverse().join('')));
  assert.notEqual(run(['journal', 'verify', file]).code, 0);
});

test('[P5.1.4.a] a withdrawn consent refuses the next call within 1 s', async () => {
  const account = world.account('jeanne.rousseau');
  const t = await tokensFor(world, account, { scope: 'openid famille_foyer' });
  assert.equal((await call(world, '/gw/famille/v1/foyer', t.access_token)).status, 200);
  const c = t.person;
  await c.go(`${platform.base}/account/consents`);
  await walkSignIn(c, account);
  await c.go(`${platform.base}/account/consents`);
  await c.follow(text('account', 'consents.withdraw'));
  await c.press(text('account', 'withdraw.button'));
  assert.ok(c.text.includes(text('account', 'withdrawn.title')), c.text.slice(0, 500));
  const at = Date.now();
  const r = await until('it is refused', async () => { const x = await call(world, '/gw/famille/v1/foyer', t.access_token); return x.status !== 200 && x; }, { timeoutMs: 10000 });
  console.log(`figure: refused ${Date.now() - at} ms after the withdrawal`);
  problem(r, 403, 'EXC-403-CONSENT');
  assert.ok(Date.now() - at <= 1000);
});

test('an expired token is refused', { timeout: 120000 }, async () => {
  await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(3600 * 1000) } });
  const r = await until('the gateway knows its configuration', async () => { const x = await get('/gw/essai/v1/ok'); return x.status !== 503 && x; });
  problem(r, 401, 'EXC-401-EXPIRED');
});
