//! `dnn runs`: run folders side by side.

use std::cmp::Ordering;
use std::path::Path;
use std::process::ExitCode;

use dnn_run::{RunList, RunSummary};
use serde_json::{Value, json};

use crate::args::{Order, RunsArguments};
use crate::output::{self, left, note, plain, right, width};

pub(crate) fn run(arguments: &RunsArguments) -> anyhow::Result<ExitCode> {
    let folder = arguments.folder.as_deref().unwrap_or(Path::new("runs"));
    let mut list = RunList::read(folder)?;
    for run in &list.unreadable {
        note(&format!("left out: {}", run.reason));
    }
    let key = |run: &RunSummary| match arguments.sort {
        Order::Name => 0.0,
        // The best first.
        Order::Accuracy => run.accuracy().map_or(f64::INFINITY, |accuracy| -accuracy),
        Order::Cost => run.compared_by().map_or(f64::INFINITY, |part| part.evaluation.cost),
        Order::Time => run.seconds.unwrap_or(f64::INFINITY),
        Order::Epochs => run.epochs as f64,
    };
    // By name where that is the same.
    list.runs.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(Ordering::Equal));
    if arguments.json {
        output::print_json(&as_object(&list))?;
    } else if list.runs.is_empty() {
        note(&format!("no runs in {}", folder.display()));
    } else {
        output::print(&table(&list))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_object(list: &RunList) -> Value {
    let run = |run: &RunSummary| {
        json!({
            "run": run.path.display().to_string(),
            "state": run.state,
            "epochs": run.epochs,
            "asked": run.asked,
            "seconds": run.seconds,
            "parts": output::parts_json(&run.parts),
            "settings": run.settings,
        })
    };
    json!({
        "runs": list.runs.iter().map(run).collect::<Vec<_>>(),
        "differing": list.differing(),
        "unreadable": list.unreadable,
    })
}

/// What stands under one heading.
struct Column {
    heading: String,
    cells: Vec<String>,
    /// Numbers stand under each other at their ends.
    numbers: bool,
}

fn table(list: &RunList) -> String {
    let column = |heading: &str, numbers: bool, cell: &dyn Fn(&RunSummary) -> String| Column {
        heading: heading.to_owned(),
        cells: list.runs.iter().map(cell).collect(),
        numbers,
    };
    let name = |run: &RunSummary| {
        run.path.file_name().map_or_else(
            || run.path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        )
    };
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    let part = |run: &RunSummary| run.compared_by().map(|part| part.evaluation.clone());
    let none = || "-".to_owned();
    let mut columns = vec![
        column("run", false, &|run| plain(&name(run))),
        column("state", false, &|run| run.state.name().to_owned()),
        column("epochs", true, &|run| format!("{}/{}", run.epochs, run.asked)),
        column("time", true, &|run| run.seconds.map_or_else(none, |time| format!("{time:.1} s"))),
        column("part", false, &|run| run.compared_by().map_or_else(none, |part| part.name.clone())),
        column("cost", true, &|run| {
            part(run).map_or_else(none, |part| format!("{:.4}", part.cost))
        }),
        column("accuracy", true, &|run| {
            run.accuracy().map_or_else(none, |accuracy| format!("{} %", percent(accuracy)))
        }),
        column("95 % interval", true, &|run| {
            let interval = part(run).and_then(|part| part.interval());
            interval
                .map_or_else(none, |(low, high)| format!("{} to {}", percent(low), percent(high)))
        }),
    ];
    columns.extend(list.differing().iter().map(|name| {
        let cell = |run: &RunSummary| run.settings.get(name).map_or_else(none, |text| plain(text));
        column(&name.replace('_', " "), false, &cell)
    }));
    lines(&columns)
}

fn lines(columns: &[Column]) -> String {
    let widths: Vec<usize> = (columns.iter())
        .map(|column| {
            let cells = column.cells.iter().chain([&column.heading]);
            cells.map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let mut text = String::new();
    for row in 0..=rows {
        let cells = columns.iter().zip(&widths).map(|(column, &wide)| {
            let cell = if row == 0 { &column.heading } else { &column.cells[row - 1] };
            if column.numbers { right(cell, wide) } else { left(cell, wide) }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}
