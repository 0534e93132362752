// What the retention that stands in the form would delete, while one types. The server asks once more on saving.
const place = document.querySelector("[data-outlook]");
const fields = [...document.querySelectorAll("input[name$='_retention_days']")];
let timer;
async function show() {
  const asked = new URLSearchParams(fields.map((one) => [one.name, one.value]));
  const answer = await fetch(`${place.dataset.outlook}?${asked}`, { credentials: "same-origin" });
  if (answer.ok && !answer.redirected) place.innerHTML = await answer.text();
}
if (place) {
  for (const field of fields) {
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(show, 300);
    });
  }
}
