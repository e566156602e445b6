// Token for token what openai/whisper says of the DEV set's English clips, by wasm: as tests/native/parity.rs for the native
// program.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CandleWhisper } from "../../../web/pkg/candle-whisper.js";
import { clips, model, root } from "../dev.js";

test("wasm says what the reference says on DEV", async (t) => {
  const expected = clips();
  t.diagnostic(`${expected.length} DEV clips`);
  if (expected.length === 0) return;
  const whisper = await CandleWhisper.load({ model: model((path) => new URL(path, root)), dtype: "f32" });
  t.after(() => whisper.dispose());
  for (const { id, text, tokens } of expected) {
    const said = [];
    for await (const event of whisper.transcribe(new URL(`tests/.cache/dev16k/${id}.wav`, root), { temperature: 0, word_timestamps: true })) {
      if (event.type === "done") said.push(event.transcript);
    }
    assert.deepEqual(said.map((transcript) => transcript.segments.map((s) => s.tokens)), [tokens], id);
    assert.equal(said[0].text, text, id);
  }
});
