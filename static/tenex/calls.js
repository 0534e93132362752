// The list of calls by keyboard: arrows move between rows, Home and End to the ends; Enter follows the link.
const rows = document.querySelector("[data-rows]");
rows?.addEventListener("keydown", (event) => {
  const links = [...rows.querySelectorAll("a.main-link")];
  const at = links.indexOf(event.target.closest("a.main-link"));
  if (at < 0 || event.metaKey || event.ctrlKey || event.altKey) return;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (to === undefined || !links[to]) return;
  event.preventDefault();
  links[to].focus();
});
// A click on a row's empty space opens its call, as a click on the name does.
rows?.addEventListener("click", (event) => {
  if (event.target.closest("a, button, input") || String(getSelection())) return;
  event.target.closest("tr")?.querySelector("a.main-link")?.click();
});
// The choice of outcomes closes by Escape and by a click elsewhere.
const pick = document.querySelector("details.pick");
pick?.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !pick.open) return;
  pick.open = false;
  pick.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  if (pick?.open && !pick.contains(event.target)) pick.open = false;
});
// Several outcomes are chosen before the list is asked for: when the choice closes.
let chosen = false;
pick?.addEventListener("change", (event) => {
  event.stopPropagation();
  chosen = true;
});
pick?.addEventListener("toggle", () => {
  if (!pick.open && chosen) pick.closest("form").requestSubmit();
});
