//! `candle-whisper models`: what can be done with model files besides transcribing. One file per command.

pub mod convert;
pub mod fetch;
pub mod info;
pub mod list;
pub mod quantise;
mod stage;
pub mod verify;

use anyhow::Result;

/// What to do with models.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Fetch models from the Hugging Face hub into the cache, and print their folders
    Fetch(fetch::Args),
    /// List the models that have a name, and which models are here
    List(list::Args),
    /// Print a model's sizes, and the memory that it needs on each device
    Info(info::Args),
    /// Write a copy of a model as safetensors or GGUF
    Convert(convert::Args),
    /// Write a smaller copy of a model: its weights as GGUF, by default in 8 bits and the token embedding in 5
    Quantise(quantise::Args),
    /// Check a model's files against their hashes and lengths
    Verify(verify::Args),
}

impl Command {
    /// Does it; gives what to print on stdout.
    ///
    /// # Errors
    /// If it can't be done; the message names the file or the model.
    pub fn run(&self) -> Result<String> {
        match self {
            Self::Fetch(args) => fetch::run(args).map(|()| String::new()),
            Self::List(args) => list::run(args),
            Self::Info(args) => info::run(args),
            Self::Convert(args) => convert::run(args),
            Self::Quantise(args) => quantise::run(args),
            Self::Verify(args) => verify::run(args).map(|()| String::new()),
        }
    }
}
