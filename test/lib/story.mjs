// Steps of the story as commands, for a person at a browser (Visit) and for one without (Client). A
// step says what it does, looks that it worked, and leaves the person on the page that follows.
import { createHash, randomBytes } from 'node:crypto';
import assert from 'node:assert/strict';
import { Client, forms, links, send, words } from './http.mjs';
import { pattern, text } from './text.mjs';

export const cut = (s) => s.replace(/\s+/g, ' ').trim();
const b64 = (bytes) => Buffer.from(bytes).toString('base64url');

// What `socle demo describe --json` tells, with the few names a test needs.
export class World {
  constructor(platform) {
    this.platform = platform;
    Object.assign(this, platform.describe());
    assert.ok(this.issuer && this.gateway && this.accounts?.length && this.clients?.length, 'the demonstration is described');
  }

  account(login) {
    const a = this.accounts.find((x) => x.login === login);
    assert.ok(a, `an account ${login}`);
    return a;
  }

  provider(account) { return this.providers?.find((p) => p.id === account.provider); }
  get citizen() { return this.account('camille.martin'); }
  get agent() { return this.accounts.find((a) => a.realm === 'agents'); }
  // The town's client is the one that comes back to a site of this platform.
  get town() { return this.clients.find((c) => c.redirect_uris.some((u) => new URL(u).port === String(this.platform.port))); }
  get townUrl() { return new URL(this.town.redirect_uris.find((u) => new URL(u).port === String(this.platform.port))).origin; }
  get outside() { return this.clients.find((c) => c !== this.town && c.client_secret); }
}

// ---- signing in, whatever stands in the way -------------------------------------------------------
const titleIs = (h1, module, key, lang) => new RegExp(`^${pattern(module, key, lang).source}$`).test(h1);

function stageOf(h1, hasPassword, lang) {
  if (hasPassword) return 'credentials';
  if (titleIs(h1, 'identity', 'choose.title', lang)) return 'choose';
  if (titleIs(h1, 'identity', 'consent.title', lang)) return 'consent';
  if (titleIs(h1, 'identity', 'info.title', lang)) return 'info';
  return 'done';
}

// Without a browser: a Client walks until it is out of the sign-in. stopAt(url): a client's own
// address that nobody serves here. Returns the address it was stopped at, or null.
export async function walkSignIn(client, account, { decision = 'agree', lang = client.lang, stopAt } = {}) {
  client.stopAt = stopAt;
  for (let i = 0; i < 12; i++) {
    if (client.stopped) { const at = client.stopped; client.stopped = null; return at; }
    const html = client.page.text;
    const h1 = words(/<h1\b[^>]*>([\s\S]*?)<\/h1>/.exec(html)?.[1] ?? '');
    const stage = stageOf(h1, /type="password"/.test(html), lang);
    if (stage === 'done') return null;
    if (stage === 'choose') await chooseHttp(client, account);
    else if (stage === 'credentials') await credentialsHttp(client, account);
    else if (stage === 'consent') await client.press(text('identity', decision === 'agree' ? 'consent.agree' : 'consent.refuse', lang));
    else if (links(html).some((l) => l.text === text('identity', 'info.continue', lang))) await client.follow(text('identity', 'info.continue', lang));
    else await client.press(text('identity', 'info.continue', lang));
  }
  throw new Error(`the sign-in does not end:\n${client.trail.slice(-20).join('\n')}`);
}

async function chooseHttp(client, account) {
  const html = client.page.text;
  const inCards = /<ul class="cards">([\s\S]*?)<\/ul>/.exec(html)?.[1] ?? html;
  const names = [...links(inCards).map((l) => l.text), ...forms(html).flatMap((f) => f.buttons.map((b) => b.text))];
  const title = client.world?.provider(account)?.title[client.lang] ?? account.provider;
  const name = names.find((n) => n.includes(title)) ?? links(inCards).find((l) => l.href.includes(account.provider))?.text ?? names[0];
  if (links(inCards).some((l) => l.text === name)) await client.follow(name);
  else await client.press(name);
}

async function credentialsHttp(client, account) {
  const f = forms(client.page.text).find((x) => x.fields.some(([k]) => /pass|secret|mot/i.test(k)));
  assert.ok(f, `a form for a password on ${client.page.url}`);
  const login = f.fields.find(([k]) => /login|user|identifiant|email/i.test(k))[0];
  const password = f.fields.find(([k]) => /pass|secret|mot/i.test(k))[0];
  await client.press(f.buttons[0].text, { [login]: account.login, [password]: account.password });
}

// ---- a service outside of the platform -------------------------------------------------------------
// Signs somebody in at a client and gets its tokens, by the code flow with PKCE, all of it by hand.
export async function tokensFor(world, account, { client, scope, decision, person = new Client(), extra = {} } = {}) {
  client ??= world.outside;
  const verifier = b64(randomBytes(32)), state = b64(randomBytes(16)), nonce = b64(randomBytes(18));
  const redirect = client.redirect_uris[0];
  const url = new URL(`${world.issuer}/api/v2/authorize`);
  const query = { response_type: 'code', client_id: client.client_id, redirect_uri: redirect, scope: scope ?? 'openid profile birth famille_foyer adresse_fiscale', acr_values: 'eidas1', state, nonce, code_challenge: b64(createHash('sha256').update(verifier).digest()), code_challenge_method: 'S256', ...extra };
  for (const [k, v] of Object.entries(query)) if (v !== undefined) url.searchParams.set(k, v);
  const stopAt = (u) => u.startsWith(redirect);
  person.stopAt = stopAt;
  await person.go(url.href);
  const at = await walkSignIn(person, account, { decision, stopAt });
  assert.ok(at, `the issuer sends the person back to the client\n${person.trail.slice(-12).join('\n')}\n${person.text.slice(0, 800)}`);
  const back = new URL(at).searchParams;
  assert.equal(back.get('state'), state);
  if (back.get('error')) return { error: back.get('error'), person };
  const basic = Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64');
  const r = await send(`${world.issuer}/api/v2/token`, { method: 'POST', headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'authorization_code', code: back.get('code'), redirect_uri: redirect, code_verifier: verifier }).toString() });
  assert.equal(r.status, 200, `tokens: ${r.text}`);
  return { ...r.json, person, nonce, code: back.get('code'), verifier, redirect, basic };
}

// A token for APIs that are about nobody.
export async function machineToken(world, { client, scope }) {
  client ??= world.outside;
  const basic = Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64');
  const r = await send(`${world.issuer}/api/v2/token`, { method: 'POST', headers: { authorization: `Basic ${basic}`, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope }).toString() });
  assert.equal(r.status, 200, `a machine's token: ${r.text}`);
  return r.json.access_token;
}

export const call = (world, path, token, { headers = {}, ...rest } = {}) =>
  send(`${new URL(world.gateway).origin}${path}`, { headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), accept: 'application/json', ...headers }, ...rest });

// ---- the citizen at the town's site, without a browser ------------------------------------------------
export const address = { voie: '8 rue de Strasbourg', commune: 'Nantes', day: '14', month: '11', year: '2026' };

// Types what a step asks and is still empty; the values that came stay.
function answers(f) {
  const out = {};
  for (const [k, v] of f.fields) {
    if (v !== '' || k === 'csrf') continue;
    if (/\.day$/.test(k)) out[k] = address.day;
    else if (/\.month$/.test(k)) out[k] = address.month;
    else if (/\.year$/.test(k)) out[k] = address.year;
    else if (/commune/.test(k)) out[k] = address.commune;
    else if (/voie/.test(k)) out[k] = address.voie;
  }
  for (const [k, values] of Object.entries(f.choices)) if (!f.fields.some(([n, v]) => n === k && v)) out[k] = values.find((v) => v);
  return out;
}

export async function openProcedure(world, account, { client = new Client(), decision } = {}) {
  const lang = client.lang;
  await client.go(`${world.townUrl}/`);
  const url = links(client.page.text).find((l) => /changement|adresse|address/i.test(`${l.text} ${l.href}`) && !/^#/.test(l.href));
  assert.ok(url, `a link to the procedure on ${client.page.url}: ${client.text.slice(0, 800)}`);
  await client.go(url.href);
  const signIn = links(client.page.text).find((l) => l.text === text('platform', 'identity.button', lang));
  if (signIn) { await client.go(signIn.href); await walkSignIn(client, account, { decision }); }
  return client;
}

export async function fileProcedure(world, account, options = {}) {
  const client = await openProcedure(world, account, options), lang = client.lang;
  await client.press(text('procedures', 'start.button', lang));
  const next = text('platform', 'action.continue', lang), sendIt = text('procedures', 'check.button', lang);
  for (let i = 0; i < 12; i++) {
    if (forms(client.page.text).some((f) => f.buttons.some((b) => b.text === sendIt))) break;
    await client.press(next, answers(client.form(next)));
  }
  const f = client.form(sendIt);
  options.beforeSend?.();
  await client.press(sendIt, answers(f));
  assert.ok(client.text.includes(text('procedures', 'receipt.title', lang)), `the receipt: ${client.text.slice(0, 1500)}`);
  const number = words(/<p class="number">([\s\S]*?)<\/p>/.exec(client.page.text)[1]);
  const digest = /<code>([A-Za-z0-9+/_=:-]{32,})<\/code>/.exec(client.page.text)?.[1];
  return { client, number, digest };
}
