// HTTP without a browser: raw bytes over a socket, and a client that keeps cookies and follows
// forms, so that a story can be played a thousand times without Chromium. Every *.localhost name is
// this machine.
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import assert from 'node:assert/strict';

export const agent = new Agent({ keepAlive: true, maxSockets: 256 });

// One exchange as it is: {status, headers, text}. Nothing is followed.
export function send(url, { method = 'GET', headers = {}, body, timeoutMs = 20000, localAddress, via = localAddress ? new Agent() : agent } = {}) {
  const u = new URL(url);
  return new Promise((done, fail) => {
    const rq = request({ agent: via, localAddress, host: '127.0.0.1', port: u.port || 80, method, path: u.pathname + u.search, headers: { host: u.host, ...headers } }, (rs) => {
      const parts = [];
      rs.on('data', (d) => parts.push(d));
      rs.on('error', fail);
      rs.on('end', () => {
        const bytes = Buffer.concat(parts);
        done({ status: rs.statusCode, headers: rs.headers, bytes, text: bytes.toString('utf8'), url, get json() { return JSON.parse(this.text); } });
      });
    });
    rq.setTimeout(timeoutMs, () => rq.destroy(new Error(`no answer within ${timeoutMs} ms: ${method} ${url}`)));
    rq.on('error', fail);
    if (body !== undefined) rq.setHeader('content-length', Buffer.byteLength(body));
    rq.end(body);
  });
}

// For libraries that want fetch: Node 18 tries ::1 first for localhost.
export async function localFetch(input, init = {}) {
  const headers = Object.fromEntries(new Headers(init.headers).entries());
  const body = init.body === undefined || init.body === null ? undefined : typeof init.body === 'string' ? init.body : String(init.body);
  if (init.body instanceof URLSearchParams) headers['content-type'] ??= 'application/x-www-form-urlencoded;charset=UTF-8';
  const r = await send(String(input?.url ?? input), { method: init.method ?? 'GET', headers, body });
  const flat = Object.entries(r.headers).flatMap(([k, v]) => Array.isArray(v) ? v.map((x) => [k, x]) : [[k, v]]);
  const response = new Response([204, 304].includes(r.status) ? null : r.bytes, { status: r.status, headers: flat });
  Object.defineProperty(response, 'url', { value: String(input?.url ?? input) });
  return response;
}

// Writes bytes, reads until the peer closes, `enough` says so, or quietMs pass without a byte.
export function raw(port, bytes, { quietMs = 1500, timeoutMs = 20000, enough, end = false, onConnect } = {}) {
  return new Promise((done, fail) => {
    let text = '', closed = false, quiet;
    const s = connect(port, '127.0.0.1');
    const finish = () => { clearTimeout(quiet); clearTimeout(late); s.destroy(); done({ text, closed, status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0) }); };
    const late = setTimeout(finish, timeoutMs);
    const again = () => { clearTimeout(quiet); quiet = setTimeout(finish, quietMs); };
    s.on('connect', () => { if (onConnect) onConnect(s); else if (end) s.end(bytes); else s.write(bytes); again(); });
    s.on('data', (d) => { text += d.toString('latin1'); if (enough?.(text)) finish(); else again(); });
    s.on('close', () => { closed = true; finish(); });
    s.on('error', (e) => { if (['ECONNRESET', 'EPIPE'].includes(e.code)) { closed = true; finish(); } else { clearTimeout(quiet); clearTimeout(late); fail(e); } });
  });
}

// ---- pages --------------------------------------------------------------------------------------
const entities = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', '#39': "'", '#x27': "'" };
export const decode = (s) => s.replace(/&(#?\w+);/g, (all, e) => entities[e] ?? (e[0] === '#' ? String.fromCodePoint(e[1] === 'x' ? parseInt(e.slice(2), 16) : Number(e.slice(1))) : all));
const attributes = (tag) => {
  const out = {};
  for (const m of tag.matchAll(/([a-zA-Z_:][\w:.-]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/g)) out[m[1].toLowerCase()] = decode(m[2] ?? m[3] ?? m[4] ?? '');
  return out;
};
export const words = (html) => decode(html.replace(/<(script|style|svg)\b[\s\S]*?<\/\1>/g, ' ').replace(/<[^>]+>/g, ' ')).replace(/\s+/g, ' ').trim();

export function links(html) {
  return [...html.matchAll(/<a\b([^>]*)>([\s\S]*?)<\/a>/g)].map((m) => ({ ...attributes(m[1]), text: words(m[2]) }));
}

export function forms(html) {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)].map((m) => {
    const a = attributes(m[1]), inside = m[2], fields = [], buttons = [], choices = {};
    for (const t of inside.matchAll(/<input\b([^>]*)>|<textarea\b([^>]*)>([\s\S]*?)<\/textarea>|<select\b([^>]*)>([\s\S]*?)<\/select>|<button\b([^>]*)>([\s\S]*?)<\/button>/g)) {
      if (t[1] !== undefined) {
        const i = attributes(t[1]);
        if (!i.name) continue;
        const type = (i.type ?? 'text').toLowerCase();
        if (type === 'radio' || type === 'checkbox') (choices[i.name] ??= []).push(i.value ?? 'on');
        if ((type === 'radio' || type === 'checkbox') && !('checked' in i)) continue;
        if (type === 'submit') { buttons.push({ ...i, text: i.value }); continue; }
        fields.push([i.name, i.value ?? (type === 'checkbox' ? 'on' : '')]);
      } else if (t[2] !== undefined) {
        fields.push([attributes(t[2]).name, decode(t[3].replace(/^\n/, ''))]);
      } else if (t[4] !== undefined) {
        const name = attributes(t[4]).name;
        const options = [...t[5].matchAll(/<option\b([^>]*)>([^<]*)/g)].map((o) => ({ ...attributes(o[1]), text: decode(o[2]) }));
        choices[name] = options.map((o) => o.value ?? o.text);
        const chosen = options.find((o) => 'selected' in o) ?? options[0];
        if (chosen) fields.push([name, chosen.value ?? chosen.text]);
      } else {
        buttons.push({ ...attributes(t[6]), text: words(t[7]) });
      }
    }
    return { method: (a.method ?? 'get').toLowerCase(), action: a.action ?? '', fields, buttons, choices };
  });
}

// ---- a person without a browser -----------------------------------------------------------------
export class Client {
  constructor({ lang = 'fr' } = {}) {
    this.jars = new Map(); /* by host: cookies never cross a host here */
    this.lang = lang;
    this.page = null;
    this.trail = [];
  }

  jar(url) {
    const host = new URL(url).hostname;
    if (!this.jars.has(host)) this.jars.set(host, new Map());
    return this.jars.get(host);
  }

  async once(url, { method = 'GET', headers = {}, body } = {}) {
    const jar = this.jar(url);
    const cookie = [...jar].map(([k, v]) => `${k}=${v}`).join('; ');
    const r = await send(url, { method, body, headers: { 'accept-language': this.lang, accept: 'text/html', ...(cookie ? { cookie } : {}), ...headers } });
    for (const line of [].concat(r.headers['set-cookie'] ?? [])) {
      const [pair, ...rest] = line.split(';');
      const at = pair.indexOf('=');
      const name = pair.slice(0, at).trim(), value = pair.slice(at + 1).trim();
      const gone = rest.some((x) => /^\s*max-age=(0|-\d+)\s*$/i.test(x));
      if (gone || value === '') jar.delete(name); else jar.set(name, value);
    }
    return r;
  }

  async go(url, options = {}) {
    let here = this.page ? new URL(url, this.page.url).href : url;
    let how = options;
    this.stopped = null;
    for (let hops = 0; hops < 20; hops++) {
      if (this.stopAt?.(here)) { this.stopped = here; return null; }
      const r = await this.once(here, how);
      this.trail.push(`${how.method ?? 'GET'} ${here} ${r.status}`);
      if (![301, 302, 303, 307, 308].includes(r.status)) {
        const refresh = /^0;\s*url=(.*)$/.exec(r.headers.refresh ?? '');
        this.page = r;
        if (!refresh) return r;
        here = new URL(refresh[1], here).href;
        how = {};
        continue;
      }
      assert.ok(r.headers.location, 'a redirection says where');
      here = new URL(r.headers.location, here).href;
      how = r.status >= 307 ? how : {};
    }
    throw new Error(`too many redirections:\n${this.trail.slice(-20).join('\n')}`);
  }

  get text() { return words(this.page.text); }

  async follow(pattern) {
    const l = links(this.page.text).find((x) => (pattern instanceof RegExp ? pattern.test(x.text) || pattern.test(x.href ?? '') : x.text.includes(pattern)));
    assert.ok(l, `a link ${pattern} on ${this.page.url}:\n${this.text.slice(0, 1500)}`);
    return this.go(decode(l.href));
  }

  form(button) {
    const found = forms(this.page.text).filter((f) => f.buttons.some((b) => button instanceof RegExp ? button.test(b.text) : b.text.includes(button)));
    assert.ok(found.length > 0, `a form with a button ${button} on ${this.page.url}:\n${this.text.slice(0, 1500)}`);
    return found[0];
  }

  // Sends the form that has the button, with its own values and those given.
  async press(button, values = {}) {
    const f = this.form(button);
    const b = f.buttons.find((x) => button instanceof RegExp ? button.test(x.text) : x.text.includes(button));
    const pairs = f.fields.filter(([k]) => !(k in values)).concat(Object.entries(values).flatMap(([k, v]) => [].concat(v).map((x) => [k, x])));
    if (b.name) pairs.push([b.name, b.value ?? '']);
    const body = new URLSearchParams(pairs).toString();
    const to = new URL(b.formaction ?? f.action, this.page.url);
    if (f.method === 'get') { to.search = body; return this.go(to.href); }
    return this.go(to.href, { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded', origin: new URL(this.page.url).origin } });
  }
}
