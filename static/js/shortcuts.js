/* Single-key shortcuts: / search, g then a letter goes to a page, ? the help sheet. Other modules (table.js)
   listen to the event "shortcut" on document, whose detail is the key. Off in fields, in dialogs and in open
   menus, and completely when switched off in the help sheet (WCAG 2.1.4). */

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

const list = document.querySelector("[data-shortcut-list]");
for (const [key, page] of pages) {
  const keys = document.createElement("dt");
  for (const name of ["g", key]) keys.append(Object.assign(document.createElement("kbd"), { textContent: name }));
  list?.append(keys, Object.assign(document.createElement("dd"), { textContent: page.label }));
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

let going = 0;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !enabled()) return;
  if (event.target.closest?.("input, select, textarea, [contenteditable], dialog, [data-menu][open]")) return;
  if (event.timeStamp - going < 1500) {
    going = 0;
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
    document.dispatchEvent(new CustomEvent("shortcut", { detail: event.key }));
  }
});
