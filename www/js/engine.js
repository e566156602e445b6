// Holds the one loaded model. A model that is lost, or has run out of memory, is loaded again for the next recording.
import { failure, problem } from "./messages.js";

/** Tells `change` whenever what it is doing changes, and `ready` once a model is loaded. */
class Engine extends EventTarget {
  /** @type {any} the class CandleWhisper, once its module is here */
  library = null;
  /** @type {any} */
  whisper = null;
  /** @type {"idle" | "loading" | "ready" | "failed"} */
  state = "idle";
  /** @type {{loaded: number, total: number}} */
  progress = { loaded: 0, total: 0 };
  /** @type {import("./messages.js").Problem | null} */
  problem = null;
  /** What is to be known of the fetching, such as that nothing could be kept. */
  note = "";
  /** @type {any} a name, or the files of a model: what `get` gives from now on */
  model = null;
  /** What its products are of, as the library's `dtype` has it. @type {"f32" | "quantised"} */
  dtype = "quantised";
  /** @type {{model: any, dtype: string} | null} what is loaded, or being loaded */
  #held = null;
  /** @type {Promise<any> | null} */
  #loading = null;
  #abort = new AbortController();

  /** The library's module. @returns {Promise<any>} */
  async open() {
    try {
      this.library ??= (await import("../pkg/candle-whisper.js")).CandleWhisper;
    } catch (error) {
      throw failure("engine", /** @type {Error} */ (error).message);
    }
    return this.library;
  }

  /** The wanted model, loaded; the load is shared by all who ask meanwhile. @returns {Promise<any>} */
  get() {
    const { model, dtype } = this;
    if (this.#held?.model !== model || this.#held?.dtype !== dtype) this.drop();
    if (this.whisper) return Promise.resolve(this.whisper);
    this.#held = { model, dtype };
    this.#loading ??= this.#load(this.#abort.signal);
    return this.#loading;
  }

  /** @param {AbortSignal} signal */
  async #load(signal) {
    this.#tell("loading");
    /** @type {Map<string, {loaded: number, total: number}>} */
    const files = new Map();
    const onProgress = (/** @type {any} */ { file, loaded, total, note }) => {
      if (signal.aborted) return;
      if (note) this.note = note;
      files.set(file, { loaded, total });
      const sum = (/** @type {"loaded" | "total"} */ key) => [...files.values()].reduce((n, f) => n + (f[key] || 0), 0);
      this.progress = { loaded: sum("loaded"), total: sum("total") };
      this.dispatchEvent(new Event("change"));
    };
    try {
      const library = await this.open();
      const whisper = await library.load({ model: this.model, dtype: this.dtype, onProgress, signal });
      if (signal.aborted) {
        whisper.dispose();
        throw failure("aborted");
      }
      this.whisper = whisper;
      this.#tell("ready");
      return whisper;
    } catch (error) {
      if (!signal.aborted) {
        this.problem = problem(error);
        this.#loading = null;
        this.#tell("failed");
      }
      throw error;
    }
  }

  /** Lets the model go, whether it is loaded, being loaded or beyond use. */
  drop() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#loading = null;
    try {
      this.whisper?.dispose();
    } catch {
      // Its worker is gone already.
    }
    this.whisper = null;
    this.#held = null;
    this.problem = null;
    this.progress = { loaded: 0, total: 0 };
    this.#tell("idle");
  }

  /** @param {Engine["state"]} state */
  #tell(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
    if (state === "ready") this.dispatchEvent(new Event("ready"));
  }
}

export const engine = new Engine();
