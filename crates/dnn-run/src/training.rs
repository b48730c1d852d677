//! Training in a run folder: from an experiment to a saved model and what is reported of it.

use std::ops::ControlFlow;

use dnn_core::Element;
use dnn_data::ImageDataset;
use dnn_layers::Network;
use dnn_store::Scalar;
use dnn_train::{Checkpoint, Event, GramChoice, History, TrainError, Trainer, fit_temperature};

use crate::advice;
use crate::config::RunConfig;
use crate::error::{Context as _, Result, RunError};
use crate::experiment::Experiment;
use crate::loaded::Loaded;
use crate::observer::{Clock, Observer};
use crate::parts::{self, Parts};
use crate::preprocessing;
use crate::recorder::{Ending, Progress, Recorded, Recorder, RecorderParts};
use crate::regression::TargetScales;
use crate::report::{Report, RunEnd};
use crate::run_folder::{MODEL, RunFolder};

/// Where a run begins.
pub(crate) enum Start<T> {
    First,
    From(Box<Checkpoint<T>>),
}

impl<T: Element + Scalar> Start<T> {
    fn progress(&self) -> Progress {
        match self {
            Self::First => Progress::default(),
            Self::From(checkpoint) => {
                Progress { steps: checkpoint.step(), epochs: checkpoint.epochs() }
            }
        }
    }
}

/// A run that is about to be trained in its folder.
pub(crate) struct Training<'a> {
    pub(crate) folder: &'a RunFolder,
    pub(crate) config: &'a RunConfig,
    pub(crate) loaded: &'a Loaded,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) clock: &'a dyn Clock,
}

/// A network that is trained, and what is known of its run.
struct Fitted<T> {
    network: Network<T>,
    trainer: Trainer,
    history: History,
    recorded: Recorded,
    /// Steps that were made since the run was begun or last resumed, and how long they took.
    steps: u64,
    seconds: f64,
}

impl Training<'_> {
    /// Trains, and leaves the model in the folder.
    pub(crate) fn run<T: Element + Scalar>(
        mut self,
        mut experiment: Experiment<T>,
        start: Start<T>,
    ) -> Result<Report> {
        let carried = self.loaded.preprocessing.as_ref().map(preprocessing::to_record);
        if let Some(preprocessing) = &carried {
            // For the best model, which is saved on the way.
            experiment.network.set_preprocessing(preprocessing.clone());
        }
        let mut provenance = experiment.provenance.clone();
        let mut fitted = self.fit(experiment, start)?;
        let recorded = fitted.recorded;
        let end = RunEnd::new(&recorded, &fitted.history, fitted.trainer.epochs);
        end.add_to(&mut provenance.settings);
        // The form that was taken, since it decides the last bits; a run that was made longer keeps its own.
        if let Some(taken) = recorded.gram {
            let form = if taken { GramChoice::Always } else { GramChoice::Never };
            provenance.settings.insert("gram".to_owned(), form.to_string());
        }
        // A longer run is another one than the checkpoint's, and an equal one the same.
        fitted.network.set_provenance(provenance);
        if let Some(preprocessing) = carried {
            fitted.network.set_preprocessing(preprocessing);
        }
        calibrate(self.config, &mut fitted.network, &self.loaded.parts, self.observer)?;
        self.save(&fitted, end)
    }

    /// Trains from `start` to the end of the run, and records what happens.
    fn fit<T: Element + Scalar>(
        &mut self,
        experiment: Experiment<T>,
        start: Start<T>,
    ) -> Result<Fitted<T>> {
        let (folder, loaded, clock) = (self.folder, self.loaded, self.clock);
        let Experiment { mut network, trainer, .. } = experiment;
        let (done, begun) = (start.progress(), clock.elapsed());
        let recorder = RecorderParts {
            folder,
            config: self.config,
            trainer: &trainer,
            classes: loaded.class_names(),
            target_scales: TargetScales::of(&loaded.parts.train),
            observer: &mut *self.observer,
            clock,
        };
        let mut recorder = Recorder::new(recorder, done)?;
        let hear = &mut |event: Event<'_>| recorder.hear(event);
        let fitted = fit(&trainer, &mut network, &loaded.parts, start, hear);
        let seconds = clock.elapsed().saturating_sub(begun).as_secs_f64();
        let recorded = recorder.finish();
        let history = match fitted {
            Ok(history) => history,
            Err(error) => {
                self.observer.note(&diverged(&error, &network, &trainer, loaded, folder));
                return Err(error.into());
            }
        };
        let recorded = recorded.context(|| unsaved(folder))?;
        if recorded.ending == Ending::Interrupted {
            let run = folder.path().to_owned();
            return Err(RunError::Interrupted { run, step: recorded.last });
        }
        let steps = recorded.last - done.steps;
        Ok(Fitted { network, trainer, history, recorded, steps, seconds })
    }

    /// Saves the model, measures it, and writes the report.
    fn save<T: Element + Scalar>(&self, fitted: &Fitted<T>, end: RunEnd) -> Result<Report> {
        let (folder, loaded) = (self.folder, self.loaded);
        let bytes = fitted.network.to_bytes()?;
        folder.write(MODEL, &bytes)?;
        // After saving: whatever the measuring meets, the training is not lost.
        let parts = parts::measure(&fitted.network, loaded.parts.each())
            .context(|| format!("{} is saved, but", folder.model().display()))?;
        let examples = loaded.parts.train.len();
        let per_epoch = fitted.trainer.batches(examples, 1)?.len().max(1);
        let trained = fitted.steps as f64 * examples as f64 / per_epoch as f64;
        let report = Report {
            model: folder.model(),
            model_sha256: dnn_store::sha256_hex(&bytes),
            notes: advice::notes(&parts, loaded.class_names()),
            parts,
            end,
            seconds: fitted.seconds,
            examples_per_second: trained / fitted.seconds,
        };
        report.write(folder)?;
        Ok(report)
    }
}

/// Trains a network on the parts of the data.
pub(crate) fn fit<T: Element + Scalar>(
    trainer: &Trainer,
    network: &mut Network<T>,
    parts: &Parts,
    start: Start<T>,
    observer: &mut (dyn FnMut(Event<'_>) -> ControlFlow<()> + Send),
) -> Result<History, TrainError> {
    let scales = TargetScales::of(&parts.train);
    let targets =
        |part: &ImageDataset| scales.as_ref().and_then(|scales| scales.standardized::<T>(part));
    let of_train = targets(parts.training());
    let of_validation = parts.validation.as_ref().and_then(targets);
    let training = parts::examples(network, parts.training(), of_train.as_ref());
    let validation = parts
        .validation
        .as_ref()
        .map(|part| parts::examples(network, part, of_validation.as_ref()));
    let validation = validation.as_ref();
    let fitted = match start {
        Start::First => trainer.fit(network, &training, validation, observer),
        Start::From(checkpoint) => {
            trainer.resume(network, *checkpoint, &training, validation, observer)
        }
    };
    // Whatever became of the run: what is saved of it is in the unit of the data.
    if let Some(scales) = &scales {
        scales.leave(network)?;
    }
    fitted
}

/// Divides the logits by the temperature that fits the validation part, if that was asked for.
pub(crate) fn calibrate<T: Element>(
    config: &RunConfig,
    network: &mut Network<T>,
    parts: &Parts,
    observer: &mut dyn Observer,
) -> Result<()> {
    if !config.training.calibrate {
        return Ok(());
    }
    let Some(part) = &parts.validation else {
        return Err(RunError::Usage("--calibrate needs a validation part".to_owned()));
    };
    match fit_temperature(network, &parts::examples(network, part, None))? {
        Some(temperature) => {
            network.apply_temperature(temperature)?;
            observer.note(&format!("calibrated: the logits are divided by {temperature:.4}"));
        }
        None => observer.note(&format!(
            "not calibrated: all {} validation examples are answered rightly, which does not say how often \
             an answer is wrong; a larger --validation would",
            part.len()
        )),
    }
    Ok(())
}

fn unsaved(folder: &RunFolder) -> String {
    format!("no model was saved; {} keeps the history", folder.path().display())
}

/// What there is to say, and to save, when a number stopped being finite.
fn diverged<T: Element + Scalar>(
    error: &TrainError,
    network: &Network<T>,
    trainer: &Trainer,
    loaded: &Loaded,
    folder: &RunFolder,
) -> String {
    let mut context = unsaved(folder);
    if let TrainError::NotFinite { epoch, batch, .. } = *error {
        let good = folder.path().join("last-good.dnn");
        let saved = network.to_bytes().map(|bytes| folder.write("last-good.dnn", &bytes));
        if let Ok(Ok(())) = saved {
            context = format!("{} holds the weights from before that step", good.display());
        }
        if let Some(names) = batch_files(trainer, loaded, epoch, batch) {
            context += &format!("; the batch was {names}");
        }
    }
    context
}

/// The files of a batch, or the first few of them.
fn batch_files(trainer: &Trainer, loaded: &Loaded, epoch: u64, batch: usize) -> Option<String> {
    const NAMED: usize = 5;
    let files = loaded.parts.train.files()?;
    let batches = trainer.batches(files.len(), epoch).ok()?;
    let columns = batches.get(batch.checked_sub(1)?)?;
    let names: Vec<&str> =
        columns.iter().take(NAMED).map(|&column| files[column].path.as_str()).collect();
    let more = columns.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{}{rest}", names.join(", ")))
}
