//! `x · wᵀ + b`, with what follows it in the network done in the same pass where the device allows.

use std::sync::Arc;

use candle_core::quantized::{QMatMul, QStorage, QTensor};
use candle_core::{DType, Module, Result, Tensor};

use crate::kernels::{Panels, cast, on_device};

/// A linear layer.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Weight,
    /// (n_out)
    bias: Option<Tensor>,
}

/// (n_out, n_in)
#[derive(Debug, Clone)]
enum Weight {
    Floats(Tensor),
    /// Laid out for the kernels of a CPU, with the bias.
    Panels(Arc<Panels>),
    /// Blocks of small integers with a scale, multiplied as they are by candle.
    Blocks(Arc<QTensor>),
}

impl Linear {
    /// weight: (n_out, n_in), bias: (n_out)
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight: Weight::Floats(weight), bias }
    }

    /// weight: (n_out, n_in), bias: (n_out)
    pub fn of_blocks(weight: Arc<QTensor>, bias: Option<Tensor>) -> Self {
        Self { weight: Weight::Blocks(weight), bias }
    }

    /// Weight and bias for the kernels of a CPU, in f32.
    pub fn of_panels(panels: Panels) -> Self {
        Self { weight: Weight::Panels(Arc::new(panels)), bias: None }
    }

    /// Layers of the same input as one, their outputs side by side; a missing bias counts as zero.
    ///
    /// # Errors
    /// If their inputs differ in size, or they are laid out for a CPU's kernels already.
    pub fn fuse(layers: &[Self]) -> Result<Self> {
        let Some(like) = layers.iter().find_map(|l| l.bias.as_ref()) else {
            candle_core::bail!("no layer has a bias");
        };
        let biases = layers
            .iter()
            .map(|l| match &l.bias {
                Some(bias) => Ok(bias.clone()),
                None => Tensor::zeros(l.weight.dims2()?.0, like.dtype(), like.device()),
            })
            .collect::<Result<Vec<_>>>()?;
        let weights: Vec<_> = layers.iter().map(|l| &l.weight).collect();
        Ok(Self { weight: Weight::stack(&weights, like.dtype())?, bias: Some(Tensor::cat(&biases, 0)?) })
    }

    /// The rows of the weight with these numbers. ids: (n) -> (n, n_in)
    ///
    /// # Errors
    /// If there is no such row.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        match &self.weight {
            Weight::Floats(weight) => on_device(|| weight.index_select(ids, 0)),
            Weight::Blocks(weight) => on_device(|| weight.embedding(ids)),
            Weight::Panels(panels) => panels.rows(ids),
        }
    }

    /// Whether a CPU multiplies integers for it.
    pub fn is_of_integers(&self) -> bool {
        matches!(&self.weight, Weight::Panels(panels) if panels.is_of_integers())
    }

    /// x: (…, n_in) -> (…, n_out)
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if let Weight::Panels(panels) = &self.weight {
            return panels.forward(x);
        }
        on_device(|| {
            let y = self.product(x)?;
            match &self.bias {
                Some(bias) => y.broadcast_add(bias),
                None => Ok(y),
            }
        })
    }

    /// The numbers of [`Linear::forward`] in f32; on a CPU without a tensor, out of which they would have to be copied.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn of_rows(&self, x: &Tensor) -> Result<Vec<f32>> {
        match &self.weight {
            Weight::Panels(panels) if x.dims().last() == Some(&panels.dims().1) => {
                Ok(panels.of_rows(&x.flatten_all()?.to_vec1()?))
            }
            _ => cast(&self.forward(x)?, DType::F32)?.flatten_all()?.to_vec1(),
        }
    }

    /// The exact GELU of [`Linear::forward`]. x: (…, n_in) -> (…, n_out)
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_gelu(&self, x: &Tensor) -> Result<Tensor> {
        match &self.weight {
            Weight::Panels(panels) => panels.forward_gelu(x),
            _ => on_device(|| self.forward(x)?.gelu_erf()),
        }
    }

    /// Adds [`Linear::forward`] to `residual`. x: (…, n_in), residual: (…, n_out) -> (…, n_out)
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_add(&self, x: &Tensor, residual: Tensor) -> Result<Tensor> {
        match &self.weight {
            Weight::Panels(panels) => panels.forward_add(x, residual),
            _ => on_device(|| residual + self.forward(x)?),
        }
    }

    fn product(&self, x: &Tensor) -> Result<Tensor> {
        let (n_out, n_in) = self.weight.dims2()?;
        let mut dims = x.dims().to_vec();
        let flat = x.reshape((x.elem_count() / n_in.max(1), n_in))?;
        let y = match &self.weight {
            Weight::Floats(weight) => flat.matmul(&weight.t()?)?,
            Weight::Panels(panels) => panels.forward(&flat)?,
            Weight::Blocks(weight) => {
                let flat = flat.to_dtype(DType::F32)?.contiguous()?;
                QMatMul::QTensor(weight.clone()).forward(&flat)?.to_dtype(x.dtype())?
            }
        };
        if let Some(last) = dims.last_mut() {
            *last = n_out;
        }
        y.reshape(dims)
    }
}

impl Weight {
    fn dims2(&self) -> Result<(usize, usize)> {
        match self {
            Self::Floats(weight) => weight.dims2(),
            Self::Blocks(weight) => weight.shape().dims2(),
            Self::Panels(panels) => Ok(panels.dims()),
        }
    }

    /// One matrix over the other; blocks of several types become floats.
    fn stack(weights: &[&Self], dtype: DType) -> Result<Self> {
        let blocks: Vec<_> = weights
            .iter()
            .filter_map(|weight| match weight {
                Self::Blocks(blocks) => Some(blocks),
                Self::Floats(_) | Self::Panels(_) => None,
            })
            .collect();
        if let Some(first) = blocks.first()
            && blocks.len() == weights.len()
            && blocks.iter().all(|b| b.dtype() == first.dtype())
        {
            let n_in = first.shape().dims2()?.1;
            let mut n_out = 0;
            let mut bytes = Vec::new();
            for part in &blocks {
                n_out += part.shape().dims2()?.0;
                bytes.extend_from_slice(&part.data()?);
            }
            let storage = QStorage::from_data(bytes.into(), &first.device(), first.dtype())?;
            return Ok(Self::Blocks(Arc::new(QTensor::new(storage, (n_out, n_in))?)));
        }
        let floats = weights
            .iter()
            .map(|weight| match weight {
                Self::Floats(weight) => Ok(weight.clone()),
                Self::Panels(_) => candle_core::bail!("layers in panels can't be fused"),
                Self::Blocks(blocks) => blocks.dequantize(&blocks.device())?.to_dtype(dtype),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self::Floats(Tensor::cat(&floats, 0)?))
    }
}
