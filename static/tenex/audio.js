// Sound of telephone lines in a browser: µ-law, a microphone, a speaker. Every other module builds on these.

export const RATE = 8000;

const DECODED = Float32Array.from({ length: 256 }, (_, byte) => {
  const code = ~byte & 255, exponent = (code >> 4) & 7;
  const level = ((((code & 15) << 3) + 132) << exponent) - 132;
  return (code & 128 ? -level : level) / 32768;
});

/** µ-law bytes as samples from -1 to 1 (ITU-T G.711). */
export const decode = (bytes) => Float32Array.from(bytes, (byte) => DECODED[byte]);

/** Samples from -1 to 1 as µ-law bytes. */
export function encode(samples) {
  return Uint8Array.from(samples, (sample) => {
    const sign = sample < 0 ? 0x80 : 0;
    const level = Math.min(32635, Math.abs(sample) * 32768) + 132;
    const exponent = Math.min(7, Math.max(0, Math.floor(Math.log2(level)) - 7));
    return ~(sign | (exponent << 4) | ((level >> (exponent + 3)) & 15)) & 255;
  });
}

export const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));
export const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** 0 to 100 for -60 dB to full scale, as the server measures it. */
export const loudness = (peak) => (peak > 0.001 ? Math.min(100, Math.max(0, 100 + (100 / 60) * 20 * Math.log10(peak))) : 0);

/**
 * The person's microphone: `onPiece(samples)` gets 8 kHz samples, `ms` long, silence too.
 * Throws what getUserMedia throws when there is none or it is not allowed.
 */
export async function openMicrophone(worklet, ms, onPiece) {
  const voice = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
  });
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule(worklet);
    const node = new AudioWorkletNode(context, "tenex-microphone", { numberOfOutputs: 0, processorOptions: { samples: (RATE * ms) / 1000 } });
    node.port.onmessage = ({ data }) => onPiece(data);
    const source = context.createMediaStreamSource(voice);
    source.connect(node);
    await context.resume();
    return { close() { node.port.onmessage = null; voice.getTracks().forEach((track) => track.stop()); context.close(); } };
  } catch (error) {
    voice.getTracks().forEach((track) => track.stop());
    context.close();
    throw error;
  }
}

/**
 * A speaker with `channels` (1 or 2). `firstMs`: it begins when so much is there; `mostMs`: what waits longer
 * is dropped, oldest first. `onMark(name)` when what came before the mark was played; `onPeaks([left, right])`.
 */
export async function openSpeaker(worklet, { channels = 1, firstMs = 0, mostMs = Infinity, onMark, onPeaks } = {}) {
  const context = new AudioContext({ sampleRate: RATE });
  await context.audioWorklet.addModule(worklet);
  const samples = (ms) => (ms * RATE) / 1000;
  const options = { first: samples(firstMs), most: samples(mostMs) };
  const node = new AudioWorkletNode(context, "tenex-speaker", { numberOfInputs: 0, outputChannelCount: [channels], processorOptions: options });
  node.port.onmessage = ({ data }) => {
    if (data.mark) onMark?.(data.mark);
    if (data.peaks) onPeaks?.(data.peaks);
  };
  node.connect(context.destination);
  await context.resume();
  return {
    play: (...sides) => node.port.postMessage({ samples: sides }),
    mark: (name) => node.port.postMessage({ mark: name }),
    clear: () => node.port.postMessage("clear"),
    close: () => context.close(),
  };
}

/** What went wrong with the microphone, in words. */
export function microphoneFault(error) {
  if (error?.name === "NotAllowedError") return "The browser does not allow the microphone. Allow it for this page and try again.";
  if (error?.name === "NotFoundError") return "There is no microphone.";
  if (!navigator.mediaDevices) return "Microphones need https (or localhost).";
  return `The microphone cannot be used: ${error?.message ?? error}`;
}
