// Works off the recordings in their order: one after another, or with several windows at once as many as share a batch. Whatever
// happens to one, what it has is kept and the next is begun.
import { engine } from "./engine.js";
import { Listening } from "./listening.js";
import { failure, problem } from "./messages.js";
import { transcribeOptions } from "./options.js";
import { settings } from "./settings.js";
import { emptyTranscript, state } from "./state.js";

/** @typedef {import("./state.js").Item} Item */

/** Those that are worked on, and what stops each. @type {Map<Item, AbortController>} */
const working = new Map();
let running = false;

/** @param {Blob} blob @param {string} name */
export function add(blob, name) {
  const item = state.add(blob, name);
  if (!state.open || state.items.length === 1) state.choose(item);
  work();
  return item;
}

/** A recording whose text is there already. @param {Blob} blob @param {string} name @param {Partial<Item>} known */
export function addDone(blob, name, known) {
  const item = state.add(blob, name);
  state.choose(item);
  state.change(item, { ...known, state: "done", left: 0, seconds: known.duration });
  return item;
}

/** Stops a recording that waits or is worked on; what it has is kept. @param {Item} item */
export function stop(item) {
  const abort = working.get(item);
  if (abort) abort.abort();
  else if (item.state === "waiting") state.change(item, { state: "stopped", problem: problem(failure("aborted")) });
}

/** Stops all that wait or are worked on; those that wait first, so that none takes a place that becomes free. */
export function stopAll() {
  state.items.filter((item) => !working.has(item)).forEach(stop);
  [...working.keys()].forEach(stop);
}

/** Begins a recording anew, with the settings of now. @param {Item} item */
export function again(item) {
  if (item.state === "waiting" || item.state === "working") return;
  state.change(item, { ...anew(), alone: false });
  work();
}

/** @returns {Partial<Item>} */
const anew = () => ({ state: "waiting", problem: null, transcript: emptyTranscript(), undo: [], seconds: 0, live: "", note: "", left: NaN });

/** @param {Item} item */
export function remove(item) {
  stop(item);
  state.remove(item);
}

/** Whether closing the page would lose work under way. */
export const busy = () => running;

const waiting = () => state.items.find((item) => item.state === "waiting");

async function work() {
  if (running) return;
  running = true;
  for (let item = waiting(); item; item = waiting()) {
    await (settings.values.advanced.batch && !item.alone ? inOneBatch(item) : alone(item));
  }
  running = false;
}

/** @param {Item} item */
function begin(item) {
  const abort = new AbortController();
  working.set(item, abort);
  state.change(item, { state: "working" });
  return abort.signal;
}

/** One that is worked on is done, or has failed. @param {Item} item @param {unknown} [error] */
function end(item, error) {
  const stopped = working.get(item)?.signal.aborted;
  working.delete(item);
  if (error) fail(item, stopped ? failure("aborted") : error);
  else state.change(item, { state: "done", live: "", note: "", left: 0, seconds: item.duration });
}

/** Whether it is the engine that can't be relied on any more, its memory or its worker. @param {unknown} error */
const isEngines = (error) => !["aborted", "audio", "bad-option", "empty"].includes(problem(error).code);

/** @param {Item} item @param {unknown} error */
function fail(item, error) {
  const given = problem(error);
  // The library says `model` of a worker that died; a model that was loaded is not to blame.
  const what = given.code === "model" && engine.state === "ready" ? problem(failure("lost", given.detail)) : given;
  state.change(item, { state: what.code === "aborted" ? "stopped" : "failed", problem: what, live: "", note: "" });
}

/** The promise, or an end as soon as the signal says so. @param {AbortSignal} signal @param {Promise<any>} promise */
function until(signal, promise) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(failure("aborted")), { once: true });
    promise.then(resolve, reject);
  });
}

/** The loaded model, for a recording that is begun. @param {Item} item @param {AbortSignal} signal @returns {Promise<any>} */
function engineFor(item, signal) {
  return item.blob.size ? until(signal, engine.get()) : Promise.reject(failure("empty"));
}

/** @param {Item} item */
async function alone(item) {
  const signal = begin(item);
  try {
    const whisper = await engineFor(item, signal);
    const options = transcribeOptions(settings.values, whisper.info);
    const listening = listen(item, whisper, options);
    for await (const event of whisper.transcribe(item.blob, options, { signal })) {
      if (signal.aborted) throw failure("aborted");
      listening.hear(event);
    }
    end(item);
  } catch (error) {
    giveUp(error);
  }
}

/** @param {Item} item @param {any} whisper @param {Record<string, any>} options */
function listen(item, whisper, options) {
  state.change(item, { model: whisper.info.model || "your own model" });
  return new Listening(item, options);
}

/** This one and those behind it, as long as nobody chooses something else for them. @param {Item} first */
async function inOneBatch(first) {
  const signal = begin(first);
  /** @type {Listening[]} by the library's numbers */
  const heard = [];
  try {
    const whisper = await engineFor(first, signal);
    const options = transcribeOptions(settings.values, whisper.info);
    const { model, dtype } = engine;
    const chosen = JSON.stringify(options);
    const isSame = () => engine.model === model && engine.dtype === dtype
      && JSON.stringify(transcribeOptions(settings.values, whisper.info)) === chosen;
    const take = (/** @type {Item} */ item) => {
      heard.push(listen(item, whisper, options));
      return { input: item.blob, signal: working.get(item)?.signal };
    };
    const recordings = function* () {
      yield take(first);
      for (let item = waiting(); item && !item.alone && isSame(); item = waiting()) {
        begin(item);
        if (item.blob.size) yield take(item);
        else end(item, failure("empty"));
      }
    };
    for await (const { recording, ...event } of whisper.transcribeAll(recordings(), options)) {
      const { item } = heard[recording];
      if (event.type === "failed") end(item, event.error);
      else if (!working.get(item)?.signal.aborted) heard[recording].hear(event);
      if (event.type === "done") end(item);
    }
  } catch (error) {
    giveUp(error);
  }
}

/** Everything ends that is worked on. What shared a batch is begun anew, alone, so that none fails because of another. @param {unknown} error */
function giveUp(error) {
  const all = [...working].map(([item, { signal }]) => ({ item, stopped: signal.aborted }));
  for (const { item, stopped } of all) {
    if (all.length === 1 || stopped || !isEngines(error)) end(item, error);
    else {
      working.delete(item);
      state.change(item, { ...anew(), alone: true, note: "Together with others it could not be written; it is tried alone." });
    }
  }
  if (isEngines(error) && all.some(({ stopped }) => !stopped)) engine.drop();
}
