//! ggml's blocks taken apart: integers of at most eight bits, a scale, and for some types a number that is added.
//!
//! `q · scale + offset`, in f32, is the number that candle and ggml make of a block, to the last bit.

use candle_core::quantized::GgmlDType;
use half::f16;

/// What one type's blocks are taken apart into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Numbers in a block of the file.
    pub numbers: usize,
    /// Bytes of a block of the file.
    pub bytes: usize,
    /// Numbers that share a scale.
    pub scale: usize,
    /// Whether something is added.
    pub offset: bool,
}

impl Shape {
    /// Of a type that this module knows.
    pub(super) fn of(dtype: GgmlDType) -> Option<Self> {
        let (scale, offset) = match dtype {
            GgmlDType::Q4_0 | GgmlDType::Q5_0 | GgmlDType::Q8_0 => (32, false),
            GgmlDType::Q4_1 | GgmlDType::Q5_1 | GgmlDType::Q4K | GgmlDType::Q5K => (32, true),
            GgmlDType::Q6K => (16, false),
            _ => return None,
        };
        Some(Self { numbers: dtype.block_size(), bytes: dtype.type_size(), scale, offset })
    }
}

/// Room for the numbers of a row and for what its scales are.
pub(super) struct Parts<'a> {
    pub q: &'a mut [i8],
    pub scales: &'a mut [f32],
    /// Untouched by types that add nothing.
    pub offsets: &'a mut [f32],
}

/// Takes one block apart. The parts are as long as [`Shape`] says.
pub(super) fn unpack(dtype: GgmlDType, block: &[u8], out: Parts<'_>) {
    let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
    match dtype {
        GgmlDType::Q8_0 => {
            out.scales[0] = half(0);
            out.q.iter_mut().zip(&block[2..]).for_each(|(q, &byte)| *q = byte as i8);
        }
        GgmlDType::Q4_0 | GgmlDType::Q5_0 => {
            out.scales[0] = half(0);
            let (zero, at) = if dtype == GgmlDType::Q4_0 { (8, 2) } else { (16, 6) };
            nibbles(out.q, &block[at..], zero, if zero == 16 { &block[2..6] } else { &[0; 4] });
        }
        GgmlDType::Q4_1 | GgmlDType::Q5_1 => {
            (out.scales[0], out.offsets[0]) = (half(0), half(2));
            match dtype {
                GgmlDType::Q4_1 => nibbles(out.q, &block[4..], 0, &[0; 4]),
                _ => nibbles(out.q, &block[8..], 0, &block[4..8]),
            }
        }
        GgmlDType::Q4K | GgmlDType::Q5K => {
            let (d, least) = (half(0), half(2));
            for i in 0..8 {
                let (scale, min) = scale_and_min(&block[4..16], i);
                (out.scales[i], out.offsets[i]) = (d * f32::from(scale), -(least * f32::from(min)));
            }
            let (high, low) = match dtype {
                GgmlDType::Q4K => (None, &block[16..]),
                _ => (Some(&block[16..48]), &block[48..]),
            };
            // Half of 64 numbers are the lower four bits of 32 bytes, half the upper ones.
            for (i, q) in out.q.iter_mut().enumerate() {
                let (part, at) = (i / 32, i % 32);
                let four = low[part / 2 * 32 + at] >> (4 * (part % 2)) & 15;
                let fifth = high.map_or(0, |high| (high[at] >> part & 1) << 4);
                *q = (four | fifth) as i8;
            }
        }
        // Q6K; `Shape::of` lets no other through.
        _ => {
            let (low, rest) = block.split_at(128);
            let (high, scales) = rest.split_at(64);
            let d = half(208);
            for (i, scale) in out.scales.iter_mut().enumerate() {
                *scale = d * f32::from(scales[i] as i8);
            }
            for (i, q) in out.q.iter_mut().enumerate() {
                let (side, part, at) = (i / 128, i / 32 % 4, i % 32);
                let four = low[side * 64 + part % 2 * 32 + at] >> (4 * (part / 2)) & 15;
                let two = high[side * 32 + at] >> (2 * part) & 3;
                *q = (four | two << 4) as i8 - 32;
            }
        }
    }
}

/// 32 numbers: the lower halves of 16 bytes, then the upper ones, each with its bit of `fifth` above.
fn nibbles(q: &mut [i8], bytes: &[u8], zero: i8, fifth: &[u8]) {
    for (i, q) in q.iter_mut().enumerate() {
        let four = bytes[i % 16] >> (4 * (i / 16)) & 15;
        let bit = fifth[i / 8] >> (i % 8) & 1;
        *q = (four | bit << 4) as i8 - zero;
    }
}

/// Eight scales and eight minima of six bits each in twelve bytes.
fn scale_and_min(packed: &[u8], i: usize) -> (u8, u8) {
    if i < 4 {
        (packed[i] & 63, packed[i + 4] & 63)
    } else {
        let upper = |at: usize| packed[at] >> 6 << 4;
        (packed[i + 4] & 15 | upper(i - 4), packed[i + 4] >> 4 | upper(i))
    }
}
