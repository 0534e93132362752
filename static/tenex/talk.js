// Talk to your agent: this page is the telephone. It speaks the carrier's messages (docs/browser_sessions.md).
import { toast } from "./app.js";
import { decode, encode, fromBase64, loudness, microphoneFault, openMicrophone, openSpeaker, toBase64 } from "./audio.js";
import { STATES, clock, delay, framed, link, setText, showState } from "./link.js";
import { Transcript } from "./transcript.js";

const SID = "talk", SPEAKS = 25, FRAME_MS = 20;
const page = document.querySelector("[data-talk]");
const f = Object.fromEntries([...document.querySelectorAll("[data-f]")].map((part) => [part.dataset.f, part]));
const begin = document.querySelector("form[data-begin]"), write = document.querySelector("form[data-write]");
const transcript = new Transcript(f.words, { caller: "You", agent: "Agent" });
const SILENCE = toBase64(new Uint8Array(160).fill(255));
let now = null; // the call that goes on

begin.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (now) return;
  const byVoice = event.submitter?.value !== "text";
  for (const button of begin.querySelectorAll("button")) button.disabled = true;
  now = { latencies: [], seq: 0, waiting: [], call: null };
  try {
    await start(now, byVoice);
  } catch (error) {
    toast(error instanceof DOMException || !navigator.mediaDevices ? microphoneFault(error) : error.message, "bad");
    end("");
  }
});

async function start(talk, byVoice) {
  const send = (kind, body) => talk.socket?.readyState === WebSocket.OPEN && talk.socket.send(JSON.stringify({ event: kind, streamSid: SID, ...body }));
  if (byVoice) { // asked for first: a call that nobody can speak in is not begun
    talk.microphone = await openMicrophone(page.dataset.worklet, FRAME_MS, (samples) => {
      send("media", { media: { payload: toBase64(encode(samples)) } });
      meter("caller", loudness(samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0)));
    });
  }
  talk.speaker = await openSpeaker(page.dataset.worklet, {
    onMark: (name) => send("mark", { mark: { name } }),
    onPeaks: ([peak]) => meter("agent", loudness(peak)),
  });
  const answer = await fetch(begin.action, { method: "POST", body: new FormData(begin), headers: { Accept: "application/json" } });
  const made = await answer.json().catch(() => ({ error: "That did not work." }));
  if (!answer.ok) throw new Error(made.error);
  talk.id = made.call;
  transcript.clear();
  document.querySelector("[data-over]").hidden = true;
  follow(talk);
  const url = new URL(made.stream, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  talk.socket = new WebSocket(url);
  talk.socket.onopen = () => {
    send("start", { start: { streamSid: SID, callSid: SID } });
    if (!byVoice) talk.silence = setInterval(() => { for (let n = 0; n < 5; n++) send("media", { media: { payload: SILENCE } }); }, 5 * FRAME_MS);
    f.going.hidden = write.hidden = false;
    write.text.focus();
  };
  talk.socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.event === "media") talk.speaker.play(decode(fromBase64(message.media.payload)));
    else if (message.event === "mark") talk.speaker.mark(message.mark.name);
    else if (message.event === "clear") talk.speaker.clear();
  };
  talk.socket.onclose = ({ reason }) => { if (now === talk) end(reason || "the connection was lost"); };
  talk.hangUp = () => { send("stop"); talk.socket.close(1000); };
}

function follow(talk) {
  const draw = framed(() => {
    const along = transcript.atEnd;
    for (const message of talk.waiting) {
      if (message.turns) {
        talk.seq = message.seq;
        transcript.begin(message);
      }
      for (const line of message.type === "lines" ? message.lines : []) {
        if (line.seq <= talk.seq) continue;
        talk.seq = line.seq;
        transcript.line(line);
        if (line.type === "turn.latency") talk.latencies.push(line.data.ms);
      }
    }
    talk.waiting = [];
    if (along) transcript.end();
    if (talk.call) show(talk);
  });
  talk.link = link(`/console/ws?call=${talk.id}`, {
    onState: showState,
    onMessage(message) {
      if (message.type === "snapshot" || message.type === "lines") talk.waiting.push(message);
      for (const change of message.calls ?? []) talk.call = { ...talk.call, ...change };
      if (message.type !== "alive" && message.type !== "levels") draw();
    },
  });
}

function show(talk) {
  const [label, tone] = STATES[talk.call.state] ?? [talk.call.state, "quiet"];
  setText(f.state, talk.call.state === "tool" ? `${label}: ${talk.call.tool}` : label);
  f.state.dataset.tone = tone;
  const sorted = [...talk.latencies].sort((a, b) => a - b);
  setText(f.latency, talk.latencies.length ? delay(talk.latencies.at(-1)) : "–");
  setText(f.median, sorted.length ? delay(sorted[Math.floor(sorted.length / 2)]) : "–");
}

setInterval(() => {
  const call = now?.call;
  if (call?.answered_at) setText(f.clock, clock(Date.parse(call.answered_at)));
}, 1000);

function end(why) {
  const talk = now;
  now = null;
  clearInterval(talk.silence);
  talk.microphone?.close();
  talk.speaker?.close();
  if (talk.id) {
    setTimeout(() => talk.link?.close(), 6000); // its last words may still come
    setText(f.why, why ? ` (${why})` : "");
    f.page.href = `/console/calls/${talk.id}`;
    document.querySelector("[data-over]").hidden = false;
    setText(f.state, "Over");
    f.state.dataset.tone = "quiet";
  }
  f.going.hidden = write.hidden = true;
  meter("caller", 0);
  meter("agent", 0);
  for (const button of begin.querySelectorAll("button")) button.disabled = false;
}

document.querySelector('[data-do="end"]').addEventListener("click", () => now?.hangUp?.());

write.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!now?.id) return;
  const body = new FormData(write);
  body.append("csrfmiddlewaretoken", begin.querySelector("[name=csrfmiddlewaretoken]").value);
  const answer = await fetch(page.dataset.type.replace("00000000-0000-0000-0000-000000000000", now.id), { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
  if (answer?.ok) write.reset();
  else toast((await answer?.json().catch(() => null))?.error ?? "The server cannot be reached.", "bad");
});

function meter(side, level) {
  const element = document.querySelector(`[data-side="${side}"]`);
  element.querySelector("i").style.transform = `scaleX(${level / 100})`;
  element.classList.toggle("speaks", level >= SPEAKS);
}
