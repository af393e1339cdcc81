/* Frames with the output of agents. They run no scripts and have an opaque origin, so their height cannot be read: it
   is measured on a copy in the page, made of plain elements with no other classes than KEPT_CLASSES. The chosen theme is
   written into their document, which begins with data-theme="auto". */

const PLAIN = new Set(
  ("a abbr b blockquote br caption code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i ins kbd li mark ol p pre q s " +
    "samp small span strong sub summary sup table tbody td tfoot th thead time tr u ul var").split(" "),
);
const KEPT_CLASSES = ("output output-text run-timeline run-axis run-axis-start run-axis-end run-steps run-step run-step-time " +
  "run-step-dot run-step-body run-step-head run-step-bar note clock").split(" ");
const MOST_PIXELS = 30_000; /* Beyond that the frame scrolls. */
const FRAMES = "iframe.output-frame";
const written = new WeakMap(); /* Maps a frame to its document as the server wrote it. */
const widths = new WeakMap();
const resized = new ResizeObserver((entries) => {
  const frames = entries.map((entry) => entry.target);
  requestAnimationFrame(() => fit(frames.filter((frame) => frame.isConnected && frame.clientWidth !== widths.get(frame))));
});

export const documentOf = (frame) => written.get(frame) ?? frame.srcdoc;
export const isComing = (element) => element?.matches(".output-coming");

/* A new frame replaces this one once it has loaded. A new document in the same frame would be blank for a moment and
   add an entry to the page's history. */
export function renew(frame, text) {
  if (isComing(frame.nextElementSibling)) frame.nextElementSibling.remove();
  const next = frame.cloneNode();
  next.srcdoc = themed(text);
  next.classList.add("output-coming");
  next.addEventListener("load", () => {
    next.classList.remove("output-coming");
    frame.remove();
    fit([next]);
  }, { once: true });
  written.set(frame, text); /* Later responses are compared with this. */
  frame.after(next);
  watch(next, text);
}

function themed(text) {
  const theme = document.documentElement.dataset.theme;
  return theme === "auto" ? text : text.replace('data-theme="auto"', `data-theme="${theme}"`);
}

function watch(frame, text) {
  written.set(frame, text);
  resized.observe(frame);
}

function fit(frames) {
  const copies = frames.map((frame) => {
    const copy = Object.assign(document.createElement("div"), { className: "output-copy", inert: true });
    copy.style.width = `${frame.clientWidth}px`;
    addPlain(copy, new DOMParser().parseFromString(documentOf(frame), "text/html").body);
    frame.parentElement.append(copy);
    return copy;
  });
  const heights = copies.map((copy) => Math.ceil(copy.getBoundingClientRect().height));
  copies.forEach((copy) => copy.remove());
  frames.forEach((frame, index) => {
    widths.set(frame, frame.clientWidth);
    frame.height = Math.min(heights[index] + 1, MOST_PIXELS);
  });
}

function addPlain(copy, from) {
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) copy.append(node.data);
    if (!PLAIN.has(node.localName)) continue;
    const element = document.createElement(node.localName);
    element.className = KEPT_CLASSES.filter((name) => node.classList.contains(name)).join(" ");
    for (const name of ["colSpan", "rowSpan", "open"]) if (node[name] > 1 || node[name] === true) element[name] = node[name];
    addPlain(element, node);
    copy.append(element);
  }
}

const framesIn = (part) => [...part.querySelectorAll(FRAMES), ...(part.matches?.(FRAMES) ? [part] : [])];

function show(frames) {
  fit(frames);
  for (const frame of frames) {
    watch(frame, documentOf(frame));
    if (themed(documentOf(frame)) !== frame.srcdoc) renew(frame, documentOf(frame));
  }
}

const shown = () => framesIn(document).filter((frame) => !isComing(frame));

show(framesIn(document));
document.fonts.ready.then(() => fit(shown())); /* Another font is higher or lower. */
document.addEventListener("htmx:load", (event) => show(framesIn(event.target).filter((frame) => !written.has(frame))));
document.addEventListener("themechange", () => show(shown()));
