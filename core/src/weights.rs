//! The tensors of a checkpoint behind one handle that walks its tree of names, whatever file they come from.
//!
//! The file is opened by the caller; the network asks for a name and a shape and never learns the format.

use std::ops::Range;
use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use candle_nn::{LayerNorm, VarBuilder};
#[cfg(feature = "candle-transformers")]
use candle_transformers::quantized_var_builder::VarBuilder as QuantisedVarBuilder;

use crate::error::{Error, Result};
#[cfg(feature = "candle-transformers")]
use crate::kernels::Written;
use crate::kernels::{Panels, Part, Products, cast, on_device};
use crate::linear::Linear;
use crate::model::EPSILON;

pub mod arriving;
mod checkpoint;
mod ct2;
mod cursor;
mod format;
mod ggml;
mod gguf;
mod names;
mod pickle;
mod recipe;
mod safetensors;
mod stored;
mod torch;
pub mod write;

pub use checkpoint::{Bytes, Checkpoint};
pub use format::{Format, N_FIRST_BYTES};
pub use recipe::{Recipe, is_computed};
pub use stored::{Encoding, Stored};
pub use write::Planned;

/// A place in a checkpoint's tree of names, with the device and the type its tensors are loaded as.
#[derive(Clone)]
pub struct Weights {
    store: Store,
    path: String,
    matrices: Matrices,
    /// Whether what is loaded is always multiplied by many rows.
    many_rows: bool,
    dtype: DType,
    device: Device,
}

/// What the large matrices, those of linear layers and the token embedding, are in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Matrices {
    /// Floats, like everything else.
    #[default]
    Floats,
    /// Blocks of small integers: those of the file, or `Q8_0` made of its floats. They are multiplied as integers. On a
    /// CPU those of the file are kept in any case, but the kernels make of them the floats that they stand for.
    Blocks,
}

#[derive(Clone)]
enum Store {
    /// A file of any known format.
    File(Arc<Checkpoint>),
    Plain(VarBuilder<'static>),
    /// Blocks of small integers with a scale.
    #[cfg(feature = "candle-transformers")]
    Quantised(QuantisedVarBuilder),
}

impl Weights {
    /// Over safetensors, a NumPy file or whatever else a candle `VarBuilder` reads.
    pub fn from_var_builder(vb: VarBuilder<'static>) -> Self {
        let (dtype, device) = (vb.dtype(), vb.device().clone());
        Self::over(Store::Plain(vb), dtype, &device)
    }

    fn over(store: Store, dtype: DType, device: &Device) -> Self {
        let (path, device) = (String::new(), device.clone());
        Self { store, path, matrices: Matrices::Floats, many_rows: false, dtype, device }
    }

    /// Over the GGUF file of a model of candle-transformers, read to the CPU; its tensors become `dtype` on `device`.
    #[cfg(feature = "candle-transformers")]
    pub fn from_quantised(vb: QuantisedVarBuilder, dtype: DType, device: &Device) -> Self {
        Self::over(Store::Quantised(vb), dtype, device)
    }

    /// Over a checkpoint of any known format; its tensors become `dtype` on `device`.
    pub fn from_checkpoint(checkpoint: Arc<Checkpoint>, dtype: DType, device: &Device) -> Self {
        Self::over(Store::File(checkpoint), dtype, device)
    }

    /// The same with its large matrices kept so.
    #[must_use]
    pub fn with_matrices(self, matrices: Matrices) -> Self {
        Self { matrices, ..self }
    }

    /// The same for what is always multiplied by many rows.
    pub(crate) fn of_many_rows(&self) -> Self {
        Self { many_rows: true, ..self.clone() }
    }

    /// What the large matrices are kept as.
    pub fn matrices(&self) -> Matrices {
        self.matrices
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
            Store::File(checkpoint) => checkpoint.get(&name).is_some(),
            Store::Plain(vb) => vb.contains_tensor(&name),
            #[cfg(feature = "candle-transformers")]
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
                Store::File(checkpoint) => match checkpoint.get(&full) {
                    // Not read if it does not fit: its size is the file's word.
                    Some(stored) if stored.shape == shape => {
                        checkpoint.tensor(stored, self.dtype, &self.device)
                    }
                    Some(stored) => {
                        candle_core::bail!("it is {:?}, the configuration asks for {shape:?}", stored.shape)
                    }
                    None => candle_core::bail!("it is missing"),
                },
                Store::Plain(vb) => match vb.get(shape, &full) {
                    // Asked for without a shape, it comes with the one it has, which the message below names.
                    Err(error) => vb.get_unchecked_dtype(&full, self.dtype).map_err(|_| error),
                    found => found,
                },
                #[cfg(feature = "candle-transformers")]
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
        self.linears(n_in, &[(name, n_out, bias)])
    }

    /// Layers of the same input as one, their outputs side by side, each by (name, n_out, whether it has a bias); a
    /// missing bias counts as zero.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn linears(&self, n_in: usize, layers: &[(&str, usize, bool)]) -> Result<Linear> {
        if self.device.is_cpu() && self.dtype == DType::F32 {
            return self.panels(n_in, layers);
        }
        let one = |&(name, n_out, bias): &(&str, usize, bool)| {
            let here = self.pp(name);
            let bias = if bias { Some(here.tensor(&[n_out], "bias")?) } else { None };
            here.matrix(n_in, n_out, bias)
        };
        // Outside of it an error of this crate stays one.
        on_device(|| {
            Ok(match layers {
                [layer] => one(layer),
                layers => layers
                    .iter()
                    .map(one)
                    .collect::<Result<Vec<_>>>()
                    .and_then(|layers| Ok(Linear::fuse(&layers)?)),
            })
        })?
    }

    /// `{name}.weight` (n_vocab, n_state), from tokens to states and back to logits.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn embedding(&self, n_vocab: usize, n_state: usize, name: &str) -> Result<Linear> {
        self.linears(n_state, &[(name, n_vocab, false)])
    }

    /// As [`Weights::linears`], with the numbers that the file has.
    fn panels(&self, n_in: usize, layers: &[(&str, usize, bool)]) -> Result<Linear> {
        let (mut parts, mut biases) = (Vec::new(), Vec::new());
        for &(name, n_out, bias) in layers {
            let here = self.pp(name);
            parts.extend(self.parts(name, n_in, n_out)?);
            biases.resize(biases.len() + n_out, 0.0f32);
            if bias {
                let at = biases.len() - n_out;
                biases[at..].copy_from_slice(&here.tensor(&[n_out], "bias")?.to_vec1()?);
            }
        }
        let products = match self.matrices {
            Matrices::Floats => Products::Floats,
            Matrices::Blocks => Products::Integers,
        };
        if products.kept(parts.iter().map(|part| part.written), n_in).is_none() {
            // Floats beside blocks, or what the kernels do not know.
            parts.clear();
            for &(name, n_out, _) in layers {
                parts.push(Part::of(&self.pp(name).tensor(&[n_out, n_in], "weight")?)?);
            }
        }
        let panels = Panels::reading(n_in, &parts, &biases, products, &|rows| self.release(layers, rows));
        let panels = match (self.many_rows, self.matrices) {
            (true, Matrices::Floats) => panels.map(Panels::of_many_rows),
            (true, Matrices::Blocks) => panels.map(Panels::rounded),
            (false, _) => panels,
        };
        self.release(layers, 0..usize::MAX);
        Ok(Linear::of_panels(panels.map_err(|e| {
            let names: Vec<_> = layers.iter().map(|(name, ..)| self.pp(name).full("weight")).collect();
            Error::Weights(format!("tensor `{}`: {e}", names.join("`, `")))
        })?))
    }

    /// Says that these rows of the layers' weights, one layer's after the other's, will not be asked for again soon.
    fn release(&self, layers: &[(&str, usize, bool)], rows: Range<usize>) {
        let Store::File(checkpoint) = &self.store else { return };
        let mut first = 0;
        for &(name, n_out, _) in layers {
            let within = [rows.start, rows.end].map(|row| row.saturating_sub(first).min(n_out));
            first += n_out;
            let stored = checkpoint.get(&self.pp(name).full("weight"));
            if let Some(rows) = stored.and_then(|stored| stored.rows(within[0]..within[1])) {
                checkpoint.release(&rows);
            }
        }
    }

    /// The rows of `{name}.weight` (n_out, n_in) as they are written, or as they are to be.
    fn parts(&self, name: &str, n_in: usize, n_out: usize) -> Result<Vec<Part<'_>>> {
        let here = self.pp(name);
        let full = here.full("weight");
        let shape = [n_out, n_in];
        let parts = match &self.store {
            Store::File(checkpoint) => match checkpoint.get(&full) {
                Some(stored) if stored.shape == shape => checkpoint.parts(stored)?,
                _ => None,
            },
            #[cfg(feature = "candle-transformers")]
            Store::Quantised(vb) if here.contains("weight") => {
                let blocks = vb.get_no_shape(&full)?;
                match Encoding::of(blocks.dtype()) {
                    Encoding::Blocks(dtype) if blocks.shape().dims() == shape => {
                        let bytes = blocks.data()?.into_owned().into();
                        Some(vec![Part { n: n_out, written: Written::Blocks(dtype), bytes }])
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        match parts {
            Some(parts) => Ok(parts),
            None => Ok(vec![Part::of(&here.tensor(&shape, "weight")?)?]),
        }
    }

    /// `weight` (n_out, n_in) as floats or as blocks, on another device.
    fn matrix(&self, n_in: usize, n_out: usize, bias: Option<Tensor>) -> Result<Linear> {
        let whole_blocks = n_in.is_multiple_of(GgmlDType::Q8_0.block_size());
        if self.matrices == Matrices::Floats || !whole_blocks {
            return Ok(Linear::new(self.tensor(&[n_out, n_in], "weight")?, bias));
        }
        let found = match &self.store {
            Store::File(checkpoint) => match checkpoint.get(&self.full("weight")) {
                Some(stored) if stored.shape == [n_out, n_in] => checkpoint.blocks(stored, &self.device)?,
                _ => None,
            },
            _ => None,
        };
        let blocks = match found {
            Some(blocks) => blocks,
            None => {
                let here = Self { dtype: DType::F32, device: Device::Cpu, ..self.clone() };
                let floats = here.tensor(&[n_out, n_in], "weight")?;
                QTensor::quantize_onto(&floats, GgmlDType::Q8_0, &self.device)?
            }
        };
        Ok(Linear::of_blocks(Arc::new(blocks), bias))
    }

    /// `{name}.weight` and `{name}.bias`, both (n), with Whisper's epsilon.
    ///
    /// # Errors
    /// As [`Weights::tensor`].
    pub fn layer_norm(&self, n: usize, name: &str) -> Result<LayerNorm> {
        let here = self.pp(name);
        let f32 = |t: Tensor| cast(&t, DType::F32);
        Ok(LayerNorm::new(f32(here.tensor(&[n], "weight")?)?, f32(here.tensor(&[n], "bias")?)?, EPSILON))
    }

    fn full(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
