// A Node.js program with the official MCP package that is given the server's URL, the issuer and its
// credentials, and discovers the rest.
// node mcp_client.mjs SERVER ISSUER CLIENT_ID < CLIENT_SECRET
import { readFileSync } from "node:fs";
import { ClientCredentialsProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [server, issuer, clientId] = process.argv.slice(2);
const authProvider = new ClientCredentialsProvider({
  clientId,
  clientSecret: readFileSync(0, "utf8"),
  expectedIssuer: issuer,
});
const client = new Client({ name: "agent", version: "1.0.0" });
await client.connect(new StreamableHTTPClientTransport(new URL(server), { authProvider }));
const answer = await client.callTool({ name: "who_am_i", arguments: {} });
const { access_token: token, scope } = await authProvider.tokens();
await client.close();

console.log(JSON.stringify({ answer: answer.content[0].text, token, scope }));
