// Choosing rows of a table: all of the page at once, how many there are, and a bar that is there for them.
const bar = document.querySelector("[data-chosen]");
const all = [...document.querySelectorAll("[data-choose-all]")];
const boxes = [...document.querySelectorAll("input[data-choose]")];

function show() {
  const count = boxes.filter((box) => box.checked).length;
  bar.hidden = count === 0;
  bar.querySelector("[data-count]").textContent = String(count);
  for (const one of all) {
    one.checked = count === boxes.length;
    one.indeterminate = count > 0 && count < boxes.length;
  }
}

if (bar && boxes.length) {
  for (const one of all) {
    one.closest("label").hidden = false;
    one.addEventListener("change", () => {
      for (const box of boxes) box.checked = one.checked;
      show();
    });
  }
  for (const box of boxes) box.addEventListener("change", show);
  show();
}
