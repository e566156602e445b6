// The helpers of the thread that computes, in workers of their own.

import { hire } from "./candle_whisper_web.js";
import { browserWorker, isNode, nodeWorker } from "./runtime.js";

/** Milliseconds in which a helper should be there. */
const PATIENCE = 10_000;

/**
 * Starts so many helpers, or as many as can be had. Nothing may be computed meanwhile: where the stacks of helpers come
 * from can't be asked by two at once.
 * @param {WebAssembly.Module} module
 * @param {WebAssembly.Memory} memory the module's, which must be shared
 * @param {number} wanted
 */
export async function startHelpers(module, memory, wanted) {
  const helpers = await Promise.all(Array.from({ length: wanted }, () => helper(module, memory)));
  const ready = helpers.filter((helper) => helper !== null);
  if (ready.length === 0) return;
  const turn = hire(new Int32Array(memory.buffer), ready.length);
  ready.forEach((helper, i) => helper.post({ turn, thread: i + 1 }));
}

/**
 * @param {WebAssembly.Module} module
 * @param {WebAssembly.Memory} memory
 * @returns {Promise<import("./runtime.js").WorkerHandle | null>} null if it can't be had
 */
function helper(module, memory) {
  return new Promise((resolve) => {
    const started = startHelper(() => done(true), () => done(false));
    const late = setTimeout(() => done(false), PATIENCE);
    const done = async (/** @type {boolean} */ isReady) => {
      clearTimeout(late);
      const worker = await started.catch(() => null);
      if (!isReady) worker?.terminate();
      resolve(isReady ? worker : null);
    };
    started.then((worker) => worker.post({ module, memory })).catch(() => done(false));
  });
}

/**
 * @param {(message: any) => void} onMessage
 * @param {(words: string) => void} onDeath
 */
async function startHelper(onMessage, onDeath) {
  if (isNode) return nodeWorker(new URL("./helper.js", import.meta.url), onMessage, onDeath);
  const worker = new Worker(new URL("./helper.js", import.meta.url), { type: "module", name: "candle-whisper helper" });
  return browserWorker(worker, onMessage, onDeath);
}
