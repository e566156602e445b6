// The panel of a recording under way: its length, its loudness, live captions if they are wanted, and the two ways to end it.
import { Captions } from "./captions.js";
import { $, h, say } from "./dom.js";
import { clock } from "./format.js";
import { problem } from "./messages.js";
import { record } from "./microphone.js";
import { notice, settle } from "./notices.js";
import { add } from "./queue.js";

/** Sets up the buttons that open it. */
export function recorderView() {
  const buttons = [$("#record"), $("#live")];
  const panel = $("#recorder");
  const enable = (/** @type {boolean} */ on) => buttons.forEach((button) => (button.disabled = !on));
  for (const button of buttons) {
    button.onclick = async () => {
      enable(false);
      settle("microphone");
      const captions = button.id === "live" ? new Captions() : null;
      try {
        await captions?.open();
        await begin(panel, captions, () => (enable(true), button.focus()));
      } catch (error) {
        captions?.stop();
        const { title, help } = problem(error);
        notice("microphone", { title, help, bad: true });
        enable(true);
      }
    };
  }
}

/** @param {HTMLElement} panel @param {Captions | null} captions @param {() => void} ended */
async function begin(panel, captions, ended) {
  const time = h("span.clock.number", {}, "0:00");
  const level = h("meter", { min: 0, max: 1, value: 0, "aria-label": "Loudness" });
  const recording = await record((loudness, seconds) => {
    level.value = Math.max(loudness, level.value * 0.95);
    time.textContent = clock(seconds);
  }, (samples, rate) => captions?.push(samples, rate));
  const end = (/** @type {boolean} */ keep) => {
    if (panel.hidden) return;
    const blob = recording.stop();
    panel.hidden = true;
    ended();
    const now = new Date().toLocaleString("sv").slice(0, 16).replace(":", ".");
    const name = `${captions ? "Live" : "Recording"} ${now}.wav`;
    if (!keep) captions?.stop();
    else if (captions) captions.finish(blob, name);
    else add(blob, name);
  };
  const words = captions ? "Stop, and keep the text" : "Stop and write it out";
  const done = h("button.primary", { type: "button", onclick: () => end(true) }, words);
  panel.replaceChildren(
    h("div.row", {}, time, h("span.note", {}, "Recording. It stays on this device.")), level,
    ...(captions ? [captions.element] : []),
    h("div.row", {}, done, h("button", { type: "button", onclick: () => end(false) }, "Throw away")));
  panel.hidden = false;
  done.focus();
  say("Recording");
  recording.lost.then(() => end(true));
}
