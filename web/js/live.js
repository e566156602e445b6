// A live transcription as its caller sees it: samples go in as they come, events come out.

import { CandleWhisperError, aborted, asError } from "./errors.js";

/** @typedef {import("./types.js").LiveEvent} LiveEvent */
/** @typedef {import("./types.js").Transcript} Transcript */

/** Speech written down while it is spoken. Its events are told to `onEvent`, or come in a `for await`. */
export class LiveTranscription {
  #signal = new AbortController();
  /** @type {import("./client.js").Run | null} */
  #run = null;
  /** What the worker does not have yet. @type {{samples: Float32Array<ArrayBuffer>, rate: number}[]} */
  #waiting = [];
  /** @type {Promise<number> | null} */
  #draining = null;
  /** @type {LiveEvent[]} */
  #events = [];
  #wake = () => {};
  #ending = false;
  #over = false;
  #onEvent;
  /** @type {Promise<Transcript>} */
  #done;

  /**
   * @param {import("./client.js").Client} client
   * @param {string} json options
   * @param {{signal?: AbortSignal, onEvent?: (event: LiveEvent) => void}} control
   */
  constructor(client, json, { signal, onEvent }) {
    this.#onEvent = onEvent;
    const stop = () => this.stop();
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    const tell = (/** @type {LiveEvent} */ event) => {
      if (this.#onEvent) this.#onEvent(event);
      else this.#events.push(event);
      this.#wake();
    };
    this.#done = client.exclusively(this.#signal.signal, async (run) => {
      await run("vad");
      const done = run("live", { options: json }, tell);
      this.#run = run;
      await this.#drain().catch(() => {});
      if (this.#ending) run("liveEnd").catch(() => {});
      return done;
    });
    this.#done
      .catch(() => {})
      .finally(() => {
        signal?.removeEventListener("abort", stop);
        this.#over = true;
        this.#wake();
      });
  }

  /**
   * Takes the next samples of one channel. They are copied. The answer comes once the worker has them, with the seconds that it has
   * not heard yet; who has all samples at once waits for it, a microphone needn't.
   * @param {Float32Array} samples -1 to 1
   * @param {number} [sampleRate] 16000 if not given
   * @returns {Promise<number>}
   */
  push(samples, sampleRate = 16000) {
    if (!(samples instanceof Float32Array)) throw new CandleWhisperError("bad-option", "push takes a Float32Array");
    if (!Number.isInteger(sampleRate) || sampleRate < 1000 || sampleRate > 768000) {
      throw new CandleWhisperError("bad-option", `a sample rate of ${sampleRate} Hz can't be used`);
    }
    if (this.#ending || this.#over) throw new CandleWhisperError("bad-option", "the live transcription has been finished");
    this.#waiting.push({ samples: samples.slice(), rate: sampleRate });
    return this.#drain();
  }

  /** Sends what waits, one message at a time: a microphone's pieces are small, and many while the worker decodes. */
  #drain() {
    if (!this.#run || (!this.#draining && !this.#waiting.length)) return Promise.resolve(0);
    const send = async () => {
      let behind = 0;
      while (this.#run && this.#waiting.length) {
        const { rate } = this.#waiting[0];
        const other = this.#waiting.findIndex((piece) => piece.rate !== rate);
        const pieces = this.#waiting.splice(0, other < 0 ? this.#waiting.length : other).map(({ samples }) => samples);
        behind = await this.#run("livePush", { pieces, rate }, undefined, pieces.map(({ buffer }) => buffer));
      }
      this.#draining = null;
      return behind;
    };
    this.#draining ??= send();
    // Who does not wait for it is told by `finish`.
    this.#draining.catch(() => {});
    return this.#draining;
  }

  /**
   * Ends the sound: what was said is confirmed.
   * @returns {Promise<Transcript>}
   */
  async finish() {
    const run = this.#ending ? null : this.#run;
    this.#ending = true;
    try {
      if (run) {
        await this.#drain().catch(() => {});
        run("liveEnd").catch(() => {});
      }
      return await this.#done;
    } catch (error) {
      throw asError(error, "model");
    }
  }

  /** Ends it at once; nothing more is told, and `finish` fails. */
  stop() {
    this.#signal.abort(aborted());
  }

  /** The events since the last one taken; leaving the loop does not stop the transcription. */
  async *[Symbol.asyncIterator]() {
    if (this.#onEvent) throw new CandleWhisperError("bad-option", "events go to `onEvent`");
    for (;;) {
      const event = this.#events.shift();
      if (event) yield event;
      else if (this.#over) break;
      else await new Promise((resolve) => (this.#wake = () => resolve(undefined)));
    }
    await this.#done.catch((error) => {
      throw asError(error, "model");
    });
  }
}
