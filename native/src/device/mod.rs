//! Where to compute, and in which number format. CUDA is an enabled/disabled pair of files, so that nothing else
//! asks how the program was built.

use std::str::FromStr;

use candle_core::{DType, Device};
use candle_whisper_core::weights::Matrices;
use clap::ValueEnum;

#[cfg(feature = "cuda")]
#[path = "cuda.rs"]
mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "no_cuda.rs"]
mod cuda;

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
        number.map(Self::Cuda).ok_or_else(|| "expected auto, cpu, cuda or cuda:N".into())
    }
}

/// A number format as asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// What suits the device.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// 16-bit floats of IEEE 754.
    F16,
    /// 16-bit floats with the range of 32-bit ones.
    Bf16,
    /// The large matrices in blocks of small integers: those of a quantised file, or 8 bits made of floats.
    Quantised,
}

impl Precision {
    /// What the large matrices are kept as.
    pub fn matrices(self) -> Matrices {
        if self == Self::Quantised { Matrices::Blocks } else { Matrices::Floats }
    }
}

/// The device asked for, or the CPU and why.
pub fn select(request: DeviceRequest) -> (Device, Option<String>) {
    let number = match request {
        DeviceRequest::Cpu => return (Device::Cpu, None),
        DeviceRequest::Auto if !cuda::BUILT => return (Device::Cpu, None),
        DeviceRequest::Auto => 0,
        DeviceRequest::Cuda(number) => number,
    };
    match cuda::open(number) {
        Ok(device) => (device, None),
        Err(why) => (Device::Cpu, Some(format!("{why}; computing on the CPU"))),
    }
}

/// The type to load weights in, `None` for the device's own choice, and a word of warning where the device
/// can't do what was asked for.
pub fn dtype(request: Precision, device: &Device) -> (Option<DType>, Option<String>) {
    let (asked, name) = match request {
        Precision::Auto | Precision::Quantised if device.is_cuda() => return (Some(DType::F16), None),
        Precision::Auto | Precision::Quantised => return (None, None),
        Precision::F32 => return (Some(DType::F32), None),
        Precision::F16 => (DType::F16, "FP16"),
        Precision::Bf16 => (DType::BF16, "BF16"),
    };
    if device.is_cuda() {
        return (Some(asked), None);
    }
    let warning = format!("{name} is not supported on CPU; using FP32 instead");
    (Some(DType::F32), Some(warning))
}
