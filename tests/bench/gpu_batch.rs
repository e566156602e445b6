//! `gpu batch SHAPE…`: what windows of a batch take that are encoded while others are decoded, against before. The scheduler
//! is the core's; weights are random, and so is when a text ends.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use candle_whisper::device::GpuWhisper;
use candle_whisper_core::decoding::choice::{Chosen, Question};
use candle_whisper_core::dims::ModelDimensions;
use candle_whisper_core::model::Model;
use candle_whisper_core::observer::Event;
use candle_whisper_core::options::TranscribeOptions;
use candle_whisper_core::tokenizer::Tokenizer;
use candle_whisper_core::transcribe::Recordings;
use candle_whisper_core::vad::VadOptions;
use candle_whisper_core::{Transcriber, Transcription, Waveform, media};

use crate::around::{Around, Differs};
use crate::{spread, view, weights};

/// Windows, as many as an hour of speech has.
const N_WINDOWS: usize = 120;
/// Tokens of a window on average: a row ends with every one of so many steps.
const TOKENS: u64 = 80;

/// A network whose texts end by chance.
struct Ending {
    inner: Arc<GpuWhisper>,
    beside: bool,
    eot: u32,
    random: Mutex<u64>,
}

impl Differs for Ending {
    fn inner(&self) -> &dyn Model {
        &*self.inner
    }

    fn encodes_beside(&self) -> bool {
        self.beside
    }

    fn choose(
        &self,
        hidden: &Tensor,
        question: &Question<'_>,
    ) -> candle_whisper_core::Result<Option<Vec<Chosen>>> {
        let chosen = self.inner.choose(hidden, question)?;
        let mut random = self.random.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let end = |mut row: Chosen| {
            *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (*random >> 33).is_multiple_of(TOKENS) {
                row[0] = (self.eot, -1.0);
            }
            row
        };
        Ok(chosen.map(|rows| rows.into_iter().map(end).collect()))
    }
}

/// Recordings of a window each, heard before the time is taken.
struct Started(Vec<Transcription>);

impl Recordings for Started {
    fn next(&mut self) -> Option<Transcription> {
        self.0.pop()
    }

    fn event(&mut self, _number: usize, _event: Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn windows_done(&mut self, _number: usize, _run: &mut Transcription) -> bool {
        true
    }

    fn ended(&mut self, _number: usize, _run: candle_whisper_core::Result<Transcription>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Prints a line for each size of a batch.
pub fn time(shape: &str, dims: &ModelDimensions, gpu: &Device) -> Result<()> {
    let all = weights(dims, gpu)?;
    let inner = Arc::new(GpuWhisper::load(dims.clone(), Vec::new(), &view(&all, DType::F16, gpu))?);
    drop(all);
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/jfk.flac");
    let clip = std::fs::File::open(clip)
        .or_else(|_| std::fs::File::open("tests/data/jfk.flac"))
        .context("jfk.flac")?;
    let audio: Waveform = media::decode(clip, None)?;
    for most in [8, 16, 32, 64] {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..4 {
            for (beside, times) in times.iter_mut().enumerate() {
                let tokenizer = Tokenizer::built_in(dims.n_vocab)?;
                let eot = tokenizer.special().eot;
                let model = Ending { inner: inner.clone(), beside: beside == 1, eot, random: Mutex::new(7) };
                let transcriber = Transcriber::new(Arc::new(Around(model)), tokenizer)?;
                let mut options = TranscribeOptions {
                    batch: Some(most),
                    vad: Some(VadOptions::default()),
                    condition_on_previous_text: false,
                    guards: false,
                    temperatures: vec![0.0],
                    ..TranscribeOptions::default()
                };
                options.decode.language = Some("en".into());
                options.decode.without_timestamps = true;
                let start = || transcriber.start(&audio, options.clone());
                let mut started =
                    Started((0..N_WINDOWS).map(|_| start()).collect::<candle_whisper_core::Result<_>>()?);
                let start = Instant::now();
                transcriber.run_together(most, &mut started)?;
                times.push(start.elapsed().as_secs_f64());
            }
        }
        let [before, beside] = times.map(spread);
        println!(
            "{shape}, {N_WINDOWS} windows, {most} at once: encoded before {before} ms, beside {beside} ms"
        );
    }
    Ok(())
}
