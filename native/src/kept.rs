//! Samples stay once they are decoded: who reads the same recording again takes them from an unnamed temporary file, 115 MB for an
//! hour. Where there is no room for it, or it can't be made, the recording is decoded again.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_whisper_core::audio::SAMPLE_RATE;
use candle_whisper_core::recording::Blocks;
use candle_whisper_core::{Recording, Result};

use crate::input::MOST_SPOOLED;

/// Bytes of a sample: 16 bits are all that a decoder gives.
const SIZE: usize = 2;
const SCALE: f32 = 32768.0;

/// All samples of a recording.
struct Samples {
    file: Mutex<File>,
    n: u64,
}

/// The same recording, decoded no more than once, if somebody reads it to its end.
pub fn kept(recording: Recording) -> Recording {
    let Recording::Again(open) = recording else { return recording };
    let samples: Arc<OnceLock<Samples>> = Arc::default();
    Recording::Again(Arc::new(move || -> Result<Box<dyn Blocks>> {
        if samples.get().is_some() {
            let (bytes, block) = (Vec::new(), Vec::new());
            return Ok(Box::new(Replayed { samples: Arc::clone(&samples), at: 0, bytes, block }));
        }
        let copy = tempfile::tempfile().ok().map(|file| Written { file, bytes: Vec::new(), n: 0 });
        Ok(Box::new(Copied { blocks: open()?, copy, samples: Arc::clone(&samples) }))
    }))
}

/// What is decoded, and written down.
struct Copied {
    blocks: Box<dyn Blocks>,
    /// Until something speaks against it.
    copy: Option<Written>,
    samples: Arc<OnceLock<Samples>>,
}

struct Written {
    file: File,
    bytes: Vec<u8>,
    n: u64,
}

impl Written {
    /// Whether these samples are kept, to the last bit.
    fn keep(&mut self, samples: &[f32]) -> bool {
        self.n += samples.len() as u64;
        self.bytes.resize(samples.len() * SIZE, 0);
        let mut differ = 0;
        for (to, x) in self.bytes.as_chunks_mut::<SIZE>().0.iter_mut().zip(samples) {
            let short = (x * SCALE) as i16;
            differ |= x.to_bits() ^ (f32::from(short) / SCALE).to_bits();
            *to = short.to_le_bytes();
        }
        differ == 0 && self.n <= MOST_SPOOLED / SIZE as u64 && self.file.write_all(&self.bytes).is_ok()
    }
}

impl Blocks for Copied {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        let block = self.blocks.next_block().inspect_err(|_| self.copy = None)?;
        if let Some(mut copy) = self.copy.take() {
            match block {
                Some(samples) => self.copy = copy.keep(samples).then_some(copy),
                // Another reader may have been first; what it has is the same.
                None => drop(self.samples.set(Samples { file: Mutex::new(copy.file), n: copy.n })),
            }
        }
        Ok(block)
    }
}

/// What was written down, a second at a time.
struct Replayed {
    samples: Arc<OnceLock<Samples>>,
    at: u64,
    bytes: Vec<u8>,
    block: Vec<f32>,
}

impl Blocks for Replayed {
    fn next_block(&mut self) -> Result<Option<&[f32]>> {
        let Some(samples) = self.samples.get() else { return Ok(None) };
        let n = (samples.n - self.at).min(SAMPLE_RATE as u64);
        self.bytes.resize(n as usize * SIZE, 0);
        {
            let mut file = samples.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(self.at * SIZE as u64))?;
            file.read_exact(&mut self.bytes)?;
        }
        self.at += n;
        let shorts = self.bytes.as_chunks::<SIZE>().0.iter();
        self.block.clear();
        self.block.extend(shorts.map(|&bytes| f32::from(i16::from_le_bytes(bytes)) / SCALE));
        Ok(Some(&self.block[..]).filter(|block| !block.is_empty()))
    }
}
