/* A look at a run beside the list, on wide windows. Space on a row opens and closes it, as does the small control at
   the row that is pointed at; j and k, or any other way to another row, take it along. Tab goes from the row into the
   panel and Shift Tab back, as if it stood after the row; Escape closes it and returns to the row. */

import { layOver } from "./row_control.js";

const panel = document.getElementById("peek");
const place = document.getElementById("peek-run");
const isWide = matchMedia("(width >= 1100px)");
const linkOf = (row) => row.querySelector("a.row-link");
let row = null;

function open(next) {
  if (next === row) return;
  row?.classList.remove("chosen");
  row = next;
  row.classList.add("chosen");
  panel.hidden = false;
  load();
}

function load() {
  panel.setAttribute("aria-busy", "true");
  const loading = window.htmx.ajax("GET", row.dataset.peek, { source: panel, target: place, swap: "innerHTML" });
  loading.catch(() => {}); /* Replaced by the next one, or failed, which the events below tell. */
}

function close() {
  const had = panel.contains(document.activeElement);
  row?.classList.remove("chosen");
  const link = row && linkOf(row);
  row = null;
  panel.hidden = true;
  place.replaceChildren();
  if (had) link?.focus();
}

const toggle = (next) => (next === row ? close() : open(next));

panel.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!row) detail.shouldSwap = false; /* Closed meanwhile. */
});
panel.addEventListener("htmx:afterSwap", () => {
  panel.removeAttribute("aria-busy");
  panel.scrollTop = 0;
});
for (const failure of ["htmx:responseError", "htmx:sendError"]) {
  panel.addEventListener(failure, () => {
    panel.removeAttribute("aria-busy");
    place.textContent = "The server did not respond.";
  });
}
panel.querySelector("[data-peek-close]").addEventListener("click", () => {
  const link = linkOf(row);
  close();
  link.focus();
});
isWide.addEventListener("change", () => isWide.matches || close());

document.addEventListener("focusin", ({ target }) => {
  const next = target.closest("tr[data-peek]");
  if (row && next) open(next);
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const here = event.target.closest?.("tr[data-peek]");
  const isInside = panel.contains(event.target);
  if (event.key === " " && here && isWide.matches && event.target.matches("a")) {
    event.preventDefault();
    toggle(here);
  } else if (!row) {
    return;
  } else if (event.key === "Escape" && !event.target.closest?.("dialog, [data-menu][open], input, select")) {
    event.preventDefault();
    close();
  } else if (event.key === "Tab" && !event.shiftKey && here === row && event.target === linkOf(row)) {
    event.preventDefault();
    panel.querySelector("[data-peek-close]").focus();
  } else if (event.key === "Tab" && event.shiftKey && isInside && event.target.matches("[data-peek-close]")) {
    event.preventDefault();
    linkOf(row).focus();
  }
});

/* One control for all rows: it lies over the end of the row's words. */
const control = document.getElementById("peek-open");
let pointedRow = null;
document.addEventListener("pointerover", ({ target, pointerType }) => {
  if (pointerType === "touch" || target.closest?.("#peek-open")) return;
  pointedRow = isWide.matches ? target.closest?.("tr[data-peek]") : null;
  control.hidden = !pointedRow;
  if (!pointedRow) return;
  const cell = pointedRow.querySelector("th").getBoundingClientRect();
  layOver(control, pointedRow.closest(".table-scroll"), cell, () => cell.right);
});
control.addEventListener("click", () => pointedRow && toggle(pointedRow));

/* What still runs is fetched again with the list, unless somebody reads on in the panel. */
document.getElementById("executions").addEventListener("refresh", () => {
  if (row && !panel.contains(document.activeElement) && place.querySelector(".peek-head .tone-run, .peek-head .tone-wait, .peek-head .tone-idle")) load();
});
