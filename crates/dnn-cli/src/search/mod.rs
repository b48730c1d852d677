//! `dnn search`: many runs with other settings, compared by the validation part.

mod report;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgMatches;
use dnn_core::{Element, Precision};
use dnn_data::ImageDataset;
use dnn_store::Scalar;
use dnn_train::{Evaluation, Monitor};
use serde::{Deserialize, Serialize};

use crate::args::effect::{self, Needs};
use crate::args::{SearchArguments, TrainArguments};
use crate::data;
use crate::experiment::{self, Experiment, Loaded, SOFTWARE};
use crate::failure::{self, Refusal};
use crate::interrupt::Interrupt;
use crate::output::note;
use crate::resume::{Resumed, given, name, parse, without};
use crate::train::{self, Start, Trained};
use dnn_run::record::RunRecord;
use dnn_run::run_folder::{RunFolder, SEARCH as PLAN, not_to_resume, read_text};
pub(crate) use dnn_run::space::Try;
use dnn_run::space::{self, Trial, describe};

const RESULTS: &str = "trials.jsonl";

/// `search.json`: all that a search follows from.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Plan {
    software: String,
    /// The arguments that all trials share.
    arguments: Vec<String>,
    data_path: Option<PathBuf>,
    data_sha256: String,
    tries: Vec<Try>,
    grid: bool,
    seed: u64,
    trials: usize,
}

impl Plan {
    /// That of the search in a folder.
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(PLAN);
        let Some(text) = read_text(&file)? else {
            return Err(not_to_resume(folder, PLAN).into());
        };
        serde_json::from_str(&text).map_err(|error| {
            Refusal::Data(format!("{} is not a search's {PLAN}: {error}", file.display())).into()
        })
    }
}

/// The model of the best trial in the folder of a search, so far.
pub(crate) fn best_model(folder: &Path) -> anyhow::Result<PathBuf> {
    let plan = Plan::read(folder)?;
    let monitor = parse(plan.arguments.iter().map(Into::into).collect())?.monitor;
    let monitor = monitor.unwrap_or(Monitor::ValidationCost);
    let outcomes = read_results(folder)?;
    let trained = outcomes.iter().filter(|outcome| outcome.validation_cost.is_some());
    let best = trained.min_by(|a, b| a.rank(monitor).total_cmp(&b.rank(monitor)));
    let Some(best) = best else {
        let folder = folder.display();
        let message =
            format!("the search in {folder} has no model yet; dnn search --resume {folder}");
        return Err(Refusal::Usage(message).into());
    };
    note(&format!("note: the best trial in {} is number {}", folder.display(), best.trial));
    Ok(trial_folder(folder, best.trial).join("model.dnn"))
}

/// A line of `trials.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Outcome {
    /// Counted from 1.
    trial: usize,
    settings: String,
    /// Of the model that came out; none if training diverged.
    validation_cost: Option<f64>,
    validation_accuracy: Option<f64>,
    steps: u64,
    seconds: f64,
}

impl Outcome {
    /// The smaller the better.
    fn rank(&self, monitor: Monitor) -> f64 {
        match monitor {
            Monitor::ValidationAccuracy => self.validation_accuracy.map_or(f64::INFINITY, |a| -a),
            _ => self.validation_cost.unwrap_or(f64::INFINITY),
        }
    }
}

pub(crate) fn run(arguments: &SearchArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    train::warn_of_debug_build();
    let search = match &arguments.train.resume {
        Some(path) => Search::reopen(path, arguments, matches)?,
        None => Search::plan(arguments, matches)?,
    };
    match search.base.precision {
        Precision::F32 => search.all_trials::<f32>(),
        Precision::F64 => search.all_trials::<f64>(),
    }
}

/// A search that has been laid out.
struct Search {
    /// None for one that has not begun.
    folder: Option<RunFolder>,
    plan: Plan,
    base: TrainArguments,
    trials: Vec<Trial>,
    json: bool,
    quiet: bool,
}

impl Search {
    fn plan(arguments: &SearchArguments, matches: &ArgMatches) -> anyhow::Result<Self> {
        let own = ["try", "trials", "grid", "out", "json", "threads", "quiet"];
        let words = without(given(matches), &own.map(str::to_owned));
        let names: Vec<String> = words.iter().map(|word| name(word)).collect();
        if let Some(both) =
            arguments.tries.iter().find(|one| names.iter().any(|name| name == one.name()))
        {
            let name = both.name();
            let message = format!(
                "--{name} is given one value and tried with others; leave one of the two out"
            );
            return Err(Refusal::Usage(message).into());
        }
        let usual = || {
            let mut fixed = names.clone();
            // What a model to start from brings along, and what no hidden layer could show.
            if arguments.train.from.is_some() {
                fixed.extend(["hidden", "dropout"].map(str::to_owned));
            } else if arguments.train.hidden.0.is_empty() {
                fixed.push("dropout".to_owned());
            }
            Try::usual(arguments.train.optimizer.default_learning_rate(), &fixed)
        };
        let plan = Plan {
            software: SOFTWARE.to_owned(),
            arguments: words.into_iter().map(as_text).collect::<Result<_, _>>()?,
            data_path: absolute_place(arguments.train.data.as_deref())?,
            data_sha256: String::new(),
            tries: if arguments.tries.is_empty() { usual() } else { arguments.tries.clone() },
            grid: arguments.grid,
            seed: arguments.train.seed,
            trials: arguments.trials.get(),
        };
        Self::lay_out(None, plan, &arguments.train)
    }

    fn reopen(
        path: &Path,
        arguments: &SearchArguments,
        matches: &ArgMatches,
    ) -> anyhow::Result<Self> {
        let mut plan = Plan::read(path)?;
        let free = ["trials", "json", "threads", "quiet"].map(str::to_owned);
        if let Some(other) = without(given(matches), &free).first() {
            let message = format!(
                "a search goes on with what it began with; only --trials, --threads, --quiet and --json \
                 are free, found {}",
                other.to_string_lossy()
            );
            return Err(Refusal::Usage(message).into());
        }
        effect::refuse_idle("search", &effect::given(matches), |_, needs| {
            (needs == Needs::Draws && plan.grid)
                .then(|| "the search goes over a grid, which is tried whole".to_owned())
        })?;
        if without(given(matches), &["trials".to_owned()]).len() < given(matches).len() {
            plan.trials = arguments.trials.get();
        }
        if let Some(data) = &arguments.train.data {
            plan.data_path = absolute_place(Some(data))?;
        }
        let folder = RunFolder::reopen(path)?;
        Self::lay_out(Some(folder), plan, &arguments.train)
    }

    /// Every trial's settings are looked at before the first one begins.
    fn lay_out(
        folder: Option<RunFolder>,
        plan: Plan,
        given: &TrainArguments,
    ) -> anyhow::Result<Self> {
        let trials = if plan.grid {
            space::grid(&plan.tries).map_err(Refusal::Usage)?
        } else {
            space::random(&plan.tries, plan.trials, plan.seed)
        };
        let words: Vec<OsString> = plan.arguments.iter().map(Into::into).collect();
        let names = words.iter().map(|word| name(word)).collect();
        let mut base = parse(words)?;
        base.given = names;
        base.data.clone_from(&plan.data_path);
        base.threads = given.threads.clone();
        base.out.clone_from(&given.out);
        base.quiet = true;
        if base.find_lr {
            let message = "a search trains whole models; --find-lr goes with dnn train".to_owned();
            return Err(Refusal::Usage(message).into());
        }
        experiment::check_flags(&base)?;
        let (json, quiet) = (given.json, given.quiet);
        let search = Self { folder, plan, base, trials, json, quiet };
        search.monitor()?;
        for trial in &search.trials {
            let arguments = search.arguments(trial)?;
            let context = || format!("the trial {}", describe(trial));
            experiment::check_flags(&arguments).with_context(context)?;
            match arguments.precision {
                Precision::F32 => experiment::trainer::<f32>(&arguments).with_context(context)?,
                Precision::F64 => experiment::trainer::<f64>(&arguments).with_context(context)?,
            };
        }
        Ok(search)
    }

    /// What trials are compared by.
    fn monitor(&self) -> Result<Monitor, Refusal> {
        match self.base.monitor.unwrap_or(Monitor::ValidationCost) {
            monitor if monitor.needs_validation() => Ok(monitor),
            other => Err(Refusal::Usage(format!(
                "trials are compared on the validation part: expected --monitor validation-cost or \
                 validation-accuracy, found {other}"
            ))),
        }
    }

    /// The command line of a trial.
    fn arguments(&self, trial: &Trial) -> anyhow::Result<TrainArguments> {
        let names: Vec<String> = trial.iter().map(|(name, _)| name.clone()).collect();
        let base = self.plan.arguments.iter().map(OsString::from).collect();
        let mut words = without(base, &names);
        words.extend(trial.iter().map(|(name, value)| format!("--{name}={value}").into()));
        let given = words.iter().map(|word| name(word)).collect();
        let mut arguments =
            parse(words).with_context(|| format!("the trial {}", describe(trial)))?;
        arguments.given = given;
        arguments.data.clone_from(&self.plan.data_path);
        arguments.quiet = true;
        Ok(arguments)
    }

    fn all_trials<T: Element + Scalar>(mut self) -> anyhow::Result<ExitCode> {
        if self.folder.is_none() {
            RunFolder::check_free(self.base.out.as_deref())?;
        }
        self.base.threads.start()?;
        let mut loaded = Loaded::load(&self.base)?;
        if loaded.parts.validation.is_none() {
            let message = "trials are compared on the validation part: expected one, found \
                           --validation 0";
            return Err(Refusal::Usage(message.to_owned()).into());
        }
        // Nothing is chosen on the test part: the trials do not even see it.
        let test = loaded.parts.test.take();
        let interrupt = Interrupt::watch()?;
        let folder = self.begin(&loaded)?;
        let mut outcomes = read_results(folder.path())?;
        for (index, trial) in self.trials.iter().enumerate() {
            let number = index + 1;
            if outcomes.iter().any(|outcome| outcome.trial == number) {
                continue;
            }
            self.tell(&format!("trial {number} of {}: {}", self.trials.len(), describe(trial)));
            let mut arguments = self.arguments(trial)?;
            arguments.out = Some(trial_folder(folder.path(), number));
            match one_trial::<T>(&arguments, &loaded, &interrupt)? {
                Ended::Interrupted(code) => {
                    let path = folder.path().display();
                    note(&format!("interrupted; to go on: dnn search --resume {path}"));
                    return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
                }
                Ended::Whole(measured, steps, seconds) => {
                    let outcome = Outcome {
                        trial: number,
                        settings: describe(trial),
                        validation_cost: measured.as_ref().map(|part| part.cost),
                        validation_accuracy: measured.as_ref().and_then(Evaluation::accuracy),
                        steps,
                        seconds,
                    };
                    self.tell(&report::line(&outcome));
                    outcomes.push(outcome);
                    write_results(&folder, &outcomes)?;
                }
            }
        }
        self.finish(&folder, loaded, test, outcomes)
    }

    /// How far it has come, unless nobody wants to know.
    fn tell(&self, text: &str) {
        if !self.quiet {
            note(text);
        }
    }

    /// The folder of the search, which says what will be done in it.
    fn begin(&mut self, loaded: &Loaded) -> anyhow::Result<RunFolder> {
        let folder = match self.folder.take() {
            Some(folder) if self.plan.data_sha256 == loaded.sha256 => folder,
            Some(_) => {
                let message = format!(
                    "the search was begun on other data: expected sha256 {}, found {}",
                    self.plan.data_sha256, loaded.sha256
                );
                return Err(Refusal::Data(message).into());
            }
            None => RunFolder::create(self.base.out.as_deref(), "searches", &loaded.name)?,
        };
        self.plan.data_sha256.clone_from(&loaded.sha256);
        let text = format!("{}\n", serde_json::to_string_pretty(&self.plan)?);
        folder.write(PLAN, text.as_bytes())?;
        Ok(folder)
    }

    /// Says which trial was best, and measures its model; now on the test part too.
    fn finish(
        &self,
        folder: &RunFolder,
        mut loaded: Loaded,
        test: Option<ImageDataset>,
        mut outcomes: Vec<Outcome>,
    ) -> anyhow::Result<ExitCode> {
        let monitor = self.monitor()?;
        outcomes.sort_by(|a, b| a.rank(monitor).total_cmp(&b.rank(monitor)));
        loaded.parts.test = test;
        let best = outcomes.first().filter(|outcome| outcome.validation_cost.is_some());
        let Some(best) = best else {
            let message = "every trial diverged; try smaller learning rates".to_owned();
            return Err(Refusal::Usage(message).into());
        };
        let model = trial_folder(folder.path(), best.trial).join("model.dnn");
        let command = self.command(&self.trials[best.trial - 1]);
        report::print(&outcomes, best, &model, &command, &loaded.parts, self.json)?;
        Ok(loaded.code)
    }

    /// What trains the model of a trial again.
    fn command(&self, trial: &Trial) -> String {
        let names: Vec<String> = trial.iter().map(|(name, _)| name.clone()).collect();
        let base = self.plan.arguments.iter().map(OsString::from).collect();
        let mut words = vec!["dnn train".to_owned()];
        words
            .extend(self.plan.data_path.iter().map(|path| report::quoted(&path.to_string_lossy())));
        words.extend(
            without(base, &names).iter().map(|word| report::quoted(&word.to_string_lossy())),
        );
        words
            .extend(trial.iter().map(|(name, value)| report::quoted(&format!("--{name}={value}"))));
        words.join(" ")
    }
}

/// How a trial ended.
enum Ended {
    /// With the exit code for it.
    Interrupted(i32),
    /// The validation part, unless training diverged; steps and seconds.
    Whole(Option<Evaluation>, u64, f64),
}

fn one_trial<T: Element + Scalar>(
    arguments: &TrainArguments,
    loaded: &Loaded,
    interrupt: &Interrupt,
) -> anyhow::Result<Ended> {
    let path = arguments.out.as_deref().expect("a trial has a folder");
    dnn_store::check_own_folder(path)?;
    let experiment = Experiment::<T>::new(arguments, loaded)?;
    let (folder, start) = if path.join("config.json").exists() {
        let resumed = Resumed { folder: RunFolder::open(path)?, config: RunRecord::read(path)? };
        let start = train::resume_point(&resumed, arguments, loaded)?;
        (resumed.folder, start)
    } else {
        let threads = rayon::current_num_threads();
        (train::begin(arguments, loaded, &experiment.settings, threads)?, Start::First)
    };
    match train::run_in(&folder, arguments, loaded, experiment, start, interrupt) {
        Ok(Trained::Interrupted(code)) => Ok(Ended::Interrupted(code)),
        Ok(Trained::Whole(outcome)) => {
            let validation = outcome.measured.iter().find(|(name, _)| *name == "validation");
            let validation = validation.map(|(_, part)| part.clone());
            Ok(Ended::Whole(validation, outcome.ended.step, outcome.seconds))
        }
        Err(error) if failure::is_divergence(&error) => {
            note(&format!("{error:#}"));
            Ok(Ended::Whole(None, 0, 0.0))
        }
        Err(error) => Err(error),
    }
}

/// Where the data lies, also for who calls from another folder.
fn absolute_place(named: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    Ok(data::place(named)?.map(std::path::absolute).transpose()?)
}

fn trial_folder(search: &Path, number: usize) -> PathBuf {
    search.join(format!("trial-{number:03}"))
}

fn as_text(word: OsString) -> Result<String, Refusal> {
    word.into_string().map_err(|word| {
        Refusal::Usage(format!("expected an argument in UTF-8, found {}", word.to_string_lossy()))
    })
}

fn read_results(folder: &Path) -> anyhow::Result<Vec<Outcome>> {
    let path = folder.join(RESULTS);
    let Some(text) = read_text(&path)? else { return Ok(Vec::new()) };
    let line = |line: &str| {
        serde_json::from_str(line).map_err(|error| {
            Refusal::Data(format!("{} has a line that is no trial: {error}", path.display())).into()
        })
    };
    text.lines().map(line).collect()
}

fn write_results(folder: &RunFolder, outcomes: &[Outcome]) -> anyhow::Result<()> {
    let mut text = String::new();
    for outcome in outcomes {
        text += &format!("{}\n", serde_json::to_string(outcome)?);
    }
    Ok(folder.write(RESULTS, text.as_bytes())?)
}
