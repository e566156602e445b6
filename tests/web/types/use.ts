// What a program in TypeScript may write, and what it may not.

import { CandleWhisper, CandleWhisperError, type Recording, type Segment, type Transcript, type VadOptions } from "../../../web/pkg/candle-whisper.js";

export async function use(file: File): Promise<string> {
  const whisper = await CandleWhisper.load({ model: "base", threads: 2, keep: "q8_0", onProgress: ({ loaded, total }) => void [loaded, total] });
  const segments: Segment[] = [];
  let transcript: Transcript | undefined;
  for await (const event of whisper.transcribe(file, { beam_size: 5, task: "translate" }, { signal: AbortSignal.timeout(9) })) {
    if (event.type === "segment") segments.push(event.segment);
    if (event.type === "decoding") event.peaks satisfies Float32Array;
    if (event.type === "fallback") event.reason satisfies "compression_ratio" | "avg_logprob" | "other";
    if (event.type === "done") transcript = event.transcript;
    // @ts-expect-error only some events have a text
    event.text;
  }
  // @ts-expect-error the core's names, not JavaScript's
  whisper.transcribe(file, { beamSize: 5 });
  // @ts-expect-error a task is one of two
  whisper.transcribe(file, { task: "summarise" });
  whisper.transcribe(file, { vad: { threshold: 0.4, max_speech_duration_s: null } satisfies VadOptions });
  // @ts-expect-error a limit that there is not
  whisper.transcribe(file, { vad: { treshold: 0.4 } });
  const recordings: Recording[] = [file, new Float32Array(16_000), { input: file, signal: AbortSignal.timeout(9) }];
  for await (const event of whisper.transcribeAll(recordings, { batch: 4 }, { signal: AbortSignal.timeout(9) })) {
    event.recording satisfies number;
    if (event.type === "done") transcript = event.transcript;
    if (event.type === "failed") event.error satisfies CandleWhisperError;
  }
  // @ts-expect-error one recording is no list
  whisper.transcribeAll(file);
  // @ts-expect-error options are for all of them
  whisper.transcribeAll([{ input: file, options: { batch: 4 } }]);
  // @ts-expect-error an array is no recording
  whisper.transcribe([0, 1]);
  // @ts-expect-error a model has weights
  await CandleWhisper.load({ model: { config: "config.json" } });
  // @ts-expect-error weights are kept in one of three ways
  await CandleWhisper.load({ model: "base", keep: "f8" });
  const live = whisper.live({ language: "en", vad: { min_silence_duration_ms: 500 } });
  live.push(new Float32Array(480), 48_000);
  for await (const event of live) {
    event.version satisfies 1;
    if (event.type === "confirmed") event.words.map(({ start }) => start - event.latency);
    // @ts-expect-error only some events have a text
    event.text;
  }
  transcript = await live.finish();
  // @ts-expect-error samples are floats
  live.push([0, 1]);
  const { language, probabilities } = await whisper.detectLanguage(file);
  const { bytes } = await CandleWhisper.estimate({ model: language, size: 75_500_000, seconds: probabilities.en });
  const codes: string[] = CandleWhisper.languages().map(([code]) => code);
  const dims: number = whisper.info.dims.d_model ?? bytes;
  if (!transcript) throw new CandleWhisperError("audio", `${codes} ${dims}`);
  whisper.dispose();
  return whisper.toSrt(transcript, { max_line_width: 40 });
}
