// Several recordings in one batch, in Node: what is said of each is what is said of it alone, and nobody fails because of another.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";

import { CandleWhisper, CandleWhisperError } from "../../../web/pkg/candle-whisper.js";

const root = new URL("../../../", import.meta.url);
const at = (name) => new URL(name, root);
const [jfk, long, short, silent] = ["jfk.flac", "long-72s.flac", "lj-LJ001-0002.flac", "nonspeech-silence-10s.flac"].map((name) => at(`tests/data/${name}`));
const noSound = new Blob(["no sound at all, only words"]);

let whisper;
before(async () => (whisper = await CandleWhisper.load({ models: at("native/models/") })));
after(() => whisper.dispose());

/** What is told of recordings: all events, and what each ended with, by number. */
async function all(recordings, options, control = {}, onEvent = () => {}) {
  const [events, last] = [[], []];
  for await (const event of whisper.transcribeAll(recordings, options, control)) {
    events.push(event);
    if (event.type === "done" || event.type === "failed") {
      assert.equal(last[event.recording], undefined, "it ends once");
      last[event.recording] = event.transcript ?? event.error;
    } else assert.equal(last[event.recording], undefined, "nothing comes after its end");
    onEvent(event);
  }
  return { events, last };
}

async function alone(input, options) {
  let transcript;
  for await (const event of whisper.transcribe(input, options)) if (event.type === "done") ({ transcript } = event);
  return transcript;
}

/** Samples of a WAV file of floats at 16 kHz. */
function samples() {
  const wav = readFileSync(at("tests/data/formats/wav_f32_16k.wav"));
  const from = wav.byteOffset + wav.indexOf("data") + 8;
  return new Float32Array(wav.buffer.slice(from, from + ((wav.byteOffset + wav.length - from) & ~3)));
}

for (const [name, options] of [["greedy", { temperature: 0 }], ["words", { word_timestamps: true }],
  ["beams and a prompt", { temperature: 0, beam_size: 2, initial_prompt: "Mr. Hale speaks of the poor." }],
  // No decoding is good enough: every window goes up the whole ladder, with random numbers of its own.
  ["the ladder", { temperature: [0, 0.4], logprob_threshold: 0, no_speech_threshold: null, guards: false }]]) {
  test(`recordings in one batch are what each is alone: ${name}`, async () => {
    const batch = { ...options, batch: 3 };
    const third = /greedy|words/.test(name) ? long : short;
    const recordings = [jfk, silent, third, samples()];
    const { events, last } = await all(recordings, batch);
    for (const [number, input] of recordings.entries()) {
      assert.deepEqual(last[number], await alone(input, batch), `recording ${number}`);
      const own = events.filter(({ recording }) => recording === number);
      const heard = own.findIndex(({ type }) => type === "audio");
      assert.ok(own.slice(0, heard).every(({ type }) => type === "decoding") && own[heard].duration >= 1);
      assert.deepEqual(last[number].segments, own.filter(({ type }) => type === "segment").map(({ segment }) => segment));
      const { type, seconds, duration } = own.at(-2);
      // Told in frames of 10 ms.
      if (last[number].segments.length) assert.ok(type === "progress" && seconds === duration && Math.abs(duration - own[heard].duration) <= 0.01);
    }
    // The first has one window: the third's take the places beside it, and nobody waits for the second, in which nobody speaks.
    const ends = events.filter(({ type }) => type === "done").map(({ recording }) => recording);
    assert.ok(ends.indexOf(1) < ends.indexOf(0) && (third === short || ends.indexOf(0) < ends.indexOf(2)), ends.join());
    assert.ok(events.findIndex(({ recording, type }) => recording === 2 && type === "audio") < events.findIndex(({ type }) => type === "text"));
  });
}

test("windows of two recordings are decoded at once: live text is that of the first alone", async () => {
  const texts = async (batch) => {
    const { events } = await all([jfk, jfk], { temperature: 0, batch });
    return [0, 1].map((number) => events.filter(({ recording, type }) => recording === number && type === "text").length);
  };
  const [after, together] = [await texts(null), await texts(2)];
  assert.ok(after[0] > 20 && after[0] === after[1], after.join());
  assert.ok(together[0] > 20 && together[1] < 3, together.join());
});

test("the transcripts are those of the native program with the same recordings", async () => {
  const folder = mkdtempSync(join(tmpdir(), "candle-whisper-"));
  try {
    const files = [jfk, long, short];
    const { last } = await all(files, { temperature: 0, batch: 3 });
    const program = process.env.CANDLE_WHISPER_PROGRAM ?? at("target/release/candle-whisper").pathname;
    execFileSync(program, [...files.map(({ pathname }) => pathname), "--model", at("native/models/tiny.en").pathname, "--verbose", "None", "--temperature", "0",
      "--temperature_increment_on_fallback", "None", "--beam_size", "None", "--best_of", "None", "--batch", "3", "-f", "json", "-o", folder]);
    files.forEach(({ pathname }, i) => {
      const expected = JSON.parse(readFileSync(join(folder, basename(pathname).replace(/\.\w+$/, ".json")), "utf8"));
      assert.deepEqual(last[i].segments.map((s) => s.tokens), expected.segments.map((s) => s.tokens), pathname);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("without batch they come one after the other", async () => {
  const { events, last } = await all([jfk, noSound, samples()], { temperature: 0 });
  assert.deepEqual(events.map(({ recording }) => recording), events.map(({ recording }) => recording).sort());
  assert.deepEqual([last[0], last[2]], [await alone(jfk, { temperature: 0 }), await alone(samples(), { temperature: 0 })]);
  assert.equal(last[1].code, "audio");
});

for (const batch of [2, null]) {
  const how = batch ? "in one batch" : "one after the other";

  test(`what is no recording fails alone, ${how}`, async () => {
    const { last } = await all([noSound, "jfk.flac", { input: jfk }, { input: jfk, singal: null }, at("tests/data/bad/video_no_audio.mp4"), null, jfk], { temperature: 0, batch });
    const failures = last.map((end) => end instanceof CandleWhisperError && [end.code, end.message]);
    assert.deepEqual(failures.map((failure) => failure && failure[0]), ["audio", "bad-option", false, "bad-option", "audio", "bad-option", false]);
    assert.match(failures[1][1], /a recording is a File/);
    assert.match(failures[3][1], /unknown option `singal` of a recording/);
    assert.deepEqual(last[2], last[6]);
    assert.match(last[2].text, /ask not what your country can do for you/);
  });

  test(`its own signal ends one recording, and the others are what they are without it, ${how}`, async () => {
    const control = [1, 2, 3].map(() => new AbortController());
    control[2].abort();
    const recordings = [long, jfk, jfk].map((input, i) => ({ input, signal: control[i].signal }));
    let at = 0;
    const { last } = await all([...recordings, jfk], { temperature: 0, batch }, {}, ({ recording, type }) => {
      if (recording !== 0 || type !== "segment" || at) return;
      at = performance.now();
      control[0].abort();
    });
    assert.deepEqual(last.map(({ code }) => code), ["aborted", undefined, "aborted", undefined]);
    const expected = await alone(jfk, { temperature: 0, batch });
    assert.deepEqual([last[1], last[3]], [expected, expected]);
  });

  test(`a signal ends all of them in a second, and the next one is heard, ${how}`, async () => {
    const control = new AbortController();
    let since = 0;
    const taken = [];
    const given = function* () {
      for (const input of [long, jfk, jfk]) {
        taken.push(input);
        yield input;
      }
    };
    await assert.rejects(all(given(), { temperature: 0, batch }, { signal: control.signal }, ({ type }) => {
      if (type !== "text" || since) return;
      since = performance.now();
      control.abort();
    }), { code: "aborted" });
    assert.ok(performance.now() - since < 1000, `${performance.now() - since} ms`);
    assert.equal(taken.length, 1, "none is taken before there is room for it");
    await assert.rejects(all([jfk], { batch }, { signal: AbortSignal.abort() }), { code: "aborted" });
    for await (const event of whisper.transcribeAll([long, jfk], { temperature: 0, batch })) if (event.type === "text") break;
    assert.match((await alone(jfk, { temperature: 0, batch })).text, /country/);
  });

  test(`who gives the recordings may fail, and those that came before are finished, ${how}`, async () => {
    const given = function* () {
      yield jfk;
      throw new TypeError("the list is torn");
    };
    const ended = [];
    await assert.rejects(all(given(), { temperature: 0, batch }, {}, ({ type }) => ended.push(type)), { message: "the list is torn" });
    assert.equal(ended.at(-1), "done");
    assert.deepEqual((await all([], { batch })).events, []);
  });
}

test("one that is cancelled while nobody else is under way leaves the worker at once", async () => {
  const control = new AbortController();
  let since = 0;
  const { last, events } = await all([{ input: long, signal: control.signal }, jfk], { temperature: 0, batch: 2 }, {}, ({ recording, type }) => {
    if (recording === 0 && type === "text" && !since) {
      since = performance.now();
      control.abort();
    } else if (recording === 1 && type === "audio") since = performance.now() - since;
  });
  assert.ok(since < 1000, `${since} ms until the next one was read`);
  assert.deepEqual(events.filter(({ type }) => type === "failed").map(({ recording }) => recording), [0]);
  assert.match(last[1].text, /country/);
});

/** As an AudioBuffer, but one whose samples have no room anywhere. */
const endless = {
  numberOfChannels: 1, sampleRate: 16000,
  getChannelData: () => ({ length: 1, slice: () => ({ length: 2 ** 40, buffer: new ArrayBuffer(4) }) }),
};

for (const batch of [2, null]) {
  test(`one there is no memory for ends ${batch ? "the batch, and says so, and" : "alone, and"} the model goes on`, async () => {
    const last = [];
    const ending = all([jfk, endless, jfk], { temperature: 0, batch }, {}, (event) => (last[event.recording] = event));
    if (batch) await assert.rejects(ending, { code: "memory" });
    else await ending;
    assert.deepEqual([last[1].type, last[1].error.code], ["failed", "memory"]);
    assert.deepEqual([last[0]?.type, last[2]?.type], batch ? ["audio", undefined] : ["done", "done"]);
    assert.match((await alone(jfk, { temperature: 0, batch })).text, /country/);
  });
}

test("options are checked before anything is heard, and what is no list is said", async () => {
  const complaint = async (recordings, options, control) => {
    const error = await all(recordings, options, control).then(() => null, (error) => error);
    assert.equal(error?.code, "bad-option");
    return error.message;
  };
  assert.match(await complaint([jfk], { batch: 0 }), /`batch` must be 1 to 256 windows, not 0/);
  assert.match(await complaint([jfk], { btach: 2 }), /unknown option `btach`/);
  assert.match(await complaint([jfk], { batch: 2, clip_timestamps: [1, 2] }), /`batch` and `clip_timestamps` can't be given together/);
  assert.match(await complaint([jfk], { batch: NaN }), /`batch` of transcribeAll is NaN/);
  assert.match(await complaint([jfk], {}, { onEvent: () => {} }), /unknown option `onEvent` of transcribeAll/);
  for (const one of [jfk, noSound, samples(), "jfk.flac", undefined]) assert.match(await complaint(one, { batch: 2 }), /takes an array of recordings.*for transcribe/);
});
