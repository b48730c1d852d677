//! The instruction sets that kernels are compiled for, and which of them this processor has.

use std::fmt;

/// The instruction sets that kernels are compiled for. The same bits are promised on one of them, not
/// across them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelPath {
    /// AVX-512 of x86-64.
    Avx512,
    /// AVX2 with fused multiply-add of x86-64.
    Avx2,
    /// Whatever the compiler takes for granted.
    Portable,
}

impl KernelPath {
    /// Whether this processor has it.
    pub fn exists(self) -> bool {
        // Miri interprets the portable kernels, and no vector instructions.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            match self {
                Self::Avx512 => avx2 && is_x86_feature_detected!("avx512f"),
                Self::Avx2 => avx2,
                Self::Portable => true,
            }
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        {
            self == Self::Portable
        }
    }

    /// The fastest one that this processor has.
    pub fn best() -> Self {
        let all = [Self::Avx512, Self::Avx2];
        all.into_iter().find(|path| path.exists()).unwrap_or(Self::Portable)
    }

    /// All that this processor has.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Avx512, Self::Avx2, Self::Portable].into_iter().filter(|path| path.exists())
    }
}

impl fmt::Display for KernelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Avx512 => "avx512f",
            Self::Avx2 => "avx2+fma",
            Self::Portable => "portable",
        })
    }
}
