/* Single-key shortcuts: / search, g then a letter goes to a page, ? the help sheet. A control names its key with
   aria-keyshortcuts: the key opens it if it is a menu, and clicks it otherwise. Before that it gets the event
   "shortcut", whose detail is the key, and which other modules (table.js, refresh.js) take over or hear on document.
   Off in fields, in dialogs and in open menus, and completely when switched off in the help sheet (WCAG 2.1.4). */

const STORE = "shortcuts";
const enabled = () => {
  try {
    return localStorage.getItem(STORE) !== "off";
  } catch {
    return true;
  }
};

/* The letter is data-key, otherwise the first letter of the label that is not taken yet. */
const pages = new Map();
for (const link of document.querySelectorAll(".nav a")) {
  const label = link.firstChild.textContent.trim();
  const letters = (link.dataset.key ?? label.toLowerCase()).replace(/[^a-z]/g, "");
  const key = [...letters].find((letter) => !pages.has(letter));
  if (key) pages.set(key, { url: link.href, label });
}

const WORDS = {
  f: "Filter",
  "[": "Earlier period",
  "]": "Later period",
  x: "Compare with the period before",
  r: "Refresh",
  l: "Live on or off",
};
/* Found anew for each key: pages refresh themselves. */
const controlFor = (key) =>
  [...document.querySelectorAll("[aria-keyshortcuts]")].find(
    (each) => each.getAttribute("aria-keyshortcuts").toLowerCase() === key && (each.checkVisibility() || each.closest("[data-menu]")),
  );

const list = document.querySelector("[data-shortcut-list]");
const tell = (names, label) => {
  const keys = document.createElement("dt");
  for (const name of names) keys.append(Object.assign(document.createElement("kbd"), { textContent: name }));
  list?.append(keys, Object.assign(document.createElement("dd"), { textContent: label }));
};
for (const [key, label] of Object.entries(WORDS)) if (controlFor(key)) tell([key], label);
for (const [key, page] of pages) tell(["g", key], page.label);

function use(control) {
  if (!control.matches("summary")) return control.click();
  control.parentElement.open = true;
  control.parentElement.querySelector("input:not([type=hidden]), select, textarea, a, button, summary ~ * summary")?.focus();
}

const box = document.querySelector("[data-shortcuts-on]");
if (box) {
  box.checked = enabled();
  box.addEventListener("change", () => {
    try {
      if (box.checked) localStorage.removeItem(STORE);
      else localStorage.setItem(STORE, "off");
    } catch {
      box.checked = true;
    }
  });
}

/* Escape leaves the search, which shows again what the list is filtered by, or the row: other keys work again. An open
   peek is closed first. */
document.addEventListener("keydown", (event) => {
  const active = event.target;
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector(".peek:not([hidden])")) return;
  if (active.closest?.("[data-log-panel]")) return; /* The browser clears its search, which shows all lines again. */
  if (active.matches?.("[data-search]")) active.value = active.defaultValue;
  else if (!active.closest?.("tr[data-row]")) return;
  event.preventDefault();
  active.blur();
});

let going = -Infinity; /* When g was pressed. */

document.addEventListener("keydown", (event) => {
  /* AltGr types [ and ] on many keyboards, and counts as Ctrl and Alt on Windows. */
  const isChord = (event.ctrlKey || event.altKey) && !event.getModifierState("AltGraph");
  if (isChord || event.metaKey || event.isComposing || !enabled()) return;
  if (event.target.closest?.("input, select, textarea, [contenteditable], dialog, [data-menu][open]")) return;
  if (document.querySelector("dialog:modal")) return;
  if (event.timeStamp - going < 1500) {
    going = -Infinity;
    const page = pages.get(event.key);
    if (page) {
      event.preventDefault();
      location.assign(page.url);
      return;
    }
  }
  if (event.key === "g") {
    going = event.timeStamp;
  } else if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "?") {
    event.preventDefault();
    document.getElementById("shortcuts")?.showModal();
  } else if (event.key.length === 1) {
    const key = event.key.toLowerCase(); /* Caps Lock, too. */
    const control = controlFor(key);
    if (control) event.preventDefault();
    const pressed = new CustomEvent("shortcut", { detail: key, bubbles: true, cancelable: true });
    if ((control ?? document).dispatchEvent(pressed) && control) use(control);
  }
});
