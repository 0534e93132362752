// The page of a call: what waits is looked for again, the journal is fetched when it is opened, and the
// recording plays with the words. Without this file the page reads the same and its sound plays.
import { Player } from "./player.js";

const player = document.querySelector("[data-player]");
if (player) new Player(player, document.querySelector("[data-lines]"));

// Something is not there yet: ask from time to time, and never take away what somebody is at.
const waiting = document.querySelector("[data-watch]");
if (waiting) setTimeout(look, 2000);
async function look() {
  try {
    const answer = await fetch(waiting.dataset.watch, { headers: { Accept: "application/json" } });
    const busy = document.querySelector("audio:not([paused])")?.paused === false || document.querySelector("#correct[open], textarea:focus");
    if (answer.ok && (await answer.json()).state !== waiting.dataset.known && !busy) return location.reload();
    if (!answer.ok && answer.status < 500) return undefined;
  } catch {
    // no network right now
  }
  return setTimeout(look, document.hidden ? 10_000 : 2000);
}

const journal = document.querySelector("[data-journal]");
journal?.addEventListener("toggle", () => {
  if (journal.open && !journal.dataset.read) {
    journal.dataset.read = "1";
    more(journal.dataset.journal, journal.querySelector("[data-journal-box]"));
  }
});
journal?.addEventListener("click", (event) => {
  const link = event.target.closest("[data-more-journal]");
  if (!link) return;
  event.preventDefault();
  more(link.href, link.parentElement);
});
async function more(url, place) {
  const answer = await fetch(url, { headers: { "HX-Request": "true" } });
  if (!answer.ok) return;
  const made = new DOMParser().parseFromString(await answer.text(), "text/html").body;
  place.replaceWith(...made.childNodes);
}

// What hangs open over the page closes by Escape and by a click elsewhere.
const hanging = [...document.querySelectorAll("details.keys, details.menu-button")];
document.addEventListener("click", (event) => {
  for (const one of hanging) if (one.open && !one.contains(event.target)) one.open = false;
});
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && hanging.find((one) => one.open);
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});

// Links of the head open what they point at.
for (const link of document.querySelectorAll('a[href="#correct"]')) {
  link.addEventListener("click", () => {
    const form = document.getElementById("correct");
    form.open = true;
    form.querySelector("select")?.focus({ preventScroll: true });
  });
}
if (location.hash === "#correct") document.getElementById("correct")?.setAttribute("open", "");
