// The editor of an agent's text: variables are marked while one types, the draft is saved by itself, a preview is
// asked of the server. Without this file the form saves with its button, and the preview opens as a page.
import { toast } from "./app.js";

const form = document.getElementById("text");
const writable = form && !form.querySelector(":scope > fieldset").disabled;
const known = new Set([...document.querySelectorAll("[data-insert]")].map((one) => one.dataset.insert));
const open = [...known].filter((name) => name.includes("<")).map((name) => name.split("<")[0]);
const isKnown = (name) =>
  known.has(name) || open.some((start) => name.startsWith(start) && /^[A-Za-z_]\w{0,60}$/.test(name.slice(start.length)));

// --- marks behind the text: the textarea is see-through, the <pre> under it holds the same text
function mark(area) {
  const marks = area.parentElement.querySelector(".marks");
  const parts = [];
  let at = 0;
  for (const found of area.value.matchAll(/\{\{([^{}]*)\}\}|\{\{|\}\}/g)) {
    parts.push(area.value.slice(at, found.index));
    const piece = document.createElement("mark");
    piece.textContent = found[0];
    if (found[1] === undefined || !isKnown(found[1].trim())) piece.className = "wrong";
    parts.push(piece);
    at = found.index + found[0].length;
  }
  marks.replaceChildren(...parts, area.value.slice(at), "\n");
  if (!CSS.supports("field-sizing", "content")) {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  }
}

let last;
const areas = [...(form?.querySelectorAll(".marked > textarea") ?? [])];
for (const area of areas) {
  mark(area);
  area.addEventListener("input", () => mark(area));
  area.addEventListener("focus", () => (last = area));
}
last = areas[0];

for (const button of document.querySelectorAll("[data-insert]")) {
  button.addEventListener("click", () => {
    const name = button.dataset.insert;
    const text = `{{${name}}}`;
    last.focus();
    const start = last.selectionStart;
    // The old command is the only way that the browser's own undo knows of.
    if (!document.execCommand("insertText", false, text)) {
      last.setRangeText(text, start, last.selectionEnd, "end");
      last.dispatchEvent(new Event("input", { bubbles: true }));
    }
    const key = name.indexOf("<");
    if (key >= 0) last.setSelectionRange(start + 2 + key, start + text.length - 2);
  });
}

document.addEventListener("click", (event) => {
  const jump = event.target.closest("[data-jump]");
  if (!jump) return;
  const area = document.getElementById(jump.dataset.jump);
  const lines = area.value.split("\n");
  const start = lines.slice(0, jump.dataset.line - 1).reduce((sum, line) => sum + line.length + 1, 0) + Number(jump.dataset.column) - 1;
  const end = area.value.indexOf("}}", start);
  area.focus();
  area.setSelectionRange(start, end >= 0 && !area.value.slice(start, end).includes("\n") ? end + 2 : start + 2);
});

// --- criteria: rows instead of JSON
const list = form?.querySelector("[data-criteria]");
if (list && writable) {
  const template = document.getElementById("criterion");
  const show = () => list.querySelectorAll("[data-remove]").forEach((button) => (button.hidden = false));
  const add = form.querySelector("[data-add-criterion]");
  add.hidden = false;
  list.querySelector("[data-blank]")?.remove();
  show();
  add.addEventListener("click", () => {
    list.append(template.content.cloneNode(true));
    show();
    list.lastElementChild.querySelector("input").focus();
  });
  list.addEventListener("click", (event) => {
    const remove = event.target.closest("[data-remove]");
    if (!remove) return;
    const row = remove.closest("li");
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    (next?.querySelector("input") ?? add).focus();
    form.dispatchEvent(new Event("input"));
  });
  list.addEventListener("keydown", (event) => {
    const row = event.target.closest("li");
    if (event.key === "Enter" && event.target.matches("input")) {
      event.preventDefault();
      add.click();
    } else if (event.altKey && event.key === "ArrowUp" && row.previousElementSibling) {
      event.preventDefault();
      row.previousElementSibling.before(row);
      event.target.focus();
      form.dispatchEvent(new Event("input"));
    } else if (event.altKey && event.key === "ArrowDown" && row.nextElementSibling) {
      event.preventDefault();
      row.nextElementSibling.after(row);
      event.target.focus();
      form.dispatchEvent(new Event("input"));
    }
  });
}

// --- the draft saves itself
const status = form?.querySelector("[data-saved]");
const says = (text, tone = "") => {
  status.textContent = text;
  status.dataset.tone = tone;
};
let dirty = false, timer = 0, saving = false, stopped = false;

async function save() {
  clearTimeout(timer);
  if (saving || stopped) return;
  saving = true;
  dirty = false;
  says("Saving…");
  try {
    const answer = await fetch(form.action, {
      method: "POST", body: new FormData(form), headers: { Accept: "application/json" }, credentials: "same-origin",
    });
    if (answer.redirected) throw new Error("signed out");
    if (answer.status === 409) {
      const { detail } = await answer.json();
      stopped = dirty = true;
      says(`Not saved: ${detail}. `, "bad");
      const look = document.createElement("button");
      look.className = "button small";
      look.name = "save";
      look.textContent = "Compare with yours";
      look.addEventListener("click", () => (dirty = false));
      status.append(look);
      return;
    }
    const told = await answer.json();
    if (answer.status === 422) {
      dirty = true;
      says(`Not saved. ${Object.values(told.errors).join(". ")}.`, "bad");
      return;
    }
    if (!answer.ok) throw new Error(told.detail);
    form.elements.token.value = told.token;
    document.querySelector("[data-tokens]").textContent = told.tokens;
    document.querySelector("[data-draft-badge]").hidden = !told.is_draft;
    tell(told.problems);
    status.innerHTML = told.is_draft ? `Draft saved ${told.saved_at}` : "No changes";
    delete status.dataset.tone;
  } catch {
    dirty = true;
    says("Not saved: the server cannot be reached. Trying again.", "bad");
    timer = setTimeout(save, 5000);
  } finally {
    saving = false;
    if (dirty && !stopped && !timer) timer = setTimeout(save, 800);
  }
}

function tell(problems) {
  const names = { system_prompt: "Prompt", objective: "Objective" };
  const rows = problems.map((one) => {
    const row = document.createElement("li");
    const button = Object.assign(document.createElement("button"), {
      className: "plain", type: "button", textContent: `${names[one.field]}, line ${one.line}, column ${one.column}`,
    });
    Object.assign(button.dataset, { jump: one.field, line: one.line, column: one.column });
    const code = Object.assign(document.createElement("code"), { textContent: one.text });
    row.append(button, ": ", code, ` ${one.message}${one.suggestion ? `; did you mean {{${one.suggestion}}}?` : ""}`);
    return row;
  });
  const box = form.querySelector("[data-problems]");
  if (box.textContent !== rows.map((row) => row.textContent).join("")) box.replaceChildren(...rows);
  for (const area of areas) area.toggleAttribute("aria-invalid", false);
  for (const one of problems) document.getElementById(one.field).setAttribute("aria-invalid", "true");
}

if (form?.dataset.autosave !== undefined && writable) {
  form.addEventListener("input", (event) => {
    if (["lead", "direction"].includes(event.target.name)) return;
    dirty = true;
    clearTimeout(timer);
    timer = setTimeout(() => { timer = 0; save(); }, 800);
  });
  form.addEventListener("submit", () => (dirty = false));
  addEventListener("beforeunload", (event) => { if (dirty) event.preventDefault(); });
}

// --- preview, beside the text
const here = document.querySelector("[data-preview-here]");
async function preview(lead) {
  const body = new FormData(form);
  if (lead) body.set("lead", lead);
  body.delete("publish");
  try {
    const answer = await fetch(form.dataset.preview, { method: "POST", body, headers: { "X-Part": "1" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error(answer.status);
    here.innerHTML = await answer.text();
  } catch {
    toast("The preview could not be made. Try again.", "warn");
  }
}
document.querySelector("[data-show-preview]")?.addEventListener("click", (event) => {
  event.preventDefault();
  preview();
});
document.getElementById("lead")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  preview();
});
document.getElementById("direction")?.addEventListener("change", () => here.childElementCount && preview());
here?.addEventListener("click", (event) => {
  const chosen = event.target.closest("[data-lead]");
  if (chosen) preview(chosen.dataset.lead);
});
