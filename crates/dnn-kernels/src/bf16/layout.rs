//! Numbers as pairs.

use super::instructions::{Instructions, Kernel, Pairs};

/// Pairs of rows, each rounded: pair `k` has the numbers of the rows `2 k` and `2 k + 1`, or 0 beyond the last one.
///
/// # Shapes
/// | `from` | `to` |
/// |---|---|
/// | `rows` times `width` numbers, `step` apart | `rows / 2`, rounded up, times `to_step` pairs, those from `width` on 0 |
///
/// # Panics
/// If there are fewer numbers, or less room.
pub(crate) fn join_rows(
    instructions: Instructions,
    rows: Rows<'_>,
    to: &mut [u32],
    to_step: usize,
) {
    let Rows { from, count, width, step } = rows;
    if count == 0 {
        return;
    }
    assert!(from.len() >= (count - 1) * step + width, "fewer numbers than rows have");
    let rows = RowsAt { from: from.as_ptr(), count, width, step };
    // SAFETY: the lengths were checked above.
    unsafe { join_rows_at(instructions, rows, to, to_step) }
}

/// [`join_rows`] of rows behind a pointer.
///
/// # Safety
/// The rows exist.
///
/// # Panics
/// If there is less room.
pub(crate) unsafe fn join_rows_at(
    instructions: Instructions,
    rows: RowsAt,
    to: &mut [u32],
    to_step: usize,
) {
    assert!(rows.width <= to_step && to_step.is_multiple_of(16), "whole vectors of pairs");
    assert!(to.len() >= rows.count.div_ceil(2) * to_step, "room for fewer pairs");
    let kernel = JoinRows { rows, to: to.as_mut_ptr(), to_step };
    // SAFETY: the caller has the rows, and there is room for all pairs.
    unsafe { instructions.run(kernel) }
}

/// `count` rows of `width` numbers from here on, `step` apart.
#[derive(Clone, Copy)]
pub(crate) struct RowsAt {
    pub(crate) from: *const f32,
    pub(crate) count: usize,
    pub(crate) width: usize,
    pub(crate) step: usize,
}

/// `count` rows of `width` numbers, `step` apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) from: &'a [f32],
    pub(crate) count: usize,
    pub(crate) width: usize,
    pub(crate) step: usize,
}

struct JoinRows {
    rows: RowsAt,
    to: *mut u32,
    to_step: usize,
}

impl Kernel for JoinRows {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        let Self { rows: RowsAt { from, count, width, step }, to, to_step } = self;
        for pair in 0..count.div_ceil(2) {
            for at in (0..to_step).step_by(S::LANES) {
                let lanes = width.saturating_sub(at).min(S::LANES);
                // SAFETY: rows are read only where they have numbers, and there is room for whole vectors.
                unsafe {
                    let load = |row: usize| {
                        let from = from.wrapping_add(row * step + at);
                        match lanes {
                            lanes if row >= count || lanes == 0 => S::splat(0.0),
                            lanes if lanes == S::LANES => S::load(from),
                            lanes => S::load_part(from, lanes),
                        }
                    };
                    let pairs = S::join(load(2 * pair), load(2 * pair + 1));
                    S::store_pairs(to.add(pair * to_step + at), pairs);
                }
            }
        }
    }
}

/// Pairs of numbers that lie `apart`: pair `k` has the numbers `k` and `k + apart`.
///
/// # Panics
/// If there are not so many numbers more than pairs.
pub(crate) fn join_neighbours(
    instructions: Instructions,
    from: &[u16],
    apart: usize,
    to: &mut [u32],
) {
    assert!(from.len() >= to.len() + apart, "fewer numbers than pairs have");
    let kernel =
        JoinNeighbours { from: from.as_ptr(), apart, to: to.as_mut_ptr(), count: to.len() };
    // SAFETY: the lengths were checked above.
    unsafe { instructions.run(kernel) }
}

struct JoinNeighbours {
    from: *const u16,
    apart: usize,
    to: *mut u32,
    count: usize,
}

impl Kernel for JoinNeighbours {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        let Self { from, apart, to, count } = self;
        let mut at = 0;
        // SAFETY: numbers and room for pairs from `at` on, as many as are asked for.
        unsafe {
            while at + S::LANES <= count {
                let first = from.add(at);
                S::store_pairs(to.add(at), S::join_bits(first, first.add(apart)));
                at += S::LANES;
            }
            for at in at..count {
                let [first, second] = [at, at + apart].map(|at| u32::from(*from.add(at)));
                *to.add(at) = first | second << 16;
            }
        }
    }
}
