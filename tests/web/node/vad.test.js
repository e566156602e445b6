// Voice activity detection in Node: what the native program says with `--vad True`, said by wasm.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";

import { CandleWhisper } from "../../../web/pkg/candle-whisper.js";

const root = new URL("../../../", import.meta.url);
const at = (name) => new URL(name, root);
const models = at("native/models/");

let whisper, folder, recording;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "candle-whisper-"));
  recording = pathToFileURL(join(folder, "among-silence.wav"));
  writeFileSync(recording, amongSilence());
  whisper = await CandleWhisper.load({ models });
});
after(() => {
  whisper.dispose();
  rmSync(folder, { recursive: true });
});

/** A second and a half of speech after 20 s of silence, again after 35 s more, and 9 s of silence. */
function amongSilence() {
  const wav = readFileSync(at("tests/data/formats/wav_s16_16k.wav"));
  const data = wav.indexOf("data");
  const speech = wav.subarray(data + 8);
  const silence = (seconds) => Buffer.alloc(seconds * 32000);
  const samples = Buffer.concat([silence(20), speech, silence(35), speech, silence(9)]);
  const head = Buffer.from(wav.subarray(0, data + 8));
  head.writeUInt32LE(samples.length, data + 4);
  head.writeUInt32LE(head.length - 8 + samples.length, 4);
  return Buffer.concat([head, samples]);
}

async function transcribed(options, by = whisper) {
  let transcript;
  for await (const event of by.transcribe(recording, { temperature: 0, word_timestamps: true, ...options })) {
    if (event.type === "done") ({ transcript } = event);
  }
  return transcript;
}

function native(...options) {
  const program = process.env.CANDLE_WHISPER_PROGRAM ?? at("target/release/candle-whisper").pathname;
  const greedy = ["--temperature", "0", "--temperature_increment_on_fallback", "None", "--beam_size", "None", "--best_of", "None"];
  // AMX adds up floats in another order, and these 1.5 s are too short to say whether there is a comma.
  const env = options.includes("quantised") ? { ...process.env, CANDLE_WHISPER_KERNELS: "vnni" } : process.env;
  const json = execFileSync(program, [recording.pathname, "--model", at("native/models/tiny.en").pathname, "--verbose", "None", ...greedy,
    "--word_timestamps", "True", "-f", "json", "-o", "-", ...options], { encoding: "utf8", env });
  return JSON.parse(json);
}

const words = (transcript) => transcript.segments.flatMap((segment) => segment.words).map(({ word, start, end }) => ({ word, start, end }));
const tokens = (transcript) => transcript.segments.map((segment) => segment.tokens);

/** The same words at the same times, but for one of the network's positions. */
function assertAlike(said, expected) {
  assert.deepEqual(said.map(({ word }) => word), expected.map(({ word }) => word));
  for (const [i, { word, start, end }] of said.entries()) {
    assert.ok(Math.abs(start - expected[i].start) < 0.0201 && Math.abs(end - expected[i].end) < 0.0201,
      `${word} at ${start} to ${end}, natively ${expected[i].start} to ${expected[i].end}`);
  }
}

/** `assertWords` compares words with the native program's. */
async function comparedWithTheProgram(whisper, dtype, assertWords) {
  for (const [vad, flags] of [[true, []], [{}, []],
    [{ threshold: 0.3, speech_pad_ms: 100, min_silence_duration_ms: 100 }, ["--vad_threshold", "0.3", "--vad_speech_pad_ms", "100",
      "--vad_min_silence_duration_ms", "100"]]]) {
    const [said, expected] = [await transcribed({ vad }, whisper), native("--dtype", dtype, "--vad", "True", ...flags)];
    assert.deepEqual(tokens(said), tokens(expected));
    assertWords(words(said), words(expected));
    assert.equal(said.text, expected.text);
    const starts = words(said).map(({ start }) => start);
    assert.ok(starts.every((start) => (start > 19.5 && start < 22) || (start > 56 && start < 58.5)), starts.join());
  }
}

test("in f32 with vad the transcript and its times are the native program's, in the whole recording's time", async () => {
  const exact = await CandleWhisper.load({ models, dtype: "f32" });
  await comparedWithTheProgram(exact, "f32", assert.deepEqual);
  exact.dispose();
});

// Sums that end in other last digits may be rounded to other small integers, which moves a time where two are as likely.
test("with small integers and vad so are its tokens, and its times within a position", async () => {
  await comparedWithTheProgram(whisper, "quantised", assertAlike);
});

test("without vad, and with false and null, nothing is left out", async () => {
  const plain = await transcribed({});
  assert.deepEqual(await transcribed({ vad: false }), plain);
  assert.deepEqual(await transcribed({ vad: null }), plain);
  assert.notDeepEqual(words(await transcribed({ vad: true })), words(plain));
});

test("weights that are missing or damaged are an error that names them, and without vad all goes on", async () => {
  const copy = join(folder, "pkg");
  cpSync(at("web/pkg/"), copy, { recursive: true });
  const other = await import(pathToFileURL(join(copy, "candle-whisper.js")));
  const run = async (options) => {
    // The weights come with the model, if they can.
    const model = await other.CandleWhisper.load({ models });
    try {
      for await (const event of model.transcribe(at("tests/data/jfk.flac"), options)) if (event.type === "done") return event.transcript.text;
    } finally {
      model.dispose();
    }
  };
  const weights = readFileSync(join(copy, "silero_vad.safetensors"));
  weights[weights.length - 1] ^= 1;
  writeFileSync(join(copy, "silero_vad.safetensors"), weights);
  await assert.rejects(run({ vad: true }), { code: "network", message: /silero_vad\.safetensors has the SHA-256/ });
  rmSync(join(copy, "silero_vad.safetensors"));
  await assert.rejects(run({ vad: true }), { code: "network", message: /silero_vad\.safetensors/ });
  assert.match(await run({}), /ask not what your country can do for you/);
});
