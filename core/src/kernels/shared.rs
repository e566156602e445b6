//! A pointer that threads write through, each to its own places.

/// Where results go.
#[derive(Debug, Clone, Copy)]
pub(super) struct SharedOut(*mut f32);
// SAFETY: whoever makes one answers for what threads do with it, see the uses.
unsafe impl Sync for SharedOut {}
// SAFETY: as above.
unsafe impl Send for SharedOut {}

impl SharedOut {
    pub(super) fn new(out: *mut f32) -> Self {
        Self(out)
    }

    /// # Safety
    /// `offset` must stay inside what this points to.
    pub(super) unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: by this function's contract.
        unsafe { self.0.add(offset) }
    }
}
