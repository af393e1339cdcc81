/* A page that updates itself without moving. <… data-live data-seen="1795…" data-parts="css selectors"> receives the
   event "refresh" (from refresh.js, or every data-every="5" seconds unless the tab is hidden or a menu or dialog is
   open), fetches its own URL and applies what changed: the parts as a whole, rows with data-key cell by cell. No row is
   added, removed or moved under a pointer: the server only counts what is newer than data-seen, and a row that is
   missing from the response is dimmed. A <details id="…"> in a part stays open. */

import { documentOf, isComing, renew } from "./output_frame.js";
import { toast } from "./toast.js";

for (const page of document.querySelectorAll("[data-live]")) {
  let isFetching = false;
  let isWanted = false; /* Also by a refresh that comes during a fetch, and may tell of something later. */
  let isAsked = false; /* By the shortcut. */
  page.addEventListener("shortcut", (event) => {
    if (event.target !== page) return;
    event.preventDefault();
    isAsked = true;
    page.dispatchEvent(new CustomEvent("refresh"));
  });
  if (page.dataset.every) {
    let last = Date.now();
    const tick = () => {
      if (document.hidden || isOccupied() || Date.now() - last < 1000 * page.dataset.every) return;
      last = Date.now();
      page.dispatchEvent(new CustomEvent("refresh"));
    };
    setInterval(tick, 1000);
    document.addEventListener("visibilitychange", tick);
  }
  page.addEventListener("refresh", async () => {
    isWanted = true;
    if (isFetching) return;
    isFetching = true;
    while (isWanted) {
      isWanted = false;
      try {
        const fresh = await fetchAgain(page);
        follow(fresh);
        take(page, fresh.getElementById(page.id));
        if (isAsked) toast("Refreshed");
        isAsked = false;
      } catch {
        toast("The server did not respond. This page may be out of date.", { seconds: 8 });
      }
    }
    isFetching = false;
  });
}

function isOccupied() {
  return Boolean(document.querySelector("dialog[open], [data-menu][open], [popover]:popover-open"));
}

async function fetchAgain(page) {
  const url = new URL(location.href);
  url.searchParams.set("seen", page.dataset.seen);
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  if (answer.redirected || !answer.ok) throw new Error(answer.status);
  const text = await answer.text();
  return new DOMParser().parseFromString(text, "text/html");
}

/* The tab's title and icon, and the counts beside the names of pages, show the current state. */
function follow(fresh) {
  if (document.title !== fresh.title) document.title = fresh.title;
  const [old, next] = [document, fresh].map((each) => each.querySelector("link[rel=icon]"));
  if (next && old.getAttribute("href") !== next.getAttribute("href")) old.replaceWith(document.importNode(next));
  for (const link of document.querySelectorAll(".nav a")) {
    const [shown, now] = [link, fresh.querySelector(`.nav a[href="${link.getAttribute("href")}"]`)].map(
      (each) => each?.querySelector(".nav-count"),
    );
    if (shown && now) shown.textContent = now.textContent;
    else if (now) link.append(" ", document.importNode(now, true));
    else shown?.remove();
  }
}

function take(page, fresh) {
  if (!fresh) return page.dataset.every && location.reload(); /* The awaited event has happened. */
  const old = [...page.querySelectorAll(page.dataset.parts)];
  const parts = [...fresh.querySelectorAll(page.dataset.parts)];
  /* The first run was added or the last one removed: the page's structure is different now. */
  if (old.length !== parts.length) return location.reload();
  old.forEach((part, index) => (isInUse(part) ? refreshAfterUse(page, part) : swap(part, parts[index])));
  const rows = new Map([...fresh.querySelectorAll("[data-key]")].map((row) => [row.dataset.key, row]));
  for (const row of page.querySelectorAll("[data-key]")) {
    const next = rows.get(row.dataset.key);
    row.classList.toggle("gone", !next);
    if (next?.cells?.length === row.cells?.length) {
      [...row.cells].forEach((cell, index) => (isInUse(cell) ? refreshAfterUse(page, cell) : swap(cell, next.cells[index])));
    }
  }
}

/* A finger that tapped leaves its :hover behind, and no event when that ends. */
const pointer = matchMedia("(hover: hover)");
const isInUse = (part) =>
  part.contains(document.activeElement) || (pointer.matches && part.matches("[data-part]:hover"));
const inUse = new WeakSet();

/* No later event may come: the run may have ended. */
function refreshAfterUse(page, part) {
  if (inUse.has(part)) return;
  inUse.add(part);
  const left = new AbortController();
  const refresh = () => {
    left.abort();
    inUse.delete(part);
    page.dispatchEvent(new CustomEvent("refresh"));
  };
  for (const name of ["pointerleave", "focusout"]) part.addEventListener(name, refresh, { signal: left.signal });
}

function swap(old, fresh) {
  if (old.innerHTML !== fresh.innerHTML) exchange(old, fresh);
}

/* Around a frame only what differs is replaced: a frame that is detached loads again. */
function exchange(old, fresh) {
  const isFrame = old.localName === "iframe" && fresh.localName === "iframe";
  if (isFrame) return documentOf(old) === documentOf(fresh) || renew(old, documentOf(fresh));
  if (old.localName !== fresh.localName || !old.querySelector("iframe") || !fresh.querySelector("iframe")) {
    return old.outerHTML === fresh.outerHTML || replace(old, fresh);
  }
  const places = [...old.children].filter((child) => !isComing(child));
  places.splice(fresh.children.length).forEach((child) => child.remove());
  [...fresh.children].forEach((child, index) => {
    exchange(places[index] ?? old.appendChild(document.createElement(child.localName)), child);
  });
}

function replace(old, fresh) {
  const next = document.importNode(fresh, true);
  const table = old.querySelector(".as-table");
  if (table) next.querySelector(`#${CSS.escape(table.id)}`)?.classList.add("as-table");
  for (const { id } of old.querySelectorAll("details[id][open]")) {
    next.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  }
  old.replaceWith(next);
  window.htmx?.process(next);
  next.dispatchEvent(new CustomEvent("htmx:load", { bubbles: true }));
}
