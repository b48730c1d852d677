//! Runs: begun, and gone on with.

use std::path::{Path, PathBuf};

use dnn_core::{Element, Precision, kernel_path_of};
use dnn_store::Scalar;
use dnn_train::Checkpoint;

use crate::budget;
use crate::config::{RunConfig, Settings, check_path};
use crate::error::{Context as _, Result, RunError};
use crate::experiment::{self, Experiment};
use crate::loaded::Loaded;
use crate::model::file_of;
use crate::observer::{Clock, Observer};
use crate::record::{RunRecord, SOFTWARE};
use crate::report::Report;
use crate::run_folder::RunFolder;
use crate::training::{Start, Training};
use crate::words::counted;

/// Checks settings as far as that can be done without data.
///
/// # Errors
/// [`RunError::Usage`] and [`RunError::Train`] with the first setting that is wrong.
pub fn check(config: &RunConfig) -> Result<()> {
    config.check()?;
    match config.network.precision.of_numbers() {
        Precision::F32 => experiment::trainer::<f32>(config)?,
        Precision::F64 => experiment::trainer::<f64>(config)?,
    };
    Ok(())
}

/// Loads the data, trains, and leaves the model in a new run folder: `out`, or the next free one in `runs`.
///
/// # Errors
/// What is wrong with the settings, the data or the folder; [`RunError::Train`] if a number stops being finite;
/// [`RunError::Interrupted`] if the observer wants the run to stop.
pub fn train(
    config: &RunConfig,
    out: Option<&Path>,
    observer: &mut dyn Observer,
    clock: &dyn Clock,
) -> Result<Report> {
    check(config)?;
    RunFolder::check_free(out)?;
    let loaded = Loaded::load(config, observer)?;
    train_on(&loaded, config, out, observer, clock)
}

/// The same on data that is loaded already.
///
/// # Errors
/// As [`train`].
pub fn train_on(
    loaded: &Loaded,
    config: &RunConfig,
    out: Option<&Path>,
    observer: &mut dyn Observer,
    clock: &dyn Clock,
) -> Result<Report> {
    let config = &budget::settle(config, loaded, observer, clock)?;
    let run = Run { loaded, config, observer, clock };
    match config.network.precision.of_numbers() {
        Precision::F32 => run.begin::<f32>(out),
        Precision::F64 => run.begin::<f64>(out),
    }
}

/// The folder of a run that has begun, and what it recorded.
#[derive(Debug)]
pub struct Resumed {
    folder: RunFolder,
    /// What the run was begun with.
    pub record: RunRecord,
}

/// Settings that say where a run is to end.
const FREE: [&str; 3] = ["epochs", "steps", "time_limit"];

impl Resumed {
    /// Takes the folder of a run that has begun.
    ///
    /// # Errors
    /// [`RunError::Usage`] for a folder that is no run's or in which another process works, and what is wrong
    /// with its files.
    pub fn open(run: &Path) -> Result<Self> {
        let folder = RunFolder::open(run)?;
        let record = RunRecord::read(run)?;
        Ok(Self { folder, record })
    }

    /// Where the run is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What the run goes on with: what it was begun with, without the limits that it got to.
    pub fn config(&self) -> RunConfig {
        let mut config = self.record.config.clone();
        config.training.steps = None;
        config.training.time_limit = None;
        config.training.time_budget = None;
        config
    }

    /// Refuses settings that another model would come from. Where the run is to end is free, and so is what is
    /// kept of it and where its data lies.
    ///
    /// # Errors
    /// [`RunError::Usage`] with the first setting that differs.
    pub fn check_same(&self, config: &RunConfig) -> Result<()> {
        let relevant = |config: &RunConfig| {
            let mut settings = config.resolved().settings_of_model();
            let data = [
                ("size", config.data.size.as_ref().map(ToString::to_string)),
                ("keep_size", config.data.keep_size.map(|size| size.to_string())),
                ("evaluate_size", config.data.evaluate_size.map(|size| size.to_string())),
                ("resize", Some(config.data.resize.to_string())),
                ("filter", Some(config.data.filter.to_string())),
                ("seed", Some(config.training.seed.to_string())),
            ];
            settings
                .extend(data.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))));
            settings.retain(|name, _| !FREE.contains(&name.as_str()));
            settings
        };
        refuse_others(&relevant(&self.record.config), &relevant(config))?;
        let was = &self.record.config;
        let has_sizes = was.data.size.as_ref().is_some_and(|size| size.each().len() > 1);
        if was.epochs() != config.epochs() && (was.schedule().depends_on_length() || has_sizes) {
            // Before anything of the run's folder is written: it can be resumed as it is.
            return Err(RunError::Usage(format!(
                "the rates or sizes of {} are laid out for {}, found --epochs {}; leave --epochs out, or begin \
                 another run with --from",
                self.path().display(),
                epochs(was.epochs()),
                config.epochs()
            )));
        }
        Ok(())
    }

    /// Trains from the latest checkpoint on, or from the beginning if there is none.
    ///
    /// # Errors
    /// As [`train`], [`RunError::Data`] for other data, and [`RunError::Context`] for a damaged checkpoint.
    pub fn train_on(
        self,
        loaded: &Loaded,
        config: &RunConfig,
        observer: &mut dyn Observer,
        clock: &dyn Clock,
    ) -> Result<Report> {
        let run = Run { loaded, config, observer, clock };
        match config.network.precision.of_numbers() {
            Precision::F32 => run.go_on::<f32>(self),
            Precision::F64 => run.go_on::<f64>(self),
        }
    }

    /// The run's last checkpoint, if it came to one.
    fn start<T: Element + Scalar>(
        &self,
        config: &RunConfig,
        loaded: &Loaded,
        observer: &mut dyn Observer,
    ) -> Result<Start<T>> {
        let (run, record) = (self.path().display(), &self.record);
        if record.data_sha256 != loaded.sha256 {
            return Err(RunError::Data(format!(
                "{run} was trained on other data: expected sha256 {}, found {}",
                record.data_sha256, loaded.sha256
            )));
        }
        let now = kernel_path_of(config.network.precision.products());
        let then = &record.kernel_path;
        if then != now {
            observer.note(&format!(
                "warning: the run began on {then} kernels and goes on on {now} ones: its last bits will be \
                 others than if it had stayed"
            ));
        }
        let Some(path) = self.folder.checkpoints().latest()? else {
            observer
                .note(&format!("note: {run} ended before its first checkpoint: it starts over"));
            return Ok(Start::First);
        };
        let checkpoint =
            Checkpoint::<T>::load(&path).context(|| older_ones::<T>(&self.folder, &path))?;
        let (done, wanted) = (checkpoint.epochs(), config.epochs());
        if wanted < done {
            return Err(RunError::Usage(format!(
                "{run} has {} behind it; expected --epochs of at least that",
                epochs(done)
            )));
        }
        let step = checkpoint.step();
        observer.note(&format!("{run} goes on after step {step} ({})", epochs(done)));
        Ok(Start::From(Box::new(checkpoint)))
    }
}

fn epochs(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "epoch", "epochs")
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

fn refuse_others(was: &Settings, now: &Settings) -> Result<()> {
    let names = was.keys().chain(now.keys());
    let differs = |name: &&String| was.get(*name) != now.get(*name);
    let Some(name) = names.into_iter().find(differs) else { return Ok(()) };
    let text = |settings: &Settings| {
        settings.get(name).cloned().unwrap_or_else(|| "the default".to_owned())
    };
    Err(RunError::Usage(format!(
        "a run goes on with the settings it began with: --{}: expected {}, found {}",
        name.replace('_', "-"),
        text(was),
        text(now)
    )))
}

/// A run on data that is loaded.
struct Run<'a> {
    loaded: &'a Loaded,
    config: &'a RunConfig,
    observer: &'a mut dyn Observer,
    clock: &'a dyn Clock,
}

impl Run<'_> {
    fn begin<T: Element + Scalar>(mut self, out: Option<&Path>) -> Result<Report> {
        let experiment = Experiment::<T>::new(self.config, self.loaded, self.observer, self.clock)?;
        let folder = RunFolder::create(out, "runs", &self.loaded.name)?;
        if let Some(report) = &self.loaded.report {
            folder.write_report(report)?;
        }
        if let Some(table) = self.loaded.parts.table() {
            folder.write_split(&table)?;
        }
        // Last: a folder with it can be resumed.
        self.record(experiment.from_sha256.clone())?.write(&folder)?;
        self.train(&folder, experiment, Start::First)
    }

    fn go_on<T: Element + Scalar>(mut self, resumed: Resumed) -> Result<Report> {
        let experiment = Experiment::<T>::new(self.config, self.loaded, self.observer, self.clock)?;
        let start = resumed.start(self.config, self.loaded, self.observer)?;
        // With more epochs the settings are others.
        self.record(experiment.from_sha256.clone())?.write(&resumed.folder)?;
        resumed.folder.remove_report()?;
        self.train(&resumed.folder, experiment, start)
    }

    fn train<T: Element + Scalar>(
        self,
        folder: &RunFolder,
        experiment: Experiment<T>,
        start: Start<T>,
    ) -> Result<Report> {
        let Self { loaded, config, observer, clock } = self;
        Training { folder, config, loaded, observer, clock }.run(experiment, start)
    }

    fn record(&mut self, from_sha256: Option<String>) -> Result<RunRecord> {
        let mut config = self.loaded.settle(self.config);
        let absolute = |path: &Path| -> Result<PathBuf> {
            let path =
                std::path::absolute(path).context(|| format!("cannot place {}", path.display()))?;
            check_path(&path)?;
            Ok(path)
        };
        config.data.path = config.data.path.as_deref().map(absolute).transpose()?;
        if let Some(path) = &config.network.from {
            config.network.from = Some(absolute(&file_of(path, self.observer)?)?);
        }
        Ok(RunRecord {
            software: SOFTWARE.to_owned(),
            kernel_path: kernel_path_of(config.network.precision.products()).to_owned(),
            data: self.loaded.name.clone(),
            data_sha256: self.loaded.sha256.clone(),
            threads: rayon::current_num_threads(),
            from_sha256,
            config,
        })
    }
}
