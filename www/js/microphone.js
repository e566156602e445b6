// Records from the microphone by an AudioWorklet, at the rate the browser gives; the library resamples.
import { failure } from "./messages.js";
import { wav } from "./wav.js";

/** @type {Record<string, string>} */
const REFUSALS = { NotAllowedError: "microphone-refused", SecurityError: "microphone-refused", NotFoundError: "no-microphone" };

/**
 * Starts to record.
 * @param {(level: number, seconds: number) => void} onLevel the loudest sample of a block, 0 to 1
 * @param {(samples: Float32Array, rate: number) => void} [onSamples] each block
 * @returns {Promise<{stop(): Blob, lost: Promise<void>}>} `lost` is kept when the microphone goes away
 */
export async function record(onLevel, onSamples = () => {}) {
  const stream = await open();
  const context = new AudioContext();
  try {
    await context.audioWorklet.addModule(new URL("./recorder-worklet.js", import.meta.url));
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
    throw failure("microphone-busy", /** @type {Error} */ (error).message);
  }
  /** @type {Float32Array[]} */
  const blocks = [];
  let length = 0;
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  node.port.onmessage = ({ data }) => {
    blocks.push(data);
    length += data.length;
    onSamples(data, context.sampleRate);
    onLevel(data.reduce((/** @type {number} */ most, /** @type {number} */ x) => Math.max(most, Math.abs(x)), 0), length / context.sampleRate);
  };
  context.createMediaStreamSource(stream).connect(node);
  await context.resume();

  const stop = () => {
    node.port.onmessage = null;
    stream.getTracks().forEach((track) => track.stop());
    const rate = context.sampleRate;
    context.close();
    const all = new Float32Array(length);
    let at = 0;
    for (const block of blocks) {
      all.set(block, at);
      at += block.length;
    }
    return wav(all, rate);
  };
  const lost = new Promise((resolve) => stream.getAudioTracks()[0].addEventListener("ended", resolve));
  return { stop, lost: /** @type {Promise<void>} */ (lost) };
}

async function open() {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    throw failure(!navigator.mediaDevices ? "microphone-refused" : (REFUSALS[name] ?? "microphone-busy"), message);
  }
}
