//! What encodes texts: read from a file, or made of what is built in when it is first needed.

use std::sync::OnceLock;

use tokenizers::Tokenizer;

use super::vocabulary;
use crate::error::Result;

pub(super) struct Encoder {
    made: OnceLock<Tokenizer>,
    /// Of OpenAI's vocabulary that it is made of.
    n_vocab: usize,
}

impl Encoder {
    /// Of OpenAI's vocabulary of this size, made when it is first needed.
    pub fn built_in(n_vocab: usize) -> Self {
        Self { made: OnceLock::new(), n_vocab }
    }

    pub fn get(&self) -> Result<&Tokenizer> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let mut made = vocabulary::tokenizer(vocabulary::built_in(self.n_vocab)?.iter(), self.n_vocab)?;
        made.set_encode_special_tokens(true);
        // Of two that made one at once, the first's is kept.
        Ok(self.made.get_or_init(|| made))
    }
}

impl From<Tokenizer> for Encoder {
    fn from(read: Tokenizer) -> Self {
        Self { made: OnceLock::from(read), n_vocab: 0 }
    }
}
