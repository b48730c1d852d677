//! `dnn train`.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::ArgMatches;
use dnn_core::{Element, Precision, kernel_path};
use dnn_data::ImageDataset;
use dnn_layers::Network;
use dnn_store::Scalar;
use dnn_train::{
    Checkpoint, Evaluation, Event, GramChoice, History, TrainError, Trainer, fit_temperature,
};
use serde_json::json;

use crate::args::TrainArguments;
use crate::args::effect::given;
use crate::data;
use crate::ended::Ended;
use crate::experiment::{self, Experiment, Loaded, SOFTWARE};
use crate::failure::Refusal;
use crate::find_lr;
use crate::interrupt::Interrupt;
use crate::model::file_of;
use crate::output::{self, counted, note};
use crate::recorder::{Ending, Recorded, Recorder};
use crate::resume::{self, Resumed};
use crate::settings;
use dnn_run::advice;
use dnn_run::parts::{self, Parts};
use dnn_run::record::{RunRecord, Settings};
use dnn_run::regression::TargetScales;
use dnn_run::run_folder::RunFolder;

pub(crate) fn run(arguments: &TrainArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    warn_of_debug_build();
    if let Some(run) = &arguments.resume {
        let (arguments, resumed) = resume::open(run, matches)?;
        let arguments = TrainArguments { given: given(matches), ..arguments };
        return with_precision(&arguments, Some(resumed));
    }
    let data = data::place(arguments.data.as_deref())?;
    let given = given(matches);
    with_precision(&TrainArguments { data, given, ..arguments.clone() }, None)
}

pub(crate) fn warn_of_debug_build() {
    if cfg!(debug_assertions) {
        note("warning: this is a debug build; cargo run --release is several times faster");
    }
}

fn with_precision(
    arguments: &TrainArguments,
    resumed: Option<Resumed>,
) -> anyhow::Result<ExitCode> {
    match arguments.precision {
        Precision::F32 => train::<f32>(arguments, resumed),
        Precision::F64 => train::<f64>(arguments, resumed),
    }
}

fn train<T: Element + Scalar>(
    arguments: &TrainArguments,
    resumed: Option<Resumed>,
) -> anyhow::Result<ExitCode> {
    // What is wrong with the settings alone is said before any data is loaded.
    experiment::trainer::<T>(arguments)?;
    experiment::check_flags(arguments)?;
    if arguments.find_lr {
        find_lr::check_out(arguments.out.as_deref())?;
    } else {
        RunFolder::check_free(arguments.out.as_deref())?;
    }
    let threads = arguments.threads.start()?;
    let loaded = Loaded::load(arguments)?;
    let experiment = Experiment::<T>::new(arguments, &loaded)?;
    if arguments.find_lr {
        return find_lr::run(arguments, &loaded, &experiment);
    }
    // A signal from here on leaves a folder that can be resumed.
    let interrupt = Interrupt::watch()?;
    let (folder, start) = match resumed {
        None => (begin(arguments, &loaded, &experiment.settings, threads)?, Start::First),
        Some(resumed) => {
            let start = resume_point(&resumed, arguments, &loaded)?;
            let folder = resumed.folder;
            // With more epochs the settings are others.
            config(arguments, &loaded, &experiment.settings, threads)?.write(&folder)?;
            (folder, start)
        }
    };
    let outcome = run_in(&folder, arguments, &loaded, experiment, start, &interrupt)?;
    match outcome {
        Trained::Interrupted(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        Trained::Whole(outcome) => {
            outcome.print(&folder, threads, arguments.json)?;
            Ok(loaded.code)
        }
    }
}

/// Where a run begins.
pub(crate) enum Start<T> {
    First,
    From(Box<Checkpoint<T>>),
}

/// The run's last checkpoint, if it came to one.
pub(crate) fn resume_point<T: Element + Scalar>(
    resumed: &Resumed,
    arguments: &TrainArguments,
    loaded: &Loaded,
) -> anyhow::Result<Start<T>> {
    let (run, config) = (resumed.folder.path().display(), &resumed.config);
    if config.data_sha256 != loaded.sha256 {
        let message = format!(
            "{run} was trained on other data: expected sha256 {}, found {}",
            config.data_sha256, loaded.sha256
        );
        return Err(Refusal::Data(message).into());
    }
    let (then, now) = (&config.kernel_path, kernel_path());
    if then != now {
        note(&format!(
            "warning: the run began on {then} kernels and goes on on {now} ones: its last bits will be \
             others than if it had stayed"
        ));
    }
    let Some(path) = resumed.folder.checkpoints().latest()? else {
        note(&format!("note: {run} ended before its first checkpoint: it starts over"));
        return Ok(Start::First);
    };
    let checkpoint = Checkpoint::<T>::load(&path).map_err(|error| {
        anyhow::Error::from(error).context(older_ones::<T>(&resumed.folder, &path))
    })?;
    let (done, wanted) = (checkpoint.epochs(), arguments.epochs);
    if wanted < done {
        let message =
            format!("{run} has {} behind it; expected --epochs of at least that", epochs(done));
        return Err(Refusal::Usage(message).into());
    }
    note(&format!("{run} goes on after step {} ({})", checkpoint.step(), epochs(done)));
    Ok(Start::From(Box::new(checkpoint)))
}

/// What there is to go on with where the latest checkpoint is damaged.
fn older_ones<T: Element + Scalar>(folder: &RunFolder, damaged: &Path) -> String {
    let checkpoints = folder.checkpoints();
    let steps = checkpoints.steps().unwrap_or_default();
    let whole: Vec<String> = (steps.into_iter().skip(1))
        .filter(|&step| Checkpoint::<T>::load(checkpoints.path(step)).is_ok())
        .map(|step| format!("step {step}"))
        .collect();
    let damaged = damaged.display();
    if whole.is_empty() {
        return format!(
            "the latest checkpoint cannot be used, and no older one is whole; to begin the run anew, \
             remove the folder {} and resume",
            checkpoints.folder().display()
        );
    }
    let whole = whole.join(", ");
    format!(
        "the latest checkpoint cannot be used, but older ones are whole: {whole}; to go on from the \
         first of these, remove {damaged} and resume"
    )
}

fn epochs(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "epoch", "epochs")
}

/// A new run folder that says what will be done in it.
pub(crate) fn begin(
    arguments: &TrainArguments,
    loaded: &Loaded,
    settings: &Settings,
    threads: usize,
) -> anyhow::Result<RunFolder> {
    let folder = RunFolder::create(arguments.out.as_deref(), "runs", &loaded.name)?;
    if let Some(report) = &loaded.report {
        folder.write_report(report)?;
    }
    if let Some(table) = loaded.parts.table() {
        folder.write_split(&table)?;
    }
    // Last: a folder with it can be resumed.
    config(arguments, loaded, settings, threads)?.write(&folder)?;
    Ok(folder)
}

fn config(
    arguments: &TrainArguments,
    loaded: &Loaded,
    settings: &Settings,
    threads: usize,
) -> anyhow::Result<RunRecord> {
    let absolute = |path: &Path| {
        std::path::absolute(path).with_context(|| format!("cannot place {}", path.display()))
    };
    let from = arguments.from.as_deref().map(file_of).transpose()?;
    Ok(RunRecord {
        software: SOFTWARE.to_owned(),
        kernel_path: kernel_path().to_owned(),
        data: loaded.name.clone(),
        data_path: arguments.data.as_deref().map(absolute).transpose()?,
        data_sha256: loaded.sha256.clone(),
        seed: arguments.seed,
        threads,
        settings: settings.clone(),
        loading: settings::loading(arguments),
        keeping: settings::keeping(arguments),
        from: from.as_deref().map(absolute).transpose()?,
    })
}

/// What a run in a folder has come to.
pub(crate) enum Trained {
    /// With the exit code for it.
    Interrupted(i32),
    Whole(Outcome),
}

/// Trains in a run folder, and leaves the model there.
pub(crate) fn run_in<T: Element + Scalar>(
    folder: &RunFolder,
    arguments: &TrainArguments,
    loaded: &Loaded,
    experiment: Experiment<T>,
    start: Start<T>,
    interrupt: &Interrupt,
) -> anyhow::Result<Trained> {
    let Experiment { mut network, trainer, .. } = experiment;
    let done @ (first, _) = match &start {
        Start::First => (0, 0),
        Start::From(checkpoint) => (checkpoint.step(), checkpoint.epochs()),
    };
    let clock = Instant::now();
    let classes = loaded.parts.train.class_names();
    let mut recorder =
        Recorder::new(folder, arguments, &trainer, classes, done, interrupt.clone())?;
    recorder.target_scales = TargetScales::of(&loaded.parts.train);
    let provenance = network.provenance().cloned();
    let fitted =
        fit(&trainer, &mut network, &loaded.parts, start, &mut |event| recorder.hear(event));
    let seconds = clock.elapsed().as_secs_f64();
    let recorded = recorder.finish();
    let history = match fitted {
        Ok(history) => history,
        Err(error) => return Err(diverged(error, &network, &trainer, loaded, folder)),
    };
    let recorded = recorded.with_context(|| unsaved(folder))?;
    let Recorded { ending, last, gram, .. } = recorded;
    let run = folder.path().display();
    // A longer run is another one than the checkpoint's, and an equal one the same.
    let mut provenance = provenance.expect("an experiment says where its network comes from");
    if let Ending::Interrupted(code) = ending {
        note(&format!("interrupted after step {last}; to go on: dnn train --resume {run}"));
        return Ok(Trained::Interrupted(code));
    }
    let ended = Ended::new(&recorded, &history, trainer.epochs);
    ended.add_to(&mut provenance.settings);
    // The form that was taken, since it decides the last bits; a run that was made longer keeps its own.
    if let Some(taken) = gram {
        let form = if taken { GramChoice::Always } else { GramChoice::Never };
        provenance.settings.insert("gram".to_owned(), form.to_string());
    }
    network.set_provenance(provenance);
    calibrate(arguments, &mut network, &loaded.parts)?;
    let bytes = network.to_bytes()?;
    folder.write("model.dnn", &bytes)?;
    // After saving: whatever the measuring meets, the training is not lost.
    let measured = parts::measure(&network, loaded.parts.each())
        .with_context(|| format!("{} is saved, but", folder.model().display()))?;
    let per_epoch = trainer.batches(loaded.parts.train.len(), 1)?.len().max(1);
    let trained = (last - first) as f64 * loaded.parts.train.len() as f64 / per_epoch as f64;
    Ok(Trained::Whole(Outcome {
        notes: advice::notes(&measured, classes),
        measured,
        model_sha256: dnn_store::sha256_hex(&bytes),
        seconds,
        examples_per_second: trained / seconds,
        ended,
    }))
}

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
    let of_train = targets(&parts.train);
    let of_validation = parts.validation.as_ref().and_then(targets);
    let training = parts::examples(network, &parts.train, of_train.as_ref());
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
    arguments: &TrainArguments,
    network: &mut Network<T>,
    parts: &Parts,
) -> anyhow::Result<()> {
    if !arguments.calibrate {
        return Ok(());
    }
    let Some(part) = &parts.validation else {
        let message = "--calibrate needs a validation part".to_owned();
        return Err(Refusal::Usage(message).into());
    };
    match fit_temperature(network, &parts::examples(network, part, None))? {
        Some(temperature) => {
            network.apply_temperature(temperature)?;
            note(&format!("calibrated: the logits are divided by {temperature:.4}"));
        }
        None => note(&format!(
            "not calibrated: all {} validation examples are answered rightly, which does not say how often an \
             answer is wrong; a larger --validation would",
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
    error: TrainError,
    network: &Network<T>,
    trainer: &Trainer,
    loaded: &Loaded,
    folder: &RunFolder,
) -> anyhow::Error {
    let mut context = unsaved(folder);
    if let TrainError::NotFinite { epoch, batch, .. } = error {
        let good = folder.path().join("last-good.dnn");
        let saved = network.to_bytes().map(|bytes| folder.write("last-good.dnn", &bytes));
        if let Ok(Ok(())) = saved {
            context = format!("{} holds the weights from before that step", good.display());
        }
        if let Some(names) = batch_files(trainer, loaded, epoch, batch) {
            context += &format!("; the batch was {names}");
        }
    }
    note(&context);
    error.into()
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

/// What a run has come to.
pub(crate) struct Outcome {
    /// What the user should know of the model.
    notes: Vec<String>,
    pub(crate) measured: Vec<(&'static str, Evaluation)>,
    pub(crate) model_sha256: String,
    pub(crate) seconds: f64,
    examples_per_second: f64,
    pub(crate) ended: Ended,
}

impl Outcome {
    fn print(&self, folder: &RunFolder, threads: usize, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            let part = |wanted: &str| {
                let found = self.measured.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, evaluation)| output::evaluation_json(evaluation))
            };
            let mut object = json!({
                "train": part("train"),
                "validation": part("validation"),
                "test": part("test"),
                "model_sha256": self.model_sha256,
                "seconds": self.seconds,
                "examples_per_second": self.examples_per_second,
                "run": folder.path().display().to_string(),
                "notes": self.notes,
            });
            self.ended.add_to_json(object.as_object_mut().expect("it was just made as one"));
            return output::print_json(&object);
        }
        let table =
            output::evaluation_table(self.measured.iter().map(|(name, part)| (*name, part)));
        let mut text = format!(
            "{table}\nended    {}\ntime     {:.2} s on {}, {:.0} examples/s\nmodel    {}\nsha256   {}\n",
            self.ended.text(),
            self.seconds,
            counted(threads, "thread", "threads"),
            self.examples_per_second,
            folder.model().display(),
            self.model_sha256
        );
        for note in &self.notes {
            text += &format!("note     {note}\n");
        }
        output::print(&text)
    }
}
