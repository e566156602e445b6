//! Products on a matrix unit on processors that have none, for tests.

use super::super::amx;
#[cfg(target_arch = "x86_64")]
use super::super::narrow::{self, Bytes, Narrow};
use super::super::shared::SharedOut;
use super::super::tile::{Rows, Then};
use super::Panels;
#[cfg(target_arch = "x86_64")]
use super::{MANY, MultipliedBy};

impl Panels {
    /// [`Panels::forward`] of floats, or of bytes where these are what many rows are multiplied by, as on AMX, slowly on other
    /// processors: for tests. x: (m, k) -> (m, n)
    #[doc(hidden)]
    pub fn of_rows_on_tiles(&self, x: &[f32]) -> Option<Vec<f32>> {
        let (m, mut out) = (x.len() / self.k, vec![0.0; x.len() / self.k * self.n]);
        let (x, to) = (Rows { values: &x[..m * self.k], stride: self.k }, SharedOut::new(out.as_mut_ptr()));
        #[cfg(target_arch = "x86_64")]
        if m >= MANY && self.by == MultipliedBy::ManyRounded && narrow::fits(self.k) {
            let (w, x) = (Narrow::of(&self.matrix, self.n, self.k), Bytes::of(x, m, self.k));
            self.each_piece(m, |rows, part| {
                let at = rows.start * self.n;
                let job = narrow::Job { rows, part, bias: &self.bias, then: Then::Set };
                // SAFETY: pieces write disjoint places; there is room for m rows of n.
                unsafe { narrow::tiles::piece(&w, &x, job, to.at(at), self.n) }
            });
            return Some(out);
        }
        // SAFETY: there is room for m rows of n.
        unsafe { amx::product(self.factor()?, x, m, Then::Set, to, self.n) };
        Some(out)
    }
}
