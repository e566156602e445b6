//! The flags that say which model computes, and where: of the main command, `align` and `live`.

use std::path::PathBuf;

use clap::ArgAction;

use super::values::Maybe;
use super::{BOOL, boolean};
use crate::device::{DeviceRequest, Devices, Precision};
use crate::locate::{BUNDLED, Location, locate};
use crate::options::BadUsage;

/// The model, the device and the number format.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// Name of a model in --model_dir or shipped with this program; a model's folder or file: safetensors, GGUF,
    /// whisper.cpp's ggml, faster-whisper's CTranslate2 or OpenAI's PyTorch; or a model of the Hugging Face hub, which is
    /// fetched once: a name that `models list` shows or OWNER/NAME, with @REVISION if wanted
    #[arg(long, default_value = BUNDLED, value_name = "NAME|PATH")]
    pub model: String,
    /// Folder in which named models are looked for first, each in a folder of its name
    #[arg(long = "model_dir", value_name = "FOLDER")]
    pub model_dir: Option<PathBuf>,
    /// Folder for models of the hub, shared with Python's huggingface_hub; HF_HUB_CACHE or ~/.cache/huggingface/hub
    /// unless given
    #[arg(long = "cache_dir", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
    /// Where to compute: auto, cpu, cuda or cuda:N; with several GPUs, as cuda:0,1, each has the model and takes the next
    /// recording
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: Devices,
    /// Number format to compute in; auto is quantised on the CPU and f16 on CUDA. With quantised the large matrices
    /// stay in the blocks of a quantised file, or become Q8_0, and integers are multiplied; f32 is exact; with tf32 a GPU
    /// multiplies f32 in less than all its bits
    #[arg(long, default_value = "auto")]
    pub dtype: Precision,
    /// True is --dtype f16, False is --dtype f32; on the CPU f16 becomes f32
    #[arg(long, value_name = BOOL, action = ArgAction::Set, value_parser = boolean(), ignore_case = true)]
    pub fp16: Option<bool>,
    /// Threads to compute with on the CPU; 0 for one per core
    #[arg(long, default_value = "0", value_name = "N", allow_negative_numbers = true)]
    pub threads: Maybe<usize>,
}

impl ModelArgs {
    /// Where the model is.
    ///
    /// # Errors
    /// If it is nowhere.
    pub fn location(&self) -> Result<Location, BadUsage> {
        locate(&self.model, self.model_dir.as_deref())
    }

    /// The number format, by whichever flag it was typed.
    ///
    /// # Errors
    /// If both flags are there and say different things.
    pub fn precision(&self) -> Result<Precision, BadUsage> {
        let Some(fp16) = self.fp16 else {
            return Ok(self.dtype);
        };
        let meant = if fp16 { Precision::F16 } else { Precision::F32 };
        if self.dtype != Precision::Auto && self.dtype != meant {
            return Err(BadUsage::new("`--fp16` and `--dtype` say different things"));
        }
        Ok(meant)
    }

    /// The device, for what can't be shared between several.
    ///
    /// # Errors
    /// If there are several; `what` says whose.
    pub fn only_device(&self, what: &str) -> Result<DeviceRequest, BadUsage> {
        self.device.only().ok_or_else(|| {
            BadUsage::new(format!("`{what}` computes on one device"))
                .hint("name one GPU, as in `--device cuda:0`")
        })
    }

    /// Threads to compute with; 0 for one per core.
    pub fn threads(&self) -> usize {
        self.threads.0.unwrap_or(0)
    }
}
