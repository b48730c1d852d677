//! Which instruction set runs a kernel.

use std::fmt;

use super::simd::{Portable, Simd};
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};

/// The instruction sets that kernels are compiled for. The same bits are promised on one of them, not
/// across them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            match self {
                Self::Avx512 => avx2 && is_x86_feature_detected!("avx512f"),
                Self::Avx2 => avx2,
                Self::Portable => true,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
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

/// A loop that is compiled once for each instruction set.
pub(super) trait Kernel {
    /// What it gives.
    type Output;

    /// Runs it.
    ///
    /// # Safety
    /// The processor has the instruction set, and the kernel's own pointers are good for what it says.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// Runs a kernel on an instruction set.
///
/// # Safety
/// The kernel's own pointers are good for what it says.
///
/// # Panics
/// If the processor has no such instructions.
#[inline]
pub(super) unsafe fn launch<K: Kernel>(path: KernelPath, kernel: K) -> K::Output {
    // Cheap beside any kernel: the standard library remembers what it found.
    assert!(path.exists(), "kernels for instructions that this processor does not have");
    // SAFETY: the instructions exist, and the caller vouches for the pointers.
    unsafe {
        match path {
            #[cfg(target_arch = "x86_64")]
            KernelPath::Avx512 => on_avx512(kernel),
            #[cfg(target_arch = "x86_64")]
            KernelPath::Avx2 => on_avx2(kernel),
            _ => kernel.run::<Portable>(),
        }
    }
}

/// # Safety
/// As of [`Kernel::run`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn on_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller's promises are passed on.
    unsafe { kernel.run::<Avx512>() }
}

/// # Safety
/// As of [`Kernel::run`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn on_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller's promises are passed on.
    unsafe { kernel.run::<Avx2>() }
}

/// A loop in plain Rust that is to be compiled for each instruction set.
///
/// Implementations mark [`run`](Self::run), and what it calls, as always inlined: what is not a part of the
/// caller is compiled for the least of all processors.
pub trait PlainLoop {
    /// What it gives.
    type Output;

    /// Runs it.
    fn run(self) -> Self::Output;
}

struct Plain<L>(L);

impl<L: PlainLoop> Kernel for Plain<L> {
    type Output = L::Output;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> L::Output {
        self.0.run()
    }
}

impl KernelPath {
    /// Runs a loop in plain Rust, compiled for these instructions; the bits are the same on all of them.
    #[inline]
    pub fn vectorized<L: PlainLoop>(self, work: L) -> L::Output {
        // SAFETY: there are no pointers.
        unsafe { launch(self, Plain(work)) }
    }
}
