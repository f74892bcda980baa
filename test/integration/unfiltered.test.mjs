// Nothing unfiltered leaves, whatever the provider answers: any status, any form, two answers for one
// question, an answer that drips. And no token of another contract, audience, key or time opens.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, createHash, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Platform, sleep, until } from '../lib/platform.mjs';
import { newClient, publish } from '../lib/provider.mjs';
import { World, call, machineToken, tokensFor } from '../lib/story.mjs';

const canary = 'ne-doit-pas-sortir';
const secret = JSON.stringify({ total: 2, secret: canary, dossier: { numero: 'D-1', secret: canary } });
const head = (status, type, body, more = '') => `HTTP/1.1 ${status} ${canary}\r\nContent-Type: ${type}\r\n${more}X-Note: ${canary}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const good = head(200, 'application/json', '{"total":2}');

let platform, world, provider, client, token;
const state = { behaviour: () => {}, calls: 0 };

before(async () => {
  platform = await Platform.start({ args: ['--loops', '1'] });
  world = new World(platform);
  provider = createServer((s) => {
    s.on('error', () => {});
    let text = '';
    s.on('data', (d) => {
      text += d.toString('latin1');
      for (let at; (at = text.indexOf('\r\n\r\n')) >= 0; text = text.slice(at + 4)) {
        state.calls++;
        state.last = text.slice(0, at);
        state.behaviour(s, text.slice(0, at));
      }
    });
  });
  await new Promise((done) => provider.listen(platform.ownPort(0), '127.0.0.1', done));
  client = newClient(platform);
  const gateway = { breaker: { calls: 0 }, retries: 0, answer_ms: 1000 };
  publish(platform, { client, id: 'filtre', port: platform.ownPort(0), fields: 'total', api: { gateway } });
  publish(platform, { client, id: 'entier', port: platform.ownPort(0), fields: '*', api: { gateway } });
  publish(platform, { client, id: 'entreprise', port: platform.ownPort(0), fields: 'total', api: { gateway: { ...gateway, errors: 'api-entreprise' } } });
  token = await machineToken(world, { client, scope: 'filtre_lire entier_lire entreprise_lire' });
  state.behaviour = (s) => s.write(good);
  await until('the gateway knows the contracts', async () => (await call(world, '/gw/entreprise/v1/x', token)).status === 200);
}, { timeout: 120000 });
after(async () => {
  provider?.close();
  await platform?.destroy();
}, { timeout: 60000 });

const whole = (r) => `${JSON.stringify(r.headers)}${r.text}`;
const get = (path, options) => call(world, path, token, options);

test('whatever the status and the form of an answer, nothing but the contract’s fields leaves, in errors neither', { timeout: 120000 }, async () => {
  const statuses = [200, 201, 202, 203, 204, 206, 207, 226, 300, 301, 302, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 409, 410, 415, 418, 422, 425, 429, 451, 499, 500, 501, 502, 503, 504, 511, 599];
  const types = ['application/json', 'application/problem+json', 'application/ld+json', 'text/plain', 'text/html', 'application/xml', 'multipart/mixed; boundary=x', ''];
  for (const path of ['/gw/filtre/v1/x', '/gw/entreprise/v1/x']) {
    for (const status of statuses) {
      state.behaviour = (s) => s.write(head(status, 'application/json', [204, 304].includes(status) ? '' : secret, 'Retry-After: 1\r\n'));
      const r = await get(path);
      assert.ok(!whole(r).includes(canary), `${path} ${status}: ${whole(r)}`);
      if (r.status === 200) assert.deepEqual(r.json, { total: 2 });
      if (status === 429 || status === 503) await until('the pause the provider asked for is over', async () => { state.behaviour = (s) => s.write(good); return (await get(path)).status === 200; });
    }
    for (const type of types) {
      state.behaviour = (s) => s.write(head(200, type, secret));
      assert.ok(!whole(await get(path)).includes(canary), `${path} ${type}`);
    }
    // Cut anywhere, or with something behind it: what was read until there stays too.
    for (const body of [secret.slice(0, -1), `${secret}x`, `${secret}${secret}`, `[${secret}`, secret.replace('"total"', '"total":1,"total"'), `\ufeff${secret}`, secret.replace('{', '{"a":\u0000')]) {
      state.behaviour = (s) => s.write(head(200, 'application/json', body));
      const r = await get(path);
      assert.equal(r.status, 502, body);
      assert.ok(!whole(r).includes(canary), body);
    }
  }
  assert.ok(!platform.log().includes(canary), 'nor is it in the log');
  state.behaviour = (s) => s.write(good);
  assert.equal((await get('/gw/filtre/v1/x')).status, 200);
});

test('two answers for one question: the second is nobody’s', { timeout: 60000 }, async () => {
  const second = head(200, 'application/json', JSON.stringify({ total: 77777777777, secret: canary }));
  // At once, a moment later, after an interim one; each time it is there before the next question is.
  const twice = [
    (s) => s.write(good + second),
    (s) => { s.write(good); setTimeout(() => s.write(second), 5); },
    (s) => s.write(`HTTP/1.1 100 Continue\r\n\r\n${good}${second}`),
  ];
  for (const behaviour of twice) {
    state.behaviour = behaviour;
    for (let i = 0; i < 20; i++) {
      for (const path of ['/gw/filtre/v1/x', '/gw/entier/v1/x']) {
        const r = await get(path);
        assert.equal(r.status, 200, r.text);
        assert.doesNotMatch(whole(r), /77777777777|ne-doit-pas-sortir/);
        await sleep(15);
      }
    }
  }
});

test('an answer that drips ends: the caller is told, and the provider’s connection is free again', { timeout: 60000 }, async () => {
  const timers = [];
  const drip = (s, first) => {
    s.write(first);
    const t = setInterval(() => s.write(' '), 200);
    timers.push(t);
    s.on('close', () => clearInterval(t));
  };
  try {
    state.behaviour = (s) => drip(s, 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"total":2,');
    let r = await get('/gw/filtre/v1/x', { timeoutMs: 40000 });
    assert.equal(r.status, 504, r.text);
    assert.equal(r.json.code, 'EXC-504-PROVIDER');
    state.behaviour = (s) => drip(s, 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Slow: ');
    r = await get('/gw/filtre/v1/x', { timeoutMs: 40000 });
    assert.equal(r.status, 504, r.text);
    // One that is passed through, and has begun: cut, so that nobody takes it for whole.
    state.behaviour = (s) => drip(s, `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(70000)}`);
    await assert.rejects(get('/gw/entier/v1/x', { timeoutMs: 40000 }), /aborted|hang up|ECONNRESET/);
  } finally { timers.forEach(clearInterval); }
  state.behaviour = (s) => s.write(good);
  assert.equal((await get('/gw/filtre/v1/x')).status, 200);
});

// A token as the issuer makes them, and as somebody would who stole a key but not its use.
const b64 = (v) => Buffer.from(typeof v === 'string' ? v : JSON.stringify(v)).toString('base64url');
const thumbprint = ({ crv, kty, x, y }) => createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
function forge(key, claims, header = {}) {
  const kid = thumbprint(createPublicKey(key).export({ format: 'jwk' }));
  const input = `${b64({ alg: 'ES256', typ: 'at+jwt', kid, ...header })}.${b64(claims)}`;
  return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

test('a token of another contract, audience, issuer, key or time is refused, each with its reason', { timeout: 60000 }, async () => {
  const pem = (name) => createPrivateKey(readFileSync(join(platform.data, 'keys', name)));
  const ours = pem('issuer.es256.pem');
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  const now = Math.floor(Date.now() / 1000);
  const ask = (t) => call(world, '/gw/filtre/v1/x', t);
  assert.equal((await ask(forge(ours, { ...claims }))).status, 200, 'made the same way, it is one');
  const bad = {
    'another audience': { aud: 'https://ailleurs.example' }, 'a list of other audiences': { aud: ['https://ailleurs.example', client.client_id] }, 'no audience': { aud: undefined },
    'another issuer': { iss: 'https://ailleurs.example' }, 'no issuer': { iss: undefined }, 'no end': { exp: undefined }, 'an end in words': { exp: 'demain' }, 'an end beyond reason': { exp: 1e300 },
    'not yet': { nbf: now + 3600 }, 'made tomorrow': { iat: now + 86400, exp: now + 90000 }, 'no id': { jti: undefined }, 'of no client': { client_id: undefined }, 'bound to what nobody knows': { cnf: { 'x-hsm': 'abc' } },
    'an identity that nobody sealed': { idt: b64('{"person":"x"}') }, 'too many contracts': { grants: Array.from({ length: 65 }, () => claims.grants[0]) }, 'a contract without a name': { grants: [{ api: 'filtre/v1' }] },
  };
  for (const [what, more] of Object.entries(bad)) {
    const r = await ask(forge(ours, { ...claims, ...more }));
    assert.equal(r.status, 401, `${what}: ${r.text}`);
    assert.equal(r.json.code, 'EXC-401-TOKEN', what);
    await until('the limit for bad tokens is not in the way', async () => (await ask(token)).status === 200);
    await sleep(60); // twenty a second of an address, no more
  }
  assert.equal((await ask(forge(ours, { ...claims, iat: now - 7200, exp: now - 60 }))).json.code, 'EXC-401-EXPIRED');
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  assert.equal((await ask(forge(stranger, claims))).status, 401, 'a stranger’s key');
  assert.equal((await ask(forge(stranger, claims, { kid: thumbprint(createPublicKey(ours).export({ format: 'jwk' })) }))).status, 401, 'under our key’s name');
  assert.equal((await ask(forge(stranger, claims, { jwk: createPublicKey(stranger).export({ format: 'jwk' }) }))).status, 401, 'with its own key inside');
  assert.equal((await ask(forge(pem('message.es256.pem'), claims))).status, 401, 'another of our keys');
  assert.equal((await ask(forge(ours, claims, { typ: 'JWT' }))).status, 401, 'another type');
  // Contracts: another client's, another API's, one that does not exist, one without its consent.
  const other = newClient(platform);
  const theirs = publish(platform, { client: other, id: 'autre', port: platform.ownPort(0), fields: '*' });
  await until('their contract is known', async () => (await call(world, '/gw/autre/v1/x', await machineToken(world, { client: other, scope: 'autre_lire' }))).status === 200);
  for (const [what, grants] of Object.entries({ 'another client’s contract': [{ api: 'autre/v1', contract: theirs, scope: 'autre_lire' }], 'no such contract': [{ api: 'autre/v1', contract: '01ARZ3NDEKTSV4RRFFQ69G5FAV', scope: 'autre_lire' }] })) {
    const before = state.calls;
    const r = await call(world, '/gw/autre/v1/x', forge(ours, { ...claims, grants }));
    assert.equal(r.status, 403, `${what}: ${r.text}`);
    assert.ok(['EXC-403-CONTRACT', 'EXC-403-SCOPE'].includes(r.json.code), `${what}: ${r.json.code}`);
    assert.equal(state.calls, before, 'the provider hears nothing');
  }
  const r = await call(world, '/gw/autre/v1/x', forge(ours, { ...claims, grants: [{ ...claims.grants[0], api: 'autre/v1' }] }));
  assert.equal(r.status, 403, `our contract with another API: ${r.text}`);
});

test('who the person is goes to the provider, and never back to the consumer', { timeout: 60000 }, async () => {
  const t = await tokensFor(world, world.citizen, { client, scope: 'openid filtre_lire entier_lire' });
  const subject = (text) => /socle-subject: (\S+)/i.exec(text)[1];
  // A provider that gives back all it was told.
  state.behaviour = (s, text) => s.write(head(200, 'application/json', JSON.stringify({ total: subject(text) ? 2 : 0, echo: text }), `Socle-Subject: ${subject(text)}\r\n`));
  const r = await call(world, '/gw/filtre/v1/x', t.access_token);
  assert.deepEqual(r.json, { total: 2 }, 'she was named to the provider');
  const named = subject(state.last);
  assert.match(Buffer.from(named, 'base64url').toString(), /MARTIN/);
  for (const one of [r, await call(world, '/gw/entier/v1/x', t.access_token)]) assert.ok(!JSON.stringify(one.headers).includes(named), 'no header of the answer names her');
  assert.ok(!Buffer.from(t.access_token.split('.')[1], 'base64url').toString().includes('MARTIN'), 'nor does the token');
});
