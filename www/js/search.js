// Finds words in the transcript and shows where, by the browser's highlights: the text itself stays untouched.
import { h } from "./dom.js";

export class Search {
  /** @type {Range[]} */
  #found = [];
  #at = 0;
  #input = h("input", { type: "search", "aria-label": "Search the transcript", placeholder: "Search", autocomplete: "off", spellcheck: false });
  #count = h("output", { "aria-live": "polite" });
  #steps = h("span", { hidden: true },
    h("button.quiet.small", { type: "button", onclick: () => this.#step(-1) }, "Previous"),
    h("button.quiet.small", { type: "button", onclick: () => this.#step(1) }, "Next"));
  element = h("form.search", { role: "search", onsubmit: (/** @type {Event} */ e) => e.preventDefault() }, this.#input, this.#count, this.#steps);

  /** @param {HTMLElement} list the phrases, each text in a `p` */
  constructor(list) {
    this.list = list;
    this.#input.oninput = () => {
      this.#at = 0;
      this.refresh();
      this.#reveal();
    };
    this.#input.onkeydown = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") this.#step(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") this.clear();
    };
  }

  focus() {
    this.#input.focus();
    this.#input.select();
  }

  clear() {
    this.#input.value = "";
    this.refresh();
  }

  /** Looks again: the question or the text is another. */
  refresh() {
    const wanted = fold(this.#input.value.trim());
    this.#found = wanted ? [...this.list.querySelectorAll(".segment:not(.live) p")].flatMap((p) => ranges(p, wanted)) : [];
    this.#at = Math.min(this.#at, Math.max(0, this.#found.length - 1));
    this.#steps.hidden = this.#found.length < 2;
    this.#count.textContent = !wanted ? "" : this.#found.length ? `${this.#at + 1} of ${this.#found.length}` : "not found";
    this.#paint();
  }

  /** @param {number} way */
  #step(way) {
    if (!this.#found.length) return;
    this.#at = (this.#at + way + this.#found.length) % this.#found.length;
    this.#count.textContent = `${this.#at + 1} of ${this.#found.length}`;
    this.#paint();
    this.#reveal();
  }

  #reveal() {
    this.#found[this.#at]?.startContainer.parentElement?.scrollIntoView({ block: "center" });
  }

  #paint() {
    if (!globalThis.Highlight) return;
    const now = this.#found[this.#at];
    CSS.highlights.set("found", new Highlight(...this.#found.filter((range) => range !== now)));
    CSS.highlights.set("found-now", new Highlight(...(now ? [now] : [])));
  }
}

/** Without capitals, of the same length. @param {string} text */
const fold = (text) => (text.toLowerCase().length === text.length ? text.toLowerCase() : text);

/** Where the element says it, across its words. @param {Element} element @param {string} wanted @returns {Range[]} */
function ranges(element, wanted) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  /** @type {[Text, number][]} */
  const nodes = [];
  let text = "";
  while (walker.nextNode()) {
    const node = /** @type {Text} */ (walker.currentNode);
    nodes.push([node, text.length]);
    text += node.data;
  }
  const all = fold(text);
  const place = (/** @type {number} */ at) => {
    const [node, start] = /** @type {[Text, number]} */ (nodes.findLast(([, from]) => from <= at));
    return /** @type {const} */ ([node, at - start]);
  };
  const found = [];
  for (let at = all.indexOf(wanted); at >= 0; at = all.indexOf(wanted, at + wanted.length)) {
    const range = document.createRange();
    range.setStart(...place(at));
    const [node, last] = place(at + wanted.length - 1);
    range.setEnd(node, last + 1);
    found.push(range);
  }
  return found;
}
