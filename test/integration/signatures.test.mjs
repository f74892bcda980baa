// Signed messages through the gateway: what a consumer signs, what the platform signs, and what a
// byte that was changed on the way is told.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, until } from '../lib/platform.mjs';
import { Provider, document, newClient, publish } from '../lib/provider.mjs';
import { World, machineToken } from '../lib/story.mjs';
import { send } from '../lib/http.mjs';
import { digest, newKey, signRequest, verifyAnswer } from '../lib/httpsig.mjs';

let platform, world, provider, client, token, jwks;
const key = newKey('essai-1'), other = newKey('essai-2', 'ed25519'), stranger = newKey('essai-1');
const at = (path) => `${platform.base}${path}`;
const file = (name) => join(platform.folder, name);

before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  provider = await Provider.start(platform.ownPort(0));
  writeFileSync(file('jwks.json'), JSON.stringify({ keys: [key.jwk, other.jwk] }));
  client = newClient(platform, '--jwks', file('jwks.json'), '--auth', 'client_secret_basic');
  publish(platform, { client, port: provider.port, contract: { signatures: 'both' } });
  publish(platform, { client, id: 'tout', port: provider.port, fields: '*', contract: { signatures: 'answers' } });
  publish(platform, { client, id: 'nu', port: provider.port });
  token = await machineToken(world, { client, scope: 'essai_lire tout_lire nu_lire' });
  jwks = (await send(at('/api/v2/messages/jwks'))).json;
  await until('the gateway knows the contracts', async () => (await send(at('/gw/nu/v1/ok'), { headers: { authorization: `Bearer ${token}` } })).status === 200);
}, { timeout: 120000 });
after(async () => {
  await provider?.stop();
  await platform?.destroy();
}, { timeout: 60000 });

function ask(options = {}, { by = key, change = (h) => h } = {}) {
  const rq = { method: 'GET', url: at('/gw/essai/v1/ok'), ...options, headers: { authorization: `Bearer ${token}`, ...options.headers } };
  const headers = change(signRequest(by, rq));
  return send(rq.url, { method: rq.method, headers, body: options.sent ?? rq.body }).then((answer) => ({ answer, request: { ...rq, headers } }));
}
function refused(r, why) {
  assert.equal(r.answer.status, 401, r.answer.text);
  assert.equal(r.answer.json.code, 'EXC-401-SIGNATURE');
  assert.match(r.answer.json.detail, why);
  assert.match(r.answer.headers['accept-signature'], /"@target-uri"/);
}

test('[2.1.1.d1] a signed request passes, and its answer’s signature covers the request, the body and the journal’s entry', async () => {
  for (const by of [key, other]) {
    const { answer, request } = await ask({}, { by });
    assert.equal(answer.status, 200, answer.text);
    const { components, params } = verifyAnswer(jwks, answer, request);
    for (const c of ['"@status"', '"content-digest"', '"socle-entry"', '"@method";req', '"@target-uri";req', '"signature";req;key="sig1"']) assert.ok(components.includes(c), c);
    assert.match(params, /tag="socle-answer"/);
  }
  const body = JSON.stringify({ a: 1 });
  const posted = await ask({ method: 'POST', body, headers: { 'content-type': 'application/json' } });
  assert.equal(posted.answer.status, 200, posted.answer.text);
  assert.ok(verifyAnswer(jwks, posted.answer, posted.request).components.includes('"content-digest";req'));
});

test('[2.1.1.d1] what was changed, left out or sent again is refused with a precise reason, and the provider hears nothing', async () => {
  const before = provider.requests.length;
  const now = Math.floor(Date.now() / 1000);
  refused({ answer: await send(at('/gw/essai/v1/ok'), { headers: { authorization: `Bearer ${token}` } }) }, /the message is not signed/);
  refused(await ask({}, { by: stranger }), /not that of this message and key/);
  refused(await ask({}, { by: { ...key, kid: 'nobody' } }), /registered no such key/);
  refused(await ask({ components: ['"@method"', '"authorization"'] }), /does not cover "@target-uri"/);
  refused(await ask({ created: now - 120 }), /too old/);
  refused(await ask({ created: now + 120 }), /in the future/);
  refused(await ask({ tag: 'another' }), /no signature has the tag/);
  refused(await ask({}, { change: (h) => ({ ...h, signature: h.signature.replace(/:(.)/, (m, c) => `:${c === 'A' ? 'B' : 'A'}`) }) }), /not that of this message/);
  const body = '{"a":1}';
  refused(await ask({ method: 'POST', body, sent: '{"a":2}', headers: { 'content-type': 'application/json' } }), /sha-256 digest/);
  refused(await ask({ method: 'POST', body, components: ['"@method"', '"@target-uri"', '"authorization"'], headers: { 'content-type': 'application/json' } }), /does not cover "content-digest"/);
  assert.equal(provider.requests.length, before);
  const headers = signRequest(key, { url: at('/gw/essai/v1/ok'), headers: { authorization: `Bearer ${token}` } });
  const statuses = [];
  for (let i = 0; i < 4; i++) statuses.push((await send(at('/gw/essai/v1/ok'), { headers })).status);
  assert.ok(statuses.filter((s) => s === 200).length <= 2 && statuses.includes(401), `the same signature again: ${statuses}`);
});

test('answers alone: an unsigned request, a body passed through whole, and one too large for a signature', async () => {
  const url = at('/gw/tout/v1/ok');
  const answer = await send(url, { headers: { authorization: `Bearer ${token}` } });
  assert.deepEqual(answer.json, document);
  verifyAnswer(jwks, answer, { method: 'GET', url, headers: {} });
  const endless = await send(at('/gw/tout/v1/endless'), { headers: { authorization: `Bearer ${token}` } });
  assert.equal(endless.status, 502, 'over 8 MB');
  assert.equal((await send(at('/gw/nu/v1/ok'), { headers: { authorization: `Bearer ${token}` } })).headers.signature, undefined, 'a contract that asks for none');
});

test('[2.1.1.d1] one byte flipped in a kept message: `socle verify-message` says what no longer holds', async () => {
  const body = '{"question":1}';
  const { answer, request } = await ask({ method: 'POST', body, headers: { 'content-type': 'application/json' } });
  const lines = (h) => Object.entries(h).map(([k, v]) => `${k}: ${v}\r\n`).join('');
  const kept = Buffer.concat([Buffer.from(`HTTP/1.1 ${answer.status} OK\r\n${lines(answer.headers)}\r\n`), answer.bytes]);
  const asked = Buffer.from(`POST /gw/essai/v1/ok HTTP/1.1\r\nHost: ${new URL(platform.base).host}\r\nContent-Length: ${body.length}\r\n${lines(request.headers)}\r\n${body}`);
  writeFileSync(file('answer'), kept);
  writeFileSync(file('request'), asked);
  const verify = (...args) => platform.command(['verify-message', ...args]);
  const good = verify(file('answer'), '--request', file('request'));
  assert.match(good.stdout, /^good: signature sig of key /, good.stdout + good.stderr);
  assert.match(verify(file('request'), '--keys', file('jwks.json')).stdout, /^good: signature sig1 of key essai-1/);
  const flip = (name, bytes, where, why, ...args) => {
    const copy = Buffer.from(bytes);
    const i = bytes.indexOf(where);
    assert.ok(i >= 0, where);
    copy[i + where.length - 1] ^= 1;
    writeFileSync(file('flipped'), copy);
    const r = verify(...(name === 'answer' ? [file('flipped'), '--request', file('request')] : name === 'asked' ? [file('answer'), '--request', file('flipped')] : [file('flipped'), '--keys', file('jwks.json')]));
    assert.equal(r.code, 1, `${where}: ${r.stdout}`);
    assert.match(r.stdout, why, where);
  };
  flip('answer', kept, 'D-1', /^bad: the body is not the one whose sha-256 digest was sent/);
  flip('answer', kept, 'socle-entry: 01', /^bad: the signature is not that of this message and key/);
  flip('answer', kept, 'HTTP/1.1 200', /^bad: the signature is not that of this message and key/);
  flip('asked', asked, '/gw/essai', /^bad: the signature is not that of this message and key/);
  flip('request', asked, 'question', /^bad: the body is not the one/);
  flip('request', asked, '/gw/essai', /^bad: the signature is not that/);
  writeFileSync(file('cut'), kept.subarray(0, kept.length - 1));
  assert.match(verify(file('cut'), '--request', file('request')).stdout, /the body is cut short/);
  assert.match(verify(file('answer')).stdout, /the request is not at hand/);
  assert.equal(digest(readFileSync(file('answer'))).length > 10, true);
});

test('the keys process killed while answers are signed: each is signed or refused, none is unsigned', async () => {
  const results = [];
  const flow = Promise.all(Array.from({ length: 8 }, async () => {
    for (let i = 0; i < 12; i++) results.push((await ask()).answer);
  }));
  platform.kill('keys');
  await flow;
  for (const a of results) assert.ok(a.status === 200 ? a.headers.signature : a.status === 503 || a.status === 429, `${a.status} ${a.text}`);
  await until('signed again', async () => (await ask()).answer.status === 200);
});
