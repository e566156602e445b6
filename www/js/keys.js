// Keys of the whole page, when no field is being written in.
import { $ } from "./dom.js";
import { chooseExport } from "./exports.js";
import { state } from "./state.js";

/** @param {{player: import("./player.js").Player, view: import("./transcript-view.js").TranscriptView, search: import("./search.js").Search}} reader */
export function keys({ player, view, search }) {
  const word = (/** @type {-1 | 1} */ way) => {
    const start = view.neighbour(player.time, way);
    if (start !== undefined) player.seek(start);
  };
  const written = () => Boolean(state.open?.transcript.segments.length);
  /** @type {Record<string, () => void>} */
  const acts = {
    " ": () => player.toggle(),
    "ArrowLeft": () => player.seek(player.time - 5),
    "ArrowRight": () => player.seek(player.time + 5),
    "[": () => word(-1),
    "]": () => word(1),
    "/": () => written() && search.focus(),
    "e": () => view.edit(view.at(player.time)),
    "x": () => state.open && written() && chooseExport(state.open),
    "?": () => $("#help").showModal(),
  };
  addEventListener("keydown", (event) => {
    const at = /** @type {HTMLElement} */ (event.target);
    const writing = at.closest("input, textarea, select, dialog");
    const pressing = event.key === " " && at.closest("button, summary, a");
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || writing || pressing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (!state.open && event.key !== "?") return;
    event.preventDefault();
    act();
  });
}
