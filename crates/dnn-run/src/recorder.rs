//! What is kept of a run while it goes on, and when it ends.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::time::Duration;

use dnn_train::{Batch, Event, Snapshot, Trainer, Warning};

use crate::checkpoints::{Checkpoints, Keep};
use crate::config::RunConfig;
use crate::error::{Result, RunError};
use crate::history_file::{self, HistoryFile};
use crate::observer::{Clock, Observer};
use crate::regression::TargetScales;
use crate::run_folder::RunFolder;
use crate::tensorboard::EventFile;

/// How often a run is saved if nobody said.
const DEFAULT_PAUSE: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself.
    Finished,
    /// At the step that was given.
    StepLimit,
    /// At the time that was given.
    TimeLimit,
    /// Because the observer wanted it to.
    Interrupted,
}

/// What there is to know of a run that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recorded {
    pub(crate) ending: Ending,
    /// Its last step.
    pub(crate) last: u64,
    /// The epochs that were made to their end since the start of the run.
    pub(crate) epochs: u64,
    /// Whether a run on full batches was in the dual (Gram) form.
    pub(crate) gram: Option<bool>,
}

/// What a run has behind it when it begins or goes on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) steps: u64,
    pub(crate) epochs: u64,
}

/// Hears what happens, writes it down, saves the run, and ends it when it is time.
pub(crate) struct Recorder<'a> {
    folder: &'a RunFolder,
    checkpoints: Checkpoints,
    history: HistoryFile,
    events: Option<EventFile>,
    observer: &'a mut dyn Observer,
    clock: &'a dyn Clock,
    classes: &'a [String],
    config: &'a RunConfig,
    keep: Keep,
    begun: Duration,
    saved: Duration,
    /// Whether the last thing heard of was a step.
    after_step: bool,
    last_step: u64,
    epochs: u64,
    full_batch: bool,
    /// Whether a run on full batches is in the dual (Gram) form.
    gram: Option<bool>,
    ending: Ending,
    /// Where the network is trained on numbers that are scaled, what gives the best model their unit back.
    target_scales: Option<TargetScales>,
    failure: Option<RunError>,
}

/// What a recorder works with.
pub(crate) struct RecorderParts<'a> {
    pub(crate) folder: &'a RunFolder,
    pub(crate) config: &'a RunConfig,
    pub(crate) trainer: &'a Trainer,
    pub(crate) classes: &'a [String],
    pub(crate) target_scales: Option<TargetScales>,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) clock: &'a dyn Clock,
}

impl<'a> Recorder<'a> {
    /// For a run that has so much behind it.
    pub(crate) fn new(parts: RecorderParts<'a>, done: Progress) -> Result<Self> {
        let RecorderParts { folder, config, trainer, classes, target_scales, observer, clock } =
            parts;
        let history = folder.history(done.epochs)?;
        let keeping = &config.keeping;
        let events = if keeping.tensorboard {
            Some(EventFile::create(folder.path(), done.steps, clock.since_1970())?)
        } else {
            None
        };
        observer.training_begins(trainer.epochs);
        if done.epochs > 0 {
            observer.epochs_before(&history_file::read_all(folder.path())?);
        }
        let now = clock.elapsed();
        Ok(Self {
            folder,
            checkpoints: folder.checkpoints(),
            history,
            events,
            observer,
            clock,
            classes,
            config,
            keep: Keep { last: keeping.keep_last, every: keeping.keep_every },
            begun: now,
            saved: now,
            after_step: false,
            last_step: done.steps,
            epochs: done.epochs,
            full_batch: trainer.batch == Batch::Full,
            gram: None,
            ending: Ending::Finished,
            target_scales,
            failure: None,
        })
    }

    /// How the run ended, unless something could not be written.
    pub(crate) fn finish(self) -> Result<Recorded> {
        self.observer.training_ends();
        match self.failure {
            Some(error) => Err(error),
            None => Ok(Recorded {
                ending: self.ending,
                last: self.last_step,
                epochs: self.epochs,
                gram: self.gram,
            }),
        }
    }

    pub(crate) fn hear(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match self.note_down(event) {
            Ok(flow) => flow,
            Err(error) => {
                self.failure = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    fn note_down(&mut self, event: Event<'_>) -> Result<ControlFlow<()>> {
        match event {
            Event::Step { step, .. } => {
                self.after_step = true;
                self.last_step = step;
            }
            Event::Epoch(record) => {
                self.after_step = false;
                self.epochs = record.epoch;
                self.observer.epoch(record);
                self.history.append(record)?;
                if let Some(events) = &mut self.events {
                    events.append(record, self.clock.since_1970())?;
                }
            }
            Event::Plan(plan) if self.full_batch => {
                self.gram = Some(plan.taken);
                self.observer.note(&plan.to_string());
            }
            Event::Warning(warning) => {
                self.observer.note(&warning_text(warning, self.classes));
            }
            Event::State(state) => return self.state(state),
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Saves the run if it is time to, and ends it.
    fn state(&mut self, state: Snapshot<'_>) -> Result<ControlFlow<()>> {
        if state.is_best() && self.config.keeping.keep_best {
            let network = state.network()?;
            let network = match &self.target_scales {
                Some(scales) => scales.leave_model(&network)?,
                None => network,
            };
            self.folder.write("best.dnn", &network)?;
        }
        let step = state.step();
        let at_limit = self.limit(step);
        let interrupted = self.observer.wants_to_stop();
        if self.is_due(step) || at_limit.is_some() || interrupted || state.ends() {
            self.history.sync()?;
            self.checkpoints.save(step, &state.checkpoint()?, &self.keep)?;
            self.saved = self.clock.elapsed();
        }
        if state.ends() {
            return Ok(ControlFlow::Continue(()));
        }
        self.ending = match at_limit {
            _ if interrupted => Ending::Interrupted,
            Some(limit) => limit,
            None => return Ok(ControlFlow::Continue(())),
        };
        Ok(ControlFlow::Break(()))
    }

    /// The limit that the run is at.
    fn limit(&self, step: u64) -> Option<Ending> {
        let training = &self.config.training;
        // Looked at after steps alone, so that a number of steps says where a run ended.
        if !self.after_step {
            None
        } else if training.steps.is_some_and(|limit| step >= limit.get()) {
            Some(Ending::StepLimit)
        } else if training.time_limit.is_some_and(|limit| since(self.clock, self.begun) >= limit.0)
        {
            Some(Ending::TimeLimit)
        } else {
            None
        }
    }

    /// Whether it is time to save the run.
    fn is_due(&self, step: u64) -> bool {
        let every = self.config.keeping.checkpoint_every;
        let multiple = |every: Option<NonZeroU64>| {
            self.after_step && every.is_some_and(|every| step.is_multiple_of(every.get()))
        };
        every.is_none() && since(self.clock, self.saved) >= DEFAULT_PAUSE
            || multiple(every)
            || multiple(self.keep.every)
    }
}

fn since(clock: &dyn Clock, moment: Duration) -> Duration {
    clock.elapsed().saturating_sub(moment)
}

/// A warning, with the name of the class that it gives by number.
fn warning_text(warning: &Warning, classes: &[String]) -> String {
    match warning {
        Warning::SingleClass { class, .. } => {
            format!("warning: {warning} (class {class} is `{}`)", classes[*class])
        }
        _ => format!("warning: {warning}"),
    }
}
