// What the library tells of a recording, on its way into the list and the text.
import { clock } from "./format.js";
import { Loudness } from "./loudness.js";
import { state } from "./state.js";

/** @typedef {import("./state.js").Item} Item */

/** Milliseconds between two pictures of a recording that is being read. */
const REDRAW = 100;

/** What is done before the first word comes, where it takes long. @param {Record<string, any>} options */
function beforeText({ vad, batch }) {
  if (batch) return "Speech is looked for first; then several windows are written at once.";
  return vad ? "Speech is looked for first." : "";
}

/** A recording that is being written out. */
export class Listening {
  #loudness = new Loudness();
  #began = performance.now();
  #drawn = -Infinity;
  #first;

  /** @param {Item} item @param {Record<string, any>} options */
  constructor(item, options) {
    this.item = item;
    this.#first = beforeText(options);
  }

  /** @param {any} event */
  hear(event) {
    const { item } = this;
    const first = this.#first;
    switch (event.type) {
      case "decoding":
        this.#loudness.add(event);
        if (performance.now() - this.#drawn < REDRAW) break;
        this.#drawn = performance.now();
        state.change(item, { peaks: this.#loudness.picture(), note: `${clock(event.seconds)} read so far` });
        break;
      case "audio":
        this.#began = performance.now();
        this.#loudness.end();
        state.change(item, { duration: event.duration, peaks: this.#loudness.picture(), note: first });
        break;
      case "language":
        item.transcript.language = event.language;
        state.change(item, { language: event.language });
        break;
      case "progress": {
        const spent = (performance.now() - this.#began) / 1000;
        const left = event.seconds > 0 ? (spent / event.seconds) * (event.duration - event.seconds) : NaN;
        state.change(item, { seconds: event.seconds, duration: event.duration, left, note: "" });
        break;
      }
      case "text":
        // Neither the search for speech nor what is written before its turn tells how long the rest takes.
        if (item.note === first && first) this.#began = performance.now();
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
