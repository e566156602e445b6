// Speech to text in the browser and in Node: what people import. The network runs in a worker of its own; here are its
// caller's side, and what is quick enough to be done at once.

import init, { checkLiveOptions, checkOptions, estimate as estimateOf, write } from "./candle_whisper_web.js";
import { Client } from "./client.js";
import { CandleWhisperError, asError, check } from "./errors.js";
import { eventsOf } from "./events.js";
import { hear, modelFile } from "./input.js";
import { LiveTranscription } from "./live.js";
import { LANGUAGES } from "./languages.js";
import { KNOWN, filesOf } from "./models.js";
import { compile, threads } from "./platform.js";
import { isNode } from "./runtime.js";
import { clear } from "./store.js";
import { checkList, transcribeEach, transcribeOne } from "./together.js";

export { CandleWhisperError, LiveTranscription };
/** @typedef {import("./types.js").TranscribeOptions} TranscribeOptions */
/** @typedef {import("./types.js").VadOptions} VadOptions */
/** @typedef {import("./types.js").TranscribeEvent} TranscribeEvent */
/** @typedef {import("./types.js").TranscribeAllEvent} TranscribeAllEvent */
/** @typedef {import("./types.js").Recording} Recording */
/** @typedef {import("./types.js").LiveOptions} LiveOptions */
/** @typedef {import("./types.js").LiveEvent} LiveEvent */
/** @typedef {import("./types.js").Transcript} Transcript */
/** @typedef {import("./types.js").Segment} Segment */
/** @typedef {import("./types.js").Word} Word */
/** @typedef {import("./types.js").SubtitleOptions} SubtitleOptions */
/** @typedef {import("./types.js").LoadOptions} LoadOptions */
/** @typedef {import("./types.js").LoadProgress} LoadProgress */
/** @typedef {import("./types.js").ModelFiles} ModelFiles */
/** @typedef {import("./types.js").Input} Input */

/** @type {Promise<WebAssembly.Module> | null} */
let compiled = null;

/** The compiled module, instantiated on this thread too: for writers and estimates, which need no worker. */
function ready() {
  compiled ??= compile().then(async (module) => {
    await init({ module_or_path: module });
    return module;
  });
  compiled.catch(() => (compiled = null));
  return compiled.catch((error) => {
    throw asError(error, "network");
  });
}

const HUB = "https://huggingface.co";
const LOAD = ["model", "onProgress", "signal", "models", "hub", "cache", "threads", "keep", "dtype"];
const KEEP = ["f16", "q8_0", "as sent"];
const DTYPE = ["f32", "quantised"];
const FILES = ["weights", "config", "generation_config", "tokenizer", "sha256"];

/** A loaded model. */
export class CandleWhisper {
  #client;
  /** What is known of the model. @type {import("./types.js").ModelInfo} */
  info;

  /**
   * @param {Client} client
   * @param {import("./types.js").ModelInfo} info
   * @private
   */
  constructor(client, info) {
    this.#client = client;
    this.info = info;
  }

  /**
   * Fetches a model, or finds it where it was kept, and loads it.
   * @param {LoadOptions} [options]
   */
  static async load(options = {}) {
    check(options, LOAD, "load");
    const { model = "tiny.en", onProgress = () => {}, signal, hub = HUB, cache = !isNode, keep, dtype } = options;
    oneOf("keep", keep, KEEP);
    oneOf("dtype", dtype, DTYPE);
    const models = options.models ?? (isNode ? null : "models/");
    const given = typeof model === "string" ? filesOf(model, { models, hub }) : model;
    check(given, FILES, "model");
    if (!given.weights) throw new CandleWhisperError("bad-option", "a model needs `weights`");
    if (signal?.aborted) throw new CandleWhisperError("aborted", "stopped on request");
    const client = new Client(await ready(), await threads(options.threads));
    try {
      const info = await client.exclusively(signal, async (run) => {
        /** @type {Record<string, unknown>} */
        const wanted = {};
        // What is small comes first: it tells whether the rest is worth fetching.
        for (const name of ["config", "generation_config", "tokenizer", "weights"]) {
          const file = given[/** @type {"weights"} */ (name)];
          if (file) wanted[name] = await modelFile(name, file, { sha256: given.sha256?.[name], cache, keep });
        }
        const files = await run("fetch", { files: wanted, dtype }, onProgress);
        const info = await run("load", { files, dtype });
        client.revive = (again) => again("load", { files, dtype });
        return info;
      });
      return new CandleWhisper(client, { model: typeof model === "string" ? model : "", ...info });
    } catch (error) {
      client.dispose();
      throw asError(error, "model");
    }
  }

  /**
   * Transcribes a recording, and tells what happens meanwhile; the last event is `done`. Leaving the loop stops it.
   * @param {Input} input
   * @param {TranscribeOptions} [options]
   * @param {{signal?: AbortSignal}} [control]
   * @returns {AsyncGenerator<TranscribeEvent, void, undefined>}
   */
  async *transcribe(input, options = {}, control = {}) {
    check(control, ["signal"], "transcribe");
    const checked = checkedOptions(options, "transcribe");
    yield* eventsOf(control.signal, (signal, tell) => transcribeOne(this.#client, input, checked, signal, tell));
  }

  /**
   * Transcribes several recordings. With the option `batch` so many windows are decoded at once, and where one recording has fewer left
   * the next one's take their places; without it one recording comes after the other. Each event has the number of its recording in
   * the list, from 0, as `recording`; the last of each is `done` or `failed`, and the others go on. Leaving the loop stops all.
   * @param {Iterable<Recording>} recordings the next one is taken when there is room for it
   * @param {TranscribeOptions} [options] for all of them
   * @param {{signal?: AbortSignal}} [control]
   * @returns {AsyncGenerator<TranscribeAllEvent, void, undefined>}
   */
  async *transcribeAll(recordings, options = {}, control = {}) {
    check(control, ["signal"], "transcribeAll");
    checkList(recordings);
    const checked = checkedOptions(options, "transcribeAll");
    yield* eventsOf(control.signal, (signal, tell) => transcribeEach(this.#client, recordings, checked, signal, tell));
  }

  /**
   * Writes down speech while it is spoken. Other transcriptions of this model wait until it has ended.
   * @param {LiveOptions} [options]
   * @param {{signal?: AbortSignal, onEvent?: (event: LiveEvent) => void}} [control] without `onEvent`, events come in a `for await`
   */
  live(options = {}, control = {}) {
    check(control, ["signal", "onEvent"], "live");
    check(options, null, "live");
    const json = JSON.stringify(options);
    quick(() => checkLiveOptions(json));
    return new LiveTranscription(this.#client, json, control);
  }

  /**
   * Which language is spoken in the first 30 seconds, and how probable each is.
   * @param {Input} input
   * @param {{signal?: AbortSignal}} [control]
   * @returns {Promise<{language: string, probabilities: Record<string, number>}>}
   */
  async detectLanguage(input, control = {}) {
    check(control, ["signal"], "detectLanguage");
    return this.#client.exclusively(control.signal, async (run) => {
      await hear(input, run);
      return run("detect");
    });
  }

  /**
   * Encodes a stretch of a recording, of 30 seconds at most, so that texts can be aligned with it at once. The last four are kept.
   * @param {Input} input
   * @param {{start: number, end: number, snap_to_speech?: boolean}} stretch seconds, and whether voice activity detection fits words to
   *   the speech; true if not given
   * @param {{signal?: AbortSignal}} [control]
   * @returns {Promise<import("./types.js").AlignWindow>}
   */
  async window(input, stretch, control = {}) {
    check(stretch, ["start", "end", "snap_to_speech"], "window");
    check(control, ["signal"], "window");
    const { start, end, snap_to_speech: snap = true } = stretch;
    return this.#client.exclusively(control.signal, async (run) => {
      if (snap) await run("vad");
      await hear(input, run);
      const number = await run("window", { start, end, snap });
      return { number, start, end, worker: this.#client.generation };
    });
  }

  /**
   * When each word of a text is said in a stretch that was encoded by `window`: the text is all that is said in it, and nothing else.
   * @param {string} text
   * @param {import("./types.js").AlignWindow} window
   * @param {{language?: string, prepend_punctuations?: string, append_punctuations?: string, signal?: AbortSignal}} [options]
   *   `language` is needed but for English-only models
   * @returns {Promise<Word[]>}
   */
  async align(text, window, options = {}) {
    check(options, ["language", "prepend_punctuations", "append_punctuations", "signal"], "align");
    const { signal, ...rest } = options;
    return this.#client.exclusively(signal, async (run) => {
      if (window.worker !== this.#client.generation) {
        throw new CandleWhisperError("bad-option", "this window is kept no longer: call `window` again");
      }
      return run("align", { text, window: window.number, options: JSON.stringify(rest) });
    });
  }

  /** Ends the worker, and gives its memory back. */
  dispose() {
    this.#client.dispose();
  }

  /** @param {Transcript} transcript @param {SubtitleOptions} [options] */
  toSrt(transcript, options) {
    return written(transcript, "srt", options);
  }

  /** @param {Transcript} transcript @param {SubtitleOptions} [options] */
  toVtt(transcript, options) {
    return written(transcript, "vtt", options);
  }

  /** @param {Transcript} transcript */
  toTxt(transcript) {
    return written(transcript, "txt");
  }

  /** @param {Transcript} transcript */
  toTsv(transcript) {
    return written(transcript, "tsv");
  }

  /** @param {Transcript} transcript */
  toJson(transcript) {
    return written(transcript, "json");
  }

  /** @param {Transcript} transcript */
  toLrc(transcript) {
    return written(transcript, "lrc");
  }

  /** @param {Transcript} transcript */
  toCsv(transcript) {
    return written(transcript, "csv");
  }

  /** @param {Transcript} transcript @param {SubtitleOptions} [options] */
  toAss(transcript, options) {
    return written(transcript, "ass", options);
  }

  /**
   * The memory that a model will take, before it is loaded: the most at once, and what it consists of.
   * @param {import("./types.js").EstimateOptions} request
   * @returns {Promise<import("./types.js").MemoryEstimate>}
   */
  static async estimate(request) {
    check(request, ["model", "dims", "size", "keep", "dtype", "seconds", "options"], "estimate");
    const { model, dims, size, keep = "f16", dtype, seconds, options } = request;
    const known = model === undefined ? undefined : KNOWN[model];
    if (!dims && !known) {
      throw new CandleWhisperError("bad-option", `estimate needs \`dims\` or a model of ${Object.keys(KNOWN).join(", ")}`);
    }
    const shape = dims ? { dims } : { ...known, repo: undefined };
    await ready();
    return quick(() => estimateOf(JSON.stringify({ ...shape, size, keep, dtype, seconds, options })));
  }

  /**
   * Code and English name of every language, in Whisper's order.
   * @returns {[code: string, name: string][]}
   */
  static languages() {
    return LANGUAGES.map(([code, name]) => [code, name]);
  }

  /** Forgets the models that were kept for the next visit. */
  static async clearCache() {
    await clear();
  }
}

/**
 * @param {string} name of an option of load
 * @param {string | undefined} given
 * @param {string[]} known
 */
function oneOf(name, given, known) {
  if (given === undefined || known.includes(given)) return;
  throw new CandleWhisperError("bad-option", `option \`${name}\` of load is one of ${known.join(", ")}, not ${given}`);
}

/** @param {TranscribeOptions} options @param {string} what */
function checkedOptions(options, what) {
  check(options, null, what);
  const json = JSON.stringify(options);
  return { json, vad: quick(() => checkOptions(json)), batch: typeof options.batch === "number" };
}

/**
 * @param {Transcript} transcript
 * @param {string} format
 * @param {SubtitleOptions} [options]
 * @returns {string}
 */
function written(transcript, format, options = {}) {
  check(options, null, `to${format}`);
  return quick(() => write(JSON.stringify(transcript), format, JSON.stringify(options)));
}

/**
 * @template T
 * @param {() => T} work on this thread
 */
function quick(work) {
  try {
    return work();
  } catch (error) {
    throw asError(error, "bad-option");
  }
}
