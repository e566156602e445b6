//! A given text is forced onto a recording of any length. First the recording is transcribed, and the words that both
//! texts share say about where each of the given ones is; then the given text alone is aligned, window by window, with the
//! cross-attention that word times come from. Words that nobody can have said have probability 0.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::audio::{FRAMES_PER_SECOND, N_FRAMES, SAMPLE_RATE, Waveform};
use crate::error::{Error, Result};
use crate::languages;
use crate::model::AudioFeatures;
use crate::observer::{Event, Observer};
use crate::options::{Task, TranscribeOptions};
use crate::recording::{Open, Recording};
use crate::timing::{self, WordOptions};
use crate::transcribe::{Plan, Transcriber};
use crate::transcript::{Segment, Transcript, Word};

mod matching;
mod plan;
mod text;
mod window;

use plan::{Heard, Stretch};
use text::{Item, Text};
pub use window::EncodedWindow;

/// Positions that the start of a sequence and its end take.
const AROUND_TEXT: usize = 8;
/// From so many words of a text on, one of them must be heard.
const MUST_SHARE: usize = 4;

/// A text, and how to hear the recording that it is said in.
#[derive(Debug, Clone)]
pub struct Given<'t> {
    text: &'t str,
    options: TranscribeOptions,
}

impl<'t> Given<'t> {
    /// With the options of the transcription that comes first.
    ///
    /// # Errors
    /// If the text is empty, or is to be found in a translation.
    pub fn new(text: &'t str, options: TranscribeOptions) -> Result<Self> {
        if options.decode.task == Task::Translate {
            return Err(Error::Options(
                "a text can't be aligned with a translation: leave `task` out".into(),
            ));
        }
        if text.trim().is_empty() {
            return Err(Error::Options("the text to align is empty".into()));
        }
        Ok(Self { text, options: TranscribeOptions { word_timestamps: true, ..options } })
    }
}

impl Transcriber {
    /// The times of every word of `text` in a recording, which is first transcribed by `options`. Each line of the text is a
    /// segment; one of more than 200 characters is parted into its sentences. The observer is told of the language and of
    /// windows, the transcription being half of the work; if it stops the run, there are no segments.
    ///
    /// # Errors
    /// If the text has no words, or none that is heard, if an option can't be used or the device fails.
    pub fn align(
        &self,
        audio: &Waveform,
        text: &str,
        options: TranscribeOptions,
        observer: &mut dyn Observer,
    ) -> Result<Transcript> {
        self.align_recording(audio.clone().into(), text, options, observer)
    }

    /// As [`Transcriber::align`], of a recording of any length, of which only what the next window hears is in memory.
    ///
    /// # Errors
    /// As [`Transcriber::align`], if the recording can't be read, or only once.
    pub fn align_recording(
        &self,
        recording: Recording,
        text: &str,
        options: TranscribeOptions,
        observer: &mut dyn Observer,
    ) -> Result<Transcript> {
        let Recording::Again(open) = recording else {
            return Err(Error::Options(
                "a text needs a recording that can be read again: once to transcribe it, once for the text's words".into(),
            ));
        };
        let given = Given::new(text, options)?;
        self.align_by(&given, &open, observer, |options, observer| {
            let recording = Recording::Again(Arc::clone(&open));
            let run = self.start_recording(recording, options.clone(), None, observer)?;
            let Some(run) = run else { return Ok(None) };
            let plan = run.plan().cloned();
            Ok(plan.zip(Some(self.run_on(run, observer)?)))
        })
    }

    /// As [`Transcriber::align_recording`], with a transcript that the caller has made, by the options that are handed to
    /// `transcribe`, and what was found out for it; `None` if there was no first window.
    ///
    /// # Errors
    /// As [`Transcriber::align_recording`], and those of `transcribe`.
    pub fn align_by<E: From<Error>>(
        &self,
        given: &Given<'_>,
        open: &Open,
        observer: &mut dyn Observer,
        transcribe: impl FnOnce(
            &TranscribeOptions,
            &mut dyn Observer,
        ) -> std::result::Result<Option<(Plan, Transcript)>, E>,
    ) -> std::result::Result<Transcript, E> {
        let mut stopped = false;
        // Half of the work.
        let mut halved = |event: Event<'_>| {
            let flow = match event {
                Event::Window { seek, content_frames } => {
                    observer.event(Event::Window { seek: seek / 2, content_frames })
                }
                Event::Language { .. } | Event::Reading { .. } => observer.event(event),
                _ => ControlFlow::Continue(()),
            };
            stopped |= flow.is_break();
            flow
        };
        let Some((plan, heard)) = transcribe(&given.options, &mut halved)? else {
            return Ok(Transcript::default());
        };
        if stopped {
            return Ok(Transcript { language: heard.language, ..Transcript::default() });
        }
        Ok(self.find(given, open, (plan, heard), observer)?)
    }

    /// Finds the text in a recording by its transcript.
    fn find(
        &self,
        given: &Given<'_>,
        open: &Open,
        (plan, heard): (Plan, Transcript),
        observer: &mut dyn Observer,
    ) -> Result<Transcript> {
        let options = &given.options;
        let language = heard.language.clone();
        let text = Text::new(given.text, self.tokenizer(), &language, options)?;
        let nothing = |language| Ok(Transcript { language, ..Transcript::default() });
        // Where only speech was transcribed, its maximum is not the recording's.
        let extent = match &plan.spoken {
            None => Some(plan.extent),
            Some(_) => self.measured(Arc::clone(open), observer)?,
        };
        let Some(extent) = extent else { return nothing(language) };
        let heard = units_of(&heard);
        let duration = extent.n_samples as f64 / SAMPLE_RATE as f64;
        let (owners, units): (Vec<usize>, Vec<&str>) = text
            .items
            .iter()
            .enumerate()
            .flat_map(|(i, item)| item.units.iter().map(move |unit| (i, unit.as_str())))
            .unzip();
        let others: Vec<&str> = heard.iter().map(|heard| heard.unit.as_str()).collect();
        let found = matching::matches(&units, &others);
        if units.len() >= MUST_SHARE && found.iter().all(Option::is_none) {
            return Err(Error::Options(format!(
                "the text has nothing in common with what is heard (`{}` …): is it the recording's, and in its language?",
                others.iter().take(8).copied().collect::<Vec<_>>().join(" ")
            )));
        }
        let about = plan::about(&text.items, &owners, &found, &heard, duration);
        let most_tokens = self.model().dims().n_text_ctx - AROUND_TEXT;
        let stretches = plan::stretches(&text.items, &about, duration, most_tokens, &language);

        let mut words: Vec<Option<Word>> = vec![None; text.items.len()];
        let mut mel = self.mel_stream(Arc::clone(open), extent);
        let content_frames = mel.content_so_far();
        for stretch in &stretches {
            let (seek, size) = frames_of(stretch, content_frames);
            let items: Vec<usize> = stretch.items.clone().filter(|&i| about[i].is_some()).collect();
            // A stretch may begin before the last one, if words are heard out of order.
            let keep = seek.saturating_sub(N_FRAMES);
            let xa = self.encode(mel.window(keep, seek, size)?, 1)?;
            let chosen: Vec<&Item> = items.iter().map(|&i| &text.items[i]).collect();
            let aligned = self.align_items(&xa, &chosen, (seek, size), &language, options)?;
            items.into_iter().zip(aligned).for_each(|(i, word)| words[i] = Some(word));
            let seek = (content_frames + seek + size) / 2;
            if observer.event(Event::Window { seek, content_frames }).is_break() {
                return nothing(language);
            }
        }
        if let Some(speech) = &plan.snap_to {
            timing::snap_words(words.iter_mut().flatten(), &speech.spans, 0.0);
        }
        Ok(transcript(&text, words, language, self))
    }

    /// The words of one window that is encoded already. window: first mel frame and how many
    fn align_items(
        &self,
        xa: &AudioFeatures,
        items: &[&Item],
        window: (usize, usize),
        language: &str,
        options: &TranscribeOptions,
    ) -> Result<Vec<Word>> {
        let (seek, size) = window;
        let offset = seek as f64 / FRAMES_PER_SECOND as f64;
        let tokens: Vec<u32> = items.iter().flat_map(|item| item.tokens.iter().copied()).collect();
        if tokens.is_empty() || size < 2 {
            let word =
                |item: &&Item| Word { word: item.word.clone(), start: offset, end: offset, probability: 0.0 };
            return Ok(items.iter().map(word).collect());
        }
        let words = WordOptions {
            language,
            task: Task::Transcribe,
            prepend_punctuations: &options.prepend_punctuations,
            append_punctuations: &options.append_punctuations,
            last_speech_timestamp: 0.0,
        };
        let times = timing::token_times(self.model(), self.tokenizer(), xa, &tokens, size, &words)?;
        let mut first = 0;
        let mut aligned = Vec::with_capacity(items.len());
        for item in items {
            let core = first + item.core.start..first + item.core.end;
            first += item.tokens.len();
            let probability =
                times.probabilities[core.clone()].iter().sum::<f64>() / core.len().max(1) as f64;
            aligned.push(Word {
                word: item.word.clone(),
                start: timing::hundredths(offset + times.start(core.start)),
                end: timing::hundredths(offset + times.start(core.end)),
                probability,
            });
        }
        Ok(aligned)
    }
}

/// First mel frame of a stretch, and how many.
fn frames_of(stretch: &Stretch, content_frames: usize) -> (usize, usize) {
    let frame = |seconds: f64| ((seconds * FRAMES_PER_SECOND as f64).round() as usize).min(content_frames);
    let (seek, end) = (frame(stretch.start), frame(stretch.end));
    (seek, end.saturating_sub(seek).min(N_FRAMES))
}

/// What is heard, in units that can be compared; each has its share of its word's time.
fn units_of(heard: &Transcript) -> Vec<Heard> {
    let spaced = languages::has_spaces(&heard.language);
    let mut all = Vec::new();
    for word in heard.segments.iter().flat_map(|segment| segment.words.iter().flatten()) {
        let units = text::units(&word.word, spaced);
        let letters: usize = units.iter().map(|unit| unit.chars().count()).sum();
        let mut said = 0;
        for unit in units {
            let at = |said: usize| word.start + (word.end - word.start) * said as f64 / letters as f64;
            let start = at(said);
            said += unit.chars().count();
            all.push(Heard { unit, start, end: at(said) });
        }
    }
    all
}

/// No word begins before the one before it ends.
fn in_order<'a>(words: impl Iterator<Item = &'a mut Word>) {
    let mut last = 0.0f64;
    for word in words {
        word.start = word.start.max(last);
        word.end = word.end.max(word.start);
        last = word.end;
    }
}

/// Segments of the text's lines; words that were not spoken take no time behind the word before.
fn transcript(
    text: &Text,
    words: Vec<Option<Word>>,
    language: String,
    transcriber: &Transcriber,
) -> Transcript {
    let mut segments: Vec<Segment> = Vec::with_capacity(text.lines.len());
    let mut last = 0.0f64;
    for (item, word) in text.items.iter().zip(words) {
        let mut word = word.unwrap_or_else(|| Word {
            word: item.word.clone(),
            start: last,
            end: last,
            probability: 0.0,
        });
        (word.start, word.end) = (word.start.max(last), word.end.max(word.start).max(last));
        last = word.end;
        if segments.len() <= item.line {
            segments.push(Segment {
                id: item.line,
                start: word.start,
                words: Some(Vec::new()),
                ..Segment::default()
            });
        }
        let Some(segment) = segments.last_mut() else { continue };
        segment.end = word.end;
        segment.text.push_str(&word.word);
        segment.tokens.extend(&item.tokens);
        segment.words.get_or_insert_default().push(word);
    }
    for segment in &mut segments {
        segment.seek = (segment.start * FRAMES_PER_SECOND as f64) as usize;
        let words = segment.words.as_deref().unwrap_or_default();
        let logs = words.iter().map(|word| word.probability.max(1e-10).ln());
        segment.avg_logprob = logs.sum::<f64>() / words.len().max(1) as f64;
        segment.compression_ratio = crate::compression::compression_ratio(&segment.text);
    }
    let tokens: Vec<u32> = segments.iter().flat_map(|segment| segment.tokens.iter().copied()).collect();
    Transcript { text: transcriber.tokenizer().decode(&tokens), segments, language, ..Transcript::default() }
}
