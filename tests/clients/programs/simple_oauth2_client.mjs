// Get and revoke tokens, with the secret in the header and in the form.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ClientCredentials } from "simple-oauth2";

const given = JSON.parse(readFileSync(0, "utf8"));
const path = (name) => new URL(given.metadata[`${name}_endpoint`]).pathname;
for (const authorizationMethod of ["header", "body"]) {
  for (const credentialsEncodingMode of ["strict", "loose"]) {
    const client = new ClientCredentials({
      client: { id: given.client_id, secret: given.client_secret },
      auth: { tokenHost: given.url, tokenPath: path("token"), revokePath: path("revocation") },
      options: { authorizationMethod, credentialsEncodingMode },
    });
    const token = await client.getToken({ scope: "agents:read tokens:read" });
    const headers = { Authorization: `Bearer ${token.token.access_token}` };
    assert.equal((await fetch(`${given.url}/api/v1/agents`, { headers })).status, 200);
    await token.revoke("access_token");
    assert.equal((await fetch(`${given.url}/api/v1/agents`, { headers })).status, 401);
  }
}
