// The thread that computes: one model, one thing at a time. Messages are {id, op, …}; answers {id, event}, {id, result}
// or {id, error, fatal}.

import init, { Arriving, Audio, Hash, Opened, Together, estimate, lastPanic } from "./candle_whisper_web.js";
import { beside } from "./beside.js";
import { CandleWhisperError, aborted, asError } from "./errors.js";
import { obtain } from "./fetch.js";
import { startHelpers } from "./helpers.js";
import { compileHere, source } from "./platform.js";
import { answer } from "./runtime.js";

/** @type {import("./candle_whisper_web.js").Whisper | null} */
let whisper = null;
/** @type {Audio | null} the module's, not the browser's */
let audio = null;
/** Whether the network has what hears where somebody speaks. */
let hasVad = false;
/** @type {Int32Array | null} the number of what is to be stopped, seen while computing */
let flag = null;
/** The same, seen only between windows: of several jobs, the flag has the number of one. @type {Set<number>} */
const stopped = new Set();
/** @type {{run: import("./candle_whisper_web.js").LiveRun, ended: boolean, wake: () => void} | null} a live transcription */
let live = null;
/** @type {{all: Together, onEvent: (event: unknown) => boolean, asked: boolean, isLast: boolean, wake: () => void} | null} recordings in one batch */
let together = null;

const TOOLS = { newHash: () => new Hash(), converter: Arriving };

/** Bytes that a 32-bit module can have, with some room for what the estimate does not know. */
const MOST = 4e9;

const isStopped = (/** @type {number} */ id) => stopped.has(id) || (flag !== null && Atomics.load(flag, 0) === id);

/** Lets messages in. */
const turn = () => new Promise((resolve) => setTimeout(resolve));

/** @type {Record<string, (message: any, tell: (event: unknown) => void) => Promise<unknown>>} */
const OPERATIONS = {
  compile: compileHere,

  async open({ module, shared, threads }) {
    flag = shared ? new Int32Array(shared) : null;
    const { memory } = await init({ module_or_path: module });
    if (threads > 1) await startHelpers(module, memory, threads - 1);
  },

  /** Fetches what is not there yet. */
  async fetch({ files, dtype }, tell) {
    /** @type {Record<string, Blob | string>} */
    const found = {};
    /** @type {object | null} */
    let dims = null;
    for (const [name, file] of Object.entries(files)) {
      // What is too large is known from the first bytes of the answer.
      const report = (/** @type {import("./types.js").LoadProgress} */ progress, /** @type {number | null} */ size) => {
        if (name === "weights" && size !== null) checkMemory(dims, size, dtype);
        tell(progress);
      };
      found[name] = file.url ? await obtain(file, TOOLS, report) : file;
      if (name !== "config") continue;
      dims = await dimsOf(found[name]);
      // The least that its numbers can be.
      checkMemory(dims, 0, dtype);
    }
    return found;
  },

  async load({ files, dtype }) {
    const small = async (/** @type {Blob | string | undefined} */ file) => {
      if (!file) return new Uint8Array();
      const { size, read, close } = await source(file);
      const bytes = read(0, size);
      close();
      return bytes;
    };
    const [config, generation, tokenizer] = await Promise.all([files.config, files.generation_config, files.tokenizer].map(small));
    const weights = await source(files.weights);
    try {
      checkMemory(await dimsOf(files.config), weights.size, dtype);
      whisper?.free();
      [whisper, hasVad] = [null, false];
      const opened = new Opened(config, generation, tokenizer, weights.size, weights.read);
      whisper = opened.load(await lacking(opened), dtype ?? "quantised");
      // The guards ask it where they doubt. Without its weights they ask nobody; who needs them will be told.
      await listen().catch(() => {});
      return whisper.info();
    } finally {
      weights.close();
    }
  },

  vad: listen,

  async decode({ id, file, hint }, tell) {
    audio?.free();
    audio = null;
    const { size, read, close } = await source(file);
    try {
      audio = Audio.decode(size, read, hint, (/** @type {number} */ seconds, /** @type {number} */ duration, /** @type {Float32Array} */ peaks) => {
        tell({ type: "decoding", seconds, duration: duration ?? null, peaks });
        return !isStopped(id);
      });
    } finally {
      close();
    }
    if (isStopped(id)) throw aborted();
    return audio.duration;
  },

  async samples({ channels, rate }, tell) {
    audio?.free();
    audio = null;
    const joined = channels.map(join);
    const interleaved = joined.length === 1 ? joined[0] : interleave(joined);
    audio = Audio.fromPcm(interleaved, channels.length, rate);
    tell({ type: "decoding", seconds: audio.duration, duration: audio.duration, peaks: audio.peaks() });
    return audio.duration;
  },

  async transcribe({ id, options }, tell) {
    const model = loaded();
    const onEvent = (/** @type {unknown} */ event) => {
      tell(event);
      return !isStopped(id);
    };
    model.start(heard(), options, onEvent);
    do await turn();
    while (!isStopped(id) && model.nextWindow(onEvent));
    const transcript = model.finish();
    if (isStopped(id)) throw aborted();
    return transcript;
  },

  /** Goes on until `noMore`; asks by `more` for another recording whenever there is room, and waits for its `join`. */
  async together({ id, options }, tell) {
    const model = loaded();
    const all = new Together(options);
    const onEvent = (/** @type {unknown} */ event) => {
      tell(event);
      return !isStopped(id);
    };
    const mine = { all, onEvent, asked: false, isLast: false, wake: () => {} };
    together = mine;
    try {
      for (;;) {
        await turn();
        if (isStopped(id)) throw aborted();
        if (!mine.isLast && all.hasRoom()) {
          const woken = new Promise((resolve) => (mine.wake = () => resolve(undefined)));
          if (!mine.asked) tell({ type: "more" });
          mine.asked = true;
          await woken;
        } else if (all.isEmpty()) return;
        else all.step(model, onEvent);
      }
    } finally {
      together = null;
      audio?.free();
      audio = null;
      try {
        all.free();
      } catch {
        // After a trap it goes with the module.
      }
    }
  },

  async join({ number }) {
    if (!together) throw aborted();
    together.all.join(loaded(), number, heard(), together.onEvent);
    together.asked = false;
    together.wake();
  },

  async leave({ number }) {
    together?.all.leave(number);
  },

  async noMore() {
    if (!together) return;
    together.isLast = true;
    together.wake();
  },

  async window({ start, end, snap }) {
    return loaded().keepWindow(heard(), start, end, snap);
  },

  async align({ text, window, options }) {
    return loaded().align(text, window, options);
  },

  /** Goes on until `liveEnd`; between two decodings what was pushed comes in. */
  async live({ id, options }, tell) {
    const run = loaded().live(options);
    const mine = { run, ended: false, wake: () => {} };
    live = mine;
    const goOn = () => !isStopped(id);
    const now = () => performance.now();
    try {
      for (;;) {
        await turn();
        if (isStopped(id)) throw aborted();
        if (run.isReady()) run.step(goOn, now).forEach(tell);
        else if (mine.ended) break;
        else await new Promise((resolve) => (mine.wake = () => resolve(undefined)));
      }
      run.finish().forEach(tell);
      return run.transcript();
    } finally {
      live = null;
      run.free();
    }
  },

  async livePush({ pieces, rate }) {
    if (!live) throw new CandleWhisperError("aborted", "the live transcription has ended");
    const behind = live.run.push(join(pieces), rate);
    live.wake();
    return behind;
  },

  async liveEnd() {
    if (!live) return;
    live.ended = true;
    live.wake();
  },

  async detect() {
    return loaded().detectLanguage(heard());
  },
};

/** @param {Opened} opened */
async function lacking(opened) {
  try {
    const file = opened.vocabulary();
    return file ? await beside(file, TOOLS) : new Uint8Array();
  } catch (error) {
    opened.free();
    throw error;
  }
}

/** Gives the model voice activity detection, if it has none yet. */
async function listen() {
  if (hasVad) return;
  loaded().setVad(await beside("silero_vad.safetensors", TOOLS));
  hasVad = true;
}

function loaded() {
  if (!whisper) throw new CandleWhisperError("model", "no model is loaded");
  return whisper;
}

/** The recording, which is given away. */
function heard() {
  if (!audio) throw new CandleWhisperError("audio", "there is no recording");
  const given = audio;
  audio = null;
  return given;
}

/**
 * @param {Blob | string | undefined} config
 * @returns {Promise<object | null>} null if the weights have the sizes
 */
async function dimsOf(config) {
  if (!config || typeof config === "string" || config.size === 0) return null;
  try {
    const dims = JSON.parse(await config.text());
    // faster-whisper's has no sizes.
    if ("suppress_ids" in dims) return null;
    estimate(JSON.stringify({ dims }));
    return dims;
  } catch (error) {
    throw asError(error, "model");
  }
}

/**
 * @param {object | null} dims
 * @param {number} size bytes of the weights
 * @param {string} [dtype] as for load
 */
function checkMemory(dims, size, dtype) {
  if (!dims) return;
  const { bytes } = estimate(JSON.stringify({ dims, size, dtype }));
  if (bytes > MOST) {
    const words = `the model needs ${(bytes / 1e9).toFixed(1)} GB, a page can have 4: take a smaller one`;
    throw new CandleWhisperError("memory", words);
  }
}

/** @param {Float32Array[]} pieces */
function join(pieces) {
  const whole = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** @param {Float32Array[]} channels */
function interleave(channels) {
  const whole = new Float32Array(channels[0].length * channels.length);
  channels.forEach((channel, c) => {
    for (let i = 0; i < channel.length; i++) whole[i * channels.length + c] = channel[i];
  });
  return whole;
}

/** @type {Record<string, import("./errors.js").ErrorCode>} what is to blame where an error does not say */
const BLAME = { fetch: "network", vad: "network", decode: "audio", samples: "audio" };

/**
 * @param {unknown} error
 * @param {string} op
 */
function described(error, op) {
  const code = BLAME[op] ?? "model";
  // After a trap the module's memory is not to be trusted.
  const fatal = error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
  if (!fatal) {
    const { code: given, message } = asError(error, code);
    return { error: { code: given, message }, fatal };
  }
  const panic = error instanceof WebAssembly.RuntimeError ? lastPanic() : undefined;
  if (panic && !panic.includes("capacity overflow")) return { error: { code, message: panic }, fatal };
  const message = "there is not enough memory: take a smaller model, or a shorter recording";
  return { error: { code: "memory", message }, fatal };
}

const post = await answer(async (message) => {
  const { id, op } = message;
  if (op === "stop") {
    stopped.add(id);
    live?.wake();
    together?.wake();
    return;
  }
  try {
    const result = await OPERATIONS[op](message, (event) => post({ id, event }));
    post({ id, result });
  } catch (error) {
    post({ id, ...described(error, op) });
  } finally {
    stopped.delete(id);
  }
});
