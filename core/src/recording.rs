//! A recording that is read block by block, so that its length costs no memory: what decodes it hands out samples, and
//! whoever listens keeps those that it needs.

use std::fmt;
use std::sync::Arc;

use crate::audio::{SAMPLE_RATE, Waveform};
use crate::error::Result;
use crate::vad::Span;

/// Samples of a recording, from its start to its end.
pub trait Blocks: Send {
    /// The next samples, mono at 16 kHz: never empty, `None` at the end. (n_samples)
    ///
    /// # Errors
    /// If they can't be read.
    fn next_block(&mut self) -> Result<Option<&[f32]>>;
}

/// Begins to read a recording at its start.
pub type Open = Arc<dyn Fn() -> Result<Box<dyn Blocks>> + Send + Sync>;

/// A recording, by how often it can be read.
pub enum Recording {
    /// As often as wanted: once for what has to be known of the whole of it, and once to be heard. Its transcript is that
    /// of the same samples as a [`Waveform`].
    Again(Open),
    /// Only once, such as a microphone: each window's mel is clamped to 8 below the maximum of all that was read until
    /// that window's end, because the whole recording's is not known. Nothing else differs.
    Once(Box<dyn Blocks>),
}

impl Recording {
    /// One that `open` begins to read at its start each time.
    pub fn again<B: Blocks + 'static>(open: impl Fn() -> Result<B> + Send + Sync + 'static) -> Self {
        Self::Again(Arc::new(move || Ok(Box::new(open()?))))
    }

    /// One that can be read only once.
    pub fn once(blocks: impl Blocks + 'static) -> Self {
        Self::Once(Box::new(blocks))
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Again(_) => "Recording::Again",
            Self::Once(_) => "Recording::Once",
        })
    }
}

impl From<Waveform> for Recording {
    fn from(audio: Waveform) -> Self {
        let audio = Arc::new(audio);
        Self::again(move || Ok(Seconds { audio: Arc::clone(&audio), at: 0 }))
    }
}

/// Samples in memory, a second at a time.
struct Seconds {
    audio: Arc<Waveform>,
    at: usize,
}

impl Blocks for Seconds {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        let rest = &self.audio.samples()[self.at..];
        let block = &rest[..rest.len().min(SAMPLE_RATE)];
        self.at += block.len();
        Ok(Some(block).filter(|block| !block.is_empty()))
    }
}

/// Of a recording only these stretches, one behind the other.
pub(crate) fn only(open: Open, spans: Arc<[Span]>) -> Open {
    Arc::new(move || {
        Ok(Box::new(Only { blocks: open()?, spans: Arc::clone(&spans), span: 0, at: 0, kept: Vec::new() }))
    })
}

struct Only {
    blocks: Box<dyn Blocks>,
    spans: Arc<[Span]>,
    /// The first span that does not end before `at`.
    span: usize,
    /// Samples read.
    at: usize,
    kept: Vec<f32>,
}

impl Blocks for Only {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        self.kept.clear();
        while self.kept.is_empty() && self.span < self.spans.len() {
            let Some(block) = self.blocks.next_block()? else { break };
            let end = self.at + block.len();
            while let Some(span) = self.spans.get(self.span).filter(|span| span.start < end) {
                let from = span.start.max(self.at) - self.at;
                let to = span.end.min(end) - self.at;
                self.kept.extend_from_slice(&block[from.min(to)..to]);
                if span.end > end {
                    break;
                }
                self.span += 1;
            }
            self.at = end;
        }
        Ok(Some(&self.kept[..]).filter(|kept| !kept.is_empty()))
    }
}
