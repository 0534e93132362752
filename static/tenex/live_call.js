// One live call: the transcript as it is spoken, and everything that an operator may do to it.
import { toast } from "./app.js";
import { RATE, decode, encode, loudness, microphoneFault, openMicrophone, openSpeaker } from "./audio.js";
import { STATES, clock, delay, framed, link, setText, showState } from "./link.js";
import { Transcript, who } from "./transcript.js";

const SPEAKS = 25;
const page = document.querySelector("[data-call-page]");
const f = Object.fromEntries([...document.querySelectorAll("[data-f]")].map((part) => [part.dataset.f, part]));
const id = page.dataset.call;
const transcript = new Transcript(f.words);
let call = null, seq = 0, waiting = [], levels = null, socket = null, connected = false;

// --- what happens ------------------------------------------------------------------------------------

const draw = framed(() => {
  const follow = transcript.atEnd;
  for (const message of waiting) {
    if (message.type === "snapshot" && message.turns) {
      seq = message.seq;
      transcript.begin(message);
    }
    for (const line of message.lines ?? []) {
      if (message.type !== "lines" || line.seq <= seq) continue;
      seq = line.seq;
      transcript.line(line);
      follow && transcript.end();
    }
  }
  waiting = [];
  if (call) show();
  if (levels) meters(levels);
  levels = null;
});

if (page.dataset.isLive) {
  socket = link(`/console/ws?call=${id}`, {
    onState: (state, text) => {
      showState(state, text);
      connected = state === "on";
      if (state !== "on") meters([0, 0]);
    },
    onMessage(message) {
      if (message.type === "snapshot" || message.type === "lines") waiting.push(message);
      for (const change of message.calls ?? []) call = { ...call, ...change };
      if (message.gone?.includes(id)) over();
      if (message.levels?.[id]) levels = message.levels[id];
      if (message.type !== "alive") draw();
    },
  });
} else {
  disable();
}

function show() {
  const [label, tone] = STATES[call.state] ?? [call.state, "quiet"];
  setText(f.state, call.state === "tool" ? `${label}: ${call.tool}` : label);
  f.state.dataset.tone = tone;
  setText(f.ours, call.talker ? "Operator" : call.muted ? "Agent (muted)" : "Agent");
  setText(f.latency, call.latency_ms === null ? "" : `answers in ${delay(call.latency_ms)}`);
  f.off_record.hidden = !call.off_record;
  const mine = audio.talks && call.talker === page.dataset.me;
  const text = mine ? "You talk to the caller. The agent is silent and does not hear you."
    : call.talker ? `${who(call.talker)} talks to the caller. The agent is silent.`
    : call.muted ? "The agent is muted. The caller hears silence." : "";
  if (f.holding) {
    setText(f.holding, text);
    f.holding.hidden = !text;
  }
  if (f.mute) {
    setText(f.mute.querySelector("button span"), call.muted ? "Let the agent speak" : "Mute the agent");
    f.mute.querySelector("button").setAttribute("aria-pressed", String(call.muted));
  }
  const said = document.getElementById("say");
  if (said) said.disabled = call.muted || call.talker !== "";
  if (audio.talks && audio.began && !call.talker) audio.stopTalking();
  if (call.talker) audio.began = true;
  if (call.state === "ended") over();
  tick();
}

function tick() {
  if (connected && call && call.state !== "ended") setText(f.clock, clock(Date.parse(call.answered_at ?? call.created_at)));
}
setInterval(tick, 1000);

function meters(both) {
  for (const [index, side] of ["caller", "agent"].entries()) meter(document.querySelector(`[data-side="${side}"]`), both[index]);
}

function meter(element, level) {
  if (!element) return;
  element.querySelector("i").style.transform = `scaleX(${level / 100})`;
  element.classList.toggle("speaks", level >= SPEAKS);
}

function over() {
  audio.close();
  document.querySelector("[data-over]").hidden = false;
  showState("off", "The call is over.");
  meters([0, 0]);
  disable();
  setTimeout(() => socket?.close(), 5000); // its last words may still come
}

function disable() {
  for (const control of page.querySelectorAll(".step button, .step input")) control.disabled = true;
}

// --- what an operator does ---------------------------------------------------------------------------

// Behind app.js, which asks first where a form wants that.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (event.defaultPrevented || !form.matches("form[data-act]")) return;
  event.preventDefault();
  const address = form.dataset.unmute && call?.muted ? form.dataset.unmute : form.action;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const answer = await fetch(address, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
    const said = await answer.json().catch(() => ({ error: "That did not work." }));
    toast(said.error ?? said.done, answer.ok ? "good" : "bad");
    if (answer.ok) for (const input of form.querySelectorAll("input[name=text], input[name=to]")) input.value = "";
  } catch {
    toast("The server cannot be reached. Nothing was done.", "bad");
  } finally {
    button.disabled = call?.state === "ended";
  }
});

/** The socket of the call's sound: ears and mouth share it, and it is there only while one is in use. */
const audio = {
  socket: null, speaker: null, microphone: null, listens: false, talks: false, began: false,

  async connect() {
    if (this.socket?.readyState === WebSocket.OPEN) return;
    const url = new URL(`/console/live/${id}/audio`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const made = new WebSocket(url);
    made.binaryType = "arraybuffer";
    await new Promise((opened, failed) => {
      made.onopen = opened;
      made.onerror = () => failed(new Error("The call's sound cannot be reached."));
    });
    made.onmessage = ({ data }) => (typeof data === "string" ? this.said(JSON.parse(data)) : this.heard(new Uint8Array(data)));
    made.onclose = () => {
      if (this.socket !== made) return;
      const lost = this.listens || this.talks;
      this.socket = null;
      this.close();
      if (lost && call?.state !== "ended") toast("The connection of the call's sound was lost. The agent goes on.", "bad");
    };
    this.socket = made;
  },

  ask(wish) { this.socket?.send(JSON.stringify(wish)); },

  said(message) {
    if (message.type !== "refused") return;
    toast(message.detail, "bad");
    if (this.talks && !this.began) this.stopTalking();
  },

  heard(bytes) {
    const half = bytes.length / 2;
    const caller = decode(bytes.subarray(0, half));
    const ours = this.talks ? new Float32Array(half) : decode(bytes.subarray(half)); // nobody wants an echo of themselves
    this.speaker?.play(caller, ours);
  },

  async listen() {
    this.speaker ??= await openSpeaker(page.dataset.worklet, {
      channels: 2, firstMs: 400, mostMs: 1400,
      onPeaks: ([left, right]) => { ear("caller", left); ear("agent", right); },
    });
    await this.connect();
    this.ask({ do: "listen" });
    this.listens = true;
    this.show();
  },

  stopListening() {
    this.ask({ do: "unlisten" });
    this.speaker?.close();
    this.speaker = null;
    this.listens = false;
    this.rest();
  },

  async takeOver() {
    this.began = false;
    this.microphone = await openMicrophone(page.dataset.worklet, 100, (samples) => {
      if (this.talks && this.socket?.readyState === WebSocket.OPEN && this.socket.bufferedAmount < RATE) this.socket.send(encode(samples));
    });
    try {
      if (!this.listens && document.querySelector('[data-do="listen"]')) await this.listen(); // who talks must hear
      await this.connect();
    } catch (error) {
      this.microphone.close();
      this.microphone = null;
      throw error;
    }
    this.talks = true;
    this.ask({ do: "take_over" });
    this.show();
  },

  giveBack(note) {
    this.ask({ do: "give_back", note });
    this.stopTalking();
  },

  stopTalking() {
    this.microphone?.close();
    this.microphone = null;
    this.talks = this.began = false;
    this.rest();
  },

  rest() {
    if (!this.listens && !this.talks && this.socket) {
      const socket = this.socket;
      this.socket = null;
      socket.close();
    }
    this.show();
  },

  close() {
    this.microphone?.close();
    this.speaker?.close();
    this.microphone = this.speaker = null;
    this.listens = this.talks = this.began = false;
    this.rest();
  },

  show() {
    const listen = document.querySelector('[data-do="listen"]'), take = document.querySelector('[data-do="take_over"]');
    if (listen) {
      listen.setAttribute("aria-pressed", String(this.listens));
      setText(listen.querySelector("span"), this.listens ? "Stop listening" : "Listen");
      f.ears.hidden = !this.listens;
    }
    if (take) {
      take.hidden = this.talks;
      f.giving.hidden = !this.talks;
    }
  },
};

function ear(side, peak) {
  const element = document.querySelector(`[data-ear="${side}"]`);
  if (!element) return;
  const level = Math.round(loudness(peak));
  meter(element, level);
  element.dataset.loudest = String(Math.max(Number(element.dataset.loudest ?? 0), level));
}

async function attempt(button, work) {
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    toast(error instanceof DOMException || !navigator.mediaDevices ? microphoneFault(error) : error.message, "bad");
  } finally {
    button.disabled = call?.state === "ended";
  }
}

document.querySelector('[data-do="listen"]')?.addEventListener("click", ({ currentTarget }) => {
  attempt(currentTarget, () => (audio.listens ? audio.stopListening() : audio.listen()));
});
document.querySelector('[data-do="take_over"]')?.addEventListener("click", ({ currentTarget }) => {
  attempt(currentTarget, () => audio.takeOver());
});
document.querySelector("form[data-give]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  audio.giveBack(event.target.note.value);
  event.target.reset();
});
