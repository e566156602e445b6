//! The errors of this crate: one variant per stage, the facts inside.

/// What can go wrong between bytes and text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The audio can't be read.
    #[error("{0}")]
    Audio(String),
    /// The tokenizer can't be read or does not fit.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// `config.json` or `generation_config.json` can't be used.
    #[error("model configuration: {0}")]
    Config(String),
    /// A tensor is missing or has another shape.
    #[error("weights: {0}")]
    Weights(String),
    /// An option has a value that can't be used.
    #[error("{0}")]
    Options(String),
    /// The tensor library failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;
