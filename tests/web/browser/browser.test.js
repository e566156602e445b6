// The package in Chromium: the plain example, with and without isolation, and the Vite example.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { browse } from "./chromium.js";
import { root, serve } from "./site.js";

const jfk = join(root, "tests/data/jfk.flac");
const sentence = /ask not what your country can do for you/;
const plain = { "/pkg/": "web/pkg", "/models/": "native/models", "/data/": "tests/data", "/": "web/examples/plain" };
let browser;
before(async () => (browser = await browse()));
after(() => browser.close());
const open = (url) => browser.open(url);

async function transcribe(page) {
  await page.setInputFiles("input", jfk);
  await page.waitForFunction(() => /Done|: /.test(document.querySelector("p").textContent)
    && !document.querySelector("input").disabled, null, { timeout: 120_000 });
  assert.equal(await page.textContent("p"), "Done.");
  return page.textContent("pre");
}

for (const isolated of [false, true]) {
  test(`the plain example writes what a file says, ${isolated ? "isolated" : "without any headers"}`, async (t) => {
    const site = await serve(plain, { isolated, t });
    const page = await open(site.url);
    assert.equal(await page.evaluate(() => crossOriginIsolated), isolated);
    assert.match(await transcribe(page), sentence);
    // The model is kept: without the server's copy the next visit still has it.
    site.offline = true;
    site.requests.length = 0;
    await page.reload();
    assert.match(await transcribe(page), sentence);
    assert.deepEqual(site.requests.filter((path) => path.includes("/models/")), []);
    await page.close();
  });

  test(`the page's own thread is never held for 50 ms, ${isolated ? "isolated" : "without any headers"}`, async (t) => {
    const site = await serve(plain, { isolated, t });
    let seen;
    // What else a machine does may hold it too: then once more.
    for (let attempt = 0; attempt < 5 && !(seen?.longest < 50); attempt++) {
      const page = await open(site.url);
      seen = await page.evaluate(async () => {
        let [last, longest, name] = [performance.now(), 0, "start"];
        let step = name;
        const beat = () => {
          const now = performance.now();
          if (now - last > longest) [longest, name] = [now - last, step];
          last = now;
        };
        const beating = setInterval(beat, 4);
        const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
        step = "import";
        const { CandleWhisper } = await import("./pkg/candle-whisper.js");
        step = "estimate";
        await CandleWhisper.estimate({ model: "base" });
        step = "load";
        const whisper = await CandleWhisper.load();
        await pause();
        const file = await (await fetch("data/jfk.flac")).blob();
        step = "transcribe";
        let transcript;
        for await (const event of whisper.transcribe(file, { word_timestamps: true })) if (event.type === "done") transcript = event.transcript;
        await pause();
        step = "samples";
        for await (const event of whisper.transcribe(new Float32Array(16000 * 1800), { clip_timestamps: [0, 1] })) if (event.type === "audio") break;
        await pause();
        step = "write";
        whisper.toSrt(transcript);
        whisper.dispose();
        await pause();
        clearInterval(beating);
        return { longest, name };
      });
      await page.close();
      console.log(`the page's own thread was held for ${seen.longest.toFixed(0)} ms at most, in ${seen.name}`);
    }
    assert.ok(seen.longest < 50, `${seen.longest} ms in ${seen.name}`);
  });

  test(`a signal stops within a second and the model goes on, ${isolated ? "isolated" : "without any headers"}`, async (t) => {
    const site = await serve(plain, { isolated, t });
    const page = await open(site.url);
    const seen = await page.evaluate(async () => {
      const { CandleWhisper } = await import("./pkg/candle-whisper.js");
      const whisper = await CandleWhisper.load();
      const file = async (name) => (await fetch(`data/${name}`)).blob();
      const [long, short] = [await file("long-72s.flac"), await file("jfk.flac")];
      const control = new AbortController();
      let since = 0;
      let code = "";
      try {
        for await (const event of whisper.transcribe(long, { temperature: 0 }, { signal: control.signal })) {
          if (event.type !== "text" || since) continue;
          since = performance.now();
          control.abort();
        }
      } catch (error) {
        code = error.code;
      }
      const stopped = performance.now() - since;
      const again = performance.now();
      let text = "";
      for await (const event of whisper.transcribe(short)) if (event.type === "done") text = event.transcript.text;
      whisper.dispose();
      return { code, stopped, again: performance.now() - again, text };
    });
    console.log(`stopped after ${seen.stopped.toFixed(0)} ms; the next 11 s took ${seen.again.toFixed(0)} ms`);
    assert.equal(seen.code, "aborted");
    assert.ok(seen.stopped < 1000);
    assert.match(seen.text, sentence);
    await page.close();
  });
}

test("threads say what one says, in an isolated page", async (t) => {
  const site = await serve(plain, { isolated: true, t });
  const page = await open(site.url);
  const seen = await page.evaluate(async () => {
    const { CandleWhisper } = await import("./pkg/candle-whisper.js");
    const file = await (await fetch("data/jfk.flac")).blob();
    const all = [];
    for (const threads of [1, 3]) {
      const whisper = await CandleWhisper.load({ threads });
      const since = performance.now();
      for await (const event of whisper.transcribe(file, { temperature: 0 })) {
        if (event.type === "done") all.push({ threads, ms: performance.now() - since, segments: event.transcript.segments });
      }
      whisper.dispose();
    }
    return all;
  });
  for (const { threads, ms } of seen) console.log(`${threads} threads: ${ms.toFixed(0)} ms for 11 s`);
  assert.equal(seen.length, 2);
  const tokens = seen.map(({ segments }) => segments.map((segment) => segment.tokens));
  assert.deepEqual(tokens[1], tokens[0]);
  await page.close();
});

test("what hears speech is fetched when it is asked for, once", async (t) => {
  const site = await serve(plain, { isolated: true, t });
  const page = await open(site.url);
  const said = await page.evaluate(async () => {
    const { CandleWhisper } = await import("./pkg/candle-whisper.js");
    const whisper = await CandleWhisper.load();
    const bytes = await (await fetch("data/jfk.flac")).arrayBuffer();
    const speech = (await new OfflineAudioContext(1, 1, 16000).decodeAudioData(bytes)).getChannelData(0);
    const recording = new Float32Array(16000 * 40 + speech.length);
    recording.set(speech, 16000 * 25);
    const all = [];
    for (const [input, vad] of [[speech, false], [recording, true], [recording, { speech_pad_ms: 200 }]]) {
      for await (const event of whisper.transcribe(input, { temperature: 0, word_timestamps: true, vad })) {
        if (event.type === "done") all.push(event.transcript.segments.flatMap((segment) => segment.words));
      }
    }
    whisper.dispose();
    return all;
  });
  const [alone, ...found] = said;
  assert.ok(alone.length > 20);
  for (const words of found) {
    // Where it ends is heard a little differently.
    const spoken = (all) => all.map(({ word }) => word.replace(/[,.]/, ""));
    assert.deepEqual(spoken(words), spoken(alone));
    words.forEach(({ start }, i) => assert.ok(Math.abs(start - 25 - alone[i].start) < 0.5, `${start} and ${alone[i].start}`));
  }
  assert.equal(site.requests.filter((path) => path.endsWith("silero_vad.safetensors")).length, 1);
  await page.close();
});

test("an edited phrase is aligned with its sound without encoding it again, and written as karaoke", async (t) => {
  const site = await serve(plain, { isolated: true, t });
  const page = await open(site.url);
  const seen = await page.evaluate(async () => {
    const { CandleWhisper } = await import("./pkg/candle-whisper.js");
    const whisper = await CandleWhisper.load();
    const file = await (await fetch("data/jfk.flac")).blob();
    const times = [performance.now()];
    const window = await whisper.window(file, { start: 0, end: 11 });
    const texts = ["And so my fellow Americans, ask not", "And so my dear fellow citizens, ask not"];
    const words = [];
    for (const text of texts) {
      words.push(await whisper.align(`${text} what your country can do for you, ask what you can do for your country.`, window));
      times.push(performance.now());
    }
    const segment = { id: 0, seek: 0, start: 0, end: 11, text: words[1].map(({ word }) => word).join(""), tokens: [], temperature: 0, avg_logprob: 0,
      compression_ratio: 1, no_speech_prob: 0, words: words[1] };
    const ass = whisper.toAss({ text: segment.text, segments: [segment], language: "en" }, { break_at_phrases: true });
    whisper.dispose();
    return { words, first: times[1] - times[0], second: times[2] - times[1], ass };
  });
  console.log(`encoded and aligned in ${seen.first.toFixed(0)} ms, another text in ${seen.second.toFixed(0)} ms`);
  assert.ok(seen.second < seen.first);
  assert.deepEqual(seen.words.map((words) => words.length), [22, 23]);
  const [last, again] = seen.words.map((words) => words.at(-1));
  assert.ok(last.start > 9 && last.end <= 11 && Math.abs(again.start - last.start) < 0.1);
  assert.match(seen.ass, /\{\\k\d+\}.*citizens/);
  await page.close();
});

for (const isolated of [false, true]) {
  test(`recordings in one batch are what each is alone, and one is cancelled, ${isolated ? "isolated" : "without any headers"}`, async (t) => {
    // Nothing for the core, but a browser reads MP3 in WAV.
    const mp3 = execFileSync("ffmpeg", ["-v", "error", "-i", jfk, "-t", "4", "-c:a", "libmp3lame", "-f", "wav", "-"]);
    const site = await serve(plain, { isolated, t, files: { "/mp3.wav": mp3 } });
    const page = await open(site.url);
    const seen = await page.evaluate(async () => {
      const { CandleWhisper } = await import("./pkg/candle-whisper.js");
      const whisper = await CandleWhisper.load();
      const file = async (name) => (await fetch(`data/${name}`)).blob();
      const [long, short, silent] = await Promise.all(["long-72s.flac", "jfk.flac", "nonspeech-silence-10s.flac"].map(file));
      const buffer = await new OfflineAudioContext(1, 1, 44100).decodeAudioData(await short.arrayBuffer());
      const inWav = await (await fetch("mp3.wav")).blob();
      const options = { temperature: 0, batch: 3 };
      const recordings = [short, buffer, silent, new Blob(["no sound"]), inWav, long];
      const control = new AbortController();
      const [together, alone, events] = [[], [], []];
      for await (const event of whisper.transcribeAll([...recordings, { input: long, signal: control.signal }], options)) {
        events.push(`${event.recording} ${event.type}`);
        if (event.type === "done") together[event.recording] = event.transcript;
        if (event.type === "failed") together[event.recording] = event.error.code;
        if (event.recording === 6 && event.type === "audio") control.abort();
      }
      for (const input of recordings) {
        try {
          for await (const event of whisper.transcribe(input, options)) if (event.type === "done") alone.push(event.transcript);
        } catch (error) {
          alone.push(error.code);
        }
      }
      whisper.dispose();
      return { together, alone, events };
    });
    assert.deepEqual(seen.together.slice(0, 6), seen.alone);
    assert.deepEqual([seen.together[3], seen.together[6]], ["audio", "aborted"]);
    for (const number of [0, 1]) assert.match(seen.together[number].text, sentence);
    assert.ok(seen.together[4].text && seen.together[5].segments.length > 3);
    assert.ok(seen.events.indexOf("1 audio") < seen.events.indexOf("0 text"), "the next one takes places that are free");
    await page.close();
  });
}

test("an AudioBuffer of another rate and several channels is heard", async (t) => {
  const site = await serve(plain, { t });
  const page = await open(site.url);
  const text = await page.evaluate(async () => {
    const { CandleWhisper } = await import("./pkg/candle-whisper.js");
    const whisper = await CandleWhisper.load();
    const bytes = await (await fetch("data/jfk.flac")).arrayBuffer();
    const buffer = await new OfflineAudioContext(2, 1, 44100).decodeAudioData(bytes);
    const stereo = new AudioBuffer({ length: buffer.length, numberOfChannels: 2, sampleRate: 44100 });
    for (const channel of [0, 1]) stereo.copyToChannel(buffer.getChannelData(0), channel);
    let text = "";
    for await (const event of whisper.transcribe(stereo)) if (event.type === "done") text = event.transcript.text;
    whisper.dispose();
    return text;
  });
  assert.match(text, sentence);
  await page.close();
});

test("the Vite example is built and writes what a file says", async (t) => {
  const work = mkdtempSync(join(root, "tests/web/.vite-"));
  try {
    cpSync(join(root, "web/examples/vite"), work, { recursive: true });
    mkdirSync(join(work, "node_modules"));
    cpSync(join(root, "web/pkg"), join(work, "node_modules/candle-whisper"), { recursive: true });
    execFileSync(join(root, "tests/web/node_modules/.bin/vite"), ["build", "--logLevel", "warn"], { cwd: work, stdio: "inherit" });
    assert.ok(readdirSync(join(work, "dist/assets")).some((name) => /^silero_vad.*\.safetensors$/.test(name)));
    const site = await serve({ "/models/": "native/models", "/": join(work, "dist").slice(root.length) }, { t });
    const page = await open(site.url);
    await page.setInputFiles("input", jfk);
    await page.waitForFunction(() => /country/.test(document.querySelector("pre").textContent), null, { timeout: 120_000 });
    assert.match(await page.textContent("pre"), sentence);
    await page.close();
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});
