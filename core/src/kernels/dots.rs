//! The scalar products of one vector with the rows of a small matrix, sixteen rows side by side: no sum goes across a register, and
//! each has the bits of [`dot`](super::dot).

use super::math::LANES;
use super::simd::{Simd, WIDTH};

/// A matrix (n, k) of floats, laid out once.
#[derive(Debug)]
pub(crate) struct Dots {
    k: usize,
    /// (n / 16, k, 16)
    panels: Vec<[f32; WIDTH]>,
}

impl Dots {
    /// rows: (n, k). `n` must be a multiple of 16 and `k` of 32.
    pub(crate) fn new(rows: &[f32], k: usize) -> Self {
        assert!(k.is_multiple_of(LANES) && rows.len().is_multiple_of(k * WIDTH), "{} of {k}", rows.len());
        let panels = rows.chunks_exact(k * WIDTH);
        let panels = panels.flat_map(|panel| (0..k).map(|at| std::array::from_fn(|row| panel[row * k + at])));
        Self { k, panels: panels.collect() }
    }

    /// x: (k), out: (n)
    pub(crate) fn of(&self, x: &[f32], out: &mut [f32]) {
        assert!(x.len() == self.k && out.len() * self.k == self.panels.len() * WIDTH, "{}", x.len());
        dots(&self.panels, x, out);
    }
}

/// In the order of `dot`: sums of sixteen lanes and of sixteen more, both added, and then halves to halves.
const LANES_OF_EIGHT: [usize; 8] = [0, 16, 8, 24, 4, 20, 12, 28];

/// Of sixteen rows, the sums over eight of the lanes, from this one on.
#[inline(always)]
fn eight<S: Simd>(panel: &[[[f32; WIDTH]; LANES]], x: &[[f32; LANES]], first: usize) -> S::V {
    let mut sums = [S::splat(0.0); 8];
    for (weights, x) in panel.iter().zip(x) {
        for (sum, lane) in sums.iter_mut().zip(LANES_OF_EIGHT) {
            *sum = S::mul_add(S::load(&weights[first + lane]), S::splat(x[first + lane]), *sum);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    S::add(S::add(S::add(a, b), S::add(c, d)), S::add(S::add(e, f), S::add(g, h)))
}

#[inline(always)]
fn dots_in<S: Simd>(panels: &[[f32; WIDTH]], x: &[f32], out: &mut [f32]) {
    let (out, _) = out.as_chunks_mut::<WIDTH>();
    let (x, _) = x.as_chunks::<LANES>();
    for (panel, out) in panels.chunks_exact(x.len() * LANES).zip(out) {
        let (panel, _) = panel.as_chunks::<LANES>();
        let even = S::add(eight::<S>(panel, x, 0), eight::<S>(panel, x, 2));
        let odd = S::add(eight::<S>(panel, x, 1), eight::<S>(panel, x, 3));
        S::store(S::add(even, odd), out);
    }
}

vectorised!(fn dots(panels: &[[f32; WIDTH]], x: &[f32], out: &mut [f32]) = dots_in::<S>);
