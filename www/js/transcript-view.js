// The text on the page: phrases with their times, words that can be heard by a click, the one being said lit.
import { h, say } from "./dom.js";
import { clock } from "./format.js";
import { realign } from "./realign.js";
import { state } from "./state.js";
import { rewrite } from "./words.js";

/** @typedef {import("./state.js").Item} Item */
/** @typedef {import("./state.js").Segment} Segment */

/** Below these probabilities a word is marked. */
const [LOW, MID] = [0.4, 0.7];

export class TranscriptView extends EventTarget {
  element = h("ol.segments", { "aria-label": "Transcript" });
  /** @type {Item | null} */
  #item = null;
  /** @type {Map<Segment, HTMLElement>} */
  #rows = new Map();
  /** @type {{start: number, end: number, element: HTMLElement}[]} what can be lit, in order of time */
  #marks = [];
  /** @type {HTMLElement | null} */
  #lit = null;
  #live = h("li.segment.live", {}, h("span.at"), h("p"));

  /** @param {(seconds: number, play: boolean) => void} seek */
  constructor(seek) {
    super();
    this.seek = seek;
    this.element.onclick = (/** @type {MouseEvent} */ event) => {
      const word = /** @type {HTMLElement} */ (event.target).closest("[data-start]");
      if (word && getSelection()?.isCollapsed) this.seek(Number(/** @type {HTMLElement} */ (word).dataset.start), true);
    };
  }

  /** @param {Item | null} item */
  show(item) {
    this.#item = item;
    this.#rows.clear();
    this.#lit = null;
    this.element.replaceChildren();
    this.refresh();
  }

  /** Brings the list up to date; rows of phrases that are the same objects stay as they are. */
  refresh() {
    const item = this.#item;
    const segments = item?.transcript.segments ?? [];
    const gone = new Set(this.#rows.keys());
    let added = false;
    segments.forEach((segment, i) => {
      gone.delete(segment);
      const row = this.#rows.get(segment) ?? this.#row(segment);
      added ||= !this.#rows.has(segment);
      this.#rows.set(segment, row);
      if (this.element.children[i] !== row) this.element.insertBefore(row, this.element.children[i] ?? null);
    });
    for (const segment of gone) {
      this.#rows.get(segment)?.remove();
      this.#rows.delete(segment);
    }
    const working = item?.state === "working";
    this.element.classList.toggle("working-on", working);
    this.#live.querySelector("p").textContent = item?.live ?? "";
    if (working && item?.live) this.element.append(this.#live);
    else this.#live.remove();
    if (added || gone.size) {
      this.#marks = [...this.element.querySelectorAll("[data-start]")].map((element) => ({
        start: Number(element.dataset.start), end: Number(element.dataset.end), element,
      }));
      this.dispatchEvent(new Event("change"));
    }
    this.element.hidden = !this.element.children.length;
  }

  /** @param {Segment} segment @returns {HTMLElement} */
  #row(segment) {
    const span = (/** @type {any} */ { word, start, end, probability: p }) => [word.match(/^\s*/)[0],
      h(p < LOW ? "span.w.low" : p < MID ? "span.w.mid" : "span.w",
        { "data-start": start, "data-end": end, title: `${Math.round(p * 100)} % sure` }, word.trimStart())];
    const p = Math.exp(segment.avg_logprob);
    const text = segment.words?.length
      ? segment.words.flatMap(span)
      : span({ word: segment.text, start: segment.start, end: segment.end, probability: segment.tokens.length ? p : 1 });
    const time = clock(segment.start);
    return h("li.segment", {},
      h("button.at", { type: "button", onclick: () => this.seek(segment.start, true), "aria-label": `Play from ${time}` }, time),
      h("p", { lang: this.#item?.transcript.language || null, dir: "auto" }, text),
      h("button.edit.quiet.small", { type: "button", onclick: () => this.edit(segment), "aria-label": `Edit the phrase at ${time}` }, "Edit"));
  }

  /** Lights what is said at this time. @param {number} seconds @param {boolean} follow whether to scroll to it */
  mark(seconds, follow) {
    let [low, high] = [0, this.#marks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#marks[middle].start <= seconds) low = middle + 1;
      else high = middle;
    }
    const mark = this.#marks[low - 1];
    const now = mark && seconds < mark.end + 0.3 && seconds > 0 ? mark.element : null;
    if (now === this.#lit) return;
    this.#lit?.classList.remove("now");
    this.#lit?.closest(".segment")?.classList.remove("now");
    now?.classList.add("now");
    now?.closest(".segment")?.classList.add("now");
    this.#lit = now;
    if (now && follow) now.scrollIntoView({ block: "nearest" });
  }

  /** Start of the word before or after that time. @param {number} seconds @param {-1 | 1} way */
  neighbour(seconds, way) {
    const starts = this.#marks.map((mark) => mark.start);
    return way > 0 ? starts.find((start) => start > seconds + 0.01) : starts.findLast((start) => start < seconds - 0.25);
  }

  /** The phrase said at that time, or the first one. @param {number} seconds */
  at(seconds) {
    const segments = this.#item?.transcript.segments ?? [];
    return segments.findLast((segment) => segment.start <= seconds + 0.01) ?? segments[0];
  }

  /** Opens the phrase for writing. An empty text takes it out. @param {Segment | undefined} segment */
  edit(segment) {
    const [item, row] = [this.#item, segment && this.#rows.get(segment)];
    if (!item || !segment || !row || item.state === "working" || row.querySelector("form")) return;
    const [text, button] = [row.querySelector("p"), row.querySelector(".edit")];
    const area = h("textarea", { value: segment.text.trim(), rows: 2, "aria-label": `Text at ${clock(segment.start)}`, lang: item.transcript.language });
    const aligned = realign(item, segment);
    const close = () => {
      form.replaceWith(text ?? "", button ?? "");
      /** @type {HTMLElement} */ (button).focus();
    };
    const save = () => {
      if (area.value.trim() === segment.text.trim()) return close();
      const fresh = area.value.trim() ? rewrite(segment, area.value) : null;
      this.#replace(item, segment, fresh);
      if (fresh) aligned?.(fresh.text).then((words) => this.#retime(item, fresh, words));
    };
    const form = h("form", {
      onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), save()),
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        if (event.key === "Escape") close();
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
      },
    }, area, h("div.row", {}, h("button.primary.small", {}, "Save"),
      h("button.small", { type: "button", onclick: close }, "Cancel"), h("small", {}, "Ctrl + Enter saves, Escape cancels")));
    text?.replaceWith(form);
    button?.remove();
    area.focus();
  }

  /** Gives a phrase that was rewritten the times that were heard. @param {Item} item @param {Segment} old @param {Segment["words"] | null} words */
  #retime(item, old, words) {
    const { transcript } = item;
    if (!words?.length || !transcript.segments.includes(old) || this.#rows.get(old)?.querySelector("form")) return;
    const held = this.#rows.get(old)?.contains(document.activeElement);
    const fresh = { ...old, words, start: words[0].start, end: words[words.length - 1].end };
    state.change(item, { transcript: { ...transcript, segments: transcript.segments.map((s) => (s === old ? fresh : s)) } });
    if (held) /** @type {HTMLElement | null | undefined} */ (this.#rows.get(fresh)?.querySelector(".edit"))?.focus();
  }

  /** @param {Item} item @param {Segment} old @param {Segment | null} fresh */
  #replace(item, old, fresh) {
    const before = item.transcript;
    const segments = before.segments.flatMap((s) => (s === old ? (fresh ? [fresh] : []) : [s]));
    item.undo.push(() => state.change(item, { transcript: before }));
    state.change(item, { transcript: { ...before, segments, text: segments.map((s) => s.text).join("") } });
    say(fresh ? "Saved" : "Phrase taken out");
    const row = fresh && this.#rows.get(fresh);
    /** @type {HTMLElement | null} */ (row ? row.querySelector(".edit") : this.element.querySelector(".at"))?.focus();
  }
}
