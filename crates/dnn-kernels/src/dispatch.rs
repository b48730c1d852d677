//! Runs a kernel on an instruction set.
//!
//! A kernel is written once, over [`Simd`]. Each instruction set has one function here that the compiler makes
//! vectors of that set in, and a kernel is inlined into each of them:
//!
//! ```text
//! dispatch(path, kernel):
//!     refuse a path that the processor does not have
//!     AVX-512:  run::<Avx512> in a function compiled for avx512f, avx2, fma
//!     AVX2:     run::<Avx2>   in a function compiled for avx2, fma
//!     else:     run::<Portable>
//! ```

use crate::path::KernelPath;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};

/// A loop that is compiled once for each instruction set.
pub(crate) trait Kernel {
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
pub(crate) unsafe fn dispatch<K: Kernel>(path: KernelPath, kernel: K) -> K::Output {
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
///
/// # Examples
/// ```
/// use dnn_kernels::{KernelPath, PlainLoop};
///
/// /// Doubles numbers.
/// struct Double<'a>(&'a mut [f32]);
///
/// impl PlainLoop for Double<'_> {
///     type Output = ();
///
///     #[inline(always)]
///     fn run(self) {
///         self.0.iter_mut().for_each(|value| *value *= 2.0);
///     }
/// }
///
/// let mut values = [1.0, 2.5];
/// KernelPath::best().vectorized(Double(&mut values));
/// assert_eq!(values, [2.0, 5.0]);
/// ```
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
        unsafe { dispatch(self, Plain(work)) }
    }
}
