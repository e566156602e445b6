//! What a step writes to, where it finds the cache and the audio, and its recordings.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use candle_core::cuda_backend::cudarc::driver::{CudaGraph, CudaSlice, CudaStream, DevicePtr};
use candle_core::{CudaDevice, DType, Device, Result, Tensor};
use candle_whisper_core::model::Piece;

use super::decoder::{HEAD, Shape, splits};
use super::launch::said;

/// A step that can be replayed.
pub struct Recorded(pub CudaGraph);
// SAFETY: only used by whoever holds the lock on the state.
unsafe impl Send for Recorded {}

/// What a step writes to.
pub struct State {
    pub(super) room: usize,
    pub(super) x: Tensor,
    pub(super) normed: Tensor,
    pub(super) q: Tensor,
    pub(super) y: Tensor,
    pub(super) wide: Tensor,
    pub(super) partial: Tensor,
    pub(super) counter: Tensor,
    pub(super) row: CudaSlice<i32>,
    pub(super) caches: Table,
    pub(super) audio: Table,
    /// Those whose addresses `audio` has.
    pub(super) pieces: Vec<Weak<Piece>>,
    pub(super) graphs: HashMap<Shape, Recorded>,
    pub(super) recorder: Arc<CudaStream>,
}

/// Addresses in the memory of the GPU.
pub struct Table {
    host: Vec<u64>,
    device: CudaSlice<u64>,
}

impl Table {
    fn new(device: &CudaDevice) -> Result<Self> {
        Ok(Self { host: Vec::new(), device: device.alloc_zeros(1)? })
    }

    /// Puts these there; whether it had to move.
    ///
    /// # Errors
    /// If the device has no memory for them.
    pub fn set(&mut self, device: &CudaDevice, addresses: Vec<u64>) -> Result<bool> {
        if addresses == self.host {
            return Ok(false);
        }
        let moves = addresses.len() > self.device.len();
        if moves {
            self.device = device.alloc_zeros(addresses.len().next_power_of_two())?;
        }
        device.memcpy_htod(&addresses, &mut self.device)?;
        self.host = addresses;
        Ok(moves)
    }

    /// Where number `i` is.
    pub fn at(&self, stream: &Arc<CudaStream>, i: usize) -> u64 {
        self.device.device_ptr(stream).0 + 8 * i as u64
    }
}

impl State {
    /// For networks of this width and type, with room for a few rows.
    ///
    /// # Errors
    /// If the device has no memory for it.
    pub fn new(device: &CudaDevice, n: usize, dtype: DType) -> Result<Self> {
        let recorder = device.cuda_stream().context().new_stream().map_err(said)?;
        Self::sized(device, n, dtype, 64, recorder)
    }

    /// The same with room for so many rows.
    ///
    /// # Errors
    /// If the device has no memory for it.
    pub fn sized(
        gpu: &CudaDevice,
        n: usize,
        dtype: DType,
        room: usize,
        recorder: Arc<CudaStream>,
    ) -> Result<Self> {
        let device = Device::Cuda(gpu.clone());
        let of = |width: usize, dtype: DType| Tensor::zeros((room, width), dtype, &device);
        let n_head = n / HEAD;
        // As many splits as there may be of as many rows.
        let most = |rows: usize| rows * n_head * splits(rows.div_ceil(4) * n_head);
        let parts = (1..=room).map(most).max().unwrap_or(1) * (2 + HEAD);
        Ok(Self {
            room,
            x: of(n, DType::F32)?,
            normed: of(n, dtype)?,
            q: of(n, dtype)?,
            y: of(n, dtype)?,
            wide: of(4 * n, dtype)?,
            partial: Tensor::zeros(parts, DType::F32, &device)?,
            counter: Tensor::zeros(room * n_head, DType::U32, &device)?,
            row: gpu.alloc_zeros(4 * room)?,
            caches: Table::new(gpu)?,
            audio: Table::new(gpu)?,
            pieces: Vec::new(),
            graphs: HashMap::new(),
            recorder,
        })
    }
}
