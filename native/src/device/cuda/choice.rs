//! The next tokens, chosen on the GPU: of each row only they travel, not the logits.

use candle_core::cuda_backend::cudarc::driver::{CudaSlice, DevicePtr};
use candle_core::{CudaDevice, Result, Tensor, bail};
use candle_whisper_core::decoding::choice::{Chosen, Question};

use super::arguments::Choose;
use super::launch::{Grid, Kernels, address};

/// Tokens that no row samples, as they lie on the GPU.
#[derive(Default)]
pub struct Suppressed {
    tokens: Vec<u32>,
    bits: Option<CudaSlice<u32>>,
}

/// logits: (rows, n_vocab) -> each row's tokens, best first; `None` if the rules differ in what no row can be told apart by
///
/// # Errors
/// If the device fails.
pub fn choose(
    kernels: &Kernels,
    gpu: &CudaDevice,
    suppressed: &mut Suppressed,
    logits: &Tensor,
    question: &Question<'_>,
) -> Result<Option<Vec<Chosen>>> {
    let (n_rows, n_vocab) = logits.dims2()?;
    let timestamp_begin = question.rows.first().and_then(|rules| rules.timestamp_begin);
    if question.rows.iter().any(|rules| rules.timestamp_begin != timestamp_begin) {
        return Ok(None);
    }
    if n_rows != question.rows.len() || question.top == 0 || question.top > n_vocab {
        bail!("{} tokens of {} rows asked for of {n_rows}", question.top, question.rows.len());
    }
    let bits = suppressed.on(gpu, question.suppressed, n_vocab)?;
    // Begins of the rows' ranges, then the ranges: one journey.
    let mut words: Vec<i32> = Vec::with_capacity(8 * n_rows);
    let mut begin = 0;
    for rules in question.rows {
        words.push(begin);
        begin += rules.forbidden.len() as i32;
    }
    words.push(begin);
    if words.len() % 2 == 1 {
        words.push(0);
    }
    let first = words.len();
    let bound = |token: u32| token.min(n_vocab as u32) as i32;
    for range in question.rows.iter().flat_map(|rules| &rules.forbidden) {
        words.extend([bound(range.start), bound(range.end)]);
    }
    let stream = gpu.cuda_stream();
    let words = gpu.clone_htod(&words)?;
    let at = words.device_ptr(&stream).0;
    let n_chosen = n_rows * question.top;
    // Tokens, then log-probabilities.
    let chosen = gpu.alloc_zeros::<u32>(2 * n_chosen)?;
    let to = chosen.device_ptr(&stream).0;
    let args = Choose {
        logits: address(logits)?,
        suppressed: bits,
        ranges: at + 4 * first as u64,
        begins: at,
        tokens: to,
        logprobs: to + 4 * n_chosen as u64,
        n_vocab: n_vocab as i32,
        top: question.top as i32,
        timestamp_begin: timestamp_begin.map_or(n_vocab as i32, |begin| begin as i32),
    };
    // SAFETY: sizes are those of the tensors and slices, which outlive the copy back.
    unsafe { kernels.start(&stream, "choose", Grid::new(n_rows, 1, 1024), &args)? };
    let chosen = gpu.clone_dtoh(&chosen)?;
    let (tokens, logprobs) = chosen.split_at(n_chosen);
    let pairs = tokens.iter().zip(logprobs).map(|(&token, &bits)| (token, f32::from_bits(bits)));
    let mut rows = vec![Vec::with_capacity(question.top); n_rows];
    for (i, (token, logprob)) in pairs.enumerate() {
        // A row may have fewer tokens left than are asked for.
        if (token as usize) < n_vocab {
            rows[i / question.top].push((token, logprob));
        }
    }
    Ok(Some(rows))
}

impl Suppressed {
    /// Where the bits of these tokens are.
    fn on(&mut self, gpu: &CudaDevice, tokens: &[u32], n_vocab: usize) -> Result<u64> {
        let stream = gpu.cuda_stream();
        if let Some(bits) = self.bits.as_ref().filter(|_| self.tokens == tokens) {
            return Ok(bits.device_ptr(&stream).0);
        }
        let mut words = vec![0u32; n_vocab.div_ceil(32)];
        for &token in tokens {
            if let Some(word) = words.get_mut(token as usize / 32) {
                *word |= 1 << (token % 32);
            }
        }
        let bits = self.bits.insert(gpu.clone_htod(&words)?);
        self.tokens = tokens.to_vec();
        Ok(bits.device_ptr(&stream).0)
    }
}
