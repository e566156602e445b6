// The library's interface without a network in it: what happens is decided by the name of the file, so that every state
// of the page can be shown in a moment. It fetches its model's files as the library does.

const SENTENCE = [" And", " so,", " my", " fellow", " Americans,", " ask", " not", " what", " your", " country", " can", " do",
  " for", " you,", " ask", " what", " you", " can", " do", " for", " your", " country."];
const GUESSES = [0.98, 0.62, 0.91, 0.97, 0.35, 0.99];
const LANGUAGES = [["en", "english"], ["zh", "chinese"], ["de", "german"], ["fr", "french"], ["yue", "cantonese"]];
const SIZES = { "tiny.en": 210e6, "tiny": 210e6, "base": 372e6, "base.en": 372e6, "small": 1.14e9, "small.en": 1.14e9,
  "distil-small.en": 0.83e9, "distil-large-v3": 3.2e9, "turbo": 3.35e9, "medium": 3.44e9, "large-v3": 6.78e9 };

class CandleWhisperError extends Error {
  name = "CandleWhisperError";
  constructor(code, words) {
    super(words);
    this.code = code;
  }
}

const wait = (ms, signal) => ms && new Promise((resolve, reject) => {
  const end = () => reject(new CandleWhisperError("aborted", "the transcription was stopped"));
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { once: true });
  setTimeout(resolve, ms);
});

export class CandleWhisper {
  /** What the tests look at: the calls made. */
  static calls = (globalThis.fakeCalls = []);
  #lost = false;

  static async load({ model, dtype, onProgress, signal }) {
    CandleWhisper.calls.push(["load", model, dtype]);
    if (typeof model !== "string") return new CandleWhisper("", true);
    if (model === "small") throw new CandleWhisperError("network", "`https://huggingface.co` can't be reached");
    if (model === "base") throw new CandleWhisperError("model", "`config.json` lacks `n_mels`");
    for (const file of ["config.json", "model.gguf"]) {
      const cache = await caches.open("candle-whisper-1");
      const url = new URL(`../models/tiny.en/${file}`, import.meta.url);
      const answer = (await cache.match(url)) ?? (await fetch(url, { signal }));
      if (answer.ok) await cache.put(url, answer.clone());
      else throw new CandleWhisperError("network", `${file}: ${answer.status}`);
      const total = (await answer.arrayBuffer()).byteLength;
      onProgress?.({ file, loaded: total / 2, total });
      await wait(20, signal);
      onProgress?.({ file, loaded: total, total });
    }
    return new CandleWhisper(model, !model.endsWith(".en"));
  }

  static languages() {
    return LANGUAGES;
  }

  static estimate({ model }) {
    return { bytes: SIZES[model], terms: {} };
  }

  constructor(model, multilingual) {
    this.info = { model, multilingual, n_vocab: multilingual ? 51865 : 51864 };
  }

  dispose() {
    this.#lost = true;
  }

  async *transcribe(input, options = {}, { signal } = {}) {
    const name = input.name ?? "";
    CandleWhisper.calls.push(["transcribe", name, structuredClone(options)]);
    if (this.#lost) throw new Error("this engine was disposed of");
    const pace = /slow/.test(name) ? 150 : 0;
    if (/broken/.test(name)) throw new CandleWhisperError("audio", `\`${name}\` is not a format that is known`);
    const rounds = /long/.test(name) ? 40 : 1;
    const duration = 11 * rounds;
    if (options.batch && options.clip_timestamps) throw new CandleWhisperError("bad-option", "`batch` and `clip_timestamps` can't be given together");
    if (options.vad && options.clip_timestamps) throw new CandleWhisperError("bad-option", "`vad` and `clip_timestamps` can't be given together");
    for (let half = 1; half <= 2; half += 1) {
      const peaks = new Float32Array(25 * duration).map((_, i) => Math.abs(Math.sin(i / 20)));
      yield { type: "decoding", seconds: (duration * half) / 2, duration, peaks };
      await wait(pace, signal);
      // It is read on when the test says so.
      if (half === 1 && /halfway/.test(name)) await new Promise((resolve) => (globalThis.fakeReadOn = resolve));
    }
    yield { type: "audio", duration };
    if (/wait for speech/.test(name)) await new Promise((resolve) => (globalThis.fakeReadOn = resolve));
    yield { type: "language", language: options.language ?? "en", probability: 0.97 };
    const segments = [];
    if (/silence/.test(name)) {
      yield { type: "done", transcript: { text: "", segments, language: "en" } };
      return;
    }
    for (let round = 0; round < rounds; round += 1) {
      yield { type: "progress", seconds: 11 * round, duration };
      let text = "";
      for (const [i, word] of SENTENCE.entries()) {
        await wait(pace, signal);
        yield { type: "text", text: (text += word) };
        if (i === 8 && /fallback/.test(name)) yield { type: "fallback", temperature: 0.2 };
      }
      for (const [from, to] of [[0, 14], [14, 22]]) {
        const segment = this.#segment(segments.length, 11 * round, from, to, options.word_timestamps);
        segments.push(segment);
        yield { type: "segment", segment };
        if (/memory/.test(name)) throw new CandleWhisperError("memory", "out of memory: 4.1 GB were asked for");
        if (/lost/.test(name)) throw new CandleWhisperError("model", "the worker failed: unreachable");
      }
      yield { type: "progress", seconds: 11 * (round + 1), duration };
    }
    const text = segments.map((segment) => segment.text).join("");
    yield { type: "done", transcript: { text, segments, language: options.language ?? "en" } };
  }

  /** Two at a time, an event of one and an event of the other; the next is taken when one of them has ended. */
  async *transcribeAll(recordings, options = {}) {
    CandleWhisper.calls.push(["transcribeAll", structuredClone(options)]);
    const left = recordings[Symbol.iterator]();
    const open = [];
    for (let number = 0, done = false; ;) {
      while (!done && open.length < 2) {
        const next = left.next();
        ({ done } = next);
        if (!done) open.push({ recording: number++, events: this.transcribe(next.value.input, options, next.value) });
      }
      if (!open.length) return;
      const one = open.shift();
      try {
        const { value, done } = await one.events.next();
        if (done) continue;
        yield { recording: one.recording, ...value };
        open.push(one);
      } catch (error) {
        if (!["aborted", "audio"].includes(error.code)) throw error;
        yield { recording: one.recording, type: "failed", error };
      }
    }
  }

  #segment(id, offset, from, to, words) {
    const list = SENTENCE.slice(from, to).map((word, i) => ({
      word, start: offset + (from + i) / 2, end: offset + (from + i) / 2 + 0.45, probability: GUESSES[(from + i) % GUESSES.length],
    }));
    const segment = {
      id, seek: offset * 100, start: offset + from / 2, end: offset + to / 2, text: SENTENCE.slice(from, to).join(""),
      tokens: [50363, 1, 2], temperature: 0, avg_logprob: -0.3, compression_ratio: 1.3, no_speech_prob: 0.01,
    };
    return words ? { ...segment, words: list } : segment;
  }

  async window(_input, stretch) {
    CandleWhisper.calls.push(["window", stretch]);
    return { ...stretch, number: 1, worker: 1 };
  }

  /** A quarter of a second for each word, if the text asks for it. */
  async align(text, window) {
    if (!/heard/.test(text)) throw new CandleWhisperError("bad-option", "this window is kept no longer");
    const words = text.match(/\s*\S+/g);
    return words.map((word, i) => ({ word, start: window.start + i / 4, end: window.start + i / 4 + 0.2, probability: 0.9 }));
  }

  toTxt({ segments }) {
    return segments.map((segment) => `${segment.text.trim()}\n`).join("");
  }
  toSrt({ segments }, options = {}) {
    if (options.min_cue_duration > options.max_cue_duration) {
      throw new CandleWhisperError("bad-option", `\`min_cue_duration\` (${options.min_cue_duration}) is above \`max_cue_duration\``);
    }
    return segments.map((s, i) => `${i + 1}\n${s.start} --> ${s.end}\n${s.text.trim()}\n${JSON.stringify(options)}\n`).join("\n");
  }
  toVtt = (transcript, options) => `WEBVTT\n\n${JSON.stringify(options)}\n${this.toTxt(transcript)}`;
  toTsv = (transcript) => `start\tend\ttext\n${this.toTxt(transcript)}`;
  toAss = (transcript, options) => `[Events]\n${JSON.stringify(options)}\n${this.toTxt(transcript)}`;
  toCsv = (transcript) => `start,end,text\n${this.toTxt(transcript)}`;
  toLrc = (transcript) => `[00:00.00]${this.toTxt(transcript)}`;
  toJson = (transcript) => JSON.stringify(transcript);
}
