/* The layout of a chart's bars. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { columnAt, isNamed, layout, ticks, zoomed } from "../../static/js/bars.js";

const days = (counts) => counts.map((count, index) => ({ label: `${index + 1} Nov`, count, url: "/tokens" }));
const draw = (data, width = 600) => layout(data, width, 224, (text) => text.length * 6, String);
/* [left, top, right, bottom] of each bar in a path, exact without rounded corners, otherwise within a pixel. */
const boxes = (path) =>
  path.split("z").filter(Boolean).map((each) => {
    let [x, y] = [0, 0];
    const xs = [];
    const ys = [];
    for (const [, letter, rest] of each.matchAll(/([Mahv])([^Mahv]*)/g)) {
      const numbers = rest.trim().split(/[ ,]+/).map(Number);
      if (letter === "M") [x, y] = numbers;
      if (letter === "h") x += numbers[0];
      if (letter === "v") y += numbers[0];
      if (letter === "a") [x, y] = [x + numbers[5], y + numbers[6]];
      xs.push(x);
      ys.push(y);
    }
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  });

for (const [highest, numbers] of [
  [0, [0, 1, 2, 3, 4]],
  [1, [0, 1]],
  [4, [0, 1, 2, 3, 4]],
  [7, [0, 2, 4, 6, 8]],
  [622, [0, 200, 400, 600, 800]],
  [1940, [0, 500, 1000, 1500, 2000]],
  [2000, [0, 500, 1000, 1500, 2000]],
  [2001, [0, 500, 1000, 1500, 2000, 2500]],
]) {
  test(`up to ${highest} the lines are ${numbers}`, () => assert.deepEqual(ticks(highest), numbers));
}

test("lines are few, equally far apart, and reach the highest bar", () => {
  for (let highest = 1; highest < 3e6; highest = Math.ceil(highest * 1.07)) {
    const numbers = ticks(highest);
    assert.ok(numbers.length <= 7, String(highest));
    assert.ok(numbers.at(-1) >= highest && numbers.at(-2) < highest, String(highest));
    assert.ok(numbers.every((number, index) => number === index * numbers[1]), String(highest));
  }
});

test("the height of a bar is its count", () => {
  const { plot, bars } = draw({ points: days([100, 50, 0, null, 200]) });
  const [first, second, last] = boxes(bars[0].path);
  const high = plot.bottom - plot.top;

  assert.deepEqual(bars.map((each) => each.kind), ["full"]);
  assert.equal(last[1], plot.top);
  for (const [[, top, , bottom], share] of [[first, 0.5], [second, 0.25], [last, 1]]) {
    assert.equal(bottom, plot.bottom);
    assert.ok(Math.abs((bottom - top) / high - share) < 0.01);
  }
});

test("one among a million is seen", () => {
  const { bars, plot } = draw({ points: days([1, 1_000_000]) });
  assert.equal(boxes(bars[0].path)[0][1], plot.bottom - 2);
});

test("a tick stands where the period before was, and the scale has room for it", () => {
  const points = days([100, 50, 0, 7]).map((point, index) => ({ ...point, before: [200, 0, null, 1][index] }));
  const { plot, bars, before } = draw({ points });
  const ticks = [...before.matchAll(/M([\d.]+) ([\d.]+)h([\d.]+)/g)].map((each) => each.slice(1).map(Number));

  const [first, second] = [ticks[0], ticks[1]];
  const [bar] = boxes(bars[0].path);
  assert.equal(ticks.length, 2);
  assert.equal(first[1], plot.top);
  assert.equal(second[1], plot.bottom - 2);
  assert.ok(first[0] < bar[0] && first[0] + first[2] > bar[2]);
  assert.equal(draw({ points: days([1]) }).before, "");
});

test("bars stay in their columns, as links lie over them", () => {
  for (const count of [1, 2, 7, 30, 90, 720]) {
    const { plot, bars } = draw({ points: days(Array(count).fill(3)) });
    const column = plot.width / count;
    const found = boxes(bars[0].path);
    assert.equal(found.length, count);
    found.forEach(([left, , right], index) => {
      assert.ok(left >= plot.left + index * column - 1 && right <= plot.left + (index + 1) * column + 1, `${count}: ${index}`);
      assert.ok(right - left <= 40);
      assert.equal(columnAt((left + right) / 2, plot.left, plot.width, count), index);
    });
  }
});

test("what is flagged has a mark above it, and what is not over is another kind", () => {
  const points = days([5, 9, 3]);
  points[1].flagged = true;
  points[2].partial = true;
  const { bars, marks, plot } = draw({ points });

  assert.deepEqual(bars.map((each) => each.kind), ["full", "flagged", "partial"]);
  assert.equal(marks.length, 1);
  assert.equal(columnAt(marks[0].x, plot.left, plot.width, 3), 1);
});

test("parts stand on each other in their order", () => {
  const series = [{ colour: "heat-4" }, { colour: "run" }, { colour: "bad" }];
  const points = [{ label: "1 Nov", axis: "1", count: 8, counts: [4, 0, 4] }];
  const { bars, plot } = draw({ series, points });
  const [good, bad] = bars.map((each) => boxes(each.path)[0]);

  assert.deepEqual(bars.map((each) => each.kind), ["heat-4", "bad"]);
  assert.equal(good[3], plot.bottom);
  assert.ok(good[1] - bad[3] >= 0 && good[1] - bad[3] <= 1);
  assert.equal(bad[1], plot.top);
});

test("no name covers another one or leaves the chart", () => {
  for (const width of [200, 320, 600, 1200]) {
    for (const count of [1, 7, 30, 90, 365]) {
      let end = -Infinity;
      const { names } = draw({ points: days(Array(count).fill(1)) }, width);
      assert.ok(names.length >= 1);
      for (const { x, text } of names) {
        assert.ok(x - text.length * 3 > end && x - text.length * 3 >= 0 && x + text.length * 3 <= width, `${width} ${count}`);
        end = x + text.length * 3;
      }
    }
  }
});

test("the last day has its name, and every seventh before it", () => {
  const isShown = isNamed({ points: days(Array(30).fill(1)) }, 400);
  const shown = [...Array(30).keys()].filter(isShown);
  assert.deepEqual(shown, [1, 8, 15, 22, 29]);
});

test("hours are named on from midnight, and days where hours have no room", () => {
  const points = Array.from({ length: 72 }, (_, index) => ({ label: "", hour: index % 24, day: Math.floor(index / 24) }));
  const named = (width) => [...points.keys()].filter(isNamed({ points, bucket_hours: 1 }, width));
  assert.deepEqual(named(800), [0, 6, 12, 18, 24, 30, 36, 42, 48, 54, 60, 66]);
  assert.deepEqual(named(200), [0, 24, 48]);
});

test("beside the columns is the first or the last", () => {
  assert.deepEqual([-50, 10, 59, 60, 109, 110, 500].map((x) => columnAt(x, 10, 100, 2)), [0, 0, 0, 1, 1, 1, 1]);
});

test("a range opens its time and keeps what was chosen", () => {
  const data = { zoom: "/executions/timeline?status=error", points: [{ start: "2026-11-01T00:00:00+01:00" }, { end: "2026-11-03T00:00:00+01:00" }] };
  const url = zoomed(data, 0, 1, "https://id.example.com/");
  assert.equal(url.pathname, "/executions/timeline");
  assert.deepEqual(Object.fromEntries(url.searchParams), {
    status: "error", from: "2026-11-01T00:00:00+01:00", to: "2026-11-03T00:00:00+01:00",
  });
});
