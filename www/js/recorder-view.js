// The panel of a recording under way: its length, its loudness, and the two ways to end it.
import { $, h, say } from "./dom.js";
import { clock } from "./format.js";
import { problem } from "./messages.js";
import { record } from "./microphone.js";
import { notice, settle } from "./notices.js";
import { add } from "./queue.js";

/** Sets up the button that opens it. */
export function recorderView() {
  const button = $("#record");
  const panel = $("#recorder");
  button.onclick = async () => {
    button.disabled = true;
    settle("microphone");
    try {
      await begin(panel, () => (button.disabled = false, button.focus()));
    } catch (error) {
      const { title, help } = problem(error);
      notice("microphone", { title, help, bad: true });
      button.disabled = false;
    }
  };
}

/** @param {HTMLElement} panel @param {() => void} ended */
async function begin(panel, ended) {
  const time = h("span.clock.number", {}, "0:00");
  const level = h("meter", { min: 0, max: 1, value: 0, "aria-label": "Loudness" });
  const recording = await record((loudness, seconds) => {
    level.value = Math.max(loudness, level.value * 0.95);
    time.textContent = clock(seconds);
  });
  const end = (/** @type {boolean} */ keep) => {
    if (panel.hidden) return;
    const blob = recording.stop();
    panel.hidden = true;
    ended();
    const now = new Date().toLocaleString("sv").slice(0, 16).replace(":", ".");
    if (keep) add(blob, `Recording ${now}.wav`);
  };
  const done = h("button.primary", { type: "button", onclick: () => end(true) }, "Stop and write it out");
  panel.replaceChildren(
    h("div.row", {}, time, h("span.note", {}, "Recording. It stays on this device.")), level,
    h("div.row", {}, done, h("button", { type: "button", onclick: () => end(false) }, "Throw away")));
  panel.hidden = false;
  done.focus();
  say("Recording");
  recording.lost.then(() => end(true));
}
