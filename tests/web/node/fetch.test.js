// Models over HTTP: interrupted, wrong, missing.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";

import { CandleWhisper } from "../../../web/pkg/candle-whisper.js";

const model = new URL("../../../native/models/tiny.en/", import.meta.url);
const files = new Map(
  ["config.json", "generation_config.json", "tokenizer.json", "model.gguf"].map((name) => [name, readFileSync(new URL(name, model))]),
);

/** @type {{breaks: number, missing: string[], requests: {path: string, range?: string}[]}} */
let behaviour;
beforeEach(() => (behaviour = { breaks: 0, missing: [], requests: [] }));

const server = createServer((request, response) => {
  const name = request.url.split("/").pop();
  const { range } = request.headers;
  behaviour.requests.push({ path: name, range });
  if (name === "large.safetensors") {
    response.writeHead(200, { "content-length": 6.2e9 });
    return response.write(new Uint8Array(65536));
  }
  const bytes = files.get(name);
  if (!bytes || behaviour.missing.includes(name)) return response.writeHead(404).end();
  const start = range ? Number(/bytes=(\d+)-/.exec(range)[1]) : 0;
  response.writeHead(range ? 206 : 200, { "content-length": bytes.length - start, etag: '"one"' });
  if (name === "model.gguf" && behaviour.breaks-- > 0) {
    response.write(bytes.subarray(start, start + 9e6), () => setTimeout(() => response.destroy(), 50));
  } else response.end(bytes.subarray(start));
});
before(() => new Promise((resolve) => server.listen(0, "127.0.0.1", resolve)));
after(() => server.close());

const url = (name) => `http://127.0.0.1:${server.address().port}/${name}`;
const described = (more = {}) => ({
  config: url("config.json"),
  generation_config: url("generation_config.json"),
  tokenizer: url("tokenizer.json"),
  weights: url("model.gguf"),
  ...more,
});
const sha256 = (name) => createHash("sha256").update(files.get(name)).digest("hex");

test("a download that breaks off goes on where it stopped, and its bytes are counted", async () => {
  behaviour.breaks = 2;
  const seen = [];
  const sums = { weights: sha256("model.gguf") };
  const whisper = await CandleWhisper.load({ model: described({ sha256: sums }), onProgress: (p) => seen.push(p) });
  const ranges = behaviour.requests.filter((r) => r.path === "model.gguf").map((r) => r.range);
  assert.equal(ranges.length, 3);
  assert.equal(ranges[0], undefined);
  assert.ok(ranges.slice(1).every((range) => /^bytes=[1-9]\d+-$/.test(range)), ranges.join());
  const weights = seen.filter((p) => p.file === "model.gguf");
  const total = files.get("model.gguf").length;
  assert.deepEqual(weights.at(-1), { file: "model.gguf", loaded: total, total });
  assert.ok(weights.every((p, i) => i === 0 || p.loaded >= weights[i - 1].loaded));
  whisper.dispose();
});

test("a file with another hash than it should have is refused", async () => {
  const sums = { weights: "0".repeat(64) };
  await assert.rejects(CandleWhisper.load({ model: described({ sha256: sums }) }), { code: "network", message: /SHA-256/ });
});

test("a missing file is an error that names it, unless it can be done without", async () => {
  behaviour.missing = ["generation_config.json"];
  (await CandleWhisper.load({ model: described() })).dispose();
  behaviour.missing = ["tokenizer.json"];
  await assert.rejects(CandleWhisper.load({ model: described() }), { code: "network", message: /tokenizer\.json.*404/ });
});

test("a signal stops a download", async () => {
  const control = new AbortController();
  const onProgress = ({ file }) => file === "model.gguf" && control.abort();
  await assert.rejects(CandleWhisper.load({ model: described(), onProgress, signal: control.signal }), { code: "aborted" });
});

test("a model larger than a page can have is refused as soon as that is known", async () => {
  const shape = (d_model, layers) => {
    const heads = d_model / 64;
    const sizes = { d_model, encoder_layers: layers, decoder_layers: layers, encoder_attention_heads: heads, decoder_attention_heads: heads };
    return new Blob([JSON.stringify({ ...JSON.parse(files.get("config.json")), ...sizes })]);
  };
  // large-v3, computed in f32, by the length of its weights. As small integers it has room.
  const large = described({ config: shape(1280, 32), weights: url("large.safetensors") });
  await assert.rejects(CandleWhisper.load({ model: large, dtype: "f32" }), { code: "memory", message: /6\.\d GB/ });
  assert.equal(behaviour.requests.at(-1).path, "large.safetensors");
  // Whatever its numbers may be, by its configuration.
  behaviour.requests = [];
  await assert.rejects(CandleWhisper.load({ model: described({ config: shape(2560, 64) }) }), { code: "memory", message: /1\d\.\d GB/ });
  assert.equal(behaviour.requests.length, 0);
});

test("damaged weights are an error of the model", async () => {
  const weights = new Blob([files.get("model.gguf").subarray(0, 1e7)]);
  await assert.rejects(CandleWhisper.load({ model: { weights } }), { code: "model", message: /cut short/ });
});
