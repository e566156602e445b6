// What is said into the microphone, written out while it is said: confirmed text, and behind it what may still change.
import { h } from "./dom.js";
import { engine } from "./engine.js";
import { Loudness } from "./loudness.js";
import { problem } from "./messages.js";
import { notice } from "./notices.js";
import { transcribeOptions } from "./options.js";
import { add, addDone } from "./queue.js";
import { settings } from "./settings.js";

/** The options of a transcription that a live one takes too. */
const SHARED = ["task", "language", "initial_prompt", "beam_size", "compression_ratio_threshold", "logprob_threshold", "no_speech_threshold"];

/** Peaks a second, as the library tells them of recordings. */
const PEAKS = 50;

/** One live transcription and its picture. */
export class Captions {
  #confirmed = h("span.confirmed");
  #tentative = h("span.tentative");
  #note = h("p.note", {}, "Speak: the words appear here.");
  element = h("div.captions", {}, h("p.caption", { "aria-live": "polite" }, this.#confirmed, this.#tentative), this.#note);
  #loudness = new Loudness();
  #seconds = 0;
  /** @type {any} */
  #live = null;

  /** Loads the model if that is to be done. */
  async open() {
    const whisper = await engine.get();
    const all = transcribeOptions(settings.values, whisper.info);
    const options = Object.fromEntries(Object.entries(all).filter(([name, value]) => SHARED.includes(name) && value !== "auto-each"));
    this.#live = whisper.live(options, { onEvent: (/** @type {any} */ event) => this.#show(event) });
  }

  /** @param {any} event */
  #show(event) {
    switch (event.type) {
      case "confirmed":
        this.#confirmed.append(event.text);
        this.#tentative.textContent = "";
        this.#note.textContent = `${event.latency.toFixed(1)} s behind`;
        break;
      case "tentative":
        this.#tentative.textContent = event.text;
        break;
      case "lag":
        this.#note.textContent = `This machine is slow for the model: ${event.behind.toFixed(0)} s behind${event.dropped ? ", some was left out" : ""}`;
        break;
    }
    this.element.scrollTop = this.element.scrollHeight;
  }

  /** @param {Float32Array} samples @param {number} rate */
  push(samples, rate) {
    const peak = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const before = Math.floor(this.#seconds * PEAKS);
    this.#seconds += samples.length / rate;
    const peaks = new Float32Array(Math.floor(this.#seconds * PEAKS) - before).fill(peak);
    if (peaks.length) this.#loudness.add({ seconds: this.#seconds, duration: null, peaks });
    this.#live.push(samples, rate);
  }

  /** Ends it; its text becomes a recording's like any other. @param {Blob} blob @param {string} name */
  async finish(blob, name) {
    try {
      const transcript = await this.#live.finish();
      this.#loudness.end();
      const model = engine.whisper?.info.model || "your own model";
      addDone(blob, name, { transcript, language: transcript.language, model, duration: this.#seconds, peaks: this.#loudness.picture() });
    } catch (error) {
      const { title, help } = problem(error);
      notice("microphone", { title, help, bad: true });
      // The sound is there still.
      add(blob, name);
    }
  }

  /** Throws it away. */
  stop() {
    this.#live?.stop();
    this.#live?.finish().catch(() => {});
  }
}
