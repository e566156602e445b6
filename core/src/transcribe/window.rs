//! The stretch of a recording that is decoded at once.

use serde::{Deserialize, Serialize};

use crate::audio::{FRAMES_PER_SECOND, HOP_LENGTH, N_FRAMES, SAMPLE_RATE};

/// Where a window lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// First mel frame.
    pub seek: usize,
    /// Mel frames of content, at most [`N_FRAMES`].
    pub segment_size: usize,
}

impl Window {
    /// Seconds before the window.
    pub fn time_offset(&self) -> f64 {
        seconds(self.seek)
    }

    /// Seconds of content.
    pub fn duration(&self) -> f64 {
        seconds(self.segment_size)
    }

    /// Where 30 s from its start would end, in seconds.
    pub fn end_time(&self) -> f64 {
        seconds(self.seek + N_FRAMES)
    }
}

/// Of so many mel frames.
pub(super) fn seconds(frames: usize) -> f64 {
    (frames * HOP_LENGTH) as f64 / SAMPLE_RATE as f64
}

/// Half to even, as Python rounds.
pub(super) fn frames(seconds: f64) -> usize {
    (seconds * FRAMES_PER_SECOND as f64).round_ties_even().max(0.0) as usize
}
