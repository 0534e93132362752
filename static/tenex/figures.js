// Charts: one stop of the Tab key each, arrows inside, and at once what a title says only after a while.

const LINKS = "a[href]";

/** Only one datum of a chart (or what is around it) is reached by Tab; the arrow keys go on from there. */
export function rove(chart) {
  const links = [...chart.querySelectorAll(LINKS)];
  links.forEach((link, place) => link.setAttribute("tabindex", place ? "-1" : "0"));
  chart.addEventListener("keydown", (event) => {
    const here = links.indexOf(document.activeElement);
    if (here < 0) return;
    const steps = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: links.length - 1 };
    const next = links[steps[event.key]];
    if (!next) return;
    event.preventDefault();
    links[here].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
}

const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true"); // the link's own name says it already

function show(target, x, y) {
  const text = target.getAttribute("aria-label");
  if (!text) return;
  if (!tip.isConnected) document.body.append(tip);
  tip.textContent = text;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(x + 12, innerWidth - width - 8))}px`;
  tip.style.top = `${y + height + 20 > innerHeight ? y - height - 10 : y + 16}px`;
}

function told(event) {
  return event.target.closest?.(".chart a[href], .chart g[role='img']");
}

// On what is around the drawing: an SVG element that listens to the focus would take it.
function listen(chart) {
  for (const title of chart.querySelectorAll("title")) title.remove(); // else there would be two
  chart.addEventListener("pointermove", (event) => {
    const target = told(event);
    if (target) show(target, event.clientX, event.clientY);
    else tip.hidden = true;
  });
  chart.addEventListener("pointerleave", () => (tip.hidden = true));
  chart.addEventListener("focusin", (event) => {
    const target = told(event);
    if (!target?.matches(":focus-visible")) return;
    const box = target.getBoundingClientRect();
    show(target, box.left, Math.max(box.top, 0) + Math.min(box.height, 40));
  });
  chart.addEventListener("focusout", () => (tip.hidden = true));
}

export function start(root = document) {
  for (const place of root.querySelectorAll("[data-chart]:not([data-ready])")) {
    place.dataset.ready = "";
    rove(place);
    listen(place);
  }
}

// What was open stays open when a part of the page is replaced.
let opened = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  opened = [...event.target.querySelectorAll("details[open][id]")].map(({ id }) => id);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  opened = [];
});

start();
document.addEventListener("htmx:afterSwap", (event) => start(event.target));
addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });
