import { measured } from "./chromium.js";
import { serve } from "./site.js";
const hours = Number(process.argv[2] ?? 1);
const vad = process.argv[3] === "vad";
const [browser, site] = await Promise.all([measured(), serve({ "/pkg/": "web/pkg", "/models/": "native/models", "/data/": "tests/data", "/": "web/examples/plain" }, { isolated: true })]);
const page = await browser.open(site.url);
const seen = await page.evaluate(async ({ hours, vad }) => {
  const { CandleWhisper } = await import("./pkg/candle-whisper.js");
  globalThis.whisper = await CandleWhisper.load();
  const bytes = await (await fetch("data/jfk.flac")).arrayBuffer();
  const sound = (await new OfflineAudioContext(1, 1, 8000).decodeAudioData(bytes)).getChannelData(0);
  const law = Uint8Array.from(sound, (value) => {
    const magnitude = Math.log1p(255 * Math.min(1, Math.abs(value))) / Math.log(256);
    return ~((value < 0 ? 0x80 : 0) | Math.round(magnitude * 127));
  });
  const times = Math.ceil((hours * 3600 * 8000) / law.length);
  const head = new DataView(new ArrayBuffer(44));
  const size = times * law.length;
  for (const [at, text] of [[0, "RIFF"], [8, "WAVEfmt "], [36, "data"]]) [...text].forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
  head.setUint32(4, 36 + size, true);
  head.setUint32(16, 16, true);
  [7, 1].forEach((value, i) => head.setUint16(20 + 2 * i, value, true));
  head.setUint32(24, 8000, true);
  head.setUint32(28, 8000, true);
  [1, 8].forEach((value, i) => head.setUint16(32 + 2 * i, value, true));
  head.setUint32(40, size, true);
  const part = new Blob([law]);
  const file = new Blob([head, ...Array.from({ length: times }, () => part)]);
  // Stopped while it is read.
  const control = new AbortController(); let stopAt = 0, stopped = 0;
  try {
    for await (const event of whisper.transcribe(file, { temperature: 0 }, { signal: control.signal })) {
      if (event.type === "decoding" && event.seconds > 600 && !stopAt) { stopAt = performance.now(); control.abort(); }
    }
  } catch (error) { stopped = `${error.code} ${(performance.now() - stopAt).toFixed(0)} ms`; }
  const since = performance.now();
  const seen = { stopped, duration: 0, decoded: 0, first: 0, text: "" };
  try {
    for await (const event of whisper.transcribe(file, { temperature: 0, vad })) {
      if (event.type === "audio") Object.assign(seen, { duration: event.duration, decoded: performance.now() - since });
      if (event.type !== "segment") continue;
      Object.assign(seen, { first: performance.now() - since, text: event.segment.text });
      break;
    }
  } catch (error) { seen.error = `${error.code}: ${error.message} after ${(performance.now() - since).toFixed(0)} ms`; }
  return seen;
}, { hours, vad });
console.log(JSON.stringify(seen), JSON.stringify(await browser.memory()));
const next = await page.evaluate(async () => {
  const file = await (await fetch("data/jfk.flac")).blob(); const since = performance.now(); let text;
  for await (const event of whisper.transcribe(file, { temperature: 0 })) if (event.type === "done") text = event.transcript.text;
  return `${text} after ${(performance.now() - since).toFixed(0)} ms`;
});
console.log(next);
await browser.close(); site.close();
