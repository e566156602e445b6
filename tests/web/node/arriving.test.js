// Weights in f32 that are made smaller while they arrive.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";

import { CandleWhisper } from "../../../web/pkg/candle-whisper.js";
import { inF32 } from "../f32.js";

const root = new URL("../../../", import.meta.url);
const model = new URL("tests/models/tiny.en/", root);
const jfk = new URL("tests/data/jfk.flac", root);
const f16 = readFileSync(new URL("model.safetensors", model));
const f32 = inF32(f16);
const files = new Map(["config.json", "generation_config.json", "tokenizer.json"].map((name) => [name, readFileSync(new URL(name, model))]));
files.set("f32.safetensors", f32);
files.set("f16.safetensors", f16);
// One number in a thousand is another one, which 16 bits do not hold.
files.set("tuned.safetensors", inF32(f16, (value, i) => (i % 1000 === 0 ? value + 1e-7 : value)));
files.set("huge.safetensors", inF32(f16, (value, i) => (i === 5e6 ? 1e6 : value)));

/** @type {{breaks: number[], ranges: (string | undefined)[]}} */
let behaviour = { breaks: [], ranges: [] };
beforeEach(() => (behaviour = { breaks: [], ranges: [] }));
const server = createServer((request, response) => {
  const name = request.url.slice(1);
  const bytes = files.get(name);
  const { range } = request.headers;
  const start = range ? Number(/bytes=(\d+)-/.exec(range)[1]) : 0;
  response.writeHead(range ? 206 : 200, { "content-length": bytes.length - start, etag: '"one"' });
  if (!name.endsWith("safetensors")) return response.end(bytes);
  behaviour.ranges.push(range);
  const stop = behaviour.breaks.shift();
  if (stop) response.write(bytes.subarray(start, start + stop), () => setTimeout(() => response.destroy(), 50));
  else response.end(bytes.subarray(start));
});
/** What the weights say as they were made. */
let exact;
before(async () => {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  exact = await writes(await load("f16.safetensors"));
});
after(() => server.close());

const url = (name) => `http://127.0.0.1:${server.address().port}/${name}`;
const sum = (bytes) => createHash("sha256").update(bytes).digest("hex");
const load = (weights, more = {}, sha256 = sum(files.get(weights))) => CandleWhisper.load({
  model: {
    config: url("config.json"), generation_config: url("generation_config.json"), tokenizer: url("tokenizer.json"),
    weights: url(weights), sha256: { weights: sha256 },
  }, ...more,
});

/** The tokens it writes, and all it knows of them. */
async function writes(whisper) {
  let said;
  for await (const event of whisper.transcribe(jfk, { temperature: 0 })) if (event.type === "done") said = event.transcript;
  whisper.dispose();
  return said;
}

test("f32 becomes f16 on its way and says what f16 says; the hash is of what was sent", async () => {
  const seen = [];
  const said = await writes(await load("f32.safetensors", { onProgress: (p) => p.file === "f32.safetensors" && seen.push(p) }));
  assert.deepEqual(said, exact);
  assert.deepEqual(seen.at(-1), { file: "f32.safetensors", loaded: f32.length, total: f32.length });
  assert.ok(seen.every(({ note }) => note === undefined), "nothing was lost");
  await assert.rejects(load("f32.safetensors", {}, "0".repeat(64)), { code: "network", message: /SHA-256/ });
});

test("a download that is converted goes on where it broke off, in the head, between numbers, and twice", async () => {
  behaviour.breaks = [1000, 20_000_001, 30_000_003];
  const said = await writes(await load("f32.safetensors"));
  assert.match(said.text, /ask not what your country can do for you/);
  const starts = behaviour.ranges.map((range) => (range ? Number(/\d+/.exec(range)[0]) : 0));
  assert.deepEqual(starts.slice(0, 2), [0, 0]);
  assert.ok(starts[2] > 15e6 && starts[2] <= 20_000_001, `${starts}`);
  assert.ok(starts[3] > starts[2] + 25e6, `${starts}`);
});

test("q8_0 makes blocks of f32 and of f16 alike, as sent leaves them, and what is no choice is an error", async () => {
  const small = await writes(await load("f32.safetensors", { keep: "q8_0" }));
  assert.match(small.text, /ask not what your country can do for you/);
  assert.deepEqual(small, await writes(await load("f16.safetensors", { keep: "q8_0" })));
  const plain = await writes(await load("f32.safetensors", { keep: "as sent" }));
  assert.deepEqual(plain, exact);
  assert.notDeepEqual(small, plain);
  await assert.rejects(load("f32.safetensors", { keep: "f8" }), { code: "bad-option", message: /f16, q8_0, as sent/ });
  await assert.rejects(CandleWhisper.load({ model: { weights: f16 }, keep: "f16" }), { code: "bad-option", message: /fetched/ });
});

test("numbers that are rounded are told of, and those that do not fit are an error that helps", async () => {
  const notes = new Set();
  await writes(await load("tuned.safetensors", { onProgress: ({ note }) => note && notes.add(note) }));
  assert.match([...notes].at(-1), /^3\d{4} numbers of the model were rounded to 16 bits$/);
  await assert.rejects(load("huge.safetensors"), { code: "model", message: /1000000, too large for 16 bits; keep this model as it is sent/ });
});
