//! The check that no number is NaN or infinite, over whole arrays.

use crate::dispatch::PlainLoop;
use crate::kernels::Number;
use crate::path::KernelPath;

/// Whether all of these numbers are finite.
pub fn all_finite<T: Number>(values: &[T]) -> bool {
    KernelPath::best().vectorized(AllFinite(values))
}

struct AllFinite<'a, T>(&'a [T]);

impl<T: Number> PlainLoop for AllFinite<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let mut finite = true;
        for value in self.0 {
            finite &= value.is_finite();
        }
        finite
    }
}
