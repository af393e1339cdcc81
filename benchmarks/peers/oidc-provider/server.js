// oidc-provider with its own memory adapter: client credentials in, a JWT access token out.
//
// From the environment: PORT, CLIENTS (a file with one base64 "id:secret" a line), ALGORITHM and
// ISSUER. Nothing is stored: oidc-provider does not save access tokens that are JWTs.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { Provider } from 'oidc-provider';

const { PORT, CLIENTS, ALGORITHM, ISSUER } = process.env;
const RESOURCE = `${ISSUER}/api`;
const SCOPE = 'agents:read tokens:read';

const clients = readFileSync(CLIENTS, 'utf8')
  .trim()
  .split('\n')
  .map((line) => {
    const [client_id, client_secret] = Buffer.from(line, 'base64').toString().split(':');
    return { client_id, client_secret };
  });

const kinds = {
  ES256: ['ec', { namedCurve: 'P-256' }],
  RS256: ['rsa', { modulusLength: 2048 }],
};
const { privateKey } = generateKeyPairSync(...kinds[ALGORITHM]);
const key = {
  ...privateKey.export({ format: 'jwk' }),
  kid: `benchmark-${ALGORITHM}`,
  alg: ALGORITHM,
  use: 'sig',
};

const provider = new Provider(ISSUER, {
  clients,
  clientDefaults: {
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: ALGORITHM,
  },
  jwks: { keys: [key] },
  enabledJWA: { idTokenSigningAlgValues: [ALGORITHM] },
  scopes: SCOPE.split(' '),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: SCOPE,
        audience: RESOURCE,
        accessTokenTTL: 900,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: ALGORITHM } },
      }),
    },
  },
});
provider.proxy = true;
provider.listen(Number(PORT), '127.0.0.1');
