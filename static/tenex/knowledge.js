// Uploads: files are dropped or chosen, each is sent by itself, and one sees how far it is.

for (const form of document.querySelectorAll("form[data-upload]")) begin(form);
document.addEventListener("htmx:afterSwap", (event) => {
  for (const form of event.target.querySelectorAll("form[data-upload]")) begin(form);
});

function begin(form) {
  const input = form.querySelector("input[type=file]");
  const drop = form.querySelector("[data-drop]");
  const over = (is) => (event) => {
    event.preventDefault();
    drop.toggleAttribute("data-over", is);
  };
  drop.addEventListener("dragover", over(true));
  drop.addEventListener("dragleave", over(false));
  drop.addEventListener("drop", (event) => {
    over(false)(event);
    if (event.dataTransfer.files.length) input.files = event.dataTransfer.files;
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const files = [...input.files];
    const button = form.querySelector("button:not([type=button])");
    button.disabled = true;
    let last = "";
    let failed = 0;
    for (const file of files) {
      const answer = await send(form, file, files.length > 1);
      if (answer) last = answer;
      else failed += 1;
    }
    button.disabled = false;
    if (!failed && last) location.assign(files.length > 1 ? form.dataset.list : last);
  });
}

/** Send one file; the address of its page, or nothing with the reason shown. */
function send(form, file, severally) {
  const row = document.createElement("li");
  const name = document.createElement("span");
  const bar = document.createElement("progress");
  name.textContent = file.name;
  name.dir = "auto";
  bar.max = 100;
  bar.value = 0;
  bar.setAttribute("aria-label", `Sent of ${file.name}`);
  row.append(name, " ", bar);
  form.querySelector("[data-progress]").append(row);
  const data = new FormData(form);
  data.set("file", file, file.name);
  if (severally) data.delete("title");
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action || location.href);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total;
    });
    const say = (tone, text) => {
      const badge = document.createElement("span");
      badge.className = "badge";
      badge.dataset.tone = tone;
      badge.textContent = text;
      bar.replaceWith(badge);
    };
    request.addEventListener("load", () => {
      if (request.status === 200 && request.responseURL) {
        say("good", "Taken");
        resolve(request.responseURL);
        return;
      }
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const told = page.querySelector("[role=alert]")?.textContent.trim();
      say("bad", told?.replace(" Choose the file again.", "") || (request.status === 413 ? "Too large" : "Not taken"));
      resolve("");
    });
    request.addEventListener("error", () => {
      say("bad", "The server cannot be reached");
      resolve("");
    });
    request.send(data);
  });
}
