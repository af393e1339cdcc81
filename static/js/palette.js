/* The command palette: Ctrl+K (⌘K on a Mac) or data-palette opens it. A combobox keeps the focus and names the active
   option of its listbox; the rows are links, which the server finds. What was opened last is kept in this browser, for
   each person and organization. */

const dialog = document.getElementById("palette");
const isMac = /Mac|iP(hone|ad|od)/.test(navigator.platform);
const MAX_RECENT = 5;

if (dialog) {
  const field = dialog.querySelector("[role=combobox]");
  const list = dialog.querySelector("[role=listbox]");
  const note = dialog.querySelector("[role=status]");
  let asked = null; /* The request under way. */
  let timer = 0;
  let isChosen = false; /* Enter was pressed before the rows for the typed text had come. */

  for (const kbd of document.querySelectorAll("[data-palette-key]")) kbd.textContent = isMac ? "⌘ K" : "Ctrl K";

  const rows = () => [...list.children];
  const active = () => list.querySelector("[aria-selected=true]");

  const activate = (row) => {
    active()?.setAttribute("aria-selected", "false");
    row?.setAttribute("aria-selected", "true");
    row?.scrollIntoView({ block: "nearest" });
    if (row) field.setAttribute("aria-activedescendant", row.id);
    else field.removeAttribute("aria-activedescendant");
  };

  const show = (found) => {
    list.replaceChildren(...found);
    rows().forEach((row, index) => (row.id = `palette-row-${index}`));
    field.setAttribute("aria-expanded", String(found.length > 0));
    activate(list.firstElementChild);
    note.textContent = found.length ? `${found.length} ${found.length === 1 ? "result" : "results"}` : "Nothing found";
  };

  const search = async () => {
    asked?.abort();
    const request = (asked = new AbortController());
    const text = field.value.trim();
    try {
      const answer = await fetch(`${dialog.dataset.url}?${new URLSearchParams(text ? { q: text } : {})}`, {
        headers: { Accept: "text/html" },
        signal: request.signal,
      });
      if (answer.redirected || !answer.ok) throw new Error(answer.status);
      const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelectorAll("[role=option]");
      if (request !== asked) return;
      asked = null;
      show([...(text ? [] : recent().map(rowOf)), ...found].filter(isFirst));
      if (isChosen) active()?.click();
    } catch {
      if (request !== asked) return;
      asked = null;
      show([]);
      note.textContent = "The server did not respond. Reload the page and try again.";
    }
    isChosen = false;
  };

  const open = () => {
    document.querySelector("[popover]:popover-open")?.hidePopover();
    field.value = "";
    isChosen = false;
    show([]);
    note.textContent = "";
    dialog.showModal();
    search();
  };

  addEventListener("keydown", (event) => {
    const isChord = (isMac ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey) && !event.altKey;
    if (!isChord || event.shiftKey || event.key.toLowerCase() !== "k" || event.isComposing) return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else if (!document.querySelector("dialog:modal")) open();
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-palette]")) open();
  });

  field.addEventListener("input", () => {
    clearTimeout(timer);
    asked?.abort();
    asked = new AbortController(); /* The rows shown are no longer those of the text. */
    timer = setTimeout(search, 100);
  });

  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      const all = rows();
      if (all.length) activate(all[(all.indexOf(active()) + step + all.length) % all.length]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (asked) isChosen = true;
      else active()?.click();
    }
  });

  list.addEventListener("pointermove", (event) => {
    const row = event.target.closest("[role=option]");
    if (row && row !== active()) activate(row);
  });

  list.addEventListener("click", (event) => {
    const row = event.target.closest("[role=option]");
    if (!row) return;
    remember(row);
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) dialog.close();
  });

  dialog.addEventListener("close", () => {
    clearTimeout(timer);
    asked?.abort();
    asked = null;
  });
}

/* What was opened of late is not shown a second time. */
function isFirst(row, index, all) {
  const key = (each) => `${each.getAttribute("href")} ${each.textContent.trim()}`;
  return all.findIndex((other) => key(other) === key(row)) === index;
}

function recent() {
  try {
    const kept = JSON.parse(localStorage.getItem(dialog.dataset.recent) ?? "[]");
    return kept.filter(({ label, kind, url }) => label && kind && /^\/(?!\/)/.test(url)).slice(0, MAX_RECENT);
  } catch {
    return []; /* Storage is blocked, or holds something else. */
  }
}

function remember(row) {
  const [label, kind] = [...row.children].map((part) => part.textContent);
  const url = row.getAttribute("href");
  try {
    const kept = [{ label, kind, url }, ...recent().filter((other) => other.url !== url || other.label !== label)].slice(0, MAX_RECENT);
    localStorage.setItem(dialog.dataset.recent, JSON.stringify(kept));
  } catch {
    /* Storage is blocked: nothing is kept. */
  }
}

function rowOf({ label, kind, url }) {
  const row = Object.assign(document.createElement("a"), { className: "palette-row", href: url, tabIndex: -1 });
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", "false");
  const [what, which] = [["palette-label", label], ["note", kind]].map(([className, textContent]) =>
    Object.assign(document.createElement("span"), { className, textContent }),
  );
  row.append(what, " ", which);
  return row;
}
