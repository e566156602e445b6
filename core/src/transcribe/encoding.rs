//! What the encoder hears of a window: 30 s, or its sound and little more ([`AudioContext`]). What is written of less is believed only if
//! nothing speaks against it; else all of the window is heard.

use candle_core::{Device, Tensor};

use super::fallback::{self, Verdict};
use super::{Sound, Transcriber, Transcription, Window};
use crate::audio::N_FRAMES;
use crate::decoding::{self, DecodingResult, LanguageProbability};
use crate::error::Result;
use crate::guards::{SPARE_TOKENS, longest_loop};
use crate::model::AudioFeatures;
use crate::observer::Observer;
use crate::options::{AudioContext, TranscribeOptions};

/// Mel frames after the sound: cut off at its end, the network makes words up.
const AFTER: usize = 200;
/// Fewest mel frames: of less the network was never shown any.
const FEWEST: usize = 1000;
/// It is a multiple of so many.
const STEP: usize = 64;
/// With more than this, what is saved does not pay for the windows that are heard again in full.
const MOST: usize = N_FRAMES * 2 / 3;
/// States of `base`, up to which hearing less was measured.
const MOST_STATES: usize = 512;
/// Positions, of 20 ms, that a timestamp may lie behind the sound.
const LATE: usize = 25;
/// Fewest tokens that are taken for said twice.
const FEWEST_TWICE: usize = 3;

/// A window's features, and whether they are of no more than its sound.
pub(super) type Brief = (AudioFeatures, bool);
/// The first window, if its language was heard in just what it is decoded from.
pub(super) type First = Option<(Window, Brief)>;

/// Mel frames that the encoder hears of so many with sound.
pub(crate) fn context(sound: usize) -> usize {
    (sound + AFTER).max(FEWEST).next_multiple_of(STEP).min(N_FRAMES)
}

/// Whether a text ends in the same tokens twice.
fn is_said_twice(text: &[u32]) -> bool {
    (FEWEST_TWICE..=text.len() / 2).any(|n| {
        let (before, last) = text.split_at(text.len() - n);
        before.ends_with(last)
    })
}

impl Transcriber {
    /// Whether the encoder is to hear no more of a window than its sound.
    pub(super) fn is_brief(&self, options: &TranscribeOptions, window: Window) -> bool {
        let model = self.model();
        let heard = match options.audio_ctx {
            AudioContext::Full => false,
            AudioContext::Heard => true,
            AudioContext::Auto => {
                model.is_approximate()
                    && model.dims().n_state <= MOST_STATES
                    && !options.decode.without_timestamps
            }
        };
        heard && model.device().is_cpu() && context(window.segment_size) <= MOST
    }

    /// windows: (n, n_mels, N_FRAMES)
    pub(crate) fn encode(&self, windows: Vec<f32>, n: usize) -> Result<AudioFeatures> {
        self.model().encode(&self.mels(windows, n)?)
    }

    /// Encodes `n` windows while others are decoded, if the network can.
    pub(super) fn encode_beside(&self, windows: Vec<f32>, n: usize) -> Result<AudioFeatures> {
        self.model().encode_beside(&self.mels(windows, n)?)
    }

    /// Encodes a window's sound. mel: (n_mels, N_FRAMES)
    pub(super) fn encode_sound(&self, mel: Vec<f32>, sound: usize) -> Result<AudioFeatures> {
        self.model().encode(&self.mels(mel, 1)?.narrow(2, 0, context(sound))?.contiguous()?)
    }

    /// Encodes a window of a run. mel: (n_mels, N_FRAMES)
    pub(super) fn hear(&self, options: &TranscribeOptions, window: Window, mel: Vec<f32>) -> Result<Brief> {
        Ok(match self.is_brief(options, window) {
            true => (self.encode_sound(mel, window.segment_size)?, true),
            false => (self.encode(mel, 1)?, false),
        })
    }

    /// Decodes a window at the temperatures that it needs, of its sound alone or, where that does not do, of all of it; `None` if the observer
    /// stopped it.
    pub(super) fn decoded(
        &self,
        run: &mut Transcription,
        window: Window,
        (xa, is_brief): Brief,
        observer: &mut dyn Observer,
    ) -> Result<Option<(AudioFeatures, Vec<DecodingResult>)>> {
        let mut xa = xa;
        if is_brief {
            let temperature = run.options.temperatures.first().copied().unwrap_or(0.0);
            let decode = fallback::options_at(&run.options.decode, temperature);
            let by = (&decode, fallback::seed(&run.options, window.seek, 0));
            let is_vain = |tokens: &[u32]| self.is_vain(window, tokens);
            let result = fallback::decode_once(self.model(), self.tokenizer(), &xa, by, &is_vain, observer)?;
            let Some(result) = result else { return Ok(None) };
            if self.is_believed(&run.options, window, &result) {
                return Ok(Some((xa, vec![result])));
            }
            xa = self.encode(run.sound.again(window)?, 1)?;
        }
        Ok(self.ladder(run, window, &xa, observer)?.map(|tried| (xa, tried)))
    }

    /// Whether these tokens, and whatever follows them, are not believed of a window's sound alone: time went on after its end, or the text
    /// goes round in circles.
    pub(super) fn is_vain(&self, window: Window, tokens: &[u32]) -> bool {
        let special = self.tokenizer().special();
        let sound = window.segment_size * self.model().dims().n_audio_ctx / N_FRAMES;
        let last = special.timestamp_begin as usize + sound + LATE;
        let text: Vec<u32> = tokens.iter().copied().filter(|&token| token < special.eot).collect();
        tokens.iter().any(|&token| token as usize > last) || longest_loop(&text, SPARE_TOKENS).is_some()
    }

    /// Whether what was written of a window's sound alone is what is said there: where no long rest tells the network that nothing
    /// follows, it may say once more what it said, or what nobody says.
    pub(super) fn is_believed(
        &self,
        options: &TranscribeOptions,
        window: Window,
        result: &DecodingResult,
    ) -> bool {
        let eot = self.tokenizer().special().eot;
        let text: Vec<u32> = result.tokens.iter().copied().filter(|&token| token < eot).collect();
        fallback::judge(options, result) == Verdict::Accept
            && result.is_complete
            && !self.is_vain(window, &result.tokens)
            && !is_said_twice(&text)
    }

    /// The probability of each language in the first 30 s. Where that is just what the first window is decoded from, its features
    /// come with them.
    pub(super) fn detect(
        &self,
        options: &TranscribeOptions,
        sound: &mut Sound,
    ) -> Result<(Vec<LanguageProbability>, First)> {
        let segment_size = sound.reach(0, N_FRAMES)?.min(N_FRAMES);
        let window = Window { seek: 0, segment_size };
        let is_first = self.is_brief(options, window) || segment_size == N_FRAMES;
        // As the reference: with the silence after a short recording, not with zeros.
        let mel = if is_first { window } else { Window { segment_size: N_FRAMES, ..window } };
        let heard = self.hear(options, mel, sound.window(0, mel)?)?;
        let mut probabilities = decoding::detect_language(self.model(), self.tokenizer(), &heard.0)?;
        Ok((probabilities.swap_remove(0), is_first.then_some((window, heard))))
    }

    fn mels(&self, windows: Vec<f32>, n: usize) -> Result<Tensor> {
        let shape = (n, self.log_mel().n_mels(), N_FRAMES);
        Ok(Tensor::from_vec(windows, shape, &Device::Cpu)?)
    }
}
