//! What can be done in a time: chosen once, before the first step, by how fast steps are here.

use std::ops::ControlFlow;
use std::time::Duration;

use dnn_core::{Element, Precision};
use dnn_data::ImageDataset;
use dnn_store::Scalar;
use dnn_train::{Event, Trainer};

use crate::config::{RunConfig, SizeFrom};
use crate::error::{Result, RunError};
use crate::experiment::Experiment;
use crate::loaded::Loaded;
use crate::observer::{Clock, Observer, Silent};
use crate::parts;
use crate::recipe::{self, WIDTHS, Width};
use crate::words::counted;

/// Steps that are timed, after some that are not, and the longest time for both in parts of the budget.
const TIMED_STEPS: usize = 24;
const WARM_UP: usize = 8;
const MOST_TIMED: u32 = 40;

/// The part of the time that is planned with; the rest is for what is slower than it was.
const PLANNED: f64 = 0.94;

/// What a picture takes that is only measured, in parts of one that is trained on, if both are of one size.
const MEASURED: f64 = 0.4;

/// The most epochs that a plan has: more see nothing new.
const MOST_EPOCHS: u64 = 300;

/// The configuration with a network and epochs that fit into the time budget, if there is one.
///
/// # Errors
/// [`RunError::Usage`] where there is nothing to choose, or not even the narrowest network makes an epoch in that time.
pub(crate) fn settle(
    config: &RunConfig,
    loaded: &Loaded,
    observer: &mut dyn Observer,
    clock: &dyn Clock,
) -> Result<RunConfig> {
    let Some(budget) = config.training.time_budget else { return Ok(loaded.settle(config)) };
    if config.training.epochs.is_some() {
        return Err(RunError::Usage(
            "a time budget chooses the number of epochs; leave one of --time-budget and --epochs out \
             (--time-limit ends a run early)"
                .to_owned(),
        ));
    }
    let ends = clock.elapsed() + budget.0;
    let candidates: Vec<Width> =
        if loaded.chooses_layers(config) { WIDTHS.to_vec() } else { vec![WIDTHS[0]] };
    let mut plan: Option<Plan> = None;
    for width in candidates {
        let enough = recipe::epochs_of(width.sees, loaded.parts.train.len());
        // A wider one is slower.
        if plan.as_ref().is_some_and(|narrower| narrower.epochs < enough) {
            break;
        }
        let settled = loaded.settle_at(config, width);
        let speed = Speed { config: &settled, loaded, clock, budget: budget.0 };
        let speed = match settled.network.precision.of_numbers() {
            Precision::F32 => speed.measure::<f32>()?,
            Precision::F64 => speed.measure::<f64>()?,
        };
        let left = ends.saturating_sub(clock.elapsed()).as_secs_f64() * PLANNED;
        let epochs = speed.epochs_in(left).min(MOST_EPOCHS);
        // The narrowest is always one; a wider one has to see enough, and if it does not, no wider one does.
        if plan.is_some() && epochs < enough.max(1) {
            break;
        }
        plan = Some(Plan { config: settled, epochs });
    }
    let Some(Plan { mut config, epochs: epochs @ 1.. }) = plan else {
        return Err(RunError::Usage(format!(
            "--time-budget {budget} is not enough for one epoch; give more, or smaller pictures with --size"
        )));
    };
    config.training.epochs = Some(epochs);
    config.training.time_budget = None;
    let count = counted(usize::try_from(epochs).unwrap_or(usize::MAX), "epoch", "epochs");
    let network = config.network.network.as_ref();
    let layers = network.map_or_else(|| "the network".to_owned(), ToString::to_string);
    observer.note(&format!("note: for {budget}: {count} of {layers}"));
    Ok(config)
}

struct Plan {
    config: RunConfig,
    epochs: u64,
}

/// How fast steps of a network are, to be measured.
struct Speed<'a> {
    config: &'a RunConfig,
    loaded: &'a Loaded,
    clock: &'a dyn Clock,
    budget: Duration,
}

/// What epochs of a network take.
struct Measured {
    /// Seconds of an epoch of training and measuring for each size, and the share of the epochs that it has.
    epochs: Vec<(f64, f64)>,
    /// Seconds at the end.
    end: f64,
}

impl Measured {
    fn epochs_in(&self, seconds: f64) -> u64 {
        let epoch: f64 = self.epochs.iter().map(|(seconds, share)| seconds * share).sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number of at least 0"
        )]
        let epochs = ((seconds - self.end) / epoch).max(0.0) as u64;
        epochs
    }
}

impl Speed<'_> {
    fn measure<T: Element + Scalar>(&self) -> Result<Measured> {
        let experiment = Experiment::<T>::new(self.config, self.loaded, &mut Silent, self.clock)?;
        let parts = &self.loaded.parts;
        let sizes = self.loaded.sizes.as_ref().map(|sizes| sizes.train.each()).unwrap_or_default();
        let pixels = |size: &SizeFrom| (size.size.width * size.size.height) as f64;
        let starts: Vec<f64> =
            if sizes.is_empty() { vec![0.0] } else { sizes.iter().map(|it| it.from).collect() };
        let own = experiment.network.input();
        let mut epochs = Vec::new();
        let mut of_own_size = 0.0;
        for (index, start) in starts.iter().enumerate() {
            let step = self.step(&experiment, index)?;
            let picture = step / experiment.trainer.batch_len(parts.train.len()) as f64;
            let share = starts.get(index + 1).unwrap_or(&1.0) - start;
            epochs.push((picture * parts.train.len() as f64, share));
            let larger =
                sizes.get(index).map_or(1.0, |size| (own.height * own.width) as f64 / pixels(size));
            of_own_size = picture * larger * MEASURED;
        }
        let validation = parts.validation.as_ref().map_or(0, ImageDataset::len) as f64;
        for (seconds, _) in &mut epochs {
            *seconds += validation * of_own_size;
        }
        let all: usize = parts.each().map(|(_, part)| part.len()).sum();
        let looks = if experiment.network.is_mirrored() { 2.0 } else { 1.0 };
        Ok(Measured { epochs, end: all as f64 * looks * of_own_size })
    }

    /// Seconds of a step on pictures of one of the sizes: the median of a few.
    fn step<T: Element + Scalar>(&self, experiment: &Experiment<T>, size: usize) -> Result<f64> {
        let mut network = experiment.network.clone();
        let mut sizes = experiment.trainer.sizes.clone();
        if !sizes.is_empty() {
            sizes = vec![dnn_train::TrainingSize { from: 0.0, ..sizes[size] }];
        }
        let augment = crate::experiment::augment(self.config, self.loaded, &sizes)?;
        let trainer = Trainer { augment, sizes, ..experiment.trainer.clone() };
        let training = self.loaded.parts.training();
        let targets = crate::regression::TargetScales::of(training)
            .and_then(|scales| scales.standardized::<T>(training));
        let examples = parts::examples(&network, training, targets.as_ref());
        let begun = self.clock.elapsed();
        let (mut last, mut steps) = (None, Vec::new());
        trainer.fit(&mut network, &examples, None, &mut |event| {
            let Event::Step { step, .. } = event else { return ControlFlow::Continue(()) };
            let now = self.clock.elapsed();
            if let Some(last) = last {
                steps.push(now.saturating_sub(last));
            }
            last = Some(now);
            let enough = steps.len() >= WARM_UP + TIMED_STEPS
                || now.saturating_sub(begun) > self.budget / MOST_TIMED;
            if enough && step > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let warm_up = steps.len().saturating_sub(1).min(WARM_UP);
        let steps = &mut steps[warm_up..];
        steps.sort_unstable();
        // A run of a single step has none that can be timed after another; it takes no time that counts.
        Ok(steps.get(steps.len() / 2).map_or(1e-6, Duration::as_secs_f64))
    }
}
