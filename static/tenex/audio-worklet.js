// The two ends of a telephone line in a browser's audio thread.

const RATE = 8000;

/** A microphone at whatever rate the context has, as pieces of 8 kHz samples. */
registerProcessor("tenex-microphone", class extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.size = processorOptions.samples; // of one piece
    this.piece = new Float32Array(this.size);
    this.filled = 0;
    this.step = sampleRate / RATE;
    this.sum = 0;
    this.weight = 0;
  }

  process([[input]]) {
    const samples = input ?? new Float32Array(128); // no sound is silence, and silence is sent
    for (let n = 0; n < samples.length; n++) {
      // The mean over each 8 kHz sample's stretch of time: a plain low-pass, and exact in the long run.
      let left = 1;
      while (this.weight + left >= this.step) {
        const part = this.step - this.weight;
        this.put((this.sum + samples[n] * part) / this.step);
        left -= part;
        this.sum = this.weight = 0;
      }
      this.sum += samples[n] * left;
      this.weight += left;
    }
    return true;
  }

  put(sample) {
    this.piece[this.filled++] = sample;
    if (this.filled < this.size) return;
    this.port.postMessage(this.piece, [this.piece.buffer]);
    this.piece = new Float32Array(this.size);
    this.filled = 0;
  }
});

/** Plays what it is sent, in order: `{samples}` (a channel each) or `{mark}`; "clear" drops what waits. */
registerProcessor("tenex-speaker", class extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.first = processorOptions.first ?? 0; // samples to have before it begins
    this.most = processorOptions.most ?? Infinity; // more than that is late, and dropped
    this.queue = [];
    this.at = this.waiting = 0;
    this.playing = this.first === 0;
    this.peaks = [0, 0];
    this.told = 0;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take(data) {
    if (data === "clear") {
      for (const one of this.queue) if (one.mark) this.port.postMessage({ mark: one.mark });
      this.queue = [];
      this.at = this.waiting = 0;
      return;
    }
    this.queue.push(data);
    if (data.samples) this.waiting += data.samples[0].length;
    while (this.waiting > this.most && this.queue.length > 1) {
      const late = this.queue.shift();
      if (late.samples) this.waiting -= late.samples[0].length - this.at;
      this.at = 0;
    }
    if (this.waiting >= this.first) this.playing = true;
  }

  process(inputs, [output]) {
    const size = output[0].length;
    for (let n = 0; this.playing && n < size && this.queue.length;) {
      const { samples, mark } = this.queue[0];
      if (mark) this.port.postMessage({ mark });
      else {
        for (let side = 0; side < output.length; side++) {
          const value = (samples[side] ?? samples[0])[this.at];
          output[side][n] = value;
          this.peaks[side] = Math.max(this.peaks[side], Math.abs(value));
        }
        n++;
        this.waiting--;
        if (++this.at < samples[0].length) continue;
        this.at = 0;
      }
      this.queue.shift();
    }
    if (this.first && !this.queue.length) this.playing = false; // fill up again before going on
    if ((this.told += size) >= sampleRate / 10) {
      this.port.postMessage({ peaks: this.peaks });
      this.peaks = [0, 0];
      this.told = 0;
    }
    return true;
  }
});
