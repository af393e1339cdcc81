/* Pages show times in this browser's zone, or in the organization's if the account menu says so. A cookie tells the
   server, so that all pages, links and downloads agree; a zone in a URL takes precedence. */

const STORE = "zone";

function choice() {
  try {
    return localStorage.getItem(STORE) === "organization" ? "organization" : "browser";
  } catch {
    return "browser";
  }
}

function keep() {
  const zone = choice() === "browser" ? Intl.DateTimeFormat().resolvedOptions().timeZone || "" : "";
  const isSecure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `zone=${zone}; Path=/; Max-Age=${zone ? 365 * 86_400 : 0}; SameSite=Lax${isSecure}`;
}

keep();
for (const button of document.querySelectorAll("[data-zone-choice]")) {
  button.setAttribute("aria-pressed", String(button.dataset.zoneChoice === choice()));
  button.addEventListener("click", () => {
    try {
      localStorage.setItem(STORE, button.dataset.zoneChoice);
    } catch {
      return; /* Storage is blocked: there is no choice. */
    }
    keep();
    location.reload();
  });
}
