//! `dnn doctor`.

use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;
use dnn_data::doctor::{self, Case, Compared, Finding, Place, Report};
use dnn_data::picture::Decoding;
use dnn_data::{DataError, load_arrays};

use crate::args::DoctorArguments;
use crate::args::effect::{self, Needs, no_picture_files};
use crate::data;
use crate::output::{self, counted, left, plain, width};

/// The exit code where something serious was found: that of wrong data.
const SERIOUS: u8 = 3;

/// Classes in the table of counts, at most.
const SHOWN_CLASSES: usize = 12;

/// Pictures of one case, at most.
const SHOWN_PICTURES: usize = 4;

pub(crate) fn run(arguments: &DoctorArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    arguments.threads.start()?;
    let decoding = Decoding { lenient: arguments.lenient, ..Decoding::default() };
    let place = data::place(Some(&arguments.data))?;
    let (report, pictures) = examine(place.as_deref(), &decoding)?;
    effect::refuse_idle("doctor", &effect::given("doctor", matches), |_, needs| match needs {
        Needs::PictureFiles => no_picture_files(place.as_deref(), pictures),
        _ => None,
    })?;
    if arguments.json {
        output::print_json(&report)?;
    } else {
        output::print(&text(&report, arguments.rows))?;
    }
    Ok(if report.is_serious() { ExitCode::from(SERIOUS) } else { ExitCode::SUCCESS })
}

/// The report, and whether the data is made of picture files.
fn examine(path: Option<&Path>, decoding: &Decoding) -> Result<(Report, bool), DataError> {
    let Some(path) = path else { return Ok((doctor::examine(&dnn_data::digits()), false)) };
    match load_arrays(path)? {
        Some((data, _)) => Ok((doctor::examine(&data), false)),
        None => Ok((doctor::examine_pictures(path, decoding)?, true)),
    }
}

/// The report for people: counts, then each finding with at most `rows` of its cases.
fn text(report: &Report, rows: usize) -> String {
    let layout = report.layout.map_or_else(String::new, |layout| format!(", {layout}"));
    let mut text = if report.parts.is_empty() {
        format!(
            "{}: the classes are not known
",
            plain(&report.name)
        )
    } else {
        let classes = counted(report.class_names.len(), "class", "classes");
        format!(
            "{}: {classes}{layout}

{}",
            plain(&report.name),
            counts(report)
        )
    };
    for finding in &report.findings {
        text += &section(finding, rows);
    }
    if report.compared == Compared::TooMany {
        text += "\nnot searched for nearly equal pictures: there are more than 100000\n";
    }
    text += match (report.findings.is_empty(), report.is_serious()) {
        (true, _) => "\nnothing found\n",
        (_, false) => "\nnothing serious found\n",
        (_, true) => "\nwhat is marked with ! should be seen to before training\n",
    };
    text
}

/// A row for each class, a column for each part.
fn counts(report: &Report) -> String {
    let shown = &report.class_names[..report.class_names.len().min(SHOWN_CLASSES)];
    let names: Vec<String> = shown.iter().map(|name| plain(name)).collect();
    let wide = names.iter().map(|name| width(name)).max().unwrap_or(0).max(8);
    let row = |name: &str, cells: Vec<String>| {
        let mut row = left(name, wide);
        for cell in cells {
            row += &format!(" {cell:>10}");
        }
        row + "\n"
    };
    let each = |cell: &dyn Fn(&doctor::PartCounts) -> String| -> Vec<String> {
        report.parts.iter().map(cell).collect()
    };
    let mut table = row("class", each(&|counts| counts.part.to_string()));
    for (class, name) in names.iter().enumerate() {
        table += &row(name, each(&|counts| counts.classes[class].to_string()));
    }
    if let Some(more @ 1..) = report.class_names.len().checked_sub(SHOWN_CLASSES) {
        table += &format!("… and {more} more\n");
    }
    table + &row("all", each(&|counts| counts.classes.iter().sum::<usize>().to_string()))
}

fn section(finding: &Finding, rows: usize) -> String {
    let mark = if finding.serious { '!' } else { '-' };
    let mut text = format!("\n{mark} {}: {}\n", finding.kind, finding.cases.len());
    for case in finding.cases.iter().take(rows) {
        text += &format!("    {}\n", line(case));
    }
    if let Some(more @ 1..) = finding.cases.len().checked_sub(rows) {
        text += &format!("    … and {more} more\n");
    }
    text
}

/// A case in one line; classes are named where they differ.
fn line(case: &Case) -> String {
    let differ = case.pictures.iter().any(|picture| picture.class != case.pictures[0].class);
    let name = |picture: &Place| match &picture.class {
        Some(class) if differ => format!("{} ({})", plain(&picture.path), plain(class)),
        _ => plain(&picture.path),
    };
    let mut names: Vec<String> = case.pictures.iter().take(SHOWN_PICTURES).map(name).collect();
    if let Some(more @ 1..) = case.pictures.len().checked_sub(SHOWN_PICTURES) {
        names.push(format!("… and {more} more"));
    }
    let parts = [names.join(" = "), plain(&case.detail)];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(": ")
}
