//! Recordings in the module's own memory, so that samples cross the bridge once at most.

use candle_whisper_core::audio::SAMPLE_RATE;
use candle_whisper_core::media::MediaReader;
use candle_whisper_core::{Error, Waveform};
use js_sys::{Float32Array, Function};
use wasm_bindgen::prelude::*;

use crate::error::thrown;
use crate::source::{File, Reading};

/// Bytes that a second of sound takes at least: half of what Opus does with speech at its lowest rate.
const LEAST_BYTES: f64 = 300.0;

/// Samples after which there is news.
const TOLD: usize = 5 * SAMPLE_RATE;
/// Samples that one peak is for.
const STRETCH: usize = SAMPLE_RATE / 50;

/// The loudest sample of each stretch, 0 to 1 where nothing is clipped. (n) -> (⌈n / 320⌉)
pub fn peaks(samples: &[f32]) -> Vec<f32> {
    let loudest = |stretch: &[f32]| stretch.iter().fold(0.0, |most: f32, sample| most.max(sample.abs()));
    samples.chunks(STRETCH).map(loudest).collect()
}

/// A recording: mono samples at 16 kHz.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Audio(Waveform);

#[wasm_bindgen]
impl Audio {
    /// Of interleaved samples, mixed to mono and resampled if they are not mono at 16 kHz.
    ///
    /// # Errors
    /// If the number of channels or the sample rate can't be used.
    #[wasm_bindgen(js_name = fromPcm)]
    pub fn from_pcm(interleaved: Vec<f32>, channels: usize, sample_rate: u32) -> Result<Audio, JsValue> {
        if channels == 1 && sample_rate as usize == SAMPLE_RATE {
            return Ok(Self(Waveform::new(interleaved)));
        }
        let mixed = Waveform::from_pcm(&interleaved, channels, sample_rate);
        mixed.map(Self).map_err(|error| thrown(&error))
    }

    /// Decodes an audio or video file of `size` bytes, of which `read(offset, length)` gives some as a `Uint8Array`.
    /// `hint` is its extension, or empty. `on_block` is called with the seconds decoded, and with what the file claims
    /// to have or `undefined`, and the new [`Audio::peaks`]; it stops by returning false, and the recording ends there.
    ///
    /// # Errors
    /// If the file can't be decoded; the message says why.
    pub fn decode(size: f64, read: Function, hint: &str, on_block: &Function) -> Result<Audio, JsValue> {
        let reading = Reading::begin(read);
        let decoded = Self::decode_blocks(size, hint, on_block);
        drop(reading);
        decoded.map_err(|error| thrown(&error))
    }

    /// The loudest sample of each fiftieth of a second, for a picture.
    pub fn peaks(&self) -> Vec<f32> {
        peaks(self.0.samples())
    }

    /// Length in seconds.
    #[wasm_bindgen(getter)]
    pub fn duration(&self) -> f64 {
        self.0.duration()
    }
}

impl Audio {
    fn decode_blocks(size: f64, hint: &str, on_block: &Function) -> Result<Audio, Error> {
        let hint = Some(hint).filter(|hint| !hint.is_empty());
        let mut reader = MediaReader::open(File::of_size(size), hint)?;
        let claimed = reader.duration();
        let mut samples = Vec::new();
        // Grown bit by bit, the samples of hours would be there twice. What can't be had now need not be had at all.
        let believed = claimed.unwrap_or(0.0).min(size / LEAST_BYTES).max(0.0) + 1.0;
        let _ = samples.try_reserve_exact((believed * SAMPLE_RATE as f64) as usize);
        let claimed = claimed.map_or(JsValue::UNDEFINED, JsValue::from);
        let mut told = 0;
        let mut is_heard = true;
        while is_heard {
            let block = reader.next_block()?;
            samples.extend_from_slice(block.unwrap_or_default());
            let is_last = block.is_none();
            if samples.len() - told < TOLD && !is_last {
                continue;
            }
            // Whole stretches, but for the last.
            let until = if is_last { samples.len() } else { samples.len() / STRETCH * STRETCH };
            let seconds = samples.len() as f64 / SAMPLE_RATE as f64;
            let new = Float32Array::from(peaks(&samples[told..until]).as_slice());
            told = until;
            let answer = on_block.call3(&JsValue::NULL, &seconds.into(), &claimed, &new);
            is_heard = !is_last && answer.is_ok_and(|answer| answer != JsValue::FALSE);
        }
        Ok(Audio(Waveform::new(samples)))
    }
}

impl From<Audio> for Waveform {
    fn from(audio: Audio) -> Self {
        audio.0
    }
}
