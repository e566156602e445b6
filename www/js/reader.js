// The open recording: what it is, how far the work is, its text, its player.
import { $, h } from "./dom.js";
import { chooseExport, copy } from "./exports.js";
import { engine } from "./engine.js";
import { capital, clock } from "./format.js";
import { Player } from "./player.js";
import { again, stop } from "./queue.js";
import { stateWords } from "./queue-view.js";
import { Search } from "./search.js";
import { settings } from "./settings.js";
import { state } from "./state.js";
import { TranscriptView } from "./transcript-view.js";

/** @typedef {import("./state.js").Item} Item */

/** After a hand on the wheel the text is not scrolled for this long. */
const HANDS_OFF = 4000;

/** Sets the reader up; returns what the keys of the page need. */
export function reader() {
  const article = $("#reader");
  const player = new Player();
  const view = new TranscriptView((seconds, play) => player.seek(seconds, play));
  const search = new Search(view.element);
  const [title, facts, status, hollow] = [h("h2", { id: "reader-title" }), h("p.facts"), h("div"), h("p.hollow")];
  const sure = h("button.small", { type: "button", onclick: () => settings.set("sure", !settings.values.sure) }, "Show unsure words");
  const undo = h("button.small", { type: "button", onclick: () => state.open?.undo.pop()?.() }, "Undo edit");
  const copying = h("button.small", { type: "button", onclick: () => state.open && copy(state.open, copying) }, "Copy text");
  const exporting = h("button.small.primary", { type: "button", onclick: () => state.open && chooseExport(state.open) }, "Export…");
  const tools = h("div.tools", {}, search.element, undo, sure, copying, exporting);
  article.append(h("header.reader-head", {}, title, facts, status), tools, view.element, hollow, player.element);

  let touched = -Infinity;
  for (const type of ["wheel", "touchmove"]) addEventListener(type, () => (touched = performance.now()), { passive: true });
  const mayScroll = () => performance.now() - touched > HANDS_OFF;

  const refresh = () => {
    const item = state.open;
    article.hidden = !item;
    if (!item) return;
    const written = item.transcript.segments.length > 0;
    title.textContent = item.name;
    facts.textContent = describe(item);
    panel(status, item);
    tools.hidden = !written;
    undo.hidden = !item.undo.length;
    view.refresh();
    hollow.hidden = written || Boolean(item.live) || !["working", "waiting", "done"].includes(item.state);
    hollow.textContent = item.state === "done" ? "No speech was found in this recording."
      : item.state === "waiting" ? "It is written out when its turn comes."
        : engine.state === "ready" ? "The first words appear in a moment." : "The model is being made ready.";
    if (item.state === "working" && item.live && mayScroll()) view.element.lastElementChild?.scrollIntoView({ block: "nearest" });
  };
  const showSure = () => {
    view.element.classList.toggle("sure", settings.values.sure);
    sure.setAttribute("aria-pressed", String(settings.values.sure));
  };
  settings.addEventListener("sure", showSure);
  showSure();
  view.addEventListener("change", () => search.refresh());
  player.addEventListener("time", () => view.mark(player.time, mayScroll()));
  engine.addEventListener("change", refresh);
  state.addEventListener("item", (event) => /** @type {CustomEvent} */ (event).detail === state.open && refresh());
  state.addEventListener("open", () => {
    search.clear();
    view.show(state.open);
    player.load(state.open);
    refresh();
  });
  return { player, view, search };
}

/** @param {Item} item */
function describe(item) {
  const language = item.language && (new Intl.DisplayNames(["en"], { type: "language" }).of(item.language) ?? item.language);
  const words = item.transcript.text.trim().split(/\s+/).filter(Boolean).length;
  return [item.duration && clock(item.duration), language && capital(language), item.model,
    item.state === "done" && words && `${words} words`].filter(Boolean).join(" · ");
}

/** What is going on: progress, or why it ended. Made anew only when that changes, so that focus stays. @param {HTMLElement} place @param {Item} item */
function panel(place, item) {
  const kind = `${item.id} ${item.state} ${item.problem?.code}`;
  if (place.dataset.kind !== kind) {
    place.dataset.kind = kind;
    place.replaceChildren(...(item.state === "working" || item.state === "waiting" ? [progress(item)]
      : item.problem ? [trouble(item)] : []));
  }
  if (item.state === "working" || item.state === "waiting") {
    $(".words", place).textContent = [stateWords(item), item.note].filter(Boolean).join(" · ");
    $(".number", place).textContent = item.duration ? `${clock(item.seconds)} of ${clock(item.duration)}` : "";
    const bar = $("progress", place);
    bar.max = item.duration || 1;
    bar.value = item.seconds;
  }
}

/** @param {Item} item */
const progress = (item) => h("div.working", {},
  h("div.row", {}, h("span.words"), h("span.row", {}, h("span.note.number"),
    h("button.small", { type: "button", onclick: () => stop(item) }, "Cancel"))),
  h("progress", { "aria-label": "Progress" }));

/** @param {Item} item */
function trouble(item) {
  const { title, help, detail, code } = item.problem ?? { title: "", help: "", detail: "", code: "" };
  return h(code === "aborted" ? "div.failure.mild" : "div.failure", { role: code === "aborted" ? null : "alert" },
    h("div", {}, h("strong", {}, title), help),
    code !== "aborted" && detail && h("details", {}, h("summary", {}, "What the program said"), detail),
    item.blob.size > 0 && h("div.row", {}, h("button.small", { type: "button", onclick: () => again(item) }, "Start again")));
}
