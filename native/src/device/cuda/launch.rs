//! How kernels are found, started and told where their numbers are.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::{CudaContext, CudaFunction, CudaStream, DevicePtr, sys};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;
use candle_core::{DType, Result, Storage, Tensor, bail};
use half::{bf16, f16};

/// Machine code for several kinds of GPU, made by the build.
const KERNELS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernels.fatbin"));

/// Kernels before each other in the list may overlap from this compute capability on.
const OVERLAP_SINCE: (i32, i32) = (9, 0);

/// The kernels for networks of a type.
#[derive(Debug, Clone)]
pub struct Kernels {
    functions: Arc<HashMap<&'static str, CudaFunction>>,
    overlap: bool,
    /// Of two that wait, blocks of the one with the smaller number begin first.
    priority: i32,
}

/// Those there is one of for each type.
const NAMES: [&str; 24] = [
    "embed",
    "add_norm",
    "bias_gelu",
    "transpose",
    "columns",
    "flash",
    "scores",
    "attend_1",
    "attend_4",
    "qkv_1",
    "qkv_2",
    "qkv_4",
    "store_1",
    "store_2",
    "store_4",
    "gelu_1",
    "gelu_2",
    "gelu_4",
    "add_1",
    "add_2",
    "add_4",
    "floats_1",
    "floats_2",
    "floats_4",
];
/// The one for all types.
const CHOOSE: &str = "choose";
/// Those that may need more shared memory than is given without being asked for.
const LARGE: [&str; 3] = ["qkv_1", "store_1", "gelu_1"];
const MOST_SHARED: i32 = 64 << 10;

/// Threads of a block and blocks.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// Blocks in x, y and z.
    pub blocks: (usize, usize, usize),
    /// Threads of each.
    pub threads: usize,
    /// Bytes of shared memory of each.
    pub shared: usize,
}

impl Grid {
    /// Blocks in x and y, without shared memory.
    pub fn new(x: usize, y: usize, threads: usize) -> Self {
        Self { blocks: (x, y, 1), threads, shared: 0 }
    }
}

impl Kernels {
    /// Loads those for a type.
    ///
    /// # Errors
    /// If the driver doesn't take them.
    pub fn load(context: &Arc<CudaContext>, dtype: DType) -> Result<Self> {
        let module = context.load_module(Ptx::from_binary(KERNELS.to_vec())).map_err(said)?;
        let suffix = dtype.as_str();
        let mut functions = HashMap::new();
        for name in NAMES {
            let function = module.load_function(&format!("{name}_{suffix}")).map_err(said)?;
            if LARGE.contains(&name) {
                let attribute =
                    sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                function.set_attribute(attribute, MOST_SHARED).map_err(said)?;
            }
            functions.insert(name, function);
        }
        functions.insert(CHOOSE, module.load_function(CHOOSE).map_err(said)?);
        let overlap = context.compute_capability().map_err(said)? >= OVERLAP_SINCE;
        let mut priority = 0;
        // SAFETY: a number is written to each of these places, or none where it is null.
        unsafe { sys::cuCtxGetStreamPriorityRange(std::ptr::null_mut(), &raw mut priority) }
            .result()
            .map_err(said)?;
        Ok(Self { functions: functions.into(), overlap, priority })
    }

    /// The same ones, which let those of others go first.
    pub fn patient(&self) -> Self {
        Self { priority: 0, ..self.clone() }
    }

    /// Starts one with its argument. It may begin before the kernel started last on the stream has ended, if there is one.
    ///
    /// # Safety
    /// `args` must be what the kernel of this name takes, and its addresses must be those of as much memory as it says.
    ///
    /// # Errors
    /// If the device fails.
    pub unsafe fn start<A: Copy>(&self, stream: &CudaStream, name: &str, grid: Grid, args: &A) -> Result<()> {
        let Some(function) = self.functions.get(name) else { bail!("there is no kernel `{name}`") };
        let mut args = *args;
        let mut parameters = [(&raw mut args).cast::<c_void>()];
        // All zeros is a value of every kind of attribute.
        let mut attributes: [sys::CUlaunchAttribute; 2] = unsafe { std::mem::zeroed() };
        attributes[0].id = sys::CUlaunchAttributeID_enum::CU_LAUNCH_ATTRIBUTE_PRIORITY;
        attributes[0].value.priority = self.priority;
        attributes[1].id =
            sys::CUlaunchAttributeID_enum::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
        attributes[1].value.programmaticStreamSerializationAllowed = 1;
        let config = sys::CUlaunchConfig {
            gridDimX: grid.blocks.0 as u32,
            gridDimY: grid.blocks.1 as u32,
            gridDimZ: grid.blocks.2 as u32,
            blockDimX: grid.threads as u32,
            blockDimY: 1,
            blockDimZ: 1,
            sharedMemBytes: grid.shared as u32,
            hStream: stream.cu_stream(),
            attrs: attributes.as_mut_ptr(),
            numAttrs: 1 + u32::from(self.overlap),
        };
        let started = unsafe {
            sys::cuLaunchKernelEx(
                &config,
                function.cu_function(),
                parameters.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        started.result().map_err(|e| candle_core::Error::Msg(format!("kernel `{name}`: {e}")))
    }
}

/// An error of the driver as one of candle.
pub fn said(error: impl std::fmt::Display) -> candle_core::Error {
    candle_core::Error::Msg(error.to_string())
}

/// Where a tensor's first number is in the memory of a GPU. It stays there as long as there is a tensor of it.
///
/// # Errors
/// If its numbers are not one after the other, on a GPU.
pub fn address(tensor: &Tensor) -> Result<u64> {
    let (storage, layout) = tensor.storage_and_layout();
    let Some((from, _)) = layout.contiguous_offsets() else {
        bail!("a tensor of {:?} is not contiguous", layout.shape())
    };
    let Storage::Cuda(storage) = &*storage else { bail!("a tensor of {:?} is not on a GPU", layout.shape()) };
    let stream = storage.device.cuda_stream();
    let begin = match tensor.dtype() {
        DType::F16 => storage.as_cuda_slice::<f16>()?.device_ptr(&stream).0,
        DType::BF16 => storage.as_cuda_slice::<bf16>()?.device_ptr(&stream).0,
        DType::F32 => storage.as_cuda_slice::<f32>()?.device_ptr(&stream).0,
        DType::U32 => storage.as_cuda_slice::<u32>()?.device_ptr(&stream).0,
        DType::I64 => storage.as_cuda_slice::<i64>()?.device_ptr(&stream).0,
        other => bail!("no kernel knows numbers of type {}", other.as_str()),
    };
    Ok(begin + (from * tensor.dtype().size_in_bytes()) as u64)
}
