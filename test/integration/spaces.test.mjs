// [F2.3.7] One account, and from it the spaces of bodies: three portals nobody here wrote, each with
// openid-client and its own accounts. Their links sign her in without a question and lead back.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import * as oidc from 'openid-client';
import { Platform, until } from '../lib/platform.mjs';
import { launch, Visit } from '../lib/browser.mjs';
import { Client, forms, links, localFetch, send } from '../lib/http.mjs';
import { World, tokensFor, walkSignIn } from '../lib/story.mjs';
import { text } from '../lib/text.mjs';

const T = (key, lang = 'fr') => text('account', key, lang);
let platform, world;
const portals = [];

// A ministry's portal: it makes an account the first time it hears of a sub.
class Portal {
  static async start(name, host, org, n, scope) {
    const p = new Portal();
    Object.assign(p, { name, scope, accounts: new Map(), sessions: new Map(), visits: 0, base: `http://${host}.localhost:${platform.ownPort(n)}` });
    Object.assign(p, platform.json(['client', 'add', '--name', name, '--org', org, '--redirect-uri', `${p.base}/retour`, '--login-uri', `${p.base}/entrer`, '--scopes', `openid ${scope}`]));
    p.op = await oidc.discovery(new URL(world.issuer), p.client_id, p.client_secret, undefined, { execute: [oidc.allowInsecureRequests], [oidc.customFetch]: localFetch });
    p.server = createServer((rq, rs) => p.answer(rq, rs).catch((e) => { rs.statusCode = 502; rs.end(String(e)); }));
    await new Promise((done) => p.server.listen(platform.ownPort(n), '127.0.0.1', done));
    portals.push(p);
    return p;
  }

  async answer(rq, rs) {
    const url = new URL(rq.url, this.base), id = /s=([^;]+)/.exec(rq.headers.cookie ?? '')?.[1];
    const to = (where) => rs.writeHead(303, { location: String(where) }).end();
    if (url.pathname === '/entrer') { // OpenID Connect Core 4
      if (url.searchParams.get('iss') !== world.issuer) return rs.writeHead(400).end('unknown issuer');
      const fresh = randomUUID(), code_verifier = oidc.randomPKCECodeVerifier(), state = oidc.randomState();
      this.sessions.set(fresh, { code_verifier, state });
      rs.setHeader('set-cookie', `s=${fresh}; HttpOnly; SameSite=Lax; Path=/`);
      return to(oidc.buildAuthorizationUrl(this.op, { redirect_uri: `${this.base}/retour`, scope: `openid ${this.scope}`, acr_values: 'eidas1', state, code_challenge: await oidc.calculatePKCECodeChallenge(code_verifier), code_challenge_method: 'S256' }));
    }
    const s = this.sessions.get(id);
    if (url.pathname === '/retour') {
      const t = await oidc.authorizationCodeGrant(this.op, url, { pkceCodeVerifier: s.code_verifier, expectedState: s.state });
      s.sub = t.claims().sub;
      const who = await oidc.fetchUserInfo(this.op, t.access_token, s.sub);
      if (!this.accounts.has(s.sub)) this.accounts.set(s.sub, who);
      this.visits++;
      return to('/');
    }
    rs.setHeader('content-type', 'text/html; charset=utf-8');
    const who = s?.sub && this.accounts.get(s.sub);
    rs.end(`<!DOCTYPE html><html lang="fr"><title>${this.name}</title><h1>${this.name}</h1><p>${who ? `Bonjour ${who.given_name} ${who.family_name}` : 'Inconnu'}</p><a href="${world.issuer}/account/spaces?from=${this.client_id}">Mes espaces</a>`);
  }
}

before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  const orgs = platform.json(['org', 'list']).map((o) => o.id);
  await Portal.start('Espace emploi', 'emploi', orgs[0], 0, 'profile');
  await Portal.start('Espace santé', 'sante', orgs[1], 1, 'profile birth');
  await Portal.start('Espace famille', 'famille', orgs[2], 2, 'profile email');
}, { timeout: 180000 });
after(async () => {
  for (const p of portals) { p.server.closeAllConnections(); p.server.close(); }
  await platform?.destroy();
}, { timeout: 60000 });

// What stands between the press and the portal: no choice of an account, no password, no page at all.
const silent = (trail) => !trail.some((l) => /\/connexion|:\d+\/(impots|sante)\b/.test(l));
const people = () => platform.json(['person', 'list']).items.length;

test('[F2.3.7] the links to three portals sign her in without a question and lead back; nobody becomes two', async () => {
  const person = new Client();
  await person.go(`${world.issuer}/account/spaces`);
  await walkSignIn(person, world.citizen);
  assert.match(person.page.url, /\/account\/spaces$/, 'signed in once, here');
  const known = people();
  for (const turn of [1, 2]) {
    for (const p of portals) {
      const from = person.trail.length;
      assert.ok(person.text.includes(p.name), `${p.name} is listed: ${person.text}`);
      if (turn === 1) {
        assert.ok(links(person.page.text).every((l) => !(l.href ?? '').startsWith(p.base)));
        const card = person.text.slice(person.text.indexOf(p.name), person.text.indexOf(p.name) + 300);
        assert.match(card, /Nom/, `told what it receives: ${card}`);
        await person.press(`${T('spaces.open')} – ${p.name}`);
      } else {
        await person.follow(p.name);
      }
      assert.equal(person.page.url, `${p.base}/`, person.trail.slice(from).join('\n'));
      assert.match(person.text, /Bonjour Camille( Anne)? MARTIN/);
      assert.ok(silent(person.trail.slice(from)), person.trail.slice(from).join('\n'));
      await person.follow('Mes espaces');
      assert.match(person.page.url, /\/account\/spaces\?from=/);
      const back = links(person.page.text).find((l) => l.text === `Revenir à ${p.name}`);
      assert.ok(back, 'the way back to where she came from');
      if (turn === 2) { await person.go(back.href); assert.match(person.text, /Bonjour/); await person.follow('Mes espaces'); }
    }
  }
  for (const p of portals) {
    assert.equal(p.accounts.size, 1, `${p.name} has one account of hers`);
    assert.equal(p.visits, 3);
  }
  assert.equal(people(), known, 'and the platform the same people');
  await until('each entry is among her uses', async () => { await person.go(`${world.issuer}/account/uses`); return portals.every((p) => person.text.includes(p.name)); }, { timeoutMs: 60000 });
  await person.go(`${world.issuer}/account?from=${portals[0].client_id}`);
  assert.ok(person.text.includes('Revenir à Espace emploi'), 'her account leads back too');
  await person.go(`${world.issuer}/account?from=nobody`);
  assert.equal(person.page.status, 200);
});

test('[F2.3.7] searching, and what only looks like a space', async () => {
  const person = new Client();
  await person.go(`${world.issuer}/account/spaces`);
  await walkSignIn(person, world.account('lucas.ndiaye'));
  assert.doesNotMatch(person.text, /Ouvert la dernière fois/, 'another person’s visits');
  await person.go(`${world.issuer}/account/spaces?q=SANTE`);
  assert.ok(person.text.includes('Espace santé') && !person.text.includes('Espace emploi'), person.text);
  await person.go(`${world.issuer}/account/spaces?q=${encodeURIComponent('<zzz>')}`);
  assert.ok(person.text.includes(T('spaces.none.found')));
  const add = (...more) => platform.command(['client', 'add', '--name', 'Faux', '--redirect-uri', 'http://localhost:3000/cb', ...more]);
  assert.match(add('--login-uri', 'http://localhost:3000/in').stderr, /org/, 'nobody’s space');
  assert.match(add('--org', world.platform.json(['org', 'list'])[0].id, '--login-uri', 'javascript:alert(1)').stderr, /initiate_login_uri/);
  const quiet = platform.json(['client', 'add', '--name', 'Sans espace', '--redirect-uri', 'http://localhost:3000/cb']);
  await person.go(`${world.issuer}/account/spaces?from=${quiet.client_id}`);
  assert.doesNotMatch(person.text, /Sans espace/);
  const open = await person.once(`${world.issuer}/account/spaces/${quiet.client_id}`, { method: 'POST', body: `csrf=${forms(person.page.text)[0].fields.find(([k]) => k === 'csrf')[1]}`, headers: { 'content-type': 'application/x-www-form-urlencoded', origin: world.issuer } });
  assert.equal(open.status, 404);
  const gone = portals[2];
  platform.must(['client', 'remove', gone.client_id]);
  await person.go(`${world.issuer}/account/spaces`);
  assert.ok(!person.text.includes(gone.name), 'a service that ended');
});

test('[F2.3.7] the same by the API', async () => {
  const k = platform.json(['client', 'add', '--name', 'Programme', '--redirect-uri', 'http://localhost:3000/cb', '--scopes', 'openid profile account']);
  const t = await tokensFor(world, world.citizen, { client: { ...k, redirect_uris: ['http://localhost:3000/cb'] }, scope: 'openid account' });
  const list = (await send(`${world.issuer}/api/account/spaces`, { headers: { authorization: `Bearer ${t.access_token}` } })).json.items;
  const one = list.find((s) => s.client_id === portals[0].client_id);
  assert.deepEqual(one.name, { fr: 'Espace emploi', en: 'Espace emploi' });
  assert.equal(one.url, `${portals[0].base}/entrer?iss=${encodeURIComponent(world.issuer)}`);
  assert.ok(one.visited_at > 0 && one.to_tell === false && one.receives.some((f) => f.name === 'family_name'));
  assert.deepEqual((await send(`${world.issuer}/api/account/spaces?q=emploi`, { headers: { authorization: `Bearer ${t.access_token}` } })).json.items.map((s) => s.client_id), [one.client_id]);
  assert.equal((await send(`${world.issuer}/api/account/spaces`)).status, 401);
});

test('[F2.3.7] the page in a browser: one press, and she is in; axe finds nothing, nothing reaches out', { timeout: 120000 }, async () => {
  const browser = await launch();
  try {
    for (const [lang, width, account] of [['fr', 1280, 'camille.martin'], ['fr', 320, 'lucas.ndiaye'], ['en', 1280, 'lucas.ndiaye'], ['en', 320, 'camille.martin']]) {
      const v = await Visit.open(browser, { name: `espaces-${lang}-${width}`, lang, width });
      await v.page.goto(`${world.issuer}/account/spaces?lang=${lang}`);
      await v.page.locator('ul.cards a').first().click();
      await v.page.locator('input[type=text], input:not([type])').first().fill(world.account(account).login);
      await v.page.locator('input[type=password]').fill(world.account(account).password);
      await v.page.locator('form button[type=submit]').last().click();
      await v.page.waitForURL(/\/account\/spaces/);
      await v.see('espaces');
      const opens = v.page.getByRole('button', { name: `${T('spaces.open', lang)} – Espace santé` });
      if (await opens.count()) await opens.click(); else await v.follow('Espace santé');
      await v.page.getByText(/Bonjour/).waitFor();
      assert.equal(new URL(v.page.url()).origin, portals[1].base, 'no page of ours is in between');
      await v.follow('Mes espaces');
      await v.see('espaces-retour');
      await v.close();
    }
  } finally {
    await browser.close();
  }
});
