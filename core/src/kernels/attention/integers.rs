//! Keys and values of a piece of audio as integers of eight bits, laid out for products of integers: every token reads
//! all of them, so they are made small once.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};

use super::super::integers::{Job, Rounded, piece};
use super::super::shared::SharedOut;
use super::super::simd::{MOST_ROWS, PAIRED, WIDTH};
use super::super::store::{Blocks, LONGEST_BLOCK};
use super::super::tile::{Rows, Then};
use super::super::{contiguous, math, pool};
use super::{Heads, scale};

/// Steps that share a scale.
const BLOCK: usize = LONGEST_BLOCK;
/// The largest integer.
const LARGEST: f32 = 127.0;

/// Keys and values of one piece of audio, by head.
#[derive(Debug)]
pub struct IntegerHeads {
    heads: Vec<Head>,
    /// Keys, and numbers of each head.
    len: usize,
    d: usize,
    /// Zeros, where products ask for a bias.
    bias: Vec<f32>,
}

/// One head's; zeros after the last key.
#[derive(Debug)]
struct Head {
    /// Keys by √d, a row each. (⌈len / 32⌉ · 32, d)
    k: Blocks<PAIRED>,
    /// Values, a row for each of their numbers. (d, ⌈len / 32⌉ · 32)
    v: Blocks<PAIRED>,
}

impl IntegerHeads {
    /// Whether heads of `d` numbers are whole blocks.
    pub fn fit(d: usize) -> bool {
        d > 0 && d.is_multiple_of(BLOCK)
    }

    /// k, v: (1, len, n_state), in f32, heads side by side, each of whole blocks: [`IntegerHeads::fit`]
    ///
    /// # Errors
    /// If the shapes do not fit, or they are not on a CPU.
    pub fn new(k: &Tensor, v: &Tensor, n_head: usize) -> Result<Self> {
        let (one, len, n) = k.dims3()?;
        if v.dims() != k.dims() || one != 1 || len == 0 || !n.is_multiple_of(n_head) || !Self::fit(n / n_head)
        {
            bail!("attention: k {:?}, v {:?}, {n_head} heads", k.shape(), v.shape());
        }
        let d = n / n_head;
        let ((k, l_k), (v, l_v)) = (k.storage_and_layout(), v.storage_and_layout());
        let (candle_core::Storage::Cpu(k), candle_core::Storage::Cpu(v)) = (&*k, &*v) else {
            bail!("attention: keys are not on a CPU");
        };
        let ((k, _), (v, _)) = (Heads::<f32>::new(k, l_k, n_head)?, Heads::<f32>::new(v, l_v, n_head)?);
        let padded = len.next_multiple_of(BLOCK);
        let mut heads: Vec<Head> =
            (0..n_head).map(|_| Head { k: empty(padded / WIDTH, d), v: empty(d / WIDTH, padded) }).collect();
        pool::each_chunk(&mut heads, 1, |heads, head| {
            for Head { k: to_k, v: to_v } in heads {
                round_keys(to_k, k.at(0, 0, head), len, d);
                round_values(to_v, v.at(0, 0, head), len, d);
            }
        });
        Ok(Self { heads, len, d, bias: vec![0.0; padded.max(d).next_multiple_of(WIDTH)] })
    }

    /// (len, n_state)
    pub fn dims(&self) -> (usize, usize) {
        (self.len, self.heads.len() * self.d)
    }

    /// The keys that these stand for. -> (1, len, n_state)
    ///
    /// # Errors
    /// Of candle.
    pub fn k(&self) -> Result<Tensor> {
        let heads = (0..self.heads.len()).map(|head| self.keys_of(head)).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&heads, 2)
    }

    /// One head's keys. -> (1, len, d)
    ///
    /// # Errors
    /// Of candle.
    pub fn keys_of(&self, head: usize) -> Result<Tensor> {
        let (k, scale) = (&self.heads[head].k, scale(self.d));
        let mut all = vec![0f32; self.len * self.d];
        for (row, to) in all.chunks_exact_mut(self.d).enumerate() {
            let (panel, lane) = (row / WIDTH, row % WIDTH);
            for (b, to) in to.chunks_exact_mut(BLOCK).enumerate() {
                let block = panel * self.d / BLOCK + b;
                let scale = k.scales[block][lane] / scale;
                let pairs =
                    k.values[block * BLOCK / 2..].iter().map(|pair| [pair[2 * lane], pair[2 * lane + 1]]);
                to.iter_mut().zip(pairs.flatten()).for_each(|(to, q)| *to = f32::from(q) * scale);
            }
        }
        Tensor::from_vec(all, (1, self.len, self.d), &Device::Cpu)
    }

    /// The values that these stand for. -> (1, len, n_state)
    ///
    /// # Errors
    /// Of candle.
    pub fn v(&self) -> Result<Tensor> {
        let (padded, n) = (self.len.next_multiple_of(BLOCK), self.heads.len() * self.d);
        let mut all = vec![0f32; self.len * n];
        for (h, head) in self.heads.iter().enumerate() {
            for e in 0..self.d {
                let column = all[h * self.d + e..].iter_mut().step_by(n);
                column.zip(head.v.row(e, padded)).for_each(|(to, from)| *to = from);
            }
        }
        Tensor::from_vec(all, (1, self.len, n), &Device::Cpu)
    }

    /// Numbers that [`IntegerHeads::attend`] needs room for.
    fn room(&self) -> usize {
        let padded = self.len.next_multiple_of(BLOCK);
        MOST_ROWS * padded + Rounded::room(MOST_ROWS, padded.max(self.d))
    }

    /// Softmax attention of up to [`MOST_ROWS`] queries of one head.
    ///
    /// # Safety
    /// `out` must be valid for `m` rows of d numbers, `stride` apart, and nobody else's.
    unsafe fn attend(
        &self,
        head: usize,
        q: Rows<'_>,
        m: usize,
        room: &mut [f32],
        out: *mut f32,
        stride: usize,
    ) {
        let (d, padded, head) = (self.d, self.len.next_multiple_of(BLOCK), &self.heads[head]);
        let (scores, room) = room.split_at_mut(MOST_ROWS * padded);
        fn job<'a>(x: Rounded<'a>, m: usize, n: usize, bias: &'a [f32]) -> Job<'a> {
            Job { x, rows: 0..m, part: 0..n.div_ceil(WIDTH), n, bias, then: Then::Set }
        }
        let rounded = Rounded::within(room, q, m, d, None);
        // SAFETY: there is room for so many rows.
        unsafe { piece(&head.k, job(rounded, m, padded, &self.bias), scores.as_mut_ptr(), padded) };
        let mut sums = [0f32; MOST_ROWS];
        for (row, sum) in scores.chunks_exact_mut(padded).zip(&mut sums).take(m) {
            let mut max = f32::NEG_INFINITY;
            math::softmax(&mut row[..self.len], &mut max, sum);
            row[self.len..].fill(0.0);
        }
        // The largest weight of softmax, before the sum is taken out, is one.
        let weights = Rows { values: scores, stride: padded };
        let rounded = Rounded::within(room, weights, m, padded, Some(1.0));
        // SAFETY: by this function's contract.
        unsafe { piece(&head.v, job(rounded, m, d, &self.bias), out, stride) };
        for (i, sum) in sums[..m].iter().enumerate() {
            // SAFETY: as above.
            let out = unsafe { std::slice::from_raw_parts_mut(out.add(i * stride), d) };
            out.iter_mut().for_each(|x| *x /= sum);
        }
    }
}

/// So many panels over so many steps, all zeros.
fn empty(panels: usize, steps: usize) -> Blocks<PAIRED> {
    Blocks {
        values: vec![[0; PAIRED]; panels * steps / 2],
        scales: vec![[0.0; WIDTH]; panels * steps / BLOCK],
        offsets: Vec::new(),
        block: BLOCK,
    }
}

fn round_keys(out: &mut Blocks<PAIRED>, k: Rows<'_>, len: usize, d: usize) {
    let scale = scale(d);
    for row in 0..len {
        let (panel, lane) = (row / WIDTH, row % WIDTH);
        for (b, x) in k.values[row * k.stride..][..d].as_chunks::<BLOCK>().0.iter().enumerate() {
            let block = panel * d / BLOCK + b;
            let mut q = [0i8; BLOCK];
            out.scales[block][lane] = round_block(x, &mut q) * scale;
            for (pair, q) in out.values[block * BLOCK / 2..][..BLOCK / 2].iter_mut().zip(q.as_chunks::<2>().0)
            {
                pair[2 * lane..2 * lane + 2].copy_from_slice(q);
            }
        }
    }
}

fn round_values(out: &mut Blocks<PAIRED>, v: Rows<'_>, len: usize, d: usize) {
    let padded = len.next_multiple_of(BLOCK);
    let mut numbers = [[0f32; WIDTH]; BLOCK];
    for panel in 0..d / WIDTH {
        for first in (0..len).step_by(BLOCK) {
            for (step, to) in numbers.iter_mut().enumerate() {
                match first + step < len {
                    true => {
                        to.copy_from_slice(&v.values[(first + step) * v.stride + panel * WIDTH..][..WIDTH])
                    }
                    false => to.fill(0.0),
                }
            }
            let block = (panel * padded + first) / BLOCK;
            let pairs = &mut out.values[block * BLOCK / 2..][..BLOCK / 2];
            round_columns(&numbers, pairs, &mut out.scales[block]);
        }
    }
}

#[inline(always)]
fn round_block_in(x: &[f32; BLOCK], q: &mut [i8; BLOCK]) -> f32 {
    let largest = math::max_abs(x);
    let inverse = inverse(largest);
    q.iter_mut().zip(x).for_each(|(q, x)| *q = math::rounded(x * inverse) as i8);
    largest / LARGEST
}

vectorised! {
    /// Rounds numbers to multiples of what it returns.
    fn round_block(x: &[f32; BLOCK], q: &mut [i8; BLOCK]) -> f32 = round_block_in
}

#[inline(always)]
fn round_columns_in(x: &[[f32; WIDTH]; BLOCK], pairs: &mut [[i8; PAIRED]], scales: &mut [f32; WIDTH]) {
    let mut largest = [0u32; WIDTH];
    for row in x {
        largest.iter_mut().zip(row).for_each(|(most, x)| *most = (*most).max(x.to_bits() & 0x7fff_ffff));
    }
    let mut inverses = [0f32; WIDTH];
    for ((scale, to), most) in scales.iter_mut().zip(&mut inverses).zip(largest) {
        let most = f32::from_bits(most);
        (*scale, *to) = (most / LARGEST, inverse(most));
    }
    for (pair, two) in pairs.iter_mut().zip(x.as_chunks::<2>().0) {
        for lane in 0..WIDTH {
            pair[2 * lane] = math::rounded(two[0][lane] * inverses[lane]) as i8;
            pair[2 * lane + 1] = math::rounded(two[1][lane] * inverses[lane]) as i8;
        }
    }
}

vectorised! {
    /// Rounds each column to multiples of its scale.
    fn round_columns(x: &[[f32; WIDTH]; BLOCK], pairs: &mut [[i8; PAIRED]], scales: &mut [f32; WIDTH])
        = round_columns_in
}

/// What the largest magnitude becomes [`LARGEST`] by; nothing by nothing. A NaN stays one: in the scale.
#[inline(always)]
fn inverse(largest: f32) -> f32 {
    if largest > 0.0 { (LARGEST / largest).min(f32::MAX) } else { 0.0 }
}

struct Attention<'a>(&'a [&'a IntegerHeads]);

impl CustomOp1 for Attention<'_> {
    fn name(&self) -> &'static str {
        "attention to integers"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let q = contiguous("attention", storage, layout)?;
        let (b, t_q, n) = layout.shape().dims3()?;
        let Self(pieces) = *self;
        let Some(&first) = pieces.first() else { bail!("attention: no keys") };
        if pieces.len() != b || pieces.iter().any(|piece| piece.dims().1 != n || piece.d != first.d) {
            bail!("attention: q {:?}, {} of keys with {:?}", layout.shape(), pieces.len(), first.dims());
        }
        let (d, n_head, parts) = (first.d, n / first.d, t_q.div_ceil(MOST_ROWS));
        let mut out = vec![0f32; b * t_q * n];
        let shared = SharedOut::new(out.as_mut_ptr());
        let room = pieces.iter().map(|piece| piece.room()).max().unwrap_or(0);
        pool::each_with(b * n_head * parts, room, |room, task| {
            let (i, head, part) = (task / (n_head * parts), task / parts % n_head, task % parts);
            let row = part * MOST_ROWS;
            let at = (i * t_q + row) * n + head * d;
            let q = Rows { values: &q[at..], stride: n };
            // SAFETY: tasks write disjoint places: their rows differ, or their columns do.
            unsafe { pieces[i].attend(head, q, MOST_ROWS.min(t_q - row), room, shared.at(at), n) }
        });
        Ok((CpuStorage::F32(out), (b, t_q, n).into()))
    }
}

/// Softmax attention of each batch of queries to all keys of its piece, queries and weights rounded to sixteen bits.
/// q: (n_batch, t_q, n_state), in f32 -> the same
///
/// # Errors
/// If the shapes do not fit.
pub fn attention_to_integers(q: &Tensor, pieces: &[&IntegerHeads]) -> Result<Tensor> {
    q.contiguous()?.apply_op1_no_bwd(&Attention(pieces))
}
