//! The unit's instructions, which the compiler does not know yet.

use std::arch::asm;

use super::Unit;

/// The processor's, for the thread that began with it.
pub(in super::super) struct Amx;

/// Eight tiles of sixteen rows with 64 bytes.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    none: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: Shapes = Shapes {
    palette: 1,
    start: 0,
    none: [0; 14],
    bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

// SAFETY of all below: whoever has one began with it, where the processor has it. The compiler uses these registers for nothing, so
// what is in them stays from one piece of assembler to the next.
impl Unit for Amx {
    #[inline(always)]
    unsafe fn begin() -> Self {
        // SAFETY: by this function's contract.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(readonly, nostack)) };
        Self
    }

    #[inline(always)]
    fn zero<const T: usize>(&mut self) {
        // SAFETY: above.
        unsafe { asm!("tilezero tmm{}", const T, options(nomem, nostack)) };
    }

    #[inline(always)]
    unsafe fn load_rows<const T: usize>(&mut self, from: *const u8, stride: usize) {
        // SAFETY: above, and this function's contract.
        unsafe {
            asm!(
                "tileloadd tmm{}, [{} + {}]",
                const T, in(reg) from, in(reg) stride,
                options(readonly, nostack)
            );
        }
    }

    #[inline(always)]
    fn add_bytes<const C: usize, const A: usize, const B: usize>(&mut self) {
        // SAFETY: above.
        unsafe { asm!("tdpbusd tmm{}, tmm{}, tmm{}", const C, const A, const B, options(nomem, nostack)) };
    }

    #[inline(always)]
    fn add<const C: usize, const A: usize, const B: usize>(&mut self) {
        // SAFETY: above.
        unsafe {
            asm!("tdpbf16ps tmm{}, tmm{}, tmm{}", const C, const A, const B, options(nomem, nostack));
        }
    }

    #[inline(always)]
    unsafe fn store<const T: usize>(&mut self, to: *mut f32, stride: usize) {
        // SAFETY: above, and this function's contract.
        unsafe {
            asm!(
                "tilestored [{} + {}], tmm{}",
                in(reg) to, in(reg) stride * size_of::<f32>(), const T,
                options(nostack)
            );
        }
    }
}

impl Drop for Amx {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: above. Threads whose tiles are empty are switched sooner.
        unsafe { asm!("tilerelease", options(nomem, nostack)) };
    }
}
