//! Full-batch gradient descent by the products of the examples with each other.
//!
//! The one idea: whatever is added up of gradients `dZ X^T` is a combination of examples. So the weights of
//! the first layer, their direction and their gradient are each `a W + S X^T`, with `W` for the weights that
//! the run began with; and what the network sees of them is `Z = (a W + S X^T) X`, which follows `K = X^T X`
//! alone. The update rules are linear, and hold for `a`, `S` and `Z` as they do for weights.
//!
//! The weights themselves are a function of `a` and `S`, made whenever somebody asks and never read back:
//! looking at a run does not change it.

mod choice;
mod plan;
mod saved;

use dnn_core::{Element, Features, Gram, SparseLeft};
use dnn_kernels::for_each_part;
use dnn_layers::Network;
use ndarray::{Array2, ArrayView2, Axis, Zip};

pub use choice::GramChoice;
pub use plan::{GramOperations, GramPlan};

use crate::engine::Engine;
use crate::optimizer::each;
use crate::{Optimizer, TrainError};

/// `a W + S X^T`, and its product with `X`.
///
/// # Shapes
/// | `share` | `sums` | `z` |
/// |---|---|---|
/// | `(1, 1)` | `(n_1, m)` | `(n_1, m)` |
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DualWeights {
    /// `a`.
    pub(crate) share: Array2<f64>,
    /// `S`.
    pub(crate) sums: Array2<f64>,
    /// `Z`, without a bias.
    pub(crate) z: Array2<f64>,
}

impl DualWeights {
    /// Nothing.
    pub(crate) fn zeros(units: usize, examples: usize) -> Self {
        let zeros = || Array2::zeros((units, examples));
        Self { share: Array2::zeros((1, 1)), sums: zeros(), z: zeros() }
    }

    fn arrays_mut(&mut self) -> [&mut Array2<f64>; 3] {
        [&mut self.share, &mut self.sums, &mut self.z]
    }

    fn arrays(&self) -> [&Array2<f64>; 3] {
        [&self.share, &self.sums, &self.z]
    }
}

/// Where the first layer of a run is: a part of its checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct GramState<T> {
    /// The weights that the run began with.
    pub(crate) base: Array2<T>,
    /// The weights as they are.
    pub(crate) place: DualWeights,
    /// What momentum remembers.
    pub(crate) direction: Option<DualWeights>,
    /// The weights after the best epoch, if they are kept.
    pub(crate) best: Option<Best>,
}

/// `a` and `S` of weights that were.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Best {
    share: Array2<f64>,
    sums: Array2<f64>,
}

impl<T: Element> GramState<T> {
    /// The state before the first step of `network` on the examples `x`.
    pub(crate) fn start(optimizer: Optimizer, network: &Network<T>, x: &Features<'_, T>) -> Self {
        let base = first_weights(network).to_owned();
        let mut place = DualWeights::zeros(base.nrows(), x.len());
        place.share.fill(1.0);
        place.z = x.product_in_f64(base.view());
        let remembers = !optimizer.memory_names().is_empty();
        let direction = remembers.then(|| DualWeights::zeros(base.nrows(), x.len()));
        Self { base, place, direction, best: None }
    }

    /// Accepts a state of a run on so many examples.
    pub(crate) fn check(&self, examples: usize, optimizer: Optimizer) -> Result<(), TrainError> {
        let remembers = !optimizer.memory_names().is_empty();
        if self.place.sums.ncols() == examples && self.direction.is_some() == remembers {
            return Ok(());
        }
        let found = self.place.sums.ncols();
        Err(TrainError::unfit(format!(
            "the dual (Gram) form of {found} examples, or of another optimiser"
        )))
    }

    /// The weights of the first layer as they are.
    pub(crate) fn weights(&self, x: &Features<'_, T>) -> Array2<T> {
        let DualWeights { share, sums, .. } = &self.place;
        x.weights_of_dual(share[(0, 0)], self.base.view(), sums.view())
    }

    /// The same as they were after the best epoch.
    pub(crate) fn best_weights(&self, x: &Features<'_, T>) -> Option<Array2<T>> {
        let Best { share, sums } = self.best.as_ref()?;
        Some(x.weights_of_dual(share[(0, 0)], self.base.view(), sums.view()))
    }

    /// The network with the weights of its first layer as they are.
    pub(crate) fn applied(&self, network: &Network<T>, x: &Features<'_, T>) -> Network<T> {
        let mut network = network.clone();
        put(&mut network, &self.weights(x));
        network
    }

    /// Keeps the present weights as the best.
    pub(crate) fn keep_best(&mut self) {
        let DualWeights { share, sums, .. } = &self.place;
        match &mut self.best {
            Some(best) => {
                best.share.assign(share);
                best.sums.assign(sums);
            }
            none => *none = Some(Best { share: share.clone(), sums: sums.clone() }),
        }
    }
}

/// Gives the first layer of `network` these weights.
pub(crate) fn put<T: Element>(network: &mut Network<T>, weights: &Array2<T>) {
    let first = network.tensor_range(network.first_layer()).start;
    network.tensors_mut()[first].values_mut().assign(weights);
}

/// A step of the first layer in the dual form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DualStep {
    /// Which layer that is, counted from 0.
    pub(crate) layer: usize,
    /// The share of one example in the mean.
    pub(crate) share: f64,
    /// The share of the weights that L2 adds to their gradient.
    pub(crate) l2: f64,
    pub(crate) optimizer: Optimizer,
    pub(crate) rate: f64,
}

/// What the steps of a run in the dual (Gram) form work in, beside its state.
pub(crate) struct GramWork<T> {
    gram: Gram<T>,
    dz: SparseLeft<T>,
    gradient: DualWeights,
    /// `W X` of the weights that the run began with, and the sum of their squares, if L2 asks for it.
    started: Option<(Array2<f64>, f64)>,
    validation: Option<ValidationWork<T>>,
}

/// What measuring the validation part works in.
struct ValidationWork<T> {
    /// `X^T Y` of the training examples `X` and the validation part `Y`.
    gram: Gram<T>,
    sums: SparseLeft<T>,
    /// `W Y` of the weights that the run began with.
    started: Array2<f64>,
    z: Array2<f64>,
}

impl<T: Element> GramWork<T> {
    /// Computes the products of all examples with each other and with the validation part.
    pub(crate) fn new(
        state: &GramState<T>,
        x: &Features<'_, T>,
        validation: Option<&Features<'_, T>>,
        l2: f64,
    ) -> Self {
        let (units, m) = (state.base.nrows(), x.len());
        let square = |sum: f64, &weight: &T| {
            let weight: f64 = weight.into();
            sum + weight * weight
        };
        Self {
            gram: Gram::of(x),
            dz: SparseLeft::new(units, m),
            gradient: DualWeights::zeros(units, m),
            started: (l2 > 0.0).then(|| {
                (x.product_in_f64(state.base.view()), state.base.iter().fold(0.0, square))
            }),
            validation: validation.map(|y| ValidationWork {
                gram: Gram::between(x, y),
                sums: SparseLeft::new(units, m),
                started: y.product_in_f64(state.base.view()),
                z: Array2::zeros((units, y.len())),
            }),
        }
    }

    /// The sum of the squares of the weights:
    /// `|a W + S X^T|^2 = a^2 |W|^2 + a <S, W X> + <S, Z>`, where `Z` is `(a W + S X^T) X`.
    pub(crate) fn sum_of_squares(&self, state: &GramState<T>) -> f64 {
        let Some((z, square)) = &self.started else { return 0.0 };
        let (share, place) = (state.place.share[(0, 0)], &state.place);
        let terms = Zip::from(&place.sums).and(z).and(&place.z);
        let sum = terms.fold(0.0, |sum, s, started, z| sum + s * (share * started + z));
        share * share * square + sum
    }

    /// One step after a backward pass of the engine: the weights follow the mean of their gradient over all
    /// examples, each of which has the share `share`, and `l2` times themselves. What stopped being
    /// finite is the error; if it is the gradient, nothing was changed.
    pub(crate) fn step(
        &mut self,
        state: &mut GramState<T>,
        engine: &Engine<T>,
        step: DualStep,
    ) -> Result<(), &'static str> {
        let DualStep { layer, share, l2, optimizer, rate } = step;
        let gradient = &mut self.gradient;
        let sums = gradient.sums.axis_chunks_iter_mut(Axis(1), engine.tile_width());
        for_each_part(sums, &|tile, mut sums| {
            let dz = engine.first_dz(layer, tile);
            for (sums, dz) in sums.rows_mut().into_iter().zip(dz.rows()) {
                sums.into_iter().zip(dz).for_each(|(sum, &dz)| *sum = dz.into());
            }
        });
        self.dz.assign(gradient.sums.view());
        self.gram.multiply_into(&self.dz, gradient.z.view_mut());
        let GramState { place, direction, .. } = state;
        gradient.share.fill(0.0);
        let rule = |of_cost: f64, place: f64| share * of_cost + l2 * place;
        for (gradient, place) in gradient.arrays_mut().into_iter().zip(place.arrays()) {
            if !each(gradient.view_mut(), place.view(), rule) {
                return Err("gradient");
            }
        }
        let mut memory = direction.as_mut().map(|direction| direction.arrays_mut().into_iter());
        for (place, gradient) in place.arrays_mut().into_iter().zip(gradient.arrays()) {
            let memory = memory.as_mut().and_then(Iterator::next).map(|it| it.view_mut());
            if !optimizer.update_array(place.view_mut(), gradient.view(), memory, rate) {
                return Err("weights");
            }
        }
        Ok(())
    }

    /// `Z` of the first layer on the validation part, without its bias, for the weights as they are.
    pub(crate) fn validation_product(
        &mut self,
        state: &GramState<T>,
    ) -> Option<ArrayView2<'_, f64>> {
        let ValidationWork { gram, sums, started, z } = self.validation.as_mut()?;
        sums.assign(state.place.sums.view());
        gram.multiply_into(sums, z.view_mut());
        let share = state.place.share[(0, 0)];
        z.zip_mut_with(started, |z, started| *z += share * started);
        Some(z.view())
    }
}

/// The weights of the layer that takes the inputs of the network.
fn first_weights<T: Element>(network: &Network<T>) -> ArrayView2<'_, T> {
    network.layer_tensors(network.first_layer())[0].values()
}
