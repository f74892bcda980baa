// HTTP message signatures as a consumer makes and reads them (RFC 9421), written apart from the
// platform's: what the two agree on is the standard.
import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';

export const digest = (body) => `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;

export function newKey(kid, kind = 'ec') {
  const pair = kind === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  return { kid, kind, privateKey: pair.privateKey, jwk: { ...pair.publicKey.export({ format: 'jwk' }), kid } };
}

const value = (component, message) => {
  const name = /^"([^"]+)"/.exec(component)[1];
  const of = /;req\b/.test(component) ? message.request : message;
  const url = new URL(of.url ?? 'http://none/');
  const derived = { '@method': of.method, '@target-uri': url.href, '@authority': url.host, '@path': url.pathname, '@query': url.search || '?', '@status': of.status };
  if (name in derived) return derived[name];
  const field = of.headers[name];
  const key = /;key="([^"]+)"/.exec(component)?.[1];
  return key ? new RegExp(`(?:^|, )${key}=(:[^:]*:)`).exec(field)[1] : field;
};

export function base(components, params, message) {
  return [...components.map((c) => `${c}: ${value(c, message)}`), `"@signature-params": (${components.join(' ')})${params}`].join('\n');
}

// The headers of a signed request.
export function signRequest(key, { method = 'GET', url, headers = {}, body, components, created = Math.floor(Date.now() / 1000), tag = 'socle-request', label = 'sig1' }) {
  const all = { ...headers, ...(body === undefined ? {} : { 'content-digest': digest(body) }) };
  components ??= ['"@method"', '"@target-uri"', '"authorization"', ...(body === undefined ? [] : ['"content-digest"'])];
  const params = `;created=${created};keyid="${key.kid}"${tag ? `;tag="${tag}"` : ''}`;
  const text = base(components, params, { method, url, headers: all });
  const sig = key.kind === 'ec' ? sign('sha256', Buffer.from(text), { key: key.privateKey, dsaEncoding: 'ieee-p1363' }) : sign(null, Buffer.from(text), key.privateKey);
  return { ...all, 'signature-input': `${label}=(${components.join(' ')})${params}`, signature: `${label}=:${sig.toString('base64')}:` };
}

// What an answer's signature says, or throws.
export function verifyAnswer(jwks, answer, request) {
  const [, label, list, params] = /^(\w+)=\(([^)]*)\)(.*)$/.exec(answer.headers['signature-input']);
  const components = list.match(/"[^"]+"(?:;\w+(?:="[^"]*")?)*/g) ?? [];
  const keyid = /;keyid="([^"]+)"/.exec(params)[1];
  const jwk = jwks.keys.find((k) => k.kid === keyid);
  const sig = Buffer.from(new RegExp(`${label}=:([^:]*):`).exec(answer.headers.signature)[1], 'base64');
  const text = base(components, params, { status: answer.status, headers: answer.headers, request });
  if (!verify('sha256', Buffer.from(text), { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }, sig)) throw new Error('the signature does not hold');
  if (answer.headers['content-digest'] !== digest(answer.bytes)) throw new Error('the digest is not the body’s');
  return { components, params };
}
