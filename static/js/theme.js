/* Sets the theme before the first paint, so this is a small blocking script and not a module.
   The choice is stored under the key that Django's admin uses, so that it applies to both.
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

  root.classList.add("js");
  apply();

  document.addEventListener("DOMContentLoaded", mark);
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
  addEventListener("storage", (event) => event.key === "theme" && apply());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
})();
