// The worker as seen by its caller: one job at a time, and a new worker whenever the old one had to be ended.

import { CandleWhisperError, aborted, asError } from "./errors.js";
import { startWorker } from "./platform.js";

/** Milliseconds in which a worker should have heard that it is to stop; then it is ended. */
const PATIENCE = 500;

/**
 * @typedef {object} Job
 * @property {(result: any) => void} resolve
 * @property {(error: CandleWhisperError) => void} reject
 * @property {(event: any) => void} tell
 */

/** Runs what is asked of it, in a worker. */
export class Client {
  #module;
  #threads;
  /** @type {import("./runtime.js").WorkerHandle | null} */
  #worker = null;
  /** @type {Int32Array | null} */
  #flag = null;
  /** @type {Map<number, Job>} */
  #jobs = new Map();
  #lastId = 0;
  /** @type {Promise<void>} the end of the line of those who wait */
  #last = Promise.resolve();
  #disposed = false;
  #generation = 0;
  /** Brings a new worker to where the last one was. */
  #revive = async (/** @type {Run} */ _run) => {};

  /**
   * @param {WebAssembly.Module} module
   * @param {number} threads
   */
  constructor(module, threads) {
    this.#module = module;
    this.#threads = threads;
  }

  /** @param {(run: Run) => Promise<void>} revive */
  set revive(revive) {
    this.#revive = revive;
  }

  /**
   * Has the worker for itself while `work` runs. When `signal` says so, it ends at once, and the worker soon after.
   * @template T
   * @param {AbortSignal | undefined} signal
   * @param {(run: Run) => Promise<T>} work
   * @returns {Promise<T>}
   */
  exclusively(signal, work) {
    if (this.#disposed) return Promise.reject(new CandleWhisperError("model", "the model has been disposed of"));
    const turn = this.#last;
    let stop = () => {};
    const stopping = new Promise((_, reject) => (stop = () => reject(aborted())));
    // Who does not come to wait for it is not to hear of it either.
    stopping.catch(() => {});
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    const working = turn.then(async () => {
      if (signal?.aborted) throw aborted();
      return work((op, message, tell, transfer) => this.#call(op, message ?? {}, tell, transfer, signal));
    });
    const end = () => signal?.removeEventListener("abort", stop);
    this.#last = working.then(end, end);
    return /** @type {Promise<T>} */ (Promise.race([working, stopping]));
  }

  /** Number of the worker; a new one knows nothing of what the last one kept. */
  get generation() {
    return this.#generation;
  }

  /** Whether there is a worker, with all that it was given. */
  get isUp() {
    return this.#worker !== null;
  }

  /** Ends the worker and what it does. */
  dispose() {
    this.#disposed = true;
    this.#end(new CandleWhisperError("aborted", "the model has been disposed of"));
  }

  /**
   * @param {string} op
   * @param {object} message
   * @param {((event: any) => void) | undefined} tell
   * @param {Transferable[] | undefined} transfer
   * @param {AbortSignal | undefined} signal
   */
  async #call(op, message, tell, transfer, signal) {
    if (!this.#worker) {
      await this.#start();
      await this.#revive((op, message, tell) => this.#send(op, message ?? {}, tell, undefined, signal));
    }
    return this.#send(op, message, tell, transfer, signal);
  }

  async #start() {
    if (this.#disposed) throw new CandleWhisperError("aborted", "the model has been disposed of");
    const onMessage = (/** @type {any} */ message) => this.#receive(message);
    const onDeath = (/** @type {string} */ words) => this.#end(new CandleWhisperError("model", `the worker failed: ${words}`));
    this.#generation += 1;
    this.#worker = await startWorker(onMessage, onDeath);
    const shared = "SharedArrayBuffer" in globalThis ? new SharedArrayBuffer(4) : null;
    this.#flag = shared && new Int32Array(shared);
    await this.#send("open", { module: this.#module, shared, threads: this.#threads });
  }

  /**
   * @param {string} op
   * @param {object} message
   * @param {((event: any) => void)} [tell]
   * @param {Transferable[]} [transfer]
   * @param {AbortSignal} [signal]
   */
  #send(op, message, tell = () => {}, transfer = [], signal = undefined) {
    const worker = this.#worker;
    if (!worker || signal?.aborted) return Promise.reject(aborted());
    const id = ++this.#lastId;
    const job = new Promise((resolve, reject) => this.#jobs.set(id, { resolve, reject, tell }));
    const stop = () => this.#stop(id);
    signal?.addEventListener("abort", stop, { once: true });
    worker.hold(true);
    try {
      worker.post({ id, op, ...message }, transfer);
    } catch (error) {
      // What can't be sent will not be answered.
      this.#receive({ id, error: { code: "bad-option", message: asError(error, "bad-option").message } });
    }
    return job.finally(() => {
      signal?.removeEventListener("abort", stop);
      if (this.#jobs.size === 0) this.#worker?.hold(false);
    });
  }

  /** @param {number} id */
  #stop(id) {
    if (this.#flag) Atomics.store(this.#flag, 0, id);
    this.#worker?.post({ id, op: "stop" });
    setTimeout(() => {
      if (this.#jobs.has(id)) this.#end(aborted());
    }, PATIENCE);
  }

  /** @param {{id: number, event?: any, result?: any, error?: {code: any, message: string}, fatal?: boolean}} message */
  #receive({ id, event, result, error, fatal }) {
    const job = this.#jobs.get(id);
    if (!job) return;
    if (event !== undefined) return job.tell(event);
    this.#jobs.delete(id);
    if (!error) return job.resolve(result);
    job.reject(new CandleWhisperError(error.code, error.message));
    if (fatal) this.#end(aborted());
  }

  /** @param {CandleWhisperError} error */
  #end(error) {
    this.#worker?.terminate();
    this.#worker = null;
    const jobs = [...this.#jobs.values()];
    this.#jobs.clear();
    jobs.forEach((job) => job.reject(error));
  }
}

/** @typedef {(op: string, message?: object, tell?: (event: any) => void, transfer?: Transferable[]) => Promise<any>} Run */
