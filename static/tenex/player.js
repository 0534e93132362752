// A recording that plays with its words: seeking, speed, keys, the line and the word that are heard now.
import { Peaks, Waveform } from "./waveform.js";

const KEYS_OFF = "tenex.call.keys-off";
const LOUD = 24; // of 255: below it a channel is silent
const QUIET_SHARE = 0.04; // what a silent step counts against a loud one, so that words never stand still
const LEAD_MS = 120; // a line is heard from a little before it

const clock = (ms) => {
  const all = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
};

export class Player {
  constructor(root, list) {
    this.root = root;
    this.audio = root.querySelector("audio");
    this.slider = root.querySelector("[role=slider]");
    this.state = root.querySelector("[data-state]");
    this.offset = Number(root.dataset.offset);
    this.knownMs = Number(root.dataset.duration) || 0;
    this.lines = [...(list?.children ?? [])].map((element) => ({
      element,
      start: Number(element.dataset.start),
      end: Number(element.dataset.end),
      speaker: element.dataset.speaker,
      text: element.querySelector(".heard"),
      words: null,
    }));
    this.list = list;
    this.now = null;
    this.word = null;
    this.scrolledAt = 0;
    this.wave = new Waveform(root.querySelector("canvas"), this.marks());
    this.show();
    this.listen();
    this.fetchPeaks();
  }

  get durationMs() {
    return Number.isFinite(this.audio.duration) ? this.audio.duration * 1000 : this.knownMs;
  }

  show() {
    this.audio.removeAttribute("controls");
    this.root.querySelector(".deck").hidden = false;
    this.wave.durationMs = Math.max(1, this.durationMs);
    this.update();
  }

  marks() {
    return this.lines.flatMap(({ element, start, end, speaker }) => {
      if (element.hasAttribute("data-tool")) return [{ ms: start, kind: "tool" }];
      return speaker === "agent" && element.querySelector(".unheard") ? [{ ms: end, kind: "cut" }] : [];
    });
  }

  // --- what a person does

  listen() {
    const { audio, root } = this;
    root.querySelector("[data-play]").addEventListener("click", () => this.toggle());
    for (const button of root.querySelectorAll("[data-skip]")) {
      button.addEventListener("click", () => this.skip(Number(button.dataset.skip)));
    }
    root.querySelector("[data-speed]").addEventListener("change", (event) => {
      audio.playbackRate = Number(event.target.value);
    });
    this.keys = root.querySelector("[data-keys]");
    this.keys.checked = localStorage.getItem(KEYS_OFF) !== "1";
    this.keys.addEventListener("change", () => localStorage.setItem(KEYS_OFF, this.keys.checked ? "0" : "1"));
    this.slider.addEventListener("pointerdown", (event) => {
      this.slider.setPointerCapture(event.pointerId);
      this.seekTo(this.under(event));
    });
    this.slider.addEventListener("pointermove", (event) => {
      if (this.slider.hasPointerCapture(event.pointerId)) this.seekTo(this.under(event));
    });
    this.slider.addEventListener("keydown", (event) => this.onSliderKey(event));
    document.addEventListener("keydown", (event) => this.onKey(event));
    this.list?.addEventListener("click", (event) => this.onLine(event));
    document.addEventListener("click", (event) => {
      const quote = event.target.closest("[data-quote]");
      if (quote) this.onQuote(event, quote);
    });
    for (const name of ["wheel", "touchmove"]) {
      addEventListener(name, () => { this.scrolledAt = performance.now(); }, { passive: true });
    }
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, () => this.onPlaying());
    for (const name of ["loadedmetadata", "seeked", "timeupdate", "durationchange"]) {
      audio.addEventListener(name, () => this.update());
    }
    audio.addEventListener("error", () => this.renew());
  }

  toggle() {
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  play() {
    this.audio.play().catch(() => {}); // refused or failed: `error` tells
  }

  skip(seconds) {
    this.seekTo(this.audio.currentTime * 1000 + seconds * 1000);
  }

  seekTo(ms) {
    this.audio.currentTime = Math.max(0, Math.min(ms, this.durationMs)) / 1000;
    this.update();
  }

  under(event) {
    const { left, width } = this.slider.getBoundingClientRect();
    return ((event.clientX - left) / width) * this.durationMs;
  }

  onSliderKey(event) {
    const now = this.audio.currentTime * 1000;
    const to = {
      ArrowLeft: now - 5000, ArrowDown: now - 1000, ArrowRight: now + 5000, ArrowUp: now + 1000,
      PageDown: now - 30_000, PageUp: now + 30_000, Home: 0, End: this.durationMs,
    }[event.key];
    if (to !== undefined) this.seekTo(to);
    else if (event.key === " ") this.toggle();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  onKey(event) {
    if (!this.keys.checked || event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest("input, textarea, select, [contenteditable], dialog")) return;
    if (event.key === " " && event.target.closest("button, a, summary")) return;
    switch (event.key) {
      case " ": this.toggle(); break;
      case "ArrowLeft": this.skip(-5); break;
      case "ArrowRight": this.skip(5); break;
      case "j": this.step(1); break;
      case "k": this.step(-1); break;
      default: return;
    }
    event.preventDefault();
  }

  /** Hear the next line, or the one before. */
  step(by) {
    const spoken = this.lines.filter((line) => line.text);
    const now = this.audio.currentTime * 1000 + LEAD_MS + 20;
    const at = spoken.findLastIndex((line) => line.start <= now);
    const line = spoken[Math.max(0, Math.min(spoken.length - 1, at + by))];
    if (line) this.hear(line);
  }

  hear(line) {
    this.seekTo(line.start - LEAD_MS);
    this.scrolledAt = 0;
    this.play();
  }

  onLine(event) {
    if (event.target.closest("a, summary, pre, dl") || (!event.target.closest("button") && String(getSelection()))) return;
    const line = this.lines.find(({ element }) => element === event.target.closest("li"));
    if (line && (line.text || event.target.closest("[data-hear]"))) this.hear(line);
  }

  onQuote(event, quote) {
    const line = this.lines.find(({ element }) => element.id === quote.dataset.line);
    if (!line) return;
    event.preventDefault();
    for (const old of document.querySelectorAll(".w.quoted")) old.classList.remove("quoted");
    const [first, last] = [Number(quote.dataset.first), Number(quote.dataset.last)];
    const words = this.split(line).filter((word) => word.to > first && word.from < last);
    for (const word of words) word.element.classList.add("quoted");
    this.seekTo((words[0]?.start ?? line.start) - LEAD_MS);
    this.scrolledAt = 0;
    this.bring(line);
    this.play();
  }

  // --- what is heard now

  onPlaying() {
    const button = this.root.querySelector("[data-play]");
    const plays = !this.audio.paused && !this.audio.ended;
    this.root.toggleAttribute("data-plays", plays);
    button.setAttribute("aria-label", plays ? "Pause" : "Play");
    cancelAnimationFrame(this.frame);
    const tick = () => {
      this.update();
      if (!this.audio.paused) this.frame = requestAnimationFrame(tick);
    };
    tick();
  }

  update() {
    const ms = this.audio.currentTime * 1000;
    const duration = Math.max(1, this.durationMs);
    const line = this.lines.findLast((one) => one.text && one.start - LEAD_MS <= ms && ms < one.end + 200) ?? null;
    if (line !== this.now) this.enter(line);
    if (line) this.enterWord(this.split(line).findLast((word) => word.start <= ms + 40) ?? null);
    const text = clock(ms);
    const drawn = Math.round(ms / 40);
    if (drawn !== this.drawn || duration !== this.wave.durationMs) {
      this.drawn = drawn;
      Object.assign(this.wave, { atMs: ms, durationMs: duration, span: line ? [line.start, line.end] : null });
      this.wave.draw();
    }
    const told = `${text} of ${clock(duration)}${line ? `, ${line.speaker} speaks` : ""}`;
    if (told !== this.told) {
      this.told = told;
      this.root.querySelector("[data-clock]").textContent = text;
      this.root.querySelector("[data-length]").textContent = clock(duration);
      this.slider.setAttribute("aria-valuemax", String(Math.round(duration)));
      this.slider.setAttribute("aria-valuenow", String(Math.round(ms)));
      this.slider.setAttribute("aria-valuetext", told);
    }
  }

  enter(line) {
    this.now?.element.removeAttribute("data-now");
    this.enterWord(null);
    this.now = line;
    if (!line) return;
    line.element.setAttribute("data-now", "");
    const follows = this.root.querySelector("[data-follow]").checked && performance.now() - this.scrolledAt > 4000;
    if (follows && !this.audio.paused) this.bring(line);
  }

  enterWord(word) {
    if (word === this.word) return;
    this.word?.element.classList.remove("now");
    this.word = word;
    word?.element.classList.add("now");
  }

  /** Into view: within its own box where that scrolls, else on the page, below the player that sticks. */
  bring({ element }) {
    const box = this.list;
    if (box.scrollHeight > box.clientHeight + 4 && getComputedStyle(box).overflowY !== "visible") {
      const [inner, outer] = [element.getBoundingClientRect(), box.getBoundingClientRect()];
      if (inner.top < outer.top + 8 || inner.bottom > outer.bottom - 40) {
        box.scrollTop += inner.top - outer.top - box.clientHeight / 3;
      }
    } else {
      element.scrollIntoView({ block: "nearest" });
    }
  }

  /** A line's words with where they stand in the text and when they are heard, by the sound of its channel. */
  split(line) {
    if (line.words) return line.words;
    const text = line.text.textContent;
    line.text.textContent = "";
    line.words = [];
    for (const match of text.matchAll(/(\S+)(\s*)/gu)) {
      const element = document.createElement("span");
      element.className = "w";
      element.textContent = match[1];
      line.text.append(element, match[2]);
      line.words.push({ element, from: match.index, to: match.index + match[1].length, start: 0 });
    }
    line.length = text.length;
    this.time(line);
    return line.words;
  }

  time(line) {
    const at = this.timeline(line);
    for (const word of line.words) word.start = at(word.from / Math.max(1, line.length));
  }

  /** Share of a line's text (0 to 1) -> milliseconds of the recording. */
  timeline({ start, end, speaker }) {
    const peaks = this.wave.peaks;
    const even = (share) => start + share * (end - start);
    if (!peaks) return even;
    const channel = this.root.dataset.mono || speaker === "caller" ? 0 : 1;
    const [first, last] = [peaks.step(start), peaks.step(end)];
    const sums = [0];
    for (let step = first; step < last; step++) {
      sums.push(sums.at(-1) + (peaks.bytes[2 * step + channel] > LOUD ? 1 : QUIET_SHARE));
    }
    const all = sums.at(-1);
    if (!all) return even;
    return (share) => {
      const reached = sums.findIndex((sum) => sum >= share * all);
      return start + (reached * 1000) / peaks.perSecond;
    };
  }

  // --- what comes from the server

  async fetchPeaks(tries = 40) {
    const answer = await fetch(this.root.dataset.peaks).catch(() => null);
    if (answer?.status === 202 && tries) {
      this.state.textContent = "The waveform is being made…";
      setTimeout(() => this.fetchPeaks(tries - 1), 1500);
      return;
    }
    if (!answer?.ok || answer.status === 202 || answer.headers.get("Content-Type") !== "application/octet-stream") {
      this.state.textContent = "There is no waveform of this recording; it plays all the same.";
      return;
    }
    this.state.textContent = "";
    this.wave.peaks = new Peaks(new Uint8Array(await answer.arrayBuffer()), Number(answer.headers.get("X-Peaks-Per-Second")));
    this.moveTo(Number(answer.headers.get("X-Offset-Ms")));
    this.drawn = -1;
    this.update();
  }

  /** The recording's place on the call's clock is known better now. */
  moveTo(offset) {
    const by = offset - this.offset;
    this.offset = offset;
    for (const line of this.lines) {
      line.start = Math.max(0, line.start + by);
      line.end = Math.max(line.start, line.end + by);
      const button = by ? line.element.querySelector(".at") : null;
      if (button) {
        button.textContent = clock(line.start);
        if (button.hasAttribute("aria-label")) button.setAttribute("aria-label", `Play from ${clock(line.start)}`);
      }
      if (line.words) this.time(line);
    }
    this.wave.marks = this.marks();
  }

  /** The link has run out, as links do after five minutes: ask for another and go on where it stopped. */
  async renew() {
    if (performance.now() - (this.renewedAt ?? -1e9) < 5000) {
      this.state.textContent = "The recording cannot be played right now. Reload the page to try again.";
      return;
    }
    this.renewedAt = performance.now();
    const [at, plays] = [this.audio.currentTime, this.root.hasAttribute("data-plays")];
    const answer = await fetch(this.root.dataset.link, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!answer?.ok) {
      this.state.textContent = answer?.status === 410 ? "The recording was deleted." : "The recording cannot be played right now.";
      return;
    }
    this.audio.src = (await answer.json()).url;
    this.audio.currentTime = at;
    this.audio.playbackRate = Number(this.root.querySelector("[data-speed]").value);
    if (plays) this.play();
  }
}
