// What Django's admin leaves out for people who do not see its pages: names of the boxes that select2 draws.
const name = () => {
  for (const select of document.querySelectorAll("select.admin-autocomplete")) {
    const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`)?.textContent.replace(/:\s*$/, "").trim();
    const box = select.nextElementSibling;
    if (!label || !box?.classList.contains("select2")) continue;
    box.querySelector(".select2-selection")?.setAttribute("aria-label", label);
    box.querySelector("[role=textbox]")?.setAttribute("aria-label", label);
  }
};
new MutationObserver(name).observe(document.documentElement, { childList: true, subtree: true });
name();

// A filter's list closes when one clicks beside it, or presses Escape.
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.choice[open]")) if (!open.contains(event.target)) open.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.choice[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});
