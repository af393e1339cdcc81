/* A run while it lasts. <… data-live data-stream="/outputs/main/…" data-known="12"> listens to what comes after event
   12. On the page of the result an event makes the page fetch itself anew (live_page.js), so that the server alone
   decides how things look; the log appends each line as text. The stream rests in a hidden tab. */

import { duration } from "./words.js";

const page = document.querySelector("[data-stream]");
const log = page.querySelector("[data-log]");
const connection = page.querySelector("[data-connection]");
const KINDS = ["meta", "inputs", "agent", "status", "action", "result", "final", "lock", "lease", "upload"];
const LINES = ["stdout", "stderr", "debug", "error"];
const PRINTED = ["stdout", "stderr"];
const MOST_LINES = 5000;
const LONGEST_LINE = 4000; /* As on the page that the server makes. */
/* What the server takes out or replaces as well: escape sequences of terminals (ECMA-48), control characters. */
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~]?)/g;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]/gu;

let known = Number(page.dataset.known);
let source = null;
let timer = 0;
let ended = false;

function open() {
  if (source || ended || document.hidden) return;
  const url = new URL(page.dataset.stream, location.href);
  if (!log) url.searchParams.set("raw", "1");
  url.searchParams.set("since", known);
  source = new EventSource(url);
  source.addEventListener("open", () => (connection.hidden = true));
  source.addEventListener("error", () => {
    connection.textContent = `The connection was lost. Trying again; last heard at ${new Date().toLocaleTimeString()}.`;
    connection.hidden = false;
    if (source.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, 5000);
    }
  });
  for (const kind of KINDS) source.addEventListener(kind, (event) => isNew(event) && refresh());
  for (const kind of LINES) {
    source.addEventListener(kind, (event) => {
      if (!isNew(event)) return;
      if (log) append(kind, event);
      if (!log || kind === "error") refresh();
    });
  }
  source.addEventListener("eof", () => {
    ended = true;
    close();
    refresh();
    page.querySelector("[data-log-waiting]")?.remove();
  });
}

function close() {
  source?.close();
  source = null;
}

function isNew(event) {
  const number = Number(event.lastEventId);
  if (number <= known) return false;
  known = number;
  const count = page.querySelector("[data-last-sequence]");
  if (count) count.textContent = known.toLocaleString("en");
  return true;
}

/* Several events at once ask once. */
function refresh() {
  clearTimeout(timer);
  timer = setTimeout(() => page.dispatchEvent(new CustomEvent("refresh")), 300);
}

function append(kind, event) {
  const colon = event.data.indexOf(":");
  const seconds = Number(event.data.slice(0, colon)) - Number(log.dataset.start);
  const line = document.createElement("div");
  line.className = `log-line log-${kind}`;
  const all = PRINTED.includes(kind) ? words(event.data.slice(colon + 1)) : event.data.slice(colon + 1);
  const shown = all.slice(0, LONGEST_LINE).replace(ESCAPES, "").replace(CONTROL, "\ufffd");
  const text = shown + (all.length > LONGEST_LINE ? " …" : "");
  for (const [name, words] of [["time", `+${duration(1000 * seconds)}`], ["kind", kind], ["text", text]]) {
    line.append(Object.assign(document.createElement("span"), { className: `log-${name}`, textContent: words }));
  }
  log.append(line);
  while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
  if (page.querySelector("[data-log-follow]").checked) log.scrollTop = log.scrollHeight;
}

/* The server has made HTML of it: the colours of a terminal, and of each line its last state. */
function words(html) {
  return new DOMParser().parseFromString(`<pre>\n${html}</pre>`, "text/html").body.textContent;
}

setInterval(() => {
  const elapsed = page.querySelector("[data-elapsed-since]");
  if (elapsed && !document.hidden) elapsed.textContent = duration(Date.now() - 1000 * elapsed.dataset.elapsedSince);
}, 1000);

if (log) {
  const follow = page.querySelector("[data-log-follow]");
  const jump = () => follow.checked && (log.scrollTop = log.scrollHeight);
  jump();
  follow.addEventListener("change", jump);
  /* Scrolling up stops following, scrolling to the end takes it up again. New lines below are neither. */
  let before = log.scrollTop;
  log.addEventListener("scroll", () => {
    if (log.scrollHeight - log.scrollTop - log.clientHeight < 24) follow.checked = true;
    else if (log.scrollTop < before) follow.checked = false;
    before = log.scrollTop;
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) close();
  else {
    open();
    refresh();
  }
});
open();
