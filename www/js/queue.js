// Works off the recordings one after another. Whatever happens to one, what it has is kept and the next is begun.
import { engine } from "./engine.js";
import { clock } from "./format.js";
import { Loudness } from "./loudness.js";
import { failure, problem } from "./messages.js";
import { transcribeOptions } from "./options.js";
import { settings } from "./settings.js";
import { emptyTranscript, state } from "./state.js";

/** @typedef {import("./state.js").Item} Item */

/** Milliseconds between two pictures of a recording that is being read. */
const REDRAW = 100;

/** @type {{item: Item, abort: AbortController} | null} */
let current = null;

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
  if (current?.item === item) current.abort.abort();
  else if (item.state === "waiting") state.change(item, { state: "stopped", problem: problem(failure("aborted")) });
}

/** Begins a recording anew, with the settings of now. @param {Item} item */
export function again(item) {
  if (item.state === "waiting" || item.state === "working") return;
  state.change(item, {
    state: "waiting", problem: null, transcript: emptyTranscript(), undo: [], seconds: 0, live: "", note: "", left: NaN,
  });
  work();
}

/** @param {Item} item */
export function remove(item) {
  stop(item);
  state.remove(item);
}

/** Whether closing the page would lose work under way. */
export const busy = () => current !== null;

async function work() {
  if (current) return;
  const item = state.items.find((i) => i.state === "waiting");
  if (!item) return;
  const abort = new AbortController();
  current = { item, abort };
  state.change(item, { state: "working" });
  try {
    if (!item.blob.size) throw failure("empty");
    await until(abort.signal, engine.get());
    await listen(item, abort.signal);
    state.change(item, { state: "done", live: "", note: "", left: 0, seconds: item.duration });
  } catch (error) {
    fail(item, abort.signal.aborted ? failure("aborted") : error);
  } finally {
    current = null;
  }
  work();
}

/** @param {Item} item @param {unknown} error */
function fail(item, error) {
  const given = problem(error);
  // The library says `model` of a worker that died; a model that was loaded is not to blame.
  const what = given.code === "model" && engine.state === "ready" ? problem(failure("lost", given.detail)) : given;
  // Its memory or its worker can't be relied on any more, unless the recording or a setting is to blame.
  if (!["aborted", "audio", "bad-option", "empty"].includes(what.code)) engine.drop();
  state.change(item, { state: what.code === "aborted" ? "stopped" : "failed", problem: what, live: "", note: "" });
}

/** The promise, or an end as soon as the signal says so. @param {AbortSignal} signal @param {Promise<any>} promise */
function until(signal, promise) {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(failure("aborted")), { once: true });
    promise.then(resolve, reject);
  });
}

/** What is done before the first word comes, where it takes long. @param {Record<string, any>} options */
function beforeText({ vad, batch }) {
  if (batch) return "Speech is looked for first; then several windows are written at once.";
  return vad ? "Speech is looked for first." : "";
}

/** @param {Item} item @param {AbortSignal} signal */
async function listen(item, signal) {
  const whisper = engine.whisper;
  const options = transcribeOptions(settings.values, whisper.info);
  state.change(item, { model: whisper.info.model || "your own model" });
  let began = performance.now();
  const first = beforeText(options);
  const loudness = new Loudness();
  let drawn = -Infinity;
  for await (const event of whisper.transcribe(item.blob, options, { signal })) {
    if (signal.aborted) throw failure("aborted");
    switch (event.type) {
      case "decoding":
        loudness.add(event);
        if (performance.now() - drawn < REDRAW) break;
        drawn = performance.now();
        state.change(item, { peaks: loudness.picture(), note: `${clock(event.seconds)} read so far` });
        break;
      case "audio":
        began = performance.now();
        loudness.end();
        state.change(item, { duration: event.duration, peaks: loudness.picture(), note: first });
        break;
      case "language":
        item.transcript.language = event.language;
        state.change(item, { language: event.language });
        break;
      case "progress": {
        const spent = (performance.now() - began) / 1000;
        const left = event.seconds > 0 ? (spent / event.seconds) * (event.duration - event.seconds) : NaN;
        state.change(item, { seconds: event.seconds, duration: event.duration, left, note: "" });
        break;
      }
      case "text":
        // The search for speech tells nothing of how long the rest takes.
        if (item.note === first && first) began = performance.now();
        state.change(item, { live: event.text, note: item.note === first ? "" : item.note });
        break;
      case "fallback":
        state.change(item, { live: "", note: "This passage is hard to hear: it is tried again." });
        break;
      case "segment":
        item.transcript.segments.push(event.segment);
        item.transcript.text += event.segment.text;
        state.change(item, { live: "", note: "" });
        break;
      case "done":
        item.transcript = event.transcript;
        state.change(item, { language: event.transcript.language });
        break;
    }
  }
}
