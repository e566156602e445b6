// In the page: one program, loaded and run in a worker of its own. Times are milliseconds.

/** @param {string} clip -> mono samples at 16 kHz */
async function samples(clip) {
  const bytes = await (await fetch(clip)).arrayBuffer();
  const sound = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(bytes);
  return sound.getChannelData(0);
}

/** Each of them: load(threads) -> {run(audio) -> text, end()} */
const PROGRAMS = {
  async ours({ dtype, ...model }, threads) {
    const { CandleWhisper } = await import("/pkg/candle-whisper.js");
    const whisper = await CandleWhisper.load({ model, threads, dtype, cache: false });
    const run = async (audio) => {
      for await (const event of whisper.transcribe(audio, { temperature: 0 })) if (event.type === "done") return event.transcript.text;
    };
    return { run, end: () => whisper.dispose() };
  },

  async transformers(dtype, threads) {
    const worker = new Worker("/transformers.js", { type: "module" });
    const ask = (message) => new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => ("error" in data ? reject(new Error(data.error)) : resolve(data.result));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(message);
    });
    await ask({ dtype, threads });
    return { run: (audio) => ask({ audio }), end: () => worker.terminate() };
  },

  /** whisper.cpp as @remotion/whisper-web builds it and uses it: a new instance for each recording. */
  async whispercpp(model, threads) {
    const { default: createModule } = await import("/whispercpp/main.js");
    const weights = new Uint8Array(await (await fetch(model)).arrayBuffer());
    const run = async (audio) => {
      let done;
      const finished = new Promise((resolve) => (done = resolve));
      const print = (line) => line.startsWith("remotion_final:") && done(JSON.parse(line.slice("remotion_final:".length)));
      const module = await createModule({ print, printErr: print });
      module.FS_createDataFile("/", "model.bin", weights, true, true);
      module.full_default("model.bin", audio, "tiny.en", "en", threads, false);
      return (await finished).transcription.map(({ text }) => text).join("");
    };
    return { run, end: () => {} };
  },
};

/** What the first run takes, and each of `warm` more. */
globalThis.bench = async ({ program, argument, threads, clip, warm }) => {
  const audio = await samples(clip);
  const since = performance.now();
  const { run, end } = await PROGRAMS[program](argument, threads);
  const load = performance.now() - since;
  const times = [];
  let text = "";
  for (let i = 0; i <= warm; i++) {
    await globalThis.mark();
    const start = performance.now();
    text = await run(audio);
    times.push(performance.now() - start);
  }
  await globalThis.mark();
  end();
  return { load, times, text, seconds: audio.length / 16000 };
};
