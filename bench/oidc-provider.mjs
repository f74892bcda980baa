// The peer of sign-ins: npm oidc-provider with its in-memory adapter, as its documentation sets it up,
// with the algorithms that Socle uses. Its person signs in and agrees by himself.
//   node oidc-provider.mjs PORT FOLDER_OF_NODE_MODULES
import { createRequire } from 'node:module';
import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [port, folder] = [Number(process.argv[2]), process.argv[3]];
const { Provider } = await import(pathToFileURL(createRequire(`${folder}/package.json`).resolve('oidc-provider')));
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const issuer = `http://127.0.0.1:${port}`;
const resource = { scope: 'passe_lire', audience: issuer, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } };
const provider = new Provider(issuer, {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' }] },
  clients: [{ client_id: 'banc', client_secret: 'secret-du-banc', redirect_uris: ['https://client.example/cb'], grant_types: ['authorization_code', 'client_credentials'], id_token_signed_response_alg: 'ES256', userinfo_signed_response_alg: 'ES256' }],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  enabledJWA: { userinfoSigningAlgValues: ['ES256', 'RS256'] },
  claims: { openid: ['sub'], profile: ['given_name', 'family_name'], birth: ['birthdate', 'birthplace', 'birthcountry'] },
  scopes: ['openid', 'offline_access'],
  cookies: { keys: ['un', 'deux'] },
  pkce: { required: () => false },
  interactions: { url: (ctx, i) => `/interaction/${i.uid}` },
  features: { devInteractions: { enabled: false }, jwtUserinfo: { enabled: true }, clientCredentials: { enabled: true }, resourceIndicators: { enabled: true, defaultResource: (ctx) => (ctx.oidc.params?.grant_type === 'client_credentials' ? issuer : undefined), getResourceServerInfo: () => resource, useGrantedResource: () => false } },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, given_name: 'Camille', family_name: 'MARTIN', birthdate: '1988-04-12', birthplace: '75107', birthcountry: '99100' }) }),
  loadExistingGrant: async (ctx) => {
    const g = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    g.addOIDCScope('openid profile birth');
    await g.save();
    return g;
  },
});
let n = 0;
provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) return next();
  return provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: `personne-${n++}` } }, { mergeWithLastSubmission: false });
});
provider.listen(port, '127.0.0.1');
