//! Full-batch and mini-batch training.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

use dnn_core::{CoreError, Element, Precision, Purpose, RandomStream, Shape};
use dnn_kernels::{KernelPath, Products};
use dnn_layers::{Layer, Network};

use crate::augment::{self, Changes};
use crate::engine::plan::check_memory;
use crate::named_rule::{Rules as _, Setting};
use crate::optimizer::{MuonSteps, check_learning_rate};
use crate::whitening::Patches;
use crate::{
    Augment, ClassWeights, Cost, DropoutMasks, EarlyStopping, GramChoice, Mixing, Monitor,
    Optimizer, Schedule, StepClock, Targets, TrainError, TrainingSize,
};

/// How many examples a step looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// All of them, in their own order.
    Full,
    /// This many, shuffled anew in every epoch; the last batch of an epoch may be smaller.
    Size(NonZeroUsize),
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.pad("full"),
            Self::Size(size) => size.fmt(f),
        }
    }
}

impl FromStr for Batch {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        if text == "full" {
            return Ok(Self::Full);
        }
        text.parse().map(Self::Size).map_err(|_| CoreError::Invalid {
            what: "batch",
            expected: "`full` or a whole number of at least 1",
            found: text.to_owned(),
        })
    }
}

/// What becomes of a gradient that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Clip {
    /// It stays.
    #[default]
    Never,
    /// Each of its numbers is brought to between this number and its negative.
    Value(f64),
    /// It is scaled down to this norm, all layers as one vector.
    Norm(f64),
}

/// The function inside a [`BatchOrder`].
type Order = dyn Fn(u64, &mut [usize]) + Send + Sync;

/// An order of the examples for each epoch, in place of the trainer's own shuffling.
///
/// The function is given the epoch (counted from 1) and the columns `0..m` in ascending order, and
/// puts them into the order in which the epoch's batches are cut. A run stops with
/// [`TrainError::Order`] if a column is missing then.
#[derive(Clone)]
pub struct BatchOrder(Arc<Order>);

impl BatchOrder {
    /// The order that `order` makes.
    pub fn new(order: impl Fn(u64, &mut [usize]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(order))
    }
}

impl fmt::Debug for BatchOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BatchOrder").finish_non_exhaustive()
    }
}

/// The settings of a training run; [`fit`](Self::fit) carries it out. The
/// [defaults](Trainer::default) are mini-batches of 16, learning rate 0.1, 50 epochs.
///
/// # Examples
/// ```
/// use dnn_core::{Features, Purpose, RandomStream, Shape};
/// use dnn_layers::{Activation, Network};
/// use dnn_train::{Batch, Examples, Trainer, unobserved};
/// use ndarray::array;
///
/// let x = array![[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]];
/// let xor = Examples::classes(Features::Real(x.view()), &[0, 1, 1, 0]);
/// let mut network = Network::<f64>::builder(Shape::flat(2))
///     .hidden(&[8], Activation::Tanh)
///     .classes(["equal", "different"])
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let trainer = Trainer { learning_rate: 0.5, epochs: 500, batch: Batch::Full, ..Trainer::default() };
/// let history = trainer.fit(&mut network, &xor, None, &mut unobserved)?;
/// assert!(history.epochs[499].cost < 0.05);
/// assert_eq!(network.predict(&xor.features)?, [0, 1, 1, 0]);
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
///
/// Regression, stopped early by the observer:
/// ```
/// use std::ops::ControlFlow;
///
/// use dnn_core::{Features, Purpose, RandomStream, Shape};
/// use dnn_layers::{Activation, Head, Network};
/// use dnn_train::{Event, Examples, Trainer};
/// use ndarray::array;
///
/// let (x, y) = (array![[0.0, 0.5, 1.0, 1.5]], array![[0.0, 0.25, 1.0, 2.25]]);
/// let squares = Examples::values(Features::Real(x.view()), y.view());
/// let mut network = Network::<f64>::builder(Shape::flat(1))
///     .hidden(&[16], Activation::Tanh)
///     .outputs(1, Head::Identity)
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let trainer = Trainer { epochs: 100_000, ..Trainer::default() };
/// trainer.fit(&mut network, &squares, None, &mut |event| match event {
///     Event::Epoch(record) if record.cost < 1e-3 => ControlFlow::Break(()),
///     _ => ControlFlow::Continue(()),
/// })?;
/// let caches = network.forward(&squares.features)?;
/// assert!((caches.output()[(0, 3)] - 2.25).abs() < 0.1);
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Trainer {
    /// What to make small; the default of the network's head if `None`.
    pub cost: Option<Cost>,
    /// How parameters follow their gradient.
    pub optimizer: Optimizer,
    /// The size of a step, above 0.
    pub learning_rate: f64,
    /// How the learning rate changes over the run.
    pub schedule: Schedule,
    /// Over so many steps at the beginning the learning rate rises in equal parts to what the schedule
    /// says; 0 for a run that begins with it.
    pub warm_up: u64,
    /// How much large weights cost, `lambda / (2 m)` times the sum of their squares, with the `m` of all
    /// training examples; 0 for nothing. The costs of a run include it, an [`Evaluation`](crate::Evaluation) does not.
    pub l2: f64,
    /// What is done with a gradient that is too large, after all else.
    pub clip: Clip,
    /// How much the examples of each class count, beside their own [weights](crate::Examples::weights).
    pub class_weights: ClassWeights,
    /// The share of each class target that goes to all classes alike, from 0 and below 1.
    ///
    /// # References
    /// Szegedy and others (2016), Rethinking the Inception architecture for computer vision.
    pub label_smoothing: f64,
    /// What epochs are compared by; the cost of the validation part if `None`, or that of the training
    /// examples where there is no such part.
    pub monitor: Option<Monitor>,
    /// Ends a run that no longer improves, and gives the network back as it was after the best epoch.
    pub early_stopping: Option<EarlyStopping>,
    /// Gives the network back as it was after the best epoch, however the run ended.
    pub restore_best: bool,
    /// Examples per step.
    pub batch: Batch,
    /// Passes over the training examples.
    pub epochs: u64,
    /// Seeds the shuffling and dropout.
    pub seed: u64,
    /// The order of the examples, in place of shuffling.
    pub order: Option<BatchOrder>,
    /// A change of the training pictures, made anew in every epoch.
    pub augment: Option<Augment>,
    /// The shapes that [`augment`](Self::augment) gives to training pictures, one after another, where they are not that of
    /// the network; the examples may have any shape then. What is measured has the network's. Small pictures at the
    /// beginning take less time.
    pub sizes: Vec<TrainingSize>,
    /// How training pictures are mixed two by two, and their targets with them. What a run tells of the accuracy on its steps'
    /// pictures goes by the larger part of each.
    pub mixing: Option<Mixing>,
    /// Whether a run begins with whitening filters as the weights of its first convolution, made of the first training pictures
    /// as they are changed, which then stay: see [`whitening_filters`](crate::whitening_filters).
    pub whitening: bool,
    /// The share of the moving average of the parameters that stays at each step, from 0 and below 1; no average if `None`. At
    /// step `t`, counted from 1, it is at most `(1 + t) / (10 + t)`, as `TensorFlow` has it. What is measured, kept as best and
    /// given back in the end is the average; steps are made from the parameters themselves.
    ///
    /// # References
    /// Polyak and Juditsky (1992), Acceleration of stochastic approximation by averaging.
    pub averaging: Option<f64>,
    /// What dropout keeps, in place of what the seed draws.
    pub dropout_masks: Option<DropoutMasks>,
    /// Whether full-batch steps work on the products of the examples with each other.
    pub gram: GramChoice,
    /// In which numbers the products of dense layers and convolutions are made in training; parameters, what the
    /// optimiser remembers, and all else are of the network's own type. What is measured in between is
    /// measured in full.
    pub products: Products,
    /// Threads to run on; those of the surrounding pool if `None`. The result is the same.
    pub threads: Option<NonZeroUsize>,
    /// The time, by which a run beside other busy programs finds out whether a single thread is faster; without
    /// it, all threads make every step. No bit of the result depends on it.
    pub clock: Option<Arc<dyn StepClock>>,
}

impl Default for Trainer {
    /// Mini-batches of 16, learning rate 0.1, 50 epochs, seed 1.
    fn default() -> Self {
        Self {
            cost: None,
            optimizer: Optimizer::default(),
            learning_rate: 0.1,
            schedule: Schedule::default(),
            warm_up: 0,
            l2: 0.0,
            clip: Clip::Never,
            class_weights: ClassWeights::Equal,
            label_smoothing: 0.0,
            monitor: None,
            early_stopping: None,
            restore_best: false,
            batch: Batch::Size(const { NonZeroUsize::new(16).unwrap() }),
            epochs: 50,
            seed: 1,
            order: None,
            augment: None,
            sizes: Vec::new(),
            mixing: None,
            whitening: false,
            averaging: None,
            dropout_masks: None,
            gram: GramChoice::Auto,
            products: Products::Full,
            threads: None,
            clock: None,
        }
    }
}

impl Trainer {
    /// Checks the settings themselves, for a network of `T`; [`fit`](Self::fit) does so first of
    /// all.
    ///
    /// # Errors
    /// [`TrainError::Core`] if the learning rate is not a finite number above 0 in `T`, or a setting of
    /// the optimiser, the schedule, L2, clipping, label smoothing or early stopping is out of its range, or
    /// this processor does not make the [products](Self::products) for such a network.
    pub fn check<T: Element>(&self) -> Result<(), TrainError> {
        check_products(self.products, T::PRECISION, self.products.exist())?;
        check_learning_rate::<T>(self.learning_rate)?;
        self.optimizer.check::<T>()?;
        let (mut l2, clip) = (self.l2, self.clip);
        Setting::from_0("lambda of L2", &mut l2).check::<T>()?;
        if let Clip::Value(mut limit) | Clip::Norm(mut limit) = clip {
            Setting::above_0("limit of the gradient", &mut limit).check::<T>()?;
        }
        let (mut smoothing, stopping) = (self.label_smoothing, self.early_stopping);
        Setting::share("label smoothing", &mut smoothing).check::<T>()?;
        if let Some(mut stays) = self.averaging {
            Setting::share("weight averaging", &mut stays).check::<f64>()?;
        }
        if let Some(mixing) = self.mixing {
            mixing.check::<f64>()?;
        }
        if let Some(EarlyStopping { mut patience, mut min_delta }) = stopping {
            Setting::count("patience", &mut patience).check::<f64>()?;
            Setting::from_0("min delta", &mut min_delta).check::<f64>()?;
        }
        Ok(self.schedule.check::<f64>()?)
    }

    /// Checks that there is the memory beside the data to train `network` on `training` examples and
    /// to measure up to `measured` at a time, before anything is begun; [`fit`](Self::fit) does so
    /// too.
    ///
    /// # Errors
    /// [`TrainError::Memory`] if the system does not grant it.
    pub fn check_memory<T: Element>(
        &self,
        network: &Network<T>,
        training: usize,
        measured: usize,
    ) -> Result<(), TrainError> {
        let batch = self.batch_len(training);
        let shapes = self.sizes.iter().map(|size| size.shape);
        let largest = shapes.max_by_key(|shape| shape.height.saturating_mul(shape.width));
        let mut in_training = network.clone();
        if let Some(shape) = largest {
            in_training.set_input(shape)?;
        }
        let network = &in_training;
        let changes = self.changes(batch, network.input());
        let changed = changes.map_or(0, |_| augment::bytes(network.features(), batch));
        let bytes = T::PRECISION.bytes() as u128;
        let networks = u128::from(self.keeps_best()) + u128::from(self.averaging.is_some());
        let remembered = (self.optimizer.memory_arrays() as u128 + networks)
            * network.parameter_count() as u128
            + MuonSteps::numbers(self.optimizer, network);
        let remembered = remembered * bytes;
        let gram = self.gram_plan(network, training, 0)?;
        let gram = if gram.taken { gram.bytes.min(1 << 100) } else { 0 };
        check_memory(network, batch, measured, changed + remembered + gram)
    }

    /// The shape of the training pictures in an epoch, counted from 1; that of the network if `None`.
    pub fn training_shape(&self, epoch: u64) -> Option<Shape> {
        let now = TrainingSize::of_epoch(&self.sizes, epoch, self.epochs);
        self.sizes.get(now).map(|size| size.shape)
    }

    /// Checks that the sizes follow one another, and the network can be one for each of them.
    pub(crate) fn check_sizes<T: Element>(&self, network: &Network<T>) -> Result<(), TrainError> {
        let invalid = |expected, found: String| {
            Err(CoreError::Invalid { what: "sizes of training pictures", expected, found }.into())
        };
        let Some(first) = self.sizes.first() else { return Ok(()) };
        if self.augment.is_none() {
            return invalid("a change of the pictures that gives them", "none".to_owned());
        }
        let starts = || self.sizes.iter().map(|size| size.from);
        let rises = starts().zip(starts().skip(1)).all(|(one, next)| one < next);
        if first.from != 0.0 || !rises || !starts().all(|start| start < 1.0) {
            let expected = "shares of the epochs that begin with 0, rise and stay below 1";
            return invalid(expected, format!("{:?}", starts().collect::<Vec<_>>()));
        }
        let mut changed = network.clone();
        self.sizes.iter().try_for_each(|size| Ok(changed.set_input(size.shape)?))
    }

    /// How steps of up to `batch` pictures of this shape change them, if they do.
    pub(crate) fn changes(&self, batch: usize, shape: Shape) -> Option<Changes<'_>> {
        let (augment, mixing, seed) = (self.augment.as_ref(), self.mixing, self.seed);
        let changes = Changes { augment, mixing, seed, batch, shape };
        (augment.is_some() || mixing.is_some()).then_some(changes)
    }

    /// Whether the best weights so far have to be kept.
    pub(crate) fn keeps_best(&self) -> bool {
        self.restore_best || self.early_stopping.is_some()
    }

    /// Examples per step, of so many.
    pub fn batch_len(&self, examples: usize) -> usize {
        match self.batch {
            Batch::Full => examples,
            Batch::Size(size) => size.get().min(examples),
        }
    }

    /// What epochs are compared by, where nothing was said: the validation part, if there is one.
    pub(crate) fn monitor(&self, has_validation: bool) -> Result<Monitor, TrainError> {
        let default = if has_validation { Monitor::ValidationCost } else { Monitor::Cost };
        let monitor = self.monitor.unwrap_or(default);
        if monitor.needs_validation() && !has_validation {
            return Err(CoreError::Invalid {
                what: "monitor",
                expected: "cost or accuracy, as there is no validation part",
                found: monitor.to_string(),
            }
            .into());
        }
        Ok(monitor)
    }

    /// Checks what follows from what kind of targets there is.
    pub(crate) fn check_targets<T: Element>(
        &self,
        targets: &Targets<'_, T>,
    ) -> Result<(), TrainError> {
        if self.label_smoothing > 0.0 && matches!(targets, Targets::Values(_)) {
            return Err(CoreError::Invalid {
                what: "label smoothing",
                expected: "classes as targets",
                found: "numbers".to_owned(),
            }
            .into());
        }
        Ok(())
    }

    /// Checks that the settings go with each other and with the layers of `network`, for so many training examples, before
    /// anything is begun; [`fit`](Self::fit) does so too.
    ///
    /// # Errors
    /// [`TrainError::Core`] with what does not go together.
    pub fn check_network<T: Element>(
        &self,
        network: &Network<T>,
        training: usize,
    ) -> Result<(), TrainError> {
        let normalized = network.layers().iter().any(Layer::needs_whole_batch);
        if normalized && self.batch_len(training) == 1 {
            return Err(CoreError::Invalid {
                what: "batch",
                expected: "at least 2 examples, over which batch normalisation can take a mean",
                found: "1".to_owned(),
            }
            .into());
        }
        if let Optimizer::Lbfgs(_) = self.optimizer {
            let drops = network.layers().iter().any(|layer| layer.drop_rate() > 0.0);
            let reason = if self.batch != Batch::Full {
                Some("mini-batches (full batches go with it)")
            } else if drops {
                Some("dropout")
            } else if self.augment.is_some() {
                Some("augmentation")
            } else if self.mixing.is_some() {
                Some("mixing")
            } else if self.clip != Clip::Never {
                Some("clipped gradients")
            } else {
                None
            };
            if let Some(found) = reason {
                return Err(CoreError::Invalid {
                    what: "L-BFGS",
                    expected: "the same cost at every step",
                    found: found.to_owned(),
                }
                .into());
            }
        }
        if self.whitening { Patches::of(network).map(drop) } else { Ok(()) }
    }

    /// Which examples the batches of an epoch take, batch by batch.
    ///
    /// # Errors
    /// [`TrainError::Order`] if the [order](Self::order) that was given leaves an example out.
    ///
    /// # Examples
    /// ```
    /// use dnn_train::{Batch, Trainer};
    ///
    /// let trainer = Trainer { batch: Batch::Size(2.try_into().unwrap()), ..Trainer::default() };
    /// let batches = trainer.batches(5, 1)?;
    /// assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    /// # Ok::<(), dnn_train::TrainError>(())
    /// ```
    pub fn batches(&self, examples: usize, epoch: u64) -> Result<Vec<Vec<usize>>, TrainError> {
        let (mut columns, mut seen) = ((0..examples).collect::<Vec<_>>(), vec![false; examples]);
        self.arrange(epoch, &mut columns, &mut seen)?;
        let batch = self.batch_len(examples).max(1);
        Ok(columns.chunks(batch).map(<[usize]>::to_vec).collect())
    }

    /// Puts `columns` into the order of `epoch`, counted from 1.
    ///
    /// `seen` has a place for every column.
    pub(crate) fn arrange(
        &self,
        epoch: u64,
        columns: &mut [usize],
        seen: &mut [bool],
    ) -> Result<(), TrainError> {
        columns.iter_mut().enumerate().for_each(|(position, column)| *column = position);
        match (&self.order, self.batch) {
            (Some(order), _) => {
                (order.0)(epoch, columns);
                check_order(epoch, columns, seen)?;
            }
            (None, Batch::Full) => {}
            (None, Batch::Size(_)) => {
                RandomStream::new(self.seed, Purpose::Shuffle, epoch).shuffle(columns);
            }
        }
        Ok(())
    }
}

/// Checks that products in these numbers are for this type, and exist here.
fn check_products(products: Products, precision: Precision, exist: bool) -> Result<(), CoreError> {
    let (expected, found) = match (products, precision) {
        (Products::Bf16, Precision::F64) => ("a network of f32", precision.to_string()),
        (Products::Bf16, Precision::F32) if !exist => {
            let best = KernelPath::best();
            ("a processor with AVX512_BF16, or else products in f32", format!("one with {best}"))
        }
        _ => return Ok(()),
    };
    Err(CoreError::Invalid { what: "products in bf16", expected, found })
}

/// Checks that every column is there once.
fn check_order(epoch: u64, columns: &[usize], seen: &mut [bool]) -> Result<(), TrainError> {
    let examples = seen.len();
    seen.fill(false);
    for &column in columns {
        let found = match seen.get_mut(column) {
            None => "beyond the last",
            Some(true) => "twice",
            Some(seen) => {
                *seen = true;
                continue;
            }
        };
        return Err(TrainError::Order { epoch, examples, column, found });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_that_cannot_be_are_refused_with_the_reason() {
        let refused = |precision, exist| {
            check_products(Products::Bf16, precision, exist).map_err(|error| error.to_string())
        };
        assert_eq!(refused(Precision::F32, true), Ok(()));
        let best = KernelPath::best();
        let absent = format!(
            "products in bf16: expected a processor with AVX512_BF16, or else products in f32, found one \
             with {best}"
        );
        assert_eq!(refused(Precision::F32, false), Err(absent));
        let wide = "products in bf16: expected a network of f32, found f64".to_owned();
        assert_eq!(refused(Precision::F64, true), Err(wide));
        assert!(check_products(Products::Full, Precision::F64, true).is_ok());
    }
}
