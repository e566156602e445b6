// Times of a phrase that is edited, from its sound: the stretch is encoded while somebody writes, and what was written is aligned with it.
import { engine } from "./engine.js";
import { busy } from "./queue.js";

/** @typedef {import("./state.js").Item} Item */
/** @typedef {import("./state.js").Segment} Segment */
/** @typedef {import("./state.js").Word} Word */

/** Seconds before and after a phrase, and most of them. */
const [MARGIN, LONGEST] = [0.3, 30];

/**
 * Begins to listen to a phrase, if there is a model for it that has nothing else to do.
 * @param {Item} item
 * @param {Segment} segment
 * @returns {((text: string) => Promise<Word[] | null>) | null} the words of another text, or null where that can't be
 */
export function realign(item, segment) {
  const whisper = engine.whisper;
  if (busy() || !whisper || !segment.words?.length) return null;
  const others = item.transcript.segments;
  const at = others.indexOf(segment);
  const start = Math.max(others[at - 1]?.end ?? 0, segment.start - MARGIN, 0);
  const end = Math.min(others[at + 1]?.start ?? Infinity, segment.end + MARGIN, item.duration || Infinity);
  if (!(end > start) || end - start > LONGEST) return null;
  // No request leaves the page for this: the words keep to the phrase, not to speech that another network would hear.
  const encoded = whisper.window(item.blob, { start, end, snap_to_speech: false }).catch(() => null);
  return async (text) => {
    const window = await encoded;
    return window && whisper.align(text, window, { language: item.transcript.language }).catch(() => null);
  };
}
