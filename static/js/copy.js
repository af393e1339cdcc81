/* data-copy="text": copies the text and says so. data-shown-once="address": what is shown is in this answer only. */

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

/* The answer to a form has no address of its own: to come back or to load it again would send the form again and make a
   second secret. So the page takes the address of what comes after it, and asks before it is left unless somebody has
   said that the secret is stored. */
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
  /* Plain http off localhost has no clipboard API. */
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
