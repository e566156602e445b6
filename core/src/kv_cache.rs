//! Keys and values of the tokens decoded so far, as a value owned by whoever decodes. Room for all rows and positions is
//! made once; a step writes its positions in place. Rows may be of different lengths, leave, and be given to others.

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::dims::ModelDimensions;
use crate::kernels::{Seen, on_device};

/// Self-attention cache of all layers. Rows are candidates, beams or windows.
#[derive(Debug, Default)]
pub struct KvCache {
    layers: Vec<LayerCache>,
    /// Tokens in each row that is in use; they are the first of those there is room for.
    lens: Vec<usize>,
}

/// One layer's keys and values, each (rows there is room for, capacity, n_state).
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
        Ok(Self { layers, lens: vec![0; n_batch] })
    }

    /// Rows in use.
    pub fn n_batch(&self) -> usize {
        self.lens.len()
    }

    /// Tokens in each row.
    pub fn lens(&self) -> &[usize] {
        &self.lens
    }

    /// Tokens in the longest row.
    pub fn len(&self) -> usize {
        self.lens.iter().copied().max().unwrap_or(0)
    }

    /// Whether nothing has been decoded yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of all rows, if they are of one.
    pub fn common_len(&self) -> Option<usize> {
        let &first = self.lens.first()?;
        self.lens.iter().all(|&len| len == first).then_some(first)
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

    /// Counts `n_new` tokens that every layer has been given in each row.
    pub fn advance(&mut self, n_new: usize) {
        self.lens.iter_mut().for_each(|len| *len += n_new);
    }

    /// Lets row `i` continue what row `source_rows[i]` has. With fewer sources than rows the others leave; with more than
    /// there is room for the cache grows. Only what rows that change have is copied.
    ///
    /// # Errors
    /// If a source is out of range or the device fails.
    pub fn reorder(&mut self, source_rows: &[usize]) -> Result<()> {
        let n_batch = self.n_batch();
        if let Some(row) = source_rows.iter().find(|&&row| row >= n_batch) {
            bail!("the cache has {n_batch} rows, none is number {row}");
        }
        let lens: Vec<usize> = source_rows.iter().map(|&row| self.lens[row]).collect();
        let changed: Vec<(usize, usize)> =
            source_rows.iter().copied().enumerate().filter(|(i, row)| i != row).collect();
        let len = self.len();
        for layer in &mut self.layers {
            for cached in [&mut layer.k, &mut layer.v] {
                make_room(cached, source_rows.len())?;
                if len == 0 || changed.is_empty() {
                    continue;
                }
                if cached.device().is_cpu() {
                    in_turn(cached, &changed, &self.lens)?;
                    continue;
                }
                // All rows at once: each copy of its own is a kernel to be started.
                let rows: Vec<u32> = source_rows.iter().map(|&row| row as u32).collect();
                let rows = Tensor::new(rows, cached.device())?;
                let filled = cached.narrow(1, 0, len)?.contiguous()?;
                let filled = on_device(|| filled.index_select(&rows, 0))?;
                cached.narrow(0, 0, source_rows.len())?.slice_set(&filled, 1, 0)?;
            }
        }
        self.lens = lens;
        Ok(())
    }

    /// Puts row `sources[i]` of another cache, just after its prompt, where row `rows[i]` is, or after the last row. What
    /// was there is forgotten; of the other's rows only what is filled is copied. The cache grows if there is no room.
    ///
    /// # Errors
    /// If the other's rows are longer than this one's may be, there is no such row, the caches are of different networks or the device fails.
    pub fn put(&mut self, rows: &[usize], from: &Self, sources: &[usize]) -> Result<()> {
        let most = rows.iter().map(|row| row + 1).max().unwrap_or(0);
        for layer in &mut self.layers {
            make_room(&mut layer.k, most)?;
            make_room(&mut layer.v, most)?;
        }
        for (&row, &source) in rows.iter().zip(sources) {
            let Some(&len) = from.lens.get(source) else {
                bail!("the other cache has {} rows, none is number {source}", from.n_batch());
            };
            if row > self.lens.len() {
                bail!("row {row} of a cache that has {}", self.lens.len());
            }
            for (layer, other) in self.layers.iter().zip(&from.layers) {
                for (cached, other) in [(&layer.k, &other.k), (&layer.v, &other.v)] {
                    if len > 0 {
                        let filled = other.narrow(0, source, 1)?.narrow(1, 0, len)?;
                        cached.narrow(0, row, 1)?.slice_set(&filled, 1, 0)?;
                    }
                }
            }
            match self.lens.get_mut(row) {
                Some(place) => *place = len,
                None => self.lens.push(len),
            }
        }
        Ok(())
    }

    /// Lets all rows leave; their room stays.
    pub fn clear(&mut self) {
        self.lens.clear();
    }
}

/// Rows for `most` at least.
fn make_room(cached: &mut Tensor, most: usize) -> Result<()> {
    let (room, capacity, n_state) = cached.dims3()?;
    if most > room {
        let larger = Tensor::zeros((most, capacity, n_state), cached.dtype(), cached.device())?;
        larger.slice_set(cached, 0, 0)?;
        *cached = larger;
    }
    Ok(())
}

/// Copies the filled part of each source before any of them is written to. changed: (row, source)
fn in_turn(cached: &Tensor, changed: &[(usize, usize)], lens: &[usize]) -> Result<()> {
    let filled = |&(_, source): &(usize, usize)| {
        cached.narrow(0, source, 1)?.narrow(1, 0, lens[source])?.force_contiguous()
    };
    let parts: Vec<Tensor> = changed.iter().map(filled).collect::<Result<_>>()?;
    for (&(row, _), part) in changed.iter().zip(&parts) {
        if part.dim(1)? > 0 {
            cached.narrow(0, row, 1)?.slice_set(part, 1, 0)?;
        }
    }
    Ok(())
}

impl LayerCache {
    /// Keys of all rows there is room for, whether in use or not. (rows, capacity, n_state)
    pub fn k(&self) -> &Tensor {
        &self.k
    }

    /// Values, as [`LayerCache::k`].
    pub fn v(&self) -> &Tensor {
        &self.v
    }

    /// Writes new keys and values after the `lens[i]` tokens of each row `i`; rows of different lengths take one each.
    ///
    /// k, v: (n_batch, n_new, n_state)
    ///
    /// # Errors
    /// If there is no room, or rows of different lengths are given several.
    pub fn append(&self, k: &Tensor, v: &Tensor, lens: &[usize]) -> Result<()> {
        let ((n_batch, n_new, n_state), (room, capacity, _)) = (k.dims3()?, self.k.dims3()?);
        let (Some(&first), Some(&most)) = (lens.first(), lens.iter().max()) else { return Ok(()) };
        if n_batch != lens.len() || n_batch > room {
            bail!("the cache has {} rows, not {n_batch}", lens.len());
        }
        if most + n_new > capacity {
            bail!("the cache has room for {capacity} tokens, not {}", most + n_new);
        }
        let alike = lens.iter().all(|&len| len == first);
        if !alike && n_new != 1 {
            bail!("rows of different lengths take one token each, not {n_new}");
        }
        let at = match alike || k.device().is_cpu() {
            true => None,
            false => {
                let at: Vec<u32> = lens.iter().map(|&len| len as u32).collect();
                let at = Tensor::from_vec(at, (n_batch, 1, 1), k.device())?;
                Some(at.broadcast_as((n_batch, 1, n_state))?.contiguous()?)
            }
        };
        for (cached, new) in [(&self.k, k), (&self.v, v)] {
            let (cached, new) = (cached.narrow(0, 0, n_batch)?, new.contiguous()?);
            match &at {
                _ if alike => cached.slice_set(&new, 1, first)?,
                Some(at) => on_device(|| cached.scatter_set(at, &new, 1))?,
                None => {
                    for (row, &len) in lens.iter().enumerate() {
                        cached.narrow(0, row, 1)?.slice_set(&new.narrow(0, row, 1)?, 1, len)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What each row sees once it has `n_new` more tokens.
    pub(crate) fn seen(&self, lens: &[usize], n_new: usize) -> Vec<Seen<'_>> {
        let seen = |(batch, &len): (usize, &usize)| Seen { k: &self.k, v: &self.v, batch, len: len + n_new };
        lens.iter().enumerate().map(seen).collect()
    }
}
