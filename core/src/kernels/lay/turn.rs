//! Sixteen rows to steps of sixteen numbers.

use super::WIDTH;

/// Writes sixteen rows of `len` numbers as `len` steps.
///
/// # Safety
/// `out` must be valid for them.
#[inline(always)]
pub(super) unsafe fn turn<T: Copy>(rows: &[impl AsRef<[T]>; WIDTH], len: usize, out: *mut [T; WIDTH]) {
    let rows = rows.each_ref().map(|row| &row.as_ref()[..len]);
    #[cfg(target_arch = "x86_64")]
    let done = if size_of::<T>() == 2 && !cfg!(miri) {
        let done = len / x86::EIGHT * x86::EIGHT;
        // SAFETY: by this function's contract; there are rows of as many numbers, of two bytes each.
        (0..done).step_by(x86::EIGHT).for_each(|step| unsafe {
            x86::turn_eight(rows.map(|row| row.as_ptr().add(step).cast()), out.add(step).cast());
        });
        done
    } else {
        0
    };
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    // SAFETY: by this function's contract.
    (done..len).for_each(|step| unsafe { *out.add(step) = std::array::from_fn(|i| rows[i][step]) });
}

/// What every x86-64 has.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::WIDTH;

    /// Numbers of two bytes in a vector.
    pub const EIGHT: usize = 8;

    /// Sixteen rows of eight to eight steps of sixteen: pairs of rows, of pairs and of fours beside each other.
    ///
    /// # Safety
    /// All must be valid for numbers of two bytes each, wherever they start.
    #[inline(always)]
    pub unsafe fn turn_eight(rows: [*const __m128i; WIDTH], out: *mut __m128i) {
        for half in 0..WIDTH / EIGHT {
            // SAFETY: by this function's contract.
            unsafe {
                let row = |i: usize| _mm_loadu_si128(rows[half * EIGHT + i]);
                // Of each pair of rows the first four steps, then the others.
                let two = [0, 2, 4, 6].map(|i| {
                    [_mm_unpacklo_epi16(row(i), row(i + 1)), _mm_unpackhi_epi16(row(i), row(i + 1))]
                });
                for steps in 0..2 {
                    let [a, b, c, d] = two.map(|two| two[steps]);
                    let low = [_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b)];
                    let high = [_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d)];
                    for (i, (low, high)) in low.into_iter().zip(high).enumerate() {
                        let to = out.add((4 * steps + 2 * i) * 2 + half);
                        _mm_storeu_si128(to, _mm_unpacklo_epi64(low, high));
                        _mm_storeu_si128(to.add(2), _mm_unpackhi_epi64(low, high));
                    }
                }
            }
        }
    }
}
