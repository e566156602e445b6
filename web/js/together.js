// Several recordings: their windows in one batch with the option `batch`, else one recording after the other. Which window is
// decoded when is the core's to say; here recordings are taken as there is room for them, and let go.

import { CandleWhisperError, aborted, asError, check } from "./errors.js";
import { within } from "./events.js";
import { hear } from "./input.js";

/** @typedef {import("./types.js").TranscribeAllEvent} TranscribeAllEvent */
/** @typedef {import("./types.js").TranscribeEvent} TranscribeEvent */
/** @typedef {import("./types.js").Input} Input */
/** @typedef {{json: string, vad: boolean, batch: boolean}} Options as the core has them, whether they need its ears, and places in a batch */

/**
 * Transcribes one recording.
 * @param {import("./client.js").Client} client
 * @param {Input} input
 * @param {Options} options
 * @param {AbortSignal} signal
 * @param {(event: TranscribeEvent) => void} tell
 */
export function transcribeOne(client, input, { json, vad }, signal, tell) {
  return client.exclusively(signal, async (run) => {
    if (vad) await run("vad");
    tell({ type: "audio", duration: await hear(input, run, tell) });
    tell({ type: "done", transcript: await run("transcribe", { options: json }, tell) });
  });
}

/**
 * Transcribes them all; an error of one is told as its `failed`, and the others go on.
 * @param {import("./client.js").Client} client
 * @param {Iterable<import("./types.js").Recording>} recordings
 * @param {Options} options
 * @param {AbortSignal} signal
 * @param {(event: TranscribeAllEvent) => void} tell
 */
export async function transcribeEach(client, recordings, options, signal, tell) {
  const row = new Row(recordings, tell);
  try {
    // One that ends because all it had was cancelled may leave others.
    while (!row.isOver) await (options.batch ? oneBatch : oneRecording)(client, row, options, signal);
  } finally {
    row.close();
  }
}

/** The recordings that were given, taken one by one, and what is told of each. */
class Row {
  #given;
  #tell;
  #taken = 0;
  /** How each that is under way stops to hear of its signal, by number. @type {Map<number, () => void>} */
  #open = new Map();
  /** Whether all were taken. */
  isOver = false;
  /** Told of one under way that its signal has ended. */
  onCancel = (/** @type {number} */ _number) => {};

  /**
   * @param {Iterable<import("./types.js").Recording>} recordings
   * @param {(event: TranscribeAllEvent) => void} tell
   */
  constructor(recordings, tell) {
    this.#given = recordings[Symbol.iterator]();
    this.#tell = tell;
  }

  /** The next one that is not cancelled yet. @returns {{number: number, input: Input} | null} */
  next() {
    for (;;) {
      const value = this.#pull();
      if (this.isOver) return null;
      const number = this.#taken++;
      const { input, signal } = withSignal(value);
      const cancel = () => {
        this.fail(number, aborted());
        this.onCancel(number);
      };
      this.#open.set(number, () => signal?.removeEventListener("abort", cancel));
      try {
        if (signal?.aborted) throw aborted();
        if (input !== value) check(/** @type {object} */ (value), ["input", "signal"], "a recording");
      } catch (error) {
        this.fail(number, error);
        continue;
      }
      signal?.addEventListener("abort", cancel, { once: true });
      return { number, input };
    }
  }

  #pull() {
    try {
      const { done, value } = this.#given.next();
      this.isOver = done === true;
      return value;
    } catch (error) {
      this.isOver = true;
      throw error;
    }
  }

  /** Whether nobody waits for any of those that were taken. */
  get isIdle() {
    return this.#open.size === 0;
  }

  /** Whether somebody waits for this one. @param {number} number */
  has(number) {
    return this.#open.has(number);
  }

  /** @param {number} number @param {TranscribeEvent | {type: "failed", error: unknown}} event */
  tell(number, event) {
    if (event.type === "failed") return this.fail(number, event.error);
    if (!this.has(number)) return;
    this.#tell({ recording: number, ...event });
    if (event.type === "done") this.#forget(number);
  }

  /** @param {number} number @param {unknown} error */
  fail(number, error) {
    if (!this.has(number)) return;
    this.#tell({ recording: number, type: "failed", error: asError(error, "model") });
    this.#forget(number);
  }

  /** @param {number} number */
  #forget(number) {
    this.#open.get(number)?.();
    this.#open.delete(number);
  }

  /** Hears of no signal any more, and takes no more. */
  close() {
    for (const number of [...this.#open.keys()]) this.#forget(number);
    if (!this.isOver) this.#given.return?.();
    this.isOver = true;
  }
}

/**
 * @param {unknown} recording
 * @returns {{input: Input, signal?: AbortSignal}}
 */
function withSignal(recording) {
  const has = typeof recording === "object" && recording !== null && "input" in recording;
  return has ? /** @type {any} */ (recording) : { input: /** @type {Input} */ (recording) };
}

/**
 * The next recording, alone.
 * @param {import("./client.js").Client} client
 * @param {Row} row
 * @param {Options} options
 * @param {AbortSignal} outer
 */
async function oneRecording(client, row, options, outer) {
  const next = row.next();
  if (!next) return;
  const { number, input } = next;
  const { signal, stop, release } = within(outer);
  row.onCancel = stop;
  try {
    await transcribeOne(client, input, options, signal, (event) => row.tell(number, event));
  } catch (error) {
    if (outer.aborted) throw error;
    row.fail(number, error);
  } finally {
    release();
  }
}

/**
 * As many as there are, in one batch; fewer if those under way have been cancelled, which ends it at once.
 * @param {import("./client.js").Client} client
 * @param {Row} row
 * @param {Options} options
 * @param {AbortSignal} outer
 */
async function oneBatch(client, row, { json, vad }, outer) {
  const { signal, stop, release } = within(outer);
  /** @type {unknown} what ended it but for a signal */
  let failure = null;
  const work = client.exclusively(signal, async (run) => {
    if (vad) await run("vad");
    /** @type {Set<number>} those that the worker has */
    const inside = new Set();
    row.onCancel = (number) => {
      if (row.isIdle) stop();
      else if (inside.has(number)) run("leave", { number }).catch(() => {});
    };
    const bring = async () => {
      while (!signal.aborted) {
        const next = row.next();
        if (!next) break;
        const { number, input } = next;
        try {
          const duration = await hear(input, run, (event) => row.tell(number, event));
          if (!row.has(number)) continue;
          row.tell(number, { type: "audio", duration });
          inside.add(number);
          return await run("join", { number });
        } catch (error) {
          row.fail(number, error);
          // What it had of the others is lost with it.
          if (!client.isUp) throw error;
        }
      }
      await run("noMore");
    };
    let bringing = Promise.resolve();
    const onEvent = (/** @type {any} */ { recording, ...event }) => {
      if (event.type !== "more") return row.tell(recording, event);
      bringing = bring().catch((error) => {
        failure = error;
        // Who gives the recordings may have thrown: those that are here are finished.
        if (client.isUp) return run("noMore").catch(() => {});
      });
    };
    await run("together", { options: json }, onEvent).finally(() => bringing);
    if (failure) throw failure;
  });
  try {
    await work;
  } catch (error) {
    if (outer.aborted || !signal.aborted) throw outer.aborted ? error : asError(failure ?? error, "model");
  } finally {
    release();
  }
}

/**
 * @param {unknown} recordings
 * @returns {asserts recordings is Iterable<import("./types.js").Recording>}
 */
export function checkList(recordings) {
  const isList = typeof Object(recordings)[Symbol.iterator] === "function" && typeof recordings !== "string" && !ArrayBuffer.isView(recordings);
  if (isList) return;
  const words = "transcribeAll takes an array of recordings, or something else that can be iterated over; one alone is for transcribe";
  throw new CandleWhisperError("bad-option", words);
}
