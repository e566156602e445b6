// The list of recordings: what each is doing, and what can be done with it.
import { $, h, say } from "./dom.js";
import { clock, timeLeft } from "./format.js";
import { remove, stop, stopAll } from "./queue.js";
import { state } from "./state.js";

/** @typedef {import("./state.js").Item} Item */

/** One line on what a recording is doing. @param {Item} item */
export function stateWords(item) {
  switch (item.state) {
    case "waiting": return "Waiting";
    case "working":
      if (!item.seconds) return item.duration ? "Listening…" : "Preparing…";
      return `${Math.floor((item.seconds / item.duration) * 100)} %${Number.isFinite(item.left) ? `, ${timeLeft(item.left)}` : ""}`;
    case "done": return `Done · ${clock(item.duration)}`;
    case "stopped": return item.transcript.segments.length ? `Stopped at ${clock(item.seconds)}` : "Stopped";
    case "failed": return item.problem?.title ?? "Failed";
  }
}

/** @type {Map<Item, {element: HTMLElement, refresh: () => void}>} */
const rows = new Map();

/** Where the text stands below the list, it is brought into view. @param {Item} item */
function choose(item) {
  state.choose(item);
  if (matchMedia("(max-width: 59.99rem)").matches) $("#reader").scrollIntoView({ block: "start" });
}

/** @param {Item} item */
function row(item) {
  const words = h("span.state");
  const open = h("button.open", { type: "button", onclick: () => choose(item) }, h("span.name", {}, item.name), words);
  const end = h("button.quiet.small", { type: "button" });
  const bar = h("progress", { "aria-label": `Progress of ${item.name}`, max: 1, value: 0 });
  const element = h("li.item", {}, open, end, bar);
  const refresh = () => {
    const going = item.state === "working" || item.state === "waiting";
    element.dataset.state = item.state;
    element.classList.toggle("chosen", state.open === item);
    open.setAttribute("aria-current", String(state.open === item));
    words.textContent = stateWords(item);
    end.textContent = going ? "Cancel" : "Remove";
    end.setAttribute("aria-label", `${end.textContent} ${item.name}`);
    end.onclick = () => (going ? stop(item) : remove(item));
    bar.hidden = item.state !== "working";
    bar.value = item.duration ? item.seconds / item.duration : 0;
  };
  refresh();
  return { element, refresh };
}

/** Keeps the list as the recordings are. */
export function queueView() {
  const list = $("#items");
  const [clear, end] = [$("#clear"), $("#stop-all")];
  const isGoing = (/** @type {Item} */ item) => item.state === "working" || item.state === "waiting";
  const finished = () => state.items.filter((item) => !isGoing(item));
  clear.onclick = () => finished().forEach(remove);
  end.onclick = stopAll;
  const offer = () => {
    clear.hidden = finished().length < 2;
    end.hidden = state.items.filter(isGoing).length < 2;
  };

  const refresh = () => {
    for (const item of rows.keys()) if (!state.items.includes(item)) rows.delete(item);
    for (const item of state.items) if (!rows.has(item)) rows.set(item, row(item));
    list.replaceChildren(...state.items.map((item) => rows.get(item)?.element ?? ""));
    $("#queue").hidden = !state.items.length;
    offer();
    document.documentElement.dataset.view = state.items.length ? "work" : "start";
    if (!state.items.length) $("#choose").focus();
  };
  state.addEventListener("items", refresh);
  state.addEventListener("open", () => rows.forEach((r) => r.refresh()));
  /** @type {WeakMap<Item, string>} */
  const said = new WeakMap();
  state.addEventListener("item", (event) => {
    const item = /** @type {CustomEvent<Item>} */ (event).detail;
    rows.get(item)?.refresh();
    offer();
    const quarter = item.state === "working" ? Math.floor((item.seconds / item.duration) * 4 || 0) : "";
    const news = `${item.state} ${quarter}`;
    if (said.get(item) !== news) say(`${item.name}: ${stateWords(item)}`);
    said.set(item, news);
  });
}
