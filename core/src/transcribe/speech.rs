//! How probably somebody speaks during a window, heard only where there is a doubt.

use std::sync::Arc;

use super::sound::Sound;
use super::{Window, seconds};
use crate::audio::{HOP_LENGTH, SAMPLE_RATE};
use crate::error::Result;
use crate::vad::{CHUNK, Vad};

/// From this probability on it is speech, below the lower one a pause (Silero's own).
const SPEECH: f32 = 0.5;
const PAUSE: f32 = 0.35;
/// Less speech than this in all, in seconds, is no word.
const SHORTEST_WORD: f64 = 0.15;
/// A word may be heard so many seconds beside its times.
const BESIDE: f64 = 0.3;
/// A window is made shorter at a pause between these times of it, in seconds, and by so much at least.
const SHORTENED: (f64, f64) = (10.0, 25.0);
const SHORTENED_BY: f64 = 3.0;

/// Probabilities of one window.
#[derive(Debug, Clone)]
pub(super) struct Speech {
    /// The window's first mel frame.
    seek: usize,
    probabilities: Vec<f32>,
}

fn chunks(seconds: f64) -> f64 {
    seconds * SAMPLE_RATE as f64 / CHUNK as f64
}

impl Speech {
    /// Whether somebody speaks between two times of what is heard.
    pub(super) fn is_heard_in(&self, start: f64, end: f64) -> bool {
        let chunk = |time: f64| chunks((time - seconds(self.seek)).max(0.0));
        let first = chunk(start - BESIDE) as usize;
        let last = (chunk(end + BESIDE).ceil() as usize).min(self.probabilities.len());
        let heard = self.probabilities.get(first..last).unwrap_or_default();
        heard.iter().filter(|&&p| p >= SPEECH).count() as f64 >= chunks(SHORTEST_WORD)
    }

    /// Mel frames of the window up to the middle of its longest pause, if it has one where it may be cut.
    pub(super) fn pause(&self, window: Window) -> Option<usize> {
        let last = SHORTENED.1.min(window.duration() - SHORTENED_BY);
        let (first, last) = (chunks(SHORTENED.0) as usize, chunks(last.max(0.0)) as usize);
        let mut longest: Option<(usize, usize)> = None;
        let mut start = first;
        for (i, &probability) in self.probabilities.iter().enumerate().take(last).skip(first) {
            if probability >= PAUSE {
                start = i + 1;
            } else if longest.is_none_or(|(from, to)| i + 1 - start > to - from) {
                longest = Some((start, i + 1));
            }
        }
        longest.map(|(from, to)| (from + to) / 2 * CHUNK / HOP_LENGTH)
    }
}

/// Who is asked by the guards whether somebody speaks.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    listens: bool,
    vad: Option<Arc<Vad>>,
    /// Of the window that was doubted last.
    known: Option<Speech>,
}

impl Listener {
    /// Listens with this network, or the bundled one, if it is to listen at all.
    pub(super) fn new(listens: bool, vad: Option<Arc<Vad>>) -> Self {
        Self { listens, vad, known: None }
    }

    /// What voice activity detection says of a window; `None` if this build has none, or nobody is to listen.
    pub(super) fn speech(&mut self, sound: &Sound, window: Window) -> Result<Option<&Speech>> {
        if !self.listens {
            return Ok(None);
        }
        if self.known.as_ref().is_none_or(|known| known.seek != window.seek) {
            let mut vad = match &self.vad {
                Some(vad) => Vad::clone(vad),
                None if cfg!(feature = "vad") => Vad::bundled()?,
                None => return Ok(None),
            };
            let probabilities = vad.probabilities(&sound.samples(window)?)?;
            self.known = Some(Speech { seek: window.seek, probabilities });
        }
        Ok(self.known.as_ref())
    }

    /// Whether there is some in the window, if that can be known.
    pub(super) fn hears(&mut self, sound: &Sound, window: Window) -> Result<Option<bool>> {
        let (start, end) = (window.time_offset(), window.time_offset() + window.duration());
        Ok(self.speech(sound, window)?.map(|speech| speech.is_heard_in(start, end)))
    }
}
