//! Which instructions the kernels use.

use std::sync::atomic::{AtomicU8, Ordering};

/// Instructions of x86-64, the more the later; every other processor has `Plain`, what it is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Those that every one has.
    Plain = 1,
    /// AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 F and BW besides.
    Avx512,
    /// AVX-512 VNNI besides, which products of integers use.
    Vnni,
}

/// 0 before it is known.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// What the kernels use: all that the processor has, unless [`limit`] said otherwise.
#[inline]
pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        0 => limit(Level::Vnni),
        1 => Level::Plain,
        2 => Level::Avx2,
        3 => Level::Avx512,
        _ => Level::Vnni,
    }
}

/// Makes the kernels use no more than this from now on, for tests and comparisons. -> what they use
pub fn limit(most: Level) -> Level {
    let level = detected().min(most);
    LEVEL.store(level as u8, Ordering::Relaxed);
    level
}

fn detected() -> Level {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
    {
        let widest = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        return match widest {
            true if is_x86_feature_detected!("avx512vnni") => Level::Vnni,
            true => Level::Avx512,
            false => Level::Avx2,
        };
    }
    Level::Plain
}
