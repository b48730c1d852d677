//! A training run: one step after another.

mod penalty;

use std::ops::ControlFlow;

use dnn_core::{Columns, Element, Shape};
use dnn_layers::{BatchStatistics, Network};
use dnn_store::Scalar;

use crate::augment::{Augmented, BatchExamples};
use crate::averaging;
use crate::checkpoint::{RunState, Saved, Snapshot};
use crate::cost::Objective;
use crate::dropout::Draws;
use crate::engine::{Engine, NotFinite, StepContext};
use crate::evaluation::tally;
use crate::event::Observer;
use crate::gram::{self, GramState, GramWork};
use crate::lbfgs;
use crate::optimizer::{MuonSteps, update_network};
use crate::plan;
use crate::stopping::PlateauRule;
use crate::threads::{AdaptiveThreads, StepTimer, with_spinning_workers};
use crate::{
    Batch, Cost, Evaluation, Event, Examples, GramPlan, History, Moment, Monitor, Optimizer,
    Schedule, TrainError, Trainer,
};

/// A run whose settings have been checked.
pub(crate) struct Run<'r, 'a, 'v, T> {
    trainer: &'r Trainer,
    cost: Cost,
    training: &'r Examples<'a, T>,
    validation: Option<&'r Examples<'v, T>>,
    monitor: Monitor,
    class_weights: Option<Vec<T>>,
    /// The sum of the weights of all training examples: their number, where all count alike.
    weight: f64,
    batch: usize,
    /// The largest size of an input, where parameters follow their gradient block by block.
    largest: Option<f64>,
    plan: GramPlan,
    /// The shape of the pictures that the network is for.
    input: Shape,
}

/// The order of the examples in an epoch.
struct Order {
    columns: Vec<usize>,
    seen: Vec<bool>,
    /// Counted from 1.
    epoch: u64,
}

/// Which step it is, and on what.
#[derive(Clone, Copy)]
struct StepOf<'s> {
    epoch: u64,
    step: u64,
    /// The columns of its examples.
    batch: &'s [usize],
    /// The learning rate.
    rate: f64,
}

/// Why no further step is made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    Ended,
    OtherThreads,
}

/// What the steps of a run work in.
struct Work<'w, T> {
    engine: Engine<T>,
    /// The shape of the pictures that the engine is for.
    shape: Shape,
    order: Order,
    /// For the validation part, if there is one.
    measuring: Option<Engine<T>>,
    /// In the dual (Gram) form.
    gram: Option<GramWork<T>>,
    augmented: Option<Augmented<'w, T>>,
    /// Cost and gradient of the whole training part where the last step of L-BFGS ended.
    evaluated: Option<lbfgs::Evaluated<T>>,
    /// Where weights of convolutions follow Muon.
    muon: Option<MuonSteps<T>>,
}

impl<'r, 'a, 'v, T: Element + Scalar> Run<'r, 'a, 'v, T> {
    pub(crate) fn new(
        trainer: &'r Trainer,
        cost: Cost,
        plan: GramPlan,
        network: &Network<T>,
        training: &'r Examples<'a, T>,
        validation: Option<&'r Examples<'v, T>>,
    ) -> Result<Self, TrainError> {
        let mut run = Self {
            trainer,
            cost,
            training,
            validation,
            monitor: trainer.monitor(validation.is_some())?,
            class_weights: trainer.class_weights.of(training, network.outputs())?,
            weight: 0.0,
            batch: trainer.batch_len(training.len()),
            largest: None,
            plan,
            input: network.input(),
        };
        if !run.plan.taken && plan::stored_because::<T>(trainer).is_none() {
            run.largest = Some(training.features.largest());
        }
        run.weight = run.objective().weight_of_all(training);
        Ok(run)
    }

    fn objective(&self) -> Objective<'_, T> {
        Objective {
            cost: self.cost,
            smoothing: T::from_f64(self.trainer.label_smoothing),
            class_weights: self.class_weights.as_deref(),
            own: None,
        }
    }

    /// Buffers for the whole run, and all products of examples in the dual (Gram) form.
    fn work(
        &self,
        network: &Network<T>,
        state: &mut RunState<T>,
    ) -> Result<Work<'r, T>, TrainError> {
        let trainer = self.trainer;
        let shape = network.input();
        let changes = trainer.changes(self.batch, shape);
        let augmented = |changes| Augmented::new(changes, self.training.reborrow());
        let augmented = changes.map(augmented).transpose()?;
        let measuring = self.validation.map(|part| Engine::for_measuring(network, part.len()));
        let x = &self.training.features;
        if self.plan.taken && state.gram.is_none() {
            state.gram = Some(GramState::start(trainer.optimizer, network, x));
        }
        let engine = match &state.gram {
            Some(_) => Engine::for_products(network, self.batch, trainer.products),
            None => Engine::new(network, self.batch, x, trainer.products),
        };
        let gram = state.gram.as_ref().map(|state| {
            let y = self.validation.map(|part| &part.features);
            GramWork::new(state, x, y, trainer.l2)
        });
        let m = self.training.len();
        let order = Order { columns: (0..m).collect(), seen: vec![false; m], epoch: 0 };
        let muon = MuonSteps::new(trainer.optimizer, network);
        Ok(Work { engine, shape, order, measuring, gram, augmented, evaluated: None, muon })
    }

    pub(crate) fn all_epochs(
        &self,
        network: &mut Network<T>,
        mut state: RunState<T>,
        threads: AdaptiveThreads<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<History, TrainError> {
        if observer(Event::Plan(&self.plan)).is_break() {
            return Ok(History::default());
        }
        let mut work = self.work(network, &mut state)?;
        let result = self.epochs(network, &mut state, &mut work, threads, observer);
        let x = &self.training.features;
        if let Some(gram) = &state.gram {
            gram::put(network, &gram.weights(x));
        }
        let mut history = result?;
        history.best = state.progress.comparison.best.filter(|_| self.trainer.keeps_best());
        history.stopped_early = self.has_stopped(&state);
        if let Some(best) = state.best.take().or(state.average.take()) {
            *network = best;
            if let Some(weights) = state.gram.and_then(|gram| gram.best_weights(x)) {
                gram::put(network, &weights);
            }
        }
        Ok(history)
    }

    /// All epochs that are still to be made.
    fn epochs(
        &self,
        network: &mut Network<T>,
        state: &mut RunState<T>,
        work: &mut Work<'_, T>,
        mut threads: AdaptiveThreads<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<History, TrainError> {
        let mut history = History::for_epochs(self.trainer.epochs);
        let mut part = |timer: &mut StepTimer<'_>| {
            self.some_epochs(network, state, work, &mut history, timer, observer)
        };
        while threads.run(&mut part)? == Pause::OtherThreads {}
        Ok(history)
    }

    /// Epochs that are still to be made, until all are or other threads should go on.
    fn some_epochs(
        &self,
        network: &mut Network<T>,
        state: &mut RunState<T>,
        work: &mut Work<'_, T>,
        history: &mut History,
        timer: &mut StepTimer<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<Pause, TrainError> {
        let trainer = self.trainer;
        while state.progress.epoch <= trainer.epochs && !self.has_stopped(state) {
            let Order { columns, seen, epoch } = &mut work.order;
            if *epoch != state.progress.epoch {
                *epoch = state.progress.epoch;
                trainer.arrange(*epoch, columns, seen)?;
            }
            // Lent out, because the steps change what else is in there.
            let columns = std::mem::take(&mut work.order.columns);
            self.begin_size(network, work, state.progress.epoch)?;
            let flow = self.epoch(network, state, work, &columns, timer, observer);
            self.end_size(network)?;
            work.order.columns = columns;
            if let ControlFlow::Break(pause) = flow? {
                return Ok(pause);
            }
            let measured = self.validate(network, work, state)?;
            if self.end_epoch(network, state, measured, history, observer).is_break() {
                break;
            }
        }
        Ok(Pause::Ended)
    }

    /// Makes the network that of the pictures of an epoch, and the buffers those of the network.
    fn begin_size(
        &self,
        network: &mut Network<T>,
        work: &mut Work<'_, T>,
        epoch: u64,
    ) -> Result<(), TrainError> {
        let Some(shape) = self.trainer.training_shape(epoch) else { return Ok(()) };
        network.set_input(shape)?;
        if work.shape != shape {
            let (x, products) = (&self.training.features, self.trainer.products);
            work.engine = Engine::new(network, self.batch, x, products);
            if let Some(augmented) = &mut work.augmented {
                augmented.resize(shape);
            }
            work.shape = shape;
        }
        Ok(())
    }

    /// Makes the network that of the pictures it is for.
    fn end_size(&self, network: &mut Network<T>) -> Result<(), TrainError> {
        if network.input() != self.input {
            network.set_input(self.input)?;
        }
        Ok(())
    }

    /// Whether there has been no improvement for long enough.
    fn has_stopped(&self, state: &RunState<T>) -> bool {
        let patience = self.trainer.early_stopping.map(|stopping| stopping.patience);
        patience.is_some_and(|patience| state.progress.comparison.waited >= patience)
    }

    /// The steps of an epoch that are still to be made.
    fn epoch(
        &self,
        network: &mut Network<T>,
        state: &mut RunState<T>,
        work: &mut Work<'_, T>,
        columns: &[usize],
        timer: &mut StepTimer<'_>,
        observer: &mut Observer<'_>,
    ) -> Result<ControlFlow<Pause>, TrainError> {
        let (epoch, done) = (state.progress.epoch, state.progress.batches);
        if done == 0 {
            state.progress.totals.start_epoch();
        }
        for (index, batch) in columns.chunks(self.batch).enumerate().skip(done) {
            let step = state.progress.totals.steps() + 1;
            // A long decay would end in 0; at the least number there is nothing moves any more either.
            let least = T::min_positive_value().to_f64().unwrap_or(f64::MIN_POSITIVE);
            let rate = self.learning_rate(step, state).max(least);
            let of = StepOf { epoch, step, batch, rate };
            let clock = self.trainer.clock.as_deref();
            let made = || self.step_and_average(network, state, work, of);
            let (cost, others) = timer.step(|| with_spinning_workers(clock, made));
            let cost = cost.map_err(|found| found.at(network, step, epoch, index + 1))?;
            state.progress.batches = index + 1;
            let flow = observer(Event::Step { epoch, step, batch: index + 1, cost });
            if flow.is_break() || self.offer(network, state, false, observer).is_break() {
                return Ok(ControlFlow::Break(Pause::Ended));
            }
            if others {
                return Ok(ControlFlow::Break(Pause::OtherThreads));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Gives the observer the chance to save the run as it is now.
    fn offer(
        &self,
        network: &Network<T>,
        state: &RunState<T>,
        is_best: bool,
        observer: &mut Observer<'_>,
    ) -> ControlFlow<()> {
        let (trainer, training) = (self.trainer, &self.training.features);
        let ends = state.progress.epoch > trainer.epochs || self.has_stopped(state);
        let saved = Saved { trainer, training, network, input: self.input, state };
        observer(Event::State(Snapshot::new(&saved, is_best, ends)))
    }

    /// Records the epoch whose steps are all made, and compares it with those before.
    fn end_epoch(
        &self,
        network: &Network<T>,
        state: &mut RunState<T>,
        measured: Option<Evaluation>,
        history: &mut History,
        observer: &mut Observer<'_>,
    ) -> ControlFlow<()> {
        let (trainer, progress) = (self.trainer, &mut state.progress);
        let rate = self.rate_of(progress.totals.steps(), progress.plateau.scale);
        let mut record = progress.totals.record(progress.epoch, rate, measured);
        let min_delta = trainer.early_stopping.map_or(0.0, |stopping| stopping.min_delta);
        record.best = progress.comparison.note(self.monitor, min_delta, &record);
        if let Schedule::Plateau { factor, patience, threshold, .. } = trainer.schedule {
            let rule = PlateauRule { factor, patience, threshold };
            progress.plateau.note(self.monitor, rule, &record);
        }
        let warning = progress.watch.warning(&record, trainer.epochs);
        (progress.epoch, progress.batches) = (progress.epoch + 1, 0);
        progress.records += 1;
        let is_best = record.best;
        if is_best && trainer.keeps_best() {
            let network = state.average.as_ref().unwrap_or(network);
            match &mut state.best {
                Some(best) => best.clone_from(network),
                none => *none = Some(network.clone()),
            }
            if let Some(gram) = &mut state.gram {
                gram.keep_best();
            }
        }
        history.epochs.push(record);
        let mut flow = observer(Event::Epoch(&history.epochs[history.epochs.len() - 1]));
        if let Some(warning) = warning {
            if observer(Event::Warning(&warning)).is_break() {
                flow = ControlFlow::Break(());
            }
            history.warnings.push(warning);
        }
        // Saved even if the run ends here: what was told of the epoch and what is kept go together.
        if self.offer(network, state, is_best, observer).is_break() {
            flow = ControlFlow::Break(());
        }
        flow
    }

    /// The rate of a step, counted from 1.
    fn learning_rate(&self, step: u64, state: &RunState<T>) -> f64 {
        self.rate_of(step, state.progress.plateau.scale)
    }

    fn rate_of(&self, step: u64, plateau: f64) -> f64 {
        let steps_per_epoch = self.training.len().div_ceil(self.batch.max(1)).max(1) as u64;
        let moment = Moment {
            step: step.saturating_sub(1),
            steps_per_epoch,
            steps: steps_per_epoch.saturating_mul(self.trainer.epochs),
        };
        let Trainer { schedule, learning_rate, warm_up, .. } = self.trainer;
        let rate = match *schedule {
            Schedule::Plateau { least, .. } => learning_rate * plateau.max(least),
            schedule => schedule.rate(*learning_rate, moment),
        };
        if step < *warm_up { rate * step as f64 / *warm_up as f64 } else { rate }
    }

    /// Measures the validation part, if there is one.
    fn validate(
        &self,
        network: &Network<T>,
        work: &mut Work<'_, T>,
        state: &RunState<T>,
    ) -> Result<Option<Evaluation>, TrainError> {
        let Work { measuring, gram, .. } = work;
        let (Some(validation), Some(engine)) = (self.validation, measuring) else {
            return Ok(None);
        };
        let network = state.average.as_ref().unwrap_or(network);
        let form = gram.as_mut().zip(state.gram.as_ref());
        let product = form.and_then(|(work, state)| work.validation_product(state));
        let tally = tally(engine, network, validation, self.cost, product).map_err(|source| {
            let (step, epoch) = (state.progress.totals.steps(), state.progress.epoch);
            TrainError::Validation { step, epoch, source: Box::new(source) }
        })?;
        Ok(Some(tally.evaluation()))
    }

    /// The examples of a step and which of them it takes: those that it lists, as they are or as the epoch changes
    /// them.
    fn batch<'s>(
        &'s self,
        StepOf { epoch, step, batch, .. }: StepOf<'s>,
        augmented: Option<&'s mut Augmented<'_, T>>,
    ) -> (BatchExamples<'s, T>, Columns<'s>) {
        let run = Columns::Run { start: 0, len: batch.len() };
        let in_order = self.trainer.order.is_none() && self.trainer.batch == Batch::Full;
        let unchanged = || BatchExamples { examples: self.training.reborrow(), own: None };
        match augmented {
            Some(augmented) => (augmented.batch(epoch, step, Columns::Listed(batch)), run),
            None if in_order => (unchanged(), run),
            None => (unchanged(), Columns::Listed(batch)),
        }
    }

    /// One step, and the moving average after it.
    fn step_and_average(
        &self,
        network: &mut Network<T>,
        state: &mut RunState<T>,
        work: &mut Work<'_, T>,
        of: StepOf<'_>,
    ) -> Result<f64, NotFinite> {
        let cost = self.step(network, state, work, of)?;
        if let Some((average, decay)) = state.average.as_mut().zip(self.trainer.averaging) {
            averaging::follow(average, network, decay, of.step);
        }
        Ok(cost)
    }

    /// One step on a batch; gives its mean cost before it.
    fn step(
        &self,
        network: &mut Network<T>,
        state: &mut RunState<T>,
        work: &mut Work<'_, T>,
        of: StepOf<'_>,
    ) -> Result<f64, NotFinite> {
        let StepOf { step, batch, rate, .. } = of;
        let Work { engine, gram, augmented, evaluated, muon, .. } = work;
        let (BatchExamples { examples, own }, columns) = self.batch(of, augmented.as_mut());
        let trainer = self.trainer;
        let draws = Some(Draws { seed: trainer.seed, step, given: trainer.dropout_masks.as_ref() });
        let (objective, examples) = (Objective { own, ..self.objective() }, &examples);
        if let Optimizer::Lbfgs(rule) = trainer.optimizer {
            let mut evaluate = |network: &Network<T>, engine: &mut Engine<T>| {
                let context =
                    StepContext { network, objective, examples, columns, product: None, draws };
                engine.gradient_of(context)?;
                Ok(self.regularize(network, engine, None))
            };
            let memory = &mut state.optimizer.memory;
            state.optimizer.steps += 1;
            let mut driver = lbfgs::Driver { rule, rate, network, engine, evaluate: &mut evaluate };
            let start = match evaluated.take() {
                Some(start) => start,
                None => driver.here()?,
            };
            let (tally, penalty) = (start.tally.clone(), start.penalty);
            let end = evaluated.insert(driver.step(memory, start)?);
            state.progress.totals.add(&tally, penalty);
            // Not those of the last place that the search looked at.
            update_running(network, &end.statistics, batch.len());
            return Ok(tally.mean_cost() + penalty);
        }
        let product = state.gram.as_ref().map(|gram| gram.place.z.view());
        let context = StepContext { network, objective, examples, columns, product, draws };
        engine.forward_backward(context)?;
        let in_range = self.largest.is_some_and(|largest| engine.stays_in_range(context, largest));
        let penalty = if in_range {
            let (memory, penalty) = (&mut state.optimizer, self.penalty(network, None));
            memory.steps += 1;
            let rule = self.rule(memory.step(trainer.optimizer, rate));
            engine.apply(network, examples, columns, rule, memory)?;
            penalty
        } else {
            engine.store_gradient(context)?;
            let penalty = self.prepare_gradient(network, engine, gram.as_mut(), state, rate)?;
            let (gradient, memory) = (engine.gradient(), &mut state.optimizer);
            update_network(trainer.optimizer, rate, network, gradient, memory, muon.as_mut())?;
            penalty
        };
        state.progress.totals.add(engine.tally(), penalty);
        update_running(network, engine.statistics(), batch.len());
        Ok(engine.tally().mean_cost() + penalty)
    }
}

/// The running statistics follow those of a batch of `m` examples.
fn update_running<T: Element>(network: &mut Network<T>, batch: &[BatchStatistics<T>], m: usize) {
    let mut batch = batch.iter();
    for layer in 0..network.layers().len() {
        if network.layers()[layer].needs_whole_batch()
            && let Some(statistics) = batch.next()
        {
            network.update_running(layer, statistics, m);
        }
    }
}

#[cfg(test)]
mod tests;
