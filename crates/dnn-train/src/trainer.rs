//! Full-batch and mini-batch training.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::str::FromStr;
use std::sync::Arc;

use dnn_core::{Columns, CoreError, Element, Purpose, RandomStream};
use dnn_layers::Network;

use crate::augment::{self, Augmented};
use crate::engine::{self, Engine, NotFinite};
use crate::evaluation::tally;
use crate::optimizer::check_learning_rate;
use crate::regularization::{add_l2, clip_by_norm, clip_by_value, l2_cost};
use crate::settings::{Rules as _, Setting};
use crate::totals::{Totals, Watch};
use crate::{
    Augment, Cost, Evaluation, Event, Examples, History, Moment, Optimizer, OptimizerState,
    Schedule, TrainError,
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
/// use dnn_core::{Features, Purpose, RandomStream};
/// use dnn_layers::{Activation, InputShape, Network};
/// use dnn_train::{Batch, Examples, Trainer, unobserved};
/// use ndarray::array;
///
/// let x = array![[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]];
/// let xor = Examples::classes(Features::Real(x.view()), &[0, 1, 1, 0]);
/// let mut network = Network::<f64>::builder(InputShape::flat(2))
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
/// use dnn_core::{Features, Purpose, RandomStream};
/// use dnn_layers::{Activation, Head, InputShape, Network};
/// use dnn_train::{Event, Examples, Trainer};
/// use ndarray::array;
///
/// let (x, y) = (array![[0.0, 0.5, 1.0, 1.5]], array![[0.0, 0.25, 1.0, 2.25]]);
/// let squares = Examples::values(Features::Real(x.view()), y.view());
/// let mut network = Network::<f64>::builder(InputShape::flat(1))
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
    /// What to make small; the usual cost of the network's head if `None`.
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
    /// training examples; 0 for nothing. The costs of a run include it, an [`Evaluation`] does not.
    pub l2: f64,
    /// What is done with a gradient that is too large, after all else.
    pub clip: Clip,
    /// Examples per step.
    pub batch: Batch,
    /// Passes over the training examples.
    pub epochs: u64,
    /// Seeds the shuffling.
    pub seed: u64,
    /// The order of the examples, in place of shuffling.
    pub order: Option<BatchOrder>,
    /// A change of the training pictures, made anew in every epoch.
    pub augment: Option<Augment>,
    /// Threads to run on; those of the surrounding pool if `None`. The result is the same.
    pub threads: Option<NonZeroUsize>,
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
            batch: Batch::Size(const { NonZeroUsize::new(16).unwrap() }),
            epochs: 50,
            seed: 1,
            order: None,
            augment: None,
            threads: None,
        }
    }
}

/// Hears of everything that happens in a run, and may end it.
type Observer<'o> = dyn FnMut(Event<'_>) -> ControlFlow<()> + Send + 'o;

impl Trainer {
    /// Checks the settings themselves, for a network of `T`; [`fit`](Self::fit) does so first of
    /// all.
    ///
    /// # Errors
    /// [`TrainError::Core`] if the learning rate is not a finite number above 0 in `T`, or a setting of
    /// the optimiser, the schedule, L2 or clipping is out of its range.
    pub fn check<T: Element>(&self) -> Result<(), TrainError> {
        check_learning_rate::<T>(self.learning_rate)?;
        self.optimizer.check::<T>()?;
        let (mut l2, clip) = (self.l2, self.clip);
        Setting::from_0("lambda of L2", &mut l2).check::<T>()?;
        if let Clip::Value(mut limit) | Clip::Norm(mut limit) = clip {
            Setting::above_0("limit of the gradient", &mut limit).check::<T>()?;
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
        let changed =
            self.augment.as_ref().map_or(0, |_| augment::bytes(network.features(), batch));
        let bytes = T::PRECISION.bytes() as u128;
        let remembered = self.optimizer.memory_names().len() as u128
            * network.parameters().count() as u128
            * bytes;
        engine::check_memory(network, batch, measured, changed + remembered)
    }

    /// Examples per step.
    fn batch_len(&self, examples: usize) -> usize {
        match self.batch {
            Batch::Full => examples,
            Batch::Size(size) => size.get().min(examples),
        }
    }

    /// Trains `network` on `training`; measures `validation`, if given, after every epoch.
    ///
    /// `observer` hears every [`Event`]. With [`ControlFlow::Break`] the run ends there: told of a
    /// step, after that step, and the epoch in progress leaves no record; told of an epoch, after it.
    ///
    /// The same settings, data and first weights give the same bits, whatever the number of threads.
    ///
    /// # Errors
    /// [`TrainError`] if a setting is out of range, the examples or the cost do not fit the network,
    /// or a number stops being finite: then the error names layer, step, epoch and batch, and the
    /// network holds the parameters from before that step, unless it is the update itself that went
    /// out of range.
    pub fn fit<T: Element>(
        &self,
        network: &mut Network<T>,
        training: &Examples<'_, T>,
        validation: Option<&Examples<'_, T>>,
        observer: &mut Observer<'_>,
    ) -> Result<History, TrainError> {
        self.check::<T>()?;
        let cost = self.cost.unwrap_or_else(|| Cost::of_head(network.head()));
        training.check(network, cost)?;
        if let Some(validation) = validation {
            validation.check(network, cost)?;
        }
        self.check_memory(network, training.len(), validation.map_or(0, Examples::len))?;
        let run = Run {
            trainer: self,
            cost,
            training,
            validation,
            batch: self.batch_len(training.len()),
        };
        let mut work = || run.all_epochs(network, observer);
        match self.threads {
            // Enters the surrounding pool once, for the whole run.
            None => rayon::scope(|_| work()),
            Some(threads) => rayon::ThreadPoolBuilder::new()
                .num_threads(threads.get())
                .build()
                .map_err(|source| TrainError::Threads { threads: threads.get(), source })?
                .install(work),
        }
    }

    /// Puts `columns` into the order of `epoch`, counted from 1.
    ///
    /// `seen` has a place for every column.
    fn arrange(
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

/// A run whose settings have been checked.
struct Run<'r, 'a, 'v, T> {
    trainer: &'r Trainer,
    cost: Cost,
    training: &'r Examples<'a, T>,
    validation: Option<&'r Examples<'v, T>>,
    batch: usize,
}

impl<T: Element> Run<'_, '_, '_, T> {
    fn all_epochs(
        &self,
        network: &mut Network<T>,
        observer: &mut Observer<'_>,
    ) -> Result<History, TrainError> {
        let mut engine = Engine::new(network, self.batch);
        let mut state = self.trainer.optimizer.start(network.parameters());
        let mut augmented = match &self.trainer.augment {
            Some(augment) => Some(Augmented::new(augment, self.training.reborrow(), self.batch)?),
            None => None,
        };
        let mut validation = self.validation.map(|part| Engine::for_measuring(network, part.len()));
        let mut columns: Vec<usize> = (0..self.training.len()).collect();
        let mut seen = vec![false; self.training.len()];
        let mut history = History::for_epochs(self.trainer.epochs);
        let mut totals = Totals::new(network.outputs());
        let mut watch = Watch::default();
        for epoch in 1..=self.trainer.epochs {
            self.trainer.arrange(epoch, &mut columns, &mut seen)?;
            let mut learning_rate = self.trainer.learning_rate;
            totals.start_epoch();
            for (index, batch) in columns.chunks(self.batch).enumerate() {
                let step = totals.steps() + 1;
                learning_rate = self.learning_rate(step);
                // A long decay may end in 0.
                check_learning_rate::<T>(learning_rate)?;
                let (examples, columns) = self.batch(epoch, batch, augmented.as_mut());
                let cost = self
                    .step(
                        network,
                        (&mut engine, &mut state),
                        (&examples, columns),
                        learning_rate,
                        &mut totals,
                    )
                    .map_err(|found| found.at(step, epoch, index + 1))?;
                let event = Event::Step { epoch, step, batch: index + 1, cost };
                if observer(event).is_break() {
                    return Ok(history);
                }
            }
            let measured = self.validate(network, validation.as_mut()).map_err(|source| {
                let (step, source) = (totals.steps(), Box::new(source));
                TrainError::Validation { step, epoch, source }
            })?;
            history.epochs.push(totals.record(epoch, learning_rate, measured));
            let record = &history.epochs[history.epochs.len() - 1];
            let mut flow = observer(Event::Epoch(record));
            if let Some(warning) = watch.warning(record, self.trainer.epochs) {
                if observer(Event::Warning(&warning)).is_break() {
                    flow = ControlFlow::Break(());
                }
                history.warnings.push(warning);
            }
            if flow.is_break() {
                break;
            }
        }
        Ok(history)
    }

    /// The rate of a step, counted from 1.
    fn learning_rate(&self, step: u64) -> f64 {
        let steps_per_epoch = self.training.len().div_ceil(self.batch.max(1)).max(1) as u64;
        let moment = Moment {
            step: step - 1,
            steps_per_epoch,
            steps: steps_per_epoch.saturating_mul(self.trainer.epochs),
        };
        let Trainer { schedule, learning_rate, warm_up, .. } = self.trainer;
        let rate = schedule.rate(*learning_rate, moment);
        if step < *warm_up { rate * step as f64 / *warm_up as f64 } else { rate }
    }

    /// Measures the validation part, if there is one.
    fn validate(
        &self,
        network: &Network<T>,
        engine: Option<&mut Engine<T>>,
    ) -> Result<Option<Evaluation>, TrainError> {
        let (Some(validation), Some(engine)) = (self.validation, engine) else { return Ok(None) };
        Ok(Some(tally(engine, network, validation, self.cost)?.evaluation()))
    }

    /// The examples of a step and which of them it takes: those that `batch` lists, as they are or
    /// as `epoch` changes them.
    fn batch<'s>(
        &'s self,
        epoch: u64,
        batch: &'s [usize],
        augmented: Option<&'s mut Augmented<'_, T>>,
    ) -> (Examples<'s, T>, Columns<'s>) {
        let run = Columns::Run { start: 0, len: batch.len() };
        let in_order = self.trainer.order.is_none() && self.trainer.batch == Batch::Full;
        match augmented {
            Some(augmented) => (augmented.batch(epoch, Columns::Listed(batch)), run),
            None if in_order => (self.training.reborrow(), run),
            None => (self.training.reborrow(), Columns::Listed(batch)),
        }
    }

    /// One step on a batch; gives its mean cost before it.
    fn step(
        &self,
        network: &mut Network<T>,
        (engine, state): (&mut Engine<T>, &mut OptimizerState<T>),
        (examples, columns): (&Examples<'_, T>, Columns<'_>),
        learning_rate: f64,
        totals: &mut Totals,
    ) -> Result<f64, NotFinite> {
        let tally = engine.backward(network, self.cost, examples, columns)?;
        let (l2, m) = (self.trainer.l2, self.training.len());
        let penalty = if l2 > 0.0 { l2_cost(network.parameters(), l2, m) } else { 0.0 };
        let cost = tally.mean_cost() + penalty;
        totals.add(tally, penalty);
        if l2 > 0.0 {
            add_l2(engine.gradient_mut(), network.parameters(), l2, m);
        }
        match self.trainer.clip {
            Clip::Never => {}
            Clip::Value(limit) => clip_by_value(engine.gradient_mut(), limit),
            Clip::Norm(limit) => {
                clip_by_norm(engine.gradient_mut(), limit);
            }
        }
        state.steps += 1;
        let (optimizer, gradient) = (self.trainer.optimizer, engine.gradient());
        for (l, (layer, gradient)) in network.layers_mut().zip(&gradient.layers).enumerate() {
            if let Some(what) = state.update_layer(optimizer, l, layer, gradient, learning_rate) {
                return Err(NotFinite { what, layer: l + 1 });
            }
        }
        Ok(cost)
    }
}
