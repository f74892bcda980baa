// What each party holds of an exchange, and what it proves with it: receipts, evidence, her own view.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Platform, program, root, until, sleep } from '../lib/platform.mjs';
import { Provider, newClient, publish } from '../lib/provider.mjs';
import { World, call, fileProcedure, tokensFor, walkSignIn } from '../lib/story.mjs';
import { Client } from '../lib/http.mjs';
import { check, entries, leaves } from '../lib/journal.mjs';
import { text } from '../lib/text.mjs';

const folder = mkdtempSync(join(tmpdir(), 'receipts-'));
const file = (name, text) => { const path = join(folder, name); writeFileSync(path, text); return path; };
const commitment = (leaf) => createHash('sha256').update(Buffer.from([0])).update(leaf).digest('base64url');
let platform, world, provider, client, contract, camille, person;

before(async () => {
  platform = await Platform.start();
  world = new World(platform);
  provider = await Provider.start(platform.ownPort(0));
  client = newClient(platform);
  contract = publish(platform, { client, port: provider.port, contract: { consent_needed: true } });
  await sleep(1200); // every loop knows the API and its contract within a second
  camille = await tokensFor(world, world.citizen, { client, scope: 'openid essai_lire' });
  person = new Client();
}, { timeout: 180000 });
after(async () => {
  await provider?.stop();
  await platform?.destroy();
  rmSync(folder, { recursive: true, force: true });
}, { timeout: 60000 });

const get = (token) => call(world, '/gw/essai/v1/ok', token);
// The program beside this process: its server must be able to answer.
const socle = (...args) => new Promise((done) => {
  const child = spawn(program, args, { cwd: root });
  let out = '';
  child.stdout.on('data', (d) => { out += d; });
  child.on('close', (code) => done({ code, out }));
});
const python = (...args) => spawnSync('python3', ['tools/verify_proof.py', ...args], { encoding: 'utf8', cwd: root });
const account = async (who, url) => {
  const c = new Client();
  await c.go(`${platform.base}/connexion?return=/account`);
  await walkSignIn(c, who);
  return (await c.go(`${platform.base}${url}`)).text;
};

test('[P2.1.3] consumer and provider hold the same receipt, and a log that left it out is caught', { timeout: 120000 }, async () => {
  const list = [];
  for (let i = 0; i < 5; i++) {
    const r = await get(camille.access_token);
    assert.equal(r.status, 200, r.text);
    const pair = [r.headers['socle-entry'], r.headers['socle-commitment']];
    assert.deepEqual([provider.last.headers['socle-entry'], provider.last.headers['socle-commitment']], pair, 'the provider has it too');
    list.push(pair.join(' '));
  }
  await until('a checkpoint covers them', async () => (await fetch(`${platform.base}/journal/receipts/${list[4].split(' ')[0]}`)).status === 200);
  const held = leaves(platform.journalFolder).map(commitment);
  for (const line of list) assert.ok(held.includes(line.split(' ')[1]), 'it commits to the leaf');
  const log = `${platform.base}/journal`, good = file('receipts', `# mine\n${list.join('\n')}\n`);
  const key = (await (await fetch(`${log}/key`)).text()).trim();
  assert.deepEqual(await socle('verify', good, '--log', log, '--key', key), { code: 0, out: 'good: signed checkpoints cover 5 of 5 receipts\n' });
  assert.equal((await socle('verify', good, '--log', platform.journalFolder)).code, 0, 'and against the folder');

  // An entry of an hour ago that no checkpoint covers; another content under an entry's name.
  const old = `01${'0'.repeat(24)}`, [id, c] = list[0].split(' '), other = list[1].split(' ')[1];
  const bad = JSON.parse((await socle('verify', file('bad', `${id} ${other}\n${old} ${c}\n`), '--log', log, '--json')).out);
  assert.deepEqual(bad.map((x) => x.state), ['altered', 'omitted']);
  const proof = file('proof', await (await fetch(`${log}/receipts/${id}`)).text());
  assert.equal(python(proof, '--key', key, '--receipt', c).status, 0);
  assert.equal(python(proof, '--key', key, '--receipt', other).status, 1);

  // A log that answers with somebody else's key, or not at all.
  const liar = createServer((q, r) => r.writeHead(q.url.includes(id) ? 200 : 500).end('no proof'));
  await new Promise((done) => liar.listen(platform.ownPort(1), '127.0.0.1', done));
  const said = JSON.parse((await socle('verify', good, '--log', `http://127.0.0.1:${platform.ownPort(1)}`, '--json')).out);
  assert.deepEqual(said.map((x) => x.state), ['false', 'unavailable', 'unavailable', 'unavailable', 'unavailable']);
  liar.close();
  liar.closeAllConnections?.();
});

const both = (path, ...args) => {
  const ours = spawnSync(program, ['verify', path, ...args], { encoding: 'utf8', cwd: root }), theirs = python(path, ...args);
  assert.equal(theirs.stderr, '');
  assert.equal(ours.status, theirs.status, `${ours.stdout}${ours.stderr} / ${theirs.stdout}`);
  if (ours.status === 0) assert.equal(ours.stdout, theirs.stdout, 'the same words');
  return ours;
};

test('[2.1.1.d1] evidence carries the contract and the consent as they stood, and both verifiers refuse others', { timeout: 120000 }, async () => {
  const id = (await get(camille.access_token)).headers['socle-entry'];
  publish(platform, { client, port: provider.port, contract: { id: contract, consent_needed: true, purpose: { fr: 'Un autre but', en: 'Another purpose' } } });
  const evidence = await until('it can be exported', () => { const r = platform.command(['journal', 'export', id]); return r.code === 0 && r.stdout; });
  const e = JSON.parse(evidence), terms = Object.fromEntries(e.terms.map((t) => [t.of, JSON.parse(t.text)]));
  assert.equal(terms.contract.purpose.fr, 'Essayer la passerelle', 'as it stood, not as it stands');
  assert.equal(terms.contract.contract, contract);
  assert.equal(terms.consent.contract_id, contract);
  assert.ok(!evidence.includes('MARTIN'), 'no name is in it');
  const good = both(file('evidence', evidence));
  assert.equal(good.status, 0, good.stdout);
  assert.match(good.stdout, /contract as it stood: \{"v":1,/);
  await until('the change is sealed', () => entries(platform.journalFolder).filter((x) => x.kind === 'exchange.contract.put' && x.object === contract).length === 2);
  const later = platform.must(['journal', 'export', entries(platform.journalFolder).findLast((x) => x.kind === 'exchange.contract.put' && x.object === contract).id]);
  const change = (name, fn) => { const x = JSON.parse(evidence); fn(x); assert.equal(both(file('altered', JSON.stringify(x))).status, 1, name); };
  change('a word of the contract', (x) => { x.terms[0].text = x.terms[0].text.replace('Essayer', 'Vendre'); });
  change('a word of the consent', (x) => { x.terms[1].text = x.terms[1].text.replace('"v":1', '"v":2'); });
  change('the contract’s entry is another', (x) => { x.terms[0].proof = x.proof; });
  change('a contract of later', (x) => { x.terms[0].proof = JSON.parse(later).proof; });
  change('consent and contract exchanged', (x) => { [x.terms[0].of, x.terms[1].of] = [x.terms[1].of, x.terms[0].of]; });
  for (let at = 40; at < evidence.length; at += Math.ceil(evidence.length / 25)) {
    const b = Buffer.from(evidence);
    b[at] ^= 1;
    both(file('bit', b));
  }
});

test('[2.1.1.d4] after 1,000 exchanges the log verifies as an unbroken chain and each view lists exactly its own', { timeout: 180000 }, async () => {
  const people = world.accounts.filter((a) => a.realm === world.citizen.realm).slice(0, 2);
  assert.equal(people.length, 2);
  const tokens = await Promise.all(people.map((p) => tokensFor(world, p, { client, scope: 'openid essai_lire' })));
  const mine = people.map(() => new Set());
  let n = 0;
  await Promise.all(Array.from({ length: 32 }, async () => {
    for (let i; (i = n++) < 1000;) {
      const who = i % 3 ? 0 : 1, r = await get(tokens[who].access_token);
      assert.equal(r.status, 200, r.text);
      mine[who].add(r.headers['socle-entry']);
    }
  }));
  await until('all is signed', () => check(platform.journalFolder).size === leaves(platform.journalFolder).length);
  assert.equal(spawnSync(program, ['verify', platform.journalFolder], { encoding: 'utf8', cwd: root }).status, 0);
  const all = () => entries(platform.journalFolder).filter((e) => e.kind === 'exchange.decision').map((e) => e.id);
  for (const [who, p] of people.entries()) {
    const read = async () => (await account(p, '/account/uses?kind=data&format=csv')).trim().split('\n').slice(1).map((l) => /"([0-9A-Z]{26})"$/.exec(l)[1]);
    const lines = await until('each exchange has its line', async () => { const l = await read(); return [...mine[who]].every((id) => l.includes(id)) && l; });
    assert.equal(new Set(lines).size, lines.length, 'one line a use');
    await until('each line has its entry', () => { const ids = new Set(all()); return lines.every((id) => ids.has(id)); });
    for (const id of mine[1 - who]) assert.ok(!lines.includes(id), 'none of another person');
  }
});

test('[F2.1.2] each change of a file appears in order in the account and in the verified log', { timeout: 120000 }, async () => {
  const { number } = await fileProcedure(world, world.citizen), agent = new Client();
  await agent.go(`${world.townUrl}/agent`);
  await walkSignIn(agent, world.agent);
  await agent.press(text('platform', 'action.search'), { q: 'martin' });
  await agent.follow(number);
  await agent.press(text('procedures', 'agent.decide.button'), { outcome: 'accept', reason: '' });
  await agent.press(text('procedures', 'agent.confirm.accept.button'));
  const pocket = platform.json(['client', 'add', '--name', 'Mon compte de poche', '--redirect-uri', 'http://localhost:3000/callback', '--scopes', 'openid account']);
  const { access_token: token } = await tokensFor(world, world.citizen, { client: { ...pocket, redirect_uris: ['http://localhost:3000/callback'] }, scope: 'openid account' });
  const answer = await until('she reads the decision', async () => { const r = await call(world, '/api/account/uses', token); assert.equal(r.status, 200, r.text); return r.text.includes('procedure.accepted') && r; });
  const seen = answer.json.items.filter((u) => /^(procedure|dossier)\./.test(u.kind)).reverse();
  assert.deepEqual(seen.map((u) => u.kind).filter((k) => k !== 'dossier.read'), ['procedure.submitted', 'procedure.accepted'], `sent: ${answer.json.items.slice(0, 5).map((u) => u.kind)} of ${answer.json.items.length}`);
  await until('all is signed', () => check(platform.journalFolder).size === leaves(platform.journalFolder).length);
  const sealed = entries(platform.journalFolder), places = seen.map((u) => sealed.findIndex((e) => e.id === u.entry));
  assert.ok(places.every((p) => p >= 0), 'each is in the log');
  assert.deepEqual(places, [...places].sort((a, b) => a - b), 'in the order she reads');
  for (const u of seen) assert.equal(sealed.find((e) => e.id === u.entry).at, u.at, 'at the time she reads');
});

test('[2.1.1.d1] an entry of a log that ended is proved with the key of the log that followed', { timeout: 120000 }, async () => {
  const id = (await get(camille.access_token)).headers['socle-entry'];
  await until('it is signed', () => platform.command(['journal', 'prove', id]).code === 0);
  await platform.stop();
  writeFileSync(join(platform.journalFolder, 'restored'), '');
  await platform.begin();
  const evidence = await until('the next log is signed', () => { const r = platform.command(['journal', 'export', id]); return r.code === 0 && r.stdout; });
  const e = JSON.parse(evidence), key = platform.must(['journal', 'key']).trim();
  assert.equal(e.chain.length, 1);
  const path = file('chained', evidence);
  const good = both(path, '--key', key);
  assert.equal(good.status, 0, good.stdout);
  assert.match(good.stdout, /followed by the log /);
  assert.equal(both(file('cut', JSON.stringify({ ...e, chain: [] })), '--key', key).status, 1, 'without the chain the new key says nothing');
  assert.equal(both(file('other', JSON.stringify({ ...e, chain: [e.proof] })), '--key', key).status, 1);
});
