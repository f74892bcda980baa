// The civil register: each code of the demonstration's register has its person, its page and its code.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { Platform } from '../lib/platform.mjs';
import { Client } from '../lib/http.mjs';
import { World, walkSignIn } from '../lib/story.mjs';

let platform, world;
before(async () => { platform = await Platform.start(); world = new World(platform); }, { timeout: 60000 });
after(() => platform?.destroy());

async function arrive(login, provider = 'sante-demo') {
  const person = new Client();
  person.world = world;
  await person.go(`${platform.base}/connexion?return=/account`);
  await walkSignIn(person, { ...world.account(login), provider });
  return { code: /<code>(IDT-\d+-REGISTER[A-Z0-9-]*)<\/code>/.exec(person.page.text)?.[1] ?? null, url: person.page.url, text: person.text };
}

test('codes 2 and 3 pass; each other code is refused with its own page', async () => {
  for (const login of ['camille.martin', 'registre.trois']) assert.match((await arrive(login)).url, /\/account$/, login);
  for (const [login, code] of [['quatre', '4'], ['six', '6'], ['sept', '7'], ['huit', '8'], ['neuf', '9'], ['decede', 'DECEASED']]) {
    const r = await arrive(`registre.${login}`);
    assert.equal(r.code, `IDT-403-REGISTER-${code}`, `${login}: ${r.text.slice(0, 300)}`);
    assert.match(r.text, /Rien n’a été transmis/);
  }
  assert.match((await arrive('registre.huit', 'impots-demo')).url, /\/account$/, 'a provider that has no register to ask');
});

test('a register that is down, slow or answers nonsense: a page that says so, or a pass, as the setting says', async () => {
  let answer = (rs) => rs.destroy();
  const server = createServer((rq, rs) => { rq.resume(); rq.on('end', () => answer(rs)); });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${server.address().port}/`;
  await platform.restart({ env: { SOCLE_CIVIL_REGISTER: url } });
  for (const [what, how] of [['down', (rs) => rs.destroy()], ['nonsense', (rs) => rs.end('<html>')], ['an unknown code', (rs) => rs.end('{"v":1,"code":5}')], ['an error', (rs) => { rs.statusCode = 500; rs.end('{"code":2}'); }]]) {
    answer = how;
    assert.equal((await arrive('yann.legoff', 'impots-demo')).code, 'IDT-503-REGISTER', what);
  }
  await platform.restart({ env: { SOCLE_CIVIL_REGISTER: url, SOCLE_CIVIL_REGISTER_DOWN_PASS: 'yes' } });
  assert.match((await arrive('yann.legoff', 'impots-demo')).url, /\/account$/);
  answer = (rs) => rs.end('{"v":1,"code":8}');
  assert.equal((await arrive('yann.legoff', 'impots-demo')).code, 'IDT-403-REGISTER-8', 'an answer counts all the same');
  server.closeAllConnections?.();
  await new Promise((done) => server.close(done));
});
