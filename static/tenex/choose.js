// Choosing rows of a table: all of the page at once, how many there are, and a bar that is there for them.
const bar = document.querySelector("[data-chosen]");
const all = document.querySelector("[data-choose-all]");
const boxes = [...document.querySelectorAll("input[data-choose]")];

function show() {
  const count = boxes.filter((box) => box.checked).length;
  bar.hidden = count === 0;
  bar.querySelector("[data-count]").textContent = String(count);
  all.checked = count === boxes.length;
  all.indeterminate = count > 0 && count < boxes.length;
}

if (bar && all && boxes.length) {
  all.closest("label").hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    show();
  });
  for (const box of boxes) box.addEventListener("change", show);
  show();
}
