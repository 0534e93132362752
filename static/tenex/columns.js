// The import of a CSV file: its columns are shown as soon as it is chosen, from its first lines alone.

const HEAD_BYTES = 256 * 1024;

for (const form of document.querySelectorAll("form[data-columns]")) {
  const here = form.querySelector("[data-columns-here]");
  const input = form.querySelector("input[type=file]");
  let latest = 0;
  const look = async () => {
    const file = input.files[0];
    if (!file) return;
    const mine = ++latest;
    const sent = new FormData();
    sent.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    if (form.dataset.variables) sent.set("variables", form.dataset.variables);
    sent.set("file", await head(file), file.name);
    here.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.dataset.columns, { method: "POST", body: sent, headers: { "HX-Request": "true" } });
      const html = await answer.text();
      if (mine === latest) here.innerHTML = html;
    } catch {
      if (mine === latest) here.textContent = "The server cannot be reached. The columns will be read by their headers.";
    } finally {
      here.removeAttribute("aria-busy");
    }
  };
  input.addEventListener("change", look);
  if (input.files.length) look(); // kept by the browser after going back
}

/** The beginning of a file, up to the end of a line. */
async function head(file) {
  if (file.size <= HEAD_BYTES) return file;
  const bytes = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const end = bytes.lastIndexOf(10);
  // In UTF-16 the end of a line is two bytes: the second one belongs to it in both orders.
  return new Blob([bytes.slice(0, end < 0 ? bytes.length : end + 1 + ((end + 1) % 2 && bytes[end + 1] === 0 ? 1 : 0))]);
}
