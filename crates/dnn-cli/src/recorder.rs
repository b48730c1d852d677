//! What a run tells, and what is kept of it while it goes on.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dnn_train::{Batch, Event, Snapshot, Trainer, Warning};

use crate::args::TrainArguments;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use dnn_run::checkpoints::{Checkpoints, Keep};
use dnn_run::history_file::HistoryFile;
use dnn_run::regression::TargetScales;
use dnn_run::run_folder::RunFolder;
use dnn_run::tensorboard::EventFile;

/// How often a run is saved if nobody said.
const USUAL_PAUSE: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself.
    Finished,
    /// At the step that was given.
    StepLimit,
    /// At the time that was given.
    TimeLimit,
    /// By a signal; with the exit code for it.
    Interrupted(i32),
}

/// What there is to know of a run that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recorded {
    pub(crate) ending: Ending,
    /// Its last step.
    pub(crate) last: u64,
    /// The epochs that were made to their end since the start of the run.
    pub(crate) epochs: u64,
    /// Whether a run on full batches was in the Gram form.
    pub(crate) gram: Option<bool>,
}

/// Hears what happens, writes it down, saves the run, and ends it when it is time.
pub(crate) struct Recorder<'a> {
    folder: &'a RunFolder,
    checkpoints: Checkpoints,
    history: HistoryFile,
    events: Option<EventFile>,
    progress: Progress,
    classes: &'a [String],
    interrupt: Interrupt,
    begun: Instant,
    saved: Instant,
    checkpoint_every: Option<NonZeroU64>,
    keep: Keep,
    keep_best: bool,
    steps: Option<NonZeroU64>,
    time: Option<Duration>,
    /// Whether the last thing heard of was a step.
    after_step: bool,
    last_step: u64,
    epochs: u64,
    full_batch: bool,
    /// Whether a run on full batches is in the Gram form.
    gram: Option<bool>,
    ending: Ending,
    /// Where the network is trained on numbers that are scaled, what gives the best model their unit back.
    pub(crate) target_scales: Option<TargetScales>,
    failure: Option<anyhow::Error>,
}

impl<'a> Recorder<'a> {
    /// For a run that has `done` so many steps and epochs.
    pub(crate) fn new(
        folder: &'a RunFolder,
        arguments: &TrainArguments,
        trainer: &Trainer,
        classes: &'a [String],
        done: (u64, u64),
        interrupt: Interrupt,
    ) -> anyhow::Result<Self> {
        let (step, epochs) = done;
        let history = folder.history(epochs)?;
        let events = if arguments.tensorboard {
            Some(EventFile::create(folder.path(), step, since_1970())?)
        } else {
            None
        };
        let now = Instant::now();
        Ok(Self {
            folder,
            checkpoints: folder.checkpoints(),
            history,
            events,
            progress: Progress::new(trainer.epochs, arguments.quiet),
            classes,
            interrupt,
            begun: now,
            saved: now,
            checkpoint_every: arguments.checkpoint_every,
            keep: Keep { last: arguments.keep_last, every: arguments.keep_every },
            keep_best: arguments.keep_best,
            steps: arguments.steps,
            time: arguments.time_limit,
            after_step: false,
            last_step: step,
            epochs,
            full_batch: trainer.batch == Batch::Full,
            gram: None,
            ending: Ending::Finished,
            target_scales: None,
            failure: None,
        })
    }

    /// Says something without spoiling the progress bar.
    pub(crate) fn note(&self, text: &str) {
        self.progress.note(text);
    }

    /// How the run ended, unless something could not be written.
    pub(crate) fn finish(self) -> anyhow::Result<Recorded> {
        self.progress.finish();
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

    fn note_down(&mut self, event: Event<'_>) -> anyhow::Result<ControlFlow<()>> {
        match event {
            Event::Step { step, .. } => {
                self.after_step = true;
                self.last_step = step;
            }
            Event::Epoch(record) => {
                self.after_step = false;
                self.epochs = record.epoch;
                self.progress.epoch(record);
                self.history.append(record)?;
                if let Some(events) = &mut self.events {
                    events.append(record, since_1970())?;
                }
            }
            Event::Plan(plan) if self.full_batch => {
                self.gram = Some(plan.taken);
                self.note(&plan.to_string());
            }
            Event::Warning(warning) => self.note(&warning_text(warning, self.classes)),
            Event::State(state) => return self.state(state),
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Saves the run if it is time to, and ends it.
    fn state(&mut self, state: Snapshot<'_>) -> anyhow::Result<ControlFlow<()>> {
        if state.is_best() && self.keep_best {
            let network = state.network()?;
            let network = match &self.target_scales {
                Some(scales) => scales.leave_model(&network)?,
                None => network,
            };
            self.folder.write("best.dnn", &network)?;
        }
        let step = state.step();
        // Looked at after steps alone, so that a number of steps says where a run ended.
        let at_limit = if !self.after_step {
            None
        } else if self.steps.is_some_and(|limit| step >= limit.get()) {
            Some(Ending::StepLimit)
        } else if self.time.is_some_and(|limit| self.begun.elapsed() >= limit) {
            Some(Ending::TimeLimit)
        } else {
            None
        };
        let interrupted = self.interrupt.exit_code();
        let multiple = |every: Option<NonZeroU64>| {
            self.after_step && every.is_some_and(|every| step.is_multiple_of(every.get()))
        };
        let due = self.checkpoint_every.is_none() && self.saved.elapsed() >= USUAL_PAUSE
            || multiple(self.checkpoint_every)
            || multiple(self.keep.every);
        if due || at_limit.is_some() || interrupted.is_some() || state.ends() {
            self.history.sync()?;
            self.checkpoints.save(step, &state.checkpoint()?, &self.keep)?;
            self.saved = Instant::now();
        }
        if state.ends() {
            return Ok(ControlFlow::Continue(()));
        }
        self.ending = match (interrupted, at_limit) {
            (Some(code), _) => Ending::Interrupted(code),
            (None, Some(limit)) => limit,
            (None, None) => return Ok(ControlFlow::Continue(())),
        };
        Ok(ControlFlow::Break(()))
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
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
