// Token for token what openai/whisper says of the DEV set's English clips, by wasm: as tests/native/parity.rs for the native
// program. CANDLE_WHISPER_DEV_STEP=3 takes every third.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { CandleWhisper } from "../../../web/pkg/candle-whisper.js";

const at = (name) => new URL(`../../../${name}`, import.meta.url);
const reference = at("../shared/reference/dev.tiny.en.jsonl");
const step = Number(process.env.CANDLE_WHISPER_DEV_STEP ?? 1);

const modes = { greedy: {}, greedy_words: { word_timestamps: true } };

test("wasm says what the reference says on DEV", async (t) => {
  if (!existsSync(reference)) return t.diagnostic("0 DEV clips checked: no ../shared/reference");
  const rows = readFileSync(reference, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const ids = [...new Set(rows.map((row) => row.id))].filter((id, i) => i % step === 0 && id !== "longform_dev");
  const file = (name) => at(`tests/models/tiny.en/${name}`);
  const model = { config: file("config.json"), generation_config: file("generation_config.json"), tokenizer: file("tokenizer.json"), weights: file("model.safetensors") };
  const whisper = await CandleWhisper.load({ model });
  let runs = 0;
  for (const { id, mode, segments, text } of rows.filter((row) => ids.includes(row.id) && row.mode in modes)) {
    for await (const event of whisper.transcribe(at(`tests/.cache/dev16k/${id}.wav`), { temperature: 0, ...modes[mode] })) {
      if (event.type !== "done") continue;
      assert.deepEqual(event.transcript.segments.map((s) => s.tokens), segments.map((s) => s.tokens), `${id} ${mode}`);
      assert.equal(event.transcript.text, text, `${id} ${mode}`);
      runs += 1;
    }
  }
  whisper.dispose();
  assert.ok(runs >= ids.length);
  t.diagnostic(`${ids.length} clips checked in ${runs} runs`);
});
