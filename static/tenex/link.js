// A page's websocket that comes back by itself, and never passes old state off as live.

const SILENT_MS = 9000; // the server says something every three seconds
const WAITS_MS = [500, 1000, 2000, 4000, 8000, 15000];
const SESSION_OVER = 4401;

/**
 * Keep a socket open. `onMessage(message)` gets parsed JSON; the first of each connection is a snapshot.
 * `onState(state, text)`: "on", "lost" or "off". A connection counts as "on" when its snapshot has come.
 */
export function link(path, { onMessage, onState }) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  let tries = 0, socket = null, silence = 0, retry = 0, since = new Date(), over = false, live = false;

  function open() {
    clearTimeout(retry);
    socket = new WebSocket(url);
    live = false;
    const mine = socket;
    watch();
    socket.onmessage = ({ data }) => {
      if (mine !== socket) return;
      watch();
      const message = JSON.parse(data);
      if (message.type === "snapshot") {
        live = true;
        tries = 0;
        onState("on", "Live");
      }
      if (live) since = new Date();
      onMessage(message);
    };
    socket.onclose = ({ code }) => { if (mine === socket) lost(code); };
  }

  function watch() {
    clearTimeout(silence);
    silence = setTimeout(() => { socket.onclose = null; socket.close(); lost(0); }, SILENT_MS);
  }

  function lost(code) {
    clearTimeout(silence);
    live = false;
    if (over) return;
    if (code === SESSION_OVER) {
      over = true;
      onState("lost", "Your session is over. Sign in again to go on.");
      return;
    }
    const wait = WAITS_MS[Math.min(tries++, WAITS_MS.length - 1)] * (0.8 + Math.random() * 0.4);
    const at = since.toLocaleTimeString(document.documentElement.lang || "en", { hour12: false });
    onState("lost", `Not connected. This is how it was at ${at}; trying again in ${Math.ceil(wait / 1000)} s.`);
    clearTimeout(retry);
    retry = setTimeout(open, wait);
  }

  window.addEventListener("online", () => { if (!live && !over) { tries = 0; open(); } });
  window.addEventListener("pagehide", () => { over = true; socket.close(); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) { over = false; open(); } });
  onState("off", "Connecting");
  open();
  return { close() { over = true; clearTimeout(silence); clearTimeout(retry); socket.close(); } };
}

/** Run `work` once in the next frame, however often it is asked for; in the background now and then. */
export function framed(work) {
  let asked = false;
  const run = () => { asked = false; work(); };
  return () => {
    if (asked) return;
    asked = true;
    if (document.hidden) setTimeout(run, 500);
    else requestAnimationFrame(run);
  };
}

/** Show a link's state: the words, the dot, and everything in `[data-live]` greyed while it is old. */
export function showState(state, text) {
  for (const place of document.querySelectorAll("[data-link]")) {
    place.dataset.link = state;
    place.querySelector("[data-link-text]").textContent = text;
  }
  for (const part of document.querySelectorAll("[data-board], [data-live]")) {
    part.classList.toggle("stale", state === "lost");
    part.setAttribute("aria-busy", String(state !== "on"));
  }
}

export const STATES = {
  queued: ["Waiting", "quiet"], dialing: ["Dialing", "info"], ringing: ["Ringing", "info"],
  talking: ["Talking", "live"], tool: ["Tool running", "warn"], operator: ["Operator talks", "live"],
  wrapping: ["Wrapping up", "quiet"], ended: ["Over", "quiet"],
};

/** Put a turn's row before those that come after it in the conversation: words come in another order than turns. */
export function place(row, position) {
  if (position === undefined || position === null || row.position === position) return;
  row.position = position;
  let first = null;
  for (let other = row.previousElementSibling; other; other = other.previousElementSibling) if (other.position > position) first = other;
  first?.before(row);
}

export function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

export function clock(from, to = Date.now()) {
  const seconds = Math.max(0, Math.floor((to - from) / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return (hours ? `${hours}:${two(Math.floor(seconds / 60) % 60)}` : String(Math.floor(seconds / 60))) + `:${two(seconds % 60)}`;
}

export function delay(ms) {
  if (ms === null || ms === undefined) return "";
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms} ms`;
}
