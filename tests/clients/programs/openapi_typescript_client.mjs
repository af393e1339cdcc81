// Generate types for every operation, compile a program that uses them, and run it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const given = JSON.parse(readFileSync(0, "utf8"));
const node = (...words) => execFileSync(process.execPath, words, { encoding: "utf8" });
const types = "schema.d.ts"; // in this folder, because the compiler resolves packages beside it
node("node_modules/openapi-typescript/bin/cli.js", given.schema, "--output", types);
const text = readFileSync(types, "utf8");
const { paths } = JSON.parse(readFileSync(given.schema, "utf8"));
for (const operations of Object.values(paths)) {
  for (const { operationId } of Object.values(operations)) {
    assert.match(text, new RegExp(`\\b${operationId}: \\{`));
  }
}
writeFileSync(
  "program.mts",
  `import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const [baseUrl, token] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: \`Bearer \${token}\` } });
const { data, error } = await client.GET("/api/v1/agents", { params: { query: { limit: 2 } } });
if (error) throw new Error(error.message);
const emails: string[] = data.data.map((agent) => agent.email);
const log = await client.GET("/api/v1/audit/export", { parseAs: "text" });
console.log(data.total, emails.length, log.response.status);
`,
);
const options = ["--strict", "--module", "nodenext", "--target", "es2022", "--skipLibCheck"];
node(join("node_modules", "typescript", "bin", "tsc"), ...options, "--types", "node", "program.mts");
assert.equal(node("program.mjs", given.url, given.token).trim(), "3 2 403");
