//! Which language is spoken: the network's guess after the start token, over language tokens alone.

use candle_core::{Device, Tensor};

use crate::error::{Error, Result};
use crate::kernels;
use crate::model::{AudioFeatures, Model};
use crate::tokenizer::Tokenizer;

/// A language and how probable it is.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct LanguageProbability {
    /// Code, such as `en`.
    pub code: &'static str,
    /// Among all the network's languages.
    pub probability: f32,
}

/// The probability of every language for each piece of audio, in token order.
///
/// # Errors
/// If the network knows only English, or the device fails.
pub fn detect_language(
    model: &dyn Model,
    tokenizer: &Tokenizer,
    xa: &AudioFeatures,
) -> Result<Vec<Vec<LanguageProbability>>> {
    if !tokenizer.is_multilingual() {
        return Err(Error::Options(
            "this model doesn't have language tokens so it can't detect the language".into(),
        ));
    }
    let n_audio = xa.n_audio();
    let tokens = Tensor::full(tokenizer.special().sot, (n_audio, 1), &Device::Cpu)?;
    let mut cache = model.new_cache(n_audio, 1)?;
    let hidden = model.decode(&tokens, xa, &mut cache)?.squeeze(1)?;
    let logits = model.logits(&hidden)?;
    let probabilities = |row: &[f32]| {
        let scores: Vec<f32> = tokenizer.languages().iter().map(|&(token, _)| row[token as usize]).collect();
        let all = kernels::log_sum_exp(&scores);
        let each = tokenizer.languages().iter().zip(scores);
        each.map(|(&(_, code), s)| LanguageProbability { code, probability: (s - all).exp() }).collect()
    };
    Ok(logits.chunks_exact(model.dims().n_vocab).map(probabilities).collect())
}

/// The first of the most probable.
pub(crate) fn most_probable(languages: &[LanguageProbability]) -> Result<LanguageProbability> {
    let better = |best: Option<LanguageProbability>, next: &LanguageProbability| match best {
        Some(best) if best.probability >= next.probability => Some(best),
        _ => Some(*next),
    };
    languages
        .iter()
        .fold(None, better)
        .ok_or_else(|| Error::Tokenizer("the tokenizer has no language tokens".into()))
}
