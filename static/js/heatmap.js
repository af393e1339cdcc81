/* Heatmaps are tables. This adds one tab stop with arrow keys, and reads the cell under the pointer or the focus:
   its row and column are highlighted and its label replaces the summary. A tooltip would cover neighbouring cells. */

function start(card) {
  if (card.dataset.started) return;
  card.dataset.started = "true";
  const table = card.querySelector("table");
  const reading = card.querySelector("[data-heat-reading]");
  const rows = [...table.tBodies[0].rows];
  const cells = rows.map((row) => [...row.querySelectorAll(".heat")]);
  const hours = [...table.tHead.rows[0].querySelectorAll("th")];

  for (const row of cells) {
    for (const cell of row) {
      cell.tabIndex = -1;
      if (!cell.href) {
        cell.setAttribute("role", "img");
        cell.setAttribute("aria-label", cell.dataset.label);
      }
    }
  }
  let busiest = [0, 0];
  cells.forEach((row, y) =>
    row.forEach((cell, x) => {
      const value = (node) => Number(node.textContent.replace(/\D/g, ""));
      if (value(cell) > value(cells[busiest[0]][busiest[1]])) busiest = [y, x];
    }),
  );
  if (cells[busiest[0]]?.[busiest[1]]) cells[busiest[0]][busiest[1]].tabIndex = 0;
  const find = (cell) => {
    const y = cells.findIndex((row) => row.includes(cell));
    return [y, cells[y]?.indexOf(cell) ?? -1];
  };
  const light = (cell) => {
    table.querySelectorAll(".here").forEach((head) => head.classList.remove("here"));
    card.classList.toggle("reading", Boolean(cell));
    reading.textContent = cell?.getAttribute("aria-label") ?? "";
    if (!cell) return;
    const [y, x] = find(cell);
    rows[y].cells[0].classList.add("here");
    hours[x]?.classList.add("here");
  };

  table.addEventListener("pointerover", (event) => light(event.target.closest(".heat") ?? focused()));
  table.addEventListener("pointerleave", () => light(focused()));
  table.addEventListener("focusin", (event) => light(event.target.closest(".heat")));
  table.addEventListener("focusout", () => light(null));
  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest(".heat");
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!cell || event.altKey || event.ctrlKey || event.metaKey) return;
    const [y, x] = find(cell);
    let next;
    if (move) next = cells[y + move[0]]?.[x + move[1]];
    else if (event.key === "Home") next = cells[y][0];
    else if (event.key === "End") next = cells[y].at(-1);
    else return;
    event.preventDefault();
    if (!next) return;
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  function focused() {
    return table.contains(document.activeElement) ? document.activeElement.closest(".heat") : null;
  }
}

const all = (root) => {
  if (root.matches?.("[data-heatmap]")) start(root);
  root.querySelectorAll("[data-heatmap]").forEach(start);
};
all(document);
document.addEventListener("htmx:load", (event) => all(event.target));
