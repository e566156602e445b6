//! Before the first window: options are checked, the recording is looked through, and its language heard.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::batch::Batches;
use super::encoding::First;
use super::run::prompt_room;
use super::sound::Sound;
use super::speech::Listener;
use super::{Transcriber, Transcription, fallback, segments};
use crate::audio::{HOP_LENGTH, Waveform};
use crate::decoding::{self, LanguageProbability};
use crate::error::{Error, Result};
use crate::mel::{Extent, MelStream};
use crate::observer::{Event, Observer};
use crate::options::{AUTO_EACH, AudioContext, TranscribeOptions};
use crate::recording::{self, Blocks, Open, Recording};
use crate::timing;
use crate::transcript::Transcript;
use crate::vad::{self, Heard, Timeline, Vad, VadOptions};

/// What was found out about a recording before its first window: with it the same run starts at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Where somebody speaks, if the rest is left out.
    pub spoken: Option<Heard>,
    /// The same by the limits that words are cut to, if they are.
    pub snap_to: Option<Heard>,
    /// Of what is left.
    pub extent: Extent,
    /// Code of the language spoken, once that is known.
    pub language: Option<String>,
}

impl Transcriber {
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
        let each = each_language(&mut options);
        self.check(&options)?;
        let spoken = match &options.voice_activity() {
            Some(limits) => Some(Timeline::cut(audio, &self.speech(audio, limits)?)),
            None => None,
        };
        let snap_to = match options.snap_to_speech {
            true => Some(self.speech(audio, &timing::snap_options())?),
            false => None,
        };
        let heard = spoken.as_ref().map_or(audio, |(speech, _)| speech);
        let mut sound = Sound::Whole(self.log_mel.compute(heard)?, heard.clone());
        // Where nobody speaks, silence has a language too.
        let silent = spoken.as_ref().is_some_and(|(speech, _)| speech.samples().is_empty());
        let mut first = None;
        let language = self.language(&options, observer, || match silent {
            true => self.detect_language(audio),
            false => self.detect_first(&options, &mut sound, &mut first),
        })?;
        let whole_frames = audio.samples().len() / HOP_LENGTH;
        let timeline = spoken.map(|(_, timeline)| timeline);
        let run = self.begin(options, (language, each), sound, timeline, whole_frames)?;
        Ok(Transcription { snap_to, first, ..run })
    }

    /// As [`Transcriber::start`], of a recording of any length, of which only what the next windows hear is in memory. One that
    /// can be read again is read beforehand: once, and once more with `vad`, `batch` or `snap_to_speech`; the observer is told, and `None`
    /// is what is left if it breaks meanwhile. `plan` is what an earlier run of the same recording with the same options
    /// found out.
    ///
    /// # Errors
    /// As [`Transcriber::start`], if the recording can't be read, or if voice activity or batches are asked of one that can be
    /// read only once.
    pub fn start_recording(
        &self,
        recording: Recording,
        mut options: TranscribeOptions,
        plan: Option<Plan>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Transcription>> {
        let each = each_language(&mut options);
        self.check(&options)?;
        let open = match recording {
            Recording::Again(open) => open,
            Recording::Once(blocks) => return self.start_once(blocks, (options, each), observer).map(Some),
        };
        let plan = match plan {
            Some(plan) => plan,
            None => match self.look_through(&open, &options, observer)? {
                Some(plan) => plan,
                None => return Ok(None),
            },
        };
        let Plan { spoken, snap_to, extent, language } = plan;
        let mut sound = self.stream(left(&open, spoken.as_ref()), extent);
        let mut first = None;
        let language = match language {
            Some(language) => language,
            None => {
                let mut whole = match &spoken {
                    Some(heard) if heard.spans.is_empty() && self.must_detect(&options) => {
                        match self.measured(Arc::clone(&open), observer)? {
                            Some(extent) => Some(self.stream(open, extent)),
                            None => return Ok(None),
                        }
                    }
                    _ => None,
                };
                self.language(&options, observer, || match &mut whole {
                    Some(whole) => self.detect_first(&options, whole, &mut None),
                    None => self.detect_first(&options, &mut sound, &mut first),
                })?
            }
        };
        let n_samples = spoken.as_ref().map_or(extent.n_samples, |heard| heard.n_samples);
        let timeline = spoken.as_ref().map(|heard| Timeline::of(&heard.spans));
        let spans = snap_to.as_ref().map(|heard| heard.spans.clone());
        let plan = Plan { spoken, snap_to, extent, language: Some(language.clone()) };
        let run = self.begin(options, (language, each), sound, timeline, n_samples / HOP_LENGTH)?;
        Ok(Some(Transcription { plan: Some(plan), snap_to: spans, first, ..run }))
    }

    /// What has to be known of a recording before [`Transcriber::start_recording`], but for its language: found without the
    /// network, so that a thread of its own can do it while others are transcribed. `None` if the observer breaks.
    ///
    /// # Errors
    /// If an option is out of range, or the recording can't be read.
    pub fn look_through(
        &self,
        open: &Open,
        options: &TranscribeOptions,
        observer: &mut dyn Observer,
    ) -> Result<Option<Plan>> {
        let mut checked = options.clone();
        each_language(&mut checked);
        checked.validate()?;
        let (speech, snap) = (options.voice_activity(), options.snap_to_speech.then(timing::snap_options));
        let limits: Vec<VadOptions> = speech.iter().chain(&snap).cloned().collect();
        let Some(mut heard) = self.listened(open, &limits, observer)? else { return Ok(None) };
        let snap_to = snap.and_then(|_| heard.pop());
        let spoken = heard.pop();
        let extent = self.measured(left(open, spoken.as_ref()), observer)?;
        Ok(extent.map(|extent| Plan { spoken, snap_to, extent, language: None }))
    }

    /// The probability of every language in the first 30 s, in token order.
    ///
    /// # Errors
    /// If the network knows only English, or the device fails.
    pub fn detect_language(&self, audio: &Waveform) -> Result<Vec<LanguageProbability>> {
        let mut sound = Sound::Whole(self.log_mel.compute(audio)?, audio.clone());
        let options = TranscribeOptions { audio_ctx: AudioContext::Full, ..TranscribeOptions::default() };
        Ok(self.detect(&options, &mut sound)?.0)
    }

    /// As [`Transcriber::run`], of a recording of any length: see [`Transcriber::start_recording`].
    ///
    /// # Errors
    /// As [`Transcriber::start_recording`].
    pub fn run_recording(
        &self,
        recording: Recording,
        options: TranscribeOptions,
        observer: &mut dyn Observer,
    ) -> Result<Transcript> {
        match self.start_recording(recording, options, None, observer)? {
            Some(run) => self.run_on(run, observer),
            None => Ok(Transcript::default()),
        }
    }

    fn start_once(
        &self,
        blocks: Box<dyn Blocks>,
        (options, each): (TranscribeOptions, bool),
        observer: &mut dyn Observer,
    ) -> Result<Transcription> {
        let asked = [
            (options.batch.is_some(), "`batch` needs"),
            (options.vad.is_some(), "`vad` needs"),
            (options.snap_to_speech, "`snap_to_speech` needs"),
            (!options.clip_timestamps.is_sorted(), "`clip_timestamps` that go back in time need"),
        ];
        if let Some((_, what)) = asked.into_iter().find(|(asked, _)| *asked) {
            let why = format!("{what} the whole recording, and this one is read only once");
            return Err(Error::Options(why));
        }
        let stream = MelStream::running(Arc::clone(&self.log_mel), blocks);
        let mut sound = Sound::Stream(Arc::new(Mutex::new(stream)));
        let mut first = None;
        let language =
            self.language(&options, observer, || self.detect_first(&options, &mut sound, &mut first))?;
        Ok(Transcription { first, ..self.begin(options, (language, each), sound, None, 0)? })
    }

    fn check(&self, options: &TranscribeOptions) -> Result<()> {
        options.validate()?;
        for &temperature in &options.temperatures {
            let options = fallback::options_at(&options.decode, temperature);
            decoding::DecodingTask::new(self.model(), &self.tokenizer, &options)?;
        }
        Ok(())
    }

    /// A network for voice activity that has heard nothing yet.
    pub(crate) fn vad(&self) -> Result<Vad> {
        self.vad.as_deref().cloned().map_or_else(Vad::bundled, Ok)
    }

    /// Where somebody speaks in a recording, by each of these limits; `None` if the observer stopped it.
    fn listened(
        &self,
        open: &Open,
        limits: &[VadOptions],
        observer: &mut dyn Observer,
    ) -> Result<Option<Vec<Heard>>> {
        if limits.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let mut told = |n_samples| reading(observer, n_samples);
        vad::listen_by(self.vad()?, &mut *open()?, limits, &mut told)
    }

    /// Reads a recording to its end, so that windows of it can be heard.
    pub(crate) fn measured(&self, open: Open, observer: &mut dyn Observer) -> Result<Option<Extent>> {
        let mut told = |n_samples| reading(observer, n_samples);
        Extent::measure(&self.log_mel, open()?, &mut told)
    }

    /// The mel of a recording that was measured.
    pub(crate) fn mel_stream(&self, open: Open, extent: Extent) -> MelStream {
        MelStream::new(Arc::clone(&self.log_mel), open, extent)
    }

    fn stream(&self, open: Open, extent: Extent) -> Sound {
        Sound::Stream(Arc::new(Mutex::new(self.mel_stream(open, extent))))
    }

    /// As [`Self::detect`]; features that the first window can have are put into `first`.
    fn detect_first(
        &self,
        options: &TranscribeOptions,
        sound: &mut Sound,
        first: &mut First,
    ) -> Result<Vec<LanguageProbability>> {
        let (probabilities, features) = self.detect(options, sound)?;
        // Many windows wait for a batch; of what is encoded for it the memory is known.
        *first = features.filter(|_| options.batch.is_none());
        Ok(probabilities)
    }

    fn must_detect(&self, options: &TranscribeOptions) -> bool {
        options.decode.language.is_none() && self.tokenizer.is_multilingual()
    }

    /// The language that is given, or the most probable one of those that `detect` hears.
    fn language(
        &self,
        options: &TranscribeOptions,
        observer: &mut dyn Observer,
        detect: impl FnOnce() -> Result<Vec<LanguageProbability>>,
    ) -> Result<String> {
        match &options.decode.language {
            Some(language) if self.tokenizer.is_multilingual() => {
                Ok(self.tokenizer.language_token(language)?.1.to_owned())
            }
            Some(language) => match crate::languages::code_of(language) {
                Some("en") => Ok("en".to_owned()),
                _ => Err(Error::Options(format!("this model knows only English, not `{language}`"))),
            },
            None if !self.must_detect(options) => Ok("en".to_owned()),
            None => {
                let detected = detect()?;
                let best = decoding::most_probable(&detected)?;
                // A `Break` here ends the run before its first window, which `run` sees by itself.
                let _ = observer.event(Event::Language { code: best.code, probability: best.probability });
                Ok(best.code.to_owned())
            }
        }
    }

    fn begin(
        &self,
        mut options: TranscribeOptions,
        (language, each): (String, bool),
        sound: Sound,
        timeline: Option<Timeline>,
        whole_frames: usize,
    ) -> Result<Transcription> {
        let each = each && self.tokenizer.is_multilingual();
        options.decode.language = (!each).then(|| language.clone());
        let given = |text: &Option<String>| match text {
            Some(text) => self.tokenizer.encode(&format!(" {}", text.trim())),
            None => Ok(Vec::new()),
        };
        let (tokens, mut hotwords) = (given(&options.initial_prompt)?, given(&options.hotwords)?);
        hotwords.truncate(prompt_room(self.model.dims().n_text_ctx));
        let clips = segments::clips(&options.clip_timestamps, sound.end());
        let batches = match (options.batch, &timeline) {
            (Some(_), Some(timeline)) => Some(Batches::of(timeline, sound.end(), each)),
            _ => None,
        };
        Ok(Transcription {
            seek: clips.first().map_or(0, |clip| clip.0),
            clips,
            clip: 0,
            initial_prompt_len: tokens.len(),
            n_kept: 0,
            n_tokens_kept: tokens.len(),
            tokens,
            hotwords,
            prompt_reset_since: 0,
            last_speech_timestamp: 0.0,
            segments: Vec::new(),
            left_out: Vec::new(),
            listener: Listener::new(options.is_guarded(), self.vad.clone()),
            batches,
            timeline,
            snap_to: None,
            last_end: 0.0,
            whole_frames,
            options,
            language,
            sound,
            plan: None,
            first: None,
        })
    }
}

/// What is left of a recording where only speech is heard.
fn left(open: &Open, spoken: Option<&Heard>) -> Open {
    match spoken {
        Some(heard) => recording::only(Arc::clone(open), heard.spans.clone().into()),
        None => Arc::clone(open),
    }
}

/// Whether every window's language is to be detected; then none is given.
fn each_language(options: &mut TranscribeOptions) -> bool {
    options.decode.language.take_if(|language| language == AUTO_EACH).is_some()
}

fn reading(observer: &mut dyn Observer, n_samples: usize) -> ControlFlow<()> {
    observer.event(Event::Reading { frames: n_samples / HOP_LENGTH })
}
