//! Panels made of what a file has.

use std::ops::Range;

use candle_core::{Result, bail};

use super::super::pack::{Part, Products, pack};
use super::super::simd::WIDTH;
use super::{MultipliedBy, Panels};

impl Panels {
    /// The rows of all parts, `k` numbers each, one part's after the other's. bias: (n), none counts as zero.
    ///
    /// # Errors
    /// If the bytes or the bias are not for so many rows, or floats are beside blocks.
    pub fn new(k: usize, parts: &[Part<'_>], bias: &[f32], products: Products) -> Result<Self> {
        Self::reading(k, parts, bias, products, &|_| ())
    }

    /// The same, telling `read` which rows are no longer needed, those of all parts one after the other: some megabytes at a time. The last
    /// of them may be after the end.
    ///
    /// # Errors
    /// As there.
    pub fn reading(
        k: usize,
        parts: &[Part<'_>],
        bias: &[f32],
        products: Products,
        read: &dyn Fn(Range<usize>),
    ) -> Result<Self> {
        let n: usize = parts.iter().map(|part| part.n).sum();
        if k == 0 || n == 0 || !(bias.is_empty() || bias.len() == n) {
            bail!("a matrix ({n}, {k}) with a bias of {}", bias.len());
        }
        let mut padded = bias.to_vec();
        padded.resize(n.next_multiple_of(WIDTH), 0.0);
        Ok(Self { n, k, matrix: pack(k, parts, products, read)?, by: MultipliedBy::Any, bias: padded })
    }

    /// The same where it is always multiplied by many rows, and seven products of its halves may be made for eight where that is faster.
    /// (With fewer rows what they give would depend on how many there are.)
    pub fn of_many_rows(self) -> Self {
        Self { by: MultipliedBy::Many, ..self }
    }

    /// The same where all numbers may be rounded to seven bits instead.
    pub fn rounded(self) -> Self {
        Self { by: MultipliedBy::ManyRounded, ..self }
    }
}
