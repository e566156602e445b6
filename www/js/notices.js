// Short messages above everything else, for what belongs to no recording.
import { $, h } from "./dom.js";

/**
 * Shows one; a second with the same `key` takes its place.
 * @param {string} key
 * @param {{title: string, help?: string, bad?: boolean, actions?: [string, () => void][]}} message
 */
export function notice(key, { title, help = "", bad = false, actions = [] }) {
  settle(key);
  const act = (/** @type {string} */ words, /** @type {() => void} */ run) =>
    h("button.small", { type: "button", onclick: () => (settle(key), run()) }, words);
  $("#notices").append(h(bad ? "div.notice.bad" : "div.notice", { "data-key": key },
    h("div", {}, h("strong", {}, title), help),
    ...actions.map(([words, run]) => act(words, run)),
    act("Close", () => {})));
}

/** Takes one away. @param {string} key */
export function settle(key) {
  for (const old of $("#notices").children) if (old.dataset.key === key) old.remove();
}
