//! A whole recording, window by window (openai/whisper, `whisper/transcribe.py`): each window of 30 s is decoded,
//! cut into segments at its timestamps, and the next one starts where the last segment ended.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::audio::{N_FRAMES, Waveform};
use crate::decoding::DecodingResult;
use crate::error::Result;
use crate::guards::LeftOut;
use crate::mel::{LogMel, Mel};
use crate::model::{AudioFeatures, Model};
use crate::observer::Observer;
use crate::options::TranscribeOptions;
use crate::timing::{self, WordOptions};
use crate::tokenizer::Tokenizer;
use crate::transcript::{Segment, Transcript};
use crate::vad::{self, Span, Timeline, Vad, VadOptions};

pub mod anomalies;
mod batch;
mod checkpoint;
pub(crate) mod encoding;
pub mod fallback;
mod guarded;
mod recordings;
mod run;
pub mod segments;
mod sound;
mod speech;
mod start;
mod together;
mod window;

use batch::Batches;
pub use checkpoint::Checkpoint;
pub(crate) use checkpoint::bits;
use encoding::First;
pub use recordings::Recordings;
use sound::Sound;
use speech::Listener;
pub use start::Plan;
pub use together::encoded_beside;
pub use window::Window;
use window::{frames, seconds};

/// Seconds after a window that may be waited for, of a recording whose end is not known.
const MOST_READ_AHEAD: f64 = 3600.0;

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
    sound: Sound,
    /// (start, end) of the clips to process, in mel frames
    clips: Vec<(usize, usize)>,
    clip: usize,
    seek: usize,
    /// Before the prompt of every window.
    hotwords: Vec<u32>,
    tokens: Vec<u32>,
    initial_prompt_len: usize,
    prompt_reset_since: usize,
    last_speech_timestamp: f64,
    segments: Vec<Segment>,
    left_out: Vec<LeftOut>,
    listener: Listener,
    /// Segments and tokens that are in checkpoints already.
    n_kept: usize,
    n_tokens_kept: usize,
    /// What is left to do in batches, if that is how it is done.
    batches: Option<Batches>,
    /// Where what is heard lies in the recording, if silence was left out.
    timeline: Option<Timeline>,
    /// What words are cut to, if they are.
    snap_to: Option<Vec<Span>>,
    /// Where the last segment ends, in seconds.
    last_end: f64,
    /// Mel frames in the recording, silence included.
    whole_frames: usize,
    plan: Option<Plan>,
    first: First,
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

    pub(crate) fn mel(&self, audio: &Waveform) -> Result<Mel> {
        self.log_mel.compute(audio)
    }

    /// Where somebody speaks, heard by the network given or the bundled one.
    pub(crate) fn speech(&self, audio: &Waveform, options: &VadOptions) -> Result<Vec<Span>> {
        vad::speech(self.vad()?, audio, options)
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
        let run = self.start_observed(audio, options, observer)?;
        self.run_on(run, observer)
    }

    pub(crate) fn run_on(&self, mut run: Transcription, observer: &mut dyn Observer) -> Result<Transcript> {
        match run.batches {
            Some(_) => drop(self.batched(&mut run, None, observer)?),
            None => while self.next_window(&mut run, observer)?.is_continue() {},
        }
        Ok(self.finish(run))
    }

    /// Decodes one window, or as many as go into a batch, and moves on; `Break` when nothing is left or the observer stopped.
    /// [`Transcriber::run`] and [`Transcriber::run_together`] fill the places in a batch meanwhile, which is faster.
    ///
    /// # Errors
    /// If the device fails.
    pub fn next_window(
        &self,
        run: &mut Transcription,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<()>> {
        if let (Some(_), Some(n)) = (&run.batches, run.options.batch) {
            return self.batched(run, Some(n), observer);
        }
        let Some(window) = run.window()? else { return Ok(ControlFlow::Break(())) };
        let xa = match run.first.take() {
            Some((of, xa)) if of == window => xa,
            _ => self.hear(&run.options, window, run.sound.window(window.seek, window)?)?,
        };
        run.options.decode.prompt = run.prompt(self.model.dims().n_text_ctx);
        let decoded = self.decoded(run, window, xa, observer)?;
        let Some((xa, decoded)) = decoded else { return Ok(ControlFlow::Break(())) };
        let heard = self.guarded(run, window, xa, decoded, observer)?;
        let Some(heard) = heard else { return Ok(ControlFlow::Break(())) };
        if heard.is_silence {
            run.seek += heard.window.segment_size;
            return Ok(run.report(observer));
        }
        let new = self.segments_of(run, heard.window, &heard.result, &heard.xa)?;
        let Some(new) = new else { return Ok(run.report(observer)) };
        let new = self.believed(run, &heard, new)?;
        if run.add(new, heard.result.temperature, observer).is_break() {
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
            language: &result.language,
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
            // Whether the recording ends within the threshold after the window.
            let after = window.seek + N_FRAMES + frames(threshold.clamp(0.0, MOST_READ_AHEAD)) + 1;
            let outcome = anomalies::skip_silence(&anomalies::Scene {
                window,
                threshold,
                single_timestamp_ending: split.single_timestamp_ending,
                content_frames: run.sound.reach(window.seek, after)?,
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
            left_out: run.left_out,
        }
    }
}
