//! Which instructions the kernels use.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::{Error, Result};

/// Instructions, the more the later among those of one kind of processor; what WebAssembly is compiled for is `Plain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Those that every one has.
    Plain = 1,
    /// aarch64's vectors, which every one has.
    Neon,
    /// Its products of integers of eight bits besides (FEAT_DotProd).
    Dotprod,
    /// x86-64's AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 F and BW besides.
    Avx512,
    /// AVX-512 VNNI besides, which products of integers use.
    Vnni,
    /// AMX with bf16 and bytes besides, which products of many rows use, on Linux.
    Amx,
}

impl Level {
    /// All of them, in order.
    pub const ALL: [Self; 7] =
        [Self::Plain, Self::Neon, Self::Dotprod, Self::Avx2, Self::Avx512, Self::Vnni, Self::Amx];

    /// The level of this name.
    ///
    /// # Errors
    /// If there is none; the error names those there are.
    pub fn named(name: &str) -> Result<Self> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|level| level.name() == name);
        found.ok_or_else(|| Error::Options(format!("`{name}` is none of {}", names())))
    }

    /// Its name in small letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Neon => "neon",
            Self::Dotprod => "dotprod",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Vnni => "vnni",
            Self::Amx => "amx",
        }
    }

    /// Whether this processor has it.
    fn is_here(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            let avx512 = avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
            match self {
                Self::Plain => true,
                Self::Neon | Self::Dotprod => false,
                Self::Avx2 => avx2,
                Self::Avx512 => avx512,
                Self::Vnni => avx512 && is_x86_feature_detected!("avx512vnni"),
                Self::Amx => Self::Vnni.is_here() && may_use_amx(),
            }
        }
        #[cfg(target_arch = "aarch64")]
        match self {
            Self::Plain | Self::Neon => true,
            Self::Dotprod => std::arch::is_aarch64_feature_detected!("dotprod"),
            Self::Avx2 | Self::Avx512 | Self::Vnni | Self::Amx => false,
        }
        #[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
        {
            self == Self::Plain
        }
    }
}

/// Whether the processor has AMX with bf16 and bytes, and Linux lets this process use it.
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
fn may_use_amx() -> bool {
    /// Of `edx` in leaf 7: tiles, and products of bf16 and of bytes in them.
    const FEATURES: u32 = 1 << 24 | 1 << 22 | 1 << 25;
    /// Asks for a part of the processor's state that is large, and so is not everyone's.
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    let has = std::arch::x86_64::__cpuid_count(7, 0).edx & FEATURES == FEATURES;
    // SAFETY: it takes two numbers.
    has && unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) } == 0
}

#[cfg(all(target_arch = "x86_64", not(all(target_os = "linux", not(miri)))))]
fn may_use_amx() -> bool {
    false
}

/// 0 before it is known.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// What the kernels use: all that the processor has, unless [`limit`] said otherwise.
#[inline]
pub fn level() -> Level {
    match LEVEL.load(Ordering::Relaxed) {
        0 => limit(Level::Amx),
        1 => Level::Plain,
        2 => Level::Neon,
        3 => Level::Dotprod,
        4 => Level::Avx2,
        5 => Level::Avx512,
        6 => Level::Vnni,
        _ => Level::Amx,
    }
}

/// Makes the kernels use no more than this from now on, for tests and comparisons. -> what they use
pub fn limit(most: Level) -> Level {
    let level =
        Level::ALL.into_iter().rfind(|&level| level <= most && level.is_here()).unwrap_or(Level::Plain);
    LEVEL.store(level as u8, Ordering::Relaxed);
    level
}
