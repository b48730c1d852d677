//! What a run tells, on standard error.

use dnn_run::{Observer, TrialBegins, TrialOutcome, describe};
use dnn_train::EpochRecord;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::interrupt::Interrupt;
use crate::output::note;

/// Lines in all, about.
const LINES: u64 = 10;

/// Tells what a run or a search has to say, and looks out for signals.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    /// Says nothing of epochs and trials.
    quiet: bool,
    /// Says nothing of epochs.
    trials_alone: bool,
    interrupt: Option<Interrupt>,
    progress: Option<Progress>,
}

impl Terminal {
    /// A quiet one draws its bar, but leaves no lines.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, ..Self::default() }
    }

    /// Of a search, whose trials are told, but not their epochs.
    pub(crate) fn of_search(quiet: bool) -> Self {
        Self { quiet, trials_alone: true, ..Self::default() }
    }

    /// A signal from here on ends the run after its step.
    pub(crate) fn watch(&mut self) -> anyhow::Result<()> {
        self.interrupt = Some(Interrupt::watch()?);
        Ok(())
    }

    /// The exit code that the signal that came asks for, if one came.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.interrupt.as_ref().and_then(Interrupt::exit_code)
    }
}

impl Observer for Terminal {
    fn note(&mut self, text: &str) {
        match &self.progress {
            Some(progress) => progress.note(text),
            None => note(text),
        }
    }

    fn training_begins(&mut self, epochs: u64) {
        self.progress = Some(Progress::new(epochs, self.quiet || self.trials_alone));
    }

    fn epoch(&mut self, record: &EpochRecord) {
        if let Some(progress) = &self.progress {
            progress.epoch(record);
        }
    }

    fn training_ends(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
    }

    fn trial_begins(&mut self, trial: &TrialBegins<'_>) {
        if !self.quiet {
            let settings = describe(trial.settings);
            note(&format!("trial {} of {}: {settings}", trial.number, trial.of));
        }
    }

    fn trial_ends(&mut self, outcome: &TrialOutcome) {
        if self.quiet {
            return;
        }
        let Some(cost) = outcome.validation_cost else {
            return note(&format!("trial {}: diverged", outcome.trial));
        };
        let accuracy = outcome.validation_accuracy;
        let accuracy = accuracy.map(|accuracy| format!(", accuracy {:.1} %", 100.0 * accuracy));
        note(&format!(
            "trial {}: validation cost {cost:.4}{}, {:.1} s",
            outcome.trial,
            accuracy.unwrap_or_default(),
            outcome.seconds
        ));
    }

    fn wants_to_stop(&mut self) -> bool {
        self.exit_code().is_some()
    }
}

/// A line now and then, and on a terminal a bar below them.
#[derive(Debug)]
struct Progress {
    bar: ProgressBar,
    epochs: u64,
    quiet: bool,
}

impl Progress {
    /// For so many epochs; a quiet one draws its bar, but leaves no lines.
    fn new(epochs: u64, quiet: bool) -> Self {
        let style = "epoch {pos}/{len} [{wide_bar}] {eta} left";
        let style = ProgressStyle::with_template(style)
            .expect("the template is a constant that the tests draw")
            .progress_chars("=> ");
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(epochs), target).with_style(style);
        Self { bar, epochs, quiet }
    }

    fn epoch(&self, record: &EpochRecord) {
        self.bar.set_position(record.epoch);
        let every = self.epochs.div_ceil(LINES).max(1);
        let due = record.epoch.is_multiple_of(every) || record.epoch == self.epochs;
        if self.quiet || !due {
            return;
        }
        let digits = self.epochs.to_string().len();
        let mut line =
            format!("epoch {:>digits$}/{}  cost {:.4}", record.epoch, self.epochs, record.cost);
        let validation = record.validation.as_ref().and_then(dnn_train::Evaluation::accuracy);
        for (name, accuracy) in [("accuracy", record.accuracy), ("validation", validation)] {
            if let Some(accuracy) = accuracy {
                line += &format!("  {name} {:>5.1} %", 100.0 * accuracy);
            }
        }
        self.note(&line);
    }

    /// Says something without spoiling the bar.
    fn note(&self, text: &str) {
        self.bar.suspend(|| note(text));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_right() {
        Progress::new(3, false).finish();
    }
}
