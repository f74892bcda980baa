// Browsers' security, seen from the outside: cookies, forms from elsewhere, headers, who may see what.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { Platform } from '../lib/platform.mjs';
import { Client, forms, links, send, words } from '../lib/http.mjs';
import { World, fileProcedure, openProcedure, walkSignIn } from '../lib/story.mjs';
import { text } from '../lib/text.mjs';

let platform, world, filed;
before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  filed = await fileProcedure(world, world.citizen);
}, { timeout: 180000 });
after(() => platform?.destroy(), { timeout: 60000 });

const town = (path) => `${world.townUrl}${path}`;

test('every page has a policy without unsafe words, and the headers that go with it', async () => {
  const anonymous = new Client();
  for (const url of [`${platform.base}/`, town('/'), `${platform.base}/legal`, `${platform.base}/no-such-page`, filed.client.page.url]) {
    const r = await (url === filed.client.page.url ? filed.client : anonymous).go(url);
    const csp = r.headers['content-security-policy'];
    assert.ok(csp, url);
    assert.doesNotMatch(csp, /unsafe|\*|data:|http:(?!\/\/[\w.]*localhost|\/\/127)/, csp);
    for (const d of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", 'form-action']) assert.ok(csp.includes(d), `${d} in ${csp}`);
    assert.equal(r.headers['x-content-type-options'], 'nosniff');
    assert.ok(r.headers['referrer-policy'], 'Referrer-Policy');
    assert.doesNotMatch(r.text, /<script|\son\w+=|style="|javascript:/i, url);
  }
});

test('pages with personal data are not kept by caches', async () => {
  const r = await filed.client.go(filed.client.page.url);
  assert.match(r.headers['cache-control'], /no-store/);
});

test('cookies: HttpOnly, SameSite, of one host; a new one at sign-in', async () => {
  const c = new Client();
  const first = await c.once(town('/connexion'));
  for (const line of [].concat(first.headers['set-cookie'] ?? [])) {
    assert.match(line, /HttpOnly/i, line);
    assert.match(line, /SameSite=(Lax|Strict)/i, line);
    assert.doesNotMatch(line, /Domain=/i, line);
    assert.match(line, /Path=\//i, line);
  }
  // Somebody plants a cookie beforehand: it is not the one that is signed in.
  const planted = new Client();
  const name = [...filed.client.jar(world.townUrl).keys()].find((k) => /sess|socle/i.test(k));
  planted.jar(world.townUrl).set(name, 'planted-by-somebody');
  await openProcedure(world, world.citizen, { client: planted });
  assert.notEqual(planted.jar(world.townUrl).get(name), 'planted-by-somebody');
});

test('a cookie that was altered, or brought to another site, names nobody', async () => {
  const jar = filed.client.jar(world.townUrl);
  for (const [name, value] of jar) {
    for (const wrong of [`${value.slice(0, -2)}${value.endsWith('AA') ? 'BB' : 'AA'}`, `${value}x`, value.slice(0, 10), '', '%00', 'a'.repeat(6000)]) {
      const r = await send(filed.client.page.url, { headers: { cookie: `${name}=${wrong}` } });
      assert.notEqual(r.status, 200, `${name} altered`);
      assert.ok(r.status < 500, `${r.status}`);
    }
  }
  const cookie = [...jar].map(([k, v]) => `${k}=${v}`).join('; ');
  const elsewhere = await send(`${platform.base}/account`, { headers: { cookie } });
  assert.notEqual(elsewhere.status, 200, 'the town’s cookie opens nothing at the portal');
});

test('a form from elsewhere, or without its token, is refused and changes nothing', async () => {
  const c = await openProcedure(world, world.account('jeanne.rousseau'));
  const button = text('procedures', 'start.button');
  const f = c.form(button);
  const to = new URL(f.action, c.page.url).href;
  const cookie = [...c.jar(to)].map(([k, v]) => `${k}=${v}`).join('; ');
  const body = new URLSearchParams(f.fields).toString();
  const base = { 'content-type': 'application/x-www-form-urlencoded', cookie };
  const own = new URL(to).origin;
  const wrong = {
    'another origin': [{ ...base, origin: 'http://evil.localhost' }, body],
    'a null origin': [{ ...base, origin: 'null' }, body],
    'a cross-site fetch': [{ ...base, 'sec-fetch-site': 'cross-site' }, body],
    'no token': [{ ...base, origin: own }, new URLSearchParams(f.fields.filter(([k]) => k !== 'csrf')).toString()],
    'another’s token': [{ ...base, origin: own }, new URLSearchParams(f.fields.map(([k, v]) => [k, k === 'csrf' ? [...v].reverse().join('') : v])).toString()],
  };
  for (const [what, [headers, content]] of Object.entries(wrong)) {
    const r = await send(to, { method: 'POST', headers, body: content });
    assert.equal(r.status, 403, what);
    assert.match(words(r.text), /SOC-403-FORM/, `${what}: the page names the fault`);
  }
  await c.press(button);
  assert.equal(c.page.status, 200, 'the right one passes');
});

test('a session ended here is ended everywhere: its cookie opens nothing any more', async () => {
  const c = await openProcedure(world, world.account('yann.legoff'));
  const jar = [...c.jar(world.townUrl)].map(([k, v]) => `${k}=${v}`).join('; ');
  const agentless = await send(town('/agent'), { headers: { cookie: jar } });
  assert.notEqual(agentless.status, 200, 'a citizen is no agent');
  await c.press(text('platform', 'layout.sign_out'));
  const page = await send(c.trail.length ? `${world.townUrl}/` : '', { headers: { cookie: jar } });
  assert.ok(!page.text.includes(text('platform', 'layout.sign_out')), 'the old cookie is nobody’s');
});

test('[2.1.1.d3] nobody reads another’s dossier; an agent of another body is refused', async () => {
  const url = filed.client.page.url;
  const other = await openProcedure(world, world.account('jeanne.rousseau'));
  const r = await other.go(url);
  assert.equal(r.status, 404, 'another citizen does not even learn that it exists');
  await filed.client.follow(text('procedures', 'receipt.follow')).catch(() => {});
  const dossier = filed.client.page.url;
  assert.equal((await other.go(dossier)).status, 404);
  const stranger = new Client();
  await stranger.go(town('/agent'));
  await walkSignIn(stranger, world.account('karim.haddad'));
  assert.equal(stranger.page.status, 403, `${stranger.page.status} ${stranger.text.slice(0, 300)}`);
  assert.ok(!stranger.text.includes(filed.number));
  const agent = new Client();
  await agent.go(town('/agent'));
  await walkSignIn(agent, world.agent);
  assert.ok(agent.text.includes(filed.number), 'the town’s own agent sees it');
});

test('no open redirection: the way back is a path of this site', async () => {
  for (const to of ['https://evil.example/', '//evil.example', '/\\evil.example', 'javascript:alert(1)', '/a\r\nSet-Cookie: x=y']) {
    const c = new Client();
    await c.go(`${world.townUrl}/connexion?return=${encodeURIComponent(to)}`);
    await walkSignIn(c, world.citizen);
    assert.equal(new URL(c.page.url).origin, world.townUrl, to);
  }
});

test('what a person typed is shown as she typed it, and never as markup', async () => {
  const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'{{csrf}}`;
  for (const url of [`${platform.base}/?q=${encodeURIComponent(evil)}`, `${platform.base}/${encodeURIComponent(evil)}`, town(`/?q=${encodeURIComponent(evil)}`)]) {
    const r = await new Client().go(url);
    assert.doesNotMatch(r.text, /<script|<img src=x/i, url);
  }
});

test('every link and form of the public pages leads somewhere', async () => {
  const seen = new Set(), todo = [`${platform.base}/`, town('/')], bad = [];
  const c = new Client();
  while (todo.length && seen.size < 80) {
    const url = todo.shift();
    if (seen.has(url)) continue;
    seen.add(url);
    const r = await c.once(url);
    if (r.status >= 400) { bad.push(`${url} ${r.status}`); continue; }
    if (!/html/.test(r.headers['content-type'] ?? '')) continue;
    for (const href of [...links(r.text).map((l) => l.href), ...forms(r.text).filter((f) => f.method === 'get').map((f) => f.action)]) {
      if (!href || href.startsWith('#') || /^(mailto|tel):/.test(href)) continue;
      const to = new URL(href, url);
      if (![new URL(platform.base).host, new URL(world.townUrl).host].includes(to.host) || /connexion|authorize/.test(to.pathname)) continue;
      to.hash = '';
      todo.push(to.href);
    }
  }
  assert.deepEqual(bad, []);
  assert.ok(seen.size > 15, `${seen.size} pages`);
});
