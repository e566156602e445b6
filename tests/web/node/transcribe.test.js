// The package as Node has it: what the native program says, said by wasm.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { openAsBlob, readFileSync, statSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { CandleWhisper, CandleWhisperError } from "../../../web/pkg/candle-whisper.js";

const root = new URL("../../../", import.meta.url);
const at = (name) => new URL(name, root);
const jfk = at("tests/data/jfk.flac");
const greedy = { temperature: 0 };

let whisper;
before(async () => (whisper = await CandleWhisper.load({ models: at("native/models/") })));
after(() => whisper.dispose());

async function transcribed(input, options = greedy, control = {}) {
  const events = [];
  for await (const event of whisper.transcribe(input, options, control)) events.push(event);
  return events;
}

/** What the command line makes of the same. */
const native = (...options) => nativeOf(jfk, ...options);

function nativeOf(recording, ...options) {
  const program = at("target/release/candle-whisper").pathname;
  const from = process.env.CANDLE_WHISPER_PROGRAM ?? program;
  return execFileSync(from, [recording.pathname, "--model", at("native/models/tiny.en").pathname, "--verbose", "None", "--temperature", "0", "--temperature_increment_on_fallback",
    "None", "--beam_size", "None", "--best_of", "None", "-o", "-", ...options], { encoding: "utf8" });
}

test("the tokens are those of the native program on the same weights", async () => {
  const events = await transcribed(jfk);
  const { transcript } = events.at(-1);
  const expected = JSON.parse(native("-f", "json"));
  assert.deepEqual(transcript.segments.map((s) => s.tokens), expected.segments.map((s) => s.tokens));
  assert.equal(transcript.text, expected.text);
  assert.match(transcript.text, /ask not what your country can do for you/);
});

test("any number of threads says the same", async () => {
  const transcript = async (threads) => {
    const other = await CandleWhisper.load({ models: at("native/models/"), threads });
    const said = [];
    for await (const event of other.transcribe(jfk, { ...greedy, word_timestamps: true })) if (event.type === "done") said.push(event.transcript);
    other.dispose();
    return said;
  };
  const alone = await transcript(1);
  assert.match(alone[0].text, /ask not what your country can do for you/);
  assert.deepEqual(await transcript(3), alone);
  await assert.rejects(CandleWhisper.load({ models: at("native/models/"), threads: 0 }), { code: "bad-option" });
});

test("floats are multiplied as natively, where they are asked for", async () => {
  const other = await CandleWhisper.load({ models: at("native/models/"), dtype: "f32" });
  const said = [];
  for await (const event of other.transcribe(jfk, greedy)) if (event.type === "done") said.push(event.transcript);
  other.dispose();
  const expected = JSON.parse(native("-f", "json", "--dtype", "f32"));
  assert.deepEqual(said[0].segments.map((s) => s.tokens), expected.segments.map((s) => s.tokens));
  await assert.rejects(CandleWhisper.load({ models: at("native/models/"), dtype: "f16" }), { code: "bad-option" });
});

test("with relaxed SIMD and without, the same is said by another module", async () => {
  const program = fileURLToPath(new URL("which-module.js", import.meta.url));
  const says = (...given) => JSON.parse(execFileSync(process.execPath, given, { encoding: "utf8" }));
  const flags = parseInt(process.versions.node) < 21 ? ["--experimental-wasm-relaxed-simd"] : [];
  const relaxed = says(...flags, program);
  const without = says(program, "plain");
  const size = (name) => statSync(at(`web/pkg/candle_whisper_web_${name}.wasm`)).size;
  assert.equal(relaxed.bytes, size("relaxed"));
  assert.equal(without.bytes, size("bg"));
  assert.notEqual(relaxed.bytes, without.bytes);
  assert.deepEqual(relaxed.tokens, without.tokens);
});

test("several windows at once are those of the native program", async () => {
  const long = at("tests/data/long-72s.flac");
  const { transcript } = (await transcribed(long, { ...greedy, batch: 3 })).at(-1);
  const expected = JSON.parse(nativeOf(long, "-f", "json", "--batch", "3"));
  assert.deepEqual(transcript.segments.map((s) => s.tokens), expected.segments.map((s) => s.tokens));
  assert.equal(transcript.text, expected.text);
  // One after the other, windows begin elsewhere.
  const plain = JSON.parse(nativeOf(long, "-f", "json"));
  assert.notDeepEqual(expected.segments.map((s) => s.seek), plain.segments.map((s) => s.seek));
});

test("events come in order, and the last one has everything", async () => {
  const events = await transcribed(await openAsBlob(jfk));
  const kinds = events.map((event) => event.type);
  const heard = kinds.indexOf("audio");
  assert.equal(events[heard].duration, 11);
  const reading = events.slice(0, heard);
  assert.deepEqual(reading.map(({ type, duration }) => [type, duration]), reading.map(() => ["decoding", 11]));
  assert.equal(reading.at(-1).seconds, 11);
  const peaks = reading.flatMap(({ peaks }) => [...peaks]);
  assert.equal(peaks.length, 11 * 50);
  assert.ok(reading.length > 1 && peaks.every((peak) => peak <= 1) && Math.max(...peaks) > 0.3);
  assert.ok(kinds.filter((kind) => kind === "text").length > 20);
  assert.ok(kinds.lastIndexOf("text") < kinds.indexOf("segment"));
  assert.deepEqual(events.at(-2), { type: "progress", seconds: 11, duration: 11 });
  const { transcript } = events.at(-1);
  assert.deepEqual(transcript.segments, events.filter((e) => e.type === "segment").map((e) => e.segment));
});

test("subtitles with word times are those of the native program in f32, byte for byte", async () => {
  // Integers are not the same everywhere, and neither are times: x86-64 rounds its encoder's to fewer bits.
  const floats = await CandleWhisper.load({ models: at("native/models/"), dtype: "f32" });
  let transcript;
  for await (const event of floats.transcribe(jfk, { ...greedy, word_timestamps: true })) if (event.type === "done") ({ transcript } = event);
  floats.dispose();
  const words = ["--dtype", "f32", "--word_timestamps", "True", "--max_line_width", "20", "--max_line_count", "2"];
  const layout = { max_line_width: 20, max_line_count: 2 };
  assert.equal(whisper.toSrt(transcript, layout), native("-f", "srt", ...words));
  assert.equal(whisper.toVtt(transcript, layout), native("-f", "vtt", ...words));
  for (const [format, text] of [["tsv", whisper.toTsv(transcript)], ["txt", whisper.toTxt(transcript)],
    ["lrc", whisper.toLrc(transcript)], ["csv", whisper.toCsv(transcript)]]) {
    assert.equal(text, native("-f", format, "--dtype", "f32", "--word_timestamps", "True"), format);
  }
  // As an editor makes them, and as karaoke.
  const editors = { break_at_phrases: true, max_line_width: 24, max_chars_per_second: 15, min_cue_duration: 1, max_cue_duration: 4, min_cue_gap: 0.1 };
  const flags = Object.entries(editors).flatMap(([name, value]) => [`--${name}`, value === true ? "True" : String(value)]);
  const ass = whisper.toAss(transcript, editors);
  assert.equal(ass, native("-f", "ass", "--dtype", "f32", "--word_timestamps", "True", ...flags));
  assert.match(ass, /\{\\k\d+\}.*country/);
  const timed = whisper.toVtt(transcript, { ...editors, timed_words: true });
  assert.equal(timed, native("-f", "vtt", "--dtype", "f32", "--word_timestamps", "True", "--timed_words", "True", ...flags));
  const error = { code: "bad-option", message: /`min_cue_duration` \(5\) is above/ };
  assert.throws(() => whisper.toAss(transcript, { min_cue_duration: 5, max_cue_duration: 4 }), error);
});

test("a text is aligned with a window that was encoded once", async () => {
  const timed = async (work) => {
    const since = performance.now();
    return [await work(), performance.now() - since];
  };
  const { transcript } = (await transcribed(jfk, { ...greedy, word_timestamps: true, audio_ctx: "full" })).at(-1);
  const stretch = { start: 0, end: 11, snap_to_speech: false };
  const [window, encoding] = await timed(() => whisper.window(jfk, stretch));
  const heard = transcript.segments.flatMap(({ words }) => words);
  const [same, first] = await timed(() => whisper.align(transcript.text, window));
  const spoken = (words) => words.map(({ word }) => word.trim());
  assert.deepEqual(spoken(same), spoken(heard));
  // Without the timestamp tokens beside it the attention is a little another one.
  same.forEach(({ start }, i) => assert.ok(Math.abs(start - heard[i].start) <= 0.3, `${heard[i].word}: ${start} and ${heard[i].start}`));
  const edited = transcript.text.replace("fellow Americans", "dear fellow citizens");
  const [again, second] = await timed(() => whisper.align(edited, window));
  console.log(`11 s: encoded in ${Math.round(encoding)} ms, aligned in ${Math.round(first)} ms, another text in ${Math.round(second)} ms`);
  assert.ok(second < encoding + first, `${second} ms against ${encoding + first} ms`);
  assert.equal(again.length, same.length + 1);
  assert.ok(Math.abs(again.at(-1).end - same.at(-1).end) <= 0.1);
  // What is kept of it is not used up.
  assert.deepEqual(await whisper.align(transcript.text, window), same);

  await assert.rejects(whisper.window(jfk, { start: 11, end: 12 }), { code: "bad-option" });
  await assert.rejects(whisper.align("", window), { code: "bad-option" });
  await assert.rejects(whisper.align("And so", window, { lang: "en" }), /unknown option `lang`/);
  // Four are kept, each of them used before the first one again.
  for (const start of [1, 2, 3, 4]) await whisper.window(jfk, { start, end: start + 2, snap_to_speech: start === 4 });
  await assert.rejects(whisper.align("And so", window), { code: "bad-option", message: /kept no longer/ });
});

test("samples at 16 kHz and a file of them are heard alike", async () => {
  const wav = readFileSync(at("tests/data/formats/wav_f32_16k.wav"));
  const data = wav.subarray(wav.indexOf("data") + 8);
  const samples = new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + (data.length & ~3)));
  const said = (await transcribed(samples)).at(-1).transcript.text;
  assert.equal(said, (await transcribed(at("tests/data/formats/wav_f32_16k.wav"))).at(-1).transcript.text);
});

test("video in a Blob is heard", async () => {
  const events = await transcribed(await openAsBlob(at("tests/data/formats/mp4_h264_aac.mp4")));
  assert.ok(events.find(({ type }) => type === "audio").duration > 1);
});

test("bad options are errors that name them", async () => {
  const complaint = async (options) => {
    const error = await transcribed(jfk, options).then(() => null, (error) => error);
    assert.ok(error instanceof CandleWhisperError);
    assert.equal(error.code, "bad-option");
    return error.message;
  };
  assert.match(await complaint({ wordTimestamps: true }), /unknown option `wordTimestamps`/);
  assert.match(await complaint({ beam_size: "5" }), /`beam_size`/);
  assert.match(await complaint({ beam_size: NaN }), /`beam_size`.*NaN/);
  assert.match(await complaint({ temperature: 0, language: "klingon" }), /klingon/);
  assert.match(await complaint({ vad: { treshold: 0.3 } }), /option `vad`: unknown field `treshold`/);
  assert.match(await complaint({ vad: { threshold: 2 } }), /`vad threshold` must be from 0 to 1, not 2/);
  assert.match(await complaint({ vad: "yes" }), /option `vad`/);
  assert.match(await complaint({ vad: true, clip_timestamps: [1, 2] }), /`vad` and `clip_timestamps` can't be given together/);
  assert.match(await complaint({ batch: 0 }), /`batch` must be 1 to 256 windows, not 0/);
  for (const [name, value] of [["clip_timestamps", [1, 2]], ["condition_on_previous_text", true]]) {
    assert.match(await complaint({ batch: 2, [name]: value }), new RegExp(`\`batch\` and \`${name}\` can't be given together`));
  }
  await assert.rejects(CandleWhisper.load({ modle: "tiny.en" }), /unknown option `modle`/);
  await assert.rejects(CandleWhisper.load({ model: "enormous" }), /unknown model `enormous`/);
  assert.throws(() => whisper.toSrt({ text: "", segments: [], language: "en" }, { width: 3 }), /unknown field `width`/);
});

test("what is no recording is an error of its own kind, and the next one is heard", async () => {
  await assert.rejects(transcribed(new Blob(["no sound at all, only words"])), { code: "audio" });
  await assert.rejects(transcribed(at("tests/data/bad/video_no_audio.mp4")), { code: "audio" });
  await assert.rejects(whisper.detectLanguage(jfk), { code: "bad-option" });
  assert.equal((await transcribed(jfk)).at(-1).type, "done");
});

test("a signal stops a transcription in a second, and the next one runs", async () => {
  const control = new AbortController();
  const long = at("tests/data/long-72s.flac");
  let since = 0;
  const run = async () => {
    for await (const event of whisper.transcribe(long, greedy, { signal: control.signal })) {
      if (event.type === "text" && !since) {
        since = performance.now();
        control.abort();
      }
    }
  };
  await assert.rejects(run(), { code: "aborted" });
  assert.ok(performance.now() - since < 1000, `${performance.now() - since} ms`);
  await assert.rejects(transcribed(jfk, greedy, { signal: AbortSignal.abort() }), { code: "aborted" });
  const again = performance.now();
  assert.equal((await transcribed(jfk)).at(-1).type, "done");
  console.log(`after a stop: ${Math.round(performance.now() - again)} ms for 11 s`);
});

test("leaving the loop stops it; two at once take turns", async () => {
  for await (const event of whisper.transcribe(at("tests/data/long-72s.flac"), greedy)) if (event.type === "text") break;
  const both = await Promise.all([transcribed(jfk), transcribed(jfk)]);
  assert.deepEqual(both[0].at(-1), both[1].at(-1));
});

test("memory is estimated before loading, by name or by sizes", async () => {
  const small = await CandleWhisper.estimate({ model: "base", seconds: 11 });
  const base = await CandleWhisper.estimate({ model: "base", seconds: 11, dtype: "f32" });
  assert.ok(base.bytes > 2e8 && base.bytes < 3e8 && small.bytes < 0.75 * base.bytes);
  const sent = await CandleWhisper.estimate({ model: "base", seconds: 11, keep: "as sent", dtype: "f32" });
  assert.ok(sent.bytes > 3e8 && sent.bytes < 5e8);
  const config = JSON.parse(readFileSync(at("native/models/tiny.en/config.json"), "utf8"));
  assert.ok((await CandleWhisper.estimate({ dims: config })).bytes < base.bytes);
  await assert.rejects(CandleWhisper.estimate({ model: "enormous" }), { code: "bad-option" });
  assert.equal(CandleWhisper.languages().length, 100);
  assert.deepEqual(CandleWhisper.languages()[0], ["en", "english"]);
  assert.equal(whisper.info.multilingual, false);
});

test("a model that brings no tokens has those beside the module, and no other rules than GPT-2's are read", async () => {
  const file = (name) => readFileSync(at(`native/models/tiny.en/${name}`));
  const prompted = { ...greedy, initial_prompt: "John F. Kennedy's inaugural address, 1961:" };
  const expected = (await transcribed(jfk, prompted)).at(-1).transcript;
  const other = await CandleWhisper.load({ model: { weights: file("model.gguf") } });
  for await (const event of other.transcribe(jfk, prompted)) {
    if (event.type === "done") assert.deepEqual(event.transcript.segments.map((s) => s.tokens), expected.segments.map((s) => s.tokens));
  }
  other.dispose();
  const tokenizer = JSON.parse(file("tokenizer.json").toString());
  tokenizer.normalizer = { type: "Lowercase" };
  const model = { weights: file("model.gguf"), tokenizer: Buffer.from(JSON.stringify(tokenizer)) };
  await assert.rejects(CandleWhisper.load({ model }), { code: "model", message: /`tokenizer\.json` has other rules than GPT-2's/ });
});

test("a disposed model says so", async () => {
  const weights = readFileSync(at("native/models/tiny.en/model.gguf"));
  const other = await CandleWhisper.load({ model: { weights } });
  other.dispose();
  await assert.rejects(other.detectLanguage(jfk), /disposed/);
});
