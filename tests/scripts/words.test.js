/* Texts in scripts, tested with the same table as the server's. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { ago, duration, pointWords, rangeWords } from "../../static/js/words.js";

const cases = JSON.parse(readFileSync(new URL("words.json", import.meta.url)));
const plain = (text) => text.replaceAll("\u00a0", " ");

for (const [milliseconds, text] of cases.duration) {
  test(`${milliseconds} ms are ${text}`, () => assert.equal(plain(duration(milliseconds)), text));
}

for (const [seconds, text] of cases.ago) {
  test(`${seconds} s ago is ${text}`, () => assert.equal(plain(ago(seconds)), text));
}

test("a time before the beginning is none", () => assert.equal(plain(duration(-20)), "0 ms"));

const TOKENS = { unit: "tokens" };

for (const [point, lines] of [
  [{ count: null }, ["unknown"]],
  [{ count: 1 }, ["1 token"]],
  [{ count: 1940, partial: true }, ["1,940 tokens so far"]],
  [{ count: 9, before: 1204 }, ["9 tokens", "1,204 before"]],
  [{ count: 9, before: 0 }, ["9 tokens", "0 before"]],
  [{ count: 9, before: null }, ["9 tokens"]],
  [{ count: 0, flagged: true }, ["0 tokens", "unusual"]],
  [{ count: 9, flagged: true, note: "Nobody came." }, ["9 tokens", "Nobody came."]],
]) {
  test(`a point says ${lines.join(", ")}`, () => assert.deepEqual(pointWords(point, TOKENS), lines));
}

test("a point in parts names those that are there", () => {
  const data = { unit: "runs", series: [{ label: "finished" }, { label: "running" }, { label: "error" }] };
  assert.deepEqual(pointWords({ count: 1002, counts: [1000, 0, 2] }, data), ["1,002 runs", "1,000 finished", "2 error"]);
});

test("a range has both ends and the sum of what is known", () => {
  const points = [{ label: "1 Nov", count: 5 }, { label: "2 Nov", count: null }, { label: "3 Nov", count: 1200 }];
  assert.deepEqual(rangeWords({ ...TOKENS, points }, 0, 2), ["1 Nov to 3 Nov", "1,205 tokens"]);
});

test("one in a range is one", () => {
  const points = [{ label: "1 Nov", count: 1 }, { label: "2 Nov", count: 0 }];
  assert.deepEqual(rangeWords({ ...TOKENS, points }, 0, 1), ["1 Nov to 2 Nov", "1 token"]);
});
