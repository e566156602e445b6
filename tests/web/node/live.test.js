// Live transcription in Node: the sound of a clip pushed piece by piece, as a microphone at 48 kHz would.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";

import { CandleWhisper } from "../../../web/pkg/candle-whisper.js";

const root = new URL("../../../", import.meta.url);
const models = new URL("native/models/", root);

let whisper, samples;
before(async () => {
  whisper = await CandleWhisper.load({ models });
  const wav = readFileSync(new URL("tests/data/formats/wav_s16_16k.wav", root));
  const data = wav.subarray(wav.indexOf("data") + 8);
  const speech = Float32Array.from({ length: data.length >> 1 }, (_, i) => data.readInt16LE(2 * i) / 32768);
  samples = new Float32Array(2 * speech.length + 4 * 16000);
  samples.set(speech, 16000);
  samples.set(speech, speech.length + 3 * 16000);
});
after(() => whisper.dispose());

test("samples_in_pieces_become_confirmed_words_with_times", async () => {
  const live = whisper.live({ min_chunk_s: 0.5 });
  const listening = (async () => {
    const events = [];
    for await (const event of live) events.push(event);
    return events;
  })();
  for (let at = 0; at < samples.length; at += 1600) await live.push(samples.subarray(at, at + 1600));
  const transcript = await live.finish();
  const events = await listening;
  assert.ok(events.every(({ version }) => version === 1));
  assert.equal(events[0].type, "ready");
  assert.equal(events.at(-1).type, "end");
  const confirmed = events.filter(({ type }) => type === "confirmed");
  assert.equal(confirmed.map(({ text }) => text).join(""), transcript.text);
  assert.ok(transcript.text.trim().length > 5, transcript.text);
  assert.ok(confirmed.every(({ words, latency }) => words.every(({ start, end }) => start >= 0 && end >= start) && latency > 0));
  assert.match(whisper.toSrt(transcript), /-->/);
  assert.throws(() => live.push(samples), { code: "bad-option" });
});

test("a_signal_ends_it_and_the_model_goes_on", async () => {
  const control = new AbortController();
  const told = [];
  const live = whisper.live({}, { signal: control.signal, onEvent: (event) => told.push(event.type) });
  await live.push(samples.subarray(0, 8000));
  control.abort();
  await assert.rejects(live.finish(), { code: "aborted" });
  let text;
  for await (const event of whisper.transcribe(samples)) if (event.type === "done") ({ text } = event.transcript);
  assert.ok(text.length > 5);
});

test("options_are_checked_at_once", () => {
  assert.throws(() => whisper.live({ minChunk: 1 }), { code: "bad-option", message: /minChunk/ });
  assert.throws(() => whisper.live({ min_chunk_s: 99 }), { code: "bad-option", message: /0\.1 to 10/ });
  assert.throws(() => whisper.live({ vad: { max_speech_duration_s: 3 } }), { code: "bad-option" });
});
