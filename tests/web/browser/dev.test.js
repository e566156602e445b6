// The same in Chromium: relaxed SIMD, and threads.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { clips, model } from "../dev.js";
import { browse } from "./chromium.js";
import { serve } from "./site.js";

let browser;
before(async () => (browser = await browse()));
after(() => browser.close());

test("Chromium says what the reference says on DEV", async (t) => {
  const expected = clips();
  t.diagnostic(`${expected.length} DEV clips`);
  if (expected.length === 0) return;
  const site = await serve({ "/pkg/": "web/pkg", "/tests/": "tests", "/": "web/examples/plain" }, { isolated: true, t });
  const page = await browser.open(site.url);
  await page.evaluate(async (model) => {
    const { CandleWhisper } = await import("./pkg/candle-whisper.js");
    globalThis.whisper = await CandleWhisper.load({ model, cache: false, dtype: "f32" });
  }, model((path) => `/${path}`));
  for (const { id, text, tokens } of expected) {
    const said = await page.evaluate(async (url) => {
      const file = await (await fetch(url)).blob();
      for await (const event of globalThis.whisper.transcribe(file, { temperature: 0, word_timestamps: true })) {
        if (event.type === "done") return { text: event.transcript.text, tokens: event.transcript.segments.map((s) => s.tokens) };
      }
    }, `/tests/.cache/dev16k/${id}.wav`);
    assert.deepEqual(said, { text, tokens }, id);
  }
  assert.ok(site.requests.includes("/pkg/candle_whisper_web_relaxed.wasm"));
});
