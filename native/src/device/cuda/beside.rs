//! Windows that are encoded while others are decoded. The one computes all the time and the other reads memory, so a GPU does both
//! in less time than one after the other; where both want to begin, decoding goes first.

use std::sync::{Arc, Weak};

use candle_core::cuda_backend::cudarc::cublas::CudaBlas;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, CudaStream};
use candle_core::{CudaDevice, Device, Result};
use candle_whisper_core::model::{AudioFeatures, Piece};

use super::launch::{Kernels, said};

/// A stream of its own, with all that is computed and kept there.
pub struct Beside {
    /// The same GPU with that stream.
    pub device: Device,
    /// The stream.
    pub stream: Arc<CudaStream>,
    /// NVIDIA's products on it.
    pub blas: Arc<CudaBlas>,
    /// Ours, which let those of decoding go first.
    pub kernels: Kernels,
    /// What may not be done yet.
    pending: Vec<Pending>,
}

struct Pending {
    pieces: Vec<Weak<Piece>>,
    done: CudaEvent,
}

impl Beside {
    /// On the GPU of this device.
    ///
    /// # Errors
    /// If it has no room for another stream.
    pub fn new(gpu: &CudaDevice, kernels: &Kernels) -> Result<Self> {
        let own = CudaDevice::new_with_stream(gpu.cuda_stream().context().ordinal())?;
        // SAFETY: what is made here is used here; decoding waits for it (`before`), and who drops a piece has read what came of it.
        unsafe { own.disable_event_tracking() };
        Ok(Self {
            stream: own.cuda_stream(),
            blas: own.cublas_handle(),
            device: Device::Cuda(own),
            kernels: kernels.patient(),
            pending: Vec::new(),
        })
    }

    /// What begins now comes after all that was begun on the other stream: weights are there, and memory of pieces that were
    /// dropped is no longer read.
    ///
    /// # Errors
    /// If the device fails.
    pub fn begin(&self, other: &CudaStream) -> Result<()> {
        self.stream.join(other).map_err(said)
    }

    /// These are what was begun last.
    ///
    /// # Errors
    /// If the device fails.
    pub fn begun(&mut self, features: &AudioFeatures) -> Result<()> {
        let pieces = features.pieces().iter().map(Arc::downgrade).collect();
        self.pending.push(Pending { pieces, done: self.stream.record_event(None).map_err(said)? });
        Ok(())
    }

    /// What begins on the other stream from now on comes after these pieces are encoded.
    ///
    /// # Errors
    /// If the device fails.
    pub fn before(&mut self, other: &CudaStream, pieces: &[Arc<Piece>]) -> Result<()> {
        let mut left = Vec::new();
        for pending in self.pending.drain(..) {
            let is_one =
                |piece: &Weak<Piece>| pieces.iter().any(|other| Arc::as_ptr(other) == piece.as_ptr());
            if pending.pieces.iter().any(is_one) {
                other.wait(&pending.done).map_err(said)?;
            } else if pending.pieces.iter().any(|piece| piece.strong_count() > 0) {
                left.push(pending);
            }
        }
        self.pending = left;
        Ok(())
    }
}
