/* Opens a native <dialog> by data-dialog="its id". The opener may be a link: without JavaScript it leads to a
   page that asks the same. The browser traps the focus, closes on Escape and restores the focus. */

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog) {
    event.preventDefault();
    dialog.showModal();
    return;
  }
  const closer = event.target.closest("[data-close-dialog]");
  if (closer) {
    event.preventDefault();
    closer.closest("dialog").close();
  }
  if (event.target.matches("dialog") && !inside(event.target, event)) event.target.close();
});

function inside(dialog, { clientX, clientY }) {
  const box = dialog.getBoundingClientRect();
  return clientX >= box.left && clientX <= box.right && clientY >= box.top && clientY <= box.bottom;
}

for (const dialog of document.querySelectorAll("dialog[data-open]")) dialog.showModal();
