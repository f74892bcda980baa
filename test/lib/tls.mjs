// What a test needs of TLS: authorities and certificates made with openssl, requests over TLS, and a
// recorder of what passes on the wire.
import { spawnSync } from 'node:child_process';
import { createServer, connect } from 'node:net';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import assert from 'node:assert/strict';

export function openssl(args, options = {}) {
  const r = spawnSync('openssl', args, { encoding: 'utf8', timeout: 20000, input: '', ...options });
  return { code: r.status, out: `${r.stdout}${r.stderr}` };
}
const must = (args, options) => { const r = openssl(args, options); assert.equal(r.code, 0, `openssl ${args.join(' ')}: ${r.out}`); return r.out; };

/** A folder of keys and certificates. */
export class Authority {
  constructor(folder, name = 'ca') {
    this.folder = folder;
    this.name = name;
    must(['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', `/CN=${name}`, '-keyout', this.file(name, 'key'), '-out', this.file(name, 'pem'), '-addext', 'basicConstraints=critical,CA:TRUE']);
  }

  file(name, kind) { return join(this.folder, `${name}.${kind}`); }
  get pem() { return this.file(this.name, 'pem'); }

  read(name) { return { key: readFileSync(this.file(name, 'key')), cert: readFileSync(this.file(name, 'pem')) }; }

  /** A certificate of this authority; days may be negative. */
  sign(name, { hosts = name, days = 10 } = {}) {
    const ext = this.file(name, 'ext');
    writeFileSync(ext, `subjectAltName=${hosts.split(',').map((h) => `${/^[\d.]+$/.test(h) ? 'IP' : 'DNS'}:${h}`).join(',')}\n`);
    must(['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}`, '-keyout', this.file(name, 'key'), '-out', this.file(name, 'csr')]);
    must(['x509', '-req', '-in', this.file(name, 'csr'), '-CA', this.pem, '-CAkey', this.file(this.name, 'key'), '-CAcreateserial', '-days', String(days), '-extfile', ext, '-out', this.file(name, 'pem')]);
    return this.read(name);
  }

  selfSigned(name, { days = 10 } = {}) {
    must(['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', String(days), '-subj', `/CN=${name}`, '-keyout', this.file(name, 'key'), '-out', this.file(name, 'pem')]);
    return this.read(name);
  }
}

/** One exchange over TLS; the certificate is not looked at unless `ca` is given. */
export function secure(port, path, { method = 'GET', headers = {}, body, ca, host = 'localhost', timeoutMs = 20000, ...tls } = {}) {
  return new Promise((done, fail) => {
    const rq = request({ host: '127.0.0.1', port, path, method, servername: host, ca, rejectUnauthorized: Boolean(ca), headers: { host: `${host}:${port}`, ...headers }, agent: false, ...tls }, (rs) => {
      const parts = [], { socket } = rs;
      const info = { protocol: socket.getProtocol(), cipher: socket.getCipher()?.name, reused: socket.isSessionReused(), serial: socket.getPeerCertificate()?.serialNumber };
      rs.on('data', (d) => parts.push(d));
      rs.on('error', fail);
      rs.on('end', () => {
        const bytes = Buffer.concat(parts);
        done({ status: rs.statusCode, headers: rs.headers, bytes, text: bytes.toString(), ...info, get json() { return JSON.parse(this.text); } });
      });
    });
    rq.setTimeout(timeoutMs, () => rq.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    rq.on('error', fail);
    if (body !== undefined) rq.setHeader('content-length', Buffer.byteLength(body));
    rq.end(body);
  });
}

/** Keeps every byte that passes between its clients and a port. */
export class Recorder {
  static async start(port, target) {
    const r = new Recorder();
    r.parts = [];
    r.sockets = new Set();
    r.server = createServer((a) => {
      const b = connect(target, '127.0.0.1');
      for (const [x, y] of [[a, b], [b, a]]) {
        r.sockets.add(x);
        x.on('data', (d) => { r.parts.push(d); y.write(d); });
        x.on('end', () => y.end());
        x.on('error', () => y.destroy());
        x.on('close', () => r.sockets.delete(x));
      }
    });
    await new Promise((done, fail) => r.server.once('error', fail).listen(port, '127.0.0.1', done));
    return r;
  }

  get bytes() { return Buffer.concat(this.parts); }
  async stop() { for (const s of this.sockets) s.destroy(); await new Promise((done) => this.server.close(done)); }
}
