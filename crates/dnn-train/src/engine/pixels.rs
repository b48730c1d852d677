//! Loops over pixels whose channels are units, compiled for vectors.

#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "a loop has to be a part of the function that is compiled for vectors"
)]

use dnn_core::Element;
use dnn_kernels::PlainLoop;

/// What a gradient becomes: from itself, what was kept, and three numbers of the unit.
pub(crate) trait Rule<T>: Fn(T, T, [T; 3]) -> T + Sync {}

impl<T, F: Fn(T, T, [T; 3]) -> T + Sync> Rule<T> for F {}

/// Sums over the pixels of a tile, unit by unit.
pub(super) struct SumOfPixels<'a, T, F> {
    pub(super) first: &'a [T],
    pub(super) second: &'a [T],
    pub(super) by: &'a [f64],
    pub(super) of: &'a F,
    pub(super) sums: &'a mut [f64],
}

impl<T: Element, F: Fn(f64, f64, f64) -> [f64; 2]> PlainLoop for SumOfPixels<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { first, second, by, of, sums } = self;
        let units = by.len();
        let (of_first, of_second) = sums.split_at_mut(units);
        for (first, second) in first.chunks_exact(units).zip(second.chunks_exact(units)) {
            let (of_first, of_second) = (&mut of_first[..units], &mut of_second[..units]);
            for unit in 0..units {
                let [a, b] = of(first[unit].into(), second[unit].into(), by[unit]);
                of_first[unit] += a;
                of_second[unit] += b;
            }
        }
    }
}

/// Sets the gradients of the pixels of one example.
pub(super) struct SetPixels<'a, T, F> {
    pub(super) dx: &'a mut [T],
    pub(super) dz: &'a [T],
    pub(super) kept: &'a [T],
    pub(super) by: [&'a [T]; 3],
    pub(super) rule: &'a F,
}

impl<T: Element, F: Rule<T>> PlainLoop for SetPixels<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { dx, dz, kept, by, rule } = self;
        let units = by[0].len();
        let by = by.map(|by| &by[..units]);
        let pixels = dx.chunks_exact_mut(units).zip(dz.chunks_exact(units));
        for ((dx, dz), kept) in pixels.zip(kept.chunks_exact(units)) {
            for unit in 0..units {
                dx[unit] = rule(dz[unit], kept[unit], by.map(|by| by[unit]));
            }
        }
    }
}
