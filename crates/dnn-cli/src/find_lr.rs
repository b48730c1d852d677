//! `dnn train --find-lr`: which learning rate to choose.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use dnn_run::{Loaded, RunConfig, RunError, SystemClock};
use dnn_train::{Optimizer, RateSweep};
use serde_json::json;

use crate::args::TrainArguments;
use crate::chart;
use crate::data;
use crate::output;
use crate::progress::Terminal;

/// The file for the drawing: `out` itself if it ends in `.svg`, else `learning-rate.svg` in that folder.
fn drawing_file(out: &Path) -> PathBuf {
    if out.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("svg")) {
        out.to_owned()
    } else {
        out.join("learning-rate.svg")
    }
}

/// Refuses a place that something has, before anything is read.
pub(crate) fn check_out(out: Option<&Path>) -> Result<(), RunError> {
    match out.map(drawing_file) {
        Some(file) if file.symlink_metadata().is_ok() => Err(output::taken(&file)),
        _ => Ok(()),
    }
}

pub(crate) fn run(
    arguments: &TrainArguments,
    config: &RunConfig,
    loaded: &Loaded,
    terminal: &mut Terminal,
) -> anyhow::Result<ExitCode> {
    let sweep = dnn_run::find_rate(config, loaded, terminal, &SystemClock::start())?;
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
    } else {
        output::print(&text(&sweep, &points, config.optimizer()))?;
    }
    Ok(data::exit_code(loaded.left_out()))
}

fn text(sweep: &RateSweep, points: &[(f64, f64)], optimizer: Optimizer) -> String {
    let mut text = chart::text(points, sweep.suggestion);
    match sweep.suggestion {
        Some(rate) => {
            text += &format!(
                "\nlearning rate {rate:.2e}, where the cost of {optimizer} falls fastest: --learning-rate {rate:.2e}\n"
            );
        }
        None => text += "\nthe cost falls at no rate: other settings or data may help\n",
    }
    text
}
