// How words become cues: the library's options of subtitles with their words, and which of them a format heeds.
import { h } from "./dom.js";
import { field } from "./field.js";
import { settings } from "./settings.js";

/** @typedef {import("./field.js").Option & {formats?: string[], not?: string}} SubtitleOption formats that heed it, if not all; what it excludes */

const FORMATS = ["srt", "vtt", "ass"];

/** @type {SubtitleOption[]} */
const LINES = [
  { name: "max_line_width", label: "Letters a line", kind: "number", hint: "any", limits: { min: 1, step: 1 } },
  { name: "max_line_count", label: "Lines at once", kind: "number", hint: "any", limits: { min: 1, step: 1 } },
  { name: "max_words_per_line", label: "Words a line", kind: "number", hint: "any", limits: { min: 1, step: 1 } },
];

/** @type {SubtitleOption[]} */
const TIMES = [
  { name: "max_chars_per_second", label: "Letters a second", kind: "number", hint: "any", limits: { min: 1, step: "any" } },
  { name: "min_cue_duration", label: "Shortest, in seconds", kind: "number", hint: "any", limits: { min: 0.01, step: "any" } },
  { name: "max_cue_duration", label: "Longest, in seconds", kind: "number", hint: "any", limits: { min: 0.01, step: "any" } },
  { name: "min_cue_gap", label: "Pause, in seconds", kind: "number", hint: "none", limits: { min: 0, step: "any" } },
];

/** @type {SubtitleOption} */
const PHRASES = { name: "break_at_phrases", label: "Break lines where a reader pauses", help: "After sentences and clauses, with lines of even length; two of 42 letters unless you say otherwise. The limits of time turn it on too.", kind: "check", value: false };

/** @type {SubtitleOption[]} */
const WORDS = [
  { name: "highlight_words", label: "Underline each word as it is said", kind: "check", value: false, formats: ["srt", "vtt"], not: "timed_words" },
  { name: "timed_words", label: "Put the time of each word into the text", kind: "check", value: false, formats: ["vtt"], not: "highlight_words" },
];

const heeded = (/** @type {string} */ format) =>
  [...LINES, PHRASES, ...TIMES, ...WORDS].filter(({ formats = FORMATS }) => formats.includes(format)).map(({ name }) => name);

/** What is passed on for a format: what was chosen and it heeds. @param {string} format @returns {Record<string, any>} */
export function subtitleOptions(format) {
  const names = heeded(format);
  return Object.fromEntries(Object.entries(settings.values.subtitles).filter(([name]) => names.includes(name)));
}

/**
 * The part of the dialog that has them.
 * @param {boolean} timed whether there is a recording whose words have times
 * @returns {{element: HTMLElement, show: (format: string) => void}} `show` leaves what this format heeds
 */
export function subtitleFields(timed) {
  const fields = (/** @type {SubtitleOption[]} */ options) => options.map((option) => field(option, "subtitles"));
  const words = fields(WORDS);
  for (const [i, { not }] of WORDS.entries()) {
    words[i].addEventListener("change", (/** @type {Event} */ { target }) => {
      const other = words[WORDS.findIndex(({ name }) => name === not)].querySelector("input");
      if (/** @type {HTMLInputElement} */ (target).checked && other.checked) other.click();
    });
  }
  const element = h("fieldset.cues", { disabled: !timed },
    h("legend.note", {}, timed ? "How words become subtitles" : "Subtitles are laid out where words have times, which these have not"),
    h("div.lines", {}, fields(LINES)), field(PHRASES, "subtitles"), h("div.lines", {}, fields(TIMES)), words,
    h("p.note", {}, "“Fit words to the speech” stands under Advanced: it is done while a recording is heard."));
  const show = (/** @type {string} */ format) => {
    const names = heeded(format);
    element.hidden = names.length === 0;
    WORDS.forEach(({ name }, i) => (words[i].hidden = !names.includes(name)));
  };
  return { element, show };
}
