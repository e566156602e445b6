//! Stretches of recordings that stay encoded while somebody edits their text: the last few, for each takes memory.

use std::collections::VecDeque;

use candle_whisper_core::align::EncodedWindow;
use candle_whisper_core::{Error, Result};

/// With `tiny` one takes 20 MB, with `base` 40.
const MOST: usize = 4;

/// The windows that are kept, by number.
#[derive(Debug, Default)]
pub struct Windows {
    kept: VecDeque<(u32, EncodedWindow)>,
    last: u32,
}

impl Windows {
    /// Keeps one, in place of the one that was not used for the longest time.
    pub fn keep(&mut self, window: EncodedWindow) -> u32 {
        if self.kept.len() == MOST {
            self.kept.pop_front();
        }
        self.last += 1;
        self.kept.push_back((self.last, window));
        self.last
    }

    /// The one with this number.
    ///
    /// # Errors
    /// If it is kept no longer.
    pub fn get(&mut self, number: u32) -> Result<&EncodedWindow> {
        let gone = || Error::Options("this window is kept no longer: call `window` again".into());
        let at = self.kept.iter().position(|(kept, _)| *kept == number).ok_or_else(gone)?;
        let window = self.kept.remove(at).ok_or_else(gone)?;
        self.kept.push_back(window);
        self.kept.back().map(|(_, window)| window).ok_or_else(gone)
    }
}
