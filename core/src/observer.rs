//! Progress and results, pushed while a transcription runs; the receiver may stop it.

use std::ops::ControlFlow;

use crate::transcript::Segment;

/// Something that happened, in the order of [`Event`]'s variants within a window.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The recording is looked through before it is heard.
    Reading {
        /// Mel frames (10 ms) that were read; it begins again at 0 if it is read twice.
        frames: usize,
    },
    /// The language was detected.
    Language {
        /// Code, such as `en`.
        code: &'a str,
        /// Its probability among all languages.
        probability: f32,
    },
    /// The text of the window so far, after each token of the leading candidate.
    Text {
        /// Decoded text of the window, without timestamps.
        so_far: &'a str,
    },
    /// A decoding was rejected and is tried again at the next temperature.
    Fallback {
        /// Temperature of the rejected decoding.
        temperature: f64,
        /// Why it was rejected.
        reason: FallbackReason,
    },
    /// A segment is final.
    Segment(&'a Segment),
    /// A window is done.
    Window {
        /// Where the next window starts, in mel frames (10 ms).
        seek: usize,
        /// Mel frames in the whole recording.
        content_frames: usize,
    },
}

/// Why a decoding was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FallbackReason {
    /// `compression_ratio` above its threshold: the text repeats itself.
    Repetition,
    /// `avg_logprob` below its threshold.
    LowLogprob,
}

/// Is told what happens; `Break` ends the run and keeps what was decoded.
pub trait Observer {
    /// Called for every event, in order.
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()>;
}

impl<F: FnMut(Event<'_>) -> ControlFlow<()>> Observer for F {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        self(event)
    }
}

/// An [`Observer`] that listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _event: Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
