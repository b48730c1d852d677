//! Where a block of a gradient goes: into the gradient, or straight into the parameters.

#![allow(
    clippy::inline_always,
    reason = "a loop has to be a part of the function that is compiled for vectors"
)]

use std::ops::Range;

use dnn_core::Element;
use dnn_kernels::{KernelPath, PlainLoop, prefetch};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};

use super::tile::all_finite;
use crate::optimizer::{Memory, Step, split_memory};

/// Where a block of a gradient goes.
pub(crate) enum GradientTarget<'a, T> {
    /// Into the gradient.
    Store(ArrayViewMut2<'a, T>),
    /// To what is in the gradient.
    Add(ArrayViewMut2<'a, T>),
    /// Into the weights, which follow it.
    Apply { weights: ArrayViewMut2<'a, T>, memory: Memory<'a, T>, rule: Rule<T> },
}

/// What is made of a gradient before the parameters follow it, and how they do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule<T> {
    pub(crate) step: Step,
    /// This share of the weights is added to their gradient.
    pub(crate) l2: T,
    /// The gradient is brought to between this number and its negative.
    pub(crate) clip: Option<T>,
}

impl<T: Element> GradientTarget<'_, T> {
    /// Cuts it in two, by features.
    pub(super) fn split_at(self, feature: usize) -> (Self, Self) {
        let axis = Axis(1);
        match self {
            Self::Store(gradient) => {
                let (left, right) = gradient.split_at(axis, feature);
                (Self::Store(left), Self::Store(right))
            }
            Self::Add(gradient) => {
                let (left, right) = gradient.split_at(axis, feature);
                (Self::Add(left), Self::Add(right))
            }
            Self::Apply { weights, memory, rule } => {
                let (left, right) = weights.split_at(axis, feature);
                let [left_memory, right_memory] = split_memory(memory, axis, feature);
                (
                    Self::Apply { weights: left, memory: left_memory, rule },
                    Self::Apply { weights: right, memory: right_memory, rule },
                )
            }
        }
    }

    /// Has the processor fetch what the gradient of these units will change.
    pub(super) fn prefetch(&self, units: Range<usize>) {
        let rows = s![units, ..];
        let prefetch_rows = |values: ArrayView2<'_, T>| {
            values.rows().into_iter().filter_map(|row| row.to_slice()).for_each(prefetch);
        };
        if let Self::Apply { weights, memory, .. } = self {
            prefetch_rows(weights.slice(rows));
            memory.iter().flatten().for_each(|memory| prefetch_rows(memory.slice(rows)));
        }
    }

    /// Takes the gradient of some units; false if what came of it is not finite.
    pub(super) fn take(&mut self, units: Range<usize>, mut gradient: ArrayViewMut2<'_, T>) -> bool {
        let rows = s![units, ..];
        match self {
            Self::Store(to) => {
                to.slice_mut(rows).assign(&gradient);
                all_finite(gradient.view())
            }
            Self::Add(to) => {
                let (to, gradient) = (to.slice_mut(rows), gradient.view());
                KernelPath::best().vectorized(Add { to, gradient });
                true
            }
            Self::Apply { weights, memory, rule } => {
                let weights = weights.slice_mut(rows);
                rule.prepare(&mut gradient, Some(weights.view()));
                let [first, second] = memory;
                let first = first.as_mut().map(|it| it.slice_mut(rows));
                let memory = [first, second.as_mut().map(|it| it.slice_mut(rows))];
                rule.step.update_block(weights, gradient.view(), memory, true)
            }
        }
    }
}

impl<T: Element> Rule<T> {
    /// L2, of weights that decay, and clipping of some of their gradient.
    pub(super) fn prepare(
        &self,
        gradient: &mut ArrayViewMut2<'_, T>,
        decaying: Option<ArrayView2<'_, T>>,
    ) {
        let Some(weights) = decaying.filter(|_| self.l2 != T::zero()) else {
            return self.clip(gradient);
        };
        for (mut gradient, weights) in gradient.rows_mut().into_iter().zip(weights.rows()) {
            gradient.zip_mut_with(&weights, |dw, &w| *dw += self.l2 * w);
            self.clip(&mut gradient.view_mut().insert_axis(Axis(0)));
        }
    }

    /// Clipping alone.
    fn clip(&self, gradient: &mut ArrayViewMut2<'_, T>) {
        if let Some(limit) = self.clip {
            gradient.map_inplace(|value| *value = value.max(-limit).min(limit));
        }
    }
}

/// Adds rows, each in one piece.
struct Add<'a, T> {
    to: ArrayViewMut2<'a, T>,
    gradient: ArrayView2<'a, T>,
}

impl<T: Element> PlainLoop for Add<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        for (to, row) in self.to.rows_mut().into_iter().zip(self.gradient.rows()) {
            let to = to.into_slice().expect("rows in one piece");
            for (to, &dw) in to.iter_mut().zip(row.to_slice().expect("rows in one piece")) {
                *to += dw;
            }
        }
    }
}
