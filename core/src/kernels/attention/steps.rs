//! Attention on candle's operations: on devices without kernels, and in types that the kernels of a CPU do not know.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::Seen;

/// Keys and values one below the other, and how many of them each batch sees; a view where they lie so.
pub fn gathered(seen: &[Seen<'_>]) -> Result<(Tensor, Tensor, Vec<usize>)> {
    let Some(&first) = seen.first() else { bail!("attention: no keys") };
    let lens: Vec<usize> = seen.iter().map(|seen| seen.len).collect();
    let most = lens.iter().copied().max().unwrap_or(0);
    let beside = |(i, s): (usize, &Seen<'_>)| {
        s.k.id() == first.k.id() && s.v.id() == first.v.id() && s.batch == first.batch + i
    };
    if seen.iter().enumerate().all(beside) {
        let part = |x: &Tensor| x.narrow(0, first.batch, seen.len())?.narrow(1, 0, most);
        return Ok((part(first.k)?, part(first.v)?, lens));
    }
    let all = |of: fn(&Seen<'_>) -> Tensor| {
        let parts = seen.iter().map(|s| {
            let (x, rest) = (of(s), most - s.len);
            x.narrow(0, s.batch, 1)?.narrow(1, 0, s.len)?.pad_with_zeros(1, 0, rest)
        });
        Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)
    };
    Ok((all(|s| s.k.clone())?, all(|s| s.v.clone())?, lens))
}

/// Operation by operation. Batch `i` of the queries sees `lens[i]` keys; where they differ there is one query each.
pub fn attention_by_steps(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    n_head: usize,
    causal: bool,
    lens: &[usize],
) -> Result<Tensor> {
    let (b, t_q, n) = q.dims3()?;
    let t_k = k.dim(1)?;
    let heads = |x: &Tensor, t: usize| {
        x.reshape((b, t, n_head, n / n_head))?.transpose(1, 2)?.contiguous() // (n_batch, n_head, t, head_dim)
    };
    let (q, k, v) = (heads(q, t_q)?, heads(k, t_k)?, heads(v, t_k)?);
    let q = (q * ((n / n_head) as f64).powf(-0.5))?;
    let k = k.transpose(2, 3)?;
    // Bounds the scores to 2^26 values, 256 MB in f32.
    let block = ((1 << 26) / (b * n_head * t_k)).clamp(1, t_q);
    let mut out = Vec::with_capacity(t_q.div_ceil(block));
    for first in (0..t_q).step_by(block) {
        let rows = block.min(t_q - first);
        let mut scores = q.narrow(2, first, rows)?.contiguous()?.matmul(&k)?.to_dtype(DType::F32)?;
        if lens.iter().any(|&len| len < t_k) {
            if causal && t_q > 1 {
                bail!("attention: {t_q} queries each, and keys {lens:?}");
            }
            scores = scores.broadcast_add(&length_mask(lens, t_k, q.device())?)?;
        } else if causal && t_q > 1 {
            scores = scores.broadcast_add(&causal_mask(first, rows, t_q, t_k, q.device())?)?;
        }
        let weights = candle_nn::ops::softmax_last_dim(&scores)?.to_dtype(v.dtype())?;
        out.push(weights.matmul(&v)?);
    }
    Tensor::cat(&out, 2)?.transpose(1, 2)?.contiguous()?.reshape((b, t_q, n))
}

/// 0 where query `first + i` of `t_q` may see a key, -inf elsewhere. -> (rows, t_k)
fn causal_mask(first: usize, rows: usize, t_q: usize, t_k: usize, device: &Device) -> Result<Tensor> {
    let mask: Vec<f32> = (0..rows)
        .flat_map(|i| {
            let last = t_k - t_q + first + i;
            (0..t_k).map(move |j| if j <= last { 0.0 } else { f32::NEG_INFINITY })
        })
        .collect();
    Tensor::from_vec(mask, (rows, t_k), device)
}

/// 0 where a batch may see a key, -inf elsewhere. -> (n_batch, 1, 1, t_k)
fn length_mask(lens: &[usize], t_k: usize, device: &Device) -> Result<Tensor> {
    let row = |&len: &usize| (0..t_k).map(move |j| if j < len { 0.0 } else { f32::NEG_INFINITY });
    let mask: Vec<f32> = lens.iter().flat_map(row).collect();
    Tensor::from_vec(mask, (lens.len(), 1, 1, t_k), device)
}
