/* The layout of a trend chart's bars, lines and labels in pixels. chart.js documents `data` and draws the result.
   This module does not use the DOM, so that it can be tested alone (tests/scripts/). */

const TOP = 16; /* Room for the mark of a flagged bar. */
const BELOW = 22; /* The labels of the points. */
const BESIDE = 10; /* Between a number and the plot. */
const WIDEST_BAR = 40;
const LEAST_BAR = 2; /* Anything above zero is visible. */
const GRID_LINES = 4;
const NAME_EVERY = 64; /* The minimum number of pixels between two labels. */
const HOUR_STEPS = [1, 2, 3, 6, 12, 24, 48, 168, 336, 672, 2016];

/* The numbers of the axis: zero, then equal round steps up to at least the highest bar. */
export function ticks(highest) {
  const least = Math.max((highest || GRID_LINES) / GRID_LINES, 1);
  const unit = 10 ** Math.floor(Math.log10(least));
  const step = unit * [1, 2, 3, 5, 10].find((size, index) => least / unit < [1.5, 2.5, 4, 7, Infinity][index]);
  return Array.from({ length: Math.ceil((highest || GRID_LINES) / step) + 1 }, (_, index) => index * step);
}

/* The points with a label below: days counted back from the last one, hours counted from midnight. */
export function isNamed(data, width) {
  const last = data.points.length - 1;
  const fitting = (steps, each) => steps.find((size) => (width / (last + 1)) * (size / each) >= NAME_EVERY) ?? steps.at(-1);
  if (data.bucket_hours) {
    const step = fitting(HOUR_STEPS, data.bucket_hours);
    return (index) => {
      const { hour, day } = data.points[index];
      return step < 24 ? hour % step === 0 : hour === 0 && day % (step / 24) === 0;
    };
  }
  const areHours = data.points.every((point) => point.label.includes(":"));
  const step = fitting(areHours ? [1, 2, 3, 6, 12] : [1, 2, 7, 14, 28], 1);
  return (index) => (areHours ? index : last - index) % step === 0;
}

/* The index of the column under x, of `count` equal ones; clamped where x is outside. */
export function columnAt(x, left, width, count) {
  return Math.min(Math.max(Math.floor(((x - left) / width) * count), 0), count - 1);
}

/* The URL for the time from the point `first` to the point `last`. */
export function zoomed(data, first, last, base) {
  const url = new URL(data.zoom, base);
  url.searchParams.set("from", data.points[first].start);
  url.searchParams.set("to", data.points[last].end);
  return url;
}

/* {plot: {left, top, width, bottom}, lines: [{y, text}], names: [{x, text}], bars: [{kind, path}], marks: [{x, y}],
   before: path}. `before` has a tick across each bar where the period before was.
   `kind` is "full", "partial", "flagged" or the colour of a part, followed by " partial" in an unfinished bucket.
   `measure` returns the width of a text, `format` formats the number of a line. */
export function layout(data, width, height, measure, format) {
  const { points } = data;
  const highest = Math.max(...points.map((point) => Math.max(point.count ?? 0, point.before ?? 0)));
  const numbers = ticks(highest);
  const texts = numbers.map(format);
  const left = Math.ceil(Math.max(...texts.map(measure))) + BESIDE;
  const plot = { left, top: TOP, width: Math.max(width - left, points.length), bottom: height - BELOW };
  const y = (value) => plot.bottom - (value / numbers.at(-1)) * (plot.bottom - plot.top);
  const column = plot.width / points.length;
  const middle = (index) => plot.left + (index + 0.5) * column;
  const places = points.map((_, index) => barPlace(middle(index), column, Boolean(data.series)));
  return {
    plot,
    lines: numbers.map((number, index) => ({ y: Math.round(y(number)) + 0.5, text: texts[index] })),
    names: names(data, plot.width, middle, width, measure),
    bars: joined(data.series ? stackedBars(data, places, y, column > 8) : wholeBars(data, places, y)),
    before: points.map((point, index) => tick(point, places[index], column, y)).join(""),
    marks: points.flatMap((point, index) => (point.flagged && point.count ? [{ x: middle(index), y: y(point.count) - 5 }] : [])),
  };
}

/* Wide bars are aligned to whole pixels, so that their edges are sharp. Narrow stacked ones leave no gap. */
function barPlace(middle, column, isStacked) {
  const share = !isStacked || column > 8 ? 0.72 : column > 3 ? 0.84 : 1;
  const wide = Math.min(column * share, WIDEST_BAR);
  if (wide < 4) return { x: middle - wide / 2, wide };
  return { x: Math.round(middle - wide / 2), wide: Math.round(wide) };
}

/* A little wider than the bar where there is room, and not over the axis. */
function tick({ before }, { x, wide }, column, y) {
  if (!before) return "";
  const over = Math.min(2, Math.max((column - wide) / 2, 0));
  const height = Math.min(Math.round(y(before)), Math.round(y(0)) - 2);
  return `M${Math.round(100 * (x - over)) / 100} ${height}h${Math.round(100 * (wide + 2 * over)) / 100}`;
}

function names(data, plotWidth, middle, width, measure) {
  const isShown = isNamed(data, plotWidth);
  const shown = [];
  let end = -Infinity;
  data.points.forEach((point, index) => {
    if (!isShown(index)) return;
    const text = point.axis ?? point.label;
    const half = measure(text) / 2;
    const x = Math.min(Math.max(middle(index), half), width - half);
    if (x - half < end + 4) return;
    end = x + half;
    shown.push({ x, text });
  });
  return shown;
}

function wholeBars({ points }, places, y) {
  return points.flatMap((point, index) => {
    if (!point.count) return [];
    const kind = point.flagged ? (point.partial ? "flagged partial" : "flagged") : point.partial ? "partial" : "full";
    const bottom = y(0);
    return [{ kind, path: bar(places[index], Math.min(y(point.count), bottom - LEAST_BAR), bottom, 3, 1) }];
  });
}

function stackedBars({ points, series }, places, y, isWide) {
  return points.flatMap((point, index) => {
    const uppermost = point.counts.findLastIndex(Boolean);
    let below = 0;
    return series.flatMap((part, number) => {
      const count = point.counts[number];
      if (!count) return [];
      const from = y(below);
      below += count;
      /* A hairline of the background stays between two parts. */
      const to = isWide && number !== uppermost ? Math.min(y(below) + 0.5, from) : y(below);
      const isRound = isWide && number === uppermost;
      return [{ kind: point.partial ? `${part.colour} partial` : part.colour, path: bar(places[index], to, from, isRound ? 3 : 0, isRound ? 1 : 0) }];
    });
  });
}

/* One path with rounded corners at the top and bottom, as far as the height allows. */
function bar({ x, wide }, top, bottom, above, below) {
  const high = bottom - top;
  const upper = Math.min(above, wide / 2, high / 2);
  const lower = Math.min(below, wide / 2, high / 2);
  const n = (value) => String(Math.round(value * 100) / 100);
  const arc = (size, right, down) => (size ? `a${n(size)} ${n(size)} 0 0 1 ${n(right * size)} ${n(down * size)}` : "");
  return (
    `M${n(x)} ${n(top + upper)}${arc(upper, 1, -1)}h${n(wide - 2 * upper)}${arc(upper, 1, 1)}v${n(high - upper - lower)}` +
    `${arc(lower, -1, 1)}h${n(2 * lower - wide)}${arc(lower, -1, -1)}z`
  );
}

/* One path for each kind: a page may have seven hundred hourly bars. */
function joined(bars) {
  const paths = new Map();
  for (const { kind, path } of bars) paths.set(kind, (paths.get(kind) ?? "") + path);
  return [...paths].map(([kind, path]) => ({ kind, path }));
}
