// What the page knows: the recordings in the order they came, and which of them is open.

/**
 * @typedef {{word: string, start: number, end: number, probability: number}} Word
 * @typedef {{id: number, seek: number, start: number, end: number, text: string, tokens: number[],
 *   temperature: number, avg_logprob: number, compression_ratio: number, no_speech_prob: number,
 *   words?: Word[]}} Segment
 * @typedef {{text: string, segments: Segment[], language: string}} Transcript
 * @typedef {"waiting" | "working" | "done" | "stopped" | "failed"} ItemState
 * @typedef {object} Item
 * @property {string} id
 * @property {string} name
 * @property {Blob} blob empty for one that was kept from last time
 * @property {string} url of the blob, for the player
 * @property {ItemState} state
 * @property {number} duration seconds; 0 while unknown
 * @property {number} seconds that are done
 * @property {number} left seconds of work left; NaN while unknown
 * @property {string} language
 * @property {string} model
 * @property {string} live text of the window under way
 * @property {string} note what goes on besides, such as a second attempt
 * @property {Transcript} transcript
 * @property {(() => void)[]} undo
 * @property {import("./messages.js").Problem | null} problem
 * @property {boolean} [alone] whether it shares no batch, for it did and the engine failed
 * @property {Float32Array | null} peaks its picture, as far as it has been read
 */

let next = 0;

/** @extends EventTarget */
class State extends EventTarget {
  /** @type {Item[]} */
  items = [];
  /** @type {Item | null} */
  open = null;

  /** Dispatches `items`, `item` or `open` with the item concerned. @param {string} type @param {Item | null} [item] */
  tell(type, item = null) {
    this.dispatchEvent(new CustomEvent(type, { detail: item }));
  }

  /** @param {Blob} blob @param {string} name @param {Partial<Item>} [known] of one from before */
  add(blob, name, known = {}) {
    /** @type {Item} */
    const item = {
      id: `${Date.now()}-${(next += 1)}`, name, blob, url: URL.createObjectURL(blob), state: "waiting",
      duration: 0, seconds: 0, left: NaN, language: "", model: "", live: "", note: "",
      transcript: emptyTranscript(), undo: [], problem: null, peaks: null, ...known,
    };
    this.items.push(item);
    this.tell("items");
    return item;
  }

  /** @param {Item | null} item */
  choose(item) {
    if (this.open === item) return;
    this.open = item;
    this.tell("open", item);
  }

  /** @param {Item} item */
  remove(item) {
    const at = this.items.indexOf(item);
    if (at < 0) return;
    this.items.splice(at, 1);
    URL.revokeObjectURL(item.url);
    if (this.open === item) this.choose(this.items[Math.min(at, this.items.length - 1)] ?? null);
    this.tell("items", item);
  }

  /** @param {Item} item @param {Partial<Item>} change */
  change(item, change) {
    Object.assign(item, change);
    this.tell("item", item);
  }
}

/** @returns {Transcript} */
export const emptyTranscript = () => ({ text: "", segments: [], language: "" });

export const state = new State();
