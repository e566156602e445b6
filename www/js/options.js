// The options of a transcription: what can be set, its words, and what is passed on.

/** @type {import("./field.js").Option[]} */
export const ADVANCED = [
  { name: "initial_prompt", label: "Words to expect", help: "Names, terms, or a style of writing: given to the model as if it had come before.", kind: "text", wide: true },
  { name: "carry_initial_prompt", label: "Keep expecting them", help: "Through the whole recording, not only its first half minute.", kind: "check", value: false, wide: true },
  { name: "hotwords", label: "Words in every half minute", help: "Names and terms that are given to the model again and again, before what was said last.", kind: "text", wide: true },
  { name: "condition_on_previous_text", label: "Carry the text on", help: "Each half minute knows what was said before. Off: fewer loops, less even style.", kind: "check", value: true, wide: true },
  { name: "vad", label: "Skip silence (voice activity detection)", help: "Listens for speech first and writes only that; times stay. For long pauses, music or noise.", kind: "check", value: false, wide: true },
  { name: "batch", label: "Several windows at once", help: "Cut where speech pauses, each without the text before it; where a recording has no more, those of the next one. Quicker with the larger models; takes memory. Not together with “Only these parts” or “Skip made-up text”.", kind: "number", hint: "one after the other", limits: { min: 1, max: 256, step: 1 }, wide: true },
  { name: "guards", label: "Doubt what looks made up", help: "Passages that repeat themselves are read again in other ways, and words where nobody speaks are left out. Off: as openai/whisper does it.", kind: "check", value: true, wide: true },
  { name: "audio_ctx", label: "Hear no more than there is", help: "Of a short recording the model hears what has sound, not the silence that fills half a minute, and all of it where that does not do. Off: as openai/whisper does it, slower.", kind: "check", value: true, wide: true },
  { name: "snap_to_speech", label: "Fit words to the speech", help: "Words, and so subtitles, begin and end with speech that is heard, and do not reach into a pause. Needs times of words.", kind: "check", value: false, wide: true },
  { name: "beam_size", label: "Beams", help: "Ways followed at once. More is a little better, and slower.", kind: "number", hint: "1, the quickest", limits: { min: 1, max: 16, step: 1 } },
  { name: "patience", label: "Patience", help: "How long beams go on.", kind: "number", hint: "1", limits: { min: 0.1, max: 4, step: 0.1 } },
  { name: "best_of", label: "Best of", help: "Attempts to choose from when temperature is above 0.", kind: "number", hint: "1", limits: { min: 1, max: 16, step: 1 } },
  { name: "length_penalty", label: "Length penalty", help: "0 to 1: how much long results are favoured.", kind: "number", hint: "plain length", limits: { min: 0, max: 1, step: 0.05 } },
  { name: "temperature", label: "Temperature", help: "0 takes the likeliest words; above 0, it rolls dice.", kind: "number", value: 0, limits: { min: 0, max: 1, step: 0.1 } },
  { name: "temperature_increment_on_fallback", label: "Step when it fails", help: "What is added before a passage is tried again. 0: one attempt.", kind: "number", value: 0.2, limits: { min: 0, max: 1, step: 0.1 } },
  { name: "repetition_penalty", label: "Repetition penalty", help: "Above 1, words that were said in the passage become less likely.", kind: "number", value: 1, limits: { min: 0.5, max: 3, step: 0.1 } },
  { name: "no_repeat_ngram_size", label: "No row of words twice", help: "So many tokens in a row come once in a passage. 0: no limit.", kind: "number", value: 0, limits: { min: 0, max: 50, step: 1 } },
  { name: "compression_ratio_threshold", label: "Too repetitive above", help: "Compression ratio that makes a passage be tried again.", kind: "number", value: 2.4, limits: { min: 0, step: 0.1 } },
  { name: "logprob_threshold", label: "Too unsure below", help: "Mean log-probability that makes it be tried again.", kind: "number", value: -1, limits: { max: 0, step: 0.1 } },
  { name: "no_speech_threshold", label: "Silence above", help: "Probability from which an unsure passage is taken for silence.", kind: "number", value: 0.6, limits: { min: 0, max: 1, step: 0.05 } },
  { name: "hallucination_silence_threshold", label: "Skip made-up text near silences", help: "Longer than this, in seconds. Needs times of words.", kind: "number", hint: "off", limits: { min: 0, step: 0.5 } },
  { name: "clip_timestamps", label: "Only these parts", help: "Seconds: start, end, start, end… Not while silence is skipped, nor with several windows at once.", kind: "text", hint: "all of it", limits: { pattern: "[0-9., ]*" } },
];

/** A ladder of temperatures, tried in turn. @param {number} first @param {number} step @returns {number[]} */
function temperatures(first, step) {
  const ladder = [first];
  for (let i = 1; step > 0 && first + i * step <= 1 + 1e-6; i += 1) ladder.push(Number((first + i * step).toFixed(6)));
  return ladder;
}

/**
 * What is passed to the library. English-only models take neither a language nor a task.
 * @param {import("./settings.js").settings["values"]} chosen
 * @param {{multilingual: boolean}} info
 * @returns {Record<string, any>}
 */
export function transcribeOptions(chosen, info) {
  const { temperature, temperature_increment_on_fallback: step, clip_timestamps: clips, audio_ctx: brief, ...rest } = chosen.advanced;
  /** @type {Record<string, any>} */
  const options = { word_timestamps: chosen.word_timestamps, ...rest };
  if (info.multilingual) {
    options.task = chosen.task;
    if (chosen.language) options.language = chosen.language;
  }
  if (temperature !== undefined || step !== undefined) options.temperature = temperatures(temperature ?? 0, step ?? 0.2);
  if (brief === false) options.audio_ctx = "full";
  if (clips) options.clip_timestamps = clips.split(",").map(Number).filter(Number.isFinite);
  if (!options.word_timestamps) {
    delete options.hallucination_silence_threshold;
    delete options.snap_to_speech;
  }
  if (!options.initial_prompt) delete options.carry_initial_prompt;
  return options;
}
