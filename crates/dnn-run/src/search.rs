//! Many runs with other settings, compared by the validation part.

use std::path::{Path, PathBuf};

use dnn_data::ImageDataset;
use dnn_layers::ModelFile;
use dnn_train::Monitor;

use crate::config::RunConfig;
use crate::error::{Context as _, Result, RunError};
use crate::loaded::Loaded;
use crate::model::with_network;
use crate::observer::{Clock, Observer};
use crate::parts::{self, MeasuredPart};
use crate::run::{self, Resumed};
use crate::run_folder::{CONFIG, RunFolder};
use crate::space::{self, Trial, describe};
use crate::trials::{
    SearchPlan, TrialBegins, TrialOutcome, read_outcomes, trial_folder, write_outcomes,
};

/// A search that has been laid out.
#[derive(Debug)]
pub struct Search {
    /// None for one that has not begun.
    folder: Option<RunFolder>,
    plan: SearchPlan,
    trials: Vec<Trial>,
}

/// What a search has come to.
#[derive(Debug, Clone)]
pub struct SearchReport {
    /// All trials, the best first.
    pub trials: Vec<TrialOutcome>,
    /// The settings of the best one.
    pub config: RunConfig,
    /// Its model.
    pub model: PathBuf,
    /// How well that does on each part, the test part too.
    pub parts: Vec<MeasuredPart>,
}

impl SearchReport {
    /// The best trial.
    pub fn best(&self) -> &TrialOutcome {
        &self.trials[0]
    }
}

impl Search {
    /// Lays a search out; every trial's settings are looked at before the first one begins.
    ///
    /// # Errors
    /// [`RunError::Usage`] for what cannot be tried, [`RunError::Context`] with the trial whose settings are
    /// wrong.
    pub fn new(plan: SearchPlan) -> Result<Self> {
        Self::lay_out(None, plan)
    }

    /// Goes on with the search in a folder, with what `change` makes of its plan.
    ///
    /// # Errors
    /// [`RunError::Usage`] for a folder that is no search's or in which another process works, and those of
    /// [`new`](Self::new).
    pub fn reopen(path: &Path, change: impl FnOnce(&mut SearchPlan) -> Result<()>) -> Result<Self> {
        let mut plan = SearchPlan::read(path)?;
        change(&mut plan)?;
        Self::lay_out(Some(RunFolder::reopen(path)?), plan)
    }

    fn lay_out(folder: Option<RunFolder>, plan: SearchPlan) -> Result<Self> {
        let trials = if plan.grid {
            space::grid(&plan.tries).map_err(RunError::Usage)?
        } else {
            space::random(&plan.tries, plan.trials, plan.config.training.seed)
        };
        plan.monitor()?;
        let search = Self { folder, plan, trials };
        for trial in &search.trials {
            let context = || format!("the trial {}", describe(trial));
            run::check(&search.config(trial)?).context(context)?;
        }
        Ok(search)
    }

    /// What the search follows from.
    pub fn plan(&self) -> &SearchPlan {
        &self.plan
    }

    /// All trials.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The settings of a trial.
    ///
    /// # Errors
    /// [`RunError::Context`] with the trial, for a value that is none.
    pub fn config(&self, trial: &Trial) -> Result<RunConfig> {
        let names: Vec<String> = trial.iter().map(|one| one.name.replace('-', "_")).collect();
        let values = names.iter().zip(trial).map(|(name, one)| (name.as_str(), one.value.as_str()));
        self.plan.config.with(values).context(|| format!("the trial {}", describe(trial)))
    }

    /// Makes all trials that there are no results of yet, in `out` or the next free folder in `searches`, and
    /// measures the best one's model.
    ///
    /// # Errors
    /// What is wrong with the data or a folder; [`RunError::Interrupted`] with the folder of the search if the
    /// observer wants it to stop.
    pub fn run(
        mut self,
        mut loaded: Loaded,
        out: Option<&Path>,
        observer: &mut dyn Observer,
        clock: &dyn Clock,
    ) -> Result<SearchReport> {
        if loaded.parts.validation.is_none() {
            let message =
                "trials are compared on the validation part: expected one, found --validation 0";
            return Err(RunError::Usage(message.to_owned()));
        }
        // Nothing is chosen on the test part: the trials do not even see it.
        let test = loaded.parts.test.take();
        let folder = self.begin(&loaded, out)?;
        let mut outcomes = read_outcomes(folder.path())?;
        for (index, trial) in self.trials.iter().enumerate() {
            let number = index + 1;
            if outcomes.iter().any(|outcome| outcome.trial == number) {
                continue;
            }
            let of = self.trials.len();
            observer.trial_begins(&TrialBegins { number, of, settings: trial });
            let config = self.config(trial)?;
            let path = trial_folder(folder.path(), number);
            let outcome = match one_trial(&path, &config, &loaded, observer, clock) {
                Err(RunError::Interrupted { step, .. }) => {
                    return Err(RunError::Interrupted { run: folder.path().to_owned(), step });
                }
                outcome => outcome?,
            };
            let outcome = TrialOutcome { trial: number, settings: describe(trial), ..outcome };
            observer.trial_ends(&outcome);
            outcomes.push(outcome);
            write_outcomes(&folder, &outcomes)?;
        }
        self.finish(&folder, loaded, test, outcomes)
    }

    /// The folder of the search, which says what will be done in it.
    fn begin(&mut self, loaded: &Loaded, out: Option<&Path>) -> Result<RunFolder> {
        let folder = match self.folder.take() {
            Some(folder) if self.plan.data_sha256 == loaded.sha256 => folder,
            Some(_) => {
                return Err(RunError::Data(format!(
                    "the search was begun on other data: expected sha256 {}, found {}",
                    self.plan.data_sha256, loaded.sha256
                )));
            }
            None => RunFolder::create(out, "searches", &loaded.name)?,
        };
        self.plan.data_sha256.clone_from(&loaded.sha256);
        self.plan.write(&folder)?;
        Ok(folder)
    }

    /// Says which trial was best, and measures its model; now on the test part too.
    fn finish(
        &self,
        folder: &RunFolder,
        mut loaded: Loaded,
        test: Option<ImageDataset>,
        mut outcomes: Vec<TrialOutcome>,
    ) -> Result<SearchReport> {
        let monitor: Monitor = self.plan.monitor()?;
        outcomes.sort_by(|a, b| a.rank(monitor).total_cmp(&b.rank(monitor)));
        loaded.parts.test = test;
        let best = outcomes.first().filter(|outcome| outcome.validation_cost.is_some());
        let Some(best) = best else {
            let message = "every trial diverged; try smaller learning rates".to_owned();
            return Err(RunError::Usage(message));
        };
        let model = trial_folder(folder.path(), best.trial).join(crate::run_folder::MODEL);
        let config = self.config(&self.trials[best.trial - 1])?;
        let network = ModelFile::read(&model)?.network;
        let parts =
            with_network!(&network, network => parts::measure(network, loaded.parts.each())?);
        Ok(SearchReport { trials: outcomes, config, model, parts })
    }
}

/// What came of a trial; its number and settings are the caller's.
fn one_trial(
    path: &Path,
    config: &RunConfig,
    loaded: &Loaded,
    observer: &mut dyn Observer,
    clock: &dyn Clock,
) -> Result<TrialOutcome> {
    dnn_store::check_own_folder(path)?;
    let report = if path.join(CONFIG).exists() {
        Resumed::open(path)?.train_on(loaded, config, observer, clock)
    } else {
        run::train_on(loaded, config, Some(path), observer, clock)
    };
    let outcome = |steps, seconds| TrialOutcome {
        trial: 0,
        settings: String::new(),
        validation_cost: None,
        validation_accuracy: None,
        steps,
        seconds,
    };
    match report {
        Ok(report) => {
            let validation = report.part("validation").map(|part| &part.evaluation);
            Ok(outcome(report.end.step, report.seconds).measured(validation))
        }
        Err(error) if error.is_divergence() => {
            observer.note(&error.with_causes());
            Ok(outcome(0, 0.0))
        }
        Err(error) => Err(error),
    }
}
