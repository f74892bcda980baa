// The front door: how messages are framed. What two readers could read in two ways is refused, in
// one answer, and the connection ends. nginx stands beside it, case by case.
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Platform, until } from '../lib/platform.mjs';
import { raw } from '../lib/http.mjs';

let platform, nginx, nginxPort;
before(async () => {
  platform = await Platform.start({ demo: false });
  nginxPort = platform.ownPort(0);
  const folder = join(platform.folder, 'nginx');
  mkdirSync(folder);
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((n) => `${n}_temp_path ${folder}/${n};`).join(' ');
  writeFileSync(join(folder, 'conf'), `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/log crit; events {} http { access_log off; ${temp} server { listen 127.0.0.1:${nginxPort}; location / { return 200 "ok"; } } }`);
  nginx = spawn('/usr/sbin/nginx', ['-c', join(folder, 'conf'), '-e', join(folder, 'log')], { stdio: 'ignore' });
  await until('nginx answers', () => raw(nginxPort, 'GET / HTTP/1.0\r\n\r\n').then((r) => r.status === 200, () => false));
}, { timeout: 120000 });
after(async () => {
  nginx?.kill();
  await platform?.destroy();
}, { timeout: 60000 });

const ask = (port, text) => raw(port, Buffer.from(text.replaceAll('HOST', `localhost:${port}`), 'latin1'), { quietMs: 1000 });
const statuses = (r) => [...r.text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map((m) => Number(m[1]));
const post = (headers, body = 'abcd') => `POST /robots.txt HTTP/1.1\r\nHost: HOST\r\n${headers}\r\n\r\n${body}`;
const get = (headers, line = 'GET /robots.txt HTTP/1.1') => `${line}\r\nHost: HOST\r\n${headers}${headers ? '\r\n' : ''}\r\n`;

const refused = {
  // The table of briefs, and bare LF.
  'two different Content-Lengths': post('Content-Length: 4\r\nContent-Length: 5', 'abcde'),
  'Content-Length with Transfer-Encoding': post('Content-Length: 4\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
  'Transfer-Encoding, then Content-Length': post('Transfer-Encoding: chunked\r\nContent-Length: 4', '0\r\n\r\n'),
  'Content-Length: +4': post('Content-Length: +4'),
  'space before the colon': get('X-A : b'),
  'NUL in a header': get('X-A: a\0b'),
  'two Hosts': get('Host: other.example'),
  'bare LF in the head': 'GET /robots.txt HTTP/1.1\nHost: HOST\n\n',
  'bare LF after one header': 'GET /robots.txt HTTP/1.1\r\nHost: HOST\nX-A: b\r\n\r\n',
  // And others of the same kind.
  'two equal Content-Lengths': post('Content-Length: 4\r\nContent-Length: 4'),
  'Content-Length: 4, 4': post('Content-Length: 4, 4'),
  'Content-Length: -4': post('Content-Length: -4'),
  'Content-Length: 0x4': post('Content-Length: 0x4'),
  'Content-Length empty': post('Content-Length:'),
  'Content-Length over 64 bits': post('Content-Length: 99999999999999999999999'),
  'bare CR in a value': get('X-A: a\rb'),
  'a folded header': get('X-A: a\r\n b'),
  'no colon': get('X-A'),
  'an empty name': get(': b'),
  'a control character': get('X-A: a\x01b'),
  'DEL in a name': get('X\x7f: b'),
  'no Host': 'GET /robots.txt HTTP/1.1\r\n\r\n',
  'a Host with a path': 'GET /robots.txt HTTP/1.1\r\nHost: a/b\r\n\r\n',
  'Transfer-Encoding: identity': post('Transfer-Encoding: identity'),
  'Transfer-Encoding: gzip, chunked': post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'),
  'Transfer-Encoding twice': post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
  'Transfer-Encoding: xchunked': post('Transfer-Encoding: xchunked', '0\r\n\r\n'),
  'Transfer-Encoding in HTTP/1.0': 'POST /robots.txt HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a chunk size with a sign': post('Transfer-Encoding: chunked', '+4\r\nabcd\r\n0\r\n\r\n'),
  'a chunk size in 0x': post('Transfer-Encoding: chunked', '0x4\r\nabcd\r\n0\r\n\r\n'),
  'a chunk size over 64 bits': post('Transfer-Encoding: chunked', 'ffffffffffffffff1\r\nabcd\r\n0\r\n\r\n'),
  'a chunk without its end of line': post('Transfer-Encoding: chunked', '4\r\nabcdXX0\r\n\r\n'),
  'a chunk line ended by LF': post('Transfer-Encoding: chunked', '4\nabcd\n0\n\n'),
  'a blank at the start of the line': ' GET /robots.txt HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'two blanks in the line': 'GET  /robots.txt HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'a target with a blank': 'GET /a b HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'a target that is not one': 'GET robots.txt HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'a fragment in the target': 'GET /robots.txt#a HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'an absolute form of another host': 'GET http://other.example/ HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'a lower-case method': 'get /robots.txt HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'CONNECT': 'CONNECT other.example:443 HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'TRACE': 'TRACE / HTTP/1.1\r\nHost: HOST\r\n\r\n',
  'HTTP/2.0 in the line': 'GET / HTTP/2.0\r\nHost: HOST\r\n\r\n',
  'HTTP/1.1 in lower case': 'GET / http/1.1\r\nHost: HOST\r\n\r\n',
  'HTTP/0.9': 'GET /\r\n',
  'a TLS greeting': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'.padEnd(200, '\x00'),
  'the HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
};

// What the answer is where it is not 400 (RFC 9110 and 9112 name these).
const answers = {
  'Transfer-Encoding: gzip, chunked': 501,
  'a lower-case method': 501,
  'CONNECT': 405,
  'TRACE': 405,
  'HTTP/2.0 in the line': 505,
  'the HTTP/2 preface': 501,
};
// What nginx answers to the table of briefs, as it was measured: the bare LF alone goes through.
const nginxAnswers = {
  'two different Content-Lengths': 400,
  'Content-Length with Transfer-Encoding': 400,
  'Content-Length: +4': 400,
  'space before the colon': 400,
  'NUL in a header': 400,
  'two Hosts': 400,
  'bare LF in the head': 200,
  'bare LF after one header': 200,
};

test('what can be read in two ways is refused, once, and the connection ends; nginx beside', { timeout: 240000 }, async (t) => {
  const table = [];
  for (const [what, text] of Object.entries(refused)) {
    await t.test(what, async () => {
      // A second request behind it: an answer to it would be a smuggled one.
      const smuggled = `${text}GET /robots.txt HTTP/1.1\r\nHost: HOST\r\n\r\n`;
      const [ours, theirs] = await Promise.all([ask(platform.port, smuggled), ask(nginxPort, smuggled)]);
      table.push([what, statuses(ours).join(' ') || (ours.closed ? 'closed' : 'silence'), statuses(theirs).join(' ') || (theirs.closed ? 'closed' : 'silence')]);
      assert.deepEqual(statuses(ours), [answers[what] ?? 400], `nginx: ${statuses(theirs)}`);
      assert.ok(ours.closed, 'and the connection ends');
      if (nginxAnswers[what]) assert.equal(statuses(theirs)[0], nginxAnswers[what], 'nginx, as measured');
    });
  }
  const laxer = table.filter(([, a, b]) => /^2/.test(b) && !/^2/.test(a)).length;
  console.log(`figure: ${table.length} framings refused; nginx lets ${laxer} of them pass`);
});

test('what is right passes, in whatever pieces it comes', async () => {
  const good = `GET /robots.txt HTTP/1.1\r\nHost: localhost:${platform.port}\r\n\r\n`;
  const whole = await raw(platform.port, good, { quietMs: 500 });
  assert.equal(whole.status, 200);
  const split = await raw(platform.port, null, { quietMs: 3000, enough: (s) => /Disallow/.test(s), onConnect: async (s) => { for (const c of good) { s.write(c); await new Promise((d) => setTimeout(d, 2)); } } });
  assert.equal(split.status, 200);
  const three = await raw(platform.port, good.repeat(3), { quietMs: 700 });
  assert.deepEqual(statuses(three), [200, 200, 200], 'pipelined requests are answered in order');
  const old = await raw(platform.port, `GET /robots.txt HTTP/1.0\r\nHost: localhost:${platform.port}\r\n\r\n`, { quietMs: 2000 });
  assert.equal(old.status, 200);
  assert.ok(old.closed, 'HTTP/1.0 closes');
  const absolute = await raw(platform.port, `GET http://localhost:${platform.port}/robots.txt HTTP/1.1\r\nHost: localhost:${platform.port}\r\n\r\n`, { quietMs: 500 });
  assert.equal(absolute.status, 200);
  const head = await raw(platform.port, `HEAD /robots.txt HTTP/1.1\r\nHost: localhost:${platform.port}\r\n\r\n${good}`, { quietMs: 700 });
  assert.deepEqual(statuses(head), [200, 200], 'a HEAD’s answer has no body');
});
