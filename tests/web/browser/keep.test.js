// What is kept for the next visit: converted weights, and what happens where there is no room.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { inF32 } from "../f32.js";
import { browse, measured } from "./chromium.js";
import { root, serve } from "./site.js";

const sentence = /ask not what your country can do for you/;
const folders = { "/pkg/": "web/pkg", "/models/": "native/models", "/tiny.en/": "tests/models/tiny.en", "/data/": "tests/data", "/": "web/examples/plain" };
const files = { "/f32.safetensors": inF32(readFileSync(join(root, "tests/models/tiny.en/model.safetensors"))) };

let browser;
before(async () => (browser = await browse()));
after(() => browser.close());

/** In the page: loads the f32 weights, or the bundled model, transcribes, and tells what is kept. */
const visit = (page, how) => page.evaluate(async ({ bundled, keep }) => {
  const { CandleWhisper } = await import("./pkg/candle-whisper.js");
  const small = Object.fromEntries(["config", "generation_config", "tokenizer"].map((name) => [name, `tiny.en/${name}.json`]));
  const notes = new Set();
  const model = bundled ? "tiny.en" : { ...small, weights: "f32.safetensors" };
  const whisper = await CandleWhisper.load({ model, keep, onProgress: ({ note }) => note && notes.add(note) });
  const file = await (await fetch("data/jfk.flac")).blob();
  let said;
  for await (const event of whisper.transcribe(file, { temperature: 0 })) if (event.type === "done") said = event.transcript;
  whisper.dispose();
  const sizes = [];
  for (const cache of await globalThis.caches?.keys().catch(() => []) ?? []) {
    const opened = await caches.open(cache);
    for (const request of await opened.keys()) sizes.push((await (await opened.match(request)).blob()).size);
  }
  return { said, notes: [...notes], kept: sizes.reduce((sum, size) => sum + size, 0) };
}, how);

test("f32 weights are kept as f16, and the next visit has them without the network", async (t) => {
  const site = await serve(folders, { files, t });
  let page = await browser.open(site.url);
  const first = await visit(page, {});
  assert.match(first.said.text, sentence);
  assert.deepEqual(first.notes, []);
  // 75.5 MB of weights, 2.1 MB of tokenizer.
  assert.ok(first.kept > 76e6 && first.kept < 79e6, `${first.kept} bytes are kept`);
  await page.close();
  page = await browser.open(site.url);
  site.offline = true;
  const asked = site.requests.length;
  assert.deepEqual((await visit(page, {})).said, first.said);
  assert.deepEqual(site.requests.slice(asked).filter((path) => /f32\.safetensors|tiny\.en/.test(path)), []);
  site.offline = false;
  // Another wish is another file.
  const small = await visit(page, { keep: "q8_0" });
  assert.match(small.said.text, sentence);
  assert.ok(small.kept < 45e6, `${small.kept} bytes are kept`);
  await page.close();
});

test("f32 that becomes f16 takes no more memory than what is kept needs", async (t) => {
  const site = await serve(folders, { files, t });
  const peak = async (keep) => {
    const other = await measured();
    try {
      const page = await other.open(site.url);
      const { said } = await visit(page, { keep });
      assert.match(said.text, sentence);
      const { most } = await other.memory();
      console.log(`${keep}: the page's process had ${(most / 1e6).toFixed(0)} MB at most`);
      return most;
    } finally {
      await other.close();
    }
  };
  const sent = await peak("as sent");
  // What JavaScript has done with waits for its collector, which comes when it likes: up to 100 MB of what was received.
  const below = async (keep, bytes) => {
    const peaks = [];
    while (peaks.length < 3 && !peaks.some((most) => most < bytes)) peaks.push(await peak(keep));
    assert.ok(peaks.some((most) => most < bytes), `${keep}: ${peaks} bytes, not less than ${bytes}`);
  };
  // The weights have 151 MB in f32, of which 75 are not kept, and another 35 with 8 bits.
  await below("f16", sent - 50e6);
  await below("q8_0", sent - 65e6);
});

test("where there is no room the model stays in memory, with a note, and is fetched again next time", async (t) => {
  const site = await serve(folders, { files, t });
  const page = await browser.open(site.url);
  await page.evaluate(async () => (await import("./pkg/candle-whisper.js")).CandleWhisper.clearCache());
  const session = await page.context().newCDPSession(page);
  const origin = new URL(site.url).origin;
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 20e6 });
  for (const bundled of [true, false]) {
    const seen = await visit(page, { bundled });
    assert.match(seen.said.text, sentence);
    assert.match(seen.notes.join(), /no room to keep the model: it will be fetched again next time/);
    assert.ok(seen.kept < 20e6, `${seen.kept} bytes are kept`);
  }
  await session.send("Storage.overrideQuotaForOrigin", { origin });
  const seen = await visit(page, { bundled: true });
  assert.deepEqual(seen.notes, []);
  assert.ok(seen.kept > 30e6);
  await page.close();
});

test("where nothing can be kept at all the model is used and a note says so", async (t) => {
  // As in windows that are private in this way.
  const before = { "/pkg/worker.js": 'Object.defineProperty(globalThis, "caches", { get() { throw new DOMException("no", "SecurityError"); } });\n' };
  const site = await serve(folders, { files, before, t });
  const page = await browser.open(site.url);
  const seen = await visit(page, { bundled: true });
  assert.match(seen.said.text, sentence);
  assert.match(seen.notes.join(), /keeps nothing here/);
  assert.equal(seen.kept, 0);
  await page.close();
});
