/* Rows are links. <tr data-row> holds one a.row-link; a click anywhere in the row follows it.
   j and k move the focus between rows; Enter follows the link natively. A table that need not scroll is no tab stop. */

const rowLink = (row) => row.querySelector("a.row-link") ?? row.querySelector("th a, td a");

function follow(event) {
  const row = event.target.closest("tr[data-row]");
  if (!row || event.target.closest("a, button, input, select, label, summary, details")) return;
  if (String(getSelection()) !== "") return;
  const link = rowLink(row);
  if (!link) return;
  if (event.button === 1 || event.ctrlKey || event.metaKey) open(link.href, "_blank", "noopener");
  else if (event.button === 0) link.click();
}

document.addEventListener("click", follow);
document.addEventListener("auxclick", follow);

document.addEventListener("shortcut", (event) => {
  const step = { j: 1, k: -1 }[event.detail];
  if (!step) return;
  const rows = [...document.querySelectorAll("tr[data-row]")].filter((row) => row.offsetParent && rowLink(row));
  if (!rows.length) return;
  const here = rows.indexOf(document.activeElement?.closest("tr[data-row]"));
  const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(here + step, 0), rows.length - 1);
  const link = rowLink(rows[next]);
  link.focus();
  link.scrollIntoView({ block: "nearest" });
});

const scrolling = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
const watch = (root) => root.querySelectorAll(".table-scroll").forEach((region) => scrolling.observe(region));
watch(document);
document.addEventListener("htmx:load", (event) => watch(event.target));
