//! Keys and values of the tokens decoded so far, as a value owned by whoever decodes. Room for all positions is
//! made once; a step writes its position in place.

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::dims::ModelDimensions;

/// Self-attention cache of all layers. Rows are candidates, beams or windows.
#[derive(Debug, Default)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    len: usize,
}

/// One layer's keys and values, each (n_batch, capacity, n_state).
#[derive(Debug)]
pub struct LayerCache {
    k: Tensor,
    v: Tensor,
}

impl KvCache {
    /// An empty cache with room for `capacity` tokens in each of `n_batch` rows.
    ///
    /// # Errors
    /// If the device has no memory for it.
    pub fn new(
        dims: &ModelDimensions,
        n_batch: usize,
        capacity: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let shape = (n_batch, capacity, dims.n_state);
        let layers = (0..dims.n_text_layer)
            .map(|_| {
                let zeros = || Tensor::zeros(shape, dtype, device);
                Ok(LayerCache { k: zeros()?, v: zeros()? })
            })
            .collect::<Result<_>>()?;
        Ok(Self { layers, len: 0 })
    }

    /// Tokens in each row.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been decoded yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of all layers.
    pub fn size_in_bytes(&self) -> usize {
        let bytes = |t: &Tensor| t.elem_count() * t.dtype().size_in_bytes();
        self.layers.iter().map(|l| bytes(&l.k) + bytes(&l.v)).sum()
    }

    /// Tokens that a row has room for.
    pub fn capacity(&self) -> usize {
        self.layers.first().and_then(|layer| layer.k.dim(1).ok()).unwrap_or(0)
    }

    /// The cache of a layer.
    pub fn layer(&self, index: usize) -> &LayerCache {
        &self.layers[index]
    }

    /// Counts `n_new` tokens that every layer has been given.
    pub fn advance(&mut self, n_new: usize) {
        self.len += n_new;
    }

    /// Lets row `i` continue what row `source_rows[i]` has; with more sources than rows the cache grows.
    ///
    /// # Errors
    /// If a source is out of range or the device fails.
    pub fn reorder(&mut self, source_rows: &[usize]) -> Result<()> {
        let Some(first) = self.layers.first() else { return Ok(()) };
        let (n_batch, capacity, n_state) = first.k.dims3()?;
        let same_size = source_rows.len() == n_batch;
        if same_size && source_rows.iter().enumerate().all(|(i, &s)| i == s) {
            return Ok(());
        }
        let rows: Vec<u32> = source_rows.iter().map(|&row| row as u32).collect();
        let rows = Tensor::new(rows, first.k.device())?;
        for layer in &mut self.layers {
            for cached in [&mut layer.k, &mut layer.v] {
                let filled = cached.narrow(1, 0, self.len)?.contiguous()?.index_select(&rows, 0)?;
                if !same_size {
                    let shape = (source_rows.len(), capacity, n_state);
                    *cached = Tensor::zeros(shape, cached.dtype(), cached.device())?;
                }
                if self.len > 0 {
                    cached.slice_set(&filled, 1, 0)?;
                }
            }
        }
        Ok(())
    }
}

impl LayerCache {
    /// Keys and values, each (n_batch, capacity, n_state).
    pub fn tensors(&self) -> (&Tensor, &Tensor) {
        (&self.k, &self.v)
    }

    /// Writes new keys and values at `position` and gives all up to the last of them.
    ///
    /// k, v: (n_batch, n_new, n_state) -> (n_batch, position + n_new, n_state)
    ///
    /// # Errors
    /// If there is no room.
    pub fn append(&self, k: &Tensor, v: &Tensor, position: usize) -> Result<(Tensor, Tensor)> {
        let n_new = k.dim(1)?;
        if position + n_new > self.k.dim(1)? {
            bail!("the cache has room for {} tokens, not {}", self.k.dim(1)?, position + n_new);
        }
        let put = |cached: &Tensor, new: &Tensor| {
            cached.slice_set(&new.contiguous()?, 1, position)?;
            cached.narrow(1, 0, position + n_new)
        };
        Ok((put(&self.k, k)?, put(&self.v, v)?))
    }
}
