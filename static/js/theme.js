/* Sets the theme and the density of rows before the first paint, so this is a small blocking script and not a module.
   The choice of a theme is stored under the key that Django's admin uses, so that it applies to both.
   Notifies charts of a change with the event "themechange" on document. */
(() => {
  const root = document.documentElement;
  const read = () => {
    try {
      const choice = localStorage.getItem("theme");
      return choice === "light" || choice === "dark" ? choice : "auto";
    } catch {
      return "auto";
    }
  };
  const mark = () => {
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === read()));
    }
  };
  const apply = () => {
    root.dataset.theme = read();
    mark();
    document.dispatchEvent(new CustomEvent("themechange"));
  };

  let ofView = root.dataset.density; /* A saved view of a list may have its own. */
  const isCompact = () => {
    if (ofView) return ofView === "compact";
    try {
      return localStorage.getItem("density") === "compact";
    } catch {
      return false;
    }
  };
  const setDensity = (compact) => {
    root.dataset.density = compact ? "compact" : "comfortable";
    for (const button of document.querySelectorAll("[data-compact]")) button.setAttribute("aria-pressed", String(compact));
    for (const choice of document.querySelectorAll("[data-density-choice]")) choice.value = compact ? "compact" : "";
  };

  root.classList.add("js");
  setDensity(isCompact());
  apply();

  document.addEventListener("DOMContentLoaded", mark);
  document.addEventListener("DOMContentLoaded", () => setDensity(isCompact()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-compact]")) return;
    const compact = root.dataset.density !== "compact";
    ofView = "";
    try {
      localStorage.setItem("density", compact ? "compact" : "comfortable");
    } catch {
      /* Storage is blocked: the choice applies to this page only. */
    }
    setDensity(compact);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-choice]");
    if (!button) return;
    try {
      localStorage.setItem("theme", button.dataset.themeChoice);
    } catch {
      /* Storage is blocked: the choice applies to this page only. */
    }
    apply();
  });
  addEventListener("storage", (event) => {
    if (event.key === "theme") apply();
    if (event.key === "density") setDensity(isCompact());
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
})();
