//! Loops over pixels whose channels are units, compiled for vectors.

#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "a loop has to be a part of the function that is compiled for vectors"
)]

use dnn_core::Element;
use dnn_kernels::PlainLoop;

/// Units at a time: a vector, or several of them.
const LANES: usize = 16;

/// Number `i` of each; [`array::map`] is not always a part of the loop.
#[inline(always)]
fn each_at<B: Copy + Default, const N: usize>(by: &[&[B]; N], i: usize) -> [B; N] {
    let mut numbers = [B::default(); N];
    for n in 0..N {
        numbers[n] = by[n][i];
    }
    numbers
}

/// So many numbers of each from `start` on.
#[inline(always)]
fn part<'a, B, const N: usize>(by: &[&'a [B]; N], start: usize) -> [&'a [B]; N] {
    let mut parts = *by;
    for n in 0..N {
        parts[n] = &by[n][start..][..LANES];
    }
    parts
}

/// Adds up numbers over the pixels of a tile, unit by unit: those that `of` gives for two numbers of a pixel and some of
/// the unit.
pub(crate) struct SumOfPixels<'a, T, B, F, const N: usize, const S: usize> {
    pub(crate) first: &'a [T],
    pub(crate) second: &'a [T],
    pub(crate) by: [&'a [B]; N],
    pub(crate) of: F,
    /// The first sum of each unit, then the second one.
    pub(crate) sums: &'a mut [f64],
}

impl<T, B, F, const N: usize, const S: usize> PlainLoop for SumOfPixels<'_, T, B, F, N, S>
where
    T: Element,
    B: Copy + Default,
    F: Fn(T, T, [B; N]) -> [f64; S],
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { first, second, by, of, sums } = self;
        let units = sums.len() / S;
        let pixels = || first.chunks_exact(units).zip(second.chunks_exact(units));
        let whole = units - units % LANES;
        for start in (0..whole).step_by(LANES) {
            // In registers over all pixels.
            let mut of_units = [[0.0; LANES]; S];
            let by = part(&by, start);
            for (first, second) in pixels() {
                let (first, second) = (&first[start..][..LANES], &second[start..][..LANES]);
                for i in 0..LANES {
                    let numbers = of(first[i], second[i], each_at(&by, i));
                    for s in 0..S {
                        of_units[s][i] += numbers[s];
                    }
                }
            }
            for s in 0..S {
                let sums = &mut sums[s * units + start..][..LANES];
                sums.iter_mut().zip(of_units[s]).for_each(|(sum, of_unit)| *sum += of_unit);
            }
        }
        for (first, second) in pixels() {
            for unit in whole..units {
                let numbers = of(first[unit], second[unit], each_at(&by, unit));
                for s in 0..S {
                    sums[s * units + unit] += numbers[s];
                }
            }
        }
    }
}

/// Changes the numbers of the pixels of a tile to what `of` makes of each, of another array's number at the same place,
/// and of some numbers of the unit.
pub(crate) struct ChangePixels<'a, T, F, const N: usize> {
    pub(crate) numbers: &'a mut [T],
    pub(crate) other: &'a [T],
    pub(crate) by: [&'a [T]; N],
    pub(crate) of: F,
}

impl<T, F, const N: usize> PlainLoop for ChangePixels<'_, T, F, N>
where
    T: Element,
    F: Fn(T, T, [T; N]) -> T,
{
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { numbers, other, by, of } = self;
        let units = by[0].len();
        let whole = units - units % LANES;
        for (numbers, other) in numbers.chunks_exact_mut(units).zip(other.chunks_exact(units)) {
            for start in (0..whole).step_by(LANES) {
                let (numbers, other) = (&mut numbers[start..][..LANES], &other[start..][..LANES]);
                let by = part(&by, start);
                for i in 0..LANES {
                    numbers[i] = of(numbers[i], other[i], each_at(&by, i));
                }
            }
            for unit in whole..units {
                numbers[unit] = of(numbers[unit], other[unit], each_at(&by, unit));
            }
        }
    }
}
