//! What an optimiser remembers, and the loops over all numbers.

#![allow(
    clippy::inline_always,
    reason = "the loops have to be a part of the function that is compiled for vectors"
)]

use dnn_core::{CoreError, Element};
use dnn_kernels::{KernelPath, PlainLoop, join, prefetch};
use ndarray::{Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis};

use super::{Optimizer, Shape};

/// Numbers of a parameter that one task updates: enough to be worth a task.
const CHUNK: usize = 1 << 16;

/// Rows that are fetched before it is their turn.
const AHEAD: usize = 2;

/// What an optimiser remembers from step to step.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerState<T> {
    /// Steps taken so far.
    pub steps: u64,
    /// For each of [`Optimizer::memory_names`] an array in the shape of each parameter, in their order.
    pub memory: Vec<Vec<Array2<T>>>,
}

impl<T: Element> OptimizerState<T> {
    /// Checks that there is the memory that `optimizer` needs, in these shapes.
    pub(crate) fn check(
        &self,
        optimizer: Optimizer,
        shapes: impl Iterator<Item = Shape> + Clone,
    ) -> Result<(), CoreError> {
        let names = optimizer.memory_names();
        if let Optimizer::Lbfgs(it) = optimizer {
            it.check_memory(self.memory.len())?;
        } else if self.memory.len() != names.len() {
            return Err(CoreError::Invalid {
                what: "memory of the optimiser",
                expected: "as many arrays as the optimiser has names for",
                found: format!("{} for {}", self.memory.len(), names.len()),
            });
        }
        let fits = |memory: &Vec<Array2<T>>| {
            super::check_fit("memory of the optimiser", shapes.clone(), memory.iter())
        };
        self.memory.iter().try_for_each(fits)
    }

    /// What all numbers of the present step have in common; with Muon, those of what is not a convolution's weights.
    pub(crate) fn step(&self, optimizer: Optimizer, rate: f64) -> Step {
        match optimizer {
            Optimizer::Muon(it) => it.others(rate, self.steps),
            _ => Step { optimizer, rate, t: self.steps },
        }
    }

    /// What is remembered of each array, and after the last of nothing.
    pub(crate) fn arrays_mut(&mut self) -> impl Iterator<Item = Memory<'_, T>> + Send {
        let mut all = self.memory.iter_mut().map(|memory| memory.iter_mut());
        let (mut first, mut second) = (all.next(), all.next());
        std::iter::from_fn(move || {
            let first = first.as_mut().and_then(Iterator::next).map(|it| it.view_mut());
            let second = second.as_mut().and_then(Iterator::next).map(|it| it.view_mut());
            Some([first, second])
        })
    }
}

/// What an optimiser remembers of one array, in its shape; what it has no use for is `None`.
pub(crate) type Memory<'a, T> = [Option<ArrayViewMut2<'a, T>>; 2];

/// Cuts all that there is in two.
pub(crate) fn split_memory<T>(memory: Memory<'_, T>, axis: Axis, at: usize) -> [Memory<'_, T>; 2] {
    let [first, second] = memory.map(|memory| memory.map(|it| it.split_at(axis, at)).unzip());
    [[first.0, second.0], [first.1, second.1]]
}

impl Optimizer {
    /// One step of a rule that is linear in the gradient, on numbers that are no parameters themselves; false
    /// if one stopped being finite.
    pub(crate) fn update_array(
        self,
        values: ArrayViewMut2<'_, f64>,
        gradient: ArrayView2<'_, f64>,
        memory: Option<ArrayViewMut2<'_, f64>>,
        rate: f64,
    ) -> bool {
        // Which step it is matters to other rules alone.
        Step { optimizer: self, rate, t: 1 }.update(values, gradient, [memory, None], false)
    }
}

/// What every number of a step has in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(super) optimizer: Optimizer,
    pub(super) rate: f64,
    /// Counted from 1.
    pub(super) t: u64,
}

impl Step {
    /// Updates one array, in parallel; false if a number stopped being finite.
    pub(crate) fn update<T: Element>(
        &self,
        parameter: ArrayViewMut2<'_, T>,
        gradient: ArrayView2<'_, T>,
        memory: Memory<'_, T>,
        decays: bool,
    ) -> bool {
        let Some(at) = middle(parameter.dim()) else {
            return self.update_block(parameter, gradient, memory, decays);
        };
        let (upper, lower) = parameter.split_at(Axis(0), at);
        let (upper_gradient, lower_gradient) = gradient.split_at(Axis(0), at);
        let [upper_memory, lower_memory] = split_memory(memory, Axis(0), at);
        let (first, second) = join(
            || self.update(upper, upper_gradient, upper_memory, decays),
            || self.update(lower, lower_gradient, lower_memory, decays),
        );
        first && second
    }

    /// The same in the present thread.
    pub(crate) fn update_block<T: Element>(
        &self,
        parameter: ArrayViewMut2<'_, T>,
        gradient: ArrayView2<'_, T>,
        memory: Memory<'_, T>,
        decays: bool,
    ) -> bool {
        let rate = T::from_f64(self.rate);
        let path = KernelPath::best();
        match (self.optimizer, memory) {
            (Optimizer::GradientDescent, _) => {
                let rule = Plain(|parameter, gradient| parameter - rate * gradient);
                path.vectorized(Lines { parameter, gradient, memory: [None, None], rule })
            }
            (Optimizer::Momentum(it), memory) => {
                path.vectorized(Lines { parameter, gradient, memory, rule: One(it.rule(rate)) })
            }
            (Optimizer::RmsProp(it), memory) => {
                path.vectorized(Lines { parameter, gradient, memory, rule: One(it.rule(rate)) })
            }
            (Optimizer::AdaGrad(it), memory) => {
                path.vectorized(Lines { parameter, gradient, memory, rule: One(it.rule(rate)) })
            }
            (Optimizer::Adam(it), memory) => {
                let rule = Two(it.rule(self.rate, self.t, 1.0));
                path.vectorized(Lines { parameter, gradient, memory, rule })
            }
            (Optimizer::AdamW(it), memory) => {
                let shrink = if decays { 1.0 - self.rate * it.weight_decay } else { 1.0 };
                let rule = Two(it.adam.rule(self.rate, self.t, shrink));
                path.vectorized(Lines { parameter, gradient, memory, rule })
            }
            (Optimizer::Muon(_) | Optimizer::Lbfgs(_), _) => {
                unreachable!("their steps are made elsewhere")
            }
        }
    }
}

/// Where an array of this shape is cut for two tasks, if it is worth two.
fn middle((rows, columns): (usize, usize)) -> Option<usize> {
    (rows > 1 && rows * columns > CHUNK).then_some(rows / 2)
}

/// Gives every number its next value, in parallel; false if one is not finite.
pub(crate) fn each<T: Element>(
    parameter: ArrayViewMut2<'_, T>,
    gradient: ArrayView2<'_, T>,
    rule: impl Fn(T, T) -> T + Sync + Copy,
) -> bool {
    let Some(at) = middle(parameter.dim()) else {
        let memory = [None, None];
        let lines = Lines { parameter, gradient, memory, rule: Plain(rule) };
        return KernelPath::best().vectorized(lines);
    };
    let (upper, lower) = parameter.split_at(Axis(0), at);
    let (upper_gradient, lower_gradient) = gradient.split_at(Axis(0), at);
    let (first, second) =
        join(|| each(upper, upper_gradient, rule), || each(lower, lower_gradient, rule));
    first && second
}

/// A rule that gives every number its next value, and how much memory it has for each.
trait Update<T> {
    fn next(&self, parameter: T, gradient: T, first: &mut T, second: &mut T) -> T;
}

/// Without memory.
struct Plain<F>(F);
/// With one number of memory for each.
struct One<F>(F);
/// With two.
struct Two<F>(F);

impl<T: Element, F: Fn(T, T) -> T> Update<T> for Plain<F> {
    #[inline(always)]
    fn next(&self, parameter: T, gradient: T, _: &mut T, _: &mut T) -> T {
        (self.0)(parameter, gradient)
    }
}

impl<T: Element, F: Fn(T, T, &mut T) -> T> Update<T> for One<F> {
    #[inline(always)]
    fn next(&self, parameter: T, gradient: T, first: &mut T, _: &mut T) -> T {
        (self.0)(parameter, gradient, first)
    }
}

impl<T: Element, F: Fn(T, T, &mut T, &mut T) -> T> Update<T> for Two<F> {
    #[inline(always)]
    fn next(&self, parameter: T, gradient: T, first: &mut T, second: &mut T) -> T {
        (self.0)(parameter, gradient, first, second)
    }
}

/// Gives every number its next value, line by line; false if one is not finite.
struct Lines<'a, T, U> {
    parameter: ArrayViewMut2<'a, T>,
    gradient: ArrayView2<'a, T>,
    memory: Memory<'a, T>,
    rule: U,
}

impl<T: Element, U: Update<T>> PlainLoop for Lines<'_, T, U> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        // Loops are along rows; a bias is a single column.
        let turns = self.gradient.ncols() == 1;
        let gradient = if turns { self.gradient.reversed_axes() } else { self.gradient };
        let mut parameter = turned(self.parameter, turns);
        let [mut first, mut second] = self.memory.map(|memory| memory.map(|it| turned(it, turns)));
        let (rule, mut finite) = (self.rule, true);
        for row in 0..gradient.nrows() {
            if row + AHEAD < gradient.nrows() {
                let all = [Some(&parameter), first.as_ref(), second.as_ref()];
                for values in all.into_iter().flatten() {
                    values.row(row + AHEAD).to_slice().map(prefetch);
                }
            }
            let (mut parameter, gradient) = (parameter.row_mut(row), gradient.row(row));
            let mut first = first.as_mut().map(|it| it.row_mut(row));
            let mut second = second.as_mut().map(|it| it.row_mut(row));
            let has_none = first.is_none() && second.is_none();
            let memory = [&mut first, &mut second]
                .map(|it| it.as_mut().and_then(ArrayViewMut1::as_slice_mut));
            let slices = (parameter.as_slice_mut(), gradient.as_slice());
            match (slices, memory) {
                ((Some(parameter), Some(gradient)), [None, None]) if has_none => {
                    for (parameter, &gradient) in parameter.iter_mut().zip(gradient) {
                        let (mut v, mut s) = (T::zero(), T::zero());
                        *parameter = rule.next(*parameter, gradient, &mut v, &mut s);
                        finite &= parameter.is_finite();
                    }
                }
                ((Some(parameter), Some(gradient)), [Some(v), None]) => {
                    for ((parameter, &gradient), v) in parameter.iter_mut().zip(gradient).zip(v) {
                        *parameter = rule.next(*parameter, gradient, v, &mut T::zero());
                        finite &= parameter.is_finite();
                    }
                }
                ((Some(parameter), Some(gradient)), [Some(v), Some(s)]) => {
                    let memory = v.iter_mut().zip(s);
                    for ((parameter, &gradient), (v, s)) in
                        parameter.iter_mut().zip(gradient).zip(memory)
                    {
                        *parameter = rule.next(*parameter, gradient, v, s);
                        finite &= parameter.is_finite();
                    }
                }
                _ => {
                    for (index, parameter) in parameter.iter_mut().enumerate() {
                        let (mut none, mut no_other) = (T::zero(), T::zero());
                        let v = first.as_mut().map_or(&mut none, |it| &mut it[index]);
                        let s = second.as_mut().map_or(&mut no_other, |it| &mut it[index]);
                        *parameter = rule.next(*parameter, gradient[index], v, s);
                        finite &= parameter.is_finite();
                    }
                }
            }
        }
        finite
    }
}

#[inline(always)]
fn turned<T>(values: ArrayViewMut2<'_, T>, turns: bool) -> ArrayViewMut2<'_, T> {
    if turns { values.reversed_axes() } else { values }
}
