// Two nodes of one platform: each with its own folder, its own keys and its own journal, one PostgreSQL.
// What both must know a code brings from one to the other. On SQLite
// there is one node, and a second one over the same file is turned away.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Platform, engine, portBlock, program, root, run, until } from '../lib/platform.mjs';
import { Client, send } from '../lib/http.mjs';
import { World } from '../lib/story.mjs';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { Relying, basic, claimsOf, headerOf, newKey, proof } from '../lib/relying.mjs';

let a, b, world, rp, k, bId, spent;
const at = (folder, ports, args, extra = []) => run([...args, '--data', folder, '--port', String(ports.base), '--database', a.database.url, ...extra], { timeoutMs: 60000 });
const settingsOf = (node) => ['--data', node.data, '--port', String(node.port), '--database', a.database.url];
// A command that others do not wait for.
const beside = (args) => promisify(execFile)(program, args, { cwd: root });
const kids = async (url) => (await send(url)).json.keys.map((x) => x.kid).sort();
const own = (folder) => new Set(readdirSync(join(folder, 'keys')).filter((n) => n.endsWith('.pem') && !n.startsWith('decrypt')).map((n) => kidOf(readFileSync(join(folder, 'keys', n)))));
const kidOf = (pem) => {
  const k = createPublicKey(pem).export({ format: 'jwk' });
  const members = { EC: { crv: k.crv, kty: k.kty, x: k.x, y: k.y }, RSA: { e: k.e, kty: k.kty, n: k.n }, OKP: { crv: k.crv, kty: k.kty, x: k.x } }[k.kty];
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
};
const onB = (url) => url.replace(`:${a.port}/`, `:${b.port}/`);

if (engine !== 'postgres') {
  test('SQLite: one node; a second platform over the same folder is turned away', { timeout: 60000 }, async () => {
    const one = await Platform.start({ demo: false });
    try {
      const r = run(['serve', '--data', one.data, '--port', String(one.ownPort(0))], { timeoutMs: 30000 });
      assert.notEqual(r.code, 0);
      assert.equal((await send(`${one.base}/healthz`)).status, 200, 'the first goes on');
    } finally { await one.destroy(); }
  });

  test('SQLite: there is nobody to invite; keys turn while it runs, and what the one before signed is still read', { timeout: 120000 }, async () => {
    const one = await Platform.start();
    try {
      assert.match(one.command(['node', 'invite']).stderr, /SQLite has one node/);
      assert.match(run(['node', 'join', 'A'.repeat(43), '--data', join(one.folder, 'x')]).stderr, /SQLite has one node/);
      assert.equal(one.json(['node', 'list']).length, 1);
      assert.equal(one.command(['node', 'rotate', 'journal', '--now']).code, 2, 'the journal’s key never turns');
      const rp = new Relying(new World(one)), k = rp.add('Un nœud'), person = new Client();
      const first = await rp.tokens(k, {}, { person }), published = createLocalJWKSet((await send(rp.at('/jwks'))).json);
      assert.equal(one.command(['node', 'rotate', 'issuer']).code, 1);
      one.sql('UPDATE node_key SET since = 1');
      one.must(['node', 'rotate', 'issuer']);
      const next = await until('the next key signs', async () => { const t = await rp.tokens(k, {}, { person }); return headerOf(t.id_token).kid !== headerOf(first.id_token).kid && t; }, { timeoutMs: 60000, everyMs: 100 });
      await jwtVerify(next.id_token, published, { issuer: one.base });
      assert.equal((await rp.userinfo(first.access_token)).status, 200);
      assert.equal((await rp.userinfo(next.access_token)).status, 200);
      await one.restart();
      assert.equal((await rp.userinfo(first.access_token)).status, 200);
      one.must(['journal', 'verify']);
    } finally { await one.destroy(); }
  });
} else {
  before(async () => {
    a = await Platform.start();
    // The new machine is told a code; its own keys are made there and leave it never.
    const ports = await portBlock();
    const folder = join(a.folder, 'node-b');
    const code = a.must(['node', 'invite']).trim();
    bId = at(folder, ports, ['node', 'join', code]).stdout.trim();
    assert.match(bId, /^[0-9a-f]{16}$/);
    spent = at(join(a.folder, 'node-c'), ports, ['node', 'join', code]);
    b = await Platform.start({ demo: false, data: folder, ports, database: a.database, args: ['--base-url', a.base] });
    b.ports = ports;
    world = new World(a);
    rp = new Relying(world);
    k = rp.add('Deux nœuds', ['--scopes', 'openid profile offline_access']);
  }, { timeout: 180000 });
  after(async () => {
    await b?.destroy();
    await a?.destroy();
  }, { timeout: 60000 });
  const post = (path, body, headers) => send(onB(rp.at(path)), { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams(body).toString() });

  test('each node has keys of its own and publishes those of both; what both must know is the same', async () => {
    const [ours, theirs] = [own(a.data), own(b.data)];
    assert.equal([...ours].filter((x) => theirs.has(x)).length, 0, 'no key that signs is on two machines');
    for (const path of ['/jwks', '/client/jwks']) {
      const here = await kids(rp.at(path));
      assert.deepEqual(here, await kids(onB(rp.at(path))));
      assert.ok(here.some((x) => ours.has(x)) && here.some((x) => theirs.has(x)), path);
    }
    for (const x of (await send(onB(rp.at('/jwks')))).json.keys) for (const secret of ['d', 'p', 'q', 'k']) assert.equal(x[secret], undefined);
    for (const name of ['pairwise', 'blind', 'client_secret', 'subject', 'token-seal', 'cookie'])
      assert.equal(readFileSync(join(a.data, 'keys', `${name}.secret`), 'utf8'), readFileSync(join(b.data, 'keys', `${name}.secret`), 'utf8'), name);
    const nodes = a.json(['node', 'list']);
    assert.deepEqual(nodes.map((n) => [n.id === bId, n.here]).sort(), [[false, true], [true, false]]);
  });

  test('a machine that was not invited does not start, and a code is good once', async () => {
    assert.equal(spent.code, 1);
    assert.match(spent.stderr, /unknown, used or over an hour old/);
    const ports = await portBlock(), folder = join(a.folder, 'node-d');
    const r = at(folder, ports, ['serve', '--base-url', a.base]);
    assert.notEqual(r.code, 0);
    assert.match(r.stderr, /socle node join/, 'what to do is said');
    const later = at(folder, ports, ['node', 'join', a.must(['node', 'invite']).trim()]);
    assert.equal(later.code, 1);
    assert.match(later.stderr, /keys of its own already/, 'a folder with secrets takes no others');
    assert.equal(at(folder, ports, ['client', 'list']).code, 1, 'nor may a command work there');
    assert.notEqual(at(join(a.folder, 'node-e'), ports, ['node', 'join', 'A'.repeat(43)]).code, 0, 'a made-up code');
    ports.release();
  });

  // Signs in at one node, redeems there; the tokens, read everywhere.
  async function signedAt(there, person, client = k) {
    const q = rp.request(client, { prompt: 'none' });
    const go = (url) => (there ? onB(url) : url);
    const r = await person.once(go(rp.url(q)));
    const code = new URL(r.headers.location).searchParams.get('code');
    assert.ok(code, r.headers.location);
    const t = await send(go(rp.at('/token')), { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...basic(client) }, body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: q.redirect_uri }).toString() });
    assert.equal(t.status, 200, t.text);
    return t.json;
  }
  const infoAt = (there, token) => send(there ? onB(rp.at('/userinfo')) : rp.at('/userinfo'), { headers: { authorization: `Bearer ${token}` } });

  test('a token of either verifies at both, and with the keys that either publishes', async () => {
    const person = new Client(), rs = rp.add('Ancien', ['--id-token-alg', 'RS256']);
    await rp.tokens(k, {}, { person });
    await rp.tokens(rs, {}, { person });
    const sets = [createLocalJWKSet((await send(rp.at('/jwks'))).json), createLocalJWKSet((await send(onB(rp.at('/jwks')))).json)];
    const signers = new Set();
    for (const client of [k, rs])
      for (const there of [false, true]) {
        const t = await signedAt(there, person, client);
        signers.add(headerOf(t.id_token).kid).add(headerOf(t.access_token).kid);
        for (const keys of sets) await jwtVerify(t.id_token, keys, { issuer: a.base, audience: client.client_id });
        for (const read of [false, true]) assert.equal((await infoAt(read, t.access_token)).status, 200, `of ${there ? 'b' : 'a'}, at ${read ? 'b' : 'a'}`);
      }
    assert.equal(signers.size, 4, 'each signs with its own keys');
  });

  test('rotation at either node fails no sign-in at any', { timeout: 120000 }, async () => {
    const person = new Client();
    await rp.tokens(k, {}, { person });
    const refused = a.command(['node', 'rotate', 'issuer']);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /10 minutes/, 'the next key must have been public for a while');
    const known = createLocalJWKSet((await send(rp.at('/jwks'))).json), before_ = { a: await signedAt(false, person), b: await signedAt(true, person) };
    let done = false, n = 0;
    const loop = (async () => {
      while (!done) {
        for (const there of [false, true]) {
          const t = await signedAt(there, person);
          await jwtVerify(t.id_token, known, { issuer: a.base });
          for (const read of [false, true]) assert.equal((await infoAt(read, t.access_token)).status, 200);
          n++;
        }
      }
    })();
    for (const [node, there] of [[a, false], [b, true]]) {
      const last = headerOf((await signedAt(there, person)).id_token).kid;
      await beside(['node', 'rotate', 'issuer', '--now', ...settingsOf(node)]);
      await until('the next key signs', async () => headerOf((await signedAt(there, person)).id_token).kid !== last, { timeoutMs: 60000, everyMs: 100 });
    }
    done = true;
    await loop;
    for (const t of [before_.a, before_.b]) for (const read of [false, true]) assert.equal((await infoAt(read, t.access_token)).status, 200, 'what the key before signed is still read');
    assert.deepEqual(await kids(rp.at('/jwks')), await kids(onB(rp.at('/jwks'))));
    assert.ok(n > 0);
    console.log(`# ${n} sign-ins while two nodes turned their keys`);
  });

  test('signed in at one, known at the other; signed out at one, unknown at the other', async () => {
    const person = new Client(), t = await rp.tokens(k, {}, { person });
    const q = rp.request(k, { prompt: 'none' });
    const r = await person.once(onB(rp.url(q)));
    const back = new URL(r.headers.location).searchParams;
    assert.ok(back.get('code'), `${back}`);
    const there = await post('/token', { grant_type: 'authorization_code', code: back.get('code'), redirect_uri: q.redirect_uri }, basic(k));
    assert.equal(there.status, 200, there.text);
    assert.equal(claimsOf(there.json.id_token).sub, t.claims.sub, 'by the same name');
    assert.equal((await rp.userinfo(there.json.access_token)).status, 200, 'a token of one is read by the other');
    person.stopAt = (u) => u.startsWith(Relying.home);
    await person.go(`${rp.at('/session/end')}?${new URLSearchParams({ id_token_hint: t.id_token, post_logout_redirect_uri: Relying.home })}`);
    const after = await person.once(onB(rp.url(rp.request(k, { prompt: 'none' }))));
    assert.equal(new URL(after.headers.location).searchParams.get('error'), 'login_required');
  });

  test('what serves once serves once on both: a code, a pushed request, a proof, a refresh token', async () => {
    const person = new Client(), c = await rp.code(k, { scope: 'openid offline_access' }, { person });
    const both = await Promise.all([rp.post('/token', c.grant, basic(k)), post('/token', c.grant, basic(k))]);
    assert.deepEqual(both.map((r) => r.status).sort(), [200, 400], both.map((r) => r.text).join('\n'));
    const pushed = await rp.post('/par', rp.request(k), basic(k));
    const url = rp.url({ client_id: k.client_id, request_uri: pushed.json.request_uri });
    assert.equal((await send(onB(url))).status, 303);
    assert.equal((await send(url)).status, 400);
    const key = newKey(), dpop = proof(key, 'POST', rp.at('/token')), grant = { grant_type: 'client_credentials', scope: '' };
    assert.notEqual((await rp.post('/token', grant, { ...basic(k), dpop })).json.error, 'invalid_dpop_proof');
    assert.equal((await post('/token', grant, { ...basic(k), dpop })).json.error, 'invalid_dpop_proof');
    const t = await rp.tokens(k, { scope: 'openid offline_access' }, { person });
    const turn = { grant_type: 'refresh_token', refresh_token: t.refresh_token };
    assert.equal((await post('/token', turn, basic(k))).status, 200);
    assert.equal((await rp.post('/token', turn, basic(k))).json.error, 'invalid_grant');
  });

  test('a proof that came with a token is used once on both: at userinfo, one of two at the same time', async () => {
    const key = newKey(), url = rp.at('/userinfo'), c = await rp.code(k);
    const t = (await rp.post('/token', c.grant, { ...basic(k), dpop: proof(key, 'POST', rp.at('/token')) })).json;
    const ask = (there, dpop) => send(there ? onB(url) : url, { headers: { authorization: `DPoP ${t.access_token}`, dpop } });
    for (let i = 0; i < 5; i++) {
      const once = proof(key, 'GET', url, { token: t.access_token });
      const both = await Promise.all([ask(false, once), ask(true, once)]);
      assert.deepEqual(both.map((r) => r.status).sort(), [200, 401], both.map((r) => r.text).join('\n'));
      const late = await ask(i % 2 === 0, once);
      assert.equal(late.status, 401);
      assert.match(late.headers['www-authenticate'], /error="invalid_dpop_proof"/);
    }
    assert.equal((await ask(true, proof(key, 'GET', url, { token: t.access_token }))).status, 200);
  });

  test('a token revoked at one is refused at the other', async () => {
    const t = await rp.tokens(k), info = () => send(onB(rp.at('/userinfo')), { headers: { authorization: `Bearer ${t.access_token}` } });
    assert.equal((await info()).status, 200);
    assert.equal((await rp.post('/token/revocation', { token: t.access_token }, basic(k))).status, 200);
    const at = Date.now();
    await until('refused there', async () => (await info()).status === 401, { timeoutMs: 10000 });
    console.log(`# refused on the other node after ${Date.now() - at} ms`);
  });

  test('each node has a journal of its own, and both verify', () => {
    for (const p of [a, b]) p.must(['journal', 'verify']);
  });

  test('a node that is removed: its tokens count no more, at once; it does not start again', { timeout: 120000 }, async () => {
    const person = new Client();
    await rp.tokens(k, {}, { person });
    const [here, there] = [await signedAt(false, person), await signedAt(true, person)];
    const theirs = headerOf(there.access_token).kid;
    const gateway = async (token) => (await send(`${new URL(world.gateway).origin}/gw/famille/v1/foyer`, { headers: { authorization: `Bearer ${token}` } })).json.code;
    assert.doesNotMatch(await gateway(there.access_token), /^EXC-401/, 'the gateway reads it too, and keeps that it did');
    assert.match(await gateway(`${there.access_token.slice(0, -6)}AAAAAA`), /^EXC-401-TOKEN/);
    assert.equal((await infoAt(false, there.access_token)).status, 200);
    assert.equal(a.command(['node', 'remove', a.json(['node', 'list']).find((n) => n.here).id]).code, 1, 'not itself');
    a.must(['node', 'remove', bId]);
    await until('its token is refused', async () => (await infoAt(false, there.access_token)).status === 401, { timeoutMs: 60000 });
    await until('at the gateway too', async () => (await gateway(there.access_token)) === 'EXC-401-TOKEN', { timeoutMs: 60000 });
    assert.doesNotMatch(await gateway(here.access_token), /^EXC-401/);
    await until('its key is published no more', async () => !(await kids(rp.at('/jwks'))).includes(theirs), { timeoutMs: 60000 });
    assert.equal((await infoAt(false, here.access_token)).status, 200);
    await b.stop();
    const r = at(b.data, b.ports, ['serve', '--base-url', a.base]);
    assert.notEqual(r.code, 0);
    assert.match(r.stderr, /removed from its platform/);
  });
}
