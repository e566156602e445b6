//! `x · wᵀ + b`, with what follows it in the network done in the same pass where the device allows.

use candle_core::{Result, Tensor};

use crate::kernels;

/// A linear layer.
#[derive(Debug, Clone)]
pub struct Linear {
    /// (n_out, n_in)
    weight: Tensor,
    /// (n_out)
    bias: Option<Tensor>,
}

impl Linear {
    /// weight: (n_out, n_in), bias: (n_out)
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// Layers of the same input as one, their outputs side by side; a missing bias counts as zero.
    ///
    /// # Errors
    /// If their inputs differ in size.
    pub fn fuse(layers: &[Self]) -> Result<Self> {
        let weights: Vec<_> = layers.iter().map(|l| &l.weight).collect();
        let biases = layers
            .iter()
            .map(|l| match &l.bias {
                Some(bias) => Ok(bias.clone()),
                None => Tensor::zeros(l.weight.dim(0)?, l.weight.dtype(), l.weight.device()),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { weight: Tensor::cat(&weights, 0)?, bias: Some(Tensor::cat(&biases, 0)?) })
    }

    /// x: (…, n_in) -> (…, n_out)
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.product(x)?;
        match &self.bias {
            Some(bias) => kernels::add_bias(y, bias),
            None => Ok(y),
        }
    }

    /// The exact GELU of [`Linear::forward`]. x: (…, n_in) -> (…, n_out)
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_gelu(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.product(x)?;
        match &self.bias {
            Some(bias) => kernels::add_bias_gelu(y, bias),
            None => kernels::gelu(y),
        }
    }

    fn product(&self, x: &Tensor) -> Result<Tensor> {
        let (n_out, n_in) = self.weight.dims2()?;
        let mut dims = x.dims().to_vec();
        let rows = x.elem_count() / n_in.max(1);
        let flat = x.reshape((rows, n_in))?;
        let y = match kernels::few_rows(&flat, &self.weight)? {
            Some(y) => y,
            None => flat.matmul(&self.weight.t()?)?,
        };
        if let Some(last) = dims.last_mut() {
            *last = n_out;
        }
        y.reshape(dims)
    }
}
