// Recordings that ask a lot: formats that only the browser knows, many in a row, very long ones.
// CANDLE_WHISPER_HOURS=3 makes the long one as long as it is to work with; else it has a third of an hour.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { measured } from "./chromium.js";
import { root, serve } from "./site.js";

const folders = { "/pkg/": "web/pkg", "/models/": "native/models", "/data/": "tests/data", "/": "web/examples/plain" };

/** MP3 in a WAV file, which the core does not read. */
function mp3InWav() {
  const mp3 = readFileSync(join(root, "tests/data/formats/mp3_cbr64_16k.mp3"));
  const head = Buffer.alloc(58);
  head.write("RIFF", 0);
  head.writeUInt32LE(50 + mp3.length, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(30, 16);
  head.writeUInt16LE(0x55, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(16000, 24);
  head.writeUInt32LE(8000, 28);
  head.writeUInt16LE(1, 32);
  head.writeUInt16LE(12, 36);
  head.writeUInt16LE(1, 38);
  head.writeUInt32LE(2, 40);
  head.writeUInt16LE(288, 44);
  head.writeUInt16LE(1, 46);
  head.writeUInt16LE(1393, 48);
  head.write("data", 50);
  head.writeUInt32LE(mp3.length, 54);
  return Buffer.concat([head, mp3]);
}

let browser;
let site;
before(async () => {
  [browser, site] = await Promise.all([measured(), serve(folders, { isolated: true, files: { "/mp3.wav": mp3InWav() } })]);
});
after(async () => {
  await browser.close();
  site.close();
});

/** A page with a model loaded, and `said(name or Blob, options)` for what it says of a file of the server's. */
async function opened() {
  const page = await browser.open(site.url);
  await page.evaluate(async () => {
    const { CandleWhisper } = await import("./pkg/candle-whisper.js");
    globalThis.whisper = await CandleWhisper.load();
    globalThis.said = async (file, options = { temperature: 0 }) => {
      const input = typeof file === "string" ? await (await fetch(file)).blob() : file;
      let text;
      for await (const event of whisper.transcribe(input, options)) if (event.type === "done") text = event.transcript.text;
      return text;
    };
  });
  return page;
}

test("what the core can't decode the browser may, and what neither can is the core's error", async () => {
  const page = await opened();
  const [theirs, ours] = await page.evaluate(async () => [await said("mp3.wav"), await said("data/formats/mp3_cbr64_16k.mp3")]);
  // The browser leaves the silence at the start of an MP3 in, and the last word is cut in two.
  for (const text of [theirs, ours]) assert.match(text, /And so,? my fellow/);
  const { code, message } = await page.evaluate(() => said("data/formats/wma_v2.wma").catch(({ code, message }) => ({ code, message })));
  assert.equal(code, "audio");
  assert.match(message, /WMA/);
  await page.close();
});

test("twenty files in a row leave memory as it was after the third", async () => {
  const page = await opened();
  const sizes = [];
  for (let i = 0; i < 20; i++) {
    // No more than a word each: it is not the words that could stay.
    await page.evaluate((name) => said(name, { temperature: 0, sample_len: 3, without_timestamps: true }),
      ["data/jfk.flac", "data/formats/mp3_vbr_q4_44k1.mp3", "data/formats/webm_opus.webm"][i % 3]);
    sizes.push((await browser.memory()).now);
  }
  console.log(`MB after each: ${sizes.map((size) => (size / 1e6).toFixed(0)).join(" ")}`);
  const late = sizes.slice(-3);
  // One more recording of 11 s would be 0.7 MB each time, one more worker 100 MB at once.
  assert.ok(Math.min(...late) < Math.max(...sizes.slice(2, 5)) + 8e6);
  await page.close();
});

test("a long recording takes the memory of its samples, and is given back", { timeout: 600_000 }, async () => {
  const hours = Number(process.env.CANDLE_WHISPER_HOURS ?? 1 / 3);
  const page = await opened();
  const seen = await page.evaluate(async (hours) => {
    // µ-law at 8 kHz: 11 s of speech again and again.
    const bytes = await (await fetch("data/jfk.flac")).arrayBuffer();
    const sound = (await new OfflineAudioContext(1, 1, 8000).decodeAudioData(bytes)).getChannelData(0);
    const law = Uint8Array.from(sound, (value) => {
      const magnitude = Math.log1p(255 * Math.min(1, Math.abs(value))) / Math.log(256);
      return ~((value < 0 ? 0x80 : 0) | Math.round(magnitude * 127));
    });
    const times = Math.ceil((hours * 3600 * 8000) / law.length);
    const head = new DataView(new ArrayBuffer(46));
    const size = times * law.length;
    for (const [at, text] of [[0, "RIFF"], [8, "WAVEfmt "], [38, "data"]]) [...text].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
    head.setUint32(4, 38 + size, true);
    head.setUint32(16, 18, true);
    [7, 1].forEach((value, i) => head.setUint16(20 + 2 * i, value, true));
    head.setUint32(24, 8000, true);
    head.setUint32(28, 8000, true);
    [1, 8].forEach((value, i) => head.setUint16(32 + 2 * i, value, true));
    head.setUint32(42, size, true);
    const part = new Blob([law]);
    const file = new Blob([head, ...Array.from({ length: times }, () => part)]);
    const since = performance.now();
    const seen = { duration: 0, decoded: 0, first: 0, text: "" };
    for await (const event of whisper.transcribe(file, { temperature: 0 })) {
      if (event.type === "audio") Object.assign(seen, { duration: event.duration, decoded: performance.now() - since });
      if (event.type !== "segment") continue;
      Object.assign(seen, { first: performance.now() - since, text: event.segment.text });
      break;
    }
    return seen;
  }, hours);
  const { most } = await browser.memory();
  assert.ok(Math.abs(seen.duration - hours * 3600) < 12);
  assert.match(seen.text, /my fellow American/);
  console.log(`${hours.toFixed(2)} h: decoded after ${(seen.decoded / 1e3).toFixed(1)} s, first text after ${(seen.first / 1e3).toFixed(1)} s, `
    + `${(most / 1e6).toFixed(0)} MB at most`);
  // Samples and their mel: 346 MB an hour.
  assert.ok(most < 360e6 + hours * 400e6, `${most} bytes`);
  const since = Date.now();
  assert.match(await page.evaluate(() => said("data/jfk.flac")), /ask not what your country/);
  console.log(`the next one took ${Date.now() - since} ms`);
  await page.close();
});
