// A provider that misbehaves on demand, spoken in raw bytes: what a body's server might do on its
// worst day. Paths choose the behaviour; requests are kept for the test to read.
import { createServer } from 'node:net';

export const document = {
  dossier: { numero: 'D-1', secret: 'ne-doit-pas-sortir', personnes: [{ nom: 'MARTIN', age: 41, note: 'privée' }, { nom: 'BENALI', age: 39, note: 'privée' }] },
  total: 2, interne: { a: 1 },
};
const json = (body, more = '') => `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${body}`;

const xml = (body, type = 'application/xml') => `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const xmlDocument = '<?xml version="1.0" encoding="UTF-8"?><reponse trace="ne-doit-pas-sortir"><!-- ne-doit-pas-sortir --><dossier><numero>D-1</numero><secret>ne-doit-pas-sortir</secret><personnes id="ne-doit-pas-sortir"><nom>MARTIN</nom><age>41</age></personnes><personnes><nom>BENALI</nom><age>39</age></personnes></dossier><total>2</total></reponse>';

const behaviours = {
  '/pause-date': (s) => s.write(`HTTP/1.1 429 Slow\r\nRetry-After: ${new Date(Date.now() + 120000).toUTCString()}\r\nContent-Length: 0\r\n\r\n`),
  '/held': (s) => { Provider.release = () => s.write(json(JSON.stringify(document))); },
  '/xml': (s) => s.write(xml(xmlDocument, 'application/xml; charset=UTF-8')),
  '/xml-latin': (s) => s.write(xml(xmlDocument, 'text/xml; charset=ISO-8859-1')),
  '/xml-doctype': (s) => s.write(xml('<!DOCTYPE r [<!ENTITY e "ne-doit-pas-sortir">]><r><total>&e;</total></r>')),
  '/xml-cut': (s) => s.write(xml('<r><total>2</total><dossier><numero>ne-doit-pas-sortir</numero>')),
  '/switch': (s) => s.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nne-doit-pas-sortir'),
  '/ok': (s) => s.write(json(JSON.stringify(document))),
  '/empty': (s) => s.write(json('{}')),
  '/hang': () => {},
  '/hang-head': (s) => s.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'),
  '/hang-body': (s) => s.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{"total":'),
  '/close': (s) => s.destroy(),
  '/close-head': (s) => s.end('HTTP/1.1 200 OK\r\nContent-Type: appli'),
  '/close-body': (s) => s.end('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{"total":'),
  '/garbage': (s) => s.end('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not http at all\r\n\r\n'),
  '/two-lengths': (s) => s.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 12\r\n\r\n{}'),
  '/length-and-chunked': (s) => s.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'),
  '/not-json': (s) => s.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n<html>no<'),
  '/cut-json': (s) => s.write(json('{"total": 2, "dossier": {')),
  '/bad-utf8': (s) => s.write(Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"total":"\xff"}', 'latin1').subarray(0)),
  '/deep': (s) => s.write(json(`{"total":${'['.repeat(5000)}${']'.repeat(5000)}}`)),
  '/html': (s) => s.write('HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<p>bonjour</'),
  '/error': (s) => s.write('HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nContent-Length: 29\r\n\r\nstack trace with secret words'),
  '/missing': (s) => s.write('HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'),
  '/redirect': (s) => s.write('HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n'),
  '/cookie': (s) => s.write(json(JSON.stringify(document), 'Set-Cookie: a=b\r\nServer: secret/1.0\r\nX-Internal: y\r\n')),
  '/chunked': (s) => { const b = JSON.stringify(document); s.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n${b.slice(0, 7)}\r\n`); setTimeout(() => s.write(`${(Buffer.byteLength(b) - 7).toString(16)}\r\n${b.slice(7)}\r\n0\r\n\r\n`), 30); },
  '/endless': (s) => { s.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'); const t = setInterval(() => s.write(`8000\r\n${'"'.padEnd(0x8000, 'x')}\r\n`), 1); s.on('close', () => clearInterval(t)); },
  '/big-head': (s) => s.write(`HTTP/1.1 200 OK\r\nX-Filler: ${'y'.repeat(60000)}\r\nContent-Length: 2\r\n\r\n{}`),
};

export class Provider {
  static async start(port) {
    const p = new Provider();
    p.port = port;
    p.requests = [];
    p.sockets = new Set();
    p.server = createServer((s) => {
      let text = '';
      p.sockets.add(s);
      s.on('close', () => p.sockets.delete(s));
      s.on('error', () => {});
      s.on('data', (d) => {
        text += d.toString('latin1');
        for (let at; (at = text.indexOf('\r\n\r\n')) >= 0;) {
          const [line, ...rest] = text.slice(0, at).split('\r\n');
          const headers = Object.fromEntries(rest.map((h) => [h.slice(0, h.indexOf(':')).toLowerCase(), h.slice(h.indexOf(':') + 1).trim()]));
          const length = Number(headers['content-length'] ?? 0);
          if (text.length < at + 4 + length) return;
          const [method, target] = line.split(' ');
          p.requests.push({ method, target, headers, body: text.slice(at + 4, at + 4 + length) });
          text = text.slice(at + 4 + length);
          const path = target.split('?')[0].replace(/^\/p/, '');
          (behaviours[path] ?? behaviours['/missing'])(s);
        }
      });
    });
    await new Promise((done, fail) => p.server.once('error', fail).listen(port, '127.0.0.1', done));
    return p;
  }

  get last() { return this.requests.at(-1); }
  async stop() { for (const s of this.sockets) s.destroy(); await new Promise((done) => this.server.close(done)); }
}

// A service of a partner: a client of the issuer that may ask for whatever a contract gives it.
export function newClient(platform, ...options) {
  const redirect = 'http://localhost:3000/callback';
  const c = platform.json(['client', 'add', '--name', 'Service d’essai', '--redirect-uri', redirect, '--post-logout-uri', 'http://localhost:3000/', '--org', 'essai-demo', ...options]);
  return { ...c, redirect_uris: [redirect], post_logout_redirect_uris: ['http://localhost:3000/'] };
}

// Publishes it as an API of the platform, with a contract for a client. Returns the contract's id.
export function publish(platform, { id = 'essai', port, fields = 'dossier.numero dossier.personnes.nom total', scope = `${id}_lire`, client, api = {}, contract = {} } = {}) {
  platform.must(['api', 'put', '-'], { input: JSON.stringify({ v: 1, id, version: 'v1', org_id: 'essai-demo', title: { fr: 'Essai', en: 'Test' }, summary: { fr: 'Essai', en: 'Test' }, scope, origin: `http://127.0.0.1:${port}`, prefix: '/p', methods: 'GET POST', circle: 3,
    fields: ['dossier.numero', 'dossier.personnes.nom', 'total'].map((path) => ({ path, label: { fr: path, en: path }, sensitivity: 1 })), ...api }) });
  return platform.must(['contract', 'put', '-'], { input: JSON.stringify({ v: 1, client_id: client.client_id, org_id: 'essai-demo', api: id, version: 'v1', fields, purpose: { fr: 'Essayer la passerelle', en: 'Test the gateway' }, legal_basis: { fr: 'Convention d’essai', en: 'Test agreement' }, ...contract }) }).trim();
}
