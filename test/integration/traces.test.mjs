// Technical traces: a million events by syslog and by API, found again; brute force and harvesting that
// were sown among them raise alerts, and what is busy but usual does not.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { once } from 'node:events';
import { Platform, portBlock, until } from '../lib/platform.mjs';
import { send } from '../lib/http.mjs';
import { entries } from '../lib/journal.mjs';
import { Authority } from '../lib/tls.mjs';
import { SmtpSink } from '../lib/smtp.mjs';
import { connect as tlsConnect } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HALF = 500_000, HOUR = 3600e3, DAY = 24 * HOUR, ENOUGH = { timeoutMs: 240000, everyMs: 300 };
// Yesterday at noon: times are the events' own.
const noon = Math.floor(Date.now() / DAY) * DAY - DAY + 12 * HOUR;
const rfc = (ms) => new Date(ms).toISOString();
let p, block, app, other, folder, sender, stranger, relay, listener;
const hooks = [];

const client = (name) => p.json(['client', 'add', '--name', name, '--redirect-uri', `http://localhost:1/${encodeURIComponent(name)}`]);
const basic = (c) => `Basic ${Buffer.from(`${c.client_id}:${c.client_secret}`).toString('base64')}`;
const post = (c, body, type = 'application/x-ndjson') => send(`${p.base}/api/traces`, { method: 'POST', headers: { authorization: basic(c), 'content-type': type }, body });
const lines = (list) => list.map((e) => JSON.stringify(e)).join('\n');
const search = (...args) => p.json(['traces', 'search', ...args]).items;
const alerts = () => p.json(['traces', 'alerts']).items;
const frame = (m) => { const b = Buffer.from(m); return Buffer.concat([Buffer.from(`${b.length} `), b]); };

before(async () => {
  block = await portBlock();
  folder = mkdtempSync(join(tmpdir(), 'traces-'));
  const authority = new Authority(folder);
  sender = authority.selfSigned('pare-feu');
  stranger = authority.selfSigned('inconnu');
  writeFileSync(join(folder, 'senders'), `# who sends\npare-feu ${new X509Certificate(sender.cert).fingerprint256.replaceAll(':', '').toLowerCase()}\n`);
  relay = await SmtpSink.start();
  listener = createServer((rq, rs) => { let t = ''; rq.on('data', (d) => { t += d; }); rq.on('end', () => { hooks.push({ headers: rq.headers, body: JSON.parse(t) }); rs.end(); }); }).listen(block.base + 10, '127.0.0.1');
  p = await Platform.start({ demo: false, ports: block, args: ['--handlers=4', '--loops=1', '--allow_inside=yes', `--syslog_listen=127.0.0.1:${block.base + 9}`, `--syslog_tls_listen=127.0.0.1:${block.base + 8}`, `--syslog_senders=${join(folder, 'senders')}`, `--mail_relay=${relay.url}`, '--mail_from=socle@etat.example', '--alert_mail=astreinte@etat.example', '--alert_org=supervision'] });
  p.must(['tls', 'make', 'default', 'localhost,127.0.0.1']);
  p.must(['org', 'put', 'supervision', '13002526500013', 'administration', 'Supervision']);
  p.must(['contract', 'hook', 'supervision', 'out', `http://127.0.0.1:${block.base + 10}/alertes`]);
  app = client('État civil');
  other = client('Cadastre');
}, { timeout: 60000 });
after(async () => {
  await p?.destroy();
  await relay?.stop?.();
  listener?.close();
  block?.release();
  rmSync(folder, { recursive: true, force: true });
}, { timeout: 60000 });

async function syslog(chunks) {
  const socket = connect(block.base + 9, '127.0.0.1');
  await once(socket, 'connect');
  for (const c of chunks) if (!socket.write(c)) await once(socket, 'drain');
  socket.end();
  await once(socket, 'close');
}

test('[M051] a million events by syslog and by API are kept and searchable', { timeout: 300000 }, async () => {
  // Half by syslog (RFC 5424, octet counts), from a hundred machines; one word stands in one event only.
  const began = Date.now();
  function* messages() {
    let buffers = [];
    for (let i = 0; i < HALF; i++) {
      const words = i === 123_456 ? 'aiguille dans la botte' : `request ${i % 9973} served in ${i % 211} ms`;
      buffers.push(frame(`<${i % 50 === 0 ? 131 : 134}>1 ${rfc(noon - (HALF - i) * 10)} web-${i % 100} portail ${1000 + (i % 30)} - - ${words}`));
      if (buffers.length === 2000) { yield Buffer.concat(buffers); buffers = []; }
    }
    yield Buffer.concat(buffers);
  }
  await syslog(messages());
  // Half by API, 5,000 a call.
  for (let at = 0; at < HALF; at += 5000) {
    const r = await post(app, lines(Array.from({ length: 5000 }, (_, k) => ({ time: noon - HALF + at + k, severity: k % 500 ? 'info' : 'err', app: 'etat-civil', host: `ec-${k % 4}`, message: `acte ${at + k} relu` }))));
    assert.equal(r.status, 202, r.text);
    assert.deepEqual(JSON.parse(r.text), { accepted: 5000 });
  }
  const found = await until('the needle is found', () => { const f = search('aiguille'); return f.length && f; }, ENOUGH);
  console.log(`figure: a million events taken in ${Date.now() - began} ms`);
  assert.equal(found.length, 1);
  assert.deepEqual({ ...found[0], source: undefined }, { time: rfc(noon - (HALF - 123_456) * 10), source: undefined, severity: 'info', host: 'web-56', app: 'portail', message: 'aiguille dans la botte' });
  // Every event is there: the last of each way, and an exact one in the middle.
  assert.equal((await until('the last one is there', () => { const f = search('web-99', String((HALF - 1) % 9973), '--limit', '1'); return f.length && f; }, ENOUGH)).length, 1);
  assert.equal(search('acte', '250123', 'relu').length, 1);
  assert.equal(search('acte', '499999').length, 1);
  assert.equal(search('acte', '500000').length, 0, 'what was never sent');
  assert.equal(search('AIGUILLE').length, 1, 'case does not count');
});

test('a search by gravity and time gives the newest first, and no others', { timeout: 60000 }, () => {
  const from = noon - 60000, errors = search('portail', '--severity', 'err', '--from', rfc(from), '--to', rfc(noon), '--limit', '500');
  assert.ok(errors.length > 50 && errors.every((e) => e.severity === 'err' && e.app === 'portail' && Date.parse(e.time) >= from && Date.parse(e.time) < noon), `${errors.length}`);
  assert.deepEqual(errors.map((e) => e.time), errors.map((e) => e.time).sort().reverse());
});

test('a service reads its own events and nobody else’s', { timeout: 60000 }, async () => {
  const read = async (c, q) => JSON.parse((await send(`${p.base}/api/traces?${new URLSearchParams(q)}`, { headers: { authorization: basic(c) } })).text).items;
  assert.equal((await read(app, { q: 'acte 250123' })).length, 1);
  assert.equal((await read(other, { q: 'acte 250123' })).length, 0);
  assert.equal((await read(app, { q: 'aiguille' })).length, 0, 'syslog is the operator’s');
  assert.equal((await send(`${p.base}/api/traces?q=acte`)).status, 401);
});

test('[M051] brute force and harvesting raise alerts; what is busy as usual does not', { timeout: 240000 }, async () => {
  // Brute force, as sshd tells it: one account, one address.
  await syslog([Buffer.concat(Array.from({ length: 60 }, (_, i) => Buffer.from(`<38>1 ${rfc(noon + i * 1000)} bastion sshd 4711 - - Failed password for root from 203.0.113.9 port ${50000 + i} ssh2\n`)))]);
  // A spray over many accounts from another address: each account is tried once.
  assert.equal((await post(app, lines(Array.from({ length: 40 }, (_, i) => ({ time: noon + i * 1000, event: 'login', outcome: 'failed', actor: `compte-${i}`, address: '198.51.100.7' }))))).status, 202);
  // A fortnight of habits: an agent who reads in the day, a nightly batch that reads a lot, an application.
  const habit = [];
  for (let day = 14; day >= 1; day--) {
    for (let hour = -4; hour <= 4; hour++)
      for (let i = 0; i < 12; i++) habit.push({ time: noon - day * DAY + hour * HOUR + i * 1000, event: 'acte.read', outcome: 'ok', actor: 'agent-7', object: `acte-${(day * 31 + i) % 40}` });
    for (let i = 0; i < 400; i++) habit.push({ time: noon - day * DAY - 9 * HOUR + i * 1000, event: 'acte.export', outcome: 'ok', actor: 'batch', object: `lot-${i % 90}` });
  }
  for (let at = 0; at < habit.length; at += 5000) assert.equal((await post(app, lines(habit.slice(at, at + 5000)))).status, 202);
  // Today: the agent reads seven hundred acts at noon, a few at night; the batch does as ever; refusals.
  const today = [];
  for (let i = 0; i < 700; i++) today.push({ time: noon + i * 1000, event: 'acte.read', outcome: 'ok', actor: 'agent-7', object: `acte-${i}` });
  for (let i = 0; i < 30; i++) today.push({ time: noon + 11 * HOUR + i * 1000, event: 'acte.read', outcome: 'ok', actor: 'agent-7', object: `acte-${i % 5}` });
  for (let i = 0; i < 420; i++) today.push({ time: noon - 9 * HOUR + i * 1000, event: 'acte.export', outcome: 'ok', actor: 'batch', object: `lot-${i % 90}` });
  for (let i = 0; i < 60; i++) today.push({ time: noon + i * 1000, event: 'acte.read', outcome: i < 40 ? 'refused' : 'ok', actor: 'appli-9', object: `acte-${i}` });
  assert.equal((await post(app, lines(today))).status, 202);
  const wanted = ['brute-force-account root', 'brute-force-address 198.51.100.7', 'brute-force-address 203.0.113.9', 'harvest-breadth agent-7', 'harvest-hours agent-7', 'harvest-volume agent-7', 'refusals appli-9'];
  const raised = await until('the alerts are raised', () => { const a = alerts().map((x) => `${x.rule} ${x.about}`).sort(); return a.length >= wanted.length && a; }, { ...ENOUGH, timeoutMs: 60000 });
  assert.deepEqual(raised, wanted);
  const breadth = alerts().find((a) => a.rule === 'harvest-breadth');
  assert.ok(Math.abs(breadth.n - 700) < 70, `about seven hundred acts: ${breadth.n}`);
  assert.ok(breadth.usual > 5 && breadth.usual < 20, `usually twelve: ${breadth.usual}`);
});

test('[M051] an alert reaches the desk, a mailbox and a webhook', { timeout: 60000 }, async () => {
  const about = await until('each alert is mailed', () => relay.mails.length >= 7 && relay.mails.map((m) => m.text).join('\n'), { timeoutMs: 30000 });
  assert.ok(relay.mails.every((m) => m.to[0] === 'astreinte@etat.example' && m.subject.startsWith('Alerte : ')), relay.mails.map((m) => m.subject).join());
  assert.ok(['root', '203.0.113.9', 'agent-7', 'appli-9'].every((w) => about.includes(w)), about);
  await until('each is told by webhook', () => hooks.length >= 7, { timeoutMs: 30000 });
  assert.deepEqual(hooks.filter((h) => h.body.event === 'traces.alert').map((h) => `${h.body.rule} ${h.body.about}`).sort(), alerts().map((a) => `${a.rule} ${a.about}`).sort());
  assert.ok(hooks.every((h) => /^sha256=/.test(h.headers['x-hub-signature-256'])));
});

test('[M051] syslog over TLS: a listed certificate sends under its name, another is turned away', { timeout: 60000 }, async () => {
  const send = async (pair, text) => {
    const socket = tlsConnect({ host: '127.0.0.1', port: block.base + 8, ...pair, rejectUnauthorized: false, minVersion: 'TLSv1.2' });
    const ended = new Promise((done) => { socket.once('close', done); socket.on('error', () => {}); });
    socket.write(frame(text));
    if (pair === sender) await new Promise((done) => setTimeout(done, 300));
    socket.end();
    await ended;
  };
  await send(sender, '<132>1 - garde pare-feu - - - paquet rejete zzyzx');
  await send(stranger, '<132>1 - garde pare-feu - - - faux temoin zzyzx');
  await send({}, '<132>1 - garde pare-feu - - - sans certificat zzyzx');
  const found = await until('the listed one is kept', () => { const f = search('zzyzx'); return f.length && f; }, { timeoutMs: 20000 });
  assert.deepEqual(found.map((f) => [f.source, f.message]), [['syslog:pare-feu', 'paquet rejete zzyzx']]);
  await new Promise((done) => setTimeout(done, 1500));
  assert.equal(search('zzyzx').length, 1, 'the others left nothing');
});

test('an alert is told once, is in the journal, and is closed by who has looked', { timeout: 60000 }, async () => {
  const [first] = alerts();
  await post(app, lines([{ event: 'login', outcome: 'failed', actor: 'nobody' }]));
  await new Promise((done) => setTimeout(done, 2500));
  assert.equal(alerts().length, 7, 'looked at again, told once');
  p.must(['traces', 'close', first.id]);
  assert.equal(alerts().length, 6);
  await until('the journal has raising and closing', () => { const k = entries(p.journalFolder).filter((e) => e.object === first.id).map((e) => e.kind); return k.includes('traces.alert') && k.includes('traces.alert_closed'); });
});

test('what is wrong is refused whole and named', { timeout: 60000 }, async () => {
  const bad = async (body, type) => { const r = await post(other, body, type); return [r.status, JSON.parse(r.text).code, JSON.parse(r.text).event]; };
  const good = { message: 'jamais gardé' };
  assert.deepEqual(await bad(lines([good, { severity: 'pire' }])), [422, 'TRC-422-EVENT', 1]);
  assert.deepEqual(await bad(lines([good, { time: 'hier' }])), [422, 'TRC-422-EVENT', 1]);
  assert.deepEqual(await bad(lines([{ message: 'x'.repeat(3000) }])), [422, 'TRC-422-EVENT', 0]);
  assert.deepEqual(await bad('{"message": "a", "message": "b"}', 'application/json'), [422, 'TRC-422-EVENT', 0]);
  assert.deepEqual((await bad(`[${Array(5001).fill('{}').join(',')}]`, 'application/json')).slice(0, 2), [413, 'TRC-413-EVENTS']);
  assert.equal(search('jamais').length, 0);
  assert.equal(JSON.parse((await send(`${p.base}/api/traces?severity=9`, { headers: { authorization: basic(other) } })).text).code, 'TRC-422-QUERY');
});

test('syslog that is no RFC 5424 is kept as it is; a broken frame ends its connection alone', { timeout: 60000 }, async () => {
  await syslog([Buffer.from('<13>Nov 25 06:17:21 vieux-serveur cron: travail de nuit termine\n'), frame('<165>1 2026-01-01T00:00:00+02:00 h a - ID47 [x@32473 actor="Zoé \\"la\\" sœur" outcome="refused"][y@32473 trace="abc123def"] \uFEFFdossier lu')]);
  await syslog([Buffer.from('GET / HTTP/1.1\r\n\r\n')]);
  await syslog([frame('<14>1 - - - - - - encore vivant')]);
  const old = await until('the old message', () => { const f = search('vieux-serveur', 'travail', 'nuit'); return f.length && f; });
  assert.match(old[0].message, /^Nov 25 06:17:21 vieux-serveur cron: travail/);
  const [rich] = await until('the rich one', () => { const f = search('abc123def'); return f.length && f; });
  assert.deepEqual({ time: rich.time, event: rich.event, actor: rich.actor, outcome: rich.outcome, message: rich.message, severity: rich.severity }, { time: '2025-12-31T22:00:00.000Z', event: 'ID47', actor: 'Zoé "la" sœur', outcome: 'refused', message: 'dossier lu', severity: 'notice' });
  await until('others go on', () => search('encore', 'vivant').length);
});
