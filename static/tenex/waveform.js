// The picture of a recording: caller above, agent below, on a canvas. The transcript is its equivalent for
// who does not see it; this only draws.

const BAR = 2;
const GAP = 1;

/** Levels of both channels: `at(channel, ms)` 0 to 255. */
export class Peaks {
  constructor(bytes, perSecond) {
    this.bytes = bytes;
    this.perSecond = perSecond;
    this.steps = bytes.length >> 1;
  }

  step(ms) {
    return Math.max(0, Math.min(this.steps, Math.floor((ms * this.perSecond) / 1000)));
  }

  /** The loudest of the steps from `first` up to `last`. */
  top(channel, first, last) {
    let most = 0;
    for (let step = first; step < last; step++) most = Math.max(most, this.bytes[2 * step + channel]);
    return most;
  }
}

export class Waveform {
  /** `marks`: `{ms, kind}` with kind `tool` or `cut`. */
  constructor(canvas, marks) {
    this.canvas = canvas;
    this.marks = marks;
    this.known = new Map();
    this.peaks = null;
    this.durationMs = 1;
    this.atMs = 0;
    this.span = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    const repaint = () => {
      this.known.clear();
      this.draw();
    };
    new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  }

  /** A token of tokens.css as the canvas takes it. */
  colour(token) {
    if (!this.known.has(token)) {
      this.canvas.style.color = `var(--${token})`;
      this.known.set(token, getComputedStyle(this.canvas).color);
    }
    return this.known.get(token);
  }

  draw() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    if (!width) return;
    const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) [this.canvas.width, this.canvas.height] = [wide, high];
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const x = (ms) => (Math.max(0, Math.min(ms, this.durationMs)) / this.durationMs) * width;
    if (this.span) {
      pen.fillStyle = this.colour("accent-soft");
      pen.fillRect(x(this.span[0]), 0, Math.max(2, x(this.span[1]) - x(this.span[0])), height);
    }
    const lane = height / 2;
    const played = x(this.atMs);
    for (const [channel, name] of [[0, "caller"], [1, "agent"]]) {
      pen.fillStyle = this.colour(name);
      const middle = lane * channel + lane / 2;
      for (let left = 0; left < width; left += BAR + GAP) {
        const size = this.size(channel, left / width, (left + BAR + GAP) / width) * (lane - 6);
        pen.globalAlpha = left < played ? 1 : 0.5;
        pen.fillRect(left, middle - Math.max(1, size) / 2, BAR, Math.max(1, size));
      }
    }
    pen.globalAlpha = 1;
    pen.fillStyle = this.colour("line");
    pen.fillRect(0, lane - 0.5, width, 1);
    for (const mark of this.marks) {
      pen.fillStyle = this.colour(mark.kind === "tool" ? "info" : "warn");
      pen.beginPath();
      if (mark.kind === "tool") pen.arc(x(mark.ms), lane, 3, 0, 2 * Math.PI);
      else pen.rect(x(mark.ms) - 0.75, lane + 2, 1.5, lane - 4);
      pen.fill();
    }
    pen.fillStyle = this.colour("text");
    pen.fillRect(Math.min(width - 2, Math.max(0, played - 1)), 0, 2, height);
  }

  size(channel, from, to) {
    if (!this.peaks) return 0;
    const first = this.peaks.step(from * this.durationMs);
    const last = Math.max(first + 1, this.peaks.step(to * this.durationMs));
    return this.peaks.top(channel, first, Math.min(last, this.peaks.steps)) / 255;
  }
}
