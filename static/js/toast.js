/* A short message at the bottom of the window, in a polite live region. A helper module, not a component. */

let line;
let timer;

export function toast(text, { seconds = 4, action = null } = {}) {
  if (!line) {
    line = document.createElement("div");
    line.className = "toast";
    line.setAttribute("role", "status");
    line.hidden = true;
  }
  /* A modal dialog hides the rest of the page from screen readers and from view. */
  (document.querySelector("dialog:modal") ?? document.body).append(line);
  line.replaceChildren(text);
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = action.label;
    button.addEventListener("click", action.run);
    line.append(button);
  }
  line.hidden = false;
  clearTimeout(timer);
  if (seconds) timer = setTimeout(quiet, seconds * 1000);
}

export function quiet() {
  clearTimeout(timer);
  if (line) line.hidden = true;
}
