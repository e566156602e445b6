//! The encoder: products by cuBLAS, everything between them in kernels of our own. The sum of the layers is kept in f32.

use std::ffi::c_void;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::cublas::{CudaBlas, result, sys};
use candle_core::cuda_backend::cudarc::driver::CudaStream;
use candle_core::{DType, Device, Result, Tensor};

use super::arguments::{AddNorm, BiasGelu, Columns, Flash, Transpose};
use super::launch::{Grid, Kernels, address, said};
use super::weights::{Block, Layer, Network, Norm};

/// What the encoder computes with.
pub struct Encoder<'a> {
    /// Ours.
    pub kernels: &'a Kernels,
    /// Where they run.
    pub stream: &'a Arc<CudaStream>,
    /// NVIDIA's.
    pub blas: &'a CudaBlas,
    /// The weights.
    pub network: &'a Network,
    /// What the network computes in.
    pub dtype: DType,
    /// Where.
    pub device: &'a Device,
    /// Heads.
    pub n_head: usize,
}

impl Encoder<'_> {
    /// mel: (n_audio, n_mels, frames) in the network's type -> (n_audio, ⌈frames / 2⌉, n_state)
    ///
    /// # Errors
    /// If the device fails.
    pub fn forward(&self, mel: &Tensor) -> Result<Tensor> {
        let (n_audio, n_mels, frames) = mel.dims3()?;
        let n = self.network.encoder_norm.weight.dim(0)?;
        let n_ctx = frames.div_ceil(2);
        let rows = n_audio * n_ctx;
        let x = self.room((n_audio, n_ctx, n), DType::F32)?;
        self.stem(mel, (n_audio, n_mels, frames), &x)?;
        let normed = self.room((rows, n), self.dtype)?;
        let y = self.room((rows, n), self.dtype)?;
        let wide = self.room((rows, 4 * n), self.dtype)?;
        let mut before: Option<(&Tensor, &Layer)> = None;
        for Block { attn, mlp, .. } in &self.network.encoder {
            self.add_norm(&x, before, &attn.norm, &normed)?;
            self.product(&normed, &attn.qkv.weight, &wide, rows)?;
            self.flash(&wide, attn.qkv.bias.clone(), &y, n_audio, n_ctx)?;
            self.product(&y, &attn.out.weight, &normed, rows)?;
            self.add_norm(&x, Some((&normed, &attn.out)), &mlp.norm, &y)?;
            self.product(&y, &mlp.fc1.weight, &wide, rows)?;
            self.bias_gelu(&wide, &mlp.fc1, None, (1, rows, 4 * n))?;
            self.product(&wide, &mlp.fc2.weight, &y, rows)?;
            before = Some((&y, &mlp.fc2));
        }
        let out = self.room((n_audio, n_ctx, n), self.dtype)?;
        self.add_norm(&x, before, &self.network.encoder_norm, &out)?;
        Ok(out)
    }

    /// A tensor whose numbers are written before they are read.
    pub fn room<S: Into<candle_core::Shape>>(&self, shape: S, dtype: DType) -> Result<Tensor> {
        // SAFETY: every caller has a kernel write all of it.
        unsafe { Tensor::empty(shape, dtype, self.device) }
    }

    /// The convolutions and the positions, into `x`.
    fn stem(&self, mel: &Tensor, (n_audio, n_mels, frames): (usize, usize, usize), x: &Tensor) -> Result<()> {
        let Network { conv1, conv2, audio_positions, .. } = self.network;
        let (n, n_ctx) = (x.dim(2)?, frames.div_ceil(2));
        let turned = self.room((n_audio, frames, n_mels), self.dtype)?;
        let (n_mels_i, frames_i) = (n_mels as i32, frames as i32);
        let args = Transpose { x: address(mel)?, out: address(&turned)?, n: n_mels_i, frames: frames_i };
        let blocks = (frames.div_ceil(32), n_mels.div_ceil(32), n_audio);
        // SAFETY: sizes are those of the tensors, here and below.
        unsafe {
            self.kernels.start(self.stream, "transpose", Grid { blocks, threads: 256, shared: 0 }, &args)?
        };
        let first = self.columns(&turned, n_audio, frames, n_mels, 1)?;
        let y = self.room((n_audio, frames, n), self.dtype)?;
        self.product(&first, &conv1.weight, &y, n_audio * frames)?;
        self.bias_gelu(&y, conv1, None, (1, n_audio * frames, n))?;
        let second = self.columns(&y, n_audio, frames, n, 2)?;
        let y = self.room((n_audio, n_ctx, n), self.dtype)?;
        self.product(&second, &conv2.weight, &y, n_audio * n_ctx)?;
        self.bias_gelu(&y, conv2, Some((audio_positions, x)), (n_audio, n_ctx, n))
    }

    /// x: (n_audio, frames, n) -> (n_audio, ⌈frames / stride⌉, 3 · n)
    fn columns(&self, x: &Tensor, n_audio: usize, frames: usize, n: usize, stride: usize) -> Result<Tensor> {
        let rows = frames.div_ceil(stride);
        let out = self.room((n_audio, rows, 3 * n), self.dtype)?;
        let args = Columns {
            x: address(x)?,
            out: address(&out)?,
            n: n as i32,
            frames: frames as i32,
            stride: stride as i32,
        };
        let grid = Grid::new((rows * 3 * n / 8).div_ceil(256), n_audio, 256);
        unsafe { self.kernels.start(self.stream, "columns", grid, &args)? };
        Ok(out)
    }

    /// x: (rows, n_in), weight: (n_out, n_in) -> out: (rows, n_out), at its beginning
    ///
    /// # Errors
    /// If the device fails.
    pub fn product(&self, x: &Tensor, weight: &Tensor, out: &Tensor, rows: usize) -> Result<()> {
        let (n_out, n_in) = weight.dims2()?;
        let kind = match self.dtype {
            DType::BF16 => sys::cudaDataType_t::CUDA_R_16BF,
            _ => sys::cudaDataType_t::CUDA_R_16F,
        };
        let (one, zero) = (1f32, 0f32);
        let at = |t: &Tensor| Ok::<_, candle_core::Error>(address(t)? as *mut c_void);
        // cuBLAS counts columns first: what are rows here are columns there.
        let done = unsafe {
            result::gemm_ex(
                *self.blas.handle(),
                sys::cublasOperation_t::CUBLAS_OP_T,
                sys::cublasOperation_t::CUBLAS_OP_N,
                n_out as i32,
                rows as i32,
                n_in as i32,
                (&raw const one).cast(),
                at(weight)?,
                kind,
                n_in as i32,
                at(x)?,
                kind,
                n_in as i32,
                (&raw const zero).cast(),
                at(out)?,
                kind,
                n_out as i32,
                sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
                sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
            )
        };
        done.map_err(said)
    }

    /// qkv: (n_audio, n_ctx, 3 · n_state), bias: (3 · n_state) -> out: (n_audio, n_ctx, n_state)
    fn flash(&self, qkv: &Tensor, bias: Tensor, out: &Tensor, n_audio: usize, n_ctx: usize) -> Result<()> {
        let n = bias.dim(0)? / 3;
        let args = Flash {
            qkv: address(qkv)?,
            q_bias: address(&bias)?,
            v_bias: address(&bias.narrow(0, 2 * n, n)?)?,
            out: address(out)?,
            n_ctx: n_ctx as i32,
            n_state: n as i32,
        };
        let grid = Grid { blocks: (n_ctx.div_ceil(128), self.n_head, n_audio), threads: 256, shared: 0 };
        unsafe { self.kernels.start(self.stream, "flash", grid, &args) }
    }

    /// x += add + its layer's bias; out = norm(x)
    fn add_norm(&self, x: &Tensor, add: Option<(&Tensor, &Layer)>, norm: &Norm, out: &Tensor) -> Result<()> {
        let n = norm.weight.dim(0)?;
        let rows = x.elem_count() / n;
        let args = AddNorm {
            x: address(x)?,
            add: add.map_or(Ok(0), |(add, _)| address(add))?,
            add_bias: add.map_or(Ok(0), |(_, layer)| address(&layer.bias))?,
            weight: address(&norm.weight)?,
            bias: address(&norm.bias)?,
            out: address(out)?,
            n: n as i32,
            rows: rows as i32,
        };
        unsafe { self.kernels.start(self.stream, "add_norm", Grid::new(rows.div_ceil(4), 1, 128), &args) }
    }

    /// x: (n_audio, rows, n) becomes gelu(x + bias), or with positions (rows, n) that and they go to a sum in f32.
    fn bias_gelu(
        &self,
        x: &Tensor,
        layer: &Layer,
        add: Option<(&Tensor, &Tensor)>,
        (n_audio, rows, n): (usize, usize, usize),
    ) -> Result<()> {
        let args = BiasGelu {
            x: address(x)?,
            bias: address(&layer.bias)?,
            positions: add.map_or(Ok(0), |(positions, _)| address(positions))?,
            sum: add.map_or(Ok(0), |(_, sum)| address(sum))?,
            n: n as i32,
            rows: rows as i32,
        };
        let grid = Grid::new((rows * n).div_ceil(2048), n_audio, 256);
        unsafe { self.kernels.start(self.stream, "bias_gelu", grid, &args) }
    }
}
