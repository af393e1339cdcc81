/* A live run. <… data-live data-streams="/outputs/main/… /outputs/stdio/…" data-known="12"> listens for events after
   number 12. What the run does makes the page fetch itself again (live_page.js), so that only the server decides how
   things look; a line that it writes is told to the log (run_log.js) as the event "logline", as the server wrote it.
   The streams pause in a hidden tab. */

import { ago, duration } from "./words.js";

const page = document.querySelector("[data-streams]");
const connection = page.querySelector("[data-connection]");
const KINDS = ["meta", "inputs", "agent", "status", "action", "result", "final", "lock", "lease"];
const LINES = ["stdout", "stderr", "debug", "upload", "error"];

let timer = 0;

/* "error" has two meanings: what the run reports is a message, a lost connection is none. */
const isOfRun = (event) => event instanceof MessageEvent;

class Stream {
  constructor(address) {
    this.address = address;
    this.writesLines = address.includes("/stdio/");
    this.known = Number(page.dataset.known);
    this.source = null;
    this.hasEnded = false;
  }

  open() {
    if (this.source || this.hasEnded || document.hidden) return;
    const url = new URL(this.address, location.href);
    url.searchParams.set(this.writesLines ? "plain" : "raw", "1");
    url.searchParams.set("since", this.known);
    const source = (this.source = new EventSource(url));
    source.addEventListener("open", () => (connection.hidden = true));
    source.addEventListener("error", (event) => isOfRun(event) || this.lose());
    if (this.writesLines) {
      for (const kind of LINES) source.addEventListener(kind, (event) => isOfRun(event) && this.take(kind, event));
    } else {
      for (const kind of [...KINDS, "error"]) {
        source.addEventListener(kind, (event) => isOfRun(event) && this.isNew(event) && refresh());
      }
    }
    source.addEventListener("eof", () => {
      this.hasEnded = true;
      this.close();
      refresh();
      page.dispatchEvent(new CustomEvent("logend"));
    });
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  lose() {
    if (connection.hidden) {  // once, not at every attempt
      connection.textContent = `Connection lost at ${new Date().toLocaleTimeString()}. Reconnecting…`;
    }
    connection.hidden = false;
    if (this.source?.readyState === EventSource.CLOSED) {
      this.close();
      setTimeout(() => this.open(), 5000);
    }
  }

  take(kind, event) {
    if (!this.isNew(event)) return;
    const colon = event.data.indexOf(":");
    const line = { kind, number: this.known, seconds: Number(event.data.slice(0, colon)), text: event.data.slice(colon + 1) };
    for (const last of page.querySelectorAll("[data-last-line]")) last.textContent = line.text.slice(0, 300);
    page.dispatchEvent(new CustomEvent("logline", { detail: line }));
    if (kind === "error") refresh();
  }

  isNew(event) {
    const number = Number(event.lastEventId);
    if (number <= this.known) return false;
    this.known = number;
    count(number);
    markHeard(page.querySelector("[data-heard] time"));
    return true;
  }
}

function count(number) {
  const shown = page.querySelector("[data-last-sequence]");
  if (shown && number > Number(shown.textContent.replaceAll(",", ""))) shown.textContent = number.toLocaleString("en");
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

setInterval(() => {
  if (document.hidden) return;
  for (const elapsed of page.querySelectorAll("[data-elapsed-since]")) {
    elapsed.textContent = duration(Date.now() - 1000 * elapsed.dataset.elapsedSince);
  }
}, 1000);

const streams = page.dataset.streams.trim().split(/\s+/).map((address) => new Stream(address));
document.addEventListener("visibilitychange", () => {
  for (const stream of streams) document.hidden ? stream.close() : stream.open();
  if (!document.hidden) refresh();
});
for (const stream of streams) stream.open();
