//! A whole recording, window by window (openai/whisper, `whisper/transcribe.py`): each window of 30 s is decoded,
//! cut into segments at its timestamps, and the next one starts where the last segment ended.

use std::ops::ControlFlow;
use std::sync::Arc;

use candle_core::Tensor;

use crate::audio::{HOP_LENGTH, N_FRAMES, Waveform};
use crate::decoding::{self, DecodingResult, LanguageProbability};
use crate::error::{Error, Result};
use crate::mel::{LogMel, Mel};
use crate::model::{AudioFeatures, Model};
use crate::observer::{Event, Observer};
use crate::options::TranscribeOptions;
use crate::timing::{self, WordOptions};
use crate::tokenizer::Tokenizer;
use crate::transcript::{Segment, Transcript};
use crate::vad::{self, Timeline, Vad};

pub mod anomalies;
mod batch;
pub mod fallback;
mod run;
pub mod segments;
mod window;

use batch::Batches;
pub use window::Window;
use window::{frames, seconds};

/// Owns what does not change: network, tokenizer, planned mel. Cheap to clone, shared between threads.
#[derive(Clone)]
pub struct Transcriber {
    model: Arc<dyn Model>,
    tokenizer: Arc<Tokenizer>,
    log_mel: Arc<LogMel>,
    vad: Option<Arc<Vad>>,
}

impl std::fmt::Debug for Transcriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcriber").field("dims", self.model.dims()).finish_non_exhaustive()
    }
}

/// One run over one recording. Plain state that borrows nothing, so it can be held between windows.
#[derive(Debug, Clone)]
pub struct Transcription {
    options: TranscribeOptions,
    language: String,
    mel: Mel,
    /// (start, end) of the clips to process, in mel frames
    clips: Vec<(usize, usize)>,
    clip: usize,
    seek: usize,
    tokens: Vec<u32>,
    initial_prompt_len: usize,
    prompt_reset_since: usize,
    last_speech_timestamp: f64,
    segments: Vec<Segment>,
    /// What is left to do in batches, if that is how it is done.
    batches: Option<Batches>,
    /// Where what is heard lies in the recording, if silence was left out.
    timeline: Option<Timeline>,
    /// Mel frames in the recording, silence included.
    whole_frames: usize,
}

impl Transcriber {
    /// Puts a network and its tokenizer together.
    ///
    /// # Errors
    /// If the network asks for a mel that Whisper never had.
    pub fn new(model: Arc<dyn Model>, tokenizer: Tokenizer) -> Result<Self> {
        let log_mel = Arc::new(LogMel::new(model.dims().n_mels)?);
        Ok(Self { model, tokenizer: Arc::new(tokenizer), log_mel, vad: None })
    }

    /// Hears where somebody speaks with this network, not with the bundled one.
    #[must_use]
    pub fn with_vad(self, vad: Vad) -> Self {
        Self { vad: Some(Arc::new(vad)), ..self }
    }

    /// The network.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The planned mel.
    pub(crate) fn log_mel(&self) -> &LogMel {
        &self.log_mel
    }

    /// A network for voice activity that has heard nothing yet.
    pub(crate) fn vad(&self) -> Result<Vad> {
        self.vad.as_deref().cloned().map_or_else(Vad::bundled, Ok)
    }

    /// The probability of every language in the first 30 s, in token order.
    ///
    /// # Errors
    /// If the network knows only English, or the device fails.
    pub fn detect_language(&self, audio: &Waveform) -> Result<Vec<LanguageProbability>> {
        self.detect(&self.log_mel.compute(audio)?)
    }

    fn detect(&self, mel: &Mel) -> Result<Vec<LanguageProbability>> {
        // As the reference: with the silence after a short recording, not with zeros.
        let xa = self.encode(mel.window(0, N_FRAMES), 1)?;
        let mut probabilities = decoding::detect_language(self.model(), &self.tokenizer, &xa)?;
        Ok(probabilities.swap_remove(0))
    }

    /// windows: (n, n_mels, N_FRAMES)
    fn encode(&self, windows: Vec<f32>, n: usize) -> Result<AudioFeatures> {
        let shape = (n, self.log_mel.n_mels(), N_FRAMES);
        self.model.encode(&Tensor::from_vec(windows, shape, &candle_core::Device::Cpu)?)
    }

    /// Checks the options, computes the mel and, where no language is given, hears which is spoken.
    ///
    /// # Errors
    /// If an option can't be used or the device fails.
    pub fn start(&self, audio: &Waveform, options: TranscribeOptions) -> Result<Transcription> {
        self.start_observed(audio, options, &mut crate::observer::Silent)
    }

    /// As [`Transcriber::start`], and tells of the language where it is detected.
    ///
    /// # Errors
    /// As [`Transcriber::start`].
    pub fn start_observed(
        &self,
        audio: &Waveform,
        mut options: TranscribeOptions,
        observer: &mut dyn Observer,
    ) -> Result<Transcription> {
        options.validate()?;
        for &temperature in &options.temperatures {
            let options = fallback::options_at(&options.decode, temperature);
            decoding::DecodingTask::new(self.model(), &self.tokenizer, &options)?;
        }
        let spoken = match &options.voice_activity() {
            Some(options) => {
                let vad = self.vad.as_deref().cloned().map_or_else(Vad::bundled, Ok)?;
                Some(Timeline::cut(audio, &vad::speech(vad, audio, options)?))
            }
            None => None,
        };
        let mel = self.log_mel.compute(spoken.as_ref().map_or(audio, |(speech, _)| speech))?;
        let language = match options.decode.language.take() {
            Some(language) if self.tokenizer.is_multilingual() => {
                self.tokenizer.language_token(&language)?.1.to_owned()
            }
            Some(language) => match crate::languages::code_of(&language) {
                Some("en") => "en".to_owned(),
                _ => {
                    return Err(Error::Options(format!("this model knows only English, not `{language}`")));
                }
            },
            None if !self.tokenizer.is_multilingual() => "en".to_owned(),
            None => {
                // Where nobody speaks, silence has a language too.
                let silent = spoken.as_ref().is_some_and(|(speech, _)| speech.samples().is_empty());
                let detected = if silent { self.detect_language(audio)? } else { self.detect(&mel)? };
                let best = decoding::most_probable(&detected)?;
                // A `Break` here ends the run before its first window, which `run` sees by itself.
                let _ = observer.event(Event::Language { code: best.code, probability: best.probability });
                best.code.to_owned()
            }
        };
        options.decode.language = Some(language.clone());
        let tokens = match &options.initial_prompt {
            Some(prompt) => self.tokenizer.encode(&format!(" {}", prompt.trim()))?,
            None => Vec::new(),
        };
        let clips = segments::clips(&options.clip_timestamps, mel.content_frames());
        let batches = match (options.batch, &spoken) {
            (Some(_), Some((_, timeline))) => Some(Batches::of(timeline, mel.content_frames())),
            _ => None,
        };
        Ok(Transcription {
            seek: clips.first().map_or(0, |clip| clip.0),
            clips,
            clip: 0,
            initial_prompt_len: tokens.len(),
            tokens,
            prompt_reset_since: 0,
            last_speech_timestamp: 0.0,
            segments: Vec::new(),
            batches,
            timeline: spoken.map(|(_, timeline)| timeline),
            whole_frames: audio.samples().len() / HOP_LENGTH,
            options,
            language,
            mel,
        })
    }

    /// Transcribes all of `audio`; if the observer stops it, what is done so far.
    ///
    /// # Errors
    /// If an option can't be used or the device fails.
    pub fn run(
        &self,
        audio: &Waveform,
        options: TranscribeOptions,
        observer: &mut dyn Observer,
    ) -> Result<Transcript> {
        let mut run = self.start_observed(audio, options, observer)?;
        while self.next_window(&mut run, observer)?.is_continue() {}
        Ok(self.finish(run))
    }

    /// Decodes one window, or one batch of them, and moves on; `Break` when nothing is left or the observer stopped.
    ///
    /// # Errors
    /// If the device fails.
    pub fn next_window(
        &self,
        run: &mut Transcription,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<()>> {
        if let Some(mut batches) = run.batches.take() {
            let outcome = self.next_batch(run, &mut batches, observer);
            run.batches = Some(batches);
            return outcome;
        }
        let Some(window) = run.window() else { return Ok(ControlFlow::Break(())) };
        let xa = self.encode(run.mel.window(window.seek, window.segment_size), 1)?;
        run.options.decode.prompt = run.prompt(self.model.dims().n_text_ctx);
        let decoded = fallback::decode_with_fallback(
            self.model(),
            &self.tokenizer,
            &xa,
            &run.options,
            &[window.seek],
            observer,
        )?;
        let Some(mut decoded) = decoded else { return Ok(ControlFlow::Break(())) };
        let result = decoded.swap_remove(0);
        if fallback::is_silence(&run.options, &result) {
            run.seek += window.segment_size;
            return Ok(run.report(observer));
        }
        let new = self.segments_of(run, window, &result, &xa)?;
        let Some(new) = new else { return Ok(run.report(observer)) };
        if run.add(new, &result, observer).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        Ok(run.report(observer))
    }

    /// The segments of a decoded window; moves `seek`. `None` if the window is to be heard again from there.
    fn segments_of(
        &self,
        run: &mut Transcription,
        window: Window,
        result: &DecodingResult,
        xa: &AudioFeatures,
    ) -> Result<Option<Vec<Segment>>> {
        let split = segments::split_by_timestamps(&self.tokenizer, window, result);
        run.seek = split.seek;
        let mut new = split.segments;
        if !run.options.word_timestamps {
            return Ok(Some(new));
        }
        let words = WordOptions {
            language: &run.language,
            task: run.options.decode.task,
            prepend_punctuations: &run.options.prepend_punctuations,
            append_punctuations: &run.options.append_punctuations,
            last_speech_timestamp: run.last_speech_timestamp,
        };
        timing::add_word_timestamps(
            &mut new,
            self.model(),
            &self.tokenizer,
            xa,
            window.segment_size,
            &words,
        )?;
        let last_word_end = |new: &[Segment]| segments::end_of(new).filter(|&end| end > window.time_offset());
        if let (false, Some(end)) = (split.single_timestamp_ending, last_word_end(&new)) {
            run.seek = frames(end);
        }
        if let Some(threshold) = run.options.hallucination_silence_threshold {
            let outcome = anomalies::skip_silence(&anomalies::Scene {
                window,
                threshold,
                single_timestamp_ending: split.single_timestamp_ending,
                content_frames: run.mel.content_frames(),
                last_speech_timestamp: run.last_speech_timestamp,
                seek: run.seek,
                segments: &new,
            });
            run.seek = outcome.seek;
            match outcome.keep {
                None => return Ok(None),
                Some(keep) => new.truncate(keep),
            }
        }
        if let Some(end) = segments::end_of(&new) {
            run.last_speech_timestamp = end;
        }
        Ok(Some(new))
    }

    /// What was transcribed so far.
    pub fn finish(&self, mut run: Transcription) -> Transcript {
        if let Some(batches) = run.batches.take() {
            batches.finish(&mut run);
        }
        Transcript {
            text: self.tokenizer.decode(&run.tokens[run.initial_prompt_len..]),
            segments: run.segments,
            language: run.language,
        }
    }
}
