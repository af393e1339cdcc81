/* data-copy="text": copies the text and confirms it. data-shown-once="URL": a secret that only this response shows. */

import { toast } from "./toast.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await copy(button.dataset.copy);
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 2000);
    toast("Copied");
  } catch {
    toast("Your browser blocked copying. Select the text and copy it yourself.");
  }
});

/* The response to a form has no URL of its own: going back to it or reloading would send the form again and create a
   second secret. So the page takes the URL of the next page, and asks before it is left unless the person has confirmed
   that the secret is stored. */
const once = document.querySelector("[data-shown-once]");
const stored = document.querySelector("[data-stored]");
if (once?.dataset.shownOnce) history.replaceState(history.state, "", once.dataset.shownOnce);
if (once && stored) {
  const ask = (event) => event.preventDefault();
  addEventListener("beforeunload", ask);
  stored.addEventListener("click", () => removeEventListener("beforeunload", ask));
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  /* Without HTTPS only localhost has a clipboard API. */
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  const holder = document.querySelector("dialog:modal") ?? document.body;
  holder.append(area);
  const before = document.activeElement;
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  if (!done) throw new Error("copy refused");
}
