//! A pointer that threads write through, each to its own places.

/// Where results go.
#[derive(Debug)]
pub(super) struct SharedOut<T = f32>(*mut T);
// SAFETY: whoever makes one answers for what threads do with it, see the uses.
unsafe impl<T: Send> Sync for SharedOut<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for SharedOut<T> {}

impl<T> Clone for SharedOut<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SharedOut<T> {}

impl<T> SharedOut<T> {
    pub(super) fn new(out: *mut T) -> Self {
        Self(out)
    }

    /// # Safety
    /// `offset` must stay inside what this points to.
    pub(super) unsafe fn at(self, offset: usize) -> *mut T {
        // SAFETY: by this function's contract.
        unsafe { self.0.add(offset) }
    }
}
