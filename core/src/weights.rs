//! The tensors of a checkpoint behind one handle that walks its tree of names, whatever file they come from.
//!
//! The file is opened by the caller; the network asks for a name and a shape and never learns the format.

use candle_core::{DType, Device, Tensor};
use candle_nn::{LayerNorm, VarBuilder};
use candle_transformers::quantized_var_builder::VarBuilder as QuantisedVarBuilder;

use crate::error::{Error, Result};
use crate::linear::Linear;

/// A place in a checkpoint's tree of names, with the device and the type its tensors are loaded as.
#[derive(Clone)]
pub struct Weights {
    store: Store,
    path: String,
    dtype: DType,
    device: Device,
}

#[derive(Clone)]
enum Store {
    Plain(VarBuilder<'static>),
    /// Blocks of small integers with a scale; dequantised when asked for.
    Quantised(QuantisedVarBuilder),
}

impl Weights {
    /// Over safetensors, a NumPy file or whatever else a candle `VarBuilder` reads.
    pub fn from_var_builder(vb: VarBuilder<'static>) -> Self {
        let (dtype, device) = (vb.dtype(), vb.device().clone());
        Self { store: Store::Plain(vb), path: String::new(), dtype, device }
    }

    /// Over a GGUF file read to the CPU; its tensors become `dtype` on `device`.
    pub fn from_quantised(vb: QuantisedVarBuilder, dtype: DType, device: &Device) -> Self {
        Self { store: Store::Quantised(vb), path: String::new(), dtype, device: device.clone() }
    }

    /// The place below this one called `name`.
    #[must_use]
    pub fn pp(&self, name: impl std::fmt::Display) -> Self {
        let path = if self.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.path) };
        Self { path, ..self.clone() }
    }

    /// Where the tensors are loaded to.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What the tensors are loaded as.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Whether there is a tensor of this name here.
    pub fn contains(&self, name: &str) -> bool {
        let name = self.full(name);
        match &self.store {
            Store::Plain(vb) => vb.contains_tensor(&name),
            Store::Quantised(vb) => vb.contains_key(&name),
        }
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// If it is missing or has another shape.
    pub fn tensor(&self, shape: &[usize], name: &str) -> Result<Tensor> {
        let full = self.full(name);
        if !self.contains(name) {
            return Err(Error::Weights(format!("there is no tensor `{full}`; is this a Whisper model?")));
        }
        let load = || -> candle_core::Result<Tensor> {
            match &self.store {
                Store::Plain(vb) => match vb.get(shape, &full) {
                    // Asked for without a shape, it comes with the one it has, which the message below names.
                    Err(error) => vb.get_unchecked_dtype(&full, self.dtype).map_err(|_| error),
                    found => found,
                },
                Store::Quantised(vb) => {
                    let tensor = vb.get_no_shape(&full)?.dequantize(&Device::Cpu)?;
                    tensor.to_dtype(self.dtype)?.to_device(&self.device)
                }
            }
        };
        let tensor = load().map_err(|e| Error::Weights(format!("tensor `{full}`: {e}")))?;
        if tensor.dims() != shape {
            return Err(Error::Weights(format!(
                "tensor `{full}` is {:?}, the configuration asks for {shape:?}",
                tensor.dims()
            )));
        }
        Ok(tensor)
    }

    /// `{name}.weight` (n_out, n_in), and with `bias` `{name}.bias` (n_out).
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn linear(&self, n_in: usize, n_out: usize, bias: bool, name: &str) -> Result<Linear> {
        let here = self.pp(name);
        let weight = here.tensor(&[n_out, n_in], "weight")?;
        let bias = if bias { Some(here.tensor(&[n_out], "bias")?) } else { None };
        Ok(Linear::new(weight, bias))
    }

    /// `{name}.weight` and `{name}.bias`, both (n), with Whisper's epsilon.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn layer_norm(&self, n: usize, name: &str) -> Result<LayerNorm> {
        let here = self.pp(name);
        let f32 = |t: Tensor| t.to_dtype(DType::F32);
        Ok(LayerNorm::new(f32(here.tensor(&[n], "weight")?)?, f32(here.tensor(&[n], "bias")?)?, 1e-5))
    }

    fn full(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
