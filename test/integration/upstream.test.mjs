// Providers that slow, fail, ask for a pause, or want a key: what their consumers and their owners
// see of it.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { Platform, sleep, until } from '../lib/platform.mjs';
import { newClient, publish } from '../lib/provider.mjs';
import { World, call, machineToken } from '../lib/story.mjs';

// A provider whose mood the test sets.
let platform, world, provider, client, token;
const mood = { delay: 0, status: 200, headers: {}, drop: 0 };
const seen = [], tokens = [];
function serve(rq, rs) {
  const chunks = [];
  rq.on('data', (d) => chunks.push(d));
  rq.on('end', () => {
    if (rq.url === '/token') {
      tokens.push({ auth: rq.headers.authorization, body: Buffer.concat(chunks).toString() });
      rs.writeHead(200, { 'content-type': 'application/json' });
      return rs.end(JSON.stringify({ access_token: `t${tokens.length}`, token_type: 'Bearer', expires_in: 3600 }));
    }
    seen.push({ method: rq.method, url: rq.url, headers: rq.headers });
    if (mood.drop > 0) { mood.drop--; return rq.socket.destroy(); }
    setTimeout(() => {
      rs.writeHead(mood.status, { 'content-type': 'application/json', ...mood.headers });
      rs.end('{"total":2,"secret":"non"}');
    }, mood.delay);
  });
}
const calm = () => Object.assign(mood, { delay: 0, status: 200, headers: {}, drop: 0 });
const breaker = { calls: 4, percent: 50, slow_ms: 300, open_s: 1 };

before(async () => {
  platform = await Platform.start({ args: ['--loops', '1'] });
  world = new World(platform);
  const port = platform.ownPort(0);
  provider = createServer(serve);
  await new Promise((done) => provider.listen(port, '127.0.0.1', done));
  client = newClient(platform);
  const put = (id, gateway, more = {}) => publish(platform, { client, id, port, fields: 'total', api: { methods: 'GET POST', gateway, ...more }, contract: more.contract ?? {} });
  put('lent', { breaker, answer_ms: 2000 });
  put('casse', { breaker, retries: 1 });
  put('borne', { breaker: { calls: 0 } });
  put('cle', { credentials: { kind: 'header', name: 'X-Api-Key' } });
  put('requete', { credentials: { kind: 'query', name: 'apikey' } });
  put('simple', { credentials: { kind: 'basic', user: 'socle' } });
  put('oauth', { credentials: { kind: 'oauth', token_url: `http://127.0.0.1:${port}/token`, client_id: 'socle-oauth', scope: 'lire' } });
  publish(platform, { client, id: 'porteur', port, fields: 'total', api: { gateway: { credentials: { kind: 'bearer', purpose: true } } }, contract: { purpose_needed: true } });
  token = await machineToken(world, { client, scope: ['lent', 'casse', 'borne', 'cle', 'requete', 'simple', 'oauth', 'porteur'].map((n) => `${n}_lire`).join(' ') });
  await sleep(400);
}, { timeout: 120000 });
after(async () => {
  provider?.closeAllConnections?.();
  provider?.close();
  await platform?.destroy();
}, { timeout: 60000 });

const get = (path, options) => call(world, path, token, options);
const secret = (id, value) => platform.must(['api', 'secret', id, 'v1'], { input: value });
const status = (id) => platform.json(['api', 'status', id, 'v1'])[0];

test('[F3.5.1] a provider that slows: the breaker opens, says when to come back, and closes when it is well; its owner sees it', async () => {
  calm();
  mood.delay = 450;
  let r, asked = 0;
  for (let i = 0; i < 12; i++) {
    r = await get('/gw/lent/v1/x');
    if (r.status === 503) break;
    assert.equal(r.status, 200);
    asked++;
  }
  assert.equal(r.status, 503, 'after slow answers it is not asked any more');
  assert.equal(r.json.code, 'EXC-503-BREAKER');
  assert.ok(Number(r.headers['retry-after']) >= 1);
  assert.ok(r.json.provider, 'the problem names whose service it is');
  const before = seen.length;
  assert.equal((await get('/gw/lent/v1/x')).status, 503);
  assert.equal(seen.length, before, 'the old system is left alone');
  const v = await until('the owner’s figures say so', () => { const s = status('lent'); return s.breaker.state === 'open' && s.today.refused > 0 && s; });
  assert.equal(v.today.slow, asked);
  assert.equal(v.consumers.length, 1);
  assert.ok(v.consumers[0].refused_today >= 1 && v.consumers[0].delivered_today === asked);
  calm();
  await until('one call is let through, and service goes on', async () => (await get('/gw/lent/v1/x')).status === 200);
  for (let i = 0; i < 5; i++) assert.equal((await get('/gw/lent/v1/x')).status, 200);
  await until('the owner sees that too', () => status('lent').breaker.state === 'closed');
});

test('errors open it too; other providers are not touched', async () => {
  calm();
  mood.status = 500;
  const codes = [];
  for (let i = 0; i < 8; i++) codes.push((await get('/gw/casse/v1/x')).json.code);
  assert.ok(codes.includes('EXC-502-PROVIDER') && codes.at(-1) === 'EXC-503-BREAKER', codes.join(' '));
  calm();
  assert.equal((await get('/gw/borne/v1/x')).status, 200);
  await until('it is asked again', async () => (await get('/gw/casse/v1/x')).status === 200);
});

test('a call that broke before a byte of its answer is made again when it may be, and never a POST', async () => {
  calm();
  mood.drop = 1;
  let before = seen.length;
  assert.equal((await get('/gw/casse/v1/encore')).status, 200);
  assert.equal(seen.length, before + 2, 'asked twice');
  mood.drop = 1;
  before = seen.length;
  const r = await get('/gw/casse/v1/encore', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
  assert.equal(r.status, 502, r.text);
  assert.equal(seen.length, before + 1, 'asked once');
});

test('the provider’s own limit is obeyed: nobody asks it before it said', async () => {
  calm();
  Object.assign(mood, { status: 429, headers: { 'retry-after': '2' } });
  let r = await get('/gw/borne/v1/x');
  assert.equal(r.status, 503);
  assert.equal(r.json.code, 'EXC-503-LIMIT');
  assert.equal(r.headers['retry-after'], '2');
  calm();
  const before = seen.length;
  r = await get('/gw/borne/v1/x');
  assert.equal(r.json.code, 'EXC-503-LIMIT');
  assert.equal(seen.length, before);
  await until('it is asked again after its pause', async () => (await get('/gw/borne/v1/x')).status === 200);
});

test('credentials: each kind as it is declared; without its secret a route is closed; nothing of it in answers and logs', async () => {
  calm();
  assert.equal((await get('/gw/cle/v1/x')).status, 503, 'no secret yet');
  secret('cle', 'cle-tres-secrete-1\n');
  secret('requete', 'cle&secrete=2');
  secret('simple', 'mot-de-passe-3');
  secret('porteur', 'jeton-long-4');
  const answers = [];
  const ask = async (path, options) => {
    const r = await until(`${path} is open`, async () => { const x = await get(path, options); return x.status === 200 && x; });
    answers.push(JSON.stringify(r.headers) + r.text);
    return seen.at(-1);
  };
  assert.equal((await ask('/gw/cle/v1/x')).headers['x-api-key'], 'cle-tres-secrete-1');
  assert.equal((await ask('/gw/requete/v1/x?a=1')).url, '/p/x?apikey=cle%26secrete%3D2&a=1');
  assert.equal((await get('/gw/requete/v1/x?apikey=autre')).status, 400, 'the caller cannot bring its own');
  assert.equal((await get('/gw/requete/v1/x?api%6Bey=autre')).status, 400);
  assert.equal((await ask('/gw/simple/v1/x')).headers.authorization, `Basic ${Buffer.from('socle:mot-de-passe-3').toString('base64')}`);
  const p = await ask('/gw/porteur/v1/x', { headers: { 'Socle-Context': 'aide', 'Socle-Object': 'dossier 12', 'Socle-Recipient': '99900600000015' } });
  assert.equal(p.headers.authorization, 'Bearer jeton-long-4');
  assert.equal(p.url, '/p/x?context=aide&object=dossier%2012&recipient=99900600000015');
  for (const s of ['cle-tres-secrete', 'secrete=2', 'secrete%3D2', 'mot-de-passe-3', 'jeton-long-4'])
    assert.ok(!answers.join().includes(s) && !platform.log().includes(s), `${s} is nowhere`);
});

test('OAuth client credentials: one token for many calls, asked for beside the loops', async () => {
  calm();
  secret('oauth', 'secret:oauth/5');
  await until('its token is there', async () => (await get('/gw/oauth/v1/x')).status === 200);
  for (let i = 0; i < 5; i++) assert.equal((await get('/gw/oauth/v1/x')).status, 200);
  assert.equal(seen.at(-1).headers.authorization, `Bearer t${tokens.length}`);
  assert.equal(tokens.length, 1, 'one token for all');
  assert.equal(Buffer.from(tokens[0].auth.slice(6), 'base64').toString(), `socle-oauth:${encodeURIComponent('secret:oauth/5')}`);
  assert.match(tokens[0].body, /grant_type=client_credentials&scope=lire/);
  assert.ok(!platform.log().includes('secret:oauth'));
});

test('a declaration that is not acceptable is refused, with the member at fault', async () => {
  for (const [gateway, member] of [[{ retries: 9 }, 'gateway.retries'], [{ breaker: { percent: 200 } }, 'gateway.breaker'], [{ credentials: { kind: 'header', name: 'Host' } }, 'gateway.credentials'], [{ nimporte: 1 }, 'gateway']]) {
    const r = platform.command(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id: 'faux', version: 'v1', org_id: 'essai-demo', title: { fr: 'F', en: 'F' }, summary: { fr: 'F', en: 'F' }, scope: 'faux', origin: 'http://127.0.0.1:1', circle: 3, fields: [], gateway }) });
    assert.notEqual(r.code, 0, JSON.stringify(gateway));
    assert.match(r.stderr, new RegExp(member.replace('.', '\\.')));
  }
});
