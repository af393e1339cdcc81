/* A range of a chart's points, chosen by dragging over them or by Shift and the arrow keys. Letting go, or Enter,
   opens data.zoom for that time (chart.js documents `data`); Escape cancels. A helper module. */

import { columnAt, zoomed } from "./bars.js";
import { showTooltip } from "./tooltip.js";
import { rangeWords } from "./words.js";

export function brushing(list, all, data) {
  let from = -1;
  let to = -1;
  let dragging = false;
  const bounds = () => [Math.min(from, to), Math.max(from, to)];
  const paint = () => {
    const [first, last] = bounds();
    all.forEach((link, index) => link.classList.toggle("chosen", first >= 0 && index >= first && index <= last));
    if (first < 0 || first === last) return;
    const [title, count] = rangeWords(data, first, last);
    showTooltip(all[to], title, [count, dragging ? "Release to zoom in" : "Press Enter to zoom in"]);
  };
  const clear = () => {
    from = to = -1;
    dragging = false;
    paint();
  };
  const zoom = () => {
    const [first, last] = bounds();
    location.assign(zoomed(data, first, last, location.href));
  };
  const under = (event) => {
    const box = list.getBoundingClientRect();
    return columnAt(event.clientX, box.left, box.width, all.length);
  };
  list.classList.add("chart-brush");
  list.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    from = under(event);
    to = -1;
  });
  list.addEventListener("pointermove", (event) => {
    if (from < 0 || !(event.buttons & 1) || (!dragging && under(event) === from)) return;
    if (!dragging) list.setPointerCapture(event.pointerId);
    dragging = true;
    to = under(event);
    paint();
  });
  list.addEventListener("pointerup", () => {
    if (!dragging) {
      if (to < 0) from = -1;
      return;
    }
    if (from !== to) zoom();
    /* The click that follows belongs to the drag, not to a bar. */
    list.addEventListener("click", (event) => event.preventDefault(), { once: true, capture: true });
    setTimeout(clear);
  });
  list.addEventListener("pointercancel", clear);
  list.addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    if (event.key !== "Enter" || from < 0 || from === to) return;
    event.preventDefault();
    zoom();
  });
  return {
    clear,
    extend(here, next) {
      if (from < 0) from = here;
      to = next;
      paint();
    },
  };
}
