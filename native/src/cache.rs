//! Loaded models, shared by everything in the process: one model is loaded once, whoever asks and however often.
//!
//! Nothing is locked while a model transcribes: its weights never change, and each transcription has its own state.

use std::collections::HashMap;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, TryLockError};

use anyhow::{Context, Result, anyhow, bail};
use candle_core::{DType, Device, DeviceLocation};
use candle_whisper_core::observer::Silent;
use candle_whisper_core::weights::Matrices;
use candle_whisper_core::{TranscribeOptions, Transcriber, Transcript};

use crate::device::{self, DeviceRequest, Precision};
use crate::hub::Wish;
use crate::hub::settings::Settings;
use crate::input::{Input, Opened};
use crate::kept::kept;
use crate::load::{self, ModelFiles, Numbers};
use crate::locate::{self, Location};
use crate::memory::{Fit, Memory, Needs, compare};
use crate::messages;
use crate::options::BadUsage;

/// Which model, and where and in what it is to compute. Made of a name or a folder, it is that model on the CPU, with small
/// integers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRequest {
    /// A name or a folder, as for the command line's `--model`.
    pub model: String,
    /// The folder in which names are looked for first.
    pub model_dir: Option<PathBuf>,
    /// The folder of the hub's cache; the environment says where it is if this doesn't.
    pub cache_dir: Option<PathBuf>,
    /// Where to compute. `Auto` is the GPU if there is one with room for the model.
    pub device: DeviceRequest,
    /// In which number format; on the CPU `Auto` is `Quantised`, and f16 and bf16 become f32.
    pub precision: Precision,
}

impl From<&str> for ModelRequest {
    fn from(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            model_dir: None,
            cache_dir: None,
            device: DeviceRequest::Cpu,
            precision: Precision::Auto,
        }
    }
}

/// What is the same model: where it comes from, its device and its number formats.
type Key = (Location, DeviceLocation, DType, Matrices);

static MODELS: LazyLock<Cache<Key, Transcriber>> = LazyLock::new(Cache::default);

/// A device, what the network computes in on it, and what its large matrices are kept as.
type Place = (Device, DType, Matrices);

impl ModelRequest {
    /// Where the model comes from, and where it is or would be, best first: with `Auto` a GPU comes before the CPU.
    fn places(&self) -> Result<(Location, Vec<Place>)> {
        let location = locate::locate(&self.model, self.model_dir.as_deref());
        let location = match location.map_err(complaint)? {
            // The same folder by another way is the same model.
            Location::Path(folder) => Location::Path(folder.canonicalize().unwrap_or(folder)),
            hub @ Location::Hub(_) => hub,
        };
        let devices = device::candidates(self.device).map_err(anyhow::Error::msg)?;
        let place = |device: Device| {
            let dtype = device::dtype(self.precision, &device).0;
            let matrices = self.precision.matrices(device::processor(&device));
            (device, dtype, matrices)
        };
        Ok((location, devices.into_iter().map(place).collect()))
    }

    /// The model's folder; a model of the hub is fetched if it isn't here.
    fn folder(&self, location: &Location) -> Result<PathBuf> {
        let fetched = location.fetch(&Settings::from_env(self.cache_dir.as_deref()), Wish::default())?;
        fetched.warning.iter().for_each(messages::warning);
        Ok(fetched.folder)
    }

    fn keys(&self) -> Result<Vec<Key>> {
        let (location, places) = self.places()?;
        Ok(places.iter().map(|place| key(&location, place)).collect())
    }
}

fn complaint(complaint: BadUsage) -> anyhow::Error {
    match complaint.hint {
        Some(hint) => anyhow!("{}: {hint}", complaint.what),
        None => anyhow!("{}", complaint.what),
    }
}

fn key(location: &Location, (device, dtype, matrices): &Place) -> Key {
    (location.clone(), device.location(), *dtype, *matrices)
}

/// Loads a model, or gives the one that is loaded already. Those who ask for the same model at once share one load,
/// and its error if it fails; other models do not wait.
///
/// # Errors
/// If there is no such model or device, if it can't be fetched, if the model can never fit into its memory, or if its files are broken. Asking
/// again tries again.
///
/// ```
/// use candle_whisper::cache::{self, ModelRequest};
/// use candle_whisper::device::DeviceRequest;
///
/// let request = ModelRequest { device: DeviceRequest::Auto, ..ModelRequest::from("tiny.en") };
/// assert!(cache::get(&request).is_none());
/// let whisper = cache::preload(&request)?;
/// assert_eq!(whisper.model().dims().n_state, 384);
/// assert!(cache::get(&request).is_some());
/// assert!(cache::evict(&request));
/// # anyhow::Ok(())
/// ```
pub fn preload(request: &ModelRequest) -> Result<Transcriber> {
    let (location, places) = request.places()?;
    let there = places.iter().find(|place| MODELS.contains(&key(&location, place)));
    let place @ (device, dtype, matrices) = match there {
        Some(place) => place,
        None => with_room(&request.folder(&location)?, &places)?,
    };
    MODELS.get_or_load(key(&location, place), || {
        let folder = request.folder(&location)?;
        if let Fit::Impossible(shortage) = fit(&folder, place)? {
            bail!("could not load `{}`: {shortage}", folder.display());
        }
        device::multiply_as(request.precision);
        load::load(&folder, device, Numbers { dtype: Some(*dtype), matrices: *matrices })
    })
}

/// The first place with room for the model, or else the last.
fn with_room<'p>(folder: &Path, places: &'p [Place]) -> Result<&'p Place> {
    let (last, others) = places.split_last().context("there is no device")?;
    for place in others {
        if fit(folder, place)? == Fit::Fits {
            return Ok(place);
        }
    }
    Ok(last)
}

fn fit(folder: &Path, (device, dtype, matrices): &Place) -> Result<Fit> {
    let needs = Needs::of(&load::describe(&ModelFiles::find(folder)?)?, |_| *matrices);
    let usage = needs.usage(device::processor(device), *dtype, &TranscribeOptions::default());
    Ok(Memory::of(device).map_or(Fit::Fits, |memory| compare(&needs.dims, &usage, memory)))
}

/// The model if it is loaded; never waits.
pub fn get(request: &ModelRequest) -> Option<Transcriber> {
    request.keys().ok()?.iter().find_map(|key| MODELS.get(key))
}

/// Drops the process's hold on a model; its memory is free once nobody transcribes with it. Gives whether it was
/// loaded. A load under way goes on for those who wait for it, and is not kept.
pub fn evict(request: &ModelRequest) -> bool {
    let keys = request.keys().unwrap_or_default();
    keys.iter().fold(false, |any, key| MODELS.evict(key) | any)
}

/// [`preload`] by name or folder, on the CPU, with small integers; [`ModelRequest`] has f32.
///
/// # Errors
/// As [`preload`].
///
/// ```
/// let whisper = candle_whisper::preload_model("tiny.en")?;
/// assert!(!whisper.tokenizer().is_multilingual());
/// # anyhow::Ok(())
/// ```
pub fn preload_model(model: &str) -> Result<Transcriber> {
    preload(&model.into())
}

/// [`evict`] of what [`preload_model`] loaded.
pub fn evict_model(model: &str) -> bool {
    evict(&model.into())
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
    let input = Input::File(path.into());
    let whisper = preload_model(locate::BUNDLED)?;
    let recording = kept(Opened::new(&input)?.recording());
    let transcript = whisper.run_recording(recording, TranscribeOptions::default(), &mut Silent);
    transcript.with_context(|| format!("could not transcribe {input}"))
}

/// Values that are made once for each key, by whoever asks first, while others who ask for the same wait.
///
/// ```
/// let squares = candle_whisper::cache::Cache::default();
/// assert!(squares.get_or_load(7, || anyhow::bail!("not now")).is_err());
/// assert_eq!(squares.get_or_load(7, || Ok(49))?, 49);
/// assert_eq!(squares.get_or_load(7, || unreachable!())?, 49);
/// assert!(squares.evict(&7) && squares.get(&7).is_none());
/// # anyhow::Ok(())
/// ```
#[derive(Debug)]
pub struct Cache<K, V> {
    slots: Mutex<HashMap<K, Slot<V>>>,
}

/// Empty while it is loaded; then the value, or what the one who loaded was told, for those who waited.
type Slot<V> = Arc<Mutex<Option<Result<V, String>>>>;

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self { slots: Mutex::default() }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// The value of this key, made by `load` unless it is there.
    ///
    /// # Errors
    /// What `load` says; the next who asks makes it anew.
    pub fn get_or_load(&self, key: K, load: impl FnOnce() -> Result<V>) -> Result<V> {
        let slot = lock(&self.slots).entry(key.clone()).or_default().clone();
        // Only this slot is locked while loading.
        let mut value = lock(&slot);
        match &*value {
            Some(Ok(value)) => return Ok(value.clone()),
            Some(Err(error)) => bail!("{error}"),
            None => {}
        }
        let loaded = load();
        if loaded.is_err() {
            let mut slots = lock(&self.slots);
            if slots.get(&key).is_some_and(|current| Arc::ptr_eq(current, &slot)) {
                slots.remove(&key);
            }
        }
        *value = Some(match &loaded {
            Ok(value) => Ok(value.clone()),
            Err(error) => Err(format!("{error:#}")),
        });
        loaded
    }

    /// The value of this key if it is there; never waits.
    pub fn get(&self, key: &K) -> Option<V> {
        let slot = lock(&self.slots).get(key).cloned()?;
        loaded(&slot)
    }

    /// Whether the value of this key is there or being made.
    pub fn contains(&self, key: &K) -> bool {
        lock(&self.slots).contains_key(key)
    }

    /// Forgets the value of this key; gives whether it was there. One that is being made is not kept.
    pub fn evict(&self, key: &K) -> bool {
        let slot = lock(&self.slots).remove(key);
        slot.is_some_and(|slot| loaded(&slot).is_some())
    }
}

fn loaded<V: Clone>(slot: &Slot<V>) -> Option<V> {
    let value = match slot.try_lock() {
        Ok(value) => value,
        Err(TryLockError::Poisoned(value)) => value.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    value.as_ref()?.as_ref().ok().cloned()
}

/// What a thread that panicked left behind is whole: everything here is changed in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
