/* One tooltip for the page. It stays while the pointer is over it, and Escape dismisses it (WCAG 1.4.13).
   The anchor's label has the same content, so the tooltip is hidden from screen readers. */

let box;
let timer;

function element() {
  if (!box) {
    box = document.createElement("div");
    box.className = "tooltip";
    box.setAttribute("aria-hidden", "true");
    box.hidden = true;
    box.addEventListener("pointerenter", () => clearTimeout(timer));
    box.addEventListener("pointerleave", hideTooltip);
    document.body.append(box);
  }
  return box;
}

export function showTooltip(anchor, title, lines) {
  clearTimeout(timer);
  const tip = element();
  const heading = document.createElement("strong");
  heading.textContent = title;
  tip.replaceChildren(heading, ...lines.map((text) => Object.assign(document.createElement("div"), { textContent: text })));
  tip.hidden = false;
  const at = anchor.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const left = Math.min(Math.max(at.left + at.width / 2 - size.width / 2, 8), innerWidth - size.width - 8);
  const above = at.top - size.height - 4;
  tip.style.translate = `${Math.round(left)}px ${Math.round(above > 4 ? above : at.bottom + 4)}px`;
}

export function hideTooltip() {
  clearTimeout(timer);
  timer = setTimeout(() => (element().hidden = true), 120);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && box) box.hidden = true;
});
addEventListener("scroll", () => box && (box.hidden = true), { passive: true, capture: true });
