// The board of calls in progress: a snapshot, then changes, drawn once a frame.
import { STATES, clock, delay, framed, link, place, setText, showState } from "./link.js";

const BUDGET_MS = 10; // of a frame
const SPEAKS = 25; // of 100: louder than a line's noise
const board = document.querySelector("[data-board]");
const empty = document.querySelector("[data-empty]");
const pattern = document.getElementById("call-card").content.firstElementChild;
const calls = new Map(); // id -> what the server said
const nodes = new Map(); // id -> the card and its parts
let dirty = new Set(), levels = {}, reorder = false, fresh = false, connected = false;

const draw = framed(() => {
  if (fresh) { // a new snapshot: cards that it does not have are gone
    fresh = false;
    for (const id of [...nodes.keys()]) if (!calls.has(id)) drop(id);
    for (const node of board.querySelectorAll("[data-call]")) if (!nodes.has(node.dataset.call)) node.remove();
  }
  for (const [id, both] of Object.entries(levels)) meter(nodes.get(id), both);
  levels = {};
  const until = performance.now() + BUDGET_MS;
  for (const id of dirty) { // reads no layout, so that all of it costs one
    dirty.delete(id);
    if (calls.has(id)) show(calls.get(id), node(id));
    if (performance.now() > until) break;
  }
  if (reorder) arrange();
  tally();
  if (dirty.size) draw(); // the rest in the next frame
});

link("/console/ws", {
  onState: (state, text) => {
    showState(state, text);
    connected = state === "on";
    if (state !== "on") for (const parts of nodes.values()) meter(parts, [0, 0]);
  },
  onMessage(message) {
    if (message.type === "snapshot") {
      calls.clear();
      fresh = reorder = true;
    }
    for (const call of message.calls ?? []) {
      const known = calls.get(call.id);
      if (!known || (call.state && call.state !== known.state)) reorder = true;
      calls.set(call.id, merge(known, call));
      dirty.add(call.id);
    }
    for (const id of message.gone ?? []) { calls.delete(id); drop(id); reorder = true; }
    if (message.levels) Object.assign(levels, message.levels);
    if (message.type !== "alive") draw();
  },
});

function merge(known, change) {
  if (!known) return { ...change, turns: new Map((change.turns ?? []).map((turn) => [turn.item, turn])) };
  const { turns, ...rest } = change;
  Object.assign(known, rest);
  for (const turn of turns ?? []) known.turns.set(turn.item, turn);
  while (known.turns.size > 5) known.turns.delete(known.turns.keys().next().value);
  return known;
}

function node(id) {
  let parts = nodes.get(id);
  if (parts) return parts;
  const card = board.querySelector(`[data-call="${id}"]`) ?? pattern.cloneNode(true);
  card.dataset.call = id;
  parts = { card, meters: {}, turns: new Map() };
  for (const part of card.querySelectorAll("[data-f]")) parts[part.dataset.f] = part;
  for (const part of card.querySelectorAll("[data-side]")) parts.meters[part.dataset.side] = { all: part, bar: part.querySelector("i") };
  parts.words.replaceChildren();
  nodes.set(id, parts);
  if (!card.isConnected) board.append(card);
  return parts;
}

function drop(id) {
  nodes.get(id)?.card.remove();
  nodes.delete(id);
}

function show(call, parts) {
  const lead = call.lead;
  const name = lead?.name || call.number;
  setText(parts.name, name);
  parts.name.href = `/console/live/${call.id}`;
  const history = lead?.calls_before ? `${lead.calls_before} ${lead.calls_before === 1 ? "call" : "calls"} before` : "";
  const way = call.direction === "inbound" ? "Inbound" : "Outbound";
  const about = [way, lead?.title, lead?.company, history];
  setText(parts.about, [call.test ? "Test" : "", ...about, call.batch].filter(Boolean).join(" · "));
  const [label, tone] = STATES[call.state] ?? [call.state, "quiet"];
  const extra = call.state === "tool" ? `: ${call.tool}` : "";
  setText(parts.state, call.model === "lost" && call.state === "talking" ? "Model lost" : label + extra);
  parts.state.dataset.tone = call.model === "lost" ? "bad" : tone;
  parts.card.dataset.state = call.state;
  setText(parts.ours, call.talker ? "Operator" : call.muted ? "Agent (muted)" : "Agent");
  setText(parts.agent, call.agent ? `${call.agent} v${call.version}` : "No agent");
  setText(parts.latency, call.latency_ms === null ? "" : `answers in ${delay(call.latency_ms)}`);
  tick(call, parts);
  words(call, parts);
}

function words(call, parts) {
  const list = parts.words;
  for (const [item, line] of parts.turns) {
    if (!call.turns.has(item)) { line.remove(); parts.turns.delete(item); }
  }
  for (const turn of call.turns.values()) {
    let line = parts.turns.get(turn.item);
    if (!line) {
      line = document.createElement("li");
      line.dataset.speaker = turn.speaker;
      const by = document.createElement("span");
      by.className = "by";
      by.textContent = { caller: "Caller ", agent: "Agent ", person: "Operator " }[turn.speaker] ?? "";
      const said = document.createElement("span");
      said.dir = "auto";
      line.append(by, said);
      parts.turns.set(turn.item, line);
      list.append(line);
    }
    place(line, turn.at);
    setText(line.lastChild, turn.text + (turn.cut ? " –" : ""));
  }
}

function meter(parts, both) {
  if (!parts) return;
  for (const [index, side] of ["caller", "agent"].entries()) {
    const { all, bar } = parts.meters[side];
    const level = both[index];
    if (bar.level !== level) { bar.level = level; bar.style.transform = `scaleX(${level / 100})`; }
    all.classList.toggle("speaks", level >= SPEAKS);
  }
}

// --- order: those that ring, those that talk, those that end; oldest first --------------------------

const RANK = { queued: 0, dialing: 0, ringing: 0, talking: 1, tool: 1, operator: 1, wrapping: 2, ended: 3 };
const calm = matchMedia("(prefers-reduced-motion: reduce)");

function arrange() {
  reorder = false;
  const order = [...calls.values()]
    .sort((a, b) => RANK[a.state] - RANK[b.state] || (a.created_at < b.created_at ? -1 : 1))
    .map((call) => nodes.get(call.id)?.card).filter(Boolean);
  if (order.every((card, at) => board.children[at] === card)) return;
  const focused = document.activeElement;
  const before = calm.matches ? null : new Map(order.map((card) => [card, card.getBoundingClientRect()]));
  order.forEach((card, at) => {
    if (board.children[at] !== card) board.insertBefore(card, board.children[at] ?? null);
  });
  if (board.contains(focused)) focused.focus({ preventScroll: true });
  if (!before) return;
  for (const card of order) {
    const was = before.get(card), is = card.getBoundingClientRect();
    const x = was.left - is.left, y = was.top - is.top;
    if (was.width && (x || y) && Math.abs(y) < innerHeight) {
      card.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], { duration: 240, easing: "cubic-bezier(.2,.7,.3,1)" });
    }
  }
}

function tally() {
  const sums = {};
  for (const call of calls.values()) sums[call.state] = (sums[call.state] ?? 0) + 1;
  sums.ringing = (sums.ringing ?? 0) + (sums.dialing ?? 0) + (sums.queued ?? 0);
  for (const place of document.querySelectorAll("[data-tally]")) setText(place, String(sums[place.dataset.tally] ?? 0));
  empty.hidden = calls.size > 0;
}

function tick(call, parts) {
  if (!connected || call.state === "ended") return; // a clock that runs would look like life
  const from = Date.parse(call.answered_at ?? call.created_at);
  setText(parts.clock, (call.answered_at ? "" : "waiting ") + clock(from));
}

setInterval(() => {
  for (const [id, parts] of nodes) if (calls.has(id)) tick(calls.get(id), parts);
}, 1000);
