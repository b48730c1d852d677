//! How far a run has come, on standard error.

use dnn_train::EpochRecord;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::note;

/// Lines in all, about.
const LINES: u64 = 10;

/// A line now and then, and on a terminal a bar below them.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    epochs: u64,
    quiet: bool,
}

impl Progress {
    /// For so many epochs; a quiet one draws its bar, but leaves no lines.
    pub(crate) fn new(epochs: u64, quiet: bool) -> Self {
        let style = "epoch {pos}/{len} [{wide_bar}] {eta} left";
        let style = ProgressStyle::with_template(style)
            .expect("the template is a constant that the tests draw")
            .progress_chars("=> ");
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(epochs), target).with_style(style);
        Self { bar, epochs, quiet }
    }

    pub(crate) fn epoch(&self, record: &EpochRecord) {
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
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| note(text));
    }

    pub(crate) fn finish(&self) {
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
