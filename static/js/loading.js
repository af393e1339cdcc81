/* While a part is fetched again its old content stays, dimmed. After 3 s the page says how long it has taken,
   and offers to stop. A form is sent once: its button is busy until the response arrives. */

import { quiet, toast } from "./toast.js";

const waiting = new Map();
const stopped = new Set();

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, target, xhr } = event.detail;
  target?.setAttribute("aria-busy", "true");
  const since = Date.now();
  const stop = () => {
    stopped.add(xhr);
    window.htmx.trigger(elt, "htmx:abort");
  };
  const timer = setInterval(() => {
    const seconds = Math.round((Date.now() - since) / 1000);
    if (seconds < 3) return;
    toast(`Still loading, ${seconds} s`, {
      seconds: 0,
      action: { label: "Stop", run: stop },
    });
  }, 1000);
  waiting.set(xhr, { target, timer });
});

document.addEventListener("htmx:afterRequest", (event) => {
  const request = waiting.get(event.detail.xhr);
  if (!request) return;
  clearInterval(request.timer);
  waiting.delete(event.detail.xhr);
  request.target?.removeAttribute("aria-busy");
  if (!waiting.size) quiet();
  if (stopped.delete(event.detail.xhr)) {
    toast("Stopped. This page may be out of date.");
  } else if (event.detail.failed && event.detail.xhr.status) {
    toast(`Part of this page could not be loaded (${event.detail.xhr.status}) and may be out of date.`, { seconds: 8 });
  } else if (event.detail.failed) {
    toast("The server did not respond. This page may be out of date.", { seconds: 8 });
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "dialog" || form.method === "get" || event.defaultPrevented) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "true";
  event.submitter?.setAttribute("aria-busy", "true");
});

/* The page may be restored from the back/forward cache. */
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
  }
});
