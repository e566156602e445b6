//! Keys and values of a head laid out for tiles.

use super::super::simd::WIDTH;
use super::super::tile::Rows;
use super::few::Element;

/// What all heads have in common.
#[derive(Clone, Copy)]
pub(in super::super) struct Sizes {
    pub t_k: usize,
    pub d: usize,
    /// Keys that query 0 may see.
    pub visible: usize,
    pub causal: bool,
}

impl Sizes {
    pub fn visible(self, query: usize) -> usize {
        if self.causal { self.visible + query } else { self.t_k }
    }

    /// Values of one head's keys when they are laid out for tiles.
    pub fn keys(self) -> usize {
        self.t_k.next_multiple_of(WIDTH) * self.d
    }

    /// Keys and values.
    pub fn packed(self) -> usize {
        self.keys() + self.d.next_multiple_of(WIDTH) * self.t_k
    }
}

/// What products of queries and keys of `d` numbers are multiplied by: a weight of softmax is then a power of two.
pub(super) fn scale(d: usize) -> f32 {
    std::f32::consts::LOG2_E / (d as f32).sqrt()
}

/// Scaled keys as (⌈t_k / 16⌉, d, 16), then values as (⌈d / 16⌉, t_k, 16), zeros after the last of either.
///
/// # Safety
/// `out` must be valid for so many.
pub(super) unsafe fn pack<E: Element>(out: *mut [f32; WIDTH], k: Rows<'_, E>, v: Rows<'_, E>, s: Sizes) {
    let scale = scale(s.d);
    for j in 0..s.t_k.div_ceil(WIDTH) {
        let n = WIDTH.min(s.t_k - j * WIDTH);
        // Instead of those that are missing the last one, and then nothing of it.
        let rows: [&[E]; WIDTH] =
            std::array::from_fn(|i| &k.values[(j * WIDTH + i.min(n - 1)) * k.stride..][..s.d]);
        for step in 0..s.d {
            let mut keys = rows.map(|row| row[step].number() * scale);
            keys[n..].fill(0.0);
            // SAFETY: by this function's contract.
            unsafe { *out.add(j * s.d + step) = keys };
        }
    }
    for j in 0..s.d.div_ceil(WIDTH) {
        let columns = WIDTH.min(s.d - j * WIDTH);
        for row in 0..s.t_k {
            let from = &v.values[row * v.stride + j * WIDTH..][..columns];
            let mut to = [0.0; WIDTH];
            to.iter_mut().zip(from).for_each(|(to, from)| *to = from.number());
            // SAFETY: by this function's contract.
            unsafe { *out.add(s.keys() / WIDTH + j * s.t_k + row) = to };
        }
    }
}
