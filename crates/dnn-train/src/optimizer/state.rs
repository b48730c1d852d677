//! What an optimiser remembers, and the loops over all numbers.

#![allow(
    clippy::inline_always,
    reason = "the loops have to be a part of the function that is compiled for vectors"
)]

use dnn_core::kernels::KernelPath;
use dnn_core::{CoreError, Element, LayerParameters, Parameters};
use dnn_layers::LayerParametersMut;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Zip, s};

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
    /// The present step is counted already. Weights shrink, where the optimiser says so, only if `decays`;
    /// those that the gradient has no columns for stay.
    pub(crate) fn update_layer(
        &mut self,
        (optimizer, decays): (Optimizer, bool),
        l: usize,
        layer: LayerParametersMut<'_, T>,
        gradient: &LayerParameters<T>,
        rate: f64,
    ) -> Option<&'static str> {
        let step = self.step(optimizer, rate);
        let (weights, bias) = self.of_layer(l);
        let present = s![.., ..gradient.weights.ncols()];
        let weights = weights.map(|memory| memory.map(|memory| memory.slice_move(present)));
        if !step.update(layer.weights.slice_move(present), gradient.weights.view(), weights, decays)
        {
            return Some("the weights");
        }
        (!step.update(layer.bias, gradient.bias.view(), bias, false)).then_some("the bias")
    }

    /// What all numbers of the present step have in common.
    pub(crate) fn step(&self, optimizer: Optimizer, rate: f64) -> Step {
        Step { optimizer, rate, t: self.steps }
    }

    /// What is remembered of the weights and of the bias of a layer.
    pub(crate) fn of_layer(&mut self, l: usize) -> (Memory<'_, T>, Memory<'_, T>) {
        let mut layers = self.memory.iter_mut().filter_map(|memory| memory.layers.get_mut(l));
        let mut next = || {
            layers
                .next()
                .map(|LayerParameters { weights, bias }| (weights.view_mut(), bias.view_mut()))
        };
        let (first, second) = (next().unzip(), next().unzip());
        ([first.0, second.0], [first.1, second.1])
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
    optimizer: Optimizer,
    rate: f64,
    /// Counted from 1.
    t: u64,
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
        let (first, second) = rayon::join(
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
        let (all, path) = ((parameter, gradient), KernelPath::best());
        match (self.optimizer, memory) {
            (Optimizer::GradientDescent, _) => path.vectorized(|| {
                lines(all.0, all.1, |parameter, gradient| parameter - rate * gradient)
            }),
            (Optimizer::Momentum(it), [Some(v), _]) => {
                path.vectorized(|| lines_1(all, v, it.rule(rate)))
            }
            (Optimizer::RmsProp(it), [Some(s), _]) => {
                path.vectorized(|| lines_1(all, s, it.rule(rate)))
            }
            (Optimizer::AdaGrad(it), [Some(s), _]) => {
                path.vectorized(|| lines_1(all, s, it.rule(rate)))
            }
            (Optimizer::Adam(it), [Some(v), Some(s)]) => {
                path.vectorized(|| lines_2(all, [v, s], it.rule(self.rate, self.t, 1.0)))
            }
            (Optimizer::AdamW(it), [Some(v), Some(s)]) => {
                let shrink = if decays { 1.0 - self.rate * it.weight_decay } else { 1.0 };
                path.vectorized(|| lines_2(all, [v, s], it.adam.rule(self.rate, self.t, shrink)))
            }
            _ => unreachable!("the memory was made for this optimiser, or checked"),
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
        return KernelPath::best().vectorized(|| lines(parameter, gradient, rule));
    };
    let (upper, lower) = parameter.split_at(Axis(0), at);
    let (upper_gradient, lower_gradient) = gradient.split_at(Axis(0), at);
    let (first, second) =
        rayon::join(|| each(upper, upper_gradient, rule), || each(lower, lower_gradient, rule));
    first && second
}

/// Gives every number its next value, line by line; false if one is not finite.
#[inline(always)]
fn lines<T: Element>(
    mut parameter: ArrayViewMut2<'_, T>,
    gradient: ArrayView2<'_, T>,
    rule: impl Fn(T, T) -> T,
) -> bool {
    let mut finite = true;
    let axis = long(gradient.dim());
    let lanes = parameter.lanes_mut(axis).into_iter().zip(gradient.lanes(axis));
    for (mut parameter, gradient) in lanes {
        if let (Some(parameter), Some(gradient)) = (parameter.as_slice_mut(), gradient.as_slice()) {
            for (parameter, &gradient) in parameter.iter_mut().zip(gradient) {
                *parameter = rule(*parameter, gradient);
                finite &= parameter.is_finite();
            }
        } else {
            Zip::from(&mut parameter).and(&gradient).for_each(|parameter, &gradient| {
                *parameter = rule(*parameter, gradient);
                finite &= parameter.is_finite();
            });
        }
    }
    finite
}

/// The same with one number of memory for each.
#[inline(always)]
fn lines_1<T: Element>(
    (mut parameter, gradient): (ArrayViewMut2<'_, T>, ArrayView2<'_, T>),
    mut memory: ArrayViewMut2<'_, T>,
    rule: impl Fn(T, T, &mut T) -> T,
) -> bool {
    let (mut finite, axis) = (true, long(gradient.dim()));
    let memory = memory.lanes_mut(axis).into_iter();
    let lanes = parameter.lanes_mut(axis).into_iter().zip(gradient.lanes(axis)).zip(memory);
    for ((mut parameter, gradient), mut memory) in lanes {
        let slices = (parameter.as_slice_mut(), gradient.as_slice(), memory.as_slice_mut());
        if let (Some(parameter), Some(gradient), Some(memory)) = slices {
            for ((parameter, &gradient), memory) in parameter.iter_mut().zip(gradient).zip(memory) {
                *parameter = rule(*parameter, gradient, memory);
                finite &= parameter.is_finite();
            }
        } else {
            let zip = Zip::from(&mut parameter).and(&gradient).and(&mut memory);
            zip.for_each(|parameter, &gradient, memory| {
                *parameter = rule(*parameter, gradient, memory);
                finite &= parameter.is_finite();
            });
        }
    }
    finite
}

/// The same with two.
#[inline(always)]
fn lines_2<T: Element>(
    (mut parameter, gradient): (ArrayViewMut2<'_, T>, ArrayView2<'_, T>),
    [mut first, mut second]: [ArrayViewMut2<'_, T>; 2],
    rule: impl Fn(T, T, &mut T, &mut T) -> T,
) -> bool {
    let (mut finite, axis) = (true, long(gradient.dim()));
    let memory = first.lanes_mut(axis).into_iter().zip(second.lanes_mut(axis));
    let lanes = parameter.lanes_mut(axis).into_iter().zip(gradient.lanes(axis)).zip(memory);
    for ((mut parameter, gradient), (mut v, mut s)) in lanes {
        let slices = (parameter.as_slice_mut(), gradient.as_slice());
        let memory = (v.as_slice_mut(), s.as_slice_mut());
        if let ((Some(parameter), Some(gradient)), (Some(v), Some(s))) = (slices, memory) {
            let memory = v.iter_mut().zip(s);
            for ((parameter, &gradient), (v, s)) in parameter.iter_mut().zip(gradient).zip(memory) {
                *parameter = rule(*parameter, gradient, v, s);
                finite &= parameter.is_finite();
            }
        } else {
            let zip = Zip::from(&mut parameter).and(&gradient).and(&mut v).and(&mut s);
            zip.for_each(|parameter, &gradient, v, s| {
                *parameter = rule(*parameter, gradient, v, s);
                finite &= parameter.is_finite();
            });
        }
    }
    finite
}

/// Along which axis a loop over an array of this shape is longer; a bias is a single column.
fn long((_, columns): (usize, usize)) -> Axis {
    if columns == 1 { Axis(0) } else { Axis(1) }
}
