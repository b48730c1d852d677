//! What an optimiser remembers, and its steps.

#![allow(
    clippy::inline_always,
    reason = "the loops have to be a part of the function that is compiled for vectors"
)]

use dnn_core::{CoreError, Element};
use dnn_kernels::{KernelPath, PlainLoop};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use super::lines::{Arrays, Line, Memory, Rule};
use super::{Optimizer, Shape};

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
        let arrays = Arrays { parameter, gradient, memory };
        self.with_rule(decays, |rule| arrays.update(rule))
    }

    /// The same in the present thread.
    pub(crate) fn update_block<T: Element>(
        &self,
        parameter: ArrayViewMut2<'_, T>,
        gradient: ArrayView2<'_, T>,
        memory: Memory<'_, T>,
        decays: bool,
    ) -> bool {
        let arrays = Arrays { parameter, gradient, memory };
        self.with_rule(decays, |rule| arrays.update_block(rule))
    }

    /// Does something with what the optimiser does to a line of numbers.
    fn with_rule<T: Element>(
        &self,
        decays: bool,
        update: impl FnOnce(Rule<'_, T>) -> bool,
    ) -> bool {
        let rate = T::from_f64(self.rate);
        match self.optimizer {
            Optimizer::GradientDescent => {
                update(&plain(move |parameter, gradient| parameter - rate * gradient))
            }
            Optimizer::Momentum(it) => update(&one(it.rule(rate))),
            Optimizer::RmsProp(it) => update(&one(it.rule(rate))),
            Optimizer::AdaGrad(it) => update(&one(it.rule(rate))),
            Optimizer::Adam(it) => update(&two(it.rule(self.rate, self.t, 1.0))),
            Optimizer::AdamW(it) => {
                let shrink = if decays { 1.0 - self.rate * it.weight_decay } else { 1.0 };
                update(&two(it.adam.rule(self.rate, self.t, shrink)))
            }
            Optimizer::Muon(_) | Optimizer::Lbfgs(_) => {
                unreachable!("their steps are made elsewhere")
            }
        }
    }
}

/// Gives every number its next value, in parallel; false if one is not finite.
pub(crate) fn each<T: Element>(
    parameter: ArrayViewMut2<'_, T>,
    gradient: ArrayView2<'_, T>,
    rule: impl Fn(T, T) -> T + Sync + Copy,
) -> bool {
    Arrays { parameter, gradient, memory: [None, None] }.update(&plain(rule))
}

/// A rule without memory, for lines.
fn plain<T: Element>(
    rule: impl Fn(T, T) -> T + Sync + Copy,
) -> impl Fn(Line<'_, T>) -> bool + Sync {
    move |line| KernelPath::best().vectorized(Plain { line, rule })
}

/// One with one number of memory for each.
fn one<T: Element>(
    rule: impl Fn(T, T, &mut T) -> T + Sync + Copy,
) -> impl Fn(Line<'_, T>) -> bool + Sync {
    move |line| KernelPath::best().vectorized(One { line, rule })
}

/// One with two.
fn two<T: Element>(
    rule: impl Fn(T, T, &mut T, &mut T) -> T + Sync + Copy,
) -> impl Fn(Line<'_, T>) -> bool + Sync {
    move |line| KernelPath::best().vectorized(Two { line, rule })
}

struct Plain<'a, T, F> {
    line: Line<'a, T>,
    rule: F,
}

impl<T: Element, F: Fn(T, T) -> T> PlainLoop for Plain<'_, T, F> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let (Line { parameter, gradient, .. }, mut finite) = (self.line, true);
        for (parameter, &gradient) in parameter.iter_mut().zip(gradient) {
            *parameter = (self.rule)(*parameter, gradient);
            finite &= parameter.is_finite();
        }
        finite
    }
}

struct One<'a, T, F> {
    line: Line<'a, T>,
    rule: F,
}

impl<T: Element, F: Fn(T, T, &mut T) -> T> PlainLoop for One<'_, T, F> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let (Line { parameter, gradient, memory: [v, _] }, mut finite) = (self.line, true);
        if v.is_empty() {
            for (parameter, &gradient) in parameter.iter_mut().zip(gradient) {
                *parameter = (self.rule)(*parameter, gradient, &mut T::zero());
                finite &= parameter.is_finite();
            }
            return finite;
        }
        for ((parameter, &gradient), v) in parameter.iter_mut().zip(gradient).zip(v) {
            *parameter = (self.rule)(*parameter, gradient, v);
            finite &= parameter.is_finite();
        }
        finite
    }
}

struct Two<'a, T, F> {
    line: Line<'a, T>,
    rule: F,
}

impl<T: Element, F: Fn(T, T, &mut T, &mut T) -> T> PlainLoop for Two<'_, T, F> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let (Line { parameter, gradient, memory: [v, s] }, mut finite) = (self.line, true);
        assert!(v.len() == parameter.len() && s.len() == parameter.len(), "two memories");
        for ((parameter, &gradient), (v, s)) in
            parameter.iter_mut().zip(gradient).zip(v.iter_mut().zip(s))
        {
            *parameter = (self.rule)(*parameter, gradient, v, s);
            finite &= parameter.is_finite();
        }
        finite
    }
}
