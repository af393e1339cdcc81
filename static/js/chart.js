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

   One point a bucket, gaps filled with zero; null means "unknown" and leaves a gap. "partial" is the last,
   unfinished bucket and is paler; "flagged" takes the colour of a finding; "note" is one more line in the tooltip.
   ECharts draws the bars and axes. Over them lie real links, one a bucket: they carry the tooltip on hover and
   focus, arrow keys move between them, and a click opens the rows behind the bar. Without ECharts the table stays.

   Bars in parts: "series": [{"label": "finished", "colour": "good"}], lowest first, the colour a token's name; each
   point has as many "counts" beside their sum "count". Buckets of less than a day: "bucket_hours",
   and each point's "axis" (its short label), "hour" of the day and number of the "day" in the chart.
   "zoom": "/timeline?status=error" makes a drag over the bars, or Shift with the arrow keys and Enter, open that
   address for the time from the "start" of the first point to the "end" of the last. */

import { brushing } from "./brush.js";
import { hideTooltip, showTooltip } from "./tooltip.js";

const charts = new Map();
const numbers = new Intl.NumberFormat("en");
const shortNumbers = new Intl.NumberFormat("en", { notation: "compact" });

function colours(series) {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const found = {
    bar: read("heat-4"),
    partial: read("heat-3"),
    bad: read("bad"),
    note: read("ink-3"),
    line: read("line-2"),
    panel: read("panel"),
    parts: series.map((part) => read(part.colour)),
  };
  probe.remove();
  return found;
}

/* Which points the axis names: days back from the last one, hours on from midnight. */
function labelled(data, width) {
  const last = data.points.length - 1;
  const fitting = (steps, each) => steps.find((size) => (width / (last + 1)) * (size / each) >= 64) ?? steps.at(-1);
  if (data.bucket_hours) {
    const step = fitting([1, 2, 3, 6, 12, 24, 48, 168, 336, 672, 2016], data.bucket_hours);
    return (index) => {
      const { hour, day } = data.points[index];
      return step < 24 ? hour % step === 0 : hour === 0 && day % (step / 24) === 0;
    };
  }
  const hours = data.points.every((point) => point.label.includes(":"));
  const step = fitting(hours ? [1, 2, 3, 6, 12] : [1, 2, 7, 14, 28], 1);
  return (index) => (hours ? index : last - index) % step === 0;
}

function wholeBars(data, colour) {
  return [
    {
      type: "bar",
      silent: true,
      barCategoryGap: "28%",
      barMaxWidth: 40,
      barMinHeight: 2,
      data: data.points.map((point) => ({
        value: point.count || null,
        itemStyle: {
          color: point.flagged ? colour.bad : point.partial ? colour.partial : colour.bar,
          opacity: point.flagged && point.partial ? 0.6 : 1,
          borderRadius: [3, 3, 1, 1],
        },
        label: { show: Boolean(point.flagged), position: "top", distance: 2, formatter: "◆", color: colour.bad, fontSize: 9 },
      })),
    },
  ];
}

function stackedBars(data, colour, width) {
  const column = width / data.points.length;
  const uppermost = data.points.map((point) => point.counts.findLastIndex(Boolean));
  return data.series.map((_, number) => ({
    type: "bar",
    stack: "all",
    silent: true,
    barCategoryGap: column > 8 ? "28%" : column > 3 ? "16%" : "0%",
    barMaxWidth: 40,
    data: data.points.map((point, index) => ({
      value: point.counts[number] || null,
      itemStyle: {
        color: colour.parts[number],
        opacity: point.partial ? 0.6 : 1,
        borderRadius: number === uppermost[index] && column > 8 ? [3, 3, 1, 1] : 0,
        borderColor: colour.panel,
        borderWidth: column > 8 ? 0.5 : 0,
      },
    })),
  }));
}

function option(data, width) {
  const colour = colours(data.series ?? []);
  const style = getComputedStyle(document.body);
  const size = 0.75 * Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  const text = { color: colour.note, fontFamily: style.fontFamily, fontSize: Math.min(size, 14) };
  const highest = Math.max(...data.points.map((point) => point.count ?? 0));
  return {
    animation: false,
    aria: { enabled: false },
    grid: { left: 0, right: 0, top: 16, bottom: 0, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: {
      type: "category",
      data: data.points.map((point) => point.axis ?? point.label),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: { ...text, interval: labelled(data, width), hideOverlap: true, margin: 10 },
    },
    yAxis: {
      type: "value",
      minInterval: 1,
      min: 0,
      max: highest ? null : 4,
      splitNumber: 4,
      splitLine: { lineStyle: { color: colour.line } },
      axisLabel: { ...text, formatter: (value) => (highest < 1e6 ? numbers : shortNumbers).format(value), margin: 10 },
    },
    series: data.series ? stackedBars(data, colour, width) : wholeBars(data, colour),
  };
}

function says(point, data) {
  const lines = [point.count === null ? "unknown" : `${numbers.format(point.count)} ${point.count === 1 ? data.unit.replace(/s$/, "") : data.unit}${point.partial ? " so far" : ""}`];
  data.series?.forEach((part, number) => {
    if (point.counts[number]) lines.push(`${numbers.format(point.counts[number])} ${part.label}`);
  });
  if (point.flagged && !point.note) lines.push("unusual");
  if (point.note) lines.push(point.note);
  return lines;
}

/* The links stand exactly over the plot: as many equal columns as the axis has categories. */
function place(chart) {
  const { drawing, list, data } = chart;
  const count = data.points.length;
  const first = drawing.convertToPixel({ xAxisIndex: 0 }, 0);
  const second = drawing.convertToPixel({ xAxisIndex: 0 }, count - 1);
  const width = count > 1 ? (second - first) / (count - 1) : 2 * (drawing.getWidth() - first);
  const bottom = drawing.convertToPixel({ yAxisIndex: 0 }, 0);
  list.style.left = `${first - width / 2}px`;
  list.style.width = `${width * count}px`;
  list.style.top = "0";
  list.style.height = `${bottom}px`;
}

function links(data, card) {
  const list = document.createElement("ol");
  list.className = "chart-points";
  list.setAttribute("aria-label", `${data.title}. Arrow keys move between the points`);
  data.points.forEach((point, index) => {
    const link = document.createElement("a");
    const lines = says(point, data);
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
  const source = card.querySelector('script[type="application/json"]');
  const stage = card.querySelector("[data-chart-stage]");
  if (!window.echarts || !source || !stage) {
    card.classList.add("chart-failed");
    return;
  }
  const data = JSON.parse(source.textContent);
  if (!data.points.length) return;
  const canvas = document.createElement("div");
  canvas.className = "chart-canvas";
  canvas.setAttribute("aria-hidden", "true");
  const list = links(data, card);
  stage.replaceChildren(canvas, list);
  const chart = { data, list, drawing: window.echarts.init(canvas) };
  charts.set(card, chart);
  paint(chart);
  chart.observer = new ResizeObserver(() => {
    if (!stage.clientWidth) return;
    chart.drawing.resize();
    paint(chart);
  });
  chart.observer.observe(stage);
}

function paint(chart) {
  chart.drawing.setOption(option(chart.data, chart.drawing.getWidth()), { notMerge: true });
  place(chart);
}

function sweep() {
  for (const [card, chart] of charts) {
    if (card.isConnected) continue;
    chart.observer.disconnect();
    chart.drawing.dispose();
    charts.delete(card);
  }
}

function start(root) {
  sweep();
  if (root.matches?.("[data-chart]")) draw(root);
  root.querySelectorAll("[data-chart]").forEach(draw);
}

const repaint = () => charts.forEach(paint);

/* "as table" serves heatmaps too. */
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-as-table]");
  if (!button) return;
  const card = button.closest(".chart-card");
  const table = card.classList.toggle("as-table");
  button.setAttribute("aria-pressed", String(table));
});

start(document);
document.addEventListener("htmx:load", (event) => start(event.target));
document.addEventListener("themechange", repaint);
const printing = matchMedia("print");
printing.addEventListener("change", repaint);
