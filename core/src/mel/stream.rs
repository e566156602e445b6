//! The mel of a recording of any length, of which only the samples are held that the next windows hear.

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{FLOOR, LogMel, Stretch, bins_first, scale, stored};
use crate::audio::{HOP_LENGTH, N_FFT, N_FRAMES};
use crate::error::{Error, Result};
use crate::recording::{Blocks, Open};

/// Frames whose maximum is found at once: 20 s.
const MEASURED: usize = 2048;

/// What has to be known of a whole recording before its first window can be heard.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    /// Samples in it.
    pub n_samples: usize,
    /// Maximum of its log10 mel powers.
    #[serde(with = "crate::transcribe::bits")]
    pub maximum: f64,
}

/// The log-mel spectrogram of a recording followed by 30 s of silence, one frame per 10 ms, computed where it is asked for.
///
/// Its windows are those of a [`Mel`](super::Mel) of the same samples, bit for bit, if the recording's [`Extent`] is known. If not, each
/// is clamped by the maximum of all frames before its end.
pub struct MelStream {
    log_mel: Arc<LogMel>,
    /// How to read from the start once more, if that can be done.
    open: Option<Open>,
    blocks: Option<Box<dyn Blocks>>,
    /// Samples from `first` on.
    samples: Vec<f32>,
    first: usize,
    /// Samples in the recording, once that is known.
    n_samples: Option<usize>,
    maximum: f32,
    /// Frames that `maximum` is of; all if the recording's extent was known beforehand.
    measured: usize,
}

impl fmt::Debug for MelStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MelStream").field("n_samples", &self.n_samples).finish_non_exhaustive()
    }
}

impl Extent {
    /// Reads a recording to its end. `told` hears how many samples were read; `None` if it breaks.
    ///
    /// # Errors
    /// If the recording can't be read.
    pub fn measure(
        log_mel: &Arc<LogMel>,
        mut blocks: Box<dyn Blocks>,
        told: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Self>> {
        let (mut samples, mut first, mut measured, mut maximum) = (Vec::new(), 0, 0, FLOOR.log10());
        let (mut next, mut is_over) = some(&mut *blocks)?;
        loop {
            samples.append(&mut next);
            let n_samples = first + samples.len();
            let end = match is_over {
                true => stored(n_samples / HOP_LENGTH),
                false => Stretch::heard_by(n_samples).max(measured),
            };
            // What comes next is decoded meanwhile.
            let (heard, read) = rayon::join(
                || log_mel.maximum(Stretch { samples: &samples, first }, measured..end),
                || if is_over { Ok((Vec::new(), true)) } else { some(&mut *blocks) },
            );
            maximum = heard?.max(maximum);
            if told(n_samples).is_break() {
                return Ok(None);
            }
            if is_over {
                return Ok(Some(Self { n_samples, maximum: maximum.into() }));
            }
            (measured, (next, is_over)) = (end, read?);
            let gone = Stretch::of(measured..measured).start.min(n_samples) - first;
            samples.drain(..gone);
            first += gone;
        }
    }
}

/// The samples of some blocks, and whether they are the last.
fn some(blocks: &mut dyn Blocks) -> Result<(Vec<f32>, bool)> {
    let mut samples = Vec::with_capacity(MEASURED * HOP_LENGTH);
    while samples.len() < MEASURED * HOP_LENGTH {
        match blocks.next_block()? {
            Some(block) => samples.extend_from_slice(block),
            None => return Ok((samples, true)),
        }
    }
    Ok((samples, false))
}

impl MelStream {
    /// Of a recording that has been measured.
    pub fn new(log_mel: Arc<LogMel>, open: Open, extent: Extent) -> Self {
        Self {
            log_mel,
            open: Some(open),
            blocks: None,
            samples: Vec::new(),
            first: 0,
            n_samples: Some(extent.n_samples),
            maximum: extent.maximum as f32,
            measured: usize::MAX,
        }
    }

    /// Of a recording that can be read only once.
    pub fn running(log_mel: Arc<LogMel>, blocks: Box<dyn Blocks>) -> Self {
        Self {
            log_mel,
            open: None,
            blocks: Some(blocks),
            samples: Vec::new(),
            first: 0,
            n_samples: None,
            maximum: FLOOR.log10(),
            measured: 0,
        }
    }

    /// Frames of the recording itself, without the silence after it. Where its length is not known it is read until there
    /// are `at_least` so many, or it ends; what is before frame `keep` is given up.
    ///
    /// # Errors
    /// If the recording can't be read.
    pub fn content_frames(&mut self, keep: usize, at_least: usize) -> Result<usize> {
        if self.n_samples.is_none() {
            self.measure_until(keep, keep)?;
            self.hear(keep, at_least)?;
        }
        Ok(self.content_so_far())
    }

    /// Frames of the recording, as far as it is known.
    pub fn content_so_far(&self) -> usize {
        self.n_samples.unwrap_or(self.first + self.samples.len()) / HOP_LENGTH
    }

    /// Frames of the recording, if its length is known.
    pub fn end(&self) -> Option<usize> {
        self.n_samples.map(|n| n / HOP_LENGTH)
    }

    /// As [`Mel::window`](super::Mel::window). From frame `keep` on what was read is kept for windows to come, what is before it is
    /// given up: to hear it the recording is read from its start.
    ///
    /// # Errors
    /// If the recording can't be read, or not again, or has changed since it was measured.
    pub fn window(&mut self, keep: usize, start: usize, n_frames: usize) -> Result<Vec<f32>> {
        let n_mels = self.log_mel.n_mels();
        let (keep, end) = (keep.min(start), start + n_frames.min(N_FRAMES));
        self.measure_until(keep, end)?;
        self.hear(keep, end)?;
        let heard = self.n_samples.map_or(end, |n| end.min(stored(n / HOP_LENGTH))).saturating_sub(start);
        let mut frames = vec![0.0; heard * n_mels];
        self.log_mel.frames(self.stretch(), start, &mut frames)?;
        let of = |x| scale(x, self.maximum);
        Ok(bins_first(&frames, n_mels, end - start, FLOOR.log10(), of))
    }

    /// The first frame that can be heard without reading from the start.
    pub fn kept(&self) -> usize {
        if self.first == 0 { 0 } else { (self.first + N_FFT / 2).div_ceil(HOP_LENGTH) }
    }

    /// Samples, as far as there are any; none that was kept is given up.
    ///
    /// # Errors
    /// If the recording can't be read, or not again.
    pub fn samples(&mut self, range: Range<usize>) -> Result<Vec<f32>> {
        self.read(range.start.min(self.first), range.end)?;
        let place = |at: usize| at.saturating_sub(self.first).min(self.samples.len());
        Ok(self.samples[place(range.start)..place(range.end)].to_vec())
    }

    fn stretch(&self) -> Stretch<'_> {
        Stretch { samples: &self.samples, first: self.first }
    }

    /// Extends the maximum to all frames before `end`, as far as there are any, and keeps those from `keep` on.
    fn measure_until(&mut self, keep: usize, end: usize) -> Result<()> {
        while self.measured < end && self.n_samples.is_none_or(|n| self.measured < stored(n / HOP_LENGTH)) {
            self.measure(keep, end.min(self.measured.saturating_add(MEASURED)))?;
        }
        Ok(())
    }

    /// The same in one go.
    fn measure(&mut self, keep: usize, end: usize) -> Result<()> {
        self.hear(keep.min(self.measured), end)?;
        let end = self.n_samples.map_or(end, |n| end.min(stored(n / HOP_LENGTH)));
        let n = end.saturating_sub(self.measured);
        let max = self.log_mel.maximum(self.stretch(), self.measured..self.measured + n)?;
        self.maximum = self.maximum.max(max);
        self.measured += n;
        Ok(())
    }

    /// Has the samples that frames `keep..end` hear, as far as there are any, and gives up those before.
    fn hear(&mut self, keep: usize, end: usize) -> Result<()> {
        let heard = Stretch::of(keep..end);
        self.read(heard.start, heard.end)
    }

    /// Has samples `from..to`, as far as there are any, and gives up those before.
    fn read(&mut self, from: usize, to: usize) -> Result<()> {
        if from < self.first {
            if self.open.is_none() {
                return Err(Error::Audio(
                    "a recording that is read only once can't be heard again from an earlier place".into(),
                ));
            }
            self.blocks = None;
        }
        let to = self.n_samples.map_or(to, |n| to.min(n));
        while self.first + self.samples.len() < to || self.blocks.is_none() {
            self.give_up(from);
            let blocks = match (&mut self.blocks, &self.open) {
                (Some(blocks), _) => blocks,
                (none, Some(open)) => {
                    (self.first, self.samples) = (0, Vec::new());
                    none.insert(open()?)
                }
                (None, None) => break,
            };
            let read = self.first + self.samples.len();
            match (blocks.next_block()?, self.n_samples) {
                (Some(block), Some(n)) => self.samples.extend_from_slice(&block[..block.len().min(n - read)]),
                (Some(block), None) => self.samples.extend_from_slice(block),
                (None, Some(n)) if read < n => {
                    return Err(Error::Audio("the recording became shorter while it was read".into()));
                }
                (None, _) => {
                    self.n_samples = Some(read);
                    break;
                }
            }
        }
        self.give_up(from);
        Ok(())
    }

    /// Forgets samples before this one, as far as they are there.
    fn give_up(&mut self, from: usize) {
        let n = from.saturating_sub(self.first).min(self.samples.len());
        self.samples.drain(..n);
        self.first += n;
    }
}
