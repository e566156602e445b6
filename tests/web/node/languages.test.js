// A multilingual model in Node: what the native program hears and says of several languages. Needs tests/tools/get-models base.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";

import { CandleWhisper } from "../../../web/pkg/candle-whisper.js";

const root = new URL("../../../", import.meta.url);
const model = new URL("tests/models/base/", root);
const clip = (name) => new URL(`tests/data/${name}.flac`, root);

let whisper;
before(async () => {
  const file = (name) => new URL(name, model);
  const [config, generation_config, tokenizer] = ["config", "generation_config", "tokenizer"].map((name) => file(`${name}.json`));
  whisper = await CandleWhisper.load({ model: { weights: file("model.safetensors"), config, generation_config, tokenizer } });
});
after(() => whisper?.dispose());

function native(recording, options = ["--beam_size", "None"]) {
  const program = process.env.CANDLE_WHISPER_PROGRAM ?? new URL("target/release/candle-whisper", root).pathname;
  const json = execFileSync(program, [recording.pathname, "--model", model.pathname, "--verbose", "None", "--temperature", "0",
    "--temperature_increment_on_fallback", "None", "--best_of", "None", "-f", "json", "-o", "-", ...options], { encoding: "utf8" });
  return JSON.parse(json);
}

async function said(recording, options) {
  for await (const event of whisper.transcribe(recording, { temperature: 0, ...options })) if (event.type === "done") return event.transcript;
}

for (const [language, name] of [["de", "fleurs-de-001"], ["ja", "fleurs-ja-01"], ["hi", "fleurs-hi-01"]]) {
  test(`${language} is detected, and its tokens are those of the native program`, async () => {
    const { language: heard, probabilities } = await whisper.detectLanguage(clip(name));
    assert.equal(heard, language);
    assert.equal(Object.keys(probabilities).length, 99);
    const [ours, theirs] = [await said(clip(name)), native(clip(name))];
    assert.equal(ours.language, language);
    assert.equal(theirs.language, language);
    assert.deepEqual(ours.segments.map(({ tokens }) => tokens), theirs.segments.map(({ tokens }) => tokens));
  });
}

test("German is translated as natively, with five beams", async () => {
  const ours = await said(clip("fleurs-de-001"), { task: "translate", language: "de", beam_size: 5 });
  const theirs = native(clip("fleurs-de-001"), ["--task", "translate", "--language", "de", "--beam_size", "5"]);
  assert.equal(ours.text, theirs.text);
  assert.match(ours.text, /[a-z]{3}/);
});
