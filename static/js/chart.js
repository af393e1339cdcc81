/* Trend charts.

   <section data-chart> holds the data as JSON (json_script), a stage and a table with the same numbers:

   {
     "id": "tokens-per-day", "title": "Tokens issued per day", "kind": "trend", "unit": "tokens",
     "summary": "Highest 1,940 on 19 Nov, lowest 0 on 8 Nov",
     "points": [
       {"date": "2026-11-01", "label": "1 Nov", "count": 12, "url": "/tokens?on=2026-11-01",
        "flagged": false, "partial": false, "note": ""}
     ]
   }

   One point for each bucket, with zeros for empty ones; null means "unknown" and leaves a gap. "partial" is the last,
   unfinished bucket and is paler; "flagged" takes the colour of a finding; "note" is one more line in the tooltip.
   bars.js computes the layout, and this module draws it as SVG in the colours of the theme. Over the bars lie real
   links, one for each bucket: they carry the tooltip on hover and focus, arrow keys move between them, and a click
   opens the rows behind the bar.

   Stacked bars: "series": [{"label": "finished", "colour": "good"}], lowest first, the colour a token's name; each
   point has as many "counts" beside their sum "count". Buckets of less than a day: "bucket_hours",
   and each point's "axis" (its short label), "hour" of the day and number of the "day" in the chart.
   "before": {"label": "1 to 30 Oct"} and the "before" of each point are the same buckets of the period before: a tick
   across each bar.
   "zoom": "/timeline?status=error" makes a drag over the bars, or Shift with the arrow keys and Enter, open that
   URL for the time from the "start" of the first point to the "end" of the last. */

import { layout } from "./bars.js";
import { brushing } from "./brush.js";
import { hideTooltip, showTooltip } from "./tooltip.js";
import { pointWords } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const LARGEST_TEXT = 14; /* Pixels. Larger text settings do not move the plot. */
const charts = new Map();
const numbers = new Intl.NumberFormat("en");
const shortNumbers = new Intl.NumberFormat("en", { notation: "compact" });
const ruler = document.createElement("canvas").getContext("2d");

function shape(name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

function paint({ data, stage, list, drawing }) {
  const [width, height] = [stage.clientWidth, stage.clientHeight];
  if (!width) return;
  const size = Math.min(0.75 * Number.parseFloat(getComputedStyle(document.documentElement).fontSize), LARGEST_TEXT);
  ruler.font = `${size}px ${getComputedStyle(stage).fontFamily}`;
  const highest = Math.max(...data.points.map((point) => Math.max(point.count ?? 0, point.before ?? 0)));
  const format = (value) => (highest < 1e6 ? numbers : shortNumbers).format(value);
  const { plot, lines, names, bars, marks, before } = layout(data, width, height, (text) => ruler.measureText(text).width, format);
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.setAttribute("font-size", size);
  drawing.replaceChildren(
    ...lines.map(({ y }) => shape("path", { class: "chart-line", d: `M${plot.left} ${y}h${plot.width}` })),
    ...lines.map(({ y, text }) => shape("text", { x: plot.left - 10, y, dy: "0.35em", "text-anchor": "end" }, text)),
    ...names.map(({ x, text }) => shape("text", { x, y: plot.bottom + 10 + size * 0.8, "text-anchor": "middle" }, text)),
    ...bars.map(({ kind, path }) => shape("path", { class: data.series ? `paint-${kind}` : `chart-bar ${kind}`, d: path })),
    ...(before ? ["chart-before-edge", "chart-before"].map((name) => shape("path", { class: name, d: before })) : []),
    ...marks.map(({ x, y }) => shape("path", { class: "chart-bar flagged", d: `M${x} ${y - 8}l4 4l-4 4l-4-4z` })),
  );
  /* The links lie exactly over the plot. */
  list.style.left = `${(100 * plot.left) / width}%`;
  list.style.width = `${(100 * plot.width) / width}%`;
  list.style.height = `${(100 * plot.bottom) / height}%`;
}

function links(data) {
  const list = document.createElement("ol");
  list.className = "chart-points";
  list.setAttribute("aria-label", `${data.title}. Use the arrow keys to move between points`);
  data.points.forEach((point, index) => {
    const link = document.createElement("a");
    const lines = pointWords(point, data);
    if (point.url) link.href = point.url;
    else link.setAttribute("role", "img");
    link.draggable = false;
    link.tabIndex = index === data.points.length - 1 ? 0 : -1;
    link.setAttribute("aria-label", [point.label, ...lines].join(", "));
    const show = () => showTooltip(link, point.label, lines);
    link.addEventListener("pointerenter", show);
    link.addEventListener("focus", show);
    link.addEventListener("pointerleave", hideTooltip);
    link.addEventListener("blur", hideTooltip);
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  });
  const all = [...list.querySelectorAll("a")];
  const brush = data.zoom ? brushing(list, all, data) : null;
  list.addEventListener("keydown", (event) => {
    const here = all.indexOf(document.activeElement);
    const next = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined || here < 0 || event.altKey || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    if (!all[next]) return;
    all[here].tabIndex = -1;
    all[next].tabIndex = 0;
    all[next].focus();
    if (event.shiftKey) brush?.extend(here, next);
    else brush?.clear();
  });
  return list;
}

function draw(card) {
  if (charts.has(card)) return;
  const data = JSON.parse(card.querySelector('script[type="application/json"]').textContent);
  const stage = card.querySelector("[data-chart-stage]");
  const drawing = shape("svg", { class: "chart-drawing", "aria-hidden": "true" });
  const list = links(data);
  stage.replaceChildren(drawing, list);
  const chart = { data, stage, list, drawing };
  charts.set(card, chart);
  paint(chart);
  chart.observer = new ResizeObserver(() => paint(chart));
  chart.observer.observe(stage);
}

function sweep() {
  for (const [card, chart] of charts) {
    if (card.isConnected) continue;
    chart.observer.disconnect();
    charts.delete(card);
  }
}

function start(root) {
  sweep();
  if (root.matches?.("[data-chart]")) draw(root);
  root.querySelectorAll("[data-chart]").forEach(draw);
}

/* "as table" works for heatmaps as well. */
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-as-table]");
  if (!button) return;
  const card = button.closest(".chart-card");
  const table = card.classList.toggle("as-table");
  button.setAttribute("aria-pressed", String(table));
});

start(document);
document.addEventListener("htmx:load", (event) => start(event.target));
