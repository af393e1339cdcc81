// Lint the OpenAPI document that the server serves with the project's rules.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

const given = JSON.parse(readFileSync(0, "utf8"));
execFileSync(
  process.execPath,
  ["node_modules/@redocly/cli/bin/cli.js", "lint", `--config=${given.project}/redocly.yaml`, given.schema],
  { env: { ...process.env, REDOCLY_TELEMETRY: "off" }, stdio: ["ignore", "pipe", "pipe"] },
);
