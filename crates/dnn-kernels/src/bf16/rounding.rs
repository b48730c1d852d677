//! All numbers of a slice from `f32` to bf16.

use super::instructions::{Instructions, Kernel, Pairs};
use super::number::to_bf16;

/// [`to_bf16`] of every number.
///
/// # Panics
/// If there is not as much room.
pub(crate) fn round(instructions: Instructions, from: &[f32], to: &mut [u16]) {
    assert_eq!(from.len(), to.len(), "room for other numbers");
    let kernel = Round { from: from.as_ptr(), count: from.len(), to: to.as_mut_ptr() };
    // SAFETY: there are as many numbers as there is room for.
    unsafe { instructions.run(kernel) }
}

struct Round {
    from: *const f32,
    count: usize,
    to: *mut u16,
}

impl Kernel for Round {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        let Self { from, count, to } = self;
        let mut at = 0;
        // SAFETY: numbers and room for them from `at` on, as many as are asked for.
        unsafe {
            while at + S::LANES <= count {
                S::store_rounded(to.add(at), S::load(from.add(at)));
                at += S::LANES;
            }
            for at in at..count {
                *to.add(at) = to_bf16(*from.add(at));
            }
        }
    }
}
