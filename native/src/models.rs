//! `candle-whisper models`: what can be done with model files besides transcribing. One file per command.

pub mod convert;
pub mod quantise;
mod stage;
mod write;

use anyhow::Result;

/// What to do with models.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Write a copy of a model as safetensors or GGUF
    Convert(convert::Args),
    /// Write a smaller copy of a model: its weights as GGUF, by default in 8 bits and the token embedding in 5
    Quantise(quantise::Args),
}

impl Command {
    /// Does it; gives what to print on stdout.
    ///
    /// # Errors
    /// If it can't be done; the message names the file or the model.
    pub fn run(&self) -> Result<String> {
        match self {
            Self::Convert(args) => convert::run(args),
            Self::Quantise(args) => quantise::run(args),
        }
    }
}
