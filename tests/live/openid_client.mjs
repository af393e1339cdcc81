// A Node.js program with openid-client: discover, get a token, use it, revoke it.
// node openid_client.mjs ISSUER CLIENT_ID < CLIENT_SECRET
import { readFileSync } from "node:fs";
import * as client from "openid-client";

const [issuer, clientId] = process.argv.slice(2);
const secret = readFileSync(0, "utf8");
const config = await client.discovery(
  new URL(issuer),
  clientId,
  undefined,
  client.ClientSecretBasic(secret),
  { algorithm: "oauth2", execute: [client.allowInsecureRequests] },
);

const tokens = await client.clientCredentialsGrant(config, { scope: "agents:read" });
const introspected = await client.tokenIntrospection(config, tokens.access_token);
const agents = new URL("/api/v1/agents", issuer);
const used = await client.fetchProtectedResource(config, tokens.access_token, agents, "GET");
await client.tokenRevocation(config, tokens.access_token);
const after = await fetch(agents, {
  headers: { Authorization: `Bearer ${tokens.access_token}` },
});

console.log(
  JSON.stringify({
    scope: tokens.scope,
    introspected,
    agents: used.status,
    afterRevocation: after.status,
  }),
);
