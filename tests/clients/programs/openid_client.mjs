// Discover, get a token, use, introspect and revoke it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as client from "openid-client";

const given = JSON.parse(readFileSync(0, "utf8"));
for (const algorithm of ["oauth2", "oidc"]) {
  for (const proof of [client.ClientSecretBasic, client.ClientSecretPost]) {
    const config = await client.discovery(
      new URL(given.url),
      given.client_id,
      undefined,
      proof(given.client_secret),
      { algorithm, execute: [client.allowInsecureRequests] },
    );
    const tokens = await client.clientCredentialsGrant(config, { scope: "agents:read tokens:read" });
    assert.equal((await client.tokenIntrospection(config, tokens.access_token)).active, true);
    const agents = new URL("/api/v1/agents", given.url);
    const used = await client.fetchProtectedResource(config, tokens.access_token, agents, "GET");
    assert.equal(used.status, 200);
    await client.tokenRevocation(config, tokens.access_token);
    const headers = { Authorization: `Bearer ${tokens.access_token}` };
    assert.equal((await fetch(agents, { headers })).status, 401);
  }
}
const config = await client.discovery(
  new URL(given.url),
  given.client_id,
  undefined,
  client.ClientSecretBasic(given.client_secret),
  { execute: [client.allowInsecureRequests] },
);
const parameters = { resource: given.resource };
const tokens = await client.clientCredentialsGrant(config, parameters);
const payload = JSON.parse(Buffer.from(tokens.access_token.split(".")[1], "base64url"));
assert.equal(payload.aud, given.resource);
