//! The system's microphones, by cpal.

use std::sync::mpsc::{SyncSender, TrySendError};

use anyhow::{Context, Result, anyhow, bail};
use candle_whisper_core::audio::PcmStream;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{FromSample, Sample, SampleFormat, SizedSample, StreamConfig};

use crate::messages;

/// A running recording; it ends when this goes.
pub(crate) struct Recording {
    _stream: cpal::Stream,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recording")
    }
}

/// Samples that are kept where nobody takes them, half a minute.
const MOST_LOST: usize = 480_000;

type Sender = SyncSender<Result<Vec<f32>>>;

/// Names of all microphones.
pub(crate) fn list() -> Result<Vec<String>> {
    let devices = cpal::default_host().input_devices().context("could not list microphones")?;
    Ok(devices.map(|device| name(&device)).collect())
}

fn name(device: &cpal::Device) -> String {
    device
        .description()
        .map_or_else(|_| "a microphone without a name".into(), |about| about.name().to_owned())
}

/// Begins to record from the first one whose name has `wanted` in it, or the system's choice.
pub(crate) fn open(wanted: Option<&str>, sender: Sender) -> Result<Recording> {
    let host = cpal::default_host();
    let device = match wanted {
        None => host.default_input_device().ok_or_else(|| anyhow!("there is no microphone"))?,
        Some(wanted) => {
            let mut devices = host.input_devices().context("could not list microphones")?;
            let device = devices.find(|device| name(device).to_lowercase().contains(&wanted.to_lowercase()));
            device.ok_or_else(|| {
                anyhow!("no microphone is called `{wanted}`; `--list_devices` has their names")
            })?
        }
    };
    let could_not = || format!("could not record from `{}`", name(&device));
    let supported = device.default_input_config().with_context(could_not)?;
    let config: StreamConfig = supported.config();
    let stream = match supported.sample_format() {
        SampleFormat::F32 => build::<f32>(&device, &config, sender),
        SampleFormat::I16 => build::<i16>(&device, &config, sender),
        SampleFormat::U16 => build::<u16>(&device, &config, sender),
        SampleFormat::I32 => build::<i32>(&device, &config, sender),
        SampleFormat::I8 => build::<i8>(&device, &config, sender),
        SampleFormat::U8 => build::<u8>(&device, &config, sender),
        other => bail!("`{}` gives samples as {other:?}, which can't be used", name(&device)),
    };
    let stream = stream.with_context(could_not)?;
    stream.play().with_context(could_not)?;
    Ok(Recording { _stream: stream })
}

fn build<T: SizedSample>(device: &cpal::Device, config: &StreamConfig, sender: Sender) -> Result<cpal::Stream>
where
    f32: FromSample<T>,
{
    let mut pcm = PcmStream::new(usize::from(config.channels), config.sample_rate)?;
    let mut lost = Vec::new();
    let take = move |samples: &[T], _: &cpal::InputCallbackInfo| {
        let samples: Vec<f32> = samples.iter().map(|&sample| f32::from_sample(sample)).collect();
        let mut piece = std::mem::take(&mut lost);
        match pcm.push(&samples) {
            Ok(new) => piece.extend(new),
            Err(error) => {
                let _ = sender.try_send(Err(error.into()));
                return;
            }
        }
        // This thread must not wait: what finds no room comes with the next piece.
        if let Err(TrySendError::Full(Ok(unsent))) = sender.try_send(Ok(piece)) {
            lost = unsent;
            lost.drain(..lost.len().saturating_sub(MOST_LOST));
        }
    };
    let failed = |error: cpal::StreamError| messages::warning(format_args!("the microphone: {error}"));
    Ok(device.build_input_stream(config, take, failed, None)?)
}
