// A mail relay that keeps what it is given (RFC 5321, with AUTH PLAIN and STARTTLS): tests read the
// mails as their readers would. `answer` says how it takes a mail: a line for a recipient or null.
import { createServer } from 'node:net';
import { TLSSocket, createSecureContext } from 'node:tls';

const decodeWords = (s) => s.replace(/\?=\s+=\?utf-8\?B\?/gi, '?==?utf-8?B?').replace(/=\?utf-8\?B\?([^?]*)\?=/gi, (_, b) => Buffer.from(b, 'base64').toString('latin1'));

export function readMail(raw) {
  const at = raw.indexOf('\r\n\r\n');
  const headers = {};
  for (const line of raw.slice(0, at).replace(/\r\n[ \t]+/g, ' ').split('\r\n')) headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 1).trim();
  let text = raw.slice(at + 4);
  if (/base64/i.test(headers['content-transfer-encoding'] ?? '')) text = Buffer.from(text, 'base64').toString('utf8');
  return { headers, subject: Buffer.from(decodeWords(headers.subject ?? ''), 'latin1').toString('utf8'), text: text.replace(/\r\n/g, '\n'), raw };
}

export class SmtpSink {
  // login: {user, password} wanted before a mail; tls: {key, cert}: STARTTLS is offered.
  static async start({ port = 0, host = '127.0.0.1', login = null, tls = null } = {}) {
    const s = new SmtpSink();
    Object.assign(s, { login, tls, mails: [], log: [], answer: () => null, sockets: new Set() });
    s.server = createServer((socket) => s.serve(socket));
    await new Promise((done, fail) => s.server.once('error', fail).listen(port, host, done));
    s.port = s.server.address().port;
    s.url = `smtp://127.0.0.1:${s.port}`;
    return s;
  }

  serve(socket, secure = false) {
    const state = { from: null, to: [], data: null, user: null };
    let text = '';
    const say = (line) => socket.write(`${line}\r\n`);
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => {});
    const onData = (d) => {
      text += d.toString('latin1');
      for (let at; (at = text.indexOf('\r\n')) >= 0;) {
        const line = text.slice(0, at);
        text = text.slice(at + 2);
        if (state.data !== null) this.dataLine(state, line, say);
        else if (/^STARTTLS$/i.test(line) && this.tls && !secure) {
          say('220 go');
          socket.off('data', onData);
          this.serve(new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(this.tls) }), true);
          return;
        } else this.command(state, line, say, socket, secure);
      }
    };
    socket.on('data', onData);
    if (!secure) say('220 sink ESMTP');
  }

  dataLine(state, line, say) {
    if (line !== '.') { state.data.push(line.startsWith('.') ? line.slice(1) : line); return; }
    const mail = { ...readMail(state.data.join('\r\n')), from: state.from, to: state.to, user: state.user };
    const refusal = this.answer(mail, 'data');
    if (!refusal) this.mails.push(mail);
    state.data = null; state.from = null; state.to = [];
    say(refusal ?? '250 taken');
  }

  command(state, line, say, socket, secure) {
    this.log.push(/^AUTH/i.test(line) ? 'AUTH' : line);
    const address = () => /<([^>]*)>/.exec(line)?.[1];
    if (/^EHLO/i.test(line)) {
      const offers = ['sink', ...(this.tls && !secure ? ['STARTTLS'] : []), ...(this.login ? ['AUTH PLAIN'] : []), '8BITMIME'];
      offers.forEach((o, i) => say(`250${i === offers.length - 1 ? ' ' : '-'}${o}`));
    } else if (/^AUTH PLAIN$/i.test(line)) { state.auth = true; say('334 '); }
    else if (/^AUTH PLAIN /i.test(line) || state.auth) {
      state.auth = false;
      const [, user, password] = Buffer.from(line.replace(/^AUTH PLAIN /i, ''), 'base64').toString('utf8').split('\0');
      const good = this.login && user === this.login.user && password === this.login.password;
      state.user = good ? user : null;
      say(good ? '235 welcome' : '535 who are you');
    } else if (/^MAIL FROM:/i.test(line)) {
      if (this.login && !state.user) say('530 authenticate first');
      else { state.from = address(); say('250 ok'); }
    } else if (/^RCPT TO:/i.test(line)) {
      const to = address(), refusal = this.answer({ to: [to], from: state.from }, 'rcpt');
      if (!refusal) state.to.push(to);
      say(refusal ?? '250 ok');
    } else if (/^DATA$/i.test(line)) { state.data = []; say('354 go'); }
    else if (/^(RSET|NOOP)$/i.test(line)) say('250 ok');
    else if (/^QUIT$/i.test(line)) { say('221 bye'); socket.end(); }
    else say('502 what');
  }

  to(address) { return this.mails.filter((m) => m.to.includes(address)); }
  async stop() { for (const s of this.sockets) s.destroy(); await new Promise((done) => this.server.close(done)); }
}
