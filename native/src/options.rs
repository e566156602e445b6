//! From flags to the options of core: the one place where a flag gets its meaning and its limits.

use candle_whisper_core::options::{AUTO_EACH, DecodingOptions, Task, TranscribeOptions, temperature_ladder};
use candle_whisper_core::vad::VadOptions;
use candle_whisper_core::writers::SubtitleOptions;

use crate::cli::{Args, Batch};

/// A complaint about the command line; it names the flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadUsage {
    /// What can't be used, and why.
    pub what: String,
    /// What to do instead.
    pub hint: Option<String>,
}

impl BadUsage {
    /// A complaint that says it all.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    /// The same with a line of advice.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A finer ladder of temperatures would try one window thousands of times.
const SMALLEST_INCREMENT: f64 = 0.001;

/// The options of core for these flags.
pub fn transcribe_options(args: &Args) -> Result<TranscribeOptions, BadUsage> {
    let options = TranscribeOptions {
        temperatures: temperatures(args)?,
        compression_ratio_threshold: number(
            "--compression_ratio_threshold",
            args.compression_ratio_threshold.0,
        )?,
        logprob_threshold: number("--logprob_threshold", args.logprob_threshold.0)?,
        no_speech_threshold: number("--no_speech_threshold", args.no_speech_threshold.0)?,
        condition_on_previous_text: args.condition_on_previous_text.unwrap_or(args.batch.0.is_none()),
        initial_prompt: args.initial_prompt.clone(),
        carry_initial_prompt: args.carry_initial_prompt,
        hotwords: args.hotwords.clone(),
        guards: args.guards,
        word_timestamps: args.word_timestamps,
        prepend_punctuations: args.prepend_punctuations.clone(),
        append_punctuations: args.append_punctuations.clone(),
        clip_timestamps: clip_timestamps(&args.clip_timestamps)?,
        // The reference ignores it without word times; we do too, with a warning.
        hallucination_silence_threshold: number(
            "--hallucination_silence_threshold",
            args.hallucination_silence_threshold.0.filter(|_| args.word_timestamps),
        )?,
        snap_to_speech: args.subtitles.snap_to_speech.unwrap_or(false),
        seed: args.seed,
        vad: vad(args)?,
        batch: args.batch.0.map(Batch::at_least),
        audio_ctx: args.audio_ctx,
        decode: decoding_options(args)?,
    };
    check_batch(&options)?;
    Ok(options)
}

/// Core says what does not go together, by its names; here they are flags.
fn check_batch(options: &TranscribeOptions) -> Result<(), BadUsage> {
    options.validate_batch().map_err(|error| {
        let by_flags = error.to_string().replacen('`', "`--", 1).replace(" and `", " and `--");
        BadUsage::new(by_flags)
    })
}

fn vad(args: &Args) -> Result<Option<VadOptions>, BadUsage> {
    // A batch is cut by the defaults, or by the limits that are given.
    let limits = args.batch.0.is_some() && args.vad.options() != VadOptions::default();
    if !args.vad.vad && !limits {
        return Ok(None);
    }
    if args.vad.vad && !matches!(args.clip_timestamps.trim(), "" | "0") {
        return Err(BadUsage::new("`--vad` and `--clip_timestamps` can't be given together"));
    }
    let options = args.vad.options();
    // Core's names are the flags' without their dashes.
    options.validate().map_err(|e| BadUsage::new(e.to_string().replace("`vad ", "`--vad_")))?;
    Ok(Some(options))
}

fn decoding_options(args: &Args) -> Result<DecodingOptions, BadUsage> {
    let beam_size = at_least_one("--beam_size", args.beam_size.0)?;
    if let Some(patience) = args.patience.0 {
        if beam_size.is_none() {
            return Err(BadUsage::new("`--patience` requires `--beam_size` to be given"));
        }
        if !(patience > 0.0 && patience.is_finite()) {
            return Err(BadUsage::new(format!("`--patience` must be above 0, not {patience}")));
        }
    }
    if let Some(alpha) = args.length_penalty.0
        && !(0.0..=1.0).contains(&alpha)
    {
        let what = format!("`--length_penalty` should be a value between 0 and 1, not {alpha}");
        return Err(BadUsage::new(what));
    }
    if !(args.repetition_penalty > 0.0 && args.repetition_penalty.is_finite()) {
        let what = format!("`--repetition_penalty` must be above 0, not {}", args.repetition_penalty);
        return Err(BadUsage::new(what));
    }
    Ok(DecodingOptions {
        repetition_penalty: args.repetition_penalty,
        no_repeat_ngram_size: args.no_repeat_ngram_size,
        task: args.task,
        language: language(args.language.0.as_deref())?,
        best_of: at_least_one("--best_of", args.best_of.0)?,
        beam_size,
        patience: args.patience.0,
        length_penalty: args.length_penalty.0,
        suppress_tokens: suppress_tokens(args.suppress_tokens.0.as_deref())?,
        ..DecodingOptions::default()
    })
}

/// How srt, vtt and ass are laid out; also what to warn of.
pub fn subtitle_options(args: &Args) -> Result<(SubtitleOptions, Vec<String>), BadUsage> {
    let given = |limit: Option<usize>| limit.is_some_and(|limit| limit > 0);
    let width = given(args.max_line_width.0);
    let word_flags = [
        ("highlight_words", args.highlight_words),
        ("max_line_count", given(args.max_line_count.0)),
        ("max_line_width", width),
        ("max_words_per_line", given(args.max_words_per_line.0)),
    ];
    let word_flags = word_flags.into_iter().chain(args.subtitles.given());
    if !args.word_timestamps
        && let Some((flag, _)) = word_flags.into_iter().find(|(_, given)| *given)
    {
        return Err(BadUsage::new(format!("--{flag} requires --word_timestamps True")));
    }
    let mut warnings = Vec::new();
    let mut warn = |when: bool, text: &str| {
        if when {
            warnings.push(text.to_string());
        }
    };
    let subtitles = SubtitleOptions {
        max_line_width: args.max_line_width.0,
        max_line_count: args.max_line_count.0,
        max_words_per_line: args.max_words_per_line.0,
        highlight_words: args.highlight_words,
        json_full: args.json_full,
        ..args.subtitles.options()
    };
    subtitles.validate().map_err(|e| BadUsage::new(e.to_string().replacen('`', "`--", 1)))?;
    // An editor's layout has a width of its own, and heeds all limits.
    let editors = subtitles.is_editors();
    warn(
        given(args.max_line_count.0) && !width && !editors,
        "--max_line_count has no effect without --max_line_width",
    );
    warn(
        given(args.max_words_per_line.0) && width && !editors,
        "--max_words_per_line has no effect with --max_line_width",
    );
    warn(
        args.word_timestamps && args.task == Task::Translate,
        "Word-level timestamps on translations may not be reliable.",
    );
    warn(
        !args.word_timestamps && args.hallucination_silence_threshold.0.is_some(),
        "--hallucination_silence_threshold has no effect without --word_timestamps True",
    );
    warn(
        args.carry_initial_prompt && args.initial_prompt.is_none(),
        "--carry_initial_prompt has no effect without --initial_prompt",
    );
    warn(
        !args.vad.vad && args.batch.0.is_none() && args.vad.options() != VadOptions::default(),
        "the limits of --vad have no effect without --vad True or --batch",
    );
    Ok((subtitles, warnings))
}

fn temperatures(args: &Args) -> Result<Vec<f64>, BadUsage> {
    let (first, increment) = (args.temperature, args.temperature_increment_on_fallback.0);
    if !(first >= 0.0 && first.is_finite()) {
        return Err(BadUsage::new(format!("`--temperature` must be 0 or above, not {first}")));
    }
    if increment.is_some_and(|step| step != 0.0 && (step.is_nan() || step < SMALLEST_INCREMENT)) {
        let what =
            format!("`--temperature_increment_on_fallback` must be None, 0 or at least {SMALLEST_INCREMENT}");
        return Err(BadUsage::new(what));
    }
    let ladder = temperature_ladder(first, increment);
    // Above 1 there is no step left, but the temperature asked for.
    Ok(if ladder.is_empty() { vec![first] } else { ladder })
}

fn number(flag: &str, value: Option<f64>) -> Result<Option<f64>, BadUsage> {
    match value {
        Some(value) if value.is_nan() => Err(BadUsage::new(format!("`{flag}` must be a number"))),
        value => Ok(value),
    }
}

fn at_least_one(flag: &str, value: Option<usize>) -> Result<Option<usize>, BadUsage> {
    match value {
        Some(0) => Err(BadUsage::new(format!("`{flag}` must be None or at least 1"))),
        value => Ok(value),
    }
}

fn clip_timestamps(typed: &str) -> Result<Vec<f64>, BadUsage> {
    if typed.is_empty() {
        return Ok(Vec::new());
    }
    let seconds = typed.split(',').map(|item| {
        let seconds: Option<f64> = item.trim().parse().ok();
        seconds.filter(|s| s.is_finite() && *s >= 0.0).ok_or_else(|| {
            let what = format!("`--clip_timestamps` takes seconds between commas, not `{item}`");
            BadUsage::new(what)
        })
    });
    let seconds: Vec<f64> = seconds.collect::<Result<_, _>>()?;
    if seconds.chunks_exact(2).any(|clip| clip[0] >= clip[1]) {
        return Err(BadUsage::new("`--clip_timestamps`: each clip must end after it starts"));
    }
    Ok(seconds)
}

fn suppress_tokens(typed: Option<&str>) -> Result<Option<Vec<i64>>, BadUsage> {
    let Some(typed) = typed.filter(|typed| !typed.is_empty()) else {
        return Ok(None);
    };
    let ids = typed.split(',').map(|item| {
        let id: Option<i64> = item.trim().parse().ok();
        id.filter(|id| (-1..=i64::from(u32::MAX)).contains(id)).ok_or_else(|| {
            let what = format!("`--suppress_tokens` takes token ids between commas, not `{item}`");
            BadUsage::new(what)
        })
    });
    ids.collect::<Result<_, _>>().map(Some)
}

/// A language's code.
pub(crate) fn language(typed: Option<&str>) -> Result<Option<String>, BadUsage> {
    let Some(typed) = typed else {
        return Ok(None);
    };
    if typed.eq_ignore_ascii_case(AUTO_EACH) {
        return Ok(Some(AUTO_EACH.into()));
    }
    match candle_whisper_core::languages::code_of(typed) {
        Some(code) => Ok(Some(code.into())),
        None => Err(BadUsage::new(format!("unknown language `{typed}` for `--language`"))
            .hint("`candle-whisper languages` lists every code and name")),
    }
}

/// The options for a model: one that knows only English hears English. Also what to warn of.
pub fn for_model(mut options: TranscribeOptions, multilingual: bool) -> (TranscribeOptions, Vec<String>) {
    let mut warnings = Vec::new();
    if !multilingual {
        let decode = &mut options.decode;
        if let Some(language) = decode.language.as_deref().filter(|language| *language != "en") {
            warnings.push(format!(
                "the model knows only English; using English instead of `--language {language}`"
            ));
        }
        if decode.task == Task::Translate {
            warnings.push("the model knows only English; `--task translate` has no effect".into());
        }
        decode.language = Some("en".into());
        decode.task = Task::Transcribe;
    }
    (options, warnings)
}
