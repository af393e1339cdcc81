/* Keeps <time data-absolute> fresh: relative under an hour, the server's absolute form after.
   The words are those of the filter relative_time. */

function words(seconds) {
  const size = Math.abs(seconds);
  if (size < 5) return "just now";
  const count = size < 60 ? `${size}\u00a0s` : `${Math.floor(size / 60)}\u00a0min`;
  return seconds > 0 ? `${count} ago` : `in\u00a0${count}`;
}

function refresh() {
  for (const element of document.querySelectorAll("time[data-absolute]")) {
    const seconds = Math.round((Date.now() - Date.parse(element.dateTime)) / 1000);
    const text = Math.abs(seconds) < 3600 ? words(seconds) : element.dataset.absolute;
    if (element.textContent !== text) element.textContent = text;
  }
}

setInterval(() => document.hidden || refresh(), 10_000);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
