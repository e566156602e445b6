//! Safetensors through memory mapping. What has been copied out of the file is let go, so that the file is never in
//! memory beside the weights made from it.

use std::path::PathBuf;

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Error, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

/// The tensors of these files.
///
/// # Errors
/// If one can't be opened or is not a whole safetensors file.
///
/// # Safety
/// The files must stay as they are while they are loaded.
pub unsafe fn var_builder(paths: &[PathBuf], dtype: DType, device: &Device) -> Result<VarBuilder<'static>> {
    // SAFETY: by this function's contract.
    let files = unsafe { MmapedSafetensors::multi(paths)? };
    Ok(VarBuilder::from_backend(Box::new(Mapped(files)), dtype, device.clone()))
}

struct Mapped(MmapedSafetensors);

impl SimpleBackend for Mapped {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if *tensor.shape() == shape {
            return Ok(tensor);
        }
        let got = tensor.shape().clone();
        Err(Error::UnexpectedShape { msg: format!("tensor `{name}`"), expected: shape, got })
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = self.0.load(name, device)?;
        // The copy is whole: the mapped pages go before it becomes twice as large.
        release(self.0.get(name)?.data());
        tensor.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.contains_tensor(name)
    }
}

/// Takes the pages that hold these bytes out of the process; reading them again would bring them back.
#[cfg(unix)]
fn release(mapped: &[u8]) {
    // SAFETY: a question without arguments.
    let Ok(page) = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }) else { return };
    let range = mapped.as_ptr_range();
    let start = range.start as usize / page * page;
    let len = range.end as usize - start;
    // SAFETY: the pages are a file's, mapped to be read only: what is dropped is read again when it is needed.
    unsafe { libc::madvise(start as *mut libc::c_void, len, libc::MADV_DONTNEED) };
}

#[cfg(not(unix))]
fn release(_: &[u8]) {}
