/* The log of a run: search, follow, jump to the error, links to lines. On the run's page it is a drawer that fetches the
   log's own page when it is opened first; lines that come later are told by live_run.js as "logline". */

import { duration } from "./words.js";

const page = document.getElementById("execution");
const drawer = page.querySelector("[data-log-drawer]");
const MOST_LINES = 5000;
const early = []; /* Lines that came before the drawer was opened. */

let log = null;
let panel = null;
const part = (name) => panel?.querySelector(`[data-log-${name}]`);

page.addEventListener("logline", ({ detail }) => (log ? append(detail) : early.push(detail) > MOST_LINES && early.shift()));
page.addEventListener("logend", () => part("waiting")?.remove());

function start(found) {
  panel = found;
  log = panel.querySelector("[data-log]");
  if (!log) return;
  const follow = part("follow");
  follow?.addEventListener("change", toEnd);
  /* Scrolling up stops following, scrolling to the end resumes it. New lines below count as neither. */
  let before = log.scrollTop;
  log.addEventListener("scroll", () => {
    if (follow && log.scrollHeight - log.scrollTop - log.clientHeight < 24) follow.checked = true;
    else if (follow && log.scrollTop < before) follow.checked = false;
    before = log.scrollTop;
  });
  part("search").addEventListener("input", find);
  part("jump").addEventListener("click", jump);
  log.addEventListener("click", link);
  log.addEventListener("keydown", walk);
  const named = location.hash.startsWith("#line-") ? document.getElementById(location.hash.slice(1)) : null;
  if (named) {
    if (follow) follow.checked = false;
    named.scrollIntoView({ block: "center" });
  } else log.scrollTop = log.scrollHeight;
  update(named?.querySelector("a") ?? log.lastElementChild?.querySelector("a"));
}

/* One link of the log is a tab stop, the arrow keys lead to the others. */
function update(stop) {
  if (stop) {
    log.querySelector("a[tabindex='0']")?.setAttribute("tabindex", "-1");
    stop.tabIndex = 0;
  }
  part("jump").hidden = !troubles().length;
}

const troubles = () => {
  const errors = log.querySelectorAll(".log-error:not([hidden])");
  return [...(errors.length ? errors : log.querySelectorAll(".log-stderr:not([hidden])"))];
};

function toEnd() {
  if (part("follow")?.checked) log.scrollTop = log.scrollHeight;
}

const lastNumber = () => Number(log.lastElementChild?.id.slice("line-".length) ?? 0);

function append({ kind, number, seconds, text }) {
  if (number <= lastNumber()) return; /* The panel was fetched after this line had come. */
  const line = Object.assign(document.createElement("div"), { className: `log-line log-${kind}`, id: `line-${number}` });
  const time = Object.assign(document.createElement("a"), {
    className: "log-time",
    href: `${log.dataset.logUrl}?line=${number}#line-${number}`,
    textContent: `+${duration(1000 * (seconds - Number(log.dataset.start)))}`,
    tabIndex: -1,
  });
  line.append(time);
  for (const [name, words] of [["kind", kind], ["text", text]]) {
    line.append(Object.assign(document.createElement("span"), { className: `log-${name}`, textContent: words }));
  }
  line.hidden = !isFound(line, wanted());
  log.append(line);
  while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
  if (kind === "error" || kind === "stderr") update();
  toEnd();
}

const wanted = () => part("search").value.trim().toLowerCase();
const isFound = (line, words) => !words || line.textContent.toLowerCase().includes(words);

function find() {
  const words = wanted();
  const lines = [...log.children];
  for (const line of lines) line.hidden = !isFound(line, words);
  const shown = lines.filter((line) => !line.hidden).length;
  part("found").textContent = words ? `${shown.toLocaleString("en")} of ${lines.length.toLocaleString("en")} lines` : "";
  update();
  toEnd();
}

/* The last error, then with every further click the one before. */
function jump() {
  const places = troubles();
  const here = places.findIndex((line) => line.classList.contains("is-linked"));
  mark(places.at(here > 0 ? here - 1 : -1));
}

function mark(line) {
  log.querySelector(".is-linked")?.classList.remove("is-linked");
  line.classList.add("is-linked");
  const follow = part("follow");
  if (follow) follow.checked = false;
  line.scrollIntoView({ block: "center" });
  const anchor = line.querySelector("a");
  update(anchor);
  anchor.focus({ preventScroll: true });
}

/* copy.js does the rest. */
function link(event) {
  const anchor = event.target.closest("a.log-time");
  if (!anchor || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  anchor.dataset.copy = anchor.href;
  if (!drawer) history.replaceState(history.state, "", anchor.href);
  mark(anchor.parentElement);
}

function walk(event) {
  const line = event.target.closest(".log-line");
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (!line || !step || event.altKey || event.ctrlKey || event.metaKey) return;
  let next = line[step];
  while (next?.hidden) next = next[step];
  if (!next) return;
  event.preventDefault();
  const anchor = next.querySelector("a");
  update(anchor);
  anchor.focus();
}

/* The drawer. Its state is in the address: #log. */
let fetching = null;

async function toggle(isOpen) {
  if (isOpen && !panel) {
    try {
      await (fetching ??= fetchPanel());
    } catch {
      return location.assign(drawer.dataset.logDrawer);
    }
  }
  const body = drawer.querySelector(".log-drawer-body");
  body.hidden = !isOpen;
  drawer.classList.toggle("is-open", isOpen);
  const button = drawer.querySelector("button[data-opens-log]");
  button.setAttribute("aria-expanded", isOpen);
  button.textContent = isOpen ? "Close" : "Open";
  if (isOpen && !panel) {
    start(body.firstElementChild);
    for (const line of early.splice(0)) if (log) append(line);
  } else if (isOpen && log) toEnd();
  history.replaceState(history.state, "", isOpen ? "#log" : location.pathname + location.search);
}

async function fetchPanel() {
  const answer = await fetch(drawer.dataset.logDrawer, { headers: { Accept: "text/html" } });
  if (answer.redirected || !answer.ok) throw new Error(answer.status);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-log-panel]");
  drawer.querySelector(".log-drawer-body").replaceChildren(document.importNode(fresh, true));
}

if (drawer) {
  page.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens-log]");
    if (!opener || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    toggle(opener.localName === "a" || !drawer.classList.contains("is-open"));
  });
  drawer.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !drawer.classList.contains("is-open") || event.target.value) return;
    toggle(false);
    drawer.querySelector("button[data-opens-log]").focus();
  });
  if (location.hash === "#log") toggle(true);
} else if (page.querySelector("[data-log-panel]")) start(page.querySelector("[data-log-panel]"));

/* [ and ] lead to the previous and the next run of the agent. */
document.addEventListener("shortcut", (event) => {
  const relation = { "[": "prev", "]": "next" }[event.detail];
  if (relation) page.querySelector(`.page-actions a[rel=${relation}]`)?.click();
});
