//! Where to compute, and in which number format. CUDA is an enabled/disabled pair of files, so that nothing else
//! asks how the program was built.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device};
use candle_whisper_core::memory::Processor;
use candle_whisper_core::weights::Matrices;
use clap::ValueEnum;

use crate::memory::{Bytes, Memory};

pub mod patience;

#[cfg(feature = "cuda")]
#[path = "cuda/mod.rs"]
mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "no_cuda.rs"]
mod cuda;

#[cfg(feature = "cuda")]
pub use cuda::GpuWhisper;
pub use cuda::network;

/// A device as asked for: `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceRequest {
    /// CUDA where it can be used, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

impl FromStr for DeviceRequest {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let number = match typed {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Cpu),
            "cuda" => Some(0),
            _ => typed.strip_prefix("cuda:").and_then(|number| number.parse().ok()),
        };
        number.map(Self::Cuda).ok_or_else(|| EXPECTED.into())
    }
}

/// Devices as asked for: one of [`DeviceRequest`], or several GPUs as `cuda:0,1`, each of which has the model and takes recordings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    first: DeviceRequest,
    /// Numbers of GPUs besides.
    others: Vec<usize>,
}

impl Devices {
    /// The only one, if there are not several.
    pub fn only(&self) -> Option<DeviceRequest> {
        self.others.is_empty().then_some(self.first)
    }

    /// At most `n` of them, the first ones.
    pub fn at_most(&self, n: usize) -> Self {
        let others = self.others.iter().copied().take(n.saturating_sub(1)).collect();
        Self { first: self.first, others }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }
}

impl From<DeviceRequest> for Devices {
    fn from(first: DeviceRequest) -> Self {
        Self { first, others: Vec::new() }
    }
}

impl FromStr for Devices {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let Some((first, others)) = typed.strip_prefix("cuda:").and_then(|numbers| numbers.split_once(','))
        else {
            return typed.parse().map(DeviceRequest::into);
        };
        let number = |typed: &str| typed.parse().map_err(|_| EXPECTED.to_owned());
        let others = others.split(',').map(number).collect::<Result<_, _>>()?;
        Ok(Self { first: DeviceRequest::Cuda(number(first)?), others })
    }
}

const EXPECTED: &str = "expected auto, cpu, cuda, cuda:N or, for several GPUs, cuda:N,N";

/// A number format as asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// What suits the device.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// 32-bit floats, of which a GPU multiplies 19 bits: in all of the process, whose last loaded model decides.
    Tf32,
    /// 16-bit floats of IEEE 754.
    F16,
    /// 16-bit floats with the range of 32-bit ones.
    Bf16,
    /// The large matrices in blocks of small integers, multiplied as such: those of a quantised file, or 8 bits made of
    /// floats.
    Quantised,
}

impl Precision {
    /// What the large matrices are kept as. On a CPU integers are the fastest, and their word error rate over the models that
    /// were measured is within 0.1 % of f32's (README, "Model files").
    pub fn matrices(self, processor: Processor) -> Matrices {
        match (self, processor) {
            (Self::Quantised, _) | (Self::Auto, Processor::Cpu) => Matrices::Blocks,
            _ => Matrices::Floats,
        }
    }
}

/// Where the network will compute, in what, and what there is to say about it.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Where.
    pub device: Device,
    /// In what.
    pub dtype: DType,
    /// What is not as asked for.
    pub warnings: Vec<String>,
    /// What `auto` chose, where there was something to choose from.
    pub note: Option<String>,
}

/// Chooses for a model that needs so many bytes. With `auto`, a GPU without room for it gives way to the CPU.
pub fn choose(
    request: DeviceRequest,
    precision: Precision,
    needed: impl Fn(Processor, DType) -> u64,
) -> Choice {
    let (device, warning) = select(request);
    let (dtype, other_warning) = dtype(precision, &device);
    let warnings: Vec<_> = warning.into_iter().chain(other_warning).collect();
    let free = memory(&device).filter(|_| request == DeviceRequest::Auto);
    let Some(free) = free.map(|memory| memory.available) else {
        return Choice { device, dtype, warnings, note: None };
    };
    let needed = needed(Processor::Gpu, dtype);
    let (name, needs, free_words) = (dtype.as_str(), Bytes(needed), Bytes(free));
    if needed <= free {
        let note = format!("computing on the GPU in {name}: the model needs {needs}, {free_words} are free");
        return Choice { device, dtype, warnings, note: Some(note) };
    }
    let note =
        format!("the GPU has {free_words} free and the model needs {needs} in {name}; computing on the CPU");
    let (dtype, warning) = self::dtype(precision, &Device::Cpu);
    Choice { device: Device::Cpu, dtype, warnings: warning.into_iter().collect(), note: Some(note) }
}

/// [`choose`] for each of several devices. What can't be used is left out, with a warning; where nothing can, the CPU is chosen.
pub fn choose_all(
    devices: &Devices,
    precision: Precision,
    needed: impl Fn(Processor, DType) -> u64,
) -> Vec<Choice> {
    let (DeviceRequest::Cuda(first), [_, ..]) = (devices.first, devices.others.as_slice()) else {
        return vec![choose(devices.first, precision, needed)];
    };
    let mut choices: Vec<Choice> = Vec::new();
    let mut missing = Vec::new();
    let mut numbers = Vec::new();
    for number in std::iter::once(first).chain(devices.others.iter().copied()) {
        // One that is named twice computes two networks side by side, on a stream for each.
        let opened = if numbers.contains(&number) { cuda::open(number) } else { open(number) };
        numbers.push(number);
        match opened {
            Ok(device) => {
                let (dtype, warning) = dtype(precision, &device);
                let warnings = warning.into_iter().filter(|_| choices.is_empty()).collect();
                choices.push(Choice { device, dtype, warnings, note: None });
            }
            Err(why) => missing.push(why),
        }
    }
    match choices.first_mut() {
        Some(first) => {
            first.warnings.extend(missing.into_iter().map(|why| format!("{why}; the others do its work")))
        }
        None => {
            let (dtype, warning) = dtype(precision, &Device::Cpu);
            missing.truncate(1);
            let warnings = missing.into_iter().map(|why| format!("{why}; computing on the CPU"));
            let warnings = warnings.chain(warning).collect();
            choices.push(Choice { device: Device::Cpu, dtype, warnings, note: None });
        }
    }
    choices
}

/// The device asked for, or the CPU and why.
pub fn select(request: DeviceRequest) -> (Device, Option<String>) {
    let number = match request {
        DeviceRequest::Cpu => return (Device::Cpu, None),
        DeviceRequest::Auto if !cuda::BUILT => return (Device::Cpu, None),
        DeviceRequest::Auto => 0,
        DeviceRequest::Cuda(number) => number,
    };
    match open(number) {
        Ok(device) => (device, None),
        Err(why) => (Device::Cpu, Some(format!("{why}; computing on the CPU"))),
    }
}

/// The devices that a request allows, best first; the error is one line.
pub fn candidates(request: DeviceRequest) -> Result<Vec<Device>, String> {
    match request {
        DeviceRequest::Cpu => Ok(vec![Device::Cpu]),
        DeviceRequest::Cuda(number) => Ok(vec![open(number)?]),
        DeviceRequest::Auto if !cuda::BUILT => Ok(vec![Device::Cpu]),
        DeviceRequest::Auto => Ok(open(0).into_iter().chain([Device::Cpu]).collect()),
    }
}

/// Opens a CUDA device, or gives the one of this number that the process has open.
pub fn open(number: usize) -> Result<Device, String> {
    static OPEN: Mutex<BTreeMap<usize, Device>> = Mutex::new(BTreeMap::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = open.get(&number) {
        return Ok(device.clone());
    }
    let device = cuda::open(number)?;
    open.insert(number, device.clone());
    Ok(device)
}

/// A GPU's memory; `None` for the CPU and where the driver doesn't say.
pub fn memory(device: &Device) -> Option<Memory> {
    cuda::memory(device)
}

/// What kind of processor a device is.
pub fn processor(device: &Device) -> Processor {
    if device.is_cpu() { Processor::Cpu } else { Processor::Gpu }
}

/// Has GPUs multiply 32-bit floats as asked for, in this process.
pub fn multiply_as(precision: Precision) {
    candle_core::cuda::set_gemm_reduced_precision_f32(precision == Precision::Tf32);
}

/// The type to load weights in, and a word of warning where the device can't do what was asked for.
pub fn dtype(request: Precision, device: &Device) -> (DType, Option<String>) {
    let (asked, name) = match request {
        Precision::Auto | Precision::Quantised if device.is_cuda() => return (DType::F16, None),
        Precision::Auto | Precision::Quantised | Precision::F32 => return (DType::F32, None),
        Precision::Tf32 => (DType::F32, "TF32"),
        Precision::F16 => (DType::F16, "FP16"),
        Precision::Bf16 => (DType::BF16, "BF16"),
    };
    if device.is_cuda() {
        return (asked, None);
    }
    (DType::F32, Some(format!("{name} is not supported on CPU; using FP32 instead")))
}
