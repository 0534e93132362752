// Small things that every page has. No page needs it to be read; forms work without it.

// Light, dark or as the system has it: kept in a cookie, so that the server draws the right one at once.
for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  });
}

// data-open="id" opens that <dialog>; data-close closes the one around it.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-open]");
  if (opener) document.getElementById(opener.dataset.open)?.showModal();
  if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
  const copier = event.target.closest("[data-copy]");
  if (copier) {
    navigator.clipboard.writeText(copier.dataset.copy).then(() => toast("Copied", "good"));
  }
});

// data-confirm="…" on a form asks before it is sent.
document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// Filters apply as they change; text after a pause.
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

/** A passing message, read out politely. */
export function toast(text, tone = "info") {
  const box = document.querySelector(".toasts");
  const note = document.createElement("div");
  note.className = "notice";
  note.dataset.tone = tone;
  note.textContent = text;
  box?.append(note);
  setTimeout(() => note.remove(), 5000);
}

const relative = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "auto" });
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** `<time data-ago>` says how long ago, and goes on saying it. */
export function tick(root = document) {
  for (const element of root.querySelectorAll("time[data-ago]")) {
    const seconds = (Date.parse(element.dateTime) - Date.now()) / 1000;
    const [unit, length] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
    const text = relative.format(Math.trunc(seconds / length), unit);
    if (element.textContent !== text) element.textContent = text;
  }
}
tick();
setInterval(tick, 10_000);
document.addEventListener("htmx:afterSwap", (event) => tick(event.target));
document.addEventListener("htmx:sendError", () => toast("The server cannot be reached. Trying again.", "warn"));
