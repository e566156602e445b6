//! Speech written down while it is spoken: samples are pushed as they come, and each [`Live::step`] tells what is confirmed and
//! what is tentative. No clock and no I/O: the caller brings the audio and measures the time.
//!
//! A window grows from where speech began, and is decoded again with every second of new audio. What two decodings in a row
//! agree on is confirmed (LocalAgreement-2; Macháček, Dabre, Bojar, arXiv 2307.14743) and from then on a prefix of the next one;
//! a window that is long begins anew after a confirmed sentence. Where speech ends all of it is confirmed at once.

use crate::audio::{N_SAMPLES, SAMPLE_RATE};
use crate::error::{Error, Result};
use crate::observer::Observer;
use crate::options::TranscribeOptions;
use crate::transcribe::Transcriber;
use crate::transcript::{Segment, Transcript, Word};
use crate::vad::CHUNK;

pub mod event;
mod hypothesis;
mod listen;
mod options;
mod written;

pub use event::{Latency, LiveEvent};
use hypothesis::{Hypothesis, Scene, Spoken};
use listen::{Heard, Listener};
pub use options::LiveOptions;
use written::Written;

/// Samples that may wait to be heard, older ones are dropped; seconds that wait from which on it is said.
const MOST_WAITING: usize = 2 * N_SAMPLES;
const LAG: f64 = 5.0;
/// Seconds of speech that a language is detected in.
const LANGUAGE: f64 = 2.0;
/// Seconds before the end of the audio in which nothing is confirmed while speech goes on.
const UNSURE: f64 = 0.5;
/// Words less probable than this are confirmed later, so many seconds before the end of the audio.
const DOUBTFUL: f64 = 0.7;
const DOUBT: f64 = 2.5;
/// After a pause shorter than this, in seconds, speech goes on in the same window, with what was said before as its context.
const SAME_WINDOW: f64 = 2.0;
/// A decoding follows after so many times what the last one took, so that there is time for other things.
const IDLE: f64 = 2.0;
/// Most seconds between two decodings.
const MOST_PACE: f64 = 15.0;

/// A live transcription. It borrows nothing, so it can be held between its steps.
#[derive(Debug)]
pub struct Live {
    transcriber: Transcriber,
    options: LiveOptions,
    windows: TranscribeOptions,
    listener: Listener,
    ready: bool,
    ended: bool,
    language: Option<String>,
    /// Samples pushed and not heard yet, and where in all audio they begin.
    waiting: Vec<f32>,
    waiting_start: u64,
    dropped: u64,
    lagging: bool,
    /// What is decoded next time, and where in all audio it begins.
    window: Vec<f32>,
    window_start: u64,
    /// End of what was decoded last.
    decoded: u64,
    /// The last hypothesis, beyond what is confirmed.
    tentative: Vec<Spoken>,
    written: Written,
    /// Where speech ended last.
    paused: Option<u64>,
    /// Seconds of new audio between two decodings.
    pace: f64,
    latencies: Vec<f64>,
    /// How many of those are of the last step.
    newest: usize,
}

impl Live {
    /// Checks the options.
    ///
    /// # Errors
    /// If an option can't be used, or there is no network for voice activity.
    pub fn new(transcriber: &Transcriber, options: LiveOptions) -> Result<Self> {
        options.validate()?;
        let mut windows = options.of_windows();
        let tokenizer = transcriber.tokenizer();
        let language = match &options.language {
            Some(language) if tokenizer.is_multilingual() => {
                Some(tokenizer.language_token(language)?.1.to_owned())
            }
            Some(language) if crate::languages::code_of(language) != Some("en") => {
                return Err(Error::Options(format!("this model knows only English, not `{language}`")));
            }
            None if tokenizer.is_multilingual() => None,
            _ => Some("en".to_owned()),
        };
        windows.decode.language.clone_from(&language);
        crate::decoding::DecodingTask::new(transcriber.model(), tokenizer, &windows.decode)?;
        let prompt = match &options.initial_prompt {
            Some(prompt) => tokenizer.encode(&format!(" {}", prompt.trim()))?,
            None => Vec::new(),
        };
        Ok(Self {
            listener: Listener::new(transcriber.vad()?, options.vad.clone()),
            transcriber: transcriber.clone(),
            pace: options.min_chunk_s,
            options,
            windows,
            language,
            ready: false,
            ended: false,
            waiting: Vec::new(),
            waiting_start: 0,
            dropped: 0,
            lagging: false,
            window: Vec::new(),
            window_start: 0,
            decoded: 0,
            tentative: Vec::new(),
            written: Written::new(prompt),
            paused: None,
            latencies: Vec::new(),
            newest: 0,
        })
    }

    /// Takes audio: mono at 16 kHz. What [`Live::step`] does not hear in time is dropped, the oldest first; that takes a minute.
    pub fn push(&mut self, samples: &[f32]) {
        self.waiting.extend_from_slice(samples);
        let over = self.waiting.len().saturating_sub(MOST_WAITING);
        if over > 0 {
            self.waiting.drain(..over);
            self.waiting_start += over as u64;
            self.dropped += over as u64;
        }
    }

    /// Seconds that were pushed and are not heard yet.
    pub fn behind(&self) -> f64 {
        seconds(self.waiting.len() as u64)
    }

    /// Whether [`Live::step`] has something to do.
    pub fn is_ready(&self) -> bool {
        !self.ready || self.waiting.len() >= CHUNK
    }

    /// Code of the language, once it is known.
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// Segments that are complete: sentences, or what was said up to a pause.
    pub fn segments(&self) -> &[Segment] {
        self.written.segments()
    }

    /// What is confirmed.
    pub fn transcript(&self) -> Transcript {
        let language = self.language.clone().unwrap_or_default();
        self.written.transcript(language, |tokens| self.transcriber.tokenizer().decode(tokens))
    }

    /// Hears what was pushed, decodes once if it is time to, and tells what came of it. The observer is told each token, and may
    /// stop the decoding, which is then left for the next step.
    ///
    /// # Errors
    /// If the device fails.
    pub fn step(&mut self, observer: &mut dyn Observer) -> Result<Vec<LiveEvent>> {
        self.newest = 0;
        let mut events = Vec::new();
        if !self.ready {
            self.ready = true;
            events.push(LiveEvent::Ready { sample_rate: SAMPLE_RATE });
        }
        self.lag(&mut events);
        let ended = self.hear()?;
        let heard = self.heard();
        let new = seconds(heard.saturating_sub(self.decoded.max(self.window_start)));
        let full = self.window.len() + CHUNK > N_SAMPLES;
        if ended.is_some() || self.listener.speech() && (new >= self.pace || full) {
            self.detect(ended.is_some(), &mut events)?;
            if self.language.is_some() {
                self.decode(ended, full, &mut events, observer)?;
            }
        }
        Ok(events)
    }

    /// Tells how long the last step took by the caller's clock: so much later are its events, and the next decoding follows at a
    /// pace that can be kept.
    pub fn took(&mut self, took: f64, events: &mut [LiveEvent]) {
        let first = self.latencies.len() - self.newest;
        self.latencies[first..].iter_mut().for_each(|latency| *latency += took);
        events.iter_mut().for_each(|event| event.delay(took));
        if self.decoded == self.heard() {
            self.pace = (IDLE * took).clamp(self.options.min_chunk_s, MOST_PACE);
        }
    }

    /// Hears all that was pushed, and confirms what is left. Nothing follows; what is pushed later is not heard.
    ///
    /// # Errors
    /// As [`Live::step`].
    pub fn finish(&mut self, observer: &mut dyn Observer) -> Result<Vec<LiveEvent>> {
        if self.ended {
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        while self.is_ready() {
            events.extend(self.step(observer)?);
        }
        self.ended = true;
        self.window.append(&mut self.waiting);
        if self.listener.speech() {
            self.detect(true, &mut events)?;
            self.decode(Some(self.heard()), false, &mut events, observer)?;
        }
        let latency = Latency::of(self.latencies.clone());
        events.push(LiveEvent::End { time: self.time(), words: self.latencies.len(), latency });
        Ok(events)
    }

    /// The sample after the last one heard.
    fn heard(&self) -> u64 {
        self.window_start + self.window.len() as u64
    }

    /// Seconds that were pushed.
    fn time(&self) -> f64 {
        seconds(self.waiting_start + self.waiting.len() as u64)
    }

    /// Takes what waits into the window, until speech ends or the window is full. -> the sample at which speech ended
    fn hear(&mut self) -> Result<Option<u64>> {
        if self.waiting_start != self.heard() && !self.window.is_empty() {
            // Something was dropped: what was said before it has no end that could be heard.
            let speech = self.listener.speech();
            self.listener.reset();
            if speech {
                return Ok(Some(self.heard()));
            }
            self.window.clear();
        }
        if self.window.is_empty() {
            self.window_start = self.waiting_start;
        }
        let mut taken = 0;
        let mut ended = None;
        while ended.is_none()
            && let Some(chunk) = self.waiting.get(taken..taken + CHUNK)
            && self.window.len() + CHUNK <= N_SAMPLES
        {
            let at = self.waiting_start + taken as u64;
            let heard = self.listener.hear(at, chunk)?;
            self.window.extend_from_slice(chunk);
            taken += CHUNK;
            match heard {
                Heard::Speech => {}
                Heard::End(at) => ended = Some(at),
                Heard::Silence | Heard::Nothing => self.leave_if_long_ago(),
            }
        }
        self.waiting.drain(..taken);
        self.waiting_start += taken as u64;
        Ok(ended)
    }

    /// Where nobody has spoken for some time, the window is left but for what may be the beginning of speech.
    fn leave_if_long_ago(&mut self) {
        let silent = self.paused.map_or(f64::INFINITY, |at| seconds(self.heard().saturating_sub(at)));
        if silent > SAME_WINDOW {
            self.written.pause();
            let kept = self.window.len().min(self.listener.pad().max(CHUNK));
            self.cut(self.window.len() - kept);
        }
    }

    /// Drops so many samples from the window's beginning.
    fn cut(&mut self, n: usize) {
        self.window.drain(..n);
        self.window_start += n as u64;
    }

    fn lag(&mut self, events: &mut Vec<LiveEvent>) {
        let behind = self.behind();
        let lagging = behind > LAG;
        if lagging && !self.lagging || self.dropped > 0 {
            let dropped = seconds(std::mem::take(&mut self.dropped));
            events.push(LiveEvent::Lag { time: self.time(), behind, dropped });
        }
        self.lagging = lagging;
    }

    fn detect(&mut self, ended: bool, events: &mut Vec<LiveEvent>) -> Result<()> {
        if self.language.is_none() && (ended || self.window.len() as f64 >= LANGUAGE * SAMPLE_RATE as f64) {
            let (code, probability) = hypothesis::language(&self.transcriber, &self.window)?;
            self.language = Some(code.to_owned());
            events.push(LiveEvent::Language { code: code.to_owned(), probability });
        }
        Ok(())
    }

    /// Decodes the window. `ended`: the sample at which speech did; `full`: there is no room for more.
    fn decode(
        &mut self,
        ended: Option<u64>,
        full: bool,
        events: &mut Vec<LiveEvent>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let n = match ended {
            Some(at) => {
                self.window.len().min((at - self.window_start.min(at)) as usize + self.listener.pad())
            }
            None => self.window.len(),
        };
        let prefix: Vec<u32> = self.written.prefix();
        let time_offset = seconds(self.window_start);
        let scene = Scene {
            samples: &self.window[..n],
            time_offset,
            prefix: &prefix,
            prefix_end: (self.written.end() - time_offset).max(0.0),
            prompt: self.written.prompt(),
            language: self.language.as_deref().unwrap_or("en"),
            ended: ended.is_some(),
        };
        let decoded = hypothesis::decode(&self.transcriber, &self.windows, &scene, observer)?;
        let Some(Hypothesis { mut words, failed, result }) = decoded else { return Ok(()) };
        self.decoded = self.heard();
        if failed {
            words.clear();
        }
        let end = time_offset + seconds(n as u64);
        let sure = if ended.is_some() {
            words.len()
        } else if full {
            words.iter().take_while(|spoken| spoken.word.end < end - 2.0).count()
        } else {
            let agreed = hypothesis::agreement(&self.tentative, &words).min(words.len().saturating_sub(1));
            let doubt = |word: &Word| if word.probability < DOUBTFUL { DOUBT } else { UNSURE };
            words[..agreed].iter().take_while(|spoken| spoken.word.end < end - doubt(&spoken.word)).count()
        };
        self.tentative = words.split_off(sure);
        if !words.is_empty() {
            self.written.follow(&mut words);
            let time = self.time();
            self.newest += words.len();
            self.latencies.extend(words.iter().map(|spoken| time - spoken.word.end));
            let (text, words) = self.tell(words, &result);
            let latency = words.iter().map(|word| time - word.end).sum::<f64>() / words.len() as f64;
            events.push(LiveEvent::Confirmed { time, latency, text, words });
        }
        match ended {
            Some(at) => {
                self.tentative.clear();
                self.paused = Some(at);
                self.written.close();
                self.leave_if_long_ago();
                events.push(LiveEvent::Silence { time: self.time(), start: seconds(at) });
            }
            None => {
                let words: Vec<Word> = self.tentative.iter().map(|spoken| spoken.word.clone()).collect();
                let text = words.iter().map(|word| word.word.as_str()).collect();
                events.push(LiveEvent::Tentative { time: self.time(), text, words });
                self.shorten(full);
            }
        }
        Ok(())
    }

    /// Writes words down. -> their text, and the same as they are told
    fn tell(&mut self, words: Vec<Spoken>, result: &crate::decoding::DecodingResult) -> (String, Vec<Word>) {
        let told: Vec<Word> = words.iter().map(|spoken| spoken.word.clone()).collect();
        self.written.confirm(words, result, self.window_start);
        (told.iter().map(|word| word.word.as_str()).collect(), told)
    }

    /// Lets a long window begin after confirmed words.
    fn shorten(&mut self, full: bool) {
        let start = seconds(self.window_start);
        let length = seconds(self.window.len() as u64);
        let Some(at) = self.written.cut(start, length, full) else {
            if full {
                // Nothing could be confirmed in 30 s: the rest goes on without it.
                let n = self.window.len() / 2;
                self.cut(n);
                self.written.pause();
                self.tentative.clear();
            }
            return;
        };
        let n = (((at - start) * SAMPLE_RATE as f64) as usize).min(self.window.len());
        self.cut(n);
    }
}

fn seconds(samples: u64) -> f64 {
    samples as f64 / SAMPLE_RATE as f64
}
