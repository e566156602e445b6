//! A run between its windows: where it is, what the next window is prompted with, and what became of the ones before.

use std::ops::ControlFlow;

use super::batch::Batches;
use super::window::{Window, frames, seconds};
use super::{Plan, Transcription};
use crate::audio::N_FRAMES;
use crate::error::Result;
use crate::observer::{Event, Observer};
use crate::options::TextOrTokens;
use crate::timing;
use crate::transcript::Segment;

/// Tokens that a prompt may have.
pub(super) fn prompt_room(n_text_ctx: usize) -> usize {
    n_text_ctx / 2 - 1
}

impl Transcription {
    /// Where the next window starts, in mel frames (10 ms).
    pub fn seek(&self) -> usize {
        match &self.timeline {
            Some(_) if self.seek >= self.sound.content_frames() => self.whole_frames,
            Some(timeline) => frames(timeline.start(seconds(self.seek))),
            None => self.seek,
        }
    }

    /// Mel frames in the recording; of one that is read only once, those that were read.
    pub fn content_frames(&self) -> usize {
        if self.timeline.is_some() { self.whole_frames } else { self.sound.content_frames() }
    }

    /// Code of the language spoken.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// What was found out about the recording before its first window, if it is one that can be read again.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Segments so far, or since the last checkpoint.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether all windows of a run in batches are done.
    pub fn is_done(&self) -> bool {
        self.batches.as_ref().is_some_and(Batches::is_done)
    }

    /// Windows of a run in batches that are not done, as far as they are known: what one breaks off in becomes another.
    pub fn windows_left(&self) -> usize {
        self.batches.as_ref().map_or(0, Batches::n_left)
    }

    /// The next window, moving on to the clip it lies in.
    pub(super) fn window(&mut self) -> Result<Option<Window>> {
        loop {
            let Some(&(start, end)) = self.clips.get(self.clip) else { return Ok(None) };
            self.seek = self.seek.max(start);
            let content = self.sound.reach(self.seek, self.seek + N_FRAMES)?;
            if self.seek < end.min(content) {
                let segment_size = N_FRAMES.min(content - self.seek).min(end - self.seek);
                return Ok(Some(Window { seek: self.seek, segment_size }));
            }
            self.clip += 1;
            if let Some(&(start, _)) = self.clips.get(self.clip) {
                self.seek = start;
            }
        }
    }

    /// Hotwords, then what came before, as much of its end as there is room for.
    pub(super) fn prompt(&self, n_text_ctx: usize) -> Option<TextOrTokens> {
        self.prompt_of(&self.before(n_text_ctx), n_text_ctx)
    }

    /// Hotwords and the end of some tokens.
    pub(super) fn prompt_of(&self, before: &[u32], n_text_ctx: usize) -> Option<TextOrTokens> {
        if self.hotwords.is_empty() {
            return Some(TextOrTokens::Tokens(before.to_vec()));
        }
        let room = prompt_room(n_text_ctx) - self.hotwords.len();
        let cut = before.len().saturating_sub(room);
        Some(TextOrTokens::Tokens([&self.hotwords, &before[cut..]].concat()))
    }

    /// The prompt of the reference, not cut yet.
    fn before(&self, n_text_ctx: usize) -> Vec<u32> {
        if self.options.carry_initial_prompt {
            let (initial, rest) = self.tokens.split_at(self.initial_prompt_len);
            let rest = &rest[self.prompt_reset_since.saturating_sub(self.initial_prompt_len)..];
            let room = prompt_room(n_text_ctx).saturating_sub(initial.len());
            // With no room left, Python's `[-0:]` keeps everything; the prompt's end wins then.
            let cut = if room == 0 { 0 } else { rest.len().saturating_sub(room) };
            [initial, &rest[cut..]].concat()
        } else {
            // No more than the context has room for, which takes the end of it.
            let start = self.prompt_reset_since.max(self.tokens.len().saturating_sub(n_text_ctx));
            self.tokens[start..].to_vec()
        }
    }

    /// Adds the segments of a window, and tells of them.
    pub(super) fn add(
        &mut self,
        new: Vec<Segment>,
        temperature: f64,
        observer: &mut dyn Observer,
    ) -> ControlFlow<()> {
        let first = self.segments.len();
        for mut segment in new {
            if segment.start == segment.end || segment.text.trim().is_empty() {
                segment.text.clear();
                segment.tokens.clear();
                // Even without word timestamps, as the reference has it.
                segment.words = Some(Vec::new());
            }
            if let Some(timeline) = &self.timeline {
                segment.seek = frames(timeline.start(seconds(segment.seek)));
                timeline.place(&mut segment);
            }
            if let Some(speech) = &self.snap_to {
                timing::snap_segment(&mut segment, speech, self.last_end);
            }
            self.last_end = segment.end;
            segment.id = self.n_kept + self.segments.len();
            self.tokens.extend(&segment.tokens);
            self.segments.push(segment);
        }
        if !self.options.condition_on_previous_text || temperature > 0.5 {
            self.prompt_reset_since = self.tokens.len();
        }
        self.segments[first..].iter().try_for_each(|segment| observer.event(Event::Segment(segment)))
    }

    pub(super) fn report(&self, observer: &mut dyn Observer) -> ControlFlow<()> {
        let content_frames = self.content_frames();
        observer.event(Event::Window { seek: self.seek().min(content_frames), content_frames })
    }
}
