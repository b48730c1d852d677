//! Runs from their beginning, and from where they were saved.

use dnn_core::{BothPrecisions, Columns, Element};
use dnn_kernels::join;
use dnn_layers::Network;
use dnn_store::Scalar;

use crate::augment::Augmented;
use crate::checkpoint::RunState;
use crate::event::Observer;
use crate::run::Run;
use crate::threads::{AdaptiveThreads, install};
use crate::whitening::{PICTURES, Patches};
use crate::{Checkpoint, Cost, Examples, History, TrainError, Trainer};

type RunOf<T> = fn(
    &Trainer,
    &mut Network<T>,
    Option<(RunState<T>, bool)>,
    &Examples<'_, T>,
    Option<&Examples<'_, T>>,
    &mut Observer<'_>,
) -> Result<History, TrainError>;

static RUN: BothPrecisions<RunOf<f32>, RunOf<f64>> =
    BothPrecisions { f32: Trainer::run, f64: Trainer::run };

impl Trainer {
    /// Trains `network` on `training`; measures `validation`, if given, after every epoch.
    ///
    /// `observer` hears every [`Event`](crate::Event). With [`ControlFlow::Break`](std::ops::ControlFlow::Break) the run ends there: told of a
    /// step, after that step, and the epoch in progress leaves no record; told of an epoch, after it.
    ///
    /// The same settings, data and first weights give the same bits, whatever the number of threads.
    ///
    /// # Errors
    /// [`TrainError`] if a setting is out of range, the examples or the cost do not fit the network,
    /// or a number stops being finite: then the error names layer, step, epoch and batch, and the
    /// network holds the parameters from before that step, unless it is the update itself that went
    /// out of range.
    pub fn fit<T: Element + Scalar>(
        &self,
        network: &mut Network<T>,
        training: &Examples<'_, T>,
        validation: Option<&Examples<'_, T>>,
        observer: &mut Observer<'_>,
    ) -> Result<History, TrainError> {
        RUN.of::<RunOf<T>>()(self, network, None, training, validation, observer)
    }

    /// Goes on with a run from a checkpoint of it, to the same bits as if it had never stopped; `network`
    /// becomes the checkpoint's. The history has the epochs from there on.
    ///
    /// The run keeps the [form](crate::GramPlan) that it began in. The threads are free, and so is the number of epochs where the schedule does not depend on it: more
    /// epochs extend a run. What is given as a function ([`order`](Self::order),
    /// [`augment`](Self::augment), [`dropout_masks`](Self::dropout_masks)) has to be the same one; only its
    /// presence can be checked.
    ///
    /// # Errors
    /// [`TrainError::OtherRun`] with the first thing that differs, and those of [`fit`](Self::fit).
    ///
    /// # Examples
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use dnn_core::{Features, Purpose, RandomStream, Shape};
    /// use dnn_layers::{Activation, Network};
    /// use dnn_train::{Checkpoint, Event, Examples, Trainer, unobserved};
    /// use ndarray::array;
    ///
    /// let x = array![[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]];
    /// let xor = Examples::classes(Features::Real(x.view()), &[0, 1, 1, 0]);
    /// let first = Network::<f64>::builder(Shape::flat(2))
    ///     .hidden(&[8], Activation::Tanh)
    ///     .classes(["equal", "different"])
    ///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    /// let trainer = Trainer { epochs: 20, ..Trainer::default() };
    /// let mut straight = first.clone();
    /// trainer.fit(&mut straight, &xor, None, &mut unobserved)?;
    ///
    /// // The same run, saved and ended after step 7.
    /// let (mut network, mut saved) = (first, Vec::new());
    /// trainer.fit(&mut network, &xor, None, &mut |event| match event {
    ///     Event::State(state) if state.step() == 7 => {
    ///         saved = state.checkpoint().unwrap();
    ///         ControlFlow::Break(())
    ///     }
    ///     _ => ControlFlow::Continue(()),
    /// })?;
    /// let checkpoint = Checkpoint::from_bytes(&saved)?;
    /// trainer.resume(&mut network, checkpoint, &xor, None, &mut unobserved)?;
    /// assert_eq!(network, straight);
    /// # Ok::<(), dnn_train::TrainError>(())
    /// ```
    pub fn resume<T: Element + Scalar>(
        &self,
        network: &mut Network<T>,
        checkpoint: Checkpoint<T>,
        training: &Examples<'_, T>,
        validation: Option<&Examples<'_, T>>,
        observer: &mut Observer<'_>,
    ) -> Result<History, TrainError> {
        let opened = checkpoint.open(self, training.len(), network)?;
        RUN.of::<RunOf<T>>()(self, network, Some(opened), training, validation, observer)
    }

    fn run<T: Element + Scalar>(
        &self,
        network: &mut Network<T>,
        opened: Option<(RunState<T>, bool)>,
        training: &Examples<'_, T>,
        validation: Option<&Examples<'_, T>>,
        observer: &mut Observer<'_>,
    ) -> Result<History, TrainError> {
        self.check::<T>()?;
        let cost = self.cost.unwrap_or_else(|| Cost::of_head(network.head()));
        self.check_sizes(network)?;
        if self.sizes.is_empty() {
            training.check(network, cost)?;
        } else {
            training.check_targets(network, cost)?;
        }
        self.check_targets(&training.targets)?;
        self.check_network(network, training.len())?;
        if let Some(validation) = validation {
            validation.check(network, cost)?;
        }
        self.check_memory(network, training.len(), validation.map_or(0, Examples::len))?;
        let mut plan =
            self.gram_plan(network, training.len(), validation.map_or(0, Examples::len))?;
        let state = opened.map(|(state, form)| {
            plan = plan.resumed(form);
            state
        });
        let run = Run::new(self, cost, plan, network, training, validation)?;
        let clock = self.clock.as_deref();
        let work = || {
            let state = match state {
                Some(state) => state,
                None => self.begin(network, training)?,
            };
            run.all_epochs(network, state, AdaptiveThreads::new(clock), observer)
        };
        match self.threads {
            // Enters the surrounding pool once, for the whole run.
            None => join(work, || ()).0,
            Some(threads) => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build();
                let pool =
                    pool.map_err(|source| TrainError::Threads { threads: threads.get(), source })?;
                install(&pool, work)
            }
        }
    }

    /// The state of a run before its first step, and the network as it begins.
    fn begin<T: Element>(
        &self,
        network: &mut Network<T>,
        training: &Examples<'_, T>,
    ) -> Result<RunState<T>, TrainError> {
        if self.whitening {
            self.whiten(network, training)?;
        }
        Ok(RunState::start(self, network))
    }

    /// Whitens by the training pictures as the first steps see them.
    fn whiten<T: Element>(
        &self,
        network: &mut Network<T>,
        training: &Examples<'_, T>,
    ) -> Result<(), TrainError> {
        let mut first = network.clone();
        if let Some(shape) = self.training_shape(1) {
            first.set_input(shape)?;
        }
        let mut patches = Patches::of(&first)?;
        let changes = self.changes(1, first.input());
        let augmented = |changes| Augmented::new(changes, training.reborrow());
        let mut augmented = changes.map(augmented).transpose()?;
        for batch in self.batches(training.len(), 1)?.concat().chunks(1).take(PICTURES) {
            let columns = Columns::Run { start: 0, len: 1 };
            match &mut augmented {
                Some(augmented) => {
                    let changed = augmented.batch(1, 1, Columns::Listed(batch)).examples;
                    patches.add(&first, &changed.features, columns);
                }
                None => patches.add(&first, &training.features, Columns::Listed(batch)),
            }
        }
        patches.put(network)
    }
}
