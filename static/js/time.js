/* Updates <time data-absolute>: relative under an hour, afterwards the server's absolute form. */

import { ago } from "./words.js";

function refresh() {
  for (const element of document.querySelectorAll("time[data-absolute]")) {
    const seconds = Math.round((Date.now() - Date.parse(element.dateTime)) / 1000);
    const text = Math.abs(seconds) < 3600 ? ago(seconds) : element.dataset.absolute;
    if (element.textContent !== text) element.textContent = text;
  }
}

setInterval(() => document.hidden || refresh(), 10_000);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
