//! Arrays that a rule updates, line by line; compiled once for all rules.

use dnn_core::Element;
use dnn_kernels::{join, prefetch};
use ndarray::{
    ArrayView, ArrayView1, ArrayView2, ArrayViewMut, ArrayViewMut1, ArrayViewMut2, Axis, Dimension,
};

/// Numbers of a parameter that one task updates: enough to be worth a task.
const CHUNK: usize = 1 << 16;

/// Rows that are fetched before it is their turn.
const AHEAD: usize = 2;

/// Numbers of a row from which on it is a line of its own.
const WIDE: usize = 256;

/// Numbers that are copied at a time where a row is not in one piece.
const COPIED: usize = 64;

/// What an optimiser remembers of one array, in its shape; what it has no use for is `None`.
pub(crate) type Memory<'a, T> = [Option<ArrayViewMut2<'a, T>>; 2];

/// Cuts all that there is in two.
pub(crate) fn split_memory<T>(memory: Memory<'_, T>, axis: Axis, at: usize) -> [Memory<'_, T>; 2] {
    let [first, second] = memory;
    let (first, other_first) = first.map(|it| it.split_at(axis, at)).unzip();
    let (second, other_second) = second.map(|it| it.split_at(axis, at)).unzip();
    [[first, second], [other_first, other_second]]
}

/// Numbers that are updated together, each in one piece; memory that there is none of is empty.
pub(super) struct Line<'a, T> {
    pub(super) parameter: &'a mut [T],
    pub(super) gradient: &'a [T],
    pub(super) memory: [&'a mut [T]; 2],
}

/// What updates a line; false if a number is not finite then.
pub(super) type Rule<'r, T> = &'r (dyn Fn(Line<'_, T>) -> bool + Sync);

/// An array, its gradient, and what is remembered of it.
pub(super) struct Arrays<'a, T> {
    pub(super) parameter: ArrayViewMut2<'a, T>,
    pub(super) gradient: ArrayView2<'a, T>,
    pub(super) memory: Memory<'a, T>,
}

impl<T: Element> Arrays<'_, T> {
    /// Updates all numbers, in parallel; false if one stopped being finite.
    pub(super) fn update(self, rule: Rule<'_, T>) -> bool {
        let (rows, columns) = self.parameter.dim();
        if rows < 2 || rows * columns <= CHUNK {
            return self.update_block(rule);
        }
        let (upper, lower) = self.parameter.split_at(Axis(0), rows / 2);
        let (upper_gradient, lower_gradient) = self.gradient.split_at(Axis(0), rows / 2);
        let [upper_memory, lower_memory] = split_memory(self.memory, Axis(0), rows / 2);
        let upper = Arrays { parameter: upper, gradient: upper_gradient, memory: upper_memory };
        let lower = Arrays { parameter: lower, gradient: lower_gradient, memory: lower_memory };
        let (first, second) = join(|| upper.update(rule), || lower.update(rule));
        first && second
    }

    /// The same in the present thread.
    pub(super) fn update_block(self, rule: Rule<'_, T>) -> bool {
        // Lines are rows; a bias is a single column.
        let turns = self.gradient.ncols() == 1;
        let gradient = if turns { self.gradient.reversed_axes() } else { self.gradient };
        let mut parameter = turned(self.parameter, turns);
        let [first, second] = self.memory;
        let mut first = first.map(|it| turned(it, turns));
        let mut second = second.map(|it| turned(it, turns));
        if gradient.ncols() < WIDE {
            let of_first = first.as_mut().map(|it| it.view_mut());
            let mut memory = [of_first, second.as_mut().map(|it| it.view_mut())];
            if let Some(line) = line(&mut parameter, &gradient, &mut memory) {
                return rule(line);
            }
        }
        let mut finite = true;
        for row in 0..gradient.nrows() {
            if row + AHEAD < gradient.nrows() {
                let all = [Some(&parameter), first.as_ref(), second.as_ref()];
                for values in all.into_iter().flatten() {
                    values.row(row + AHEAD).to_slice().map(prefetch);
                }
            }
            let (mut parameter, gradient) = (parameter.row_mut(row), gradient.row(row));
            let of_first = first.as_mut().map(|it| it.row_mut(row));
            let mut memory = [of_first, second.as_mut().map(|it| it.row_mut(row))];
            finite &= match line(&mut parameter, &gradient, &mut memory) {
                Some(line) => rule(line),
                None => by_copies(parameter, gradient, memory, rule),
            };
        }
        finite
    }
}

fn turned<T>(values: ArrayViewMut2<'_, T>, turns: bool) -> ArrayViewMut2<'_, T> {
    if turns { values.reversed_axes() } else { values }
}

/// The numbers where they are, if all are in one piece.
fn line<'a, T, D: Dimension>(
    parameter: &'a mut ArrayViewMut<'_, T, D>,
    gradient: &'a ArrayView<'_, T, D>,
    memory: &'a mut [Option<ArrayViewMut<'_, T, D>>; 2],
) -> Option<Line<'a, T>> {
    let [first, second] = memory;
    let memory = [
        first.as_mut().map_or(Some(Default::default()), |it| it.as_slice_mut())?,
        second.as_mut().map_or(Some(Default::default()), |it| it.as_slice_mut())?,
    ];
    Some(Line { parameter: parameter.as_slice_mut()?, gradient: gradient.as_slice()?, memory })
}

/// Updates copies of the numbers, some at a time, and puts them back.
fn by_copies<T: Element>(
    mut parameter: ArrayViewMut1<'_, T>,
    gradient: ArrayView1<'_, T>,
    mut memory: [Option<ArrayViewMut1<'_, T>>; 2],
    rule: Rule<'_, T>,
) -> bool {
    let mut finite = true;
    for start in (0..gradient.len()).step_by(COPIED) {
        let len = COPIED.min(gradient.len() - start);
        let [mut numbers, mut slopes] = [[T::zero(); COPIED]; 2];
        let mut remembered = [[T::zero(); COPIED]; 2];
        for at in 0..len {
            (numbers[at], slopes[at]) = (parameter[start + at], gradient[start + at]);
            for (to, from) in remembered.iter_mut().zip(&memory) {
                to[at] = from.as_ref().map_or(T::zero(), |it| it[start + at]);
            }
        }
        let [first, second] = &mut remembered;
        let memories = [
            if memory[0].is_some() { &mut first[..len] } else { &mut [] },
            if memory[1].is_some() { &mut second[..len] } else { &mut [] },
        ];
        finite &= rule(Line {
            parameter: &mut numbers[..len],
            gradient: &slopes[..len],
            memory: memories,
        });
        for at in 0..len {
            parameter[start + at] = numbers[at];
            for (from, to) in remembered.iter().zip(&mut memory) {
                if let Some(to) = to {
                    to[start + at] = from[at];
                }
            }
        }
    }
    finite
}
