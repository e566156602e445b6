//! Loaded models, shared by everything in the process: one model is loaded once, whoever asks and however often.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use candle_core::Device;
use candle_whisper_core::observer::Silent;
use candle_whisper_core::{TranscribeOptions, Transcriber, Transcript, media};

use crate::load::Numbers;
use crate::{load, locate};

/// Empty until it is loaded; a load that failed leaves it empty and can be tried again.
type Slot = Arc<Mutex<Option<Transcriber>>>;

static MODELS: Mutex<Option<HashMap<PathBuf, Slot>>> = Mutex::new(None);

/// What a thread that panicked left behind is whole: a slot is filled in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Loads a model on the CPU in f32, or gives the one that is loaded already. `model` is a name or a folder, as for the
/// command line's `--model`. Those who ask for the same model at once share one load; other models do not wait.
///
/// # Errors
/// If there is no such model, or it can't be loaded; asking again tries again.
///
/// ```
/// let whisper = candle_whisper::preload_model("tiny.en")?;
/// assert!(!whisper.tokenizer().is_multilingual());
/// # anyhow::Ok(())
/// ```
pub fn preload_model(model: &str) -> Result<Transcriber> {
    let folder = locate::locate(model, None).map_err(|complaint| anyhow::Error::msg(complaint.what))?;
    let slot = lock(&MODELS).get_or_insert_default().entry(folder.clone()).or_default().clone();
    let mut slot = lock(&slot);
    if let Some(transcriber) = &*slot {
        return Ok(transcriber.clone());
    }
    let transcriber = load::load(&folder, &Device::Cpu, Numbers::default())?;
    *slot = Some(transcriber.clone());
    Ok(transcriber)
}

/// Drops the process's hold on a model; its memory is free once nobody transcribes with it. Gives whether it was loaded.
pub fn evict_model(model: &str) -> bool {
    let Ok(folder) = locate::locate(model, None) else { return false };
    let slot = lock(&MODELS).as_mut().and_then(|models| models.remove(&folder));
    slot.is_some_and(|slot| lock(&slot).is_some())
}

/// Transcribes an audio or video file with the model that ships with this program and default options.
///
/// # Errors
/// If the file can't be read or decoded.
///
/// ```
/// let audio = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/jfk.flac");
/// let transcript = candle_whisper::transcribe(audio)?;
/// assert!(transcript.text.contains("ask what you can do for your country"));
/// # anyhow::Ok(())
/// ```
pub fn transcribe(path: impl Into<PathBuf>) -> Result<Transcript> {
    let path = path.into();
    let whisper = preload_model(locate::BUNDLED)?;
    let file = std::fs::File::open(&path).with_context(|| format!("could not open `{}`", path.display()))?;
    let audio = media::decode(file, path.extension().and_then(|e| e.to_str()))
        .with_context(|| format!("could not decode `{}`", path.display()))?;
    Ok(whisper.run(&audio, TranscribeOptions::default(), &mut Silent)?)
}
