// The shapes of what goes in and comes out. Names of options and fields are those of the Rust core, which are
// openai/whisper's.

/**
 * How a recording is transcribed; what is left out has openai/whisper's default.
 * @typedef {object} TranscribeOptions
 * @property {"transcribe" | "translate"} [task]
 * @property {string | null} [language] code or English name; heard if not given, in every window anew with "auto-each"
 * @property {number | number[]} [temperature] one, or several to try in turn
 * @property {number[]} [temperatures] the same by the core's name
 * @property {number | null} [compression_ratio_threshold]
 * @property {number | null} [logprob_threshold]
 * @property {number | null} [no_speech_threshold]
 * @property {boolean} [condition_on_previous_text] true if not given, with `batch` false
 * @property {number | null} [batch] decode so many windows at once, cut where speech pauses; one after the other if not given
 * @property {"auto" | "full" | "heard"} [audio_ctx] how much of a window's 30 s the encoder hears: all, or of up to 18 s of sound that and two seconds;
 *   "auto", if not given, is "heard" where the network computes with small integers, is no larger than `base`, and samples timestamps
 * @property {string | null} [initial_prompt]
 * @property {boolean} [carry_initial_prompt]
 * @property {string | null} [hotwords] words to expect, put before the prompt of every window
 * @property {boolean} [guards] hear again what speaks against itself, and leave out what was written where nobody speaks; true, but
 *   without effect where there is one temperature
 * @property {boolean} [word_timestamps]
 * @property {string} [prepend_punctuations]
 * @property {string} [append_punctuations]
 * @property {number[]} [clip_timestamps] start, end, start, end, … in seconds
 * @property {number | null} [hallucination_silence_threshold] seconds
 * @property {boolean} [snap_to_speech] cut words to the speech that voice activity detection hears; needs `word_timestamps`
 * @property {number} [seed]
 * @property {boolean | VadOptions | null} [vad] leave out what is not speech before anything else is done; true for the limits'
 *   defaults. Not together with `clip_timestamps`
 * @property {number | null} [sample_len]
 * @property {number | null} [best_of]
 * @property {number | null} [beam_size]
 * @property {number | null} [patience]
 * @property {number | null} [length_penalty]
 * @property {string | number[] | null} [prefix]
 * @property {number[] | null} [suppress_tokens] -1 stands for all non-speech symbols
 * @property {boolean} [suppress_blank]
 * @property {boolean} [without_timestamps]
 * @property {number | null} [max_initial_timestamp]
 * @property {number} [repetition_penalty] text that a window has already becomes less probable by this factor
 * @property {number} [no_repeat_ngram_size] no row of so many text tokens comes twice in a window; 0 for no limit
 */

/**
 * What counts as speech, see the option `vad`.
 * @typedef {object} VadOptions
 * @property {number} [threshold] from this probability on it is speech; 0.5 if not given
 * @property {number} [min_speech_duration_ms] shorter speech is none; 0
 * @property {number | null} [max_speech_duration_s] longer speech is cut, at its longest silence; no limit
 * @property {number} [min_silence_duration_ms] speech goes on over shorter silences; 2000
 * @property {number} [speech_pad_ms] kept before and after speech; 400
 */

/**
 * How a live transcription listens and decodes; names are those of transcribe.
 * @typedef {object} LiveOptions
 * @property {"transcribe" | "translate"} [task]
 * @property {string | null} [language] code or English name; heard in the first two seconds of speech if not given
 * @property {string | null} [initial_prompt]
 * @property {number | null} [beam_size] greedy if not given
 * @property {number[]} [temperatures] where speech ends all of them are tried, before that the first
 * @property {number | null} [compression_ratio_threshold]
 * @property {number | null} [logprob_threshold]
 * @property {number | null} [no_speech_threshold]
 * @property {number} [seed]
 * @property {number} [min_chunk_s] seconds of new audio between two decodings, more where decoding takes long; 1
 * @property {VadOptions} [vad] after `min_silence_duration_ms` (700) all that was said is confirmed; without `max_speech_duration_s`
 */

/**
 * What a live transcription tells, version 1 of the schema that the command line's `--json` has too; times are seconds. Fields and
 * types may be added without another version: skip what you do not know. `confirmed` text follows what was confirmed before and
 * stays; `tentative` text follows that, until the next event of these two. `latency` is from the end of a word to its confirmation.
 * @typedef {{version: 1} & ({type: "ready", sample_rate: number}
 *   | {type: "language", code: string, probability: number}
 *   | {type: "tentative", time: number, text: string, words: Word[]}
 *   | {type: "confirmed", time: number, latency: number, text: string, words: Word[]}
 *   | {type: "silence", time: number, start: number}
 *   | {type: "lag", time: number, behind: number, dropped: number}
 *   | {type: "end", time: number, words: number, latency: {median: number, p90: number} | null})} LiveEvent
 */

/** @typedef {{word: string, start: number, end: number, probability: number}} Word */

/**
 * @typedef {object} Segment
 * @property {number} id
 * @property {number} seek start of its window, in units of 10 ms
 * @property {number} start seconds
 * @property {number} end seconds
 * @property {string} text
 * @property {number[]} tokens
 * @property {number} temperature
 * @property {number} avg_logprob
 * @property {number} compression_ratio
 * @property {number} no_speech_prob
 * @property {Word[]} [words]
 * @property {string} [language] with the language "auto-each"
 * @property {Check[]} [checks] what speaks against it, if anything does and the option `guards` is on
 * @property {Readings} [readings] what else its window was taken for
 */

/**
 * What speaks against a text: it compresses too well, goes round in circles, is improbable; its window seems silent, nobody is heard,
 * the attention stands still, or it is what Whisper is known to make up.
 * @typedef {"compression_ratio" | "repeated_ngrams" | "logprob" | "no_speech" | "vad_silence" | "attention" | "phantom_phrase"} Check
 */

/**
 * The decodings of a window, in the order in which they were tried, and which of them is kept.
 * @typedef {object} Readings
 * @property {{how: "ladder" | "without_prompt" | "higher_temperature" | "shorter_window", temperature: number, avg_logprob: number,
 *   compression_ratio: number, checks: Check[], text: string}[]} tried
 * @property {number} kept
 * @property {"passed" | "fewest_checks" | "highest_logprob"} why
 */

/**
 * `left_out`: what was taken for made up, if there is any; times are seconds.
 * @typedef {{text: string, segments: Segment[], language: string,
 *   left_out?: {start: number, end: number, text: string, checks: Check[]}[]}} Transcript
 */

/**
 * What happens while a recording is transcribed, in order; times are seconds. `decoding`: so much has been read of what the file
 * claims to have, and the loudest sample of each fiftieth of a second since the last one, for a picture. `text` is that of the
 * window under way.
 * @typedef {{type: "decoding", seconds: number, duration: number | null, peaks: Float32Array}
 *   | {type: "audio", duration: number}
 *   | {type: "language", language: string, probability: number}
 *   | {type: "text", text: string}
 *   | {type: "fallback", temperature: number, reason: "compression_ratio" | "avg_logprob" | "other"}
 *   | {type: "segment", segment: Segment}
 *   | {type: "progress", seconds: number, duration: number}
 *   | {type: "done", transcript: Transcript}} TranscribeEvent
 */

/**
 * What happens while several recordings are transcribed; `recording` is the number of the one that it happens to. `failed`: nothing
 * more comes of it; its own signal has the code `aborted`.
 * @typedef {{recording: number} & (TranscribeEvent | {type: "failed", error: import("./errors.js").CandleWhisperError})} TranscribeAllEvent
 */

/**
 * How cues are laid out in srt, vtt and ass where there are word times. The first four are openai/whisper's; any of the others but
 * `timed_words` has cues laid out as an editor would.
 * @typedef {object} SubtitleOptions
 * @property {number | null} [max_line_width]
 * @property {number | null} [max_line_count]
 * @property {number | null} [max_words_per_line]
 * @property {boolean} [highlight_words] not together with `timed_words`
 * @property {boolean} [break_at_phrases] end lines and cues where a reader may pause; lines of 42 characters, two in a cue, unless limited
 * @property {number | null} [max_chars_per_second] a cue stays long enough to be read so fast, where the speech leaves time
 * @property {number | null} [min_cue_duration] seconds
 * @property {number | null} [max_cue_duration] seconds
 * @property {number | null} [min_cue_gap] seconds between two cues
 * @property {boolean} [timed_words] the time of each word in the text, in vtt
 */

/** A stretch of a recording, in seconds, that is encoded. @typedef {{number: number, start: number, end: number, worker: number}} AlignWindow */

/**
 * One file of a model: an address, its bytes, or a Blob of them.
 * @typedef {string | URL | Blob | Uint8Array} ModelFile
 */

/**
 * A model by its files. What is left out comes from the weights or is built in.
 * @typedef {object} ModelFiles
 * @property {ModelFile} weights safetensors, GGUF, ggml, CTranslate2 or PyTorch: the content decides
 * @property {ModelFile} [config]
 * @property {ModelFile} [generation_config]
 * @property {ModelFile} [tokenizer]
 * @property {Record<string, string>} [sha256] of files by the names above, in hexadecimal
 */

/** @typedef {{file: string, loaded: number, total: number | null, note?: string}} LoadProgress */

/**
 * @typedef {object} LoadOptions
 * @property {string | ModelFiles} [model] `tiny.en` (bundled), another name of openai/whisper's, `owner/name` on the hub, or files
 * @property {(progress: LoadProgress) => void} [onProgress]
 * @property {AbortSignal} [signal]
 * @property {string | URL} [models] the folder with bundled models; `models/` beside the page
 * @property {string | URL} [hub] another hub than https://huggingface.co
 * @property {number} [threads] to compute with; if not given one per processor, at most 8. Where workers can't share memory,
 *   in a page that is not `crossOriginIsolated`, there is one
 * @property {"f16" | "q8_0" | "as sent"} [keep] what float weights that are fetched become while they arrive; `f16` if not given:
 *   safetensors in f32 become half as large. Smaller ones and other formats stay as they are, `q8_0` is for all safetensors
 * @property {"f32" | "quantised"} [dtype] what is multiplied: small integers, the default, which is faster; they are the file's where it
 *   has blocks of them, and 8 bits made of its floats where not; or floats of 32 bits, which is exact
 * @property {boolean} [cache] keep what is fetched for the next visit; true if not given
 */

/** @typedef {File | Blob | Float32Array | AudioBuffer | URL} Input a URL must be of a file (Node only); samples are mono at 16 kHz */

/** One of several recordings, and what stops it alone. @typedef {Input | {input: Input, signal?: AbortSignal}} Recording */

/**
 * What is known of a loaded model; `dims` by the names of `config.json`.
 * @typedef {{model: string, n_vocab: number, multilingual: boolean, dims: Record<string, number>}} ModelInfo
 */

/** @typedef {{bytes: number, terms: Record<string, number>}} MemoryEstimate */

/**
 * @typedef {object} EstimateOptions
 * @property {string} [model] a name of openai/whisper's or Distil-Whisper's
 * @property {Record<string, unknown>} [dims] or the sizes, as in `config.json`
 * @property {number} [size] bytes of the weights' file, which tell whether it has f32, f16 or blocks; f32 if not given
 * @property {"f16" | "q8_0" | "as sent"} [keep] what f32 becomes while it arrives, as in `load`; `f16` if not given
 * @property {"f32" | "quantised"} [dtype] as in `load`
 * @property {number} [seconds] of the recording; 30 if not given
 * @property {TranscribeOptions} [options]
 */

export {};
