//! Products with a matrix in panels as operations on tensors.

use candle_core::{CpuStorage, CustomOp1, InplaceOp2, Layout, Result, Shape, bail};

use super::super::room::room;
use super::super::shared::SharedOut;
use super::super::tile::{Rows, Then};
use super::super::{contiguous, values_mut};
use super::Panels;

/// A product, as candle is asked for it.
pub(super) struct Product<'a> {
    pub panels: &'a Panels,
    pub then: Then,
}

impl Product<'_> {
    fn rows(&self, layout: &Layout) -> Result<usize> {
        match layout.dims().last() {
            Some(&k) if k == self.panels.k => Ok(layout.shape().elem_count() / k),
            _ => bail!("x is {:?}, w is {:?}", layout.shape(), self.panels.dims()),
        }
    }
}

impl CustomOp1 for Product<'_> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let m = self.rows(layout)?;
        let Panels { n, k, .. } = *self.panels;
        let x = Rows { values: contiguous("linear", storage, layout)?, stride: k };
        let mut out = room(m * n);
        // SAFETY: as in `Panels::of_rows`.
        unsafe {
            self.panels.product(x, m, self.then, SharedOut::new(out.as_mut_ptr()), n);
            out.set_len(m * n);
        }
        let mut dims = layout.dims().to_vec();
        dims.pop();
        dims.push(n);
        Ok((CpuStorage::F32(out), dims.into()))
    }
}

impl InplaceOp2 for Product<'_> {
    fn name(&self) -> &'static str {
        "linear-add"
    }

    fn cpu_fwd(&self, s1: &mut CpuStorage, l1: &Layout, s2: &CpuStorage, l2: &Layout) -> Result<()> {
        let m = self.rows(l2)?;
        let x = Rows { values: contiguous("linear-add", s2, l2)?, stride: self.panels.k };
        let out = values_mut("linear-add", s1, l1)?;
        if out.len() != m * self.panels.n {
            bail!("linear-add: {:?} to {:?}", l2.shape(), l1.shape());
        }
        // SAFETY: `out` is borrowed, and as long as was checked.
        unsafe { self.panels.product(x, m, self.then, SharedOut::new(out.as_mut_ptr()), self.panels.n) };
        Ok(())
    }
}
