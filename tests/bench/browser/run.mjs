// node tests/bench/browser/run.mjs --onnx FOLDER --ggml FOLDER [--turns 3] [--threads 1,2] [--warm 2] [--only NAME,...] [--clip tests/data/jfk.flac]
//
// The package beside transformers.js (wasm back end) and whisper.cpp (@remotion/whisper-web) in the same Chromium: same clip, same
// weights (tiny.en), greedy with timestamps, each off the page's own thread. Every turn runs all programs one after the other,
// each in a browser of its own, so that a busy machine is busy for all of them. Printed is a table of medians; each run is a line of tests/bench/results/browser-MACHINE-DATE.csv.
// Before: web/build.sh, `npm ci --ignore-scripts` here, tiny.en in the first FOLDER by export-onnx, and in the second by
// tests/tools/write-model ggml-f16 tests/models/tiny.en FOLDER/ggml-tiny.en-f16.bin, and the same with q8_0.

import { appendFileSync, createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { cpus, loadavg } from "node:os";
import { extname, join, normalize, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { chromium } from "playwright-core";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "../../..");
const { values: given } = parseArgs({ options: {
  onnx: { type: "string" }, ggml: { type: "string" }, turns: { type: "string", default: "3" }, threads: { type: "string", default: "1,2" }, only: { type: "string" },
  warm: { type: "string", default: "2" }, clip: { type: "string", default: "tests/data/jfk.flac" },
} });

const file = (name) => ({ config: `${name}/config.json`, generation_config: `${name}/generation_config.json`, tokenizer: `${name}/tokenizer.json` });
const PROGRAMS = [
  { name: "candle-whisper, f16 weights", program: "ours", argument: { ...file("/models/tiny.en"), weights: "/models/tiny.en/model.safetensors" } },
  { name: "candle-whisper, f16 weights, f32", program: "ours", argument: { ...file("/models/tiny.en"), weights: "/models/tiny.en/model.safetensors", dtype: "f32" } },
  { name: "candle-whisper, bundled", program: "ours", argument: { ...file("/bundled/tiny.en"), weights: "/bundled/tiny.en/model.gguf" } },
  { name: "candle-whisper, bundled, f32", program: "ours", argument: { ...file("/bundled/tiny.en"), weights: "/bundled/tiny.en/model.gguf", dtype: "f32" } },
  { name: "transformers.js fp32", program: "transformers", argument: "fp32" },
  { name: "transformers.js q8", program: "transformers", argument: "q8" },
  { name: "whisper.cpp f16", program: "whispercpp", argument: "/ggml/ggml-tiny.en-f16.bin" },
  { name: "whisper.cpp q8_0", program: "whispercpp", argument: "/ggml/ggml-tiny.en-q8_0.bin" },
].filter(({ name }) => !given.only || given.only.split(",").some((part) => name.includes(part)));

/** What is served, by the start of its address. */
const FOLDERS = {
  "/pkg/": join(root, "web/pkg"), "/models/": join(root, "tests/models"), "/bundled/": join(root, "native/models"),
  "/transformers/": join(here, "node_modules/@huggingface/transformers/dist"), "/ort/": join(here, "node_modules/onnxruntime-web/dist"),
  "/whispercpp/": join(here, "node_modules/@remotion/whisper-web"),
  "/ggml/": resolve(given.ggml ?? join(here, "ggml")), "/onnx/": resolve(given.onnx ?? join(here, "onnx")), "/clip/": resolve(root, given.clip, ".."), "/": here,
};
const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm", ".html": "text/html" };

/** Bytes sent since they were last looked at: of programs, and of models. */
const sent = { program: 0, model: 0 };

const server = createServer((request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
  const headers = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
  if (path === "/") return response.writeHead(200, { ...headers, "content-type": "text/html" }).end('<!doctype html><script type="module" src="/page.js"></script>');
  const prefix = Object.keys(FOLDERS).find((prefix) => path.startsWith(prefix));
  const found = join(FOLDERS[prefix], path.slice(prefix.length));
  if (!existsSync(found)) return response.writeHead(404, headers).end();
  const { size } = statSync(found);
  if (["/models/", "/bundled/", "/onnx/", "/ggml/"].includes(prefix)) sent.model += size;
  else if (prefix !== "/clip/" && prefix !== "/") sent.program += size;
  response.writeHead(200, { ...headers, "content-type": TYPES[extname(found)] ?? "application/octet-stream", "content-length": size });
  createReadStream(found).pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}/`;

/** One program in a fresh browser. */
async function once({ program, argument }, threads) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"] });
  try {
    Object.assign(sent, { program: 0, model: 0 });
    const page = await browser.newPage();
    const system = await browser.newBrowserCDPSession();
    const renderers = async () => (await system.send("SystemInfo.getProcessInfo")).processInfo.filter(({ type }) => type === "renderer");
    const marks = [];
    const mark = async () => marks.push((await renderers()).reduce((sum, { cpuTime }) => sum + cpuTime, 0));
    await page.exposeFunction("mark", mark);
    await page.goto(url);
    await page.waitForFunction(() => globalThis.bench);
    const clip = `/clip/${given.clip.split("/").pop()}`;
    const told = await page.evaluate((how) => globalThis.bench(how), { program, argument, threads, clip, warm: Number(given.warm) });
    const peak = Math.max(...(await renderers()).map(({ id }) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, "utf8"))?.[1] ?? 0) * 1024));
    const cpu = marks.slice(1).map((mark, i) => 1e3 * (mark - marks[i]));
    return { ...told, cpu, peak, sent: { ...sent } };
  } finally {
    await browser.close();
  }
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)];
const machine = cpus()[0].model.split(" ").slice(0, 2).join("-");
const date = new Date().toISOString().slice(0, 10);
const record = join(here, `../results/browser-${machine}-${cpus().length}-${date}.csv`);
if (!existsSync(record)) appendFileSync(record, "program,clip,threads,turn,load_ms,first_ms,again_ms,again_cpu_ms,peak_mb,program_mb,model_mb,load\n");

/** @type {Map<string, any[]>} */
const all = new Map();
for (let turn = 0; turn < Number(given.turns); turn++) {
  for (const threads of given.threads.split(",").map(Number)) {
    for (const each of PROGRAMS) {
      const seen = await once(each, threads);
      const key = `${threads} ${each.name}`;
      all.set(key, [...(all.get(key) ?? []), seen]);
      const [again, cpu] = [median(seen.times.slice(1)), median(seen.cpu.slice(1))];
      const mb = [seen.peak, seen.sent.program, seen.sent.model].map((bytes) => (bytes / 1e6).toFixed(1));
      const numbers = [seen.load, seen.times[0], again, cpu].map((ms) => ms.toFixed(0));
      appendFileSync(record, `"${each.name}",${given.clip.split("/").pop()},${threads},${turn},${numbers},${mb},${loadavg()[0].toFixed(1)}\n`);
      if (turn === 0) console.error(`${key}: ${seen.text.trim().slice(0, 200)}`);
    }
  }
}
server.close();

console.log(`| ${given.clip.split("/").pop()}, median of ${given.turns} turns | threads | load | first run | again | CPU | peak memory | program | model |`);
console.log("|---|---|---|---|---|---|---|---|---|");
for (const [key, runs] of all) {
  const [threads, name] = [key.split(" ")[0], key.slice(key.indexOf(" ") + 1)];
  const ms = (pick) => `${median(runs.flatMap(pick)).toFixed(0)} ms`;
  const mb = (pick) => `${(median(runs.flatMap(pick)) / 1e6).toFixed(0)} MB`;
  console.log(`| ${name} | ${threads} | ${ms((r) => r.load)} | ${ms((r) => r.times[0])} | ${ms((r) => r.times.slice(1))} | ${ms((r) => r.cpu.slice(1))} `
    + `| ${mb((r) => r.peak)} | ${mb((r) => r.sent.program)} | ${mb((r) => r.sent.model)} |`);
}
