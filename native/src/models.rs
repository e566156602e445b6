//! `candle-whisper models`: what can be done with model files besides transcribing. One file per command.

pub mod info;
pub mod quantise;

use anyhow::Result;

/// What to do with models.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Print a model's sizes, and the memory that it needs on each device
    Info(info::Args),
    /// Write a smaller copy of a model: its weights as GGUF in 8 bits, the token embedding in 5
    Quantise(quantise::Args),
}

impl Command {
    /// Does it; gives what to print on stdout.
    ///
    /// # Errors
    /// If it can't be done; the message names the file or the model.
    pub fn run(&self) -> Result<String> {
        match self {
            Self::Info(args) => info::run(args),
            Self::Quantise(args) => quantise::run(args),
        }
    }
}
