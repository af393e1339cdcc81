/* Values in cells filter the list: <a class="cell-value" href="…" data-not="…">. A small "not" beside the one that is
   pointed at or focused excludes it, as does Alt and a click. In a row, the left and right arrow keys move from its link
   to its values; they are no tab stops of their own, because every row has several. Without this script they are, and
   a filter is turned around by its chip. */

import { layOver } from "./row_control.js";

const values = (root) => [...root.querySelectorAll("a.cell-value")];
const end = (value) => value.getBoundingClientRect().right;
const isInSight = (value) => value.checkVisibility() && end(value) <= end(value.closest(".about") ?? value) + 1;

/* One control for all rows. */
const control = Object.assign(document.createElement("a"), { className: "row-control cell-not", tabIndex: -1, hidden: true });
let shown = null;

function show(value) {
  if (value === shown) return;
  shown = value;
  control.hidden = !value;
  if (!value) return;
  control.href = value.dataset.not;
  control.replaceChildren("not", Object.assign(document.createElement("span"), { className: "visually-hidden", textContent: ` ${value.textContent.trim()}` }));
  const box = (value.closest(".clip") ?? value).getBoundingClientRect();
  const region = value.closest(".table-scroll");
  layOver(control, region, box, (frame) => Math.min(end(value), box.right, frame.left + region.clientWidth - control.offsetWidth));
}

const pointed = (event) => event.pointerType !== "touch" && event.target.closest?.("a.cell-value, .cell-not");

document.addEventListener("pointerover", (event) => {
  const found = pointed(event);
  if (found && found !== control) show(found);
  else if (!found && document.activeElement !== control && document.activeElement !== shown) show(null);
});
document.addEventListener("focusin", ({ target }) => {
  if (target !== control) show(target.closest("a.cell-value"));
});
addEventListener("resize", () => show(null));

document.addEventListener("click", (event) => {
  const value = event.target.closest?.("a.cell-value");
  if (!value || !event.altKey) return;
  event.preventDefault();
  location.assign(value.dataset.not);
});

document.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1, Escape: 0 }[event.key];
  if (step === undefined || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  const from = event.target === control ? shown : event.target;
  const row = from.closest?.("tr[data-row]");
  if (!row || !from.matches("a.row-link, a.cell-value")) return;
  const stops = [row.querySelector("a.row-link"), ...values(row).filter(isInSight)];
  const here = stops.indexOf(from);
  if (here < 0 || (step === 0 && here === 0)) return;
  event.preventDefault();
  if (step === 1 && here > 0 && event.target !== control) return control.focus();
  if (step === -1 && event.target === control) return from.focus();
  const next = step ? Math.min(Math.max(here + step, 0), stops.length - 1) : 0;
  stops[next].focus();
});

const prepare = (root) => values(root).forEach((value) => (value.tabIndex = -1));
prepare(document);
document.addEventListener("htmx:load", (event) => prepare(event.target));
