//! A build without microphones: what to do instead.

use std::sync::mpsc::SyncSender;

use anyhow::{Result, bail};

/// Nothing that could be recorded.
#[derive(Debug)]
pub(crate) enum Recording {}

/// No names.
pub(crate) fn list() -> Result<Vec<String>> {
    missing()
}

/// Says how it is done without.
pub(crate) fn open(_name: Option<&str>, _sender: SyncSender<Result<Vec<f32>>>) -> Result<Recording> {
    missing()
}

fn missing<T>() -> Result<T> {
    bail!(
        "this build has no microphone: pipe it in, `arecord -q -f S16_LE -r 16000 -c 1 -t raw | candle-whisper live -`, or build \
         with `--features candle-whisper/microphone`, which needs ALSA's headers (libasound2-dev)"
    )
}
