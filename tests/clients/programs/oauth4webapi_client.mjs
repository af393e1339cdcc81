// Discover, get a token for our API and one for a service, introspect, revoke; verify as a resource server.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as oauth from "oauth4webapi";

const given = JSON.parse(readFileSync(0, "utf8"));
const options = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(given.url);
const client = { client_id: given.client_id };
const proof = oauth.ClientSecretBasic(given.client_secret);
for (const algorithm of ["oauth2", "oidc"]) {
  const found = await oauth.discoveryRequest(issuer, { algorithm, ...options });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const form = new URLSearchParams({ resource: given.resource });
  const answer = await oauth.clientCredentialsGrantRequest(server, client, proof, form, options);
  const { access_token: token } = await oauth.processClientCredentialsResponse(
    server,
    client,
    answer,
  );

  const asked = await oauth.introspectionRequest(server, client, proof, token, options);
  const about = await oauth.processIntrospectionResponse(server, client, asked);
  assert.equal(about.active, true);

  const request = new Request(given.resource, { headers: { Authorization: `Bearer ${token}` } });
  const claims = await oauth.validateJwtAccessToken(server, request, given.resource, options);
  assert.equal(claims.client_id, given.client_id);

  const revoked = await oauth.revocationRequest(server, client, proof, token, options);
  await oauth.processRevocationResponse(revoked);
}
const about = new URL(`${given.url}/api`);
const resource = await oauth.resourceDiscoveryRequest(about, options);
const metadata = await oauth.processResourceDiscoveryResponse(about, resource);
assert.deepEqual(metadata.authorization_servers, [given.url]);
