// A transcript as it is spoken: turns by item, what was done between them, struck through what was not heard.
import { delay, place, setText } from "./link.js";

/** Somebody as the journal names them: a person by their address, a program by its key. */
export const who = (by) => (by ?? "").replace(/^user:/, "").replace(/^key:/, "API key ");

const DONE = {
  "operator.listened": (d) => `${who(d.by)} listens`,
  "operator.whispered": (d) => `${who(d.by)} whispered${d.text ? `: ${d.text}` : ""}`,
  "operator.said": (d) => `${who(d.by)} lets the agent say${d.text ? `: ${d.text}` : " a sentence"}`,
  "operator.muted": (d) => `${who(d.by) || "Somebody"} muted the agent`,
  "operator.unmuted": (d) => (d.by ? `${who(d.by)} lets the agent speak again` : "The agent may speak again"),
  "operator.took_over": (d) => `${who(d.by) || "An operator"} talks to the caller`,
  "operator.gave_back": (d) => `${WHY[d.why] ?? "The agent goes on"} after ${d.seconds} s of ${who(d.by) || "the operator"}`,
  "operator.transferred": (d) => `${who(d.by) || "An operator"} transfers the call`,
  "operator.hung_up": (d) => `${who(d.by)} hangs up`,
  "operator.refused": (d) => `${(d.command ?? "").replace("_", " ")}: ${REFUSED[d.code] ?? d.code}`,
  "call.answered": () => "Answered",
  "call.off_record": () => "Off the record: they do not want to be recorded",
  "call.opt_out": () => "They do not want to be called again",
  "call.dtmf": (d) => `Pressed ${d.digits}`,
  "call.model_lost": () => "The speech model was lost",
  "call.model_back": (d) => `The speech model is back after ${delay(d.after_ms)}`,
  "call.model_failed": () => "The speech model is gone",
  "call.closing": (d) => (d.kind === "transfer" ? "A transfer follows" : `The call comes to its end (${d.reason})`),
  "call.end_canceled": () => "The end was called off",
  "call.transfer_failed": (d) => `The transfer did not work (${d.code})`,
  "call.wrap_up": (d) => `${d.seconds_left} s are left`,
  "call.ended": (d) => `Over (${d.end_reason})`,
};
const WHY = { asked: "Given back to the agent", "operator-lost": "The operator's browser is gone: given back to the agent", closing: "The call ends", ended: "The call is over", "handed-over": "The call moved to another server: the agent goes on" };
const REFUSED = { agent_held: "the agent is muted; let it speak first", call_ending: "the call is ending", not_talking: "the call is not that far", taken: "somebody else talks already" };

export class Transcript {
  /** `names`: what the two sides are called. */
  constructor(list, names = { caller: "Caller", agent: "Agent", person: "Operator" }) {
    this.names = names;
    this.list = list;
    this.box = list.parentElement;
    this.clear();
  }

  clear() {
    this.turns = new Map();
    this.tools = new Map();
    this.list.replaceChildren();
  }

  /** A line of the call's journal. */
  line({ type, data, seq }) {
    if (type === "transcript.delta") this.words(data);
    else if (type === "turn.updated") this.turn(data);
    else if (type === "turn.latency") this.latency(data);
    else if (type === "tool.started") this.tool(data);
    else if (type === "tool.finished") this.toolDone(data);
    else if (DONE[type]) this.event(DONE[type](data), data, seq);
  }

  /** A snapshot: turns, the words of those that are not over, and what was done, in the order of the call. */
  begin({ turns, words, lines }) {
    this.clear();
    const began = lines.find((line) => line.type === "call.stream_started")?.at_ms ?? 0; // turns count from here
    const all = [
      ...turns.map((turn) => ({ at: turn.start_ms + began, show: () => this.turn(turn) })),
      ...lines.filter((line) => line.type !== "turn.latency").map((line) => ({ at: line.at_ms, show: () => this.line(line) })),
    ];
    for (const one of all.sort((a, b) => a.at - b.at)) one.show();
    for (const line of lines) if (line.type === "turn.latency") this.latency(line.data);
    for (const told of words) this.words(told);
    this.end();
  }

  #entry(item, speaker) {
    let entry = this.turns.get(item);
    if (!entry) {
      const row = document.createElement("li");
      row.dataset.speaker = speaker;
      const by = span("by", `${this.names[speaker]} `);
      const said = span("", ""), unheard = span("unheard", ""), late = span("small muted", "");
      said.dir = unheard.dir = "auto";
      row.append(by, said, unheard, late);
      entry = { row, said, unheard, late, text: "", done: false };
      this.turns.set(item, entry);
      this.list.append(row);
    }
    return entry;
  }

  words({ item_id, speaker, text }) {
    const entry = this.#entry(item_id, speaker);
    if (entry.done) return;
    entry.text += text;
    setText(entry.said, entry.text);
  }

  turn(data) {
    if (!data.text && !data.heard_text && !this.turns.has(data.item_id)) return;
    const entry = this.#entry(data.item_id, data.speaker);
    if (data.status === "in_progress") return;
    entry.done = true;
    const heard = data.interrupted ? data.heard_text : data.text;
    setText(entry.said, heard);
    setText(entry.unheard, data.interrupted ? data.text.slice(heard.length) : "");
    place(entry.row, data.position);
  }

  latency({ item_id, ms }) {
    const entry = this.turns.get(item_id) ?? this.#entry(item_id, "agent");
    setText(entry.late, ` ${delay(ms)}`);
    entry.late.title = "From the end of the caller's speech to the agent's first sound";
  }

  event(text, data, seq) {
    const row = document.createElement("li");
    row.className = data.audible ? "event audible" : "event";
    row.append(span("", text));
    if ("audible" in data) row.append(span("small", data.audible ? " · the caller hears it" : " · the caller does not hear it"));
    row.dir = "auto";
    this.list.append(row);
  }

  tool(data) {
    const row = document.createElement("li");
    row.className = "event";
    const asked = span("mono small", ` ${pretty(data.arguments)}`), state = span("small", " · running");
    asked.dir = "auto";
    row.append(span("by", data.name), asked, state);
    this.tools.set(data.tool_call_id, { row, state });
    this.list.append(row);
  }

  toolDone(data) {
    const known = this.tools.get(data.tool_call_id);
    if (!known) return;
    const dry = data.output?.dry_run ? " · dry run: nothing was written" : "";
    setText(known.state, ` · ${data.ok ? "done" : data.status} in ${delay(data.duration_ms)}${dry}`);
    const details = document.createElement("details"), summary = document.createElement("summary");
    const answer = document.createElement("pre");
    summary.textContent = "Answer";
    answer.tabIndex = 0;
    answer.textContent = pretty(data.output);
    details.append(summary, answer);
    known.row.append(details);
  }

  /** Whether the reader is at the end: then they are taken along. */
  get atEnd() {
    return this.box.scrollTop > -60; // the box is upside down
  }

  end() {
    this.box.scrollTop = 0;
  }
}

function span(name, text) {
  const made = document.createElement("span");
  if (name) made.className = name;
  made.textContent = text;
  return made;
}

function pretty(value) {
  return JSON.stringify(value ?? {}, null, 1).replace(/\n\s*/g, " ");
}
