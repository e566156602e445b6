//! Room for many numbers, in pages of 2 MB where Linux has them: the processor then looks up fewer addresses, and the kernel is asked
//! for memory five hundred times less often. What that gains is in `tests/bench/results/kernels.md`.

/// An empty vector with room for `n`.
pub(crate) fn room<T>(n: usize) -> Vec<T> {
    let room = Vec::<T>::with_capacity(n);
    #[cfg(all(target_os = "linux", not(miri)))]
    ask(room.as_ptr().cast(), size_of::<T>() * n);
    room
}

#[cfg(all(target_os = "linux", not(miri)))]
fn ask(start: *const u8, len: usize) {
    /// Bytes from which it is worth asking: whatever lies at their ends, there is a large page within.
    const LARGE: usize = 4 << 20;
    /// Of the largest pages that the kernel itself hands out; addresses it is told must be multiples of one.
    const PAGE: usize = 1 << 16;
    if len < LARGE {
        return;
    }
    let skipped = start.addr().next_multiple_of(PAGE) - start.addr();
    let len = (len - skipped) / PAGE * PAGE;
    // SAFETY: the pages are inside of what was allocated, and keep what they hold. Where it is refused they stay small.
    unsafe { libc::madvise(start.add(skipped).cast_mut().cast(), len, libc::MADV_HUGEPAGE) };
}
