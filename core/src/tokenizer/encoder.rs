//! What encodes texts: read from a file, or made of a list of tokens when it is first needed.

use std::sync::OnceLock;

use super::bpe::Bpe;
use super::bytes::TokenBytes;
use super::vocabulary;
#[cfg(feature = "tokenizers")]
use crate::error::Error;
use crate::error::Result;

pub(super) enum Encoder {
    /// Empty as long as nothing was encoded by OpenAI's tokens.
    Gpt2(OnceLock<Box<Bpe>>),
    /// Other rules than GPT-2's.
    #[cfg(feature = "tokenizers")]
    Other(Box<tokenizers::Tokenizer>),
}

impl Encoder {
    /// tokens: of the whole vocabulary
    pub fn encode(&self, text: &str, tokens: &TokenBytes) -> Result<Vec<u32>> {
        match self {
            Self::Gpt2(made) => Ok(bpe(made, tokens)?.encode(text)),
            #[cfg(feature = "tokenizers")]
            Self::Other(inner) => super::other::encode(inner, text),
        }
    }

    /// A `tokenizer.json`. tokens: of the whole vocabulary; `special`: those that a text can't have
    pub fn to_json(&self, tokens: &TokenBytes, special: std::ops::Range<u32>) -> Result<String> {
        match self {
            Self::Gpt2(made) => Ok(super::gpt2::write(bpe(made, tokens)?, tokens, special)),
            #[cfg(feature = "tokenizers")]
            Self::Other(inner) => inner.to_string(false).map_err(|e| Error::Tokenizer(e.to_string())),
        }
    }
}

fn bpe<'a>(made: &'a OnceLock<Box<Bpe>>, tokens: &TokenBytes) -> Result<&'a Bpe> {
    if let Some(made) = made.get() {
        return Ok(made);
    }
    let new = Box::new(vocabulary::bpe(tokens.iter(), tokens.len())?);
    // Of two that made one at once, the first's is kept.
    Ok(made.get_or_init(|| new))
}

impl From<Bpe> for Encoder {
    fn from(read: Bpe) -> Self {
        Self::Gpt2(OnceLock::from(Box::new(read)))
    }
}
