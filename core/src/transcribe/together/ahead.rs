//! Windows of a batch are encoded before they are decoded: several at once, or as far as each has sound.

use std::sync::Arc;

use super::{Batches, Held, Job, Together, encoded_beside};
use crate::decoding::DecodingResult;
use crate::error::Result;
use crate::transcribe::Window;

impl Together<'_, '_> {
    /// The mel of a window; samples from the first window on that is not done stay for the others.
    fn mel(&self, number: usize, window: Window) -> Result<Vec<f32>> {
        let Some(run) = self.open.get(&number) else { return Ok(Vec::new()) };
        let keep = run.batches.as_ref().and_then(Batches::first).map_or(window.seek, |first| first.seek);
        run.sound.window(keep, window)
    }

    /// How many windows are encoded at once while others are decoded, if any are.
    pub(super) fn beside(&self) -> Option<usize> {
        let n = encoded_beside(self.most);
        (n > 0 && self.transcriber.model().encodes_beside()).then_some(n)
    }

    /// Encodes the next windows, `n` at most; false if there are none.
    pub(super) fn encode(&mut self, n: usize) -> Result<bool> {
        let (mut mels, mut ids, mut n_claimed) = (Vec::new(), Vec::new(), 0);
        while n_claimed < n {
            let Some((number, window)) = self.claim() else { break };
            let mel = match self.mel(number, window) {
                Ok(mel) => mel,
                Err(error) => {
                    self.failed(number, error)?;
                    continue;
                }
            };
            let options = self.open.get(&number).map(|run| &run.options);
            let is_brief = options.is_some_and(|options| self.transcriber.is_brief(options, window));
            let id = self.n_jobs;
            if is_brief {
                let xa = self.transcriber.encode_sound(mel, window.segment_size)?;
                self.ahead.extend(xa.pieces().iter().map(|piece| (id, Arc::clone(piece))));
            } else {
                mels.extend(mel);
                ids.push(id);
            }
            self.jobs.insert(id, Job { number, window, is_brief, tried: Vec::new() });
            self.n_jobs += 1;
            n_claimed += 1;
        }
        if ids.is_empty() {
            return Ok(n_claimed > 0);
        }
        let n = ids.len();
        let xa = match self.beside() {
            Some(_) => self.transcriber.encode_beside(mels, n)?,
            None => self.transcriber.encode(mels, n)?,
        };
        self.ahead.extend(ids.into_iter().zip(xa.pieces().iter().cloned()));
        Ok(true)
    }

    /// Whether it is to be heard in full what was written of no more than a window's sound.
    pub(super) fn is_doubted(&self, run: &Held<'_>, job: &mut Job, result: &DecodingResult) -> bool {
        std::mem::take(&mut job.is_brief) && !self.transcriber.is_believed(&run.options, job.window, result)
    }

    /// Encodes all of a window of which only the sound was heard, for another decoding.
    pub(super) fn hear_all(&mut self, id: usize, job: Job) -> Result<()> {
        let Some(run) = self.open.get(&job.number) else { return Ok(()) };
        let mel = run.sound.again(job.window);
        match mel.and_then(|mel| self.transcriber.encode(mel, 1)) {
            Ok(xa) => {
                self.jobs.insert(id, job);
                self.again.extend(xa.pieces().iter().map(|piece| (id, Arc::clone(piece))));
                Ok(())
            }
            Err(error) => self.failed(job.number, error),
        }
    }
}
