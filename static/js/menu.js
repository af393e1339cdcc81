/* Menus are <details data-menu>: they open without JavaScript. This adds closing on Escape, on a click
   elsewhere and when the focus leaves, and arrow keys inside. It also closes messages, expands collapsed sections for
   printing, omits empty fields of a form from the URL, and lets only one box in [data-either] be ticked. */

let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details:not([data-menu], [open])")];
  for (const part of unfolded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of unfolded) part.open = false;
});

document.addEventListener("formdata", ({ target, formData }) => {
  if (target.method !== "get") return;
  for (const name of new Set(formData.keys())) {
    const said = formData.getAll(name).filter((value) => value !== "");
    formData.delete(name);
    for (const value of said) formData.append(name, value);
  }
});

document.addEventListener("change", ({ target }) => {
  if (!target.checked) return;
  for (const other of target.closest("[data-either]")?.querySelectorAll("input") ?? []) {
    if (other !== target) other.checked = false;
  }
});

const items = (menu) => [...menu.querySelectorAll(".menu-item:not(:disabled)")].filter((item) => item.offsetParent);

document.addEventListener("click", (event) => {
  event.target.closest("[data-close-message]")?.closest("[data-message]").remove();
  for (const menu of document.querySelectorAll("[data-menu][open]")) {
    const chosen = event.target.closest(".menu-item, [data-dialog]");
    if (!menu.contains(event.target) || (chosen && !chosen.matches("[data-theme-choice]"))) menu.open = false;
  }
});

document.addEventListener("focusin", (event) => {
  for (const menu of document.querySelectorAll("[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("[data-menu]");
  if (!menu) return;
  if (event.key === "Escape" && menu.open) {
    event.preventDefault();
    menu.open = false;
    menu.querySelector("summary").focus();
    return;
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const list = items(menu);
  if (!step || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  menu.open = true;
  requestAnimationFrame(() => {
    const choices = list.length ? list : items(menu);
    const here = choices.indexOf(document.activeElement);
    const next = here < 0 ? (step > 0 ? 0 : choices.length - 1) : (here + step + choices.length) % choices.length;
    choices[next]?.focus();
  });
});
