// Outgoing mail, as an operator sees it: a relay with a login, one with TLS, one that is down or says no.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { Platform, until } from '../lib/platform.mjs';
import { SmtpSink } from '../lib/smtp.mjs';
import { send } from '../lib/http.mjs';

let folder, sink, platform;
const to = 'camille.martin@ville.example';

before(async () => {
  folder = mkdtempSync(join(process.env.SOCLE_TEST_TMP || tmpdir(), 'socle-mail-'));
  writeFileSync(join(folder, 'login'), 'socle\nmot de passe é\n', { mode: 0o600 });
  sink = await SmtpSink.start({ login: { user: 'socle', password: 'mot de passe é' } });
  platform = await Platform.start({ demo: false, env: { SOCLE_MAIL_RELAY: sink.url, SOCLE_MAIL_FROM: 'socle@etat.example', SOCLE_MAIL_LOGIN_FILE: join(folder, 'login') } });
});
after(async () => {
  await platform?.destroy();
  await sink?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test('a mail goes out by the confined jobs, with the login of the file', async () => {
  platform.must(['mail', 'test', to]);
  const [m] = await until('the mail', () => sink.mails.length && sink.mails);
  assert.deepEqual([m.from, m.to, m.user], ['socle@etat.example', [to], 'socle']);
  assert.equal(m.subject, 'Essai du courrier sortant');
  assert.match(m.text, /fonctionne/);
  assert.equal(m.headers['auto-submitted'], 'auto-generated');
  assert.match(m.headers.date, /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000$/);
  await until('the row is gone', () => platform.json(['mail', 'list']).items.length === 0);
});

test('what waits is sealed, is tried again later, and is counted', async () => {
  sink.answer = () => '451 later';
  platform.must(['mail', 'test', to]);
  const [row] = await until('a first try', () => { const l = platform.json(['mail', 'list']).items; return l[0]?.tries === 1 && l; });
  assert.ok(row.next_at > Date.now() + 30000 && row.next_at < Date.now() + 90000, 'a minute later');
  if (!platform.database) for (const f of ['socle.db', 'socle.db-wal']) assert.ok(!readFileSync(join(platform.data, 'db', f)).includes('camille'), f);
  assert.ok(!platform.log().includes('camille'), 'no address in the log');
  await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(61 * 1000) } });
  await until('a second try, and two minutes of waiting', () => { const [m] = platform.json(['mail', 'list']).items; return m?.tries === 2 && m.next_at > Date.now() + 61000 + 90000; });
  sink.answer = () => null;
  await platform.restart({ env: { SOCLE_CLOCK_OFFSET_MS: String(5 * 60 * 1000) } });
  await until('the mail', () => sink.mails.length === 2);
  const metrics = await until('figures', async () => { const r = await send(`${platform.base}/metrics`); return /kind="platform.test",result="sent"} 2/.test(r.text) && r.text; });
  assert.match(metrics, /socle_mail_total\{kind="platform\.test",result="failed"\} 2/);
  assert.match(metrics, /socle_mail_waiting 0/);
});

test('an address the relay refuses for good is given up at once', async () => {
  sink.answer = (m, stage) => (stage === 'rcpt' ? '550 no such mailbox' : null);
  platform.must(['mail', 'test', 'nobody@ville.example']);
  await until('given up', async () => /result="given_up"} 1/.test((await send(`${platform.base}/metrics`)).text));
  assert.equal(platform.json(['mail', 'list']).items.length, 0);
  sink.answer = () => null;
});

test('addresses and settings that are none are refused', () => {
  for (const bad of ['nobody', 'a@b.fr\nBcc: x@y.fr', '"a b"@c.fr', 'a@']) assert.equal(platform.command(['mail', 'test', bad]).code, 1, bad);
  const r = platform.command(['mail', 'test', to], { env: { SOCLE_MAIL_RELAY: 'http://127.0.0.1:25' } });
  assert.equal(r.code, 2, r.stderr);
  assert.match(r.stderr, /mail_relay/);
});

// The relay of another machine: only over TLS, with a certificate an authority vouches for. The test
// has no other machine; an address of this one that is not the loopback stands for it.
test('a relay elsewhere gets nothing without TLS', async (t) => {
  const { networkInterfaces } = await import('node:os');
  const outer = Object.values(networkInterfaces()).flat().find((i) => !i.internal && i.family === 'IPv4')?.address;
  if (!outer) return t.skip('no address but the loopback');
  const key = join(folder, 'key.pem'), cert = join(folder, 'cert.pem');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=relay', '-addext', `subjectAltName=IP:${outer}`, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const plain = await SmtpSink.start({ host: outer });
  const secure = await SmtpSink.start({ host: outer, tls: { key: readFileSync(key), cert: readFileSync(cert) } });
  const p = await Platform.start({ demo: false, env: { SSL_CERT_FILE: cert, SOCLE_MAIL_FROM: 'socle@etat.example', SOCLE_MAIL_RELAY: `smtp://${outer}:${plain.port}` } });
  try {
    p.must(['mail', 'test', to]);
    await until('a first try', () => p.json(['mail', 'list']).items[0]?.tries === 1);
    assert.equal(plain.mails.length, 0);
    assert.ok(!plain.log.some((l) => /MAIL|AUTH/.test(l)), plain.log.join(' | '));
    await p.restart({ env: { SOCLE_CLOCK_OFFSET_MS: '120000', SOCLE_MAIL_RELAY: `smtp://${outer}:${secure.port}` } });
    await until('the mail', () => secure.mails.length === 1);
  } finally {
    await p.destroy();
    await plain.stop();
    await secure.stop();
  }
});
