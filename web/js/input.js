// Recordings on their way to the worker. Nothing here holds the caller's thread for longer than it takes to copy a piece.

import { CandleWhisperError, asError } from "./errors.js";
import { isNode } from "./runtime.js";

/** Samples copied at once. */
const PIECE = 1 << 20;
const SAMPLE_RATE = 16000;

const turn = () => new Promise((resolve) => setTimeout(resolve));

/**
 * Hands a recording to the worker; what the core can't decode, the browser may.
 * @param {import("./types.js").Input} input
 * @param {import("./client.js").Run} run
 * @param {(event: any) => void} [tell] of how far it has been read
 * @returns {Promise<number>} its length in seconds
 */
export async function hear(input, run, tell) {
  if (input instanceof Float32Array) return samples([input], SAMPLE_RATE, run, tell);
  if (isAudioBuffer(input)) return audioBuffer(input, run, tell);
  const isFile = input instanceof URL && input.protocol === "file:";
  if (!isFile && !(input instanceof Blob)) {
    const words = "a recording is a File, a Blob, a Float32Array of 16 kHz, an AudioBuffer or, in Node, a file's URL";
    throw new CandleWhisperError("bad-option", words);
  }
  const name = input instanceof URL ? input.pathname : "name" in input ? String(input.name) : "";
  const hint = /\.(\w+)$/.exec(name)?.[1] ?? "";
  try {
    return await run("decode", { file: input instanceof URL ? input.href : await movable(input), hint }, tell);
  } catch (error) {
    const known = asError(error, "audio");
    if (known.code !== "audio" || !(input instanceof Blob) || !globalThis.OfflineAudioContext) throw known;
    const buffer = await decodedByBrowser(input).catch(() => null);
    if (!buffer) throw known;
    return audioBuffer(buffer, run, tell);
  }
}

/**
 * Node can't hand a Blob of a file to another thread; a URL of it can be.
 * @param {Blob} file
 */
async function movable(file) {
  return isNode ? new Blob([await file.arrayBuffer()]) : file;
}

/** @param {Blob} file */
async function decodedByBrowser(file) {
  const context = new OfflineAudioContext(1, 1, SAMPLE_RATE);
  return context.decodeAudioData(await file.arrayBuffer());
}

/**
 * @param {AudioBuffer} buffer
 * @param {import("./client.js").Run} run
 * @param {(event: any) => void} [tell]
 */
function audioBuffer(buffer, run, tell) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
  return samples(channels, buffer.sampleRate, run, tell);
}

/**
 * @param {Float32Array[]} channels
 * @param {number} rate
 * @param {import("./client.js").Run} run
 * @param {(event: any) => void} [tell]
 */
async function samples(channels, rate, run, tell) {
  const pieces = [];
  const transfer = [];
  for (const channel of channels) {
    const copied = [];
    for (let at = 0; at < channel.length; at += PIECE) {
      const piece = channel.slice(at, at + PIECE);
      copied.push(piece);
      transfer.push(piece.buffer);
      await turn();
    }
    pieces.push(copied);
  }
  return run("samples", { channels: pieces, rate }, tell, transfer);
}

/**
 * @param {unknown} input
 * @returns {input is AudioBuffer}
 */
function isAudioBuffer(input) {
  return typeof Object(input).getChannelData === "function";
}

/**
 * A file of a model as the worker wants it: an address to fetch, a path, or a Blob.
 * @param {string} name
 * @param {import("./types.js").ModelFile} file
 * @param {{sha256?: string, cache: boolean, keep?: "f16" | "q8_0" | "as sent"}} how
 */
export async function modelFile(name, file, { sha256, cache, keep }) {
  const isFetched = typeof file === "string" ? !file.startsWith("file:") : file instanceof URL && file.protocol !== "file:";
  if (name === "weights" && keep !== undefined && !isFetched) {
    throw new CandleWhisperError("bad-option", "option `keep` of load is for weights that are fetched; these are here already");
  }
  if (file instanceof Blob) return movable(file);
  if (file instanceof Uint8Array) return blobOf(file);
  if (typeof file !== "string" && !(file instanceof URL)) {
    throw new CandleWhisperError("bad-option", `\`${name}\` of a model is an address, a Blob or a Uint8Array`);
  }
  const url = new URL(file, globalThis.document?.baseURI);
  if (url.protocol === "file:") return url.href;
  const shown = url.pathname.split("/").pop() || name;
  return { file: shown, url: url.href, optional: name === "generation_config", sha256, cache, keep: name === "weights" ? (keep ?? "f16") : "as sent" };
}

/** @param {Uint8Array} bytes */
async function blobOf(bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += 4 * PIECE) {
    parts.push(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (bytes.subarray(at, at + 4 * PIECE))]));
    await turn();
  }
  return new Blob(parts);
}
