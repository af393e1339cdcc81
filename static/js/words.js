/* Texts in scripts, formatted as the server does. This module does not use the DOM, so that it can be tested alone
   (tests/scripts/). */

const numbers = new Intl.NumberFormat("en");

/* A time less than an hour away as words, like the filter relative_time; negative seconds lie in the future. */
export function ago(seconds) {
  const size = Math.abs(seconds);
  if (size < 5) return "just now";
  const count = size < 60 ? `${size}\u00a0s` : `${Math.floor(size / 60)}\u00a0min`;
  return seconds > 0 ? `${count} ago` : `in\u00a0${count}`;
}

/* A duration in milliseconds as words, like the filter duration. */
export function duration(milliseconds) {
  if (milliseconds > 0 && milliseconds < 1) return "<\u00a01\u00a0ms";
  const whole = Math.max(Math.floor(milliseconds + 0.5), 0);
  if (whole < 1000) return `${whole}\u00a0ms`;
  const tenths = Math.floor((whole + 50) / 100);
  if (tenths < 100) return `${Math.floor(tenths / 10)}${tenths % 10 ? `.${tenths % 10}` : ""}\u00a0s`;
  const seconds = Math.floor((whole + 500) / 1000);
  const [minutes, hours, days] = [60, 3600, 86400].map((size) => Math.floor(seconds / size));
  const pad = (number) => String(number).padStart(2, "0");
  if (days) return `${days}\u00a0d\u00a0${hours % 24}\u00a0h`;
  if (hours) return `${hours}\u00a0h\u00a0${pad(minutes % 60)}\u00a0m`;
  if (minutes) return `${minutes}\u00a0m\u00a0${pad(seconds % 60)}\u00a0s`;
  return `${seconds}\u00a0s`;
}

const counted = (count, unit) => `${numbers.format(count)} ${count === 1 ? unit.replace(/s$/, "") : unit}`;

/* The lines below a bar's label; chart.js documents `data` and its points. */
export function pointWords(point, data) {
  const lines = [point.count === null ? "unknown" : `${counted(point.count, data.unit)}${point.partial ? " so far" : ""}`];
  data.series?.forEach((part, number) => {
    if (point.counts[number]) lines.push(`${numbers.format(point.counts[number])} ${part.label}`);
  });
  if (typeof point.before === "number") lines.push(`${numbers.format(point.before)} before`);
  if (point.flagged && !point.note) lines.push("unusual");
  if (point.note) lines.push(point.note);
  return lines;
}

/* The label of the range from the point `first` to the point `last`, with the count in it. */
export function rangeWords({ points, unit }, first, last) {
  const count = points.slice(first, last + 1).reduce((sum, point) => sum + (point.count ?? 0), 0);
  return [`${points[first].label} to ${points[last].label}`, counted(count, unit)];
}
