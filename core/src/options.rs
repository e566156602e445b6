//! Every option of decoding and transcribing, defined once: field names and defaults are openai/whisper's.
//! The command line, the library and the JS API all use these two structs.

use serde::{Deserialize, Serialize};

use crate::audio::CHUNK_LENGTH;
use crate::vad::VadOptions;

/// The `language` that has every window's detected, which its segments then carry.
pub const AUTO_EACH: &str = "auto-each";

/// Windows in a batch at most.
pub const MOST_WINDOWS: usize = 256;

/// What to do with the speech.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Write what is said, in the language it is said in.
    #[default]
    Transcribe,
    /// Write it in English.
    Translate,
}

/// How much of a window's 30 s the encoder hears. On a GPU it always hears all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioContext {
    /// `Heard` where the network computes with small integers on a CPU, is of a size that this was measured with (`base` at most), and
    /// timestamps are sampled; else `Full`.
    #[default]
    Auto,
    /// 30 s, zeros behind the sound, as the reference has it.
    Full,
    /// Of windows with up to 18 s of sound that and two seconds more, ten at least, in as much less time; of others all. The network was not
    /// trained so: what it writes of less is believed only if nothing speaks against it, else all of the window is heard.
    Heard,
}

/// Text or token ids: a prompt or a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TextOrTokens {
    /// Text, encoded with a space before it.
    Text(String),
    /// Token ids, used as they are.
    Tokens(Vec<u32>),
}

/// How one 30-second window is decoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodingOptions {
    /// Transcribe or translate.
    pub task: Task,
    /// Code or English name of the language spoken; detected if `None`. Of a whole recording also [`AUTO_EACH`].
    pub language: Option<String>,
    /// 0 chooses the most probable token; above 0, tokens are sampled.
    pub temperature: f64,
    /// Most tokens to sample; half the text context (224) if `None`.
    pub sample_len: Option<usize>,
    /// Independent candidates when temperature is above 0.
    pub best_of: Option<usize>,
    /// Beams when temperature is 0; greedy if `None`.
    pub beam_size: Option<usize>,
    /// Beam search ends after `beam_size * patience` finished candidates (arXiv 2204.05424); 1 if `None`.
    pub patience: Option<f64>,
    /// Google NMT's alpha, 0 to 1, when candidates are ranked; plain length if `None`.
    pub length_penalty: Option<f64>,
    /// Previous context, put before the start of the transcript.
    pub prompt: Option<TextOrTokens>,
    /// Beginning of the transcript of this window.
    pub prefix: Option<TextOrTokens>,
    /// Token ids never to sample; -1 stands for all non-speech symbols.
    pub suppress_tokens: Option<Vec<i64>>,
    /// Do not begin with a blank or the end of the text.
    pub suppress_blank: bool,
    /// Sample text only, no timestamps.
    pub without_timestamps: bool,
    /// The first timestamp is at most this, in seconds; any if `None`.
    pub max_initial_timestamp: Option<f64>,
    /// Makes text tokens that the window has already less probable by this factor, as in faster-whisper; 1 changes nothing.
    pub repetition_penalty: f64,
    /// No row of so many text tokens comes twice in a window, as in faster-whisper; 0 for no limit.
    pub no_repeat_ngram_size: usize,
}

impl Default for DecodingOptions {
    fn default() -> Self {
        Self {
            task: Task::Transcribe,
            language: None,
            temperature: 0.0,
            sample_len: None,
            best_of: None,
            beam_size: None,
            patience: None,
            length_penalty: None,
            prompt: None,
            prefix: None,
            suppress_tokens: Some(vec![-1]),
            suppress_blank: true,
            without_timestamps: false,
            max_initial_timestamp: Some(1.0),
            repetition_penalty: 1.0,
            no_repeat_ngram_size: 0,
        }
    }
}

/// How a whole recording is transcribed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranscribeOptions {
    /// Tried in turn until a decoding passes the thresholds.
    pub temperatures: Vec<f64>,
    /// A decoding whose text compresses better than this is too repetitive.
    pub compression_ratio_threshold: Option<f64>,
    /// A decoding with a lower mean log-probability has failed.
    pub logprob_threshold: Option<f64>,
    /// A window more probably silent than this, whose log-probability has failed too, is silence.
    pub no_speech_threshold: Option<f64>,
    /// Give the text so far as prompt to the next window.
    pub condition_on_previous_text: bool,
    /// Text to prompt the first window with.
    pub initial_prompt: Option<String>,
    /// Prompt every window with `initial_prompt`.
    pub carry_initial_prompt: bool,
    /// Words to be expected, such as names: they are put before the prompt of every window.
    pub hotwords: Option<String>,
    /// Hear again, in other ways, what speaks against itself (see [`crate::guards`]), keep the better reading, and leave out
    /// what was written where nobody speaks. Without a second temperature there are no guards: that is the reference, token
    /// for token.
    pub guards: bool,
    /// Find the times of words.
    pub word_timestamps: bool,
    /// Punctuation that belongs to the next word.
    pub prepend_punctuations: String,
    /// Punctuation that belongs to the word before.
    pub append_punctuations: String,
    /// start, end, start, end, … in seconds of the clips to process; the last end may be left out.
    pub clip_timestamps: Vec<f64>,
    /// With word timestamps, skip silences longer than this (seconds) around what looks made up.
    pub hallucination_silence_threshold: Option<f64>,
    /// With word timestamps, cut words and segments to the speech that Silero VAD hears.
    pub snap_to_speech: bool,
    /// Start of the random numbers that sampling uses.
    pub seed: u64,
    /// Leave out what is not speech before anything else is done. Not together with `clip_timestamps`.
    pub vad: Option<VadOptions>,
    /// Decode so many windows at once: stretches of speech, cut where it pauses, that know nothing of each other. What is not
    /// speech is left out by `vad`, its defaults if it is not given, and every window begins with `initial_prompt`. Not together
    /// with `condition_on_previous_text`, `clip_timestamps` or `hallucination_silence_threshold`.
    pub batch: Option<usize>,
    /// How much of each window the encoder hears.
    pub audio_ctx: AudioContext,
    /// How each window is decoded; its `temperature` and `prompt` are set anew for each.
    pub decode: DecodingOptions,
}

impl Default for TranscribeOptions {
    fn default() -> Self {
        Self {
            temperatures: temperature_ladder(0.0, Some(0.2)),
            compression_ratio_threshold: Some(2.4),
            logprob_threshold: Some(-1.0),
            no_speech_threshold: Some(0.6),
            condition_on_previous_text: true,
            initial_prompt: None,
            carry_initial_prompt: false,
            hotwords: None,
            guards: true,
            word_timestamps: false,
            prepend_punctuations: "\"'“¿([{-".into(),
            append_punctuations: "\"'.。,，!！?？:：”)]}、".into(),
            clip_timestamps: Vec::new(),
            hallucination_silence_threshold: None,
            snap_to_speech: false,
            seed: 0,
            vad: None,
            batch: None,
            audio_ctx: AudioContext::default(),
            decode: DecodingOptions::default(),
        }
    }
}

impl TranscribeOptions {
    /// Whether there are guards: they come with the ladder of temperatures.
    pub fn is_guarded(&self) -> bool {
        self.guards && self.temperatures.len() > 1
    }

    /// What counts as speech, if anything is left out that is not.
    pub fn voice_activity(&self) -> Option<VadOptions> {
        if self.batch.is_none() {
            return self.vad.clone();
        }
        let vad = self.vad.clone().unwrap_or_default();
        let longest = vad.max_speech_duration_s.map_or(CHUNK_LENGTH as f64, |s| s.min(CHUNK_LENGTH as f64));
        Some(VadOptions { max_speech_duration_s: Some(longest), ..vad })
    }
}

/// `temperature`, then as many steps of `increment` as stay at or below 1.
///
/// ```
/// # use candle_whisper_core::options::temperature_ladder;
/// assert_eq!(temperature_ladder(0.0, Some(0.2)).len(), 6);
/// assert_eq!(temperature_ladder(0.4, None), [0.4]);
/// ```
pub fn temperature_ladder(temperature: f64, increment: Option<f64>) -> Vec<f64> {
    match increment {
        Some(increment) if increment > 0.0 => {
            let steps = ((1.0 + 1e-6 - temperature) / increment).ceil().max(0.0) as usize;
            (0..steps).map(|i| temperature + i as f64 * increment).collect()
        }
        _ => vec![temperature],
    }
}
