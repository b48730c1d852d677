//! `dnn train --find-lr`: which learning rate to choose.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use dnn_core::Element;
use dnn_store::Scalar;
use dnn_train::{RateSweep, find_learning_rate};
use serde_json::json;

use crate::args::TrainArguments;
use crate::chart;
use crate::experiment::{Experiment, Loaded};
use crate::failure::Refusal;
use crate::output;
use dnn_run::parts;
use dnn_run::regression::TargetScales;

/// Steps of a sweep.
const STEPS: u64 = 150;

/// The file for the drawing: `out` itself if it ends in `.svg`, else `learning-rate.svg` in that folder.
fn drawing_file(out: &Path) -> PathBuf {
    if out.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("svg")) {
        out.to_owned()
    } else {
        out.join("learning-rate.svg")
    }
}

/// Refuses a place that something has, before anything is read.
pub(crate) fn check_out(out: Option<&Path>) -> Result<(), Refusal> {
    match out.map(drawing_file) {
        Some(file) if file.symlink_metadata().is_ok() => Err(output::taken(&file)),
        _ => Ok(()),
    }
}

pub(crate) fn run<T: Element + Scalar>(
    arguments: &TrainArguments,
    loaded: &Loaded,
    experiment: &Experiment<T>,
) -> anyhow::Result<ExitCode> {
    let train = &loaded.parts.train;
    let targets = TargetScales::of(train).and_then(|scales| scales.standardized(train));
    let training = parts::examples(&experiment.network, train, targets.as_ref());
    let sweep = find_learning_rate(&experiment.trainer, &experiment.network, &training, STEPS)?;
    let points: Vec<(f64, f64)> =
        sweep.points.iter().map(|point| (point.learning_rate, point.smoothed)).collect();
    if let Some(file) = arguments.out.as_deref().map(drawing_file) {
        let marks: Vec<(f64, &str)> =
            sweep.suggestion.iter().map(|&rate| (rate, "suggested")).collect();
        let drawing = chart::svg("learning rate", "cost, smoothed", &points, &marks);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        output::write_new([file], drawing.as_bytes())?;
    }
    if arguments.json {
        output::print_json(&json!({
            "suggestion": sweep.suggestion,
            "points": sweep.points,
        }))?;
        return Ok(loaded.code);
    }
    output::print(&text(&sweep, &points, arguments))?;
    Ok(loaded.code)
}

fn text(sweep: &RateSweep, points: &[(f64, f64)], arguments: &TrainArguments) -> String {
    let mut text = chart::text(points, sweep.suggestion);
    match sweep.suggestion {
        Some(rate) => {
            text += &format!(
                "\nlearning rate {rate:.2e}, where the cost of {} falls fastest: --learning-rate {rate:.2e}\n",
                arguments.optimizer
            );
        }
        None => text += "\nthe cost falls at no rate: other settings or data may help\n",
    }
    text
}
