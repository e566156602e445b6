//! Windows decoded several at a time (`together`): stretches of speech, cut where it pauses, none of which needs to know what
//! came before. As no other window goes on with it, a text must not break off long before its window ends; what was left out all
//! the same is heard again, as one by one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::checkpoint::{as_kept, bits, from_kept};
use super::guarded::Heard;
use super::{Transcriber, Transcription, Window, frames, segments};
use crate::audio::N_FRAMES;
use crate::decoding::DecodingResult;
use crate::error::Result;
use crate::guards::LeftOut;
use crate::model::AudioFeatures;
use crate::observer::{Observer, Silent};
use crate::timing::{self, WordOptions};
use crate::transcript::Segment;
use crate::vad::Timeline;

/// A rest that is shorter than this many frames holds no word: so much is left around speech.
const SHORTEST_REST: usize = 50;
/// With more than this many frames to come a text goes on. One that ends later may have heard all there is: the times that the
/// network gives are not exact, and to be made to say more it makes something up.
pub(super) const LONGEST_UNHEARD: usize = 150;

/// What is left to do, and what is done but has something undone before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Batches {
    /// In the order of time.
    left: VecDeque<Window>,
    /// Where those of them start that are being decoded.
    #[serde(skip)]
    claimed: BTreeSet<usize>,
    /// By where the window starts.
    done: BTreeMap<usize, Done>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Done {
    #[serde(with = "bits")]
    temperature: f64,
    #[serde(serialize_with = "as_kept", deserialize_with = "from_kept")]
    segments: Vec<Segment>,
    /// What was taken for made up.
    left_out: Vec<LeftOut>,
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
        Self { left, claimed: BTreeSet::new(), done: BTreeMap::new() }
    }

    /// Whether nothing is left to do.
    pub(super) fn is_done(&self) -> bool {
        self.left.is_empty()
    }

    pub(super) fn n_left(&self) -> usize {
        self.left.len()
    }

    /// The first window that is not done.
    pub(super) fn first(&self) -> Option<&Window> {
        self.left.front()
    }

    /// The next window that nobody decodes yet.
    pub(super) fn claim(&mut self) -> Option<Window> {
        let window = *self.left.iter().find(|window| !self.claimed.contains(&window.seek))?;
        self.claimed.insert(window.seek);
        Some(window)
    }

    /// Nobody decodes anything any more.
    pub(super) fn forget_claims(&mut self) {
        self.claimed.clear();
    }

    /// A window is done, but for the rest of it.
    fn settle(&mut self, window: Window, rest: Option<Window>, done: Done) {
        self.claimed.remove(&window.seek);
        if let Some(at) = self.left.iter().position(|left| left.seek == window.seek) {
            match rest {
                Some(rest) => self.left[at] = rest,
                None => drop(self.left.remove(at)),
            }
        }
        self.done.insert(window.seek, done);
    }

    /// Gives what is done, and has nothing undone before it, to the run.
    fn deliver(&mut self, run: &mut Transcription, observer: &mut dyn Observer) -> ControlFlow<()> {
        let undone = self.left.front().map_or(usize::MAX, |window| window.seek);
        while let Some(entry) = self.done.first_entry().filter(|entry| *entry.key() < undone) {
            let Done { temperature, segments: new, left_out } = entry.remove();
            run.left_out.extend(left_out);
            run.last_speech_timestamp = segments::end_of(&new).unwrap_or(run.last_speech_timestamp);
            run.add(new, temperature, observer)?;
        }
        run.seek = undone.min(run.sound.content_frames());
        ControlFlow::Continue(())
    }

    /// Gives the run what was done before it was stopped, up to the first window that was not.
    pub(super) fn finish(mut self, run: &mut Transcription) {
        let _ = self.deliver(run, &mut Silent);
    }
}

impl Transcriber {
    /// What becomes of a window of a batch, of which the ladder gave `tried`; `Break` if the observer stopped.
    pub(super) fn settle(
        &self,
        run: &mut Transcription,
        window: Window,
        xa: AudioFeatures,
        tried: Vec<DecodingResult>,
        observer: &mut dyn Observer,
    ) -> Result<ControlFlow<()>> {
        let n_left_out = run.left_out.len();
        let heard = self.guarded(run, window, xa, tried, observer)?;
        let Some(heard) = heard else { return Ok(ControlFlow::Break(())) };
        // A shorter window leaves something too.
        let mut left = heard.window.seek + heard.window.segment_size;
        let new = if heard.is_silence {
            Vec::new()
        } else {
            let (new, rest) = self.heard(run, &heard)?;
            left = rest.unwrap_or(left);
            self.believed(run, &heard, new)?
        };
        let end = window.seek + window.segment_size;
        let rest = (left + SHORTEST_REST <= end).then(|| Window { seek: left, segment_size: end - left });
        // Told in the order of time, as segments are.
        let left_out = run.left_out.split_off(n_left_out);
        let done = Done { temperature: heard.result.temperature, segments: new, left_out };
        let Some(mut batches) = run.batches.take() else { return Ok(ControlFlow::Break(())) };
        batches.settle(window, rest, done);
        let flow = batches.deliver(run, observer);
        run.batches = Some(batches);
        Ok(if flow.is_break() { flow } else { run.report(observer) })
    }

    /// The segments of a window of a batch, and the mel frame from which on it is to be heard again.
    fn heard(&self, run: &Transcription, heard: &Heard) -> Result<(Vec<Segment>, Option<usize>)> {
        let (window, result) = (heard.window, &heard.result);
        let split = segments::split_by_timestamps(&self.tokenizer, window, result);
        let (mut new, mut seek) = (split.segments, split.seek);
        let end = window.seek + window.segment_size;
        // Where speech pauses a segment ends, whether the network says so or not.
        if result.is_complete && split.unfinished.is_some() {
            new.extend(split.unfinished);
            seek = end;
        }
        if run.options.word_timestamps {
            let words = WordOptions {
                language: &result.language,
                task: run.options.decode.task,
                prepend_punctuations: &run.options.prepend_punctuations,
                append_punctuations: &run.options.append_punctuations,
                // It was cut where speech paused, so what came before ended there.
                last_speech_timestamp: window.time_offset(),
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
