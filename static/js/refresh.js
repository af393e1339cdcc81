/* Auto-refresh. <select data-refresh-every data-refresh-target="id"> sets the interval; the target receives the event
   "refresh" and fetches itself: hx-get="…" hx-trigger="refresh". It pauses in a hidden tab, refreshes once on return,
   and waits while a menu, a dialog or a field in the target is in use. Its shortcut switches it off and on again. */

import { toast } from "./toast.js";

const STORE = "refresh";

for (const select of document.querySelectorAll("[data-refresh-every]")) {
  let last = Date.now();
  try {
    const kept = localStorage.getItem(STORE);
    if ([...select.options].some((option) => option.value === kept)) select.value = kept;
  } catch {
    /* Storage is blocked: keep the default. */
  }
  select.addEventListener("change", () => {
    last = Date.now();
    try {
      localStorage.setItem(STORE, select.value);
    } catch {
      /* Storage is blocked: the choice applies to this page only. */
    }
  });
  let chosen = select.value; /* What the shortcut switches on again. */
  select.addEventListener("shortcut", (event) => {
    event.preventDefault();
    if (select.value !== "0") chosen = select.value;
    select.value = select.value === "0" ? (chosen === "0" ? "30" : chosen) : "0";
    select.dispatchEvent(new Event("change"));
    toast(select.value === "0" ? "No longer live" : `Live: refreshes ${select.selectedOptions[0].text}`);
  });
  const tick = () => {
    const every = Number(select.value) * 1000;
    const target = document.getElementById(select.dataset.refreshTarget);
    if (!every || !target || document.hidden || Date.now() - last < every || occupied(target)) return;
    last = Date.now();
    target.dispatchEvent(new CustomEvent("refresh"));
  };
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
}

function occupied(target) {
  if (document.querySelector("dialog[open]")) return true;
  const active = document.activeElement;
  return Boolean(target.querySelector("[data-menu][open]") || (target.contains(active) && active.matches("input, select, textarea")));
}
