// Browsers and Node: the worker that computes, its module and its threads, and bytes that are read at once.

import { CandleWhisperError } from "./errors.js";
import { browserWorker, isNode, node, nodeWorker } from "./runtime.js";

/** @typedef {{size: number, read: (offset: number, length: number) => Uint8Array, close: () => void}} Source */

/**
 * Starts the worker that computes.
 * @param {(message: any) => void} onMessage
 * @param {(words: string) => void} onDeath
 * @returns {Promise<import("./runtime.js").WorkerHandle>}
 */
export async function startWorker(onMessage, onDeath) {
  if (isNode) return nodeWorker(new URL("./worker.js", import.meta.url), onMessage, onDeath);
  // Bundlers know a worker by these very words.
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "candle-whisper" });
  return browserWorker(worker, onMessage, onDeath);
}

/** More threads than this gain little. */
const MOST_THREADS = 8;

/**
 * How many threads to compute with: one where workers may not share memory.
 * @param {number} [wanted] one per processor if not given
 */
export async function threads(wanted) {
  if (wanted !== undefined && !(Number.isInteger(wanted) && wanted > 0)) {
    throw new CandleWhisperError("bad-option", `option \`threads\` of load must be a positive integer, not ${wanted}`);
  }
  if (!isNode && !globalThis.crossOriginIsolated) return 1;
  const processors = isNode ? (await node("os")).availableParallelism() : navigator.hardwareConcurrency;
  return wanted ?? Math.min(processors || 1, MOST_THREADS);
}

/** The compiled module. In a page a worker compiles it: its own thread would stand still for a twentieth of a second. */
export async function compile() {
  if (isNode) return compileHere();
  /** @type {import("./runtime.js").WorkerHandle | undefined} */
  let worker;
  try {
    return await new Promise((resolve, reject) => {
      const onMessage = (/** @type {any} */ { result, error }) => (error ? reject(new TypeError(error.message)) : resolve(result));
      const onDeath = (/** @type {string} */ words) => reject(new TypeError(words));
      startWorker(onMessage, onDeath).then((started) => {
        worker = started;
        worker.post({ id: 1, op: "compile" });
      }, reject);
    });
  } finally {
    worker?.terminate();
  }
}

/** A module that returns `f32x4.relaxed_madd` of zeros. */
const RELAXED = [
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, // \0asm, version 1
  1, 5, 1, 0x60, 0, 1, 0x7b, // types: () -> v128
  3, 2, 1, 0, // functions: one, of the first type
  10, 19, 1, 17, 0, ...[1, 2, 3].flatMap(() => [0x41, 0, 0xfd, 0x0f]), 0xfd, 0x85, 0x02, 0x0b, // its code: i8x16.splat(0) three times
];

/**
 * Compiles the module on this thread: the one with relaxed SIMD (products added in one instruction) where it is known.
 * @returns {Promise<WebAssembly.Module>}
 */
export async function compileHere() {
  const url = WebAssembly.validate(new Uint8Array(RELAXED))
    ? new URL("./candle_whisper_web_relaxed.wasm", import.meta.url)
    : new URL("./candle_whisper_web_bg.wasm", import.meta.url);
  if (url.protocol === "file:") return WebAssembly.compile(await (await node("fs/promises")).readFile(url));
  const response = await fetch(url);
  if (!response.ok) throw new TypeError(`${url}: the server says ${response.status}`);
  // Servers that do not know the type of wasm are common.
  if (response.headers.get("content-type") !== "application/wasm") return WebAssembly.compile(await response.arrayBuffer());
  return WebAssembly.compileStreaming(response);
}

/**
 * In the worker: bytes of a Blob, or of a file of Node's by its URL, that can be read at once.
 * @param {Blob | string} file
 * @returns {Promise<Source>}
 */
export async function source(file) {
  if (typeof file === "string") return fileSource(file);
  const close = () => {};
  if ("FileReaderSync" in globalThis) {
    // @ts-expect-error only workers have it
    const reader = new FileReaderSync();
    const read = (/** @type {number} */ offset, /** @type {number} */ length) =>
      new Uint8Array(reader.readAsArrayBuffer(file.slice(offset, offset + length)));
    return { size: file.size, read, close };
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length), close };
}

/**
 * @param {string} url
 * @returns {Promise<Source>}
 */
async function fileSource(url) {
  const fs = await node("fs");
  const file = fs.openSync(new URL(url), "r");
  const { size } = fs.fstatSync(file);
  const read = (/** @type {number} */ offset, /** @type {number} */ length) => {
    const bytes = new Uint8Array(Math.min(length, size - offset));
    let n = 0;
    while (n < bytes.length) {
      const more = fs.readSync(file, bytes, n, bytes.length - n, offset + n);
      if (more === 0) break;
      n += more;
    }
    return bytes.subarray(0, n);
  };
  return { size, read, close: () => fs.closeSync(file) };
}
