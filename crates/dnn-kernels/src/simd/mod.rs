//! The vectors of each instruction set, and what they can do.
//!
//! One file for each set: a new one, such as NEON, implements [`Simd`] beside these, and gets a place in
//! [`KernelPath`](crate::KernelPath) and in [`dispatch`](crate::dispatch).

mod input;
mod portable;
mod vectors;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use self::input::Input;
pub(crate) use self::portable::Portable;
pub(crate) use self::vectors::{MOST_LANES, Simd};
#[cfg(target_arch = "x86_64")]
pub(crate) use self::x86::{Avx2, Avx512};
