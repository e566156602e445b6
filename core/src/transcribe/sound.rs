//! What a run hears: the mel of a whole recording, or of as much of one as its next windows need.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Window;
use crate::audio::{HOP_LENGTH, Waveform};
use crate::error::Result;
use crate::mel::{Mel, MelStream};

/// Clones of a stream share it: it is only a view of what does not change.
#[derive(Debug, Clone)]
pub(super) enum Sound {
    Whole(Mel, Waveform),
    Stream(Arc<Mutex<MelStream>>),
}

impl Sound {
    /// Mel frames in it, as far as they are known.
    pub(super) fn content_frames(&self) -> usize {
        match self {
            Self::Whole(mel, _) => mel.content_frames(),
            Self::Stream(stream) => lock(stream).content_so_far(),
        }
    }

    /// Where it ends, in mel frames; `usize::MAX` if that is not known.
    pub(super) fn end(&self) -> usize {
        match self {
            Self::Whole(mel, _) => mel.content_frames(),
            Self::Stream(stream) => lock(stream).end().unwrap_or(usize::MAX),
        }
    }

    /// The same once `at_least` so many are read. What is before frame `keep` need not be heard again.
    pub(super) fn reach(&self, keep: usize, at_least: usize) -> Result<usize> {
        match self {
            Self::Whole(mel, _) => Ok(mel.content_frames()),
            Self::Stream(stream) => lock(stream).content_frames(keep, at_least),
        }
    }

    /// The mel of a window; none that begins before frame `keep` is asked for later. -> (n_mels, N_FRAMES), row-major
    pub(super) fn window(&self, keep: usize, window: Window) -> Result<Vec<f32>> {
        match self {
            Self::Whole(mel, _) => Ok(mel.window(window.seek, window.segment_size)),
            Self::Stream(stream) => lock(stream).window(keep, window.seek, window.segment_size),
        }
    }

    /// The mel of a window that lies in one that was heard before; others of the same batch may still be asked for.
    pub(super) fn again(&self, window: Window) -> Result<Vec<f32>> {
        match self {
            Self::Whole(mel, _) => Ok(mel.window(window.seek, window.segment_size)),
            Self::Stream(stream) => {
                let mut stream = lock(stream);
                let kept = stream.kept();
                stream.window(kept, window.seek, window.segment_size)
            }
        }
    }

    /// The samples of a window that was heard before, as far as there are any.
    pub(super) fn samples(&self, window: Window) -> Result<Vec<f32>> {
        let range = window.seek * HOP_LENGTH..(window.seek + window.segment_size) * HOP_LENGTH;
        match self {
            Self::Whole(_, audio) => {
                let samples = audio.samples();
                Ok(samples[range.start.min(samples.len())..range.end.min(samples.len())].to_vec())
            }
            Self::Stream(stream) => lock(stream).samples(range),
        }
    }
}

fn lock(stream: &Mutex<MelStream>) -> MutexGuard<'_, MelStream> {
    // After a panic while it was read, the next window reads on or says why it can't.
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
