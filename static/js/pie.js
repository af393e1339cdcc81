/* Highlights the slice and the row of a pie that belong together when either has the pointer or the focus. */

const point = (event, isOn) => {
  const part = event.target.closest?.(".pie-card [data-slice]");
  if (!part) return;
  for (const each of part.closest(".pie-card").querySelectorAll(`[data-slice="${part.dataset.slice}"]`)) {
    each.classList.toggle("pointed", isOn);
  }
};

for (const [come, go] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
  document.addEventListener(come, (event) => point(event, true));
  document.addEventListener(go, (event) => point(event, false));
}
