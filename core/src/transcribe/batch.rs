//! Windows decoded several at a time: stretches of speech, cut where it pauses, none of which needs to know what came before.
//! Each goes through the whole ladder of temperatures, and what a window broke off in is heard again, as one by one.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::checkpoint::{as_kept, bits, from_kept};
use super::guarded::Heard;
use super::{Transcriber, Transcription, Window, frames, segments};
use crate::audio::N_FRAMES;
use crate::error::Result;
use crate::observer::{Observer, Silent};
use crate::timing::{self, WordOptions};
use crate::transcript::Segment;
use crate::vad::Timeline;

/// A rest that is shorter than this many frames holds no word: so much is left around speech.
const SHORTEST_REST: usize = 50;

/// What is left to do, and what is done but has something undone before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Batches {
    /// In the order of time.
    left: VecDeque<Window>,
    /// By where the window starts.
    done: BTreeMap<usize, Done>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Done {
    #[serde(with = "bits")]
    temperature: f64,
    #[serde(serialize_with = "as_kept", deserialize_with = "from_kept")]
    segments: Vec<Segment>,
}

impl Batches {
    /// As many stretches of speech to a window as there is room for, or one if each may be of another language.
    pub(super) fn of(timeline: &Timeline, content_frames: usize, one_each: bool) -> Self {
        let mut left: VecDeque<Window> = VecDeque::new();
        let mut from = 0;
        for (_, end) in timeline.parts() {
            let end = frames(end).min(content_frames);
            match left.back_mut() {
                Some(window) if end - window.seek <= N_FRAMES && !one_each => {
                    window.segment_size = end - window.seek
                }
                // Rounding may make the longest stretch longer than a window by a frame.
                _ => left.push_back(Window { seek: from, segment_size: (end - from).min(N_FRAMES) }),
            }
            from = end;
        }
        left.retain(|window| window.segment_size > 0);
        Self { left, done: BTreeMap::new() }
    }

    /// Gives what is done, and has nothing undone before it, to the run.
    fn deliver(&mut self, run: &mut Transcription, observer: &mut dyn Observer) -> ControlFlow<()> {
        let undone = self.left.front().map_or(usize::MAX, |window| window.seek);
        while let Some(entry) = self.done.first_entry().filter(|entry| *entry.key() < undone) {
            let Done { temperature, segments: new } = entry.remove();
            run.last_speech_timestamp = segments::end_of(&new).unwrap_or(run.last_speech_timestamp);
            run.add(new, temperature, observer)?;
        }
        run.seek = undone.min(run.sound.content_frames());
        ControlFlow::Continue(())
    }

    /// Gives the run all that was done before it was stopped.
    pub(super) fn finish(mut self, run: &mut Transcription) {
        self.left.clear();
        let _ = self.deliver(run, &mut Silent);
    }

    /// End of the last word or segment before this frame, in seconds.
    fn heard_before(&self, run: &Transcription, seek: usize) -> f64 {
        let before = self.done.range(..seek).next_back();
        before.and_then(|(_, done)| segments::end_of(&done.segments)).unwrap_or(run.last_speech_timestamp)
    }
}

impl Transcriber {
    /// Decodes the next windows together; `Break` when nothing is left or the observer stopped.
    pub(super) fn next_batch(
        &self,
        run: &mut Transcription,
        batches: &mut Batches,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<()>> {
        let n = run.options.batch.unwrap_or(1).min(batches.left.len());
        let windows: Vec<Window> = batches.left.range(..n).copied().collect();
        if windows.is_empty() {
            return Ok(ControlFlow::Break(()));
        }
        let xa = self.encode(run.sound.windows(&windows)?, n)?;
        run.options.decode.prompt =
            run.prompt_of(&run.tokens[..run.initial_prompt_len], self.model.dims().n_text_ctx);
        let decoded = self.ladder(run, &windows, &xa, observer)?;
        let Some(decoded) = decoded else { return Ok(ControlFlow::Break(())) };
        batches.left.drain(..n);
        let mut rests = Vec::new();
        for (i, (&window, tried)) in windows.iter().zip(decoded).enumerate() {
            let heard = self.guarded(run, window, xa.select(&[i])?, tried, observer)?;
            let Some(heard) = heard else { return Ok(ControlFlow::Break(())) };
            // A shorter window leaves something too.
            let mut left = heard.window.seek + heard.window.segment_size;
            let new = if heard.is_silence {
                Vec::new()
            } else {
                let heard_before = batches.heard_before(run, window.seek);
                let (new, rest) = self.heard(run, &heard, heard_before)?;
                left = rest.unwrap_or(left);
                self.believed(run, &heard, new)?
            };
            let end = window.seek + window.segment_size;
            if left + SHORTEST_REST <= end {
                rests.push(Window { seek: left, segment_size: end - left });
            }
            let done = Done { temperature: heard.result.temperature, segments: new };
            batches.done.insert(window.seek, done);
        }
        rests.into_iter().rev().for_each(|rest| batches.left.push_front(rest));
        if batches.deliver(run, observer).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        Ok(run.report(observer))
    }

    /// The segments of a window of a batch, and the mel frame from which on it is to be heard again.
    fn heard(
        &self,
        run: &Transcription,
        heard: &Heard,
        heard_before: f64,
    ) -> Result<(Vec<Segment>, Option<usize>)> {
        let (window, result) = (heard.window, &heard.result);
        let split = segments::split_by_timestamps(&self.tokenizer, window, result);
        let (mut new, mut seek) = (split.segments, split.seek);
        let end = window.seek + window.segment_size;
        if run.options.word_timestamps {
            let words = WordOptions {
                language: &result.language,
                task: run.options.decode.task,
                prepend_punctuations: &run.options.prepend_punctuations,
                append_punctuations: &run.options.append_punctuations,
                last_speech_timestamp: heard_before,
            };
            let (model, size) = (self.model(), window.segment_size);
            timing::add_word_timestamps(&mut new, model, &self.tokenizer, &heard.xa, size, &words)?;
            if let Some(last) =
                segments::end_of(&new).filter(|&last| last > window.time_offset() && seek < end)
            {
                seek = frames(last);
            }
        }
        Ok((new, (seek > window.seek && seek < end).then_some(seek)))
    }
}
