//! What follows from reasons to doubt a window's text ([`crate::guards`]): it is heard again in other ways and the better
//! reading kept, and what was written where nobody speaks is left out.

use super::{Transcriber, Transcription, Window, fallback};
use crate::decoding::DecodingResult;
use crate::error::Result;
use crate::guards::{Check, How, LeftOut, Reading, Readings, SPARE_TOKENS, Why, is_phantom, longest_loop};
use crate::model::AudioFeatures;
use crate::observer::Observer;
use crate::timing::{self, WordOptions};
use crate::transcript::Segment;

/// Fewer words say little of how the attention moves.
const FEW_WORDS: usize = 6;

/// The reading of a window that counts.
#[derive(Debug)]
pub(super) struct Heard {
    /// Shorter than it was to be, where that was read better.
    pub window: Window,
    pub xa: AudioFeatures,
    pub result: DecodingResult,
    /// Nobody speaks.
    pub is_silence: bool,
    checks: Vec<Check>,
    readings: Option<Box<Readings>>,
}

/// A reading, and what it is of.
struct Candidate {
    how: How,
    window: Window,
    xa: AudioFeatures,
    result: DecodingResult,
    checks: Vec<Check>,
}

impl Candidate {
    fn severe(&self) -> usize {
        self.checks.iter().filter(|check| check.is_severe()).count()
    }
}

impl Transcriber {
    /// Decodes a window at the temperatures that it needs; `None` if the observer stopped it. Where nobody speaks, one is
    /// enough.
    pub(super) fn ladder(
        &self,
        run: &mut Transcription,
        window: Window,
        xa: &AudioFeatures,
        observer: &mut dyn Observer,
    ) -> Result<Option<Vec<DecodingResult>>> {
        let (options, sound, listener) = (&run.options, &run.sound, &mut run.listener);
        let mut is_vain = || Ok(listener.hears(sound, window)? == Some(false));
        fallback::all_readings(
            self.model(),
            &self.tokenizer,
            xa,
            options,
            window.seek,
            &mut is_vain,
            observer,
        )
    }

    /// The best reading of a window, of which the ladder gave `tried`; `None` if the observer stopped it.
    pub(super) fn guarded(
        &self,
        run: &mut Transcription,
        window: Window,
        xa: AudioFeatures,
        tried: Vec<DecodingResult>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Heard>> {
        let mut candidates: Vec<Candidate> = tried
            .into_iter()
            .map(|result| {
                let checks = if run.options.is_guarded() { self.checks(run, &result) } else { Vec::new() };
                Candidate { how: How::Ladder, window, xa: xa.clone(), result, checks }
            })
            .collect();
        let mut kept = candidates.len().saturating_sub(1);
        let mut why = Why::Passed;
        let Some(last) = candidates.last_mut() else { return Ok(None) };
        let mut is_silence = fallback::is_silence(&run.options, &last.result);
        if !last.checks.is_empty() {
            match run.listener.hears(&run.sound, window)? {
                Some(false) => {
                    last.checks.push(Check::VadSilence);
                    is_silence = true;
                }
                // Improbable and taken for silence, but somebody speaks: it may be read better.
                Some(true) => is_silence = false,
                None => {}
            }
        }
        if !is_silence && last.severe() > 0 {
            if !self.read_otherwise(run, &mut candidates, observer)? {
                return Ok(None);
            }
            (kept, why) = best(&candidates);
            is_silence = fallback::is_silence(&run.options, &candidates[kept].result);
        }
        let readings = (candidates.len() > 1).then(|| Box::new(Readings::of(&candidates, kept, why)));
        let Candidate { window, xa, result, checks, .. } = candidates.swap_remove(kept);
        if is_silence && run.options.is_guarded() && !result.text.is_empty() {
            let (start, end) = (window.time_offset(), window.time_offset() + window.duration());
            run.leave_out(start, end, &result.text, checks.clone());
        }
        Ok(Some(Heard { window, xa, result, is_silence, checks, readings }))
    }

    /// What can be said of a reading without hearing anything.
    fn checks(&self, run: &Transcription, result: &DecodingResult) -> Vec<Check> {
        let options = &run.options;
        let eot = self.tokenizer.special().eot;
        let text: Vec<u32> = result.tokens.iter().copied().filter(|&token| token < eot).collect();
        let above = |x: f64, threshold: Option<f64>| threshold.is_some_and(|t| x > t);
        let said = !result.text.is_empty();
        [
            (Check::CompressionRatio, above(result.compression_ratio, options.compression_ratio_threshold)),
            (Check::RepeatedNgrams, longest_loop(&text, SPARE_TOKENS).is_some()),
            (Check::Logprob, options.logprob_threshold.is_some_and(|t| result.avg_logprob < t)),
            // Half of what makes it silence together with a low log-probability.
            (
                Check::NoSpeech,
                said && above(result.no_speech_prob, options.no_speech_threshold.map(|t| t / 2.0)),
            ),
            (Check::PhantomPhrase, said && is_phantom(&result.text, &result.language)),
        ]
        .into_iter()
        .filter_map(|(check, met)| met.then_some(check))
        .collect()
    }

    /// Adds other readings of the window; false if the observer stopped it.
    fn read_otherwise(
        &self,
        run: &mut Transcription,
        candidates: &mut Vec<Candidate>,
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        let (window, xa) = (candidates[0].window, candidates[0].xa.clone());
        let n_text_ctx = self.model.dims().n_text_ctx;
        let first = run.options.temperatures.first().copied().unwrap_or(0.0);
        let mut ways = Vec::new();
        if run.options.decode.prompt != run.prompt_of(&[], n_text_ctx) {
            ways.push((How::WithoutPrompt, first, window));
        }
        // The ladder has been climbed where it was the thresholds that failed.
        if let (1, Some(&next)) = (candidates.len(), run.options.temperatures.get(1)) {
            ways.push((How::HigherTemperature, next, window));
        }
        let shorter = run.listener.speech(&run.sound, window)?.and_then(|speech| speech.pause(window));
        if let Some(segment_size) = shorter {
            ways.push((How::ShorterWindow, first, Window { segment_size, ..window }));
        }
        for (how, temperature, part) in ways {
            let xa = if part == window { xa.clone() } else { self.encode(run.sound.again(part)?, 1)? };
            let Some(result) = self.read(run, temperature, part, &xa, candidates.len(), observer)? else {
                return Ok(false);
            };
            let checks = self.checks(run, &result);
            let passed = checks.iter().all(|check| !check.is_severe());
            candidates.push(Candidate { how, window: part, xa, result, checks });
            if passed {
                break;
            }
        }
        for candidate in candidates.iter_mut().filter(|candidate| candidate.severe() == 0) {
            if self.attention_stands_still(run, candidate)? {
                candidate.checks.push(Check::Attention);
            }
        }
        Ok(true)
    }

    /// A reading with no text before it; `None` if the observer stopped it.
    fn read(
        &self,
        run: &Transcription,
        temperature: f64,
        window: Window,
        xa: &AudioFeatures,
        n: usize,
        observer: &mut dyn Observer,
    ) -> Result<Option<DecodingResult>> {
        let mut options = fallback::options_at(&run.options.decode, temperature);
        options.prompt = run.prompt_of(&[], self.model.dims().n_text_ctx);
        let by = (&options, fallback::seed(&run.options, window.seek, n));
        fallback::decode_once(self.model(), &self.tokenizer, xa, by, &|_| false, observer)
    }

    /// Whether most words of a reading come from the same place as the one before.
    fn attention_stands_still(&self, run: &Transcription, candidate: &Candidate) -> Result<bool> {
        let eot = self.tokenizer.special().eot;
        let text: Vec<u32> = candidate.result.tokens.iter().copied().filter(|&token| token < eot).collect();
        let options = WordOptions {
            language: &candidate.result.language,
            task: run.options.decode.task,
            prepend_punctuations: "",
            append_punctuations: "",
            last_speech_timestamp: 0.0,
        };
        let size = candidate.window.segment_size;
        let words =
            timing::find_alignment(self.model(), &self.tokenizer, &candidate.xa, &text, size, &options)?;
        Ok(stands_still(words.iter().map(|word| (word.start, word.end))))
    }

    /// Segments that somebody said, with what speaks against them all the same, and their language if it is theirs alone.
    pub(super) fn believed(
        &self,
        run: &mut Transcription,
        heard: &Heard,
        mut new: Vec<Segment>,
    ) -> Result<Vec<Segment>> {
        if run.options.decode.language.is_none() && self.tokenizer.is_multilingual() {
            new.iter_mut().for_each(|segment| segment.language = Some(heard.result.language.clone()));
        }
        if !run.options.is_guarded() {
            return Ok(new);
        }
        let words = new.iter().flat_map(|segment| segment.words.iter().flatten());
        let still = stands_still(words.map(|word| (word.start, word.end)));
        let mut believed = Vec::with_capacity(new.len());
        for mut segment in new {
            let mut checks = heard.checks.clone();
            let said = !segment.text.trim().is_empty() && segment.start < segment.end;
            if still && !checks.contains(&Check::Attention) {
                checks.push(Check::Attention);
            }
            if said
                && !checks.contains(&Check::PhantomPhrase)
                && is_phantom(&segment.text, &heard.result.language)
            {
                checks.push(Check::PhantomPhrase);
            }
            if said
                && !checks.is_empty()
                && let Some(speech) = run.listener.speech(&run.sound, heard.window)?
                && !speech.is_heard_in(segment.start, segment.end)
            {
                checks.push(Check::VadSilence);
                run.leave_out(segment.start, segment.end, &segment.text, checks);
                continue;
            }
            (segment.checks, segment.readings) = (checks, heard.readings.clone());
            believed.push(segment);
        }
        Ok(believed)
    }
}

impl Transcription {
    /// Notes what was made up, by times of what is heard.
    fn leave_out(&mut self, start: f64, end: f64, text: &str, checks: Vec<Check>) {
        let (start, end) = match &self.timeline {
            Some(timeline) => (timeline.start(start), timeline.end(end)),
            None => (start, end),
        };
        self.left_out.push(LeftOut { start, end, text: text.trim().to_owned(), checks });
    }
}

impl Readings {
    fn of(candidates: &[Candidate], kept: usize, why: Why) -> Self {
        let reading = |candidate: &Candidate| Reading {
            how: candidate.how,
            temperature: candidate.result.temperature,
            avg_logprob: candidate.result.avg_logprob,
            compression_ratio: candidate.result.compression_ratio,
            checks: candidate.checks.clone(),
            text: candidate.result.text.clone(),
        };
        Self { tried: candidates.iter().map(reading).collect(), kept, why }
    }
}

/// The one that least speaks against, of equals the most probable.
fn best(candidates: &[Candidate]) -> (usize, Why) {
    let least = candidates.iter().map(Candidate::severe).min().unwrap_or(0);
    let among = candidates.iter().enumerate().filter(|(_, candidate)| candidate.severe() == least);
    let why = if among.clone().count() > 1 { Why::HighestLogprob } else { Why::FewestChecks };
    let kept = among.max_by(|(_, a), (_, b)| a.result.avg_logprob.total_cmp(&b.result.avg_logprob));
    (kept.map_or(0, |(i, _)| i), why)
}

/// Whether most of many words take no time.
fn stands_still(words: impl Iterator<Item = (f64, f64)>) -> bool {
    let (mut n, mut still) = (0, 0);
    for (start, end) in words {
        n += 1;
        still += usize::from(end - start < 0.01);
    }
    n >= FEW_WORDS && 2 * still > n
}
