//! Quantising with a search: of the scales and offsets tried for a block, the one that errs least. The formats are
//! ggml's; rounding from the extremes alone, as is usual, errs by an eighth more on Whisper's token embedding.

use std::borrow::Cow;

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{DType, Device, Result, Tensor};
use half::f16;
use rayon::prelude::*;

/// Values per block.
const BLOCK: usize = 32;
/// Bytes of a Q5_1 block: scale and offset as f16, the fifth bits, the other four bits.
const Q5_1_BYTES: usize = 24;
/// The largest code of five bits.
const TOP: f32 = 31.0;

/// The tensor in Q5_1, codes 0 to 31 times a scale plus an offset. Its last dimension must be a multiple of 32.
///
/// # Errors
/// If the last dimension is not.
pub fn q5_1(tensor: &Tensor) -> Result<QTensor> {
    let values = tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    if !tensor.dims().last().is_some_and(|n| n.is_multiple_of(BLOCK)) {
        candle_core::bail!("rows of {:?} are not whole blocks of {BLOCK}", tensor.dims());
    }
    let mut bytes = vec![0; values.len() / BLOCK * Q5_1_BYTES];
    bytes
        .par_chunks_mut(Q5_1_BYTES)
        .zip(values.par_chunks(BLOCK))
        .for_each(|(bytes, values)| write(bytes, &best(values)));
    let storage = QStorage::from_data(Cow::Owned(bytes), &Device::Cpu, GgmlDType::Q5_1)?;
    QTensor::new(storage, tensor.dims())
}

#[derive(Debug, Clone, Copy)]
struct Block {
    scale: f16,
    offset: f16,
    codes: [u8; BLOCK],
    error: f32,
}

impl Block {
    fn new(values: &[f32], scale: f32, offset: f32) -> Self {
        let (scale, offset) = (f16::from_f32(scale), f16::from_f32(offset));
        let mut block = Self { scale, offset, codes: [0; BLOCK], error: 0.0 };
        let (scale, offset) = (scale.to_f32(), offset.to_f32());
        let inverse = if scale == 0.0 { 0.0 } else { scale.recip() };
        for (code, value) in block.codes.iter_mut().zip(values) {
            *code = ((value - offset) * inverse).round().clamp(0.0, TOP) as u8;
            block.error += (f32::from(*code) * scale + offset - value).powi(2);
        }
        block
    }

    /// The scale and offset that err least for these codes (least squares).
    fn fitted(&self, values: &[f32]) -> Option<(f32, f32)> {
        let n = BLOCK as f32;
        let (mut sum_q, mut sum_qq, mut sum_x, mut sum_qx) = (0f32, 0f32, 0f32, 0f32);
        for (&code, x) in self.codes.iter().zip(values) {
            let q = f32::from(code);
            sum_q += q;
            sum_qq += q * q;
            sum_x += x;
            sum_qx += q * x;
        }
        let determinant = n * sum_qq - sum_q * sum_q;
        if determinant <= 0.0 {
            return None;
        }
        let scale = (n * sum_qx - sum_q * sum_x) / determinant;
        Some((scale, (sum_x - scale * sum_q) / n))
    }
}

fn best(values: &[f32]) -> Block {
    let (low, high) = values.iter().fold((f32::MAX, f32::MIN), |(l, h), &x| (l.min(x), h.max(x)));
    let mut best = Block::new(values, (high - low) / TOP, low);
    // More steps between the extremes than there are codes: the ends are cut off, the rest is finer.
    for steps in (50..=68).map(|half_steps| half_steps as f32 / 2.0) {
        let scale = (high - low) / steps;
        for shift in [-0.5, -0.25, 0.0, 0.25, 0.5] {
            let mut block = Block::new(values, scale, low + shift * scale);
            if let Some((scale, offset)) = block.fitted(values) {
                let fitted = Block::new(values, scale, offset);
                if fitted.error < block.error {
                    block = fitted;
                }
            }
            if block.error < best.error {
                best = block;
            }
        }
    }
    best
}

/// As ggml lays it out: value i has its low bits in byte i % 16, the upper half of the block in the upper nibbles.
fn write(bytes: &mut [u8], block: &Block) {
    bytes[0..2].copy_from_slice(&block.scale.to_le_bytes());
    bytes[2..4].copy_from_slice(&block.offset.to_le_bytes());
    let mut fifth = 0u32;
    for (i, &code) in block.codes.iter().enumerate() {
        fifth |= u32::from(code >> 4) << i;
        bytes[8 + i % 16] |= (code & 15) << (i / 16 * 4);
    }
    bytes[4..8].copy_from_slice(&fifth.to_le_bytes());
}
