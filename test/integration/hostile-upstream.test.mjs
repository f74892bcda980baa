// Identity providers on their worst day, at each step we take with them: the description, the keys,
// the token, the person. Whoever chose one reads what happened and what to do, reaches her service by
// another account in the same sign-in, and nobody else waits for it.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Platform } from '../lib/platform.mjs';
import { Client, links, send } from '../lib/http.mjs';
import { Relying } from '../lib/relying.mjs';
import { pattern, text } from '../lib/text.mjs';
import { Upstream } from '../lib/upstream.mjs';

const steps = { description: '/.well-known/openid-configuration', cles: '/jwks', jeton: '/token', personne: '/userinfo' };
const bad = {};
let platform, rp, k, good;

function provider(u, id) {
  platform.must(['provider', 'add', '--id', id, '--name', `Compte ${id}`, '--name-en', `Account ${id}`, '--issuer', u.issuer, '--client-id', u.client, '--secret-stdin'], { input: `${u.secret}\n` });
}
// The description and the keys were never seen well: each sign-in asks for them.
const hang = () => {};
before(async () => {
  platform = await Platform.start({ demo: false, args: ['--allow_inside=yes'] });
  rp = new Relying({ platform, issuer: platform.base });
  k = rp.add('Service qui attend');
  good = await Upstream.start(platform.ownPort(0));
  provider(good, 'bon');
  for (const [i, [id, path]] of Object.entries(steps).entries()) {
    bad[id] = await Upstream.start(platform.ownPort(1 + i), { break: { [path]: (rq, rs) => { rs.statusCode = 500; rs.end(); } } });
    provider(bad[id], id);
  }
}, { timeout: 180000 });
after(async () => {
  for (const u of [good, ...Object.values(bad)]) await u?.stop();
  await platform?.destroy();
}, { timeout: 60000 });

const fault = (p) => /<code>(IDT-[0-9]+-[A-Z]+)<\/code>/.exec(p.page?.text ?? '')?.[1];
const begin = async (id, person = new Client()) => {
  person.stopAt = (u) => u.startsWith(Relying.redirect);
  await person.go(rp.url(rp.request(k, { idp_hint: id })));
  return person;
};
async function arrive(person) {
  const next = text('identity', 'info.continue', person.lang);
  if (!person.stopped && links(person.page.text).some((l) => l.text === next)) await person.follow(next);
  else if (!person.stopped) await person.press(next);
  return new URL(person.stopped).searchParams.get('code');
}
// What to do is written on the page; and it works.
async function helped(person, what) {
  const { lang } = person;
  const titles = person.text;
  for (const key of ['error.what_to_do', 'error.give']) assert.ok(titles.includes(text('platform', key, lang)), `${what}: ${key}`);
  assert.match(person.page.text, /<dd><code>[0-9a-f]{32}<\/code>/, `${what}: the reference to give`);
  assert.ok(links(person.page.text).some((l) => pattern('identity', 'error.return', lang).test(l.text)), `${what}: the way back to the service`);
  await person.follow(text('identity', 'error.choose_again', lang));
  await person.follow(/connexion\/vers\/bon/);
  assert.ok(await arrive(person), `${what}: she arrives by the other account`);
}

const long = (rq, rs, { json }) => json(`{"a":"${'x'.repeat(400000)}"}`);
const drip = (rq, rs) => {
  rs.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => rs.write(' '), 200);
  rs.on('close', () => clearInterval(timer));
};
// [what, how, code at the description, the keys, the token, the person]
const days = [
  ['an error of its own', (rq, rs) => { rs.statusCode = 500; rs.end('boom'); }, 503, 503, 503, 503],
  ['closes the connection', (rq, rs) => rs.destroy(), 503, 503, 503, 503],
  ['an answer cut short', (rq, rs) => { rs.writeHead(200, { 'content-type': 'application/json', 'content-length': 400 }); rs.write('{"a":'); setTimeout(() => rs.destroy(), 50); }, 503, 503, 503, 503],
  ['no HTTP at all', (rq, rs) => { rs.socket.end('\x16\x03\x01 bonjour\r\n\r\n'); }, 503, 503, 503, 503],
  ['a page instead of JSON', (rq, rs, { json }) => json('<html><script>alert(1)</script>', 200, 'text/html'), 503, 502, 502, 502],
  ['JSON of another shape', (rq, rs, { json }) => json('[[[["<script>alert(1)</script>"]]]]'), 503, 502, 502, 502],
  ['a thing said twice', (rq, rs, { json }) => json('{"issuer":"a","issuer":"b","keys":[],"keys":[],"sub":"a","sub":"b"}'), 503, 502, 502, 502],
  ['too much', long, 503, 502, 502, 502],
  ['sends us inside', (rq, rs) => { rs.writeHead(302, { location: `http://127.0.0.1:${good.port}/piege` }); rs.end(); }, 503, 503, 502, 502],
  ['a byte now and then', drip, 503, 503, 503, 503],
];
for (const [what, how, ...codes] of days)
  test(`${what}: at each step a page that says what to do, and another account gets her there`, { timeout: 90000 }, async () => {
    await Promise.all(Object.entries(steps).map(async ([id, path], i) => {
      bad[id].break = { [path]: how };
      const person = await begin(id, new Client({ lang: i % 2 ? 'en' : 'fr' }));
      assert.equal(person.stopped, null, `${id}: ${what}`);
      assert.equal(fault(person), `IDT-${codes[i]}-PROVIDER`, `${id}: ${what}: ${person.text.slice(0, 300)}`);
      assert.equal(person.page.status, codes[i]);
      assert.ok(!person.page.text.includes('<script'), 'nothing of what it said is in the page');
      await helped(person, `${id}: ${what}`);
    }));
    assert.equal(good.requests.filter((r) => r.path === '/piege').length, 0, 'a redirection is not followed');
  });

test('providers that never answer hold up those who chose them and nobody else', { timeout: 90000 }, async () => {
  for (const [id, path] of Object.entries(steps)) bad[id].break = { [path]: hang };
  let over = 0;
  const waiting = Object.keys(steps).flatMap((id) => Array.from({ length: 6 }, async () => {
    const person = await begin(id);
    over++;
    assert.ok(fault(person)?.endsWith('-PROVIDER'), person.text.slice(0, 200));
    return fault(person);
  }));
  const others = [];
  for (let i = 0; i < 5; i++) others.push(await arrive(await begin('bon')));
  assert.ok(others.every(Boolean), 'five people signed in');
  assert.ok(over < waiting.length, 'while others waited');
  assert.equal((await send(`${platform.base}/healthz`)).status, 200);
  assert.deepEqual([...new Set(await Promise.all(waiting))], ['IDT-503-PROVIDER']);
  // Well again: the same provider signs people in, with nothing to repair by hand.
  for (const id of Object.keys(steps)) bad[id].break = {};
  for (const id of Object.keys(steps)) assert.ok(await arrive(await begin(id)), id);
});
