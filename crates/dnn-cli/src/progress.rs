//! What a run tells, on standard error.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dnn_run::{Observer, TrialBegins, TrialOutcome, describe};
use dnn_train::EpochRecord;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::curves;
use crate::interrupt::Interrupt;
use crate::output::note;

/// Lines in all, about, where they are not for a terminal.
const LINES: u64 = 10;

/// The time between two lines on a terminal, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// Epochs that tell how long those to come take: the last ones, since pictures may grow on the way.
const TELLING: usize = 3;

/// What is drawn below the lines: a bar, the time that is left, and on a wide terminal curves.
const BAR: &str = "epoch {pos}/{len} [{wide_bar}] {prefix}";
const WITH_CURVES: &str = "epoch {pos}/{len} [{wide_bar}] {prefix}\n{msg}";

/// Columns of a terminal from which on there are curves.
const WIDE: usize = 100;

/// Tells what a run or a search has to say, and looks out for signals.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    /// Says nothing of epochs and trials.
    quiet: bool,
    /// Says nothing of epochs.
    trials_alone: bool,
    interrupt: Option<Interrupt>,
    progress: Option<Progress>,
    plot: Option<Plot>,
    /// The epochs of the run, for its curves.
    epochs: Vec<EpochRecord>,
}

/// The drawing of a run's curves.
#[derive(Debug)]
struct Plot {
    file: PathBuf,
    /// It was said that the file cannot be written.
    failed: bool,
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

    /// After each epoch, draws the curves of the run into this file, which is the run's own.
    pub(crate) fn plot(&mut self, file: &Path) {
        self.plot = Some(Plot { file: file.to_owned(), failed: false });
    }

    /// A curve that cannot be drawn is no reason to end a run.
    fn draw(&mut self) {
        let Some(plot) = &mut self.plot else { return };
        let drawing = curves::svg(&self.epochs);
        match dnn_store::commit(&plot.file, drawing.as_bytes()) {
            Ok(()) => plot.failed = false,
            Err(_) if plot.failed => {}
            Err(error) => {
                plot.failed = true;
                self.note(&format!("warning: the curves are not drawn: {error}"));
            }
        }
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
        self.epochs.clear();
        self.progress = Some(Progress::new(epochs, self.quiet || self.trials_alone));
    }

    fn epochs_before(&mut self, records: &[EpochRecord]) {
        self.epochs = records.to_vec();
        if let Some(progress) = &mut self.progress {
            progress.goes_on(records.len());
        }
        self.draw();
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.epochs.push(record.clone());
        if let Some(progress) = &mut self.progress {
            progress.epoch(record, &self.epochs);
        }
        self.draw();
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
    /// Columns of the terminal, if it is one.
    columns: Option<usize>,
    /// When training began, and when each epoch was over.
    times: Vec<Instant>,
    /// When the last line was written.
    told: Option<Instant>,
}

impl Progress {
    /// For so many epochs; a quiet one draws its bar, but leaves no lines.
    fn new(epochs: u64, quiet: bool) -> Self {
        let terminal = console::Term::stderr();
        let columns = terminal.is_term().then(|| usize::from(terminal.size().1));
        let is_wide = columns.is_some_and(|columns| columns >= WIDE);
        let style = ProgressStyle::with_template(if is_wide { WITH_CURVES } else { BAR })
            .expect("the templates are constants that the tests draw")
            .progress_chars("=> ");
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(epochs), target).with_style(style);
        Self { bar, epochs, quiet, columns, times: vec![Instant::now()], told: None }
    }

    /// So many epochs are over already.
    fn goes_on(&self, epochs: usize) {
        self.bar.set_position(epochs as u64);
    }

    fn epoch(&mut self, record: &EpochRecord, all: &[EpochRecord]) {
        let now = Instant::now();
        self.times.push(now);
        let left = left(&self.times, self.epochs.saturating_sub(record.epoch));
        self.bar.set_prefix(left.clone());
        if let Some(columns) = self.columns.filter(|&columns| columns >= WIDE) {
            self.bar.set_message(curves::blocks(all, columns));
        }
        self.bar.set_position(record.epoch);
        let every = self.epochs.div_ceil(LINES).max(1);
        let due = match self.told {
            Some(told) if self.columns.is_some() => now.duration_since(told) >= PAUSE,
            None if self.columns.is_some() => true,
            _ => record.epoch.is_multiple_of(every),
        };
        if self.quiet || !(due || record.epoch == self.epochs) {
            return;
        }
        self.told = Some(now);
        let line = line(record, self.epochs);
        // In a file, the lines of a run are the same whenever it is made.
        self.note(&if self.columns.is_some() { format!("{line}  {left}") } else { line });
    }

    /// Says something without spoiling the bar.
    fn note(&self, text: &str) {
        self.bar.suspend(|| note(text));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// An epoch in a line.
fn line(record: &EpochRecord, epochs: u64) -> String {
    let digits = epochs.to_string().len();
    let mut line = format!("epoch {:>digits$}/{epochs}  cost {:.4}", record.epoch, record.cost);
    let validation = record.validation.as_ref().and_then(dnn_train::Evaluation::accuracy);
    for (name, accuracy) in [("accuracy", record.accuracy), ("validation", validation)] {
        if let Some(accuracy) = accuracy {
            line += &format!("  {name} {:>5.1} %", 100.0 * accuracy);
        }
    }
    line
}

/// The time that so many epochs take which are as long as the last ones.
fn left(times: &[Instant], epochs: u64) -> String {
    let last = &times[times.len().saturating_sub(TELLING + 1)..];
    let [Some(first), Some(end)] = [last.first(), last.last()] else { return String::new() };
    let each = end.duration_since(*first).as_secs_f64() / (last.len().max(2) - 1) as f64;
    format!("{} left", duration(each * epochs as f64))
}

/// Seconds in words.
fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time is no age")]
    let seconds = seconds.clamp(0.0, 1e9).round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_epochs_tell_the_time_that_is_left() {
        let begun = Instant::now();
        let times = [0, 1, 2, 12, 22, 32].map(|at| begun + Duration::from_secs(at));
        assert_eq!(left(&times, 7), "1 min 10 s left");
        assert_eq!(left(&times[..2], 59), "59 s left");
        assert_eq!(left(&times, 0), "0 s left");
        assert_eq!([3600.4, 59.6].map(duration), ["1 h 00 min", "1 min 00 s"]);
    }

    #[test]
    fn the_templates_are_right() {
        assert!([BAR, WITH_CURVES].iter().all(|it| ProgressStyle::with_template(it).is_ok()));
        Progress::new(3, false).finish();
    }
}
