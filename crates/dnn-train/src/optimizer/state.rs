//! What an optimiser remembers, and the loops over all numbers.

use dnn_core::{CoreError, Element, LayerParameters, Parameters};
use dnn_layers::LayerParametersMut;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Zip};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use super::Optimizer;

/// Numbers of a parameter that one task updates: enough to be worth a task.
const CHUNK: usize = 1 << 16;

/// What an optimiser remembers from step to step.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerState<T> {
    /// Steps taken so far.
    pub steps: u64,
    /// For each of [`Optimizer::memory_names`] as many numbers as there are parameters.
    pub memory: Vec<Parameters<T>>,
}

impl<T: Element> OptimizerState<T> {
    /// Checks that there is the memory that `optimizer` needs, in the shapes of `parameters`.
    pub(crate) fn check(
        &self,
        optimizer: Optimizer,
        parameters: &Parameters<T>,
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
        self.memory.iter().try_for_each(|memory| super::check_fit("memory", parameters, memory))
    }

    /// Updates layer `l`, counted from 0, and says which of its numbers are no longer finite, if any.
    /// The present step is counted already. Weights shrink, where the optimiser says so, only if `decays`.
    pub(crate) fn update_layer(
        &mut self,
        (optimizer, decays): (Optimizer, bool),
        l: usize,
        layer: LayerParametersMut<'_, T>,
        gradient: &LayerParameters<T>,
        rate: f64,
    ) -> Option<&'static str> {
        let step = Step { optimizer, rate, t: self.steps };
        let mut memory = self.memory.iter_mut().filter_map(|memory| memory.layers.get_mut(l));
        let (mut first, mut second) = (memory.next(), memory.next());
        let weights = [&mut first, &mut second]
            .map(|memory| memory.as_mut().map(|memory| memory.weights.view_mut()));
        if !step.update(layer.weights, gradient.weights.view(), weights, decays) {
            return Some("the weights");
        }
        let bias = [first, second].map(|memory| memory.map(|memory| memory.bias.view_mut()));
        (!step.update(layer.bias, gradient.bias.view(), bias, false)).then_some("the bias")
    }
}

/// What every number of a step has in common.
struct Step {
    optimizer: Optimizer,
    rate: f64,
    /// Counted from 1.
    t: u64,
}

impl Step {
    /// Updates one array; false if a number stopped being finite.
    fn update<T: Element>(
        &self,
        parameter: ArrayViewMut2<'_, T>,
        gradient: ArrayView2<'_, T>,
        memory: [Option<ArrayViewMut2<'_, T>>; 2],
        decays: bool,
    ) -> bool {
        let rate = T::from_f64(self.rate);
        match (self.optimizer, memory) {
            (Optimizer::GradientDescent, _) => {
                each(parameter, gradient, |parameter, gradient| parameter - rate * gradient)
            }
            (Optimizer::Momentum(it), [Some(v), _]) => {
                each_1(parameter, gradient, v, it.rule(rate))
            }
            (Optimizer::RmsProp(it), [Some(s), _]) => each_1(parameter, gradient, s, it.rule(rate)),
            (Optimizer::AdaGrad(it), [Some(s), _]) => each_1(parameter, gradient, s, it.rule(rate)),
            (Optimizer::Adam(it), [Some(v), Some(s)]) => {
                each_2(parameter, gradient, [v, s], it.rule(self.rate, self.t, 1.0))
            }
            (Optimizer::AdamW(it), [Some(v), Some(s)]) => {
                let shrink = if decays { 1.0 - self.rate * it.weight_decay } else { 1.0 };
                each_2(parameter, gradient, [v, s], it.adam.rule(self.rate, self.t, shrink))
            }
            _ => unreachable!("the memory was made for this optimiser, or checked"),
        }
    }
}

/// Rows of an array that one task updates.
fn rows<T>(parameter: &ArrayViewMut2<'_, T>) -> usize {
    (CHUNK / parameter.ncols().max(1)).max(1)
}

/// Gives every number its next value; false if one is not finite.
pub(crate) fn each<T: Element>(
    mut parameter: ArrayViewMut2<'_, T>,
    gradient: ArrayView2<'_, T>,
    rule: impl Fn(T, T) -> T + Sync,
) -> bool {
    let rows = rows(&parameter);
    let chunks = parameter.axis_chunks_iter_mut(Axis(0), rows).into_par_iter();
    let chunks = chunks.zip(gradient.axis_chunks_iter(Axis(0), rows).into_par_iter());
    let update = |(parameter, gradient): (ArrayViewMut2<'_, T>, _)| {
        let mut finite = true;
        Zip::from(parameter).and(gradient).for_each(|parameter, &gradient| {
            *parameter = rule(*parameter, gradient);
            finite &= parameter.is_finite();
        });
        finite
    };
    chunks.map(update).reduce(|| true, |a, b| a && b)
}

/// The same with one number of memory for each.
fn each_1<T: Element>(
    mut parameter: ArrayViewMut2<'_, T>,
    gradient: ArrayView2<'_, T>,
    mut memory: ArrayViewMut2<'_, T>,
    rule: impl Fn(T, T, &mut T) -> T + Sync,
) -> bool {
    let rows = rows(&parameter);
    let chunks = parameter.axis_chunks_iter_mut(Axis(0), rows).into_par_iter();
    let chunks = chunks.zip(gradient.axis_chunks_iter(Axis(0), rows).into_par_iter());
    let chunks = chunks.zip(memory.axis_chunks_iter_mut(Axis(0), rows).into_par_iter());
    let update = |((parameter, gradient), memory): ((ArrayViewMut2<'_, T>, _), _)| {
        let mut finite = true;
        Zip::from(parameter).and(gradient).and(memory).for_each(|parameter, &gradient, memory| {
            *parameter = rule(*parameter, gradient, memory);
            finite &= parameter.is_finite();
        });
        finite
    };
    chunks.map(update).reduce(|| true, |a, b| a && b)
}

/// The same with two.
fn each_2<T: Element>(
    mut parameter: ArrayViewMut2<'_, T>,
    gradient: ArrayView2<'_, T>,
    [mut first, mut second]: [ArrayViewMut2<'_, T>; 2],
    rule: impl Fn(T, T, &mut T, &mut T) -> T + Sync,
) -> bool {
    let rows = rows(&parameter);
    let chunks = parameter.axis_chunks_iter_mut(Axis(0), rows).into_par_iter();
    let chunks = chunks.zip(gradient.axis_chunks_iter(Axis(0), rows).into_par_iter());
    let chunks = chunks.zip(first.axis_chunks_iter_mut(Axis(0), rows).into_par_iter());
    let chunks = chunks.zip(second.axis_chunks_iter_mut(Axis(0), rows).into_par_iter());
    let update = |(((parameter, gradient), first), second): (((ArrayViewMut2<'_, T>, _), _), _)| {
        let mut finite = true;
        let zip = Zip::from(parameter).and(gradient).and(first).and(second);
        zip.for_each(|parameter, &gradient, first, second| {
            *parameter = rule(*parameter, gradient, first, second);
            finite &= parameter.is_finite();
        });
        finite
    };
    chunks.map(update).reduce(|| true, |a, b| a && b)
}
