/* A live run. <… data-live data-stream="/outputs/main/…" data-known="12"> listens for events after number 12. On the
   page of the result an event makes the page fetch itself again (live_page.js), so that only the server decides how
   things look; the log appends each line as the server wrote it. The stream pauses in a hidden tab. */

import { ago, duration } from "./words.js";

const page = document.querySelector("[data-stream]");
const log = page.querySelector("[data-log]");
const connection = page.querySelector("[data-connection]");
const KINDS = ["meta", "inputs", "agent", "status", "action", "result", "final", "lock", "lease"];
const LINES = ["stdout", "stderr", "debug", "upload", "error"];
const MOST_LINES = 5000;

let known = Number(page.dataset.known);
let source = null;
let timer = 0;
let ended = false;

function open() {
  if (source || ended || document.hidden) return;
  const url = new URL(page.dataset.stream, location.href);
  url.searchParams.set(log ? "plain" : "raw", "1");
  url.searchParams.set("since", known);
  source = new EventSource(url);
  source.addEventListener("open", () => (connection.hidden = true));
  source.addEventListener("error", (event) => {
    if (isOfRun(event)) return;
    if (connection.hidden) {  // once, not at every attempt
      connection.textContent = `Connection lost at ${new Date().toLocaleTimeString()}. Reconnecting…`;
    }
    connection.hidden = false;
    if (source.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, 5000);
    }
  });
  for (const kind of KINDS) source.addEventListener(kind, (event) => isNew(event) && refresh());
  for (const kind of LINES) {
    source.addEventListener(kind, (event) => {
      if (!isOfRun(event) || !isNew(event)) return;
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

/* "error" has two meanings: what the run reports is a message, a lost connection is none. */
const isOfRun = (event) => event instanceof MessageEvent;

function isNew(event) {
  const number = Number(event.lastEventId);
  if (number <= known) return false;
  known = number;
  const count = page.querySelector("[data-last-sequence]");
  if (count) count.textContent = known.toLocaleString("en");
  markHeard(page.querySelector("[data-heard] time"));
  return true;
}

/* js/time.js counts on from here. */
function markHeard(time) {
  if (!time) return;
  time.dateTime = new Date().toISOString();
  time.dataset.absolute = "more than an hour ago";
  time.textContent = ago(0);
  time.removeAttribute("title");
}

/* Several events at once cause one request. */
function refresh() {
  clearTimeout(timer);
  timer = setTimeout(() => page.dispatchEvent(new CustomEvent("refresh")), 300);
}

function append(kind, event) {
  const colon = event.data.indexOf(":");
  const seconds = Number(event.data.slice(0, colon)) - Number(log.dataset.start);
  const line = document.createElement("div");
  line.className = `log-line log-${kind}`;
  const text = event.data.slice(colon + 1);
  for (const [name, words] of [["time", `+${duration(1000 * seconds)}`], ["kind", kind], ["text", text]]) {
    line.append(Object.assign(document.createElement("span"), { className: `log-${name}`, textContent: words }));
  }
  log.append(line);
  while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
  if (page.querySelector("[data-log-follow]").checked) log.scrollTop = log.scrollHeight;
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
  /* Scrolling up stops following, scrolling to the end resumes it. New lines below count as neither. */
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
