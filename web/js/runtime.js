// Browsers and Node: what workers and those who start them have in common. Names no worker: bundlers would go in circles.

/** @typedef {{post: (message: unknown, transfer?: Transferable[]) => void, terminate: () => void, hold: (busy: boolean) => void}} WorkerHandle */

const { process } = /** @type {{process?: {versions?: {node?: string}}}} */ (globalThis);
export const isNode = !!process?.versions?.node && typeof globalThis.document === "undefined";

/**
 * A module of Node's, out of the sight of bundlers.
 * @param {string} name
 * @returns {Promise<any>}
 */
export const node = (name) => import(/* @vite-ignore */ /* webpackIgnore: true */ `node:${name}`);

/**
 * A worker of Node's.
 * @param {URL} url
 * @param {(message: any) => void} onMessage
 * @param {(words: string) => void} onDeath
 * @returns {Promise<WorkerHandle>}
 */
export async function nodeWorker(url, onMessage, onDeath) {
  const { Worker } = await node("worker_threads");
  const worker = new Worker(url);
  worker.on("message", onMessage);
  worker.on("error", (/** @type {Error} */ error) => onDeath(error.message));
  worker.unref();
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    terminate: () => void worker.terminate(),
    hold: (busy) => (busy ? worker.ref() : worker.unref()),
  };
}

/**
 * A worker of a browser's, which must be made where its address is written out: bundlers know it by that.
 * @param {Worker} worker
 * @param {(message: any) => void} onMessage
 * @param {(words: string) => void} onDeath
 * @returns {WorkerHandle}
 */
export function browserWorker(worker, onMessage, onDeath) {
  worker.onmessage = ({ data }) => onMessage(data);
  worker.onerror = (event) => onDeath(event.message || "the worker could not be started");
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    terminate: () => worker.terminate(),
    hold: () => {},
  };
}

/**
 * In the worker: what answers, and who is told of messages.
 * @param {(message: any) => void} onMessage
 * @returns {Promise<(message: unknown, transfer?: Transferable[]) => void>}
 */
export async function answer(onMessage) {
  if (isNode) {
    const { parentPort } = await node("worker_threads");
    parentPort.on("message", onMessage);
    return (message, transfer = []) => parentPort.postMessage(message, transfer);
  }
  globalThis.addEventListener("message", ({ data }) => onMessage(data));
  return (message, transfer = []) => globalThis.postMessage(message, { transfer });
}
