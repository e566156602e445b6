//! The tokens that steer decoding, and those of languages.

use crate::error::{Error, Result};
use crate::languages::LANGUAGES;

/// Timestamps from 0.00 to 30.00 s in steps of 20 ms.
const N_TIMESTAMPS: u32 = 1501;

/// The ids of the tokens that steer decoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialTokens {
    /// `<|endoftext|>`: every id below is text.
    pub eot: u32,
    /// `<|startoftranscript|>`
    pub sot: u32,
    /// `<|translate|>`
    pub translate: u32,
    /// `<|transcribe|>`
    pub transcribe: u32,
    /// `<|startoflm|>`
    pub sot_lm: u32,
    /// `<|startofprev|>`
    pub sot_prev: u32,
    /// `<|nospeech|>`, called `<|nocaptions|>` in older files.
    pub no_speech: u32,
    /// `<|notimestamps|>`
    pub no_timestamps: u32,
    /// `<|0.00|>`: every id from here on is a timestamp.
    pub timestamp_begin: u32,
}

/// (token, code) of each language that a network knows, in token order.
pub(super) type Languages = Vec<(u32, &'static str)>;

impl SpecialTokens {
    /// Asks for the ids of the names that a vocabulary of this size has.
    pub(super) fn find(n_vocab: usize, id: impl Fn(&str) -> Option<u32>) -> Result<(Self, Languages)> {
        let needed = |names: &[&str]| {
            names.iter().find_map(|name| id(name)).ok_or_else(|| {
                let name = names[0];
                Error::Tokenizer(format!("`tokenizer.json` has no `{name}`; is it a Whisper's?"))
            })
        };
        let no_timestamps = needed(&["<|notimestamps|>"])?;
        let special = Self {
            eot: needed(&["<|endoftext|>"])?,
            sot: needed(&["<|startoftranscript|>"])?,
            translate: needed(&["<|translate|>"])?,
            transcribe: needed(&["<|transcribe|>"])?,
            sot_lm: needed(&["<|startoflm|>"])?,
            sot_prev: needed(&["<|startofprev|>"])?,
            no_speech: needed(&["<|nospeech|>", "<|nocaptions|>"])?,
            no_timestamps,
            timestamp_begin: no_timestamps + 1,
        };
        let languages = LANGUAGES
            .iter()
            .filter_map(|(code, _)| {
                // Older files have Hebrew's old code.
                let old = if *code == "he" { "iw" } else { code };
                let name = |code: &str| id(&format!("<|{code}|>"));
                Some((name(code).or_else(|| name(old))?, *code))
            })
            .collect();
        let found = (special.timestamp_begin + N_TIMESTAMPS) as usize;
        if found > n_vocab || (n_vocab <= 51866 && found != n_vocab) {
            return Err(Error::Tokenizer(format!(
                "`tokenizer.json` is for a vocabulary of {found} tokens, the network has {n_vocab}: \
                 they belong to different models"
            )));
        }
        Ok((special, languages))
    }
}
