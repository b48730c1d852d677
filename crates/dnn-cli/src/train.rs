//! `dnn train`.

use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;
use dnn_run::{
    EndedBy, Loaded, Report, Resumed, RunConfig, RunEnd, RunError, RunFolder, SystemClock,
};
use serde_json::{Value, json};

use crate::args::{TrainArguments, effect};
use crate::curves;
use crate::data;
use crate::find_lr;
use crate::output::{self, counted, note};
use crate::progress::Terminal;

pub(crate) fn run(arguments: &TrainArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    warn_of_debug_build();
    let given = effect::given("train", matches);
    match &arguments.resume {
        Some(run) => resume(run, arguments, &given),
        None => train(arguments, &given),
    }
}

pub(crate) fn warn_of_debug_build() {
    if cfg!(debug_assertions) {
        note("warning: this is a debug build; cargo run --release is several times faster");
    }
}

fn train(arguments: &TrainArguments, given: &[String]) -> anyhow::Result<ExitCode> {
    let mut config = arguments.config()?;
    let out = arguments.out.as_deref();
    // What is wrong with the settings alone is said before any data is loaded.
    dnn_run::check(&config)?;
    effect::check_settings(given, &config, arguments.find_lr)?;
    if arguments.print_config {
        return print_config(&config);
    }
    config.data.path = data::place(config.data.path.as_deref())?;
    if arguments.find_lr {
        find_lr::check_out(out)?;
    } else {
        RunFolder::check_free(out)?;
    }
    if let Some(plot) = arguments.plot.as_deref().filter(|plot| plot.symlink_metadata().is_ok()) {
        return Err(output::taken(plot).into());
    }
    let threads = arguments.threads.start()?;
    let mut terminal = Terminal::new(arguments.quiet);
    let loaded = Loaded::load(&config, &mut terminal)?;
    effect::check_data(given, &config, &loaded)?;
    if arguments.find_lr {
        return find_lr::run(arguments, &config, &loaded, &mut terminal);
    }
    if let Some(plot) = &arguments.plot {
        output::write_new([plot.clone()], curves::svg(&[]).as_bytes())?;
        terminal.plot(plot);
    }
    // A signal from here on leaves a folder that can be resumed.
    terminal.watch()?;
    let clock = SystemClock::start();
    let report = dnn_run::train_on(&loaded, &config, out, &mut terminal, &clock);
    finish(report, arguments.json, &Ran { terminal, threads, left_out: loaded.left_out() })
}

fn resume(run: &Path, arguments: &TrainArguments, given: &[String]) -> anyhow::Result<ExitCode> {
    let resumed = Resumed::open(run)?;
    let mut config = resumed.config();
    let was = config.data.path.take();
    arguments.settings.over(&mut config)?;
    // A data set that was moved is the same one; its hash will tell.
    config.data.path = match config.data.path {
        Some(data) => data::place(Some(&data))?,
        None => was,
    };
    resumed.check_same(&config)?;
    dnn_run::check(&config)?;
    effect::check_settings(given, &config, false)?;
    if let Some(plot) = &arguments.plot {
        check_curves(plot)?;
    }
    let threads = arguments.threads.start()?;
    let mut terminal = Terminal::new(arguments.quiet);
    let loaded = Loaded::load(&config, &mut terminal)?;
    effect::check_data(given, &config, &loaded)?;
    if let Some(plot) = &arguments.plot {
        terminal.plot(plot);
    }
    terminal.watch()?;
    let report = resumed.train_on(&loaded, &config, &mut terminal, &SystemClock::start());
    finish(report, arguments.json, &Ran { terminal, threads, left_out: loaded.left_out() })
}

/// A file that is there is replaced only if it has curves that were drawn here.
fn check_curves(file: &Path) -> anyhow::Result<()> {
    match file.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(found) if found.is_file() && curves::are_in(file) => Ok(()),
        Ok(_) => Err(output::taken(file).into()),
    }
}

/// Writes the settings of a command, which `--config` takes.
pub(crate) fn print_config(config: &RunConfig) -> anyhow::Result<ExitCode> {
    output::print(&config.resolved().to_toml()?)?;
    Ok(ExitCode::SUCCESS)
}

/// What a run was made with.
struct Ran {
    terminal: Terminal,
    threads: usize,
    left_out: usize,
}

fn finish(report: Result<Report, RunError>, as_json: bool, ran: &Ran) -> anyhow::Result<ExitCode> {
    match report {
        Err(RunError::Interrupted { run, step }) => {
            let run = run.display();
            note(&format!("interrupted after step {step}; to go on: dnn train --resume {run}"));
            Ok(interrupted(&ran.terminal))
        }
        report => {
            print(&report?, ran.threads, as_json)?;
            Ok(data::exit_code(ran.left_out))
        }
    }
}

/// The exit code of a run that a signal ended.
pub(crate) fn interrupted(terminal: &Terminal) -> ExitCode {
    let code = terminal.exit_code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}

fn print(report: &Report, threads: usize, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::print_json(&as_object(report));
    }
    let mut text = format!(
        "{}\nended    {}\ntime     {:.2} s on {}, {:.0} examples/s\nmodel    {}\nsha256   {}\n",
        output::evaluation_table(&report.parts),
        end_text(report.end),
        report.seconds,
        counted(threads, "thread", "threads"),
        report.examples_per_second,
        report.model.display(),
        report.model_sha256
    );
    for note in &report.notes {
        text += &format!("note     {note}\n");
    }
    output::print(&text)
}

fn as_object(report: &Report) -> Value {
    let mut parts = output::parts_json(&report.parts);
    let mut part = |name: &str| parts.remove(name);
    let end = report.end;
    json!({
        "train": part("train"),
        "validation": part("validation"),
        "test": part("test"),
        "model_sha256": report.model_sha256,
        "seconds": report.seconds,
        "examples_per_second": report.examples_per_second,
        "run": report.model.parent().unwrap_or(Path::new("")).display().to_string(),
        "notes": report.notes,
        "steps": end.step,
        "epochs": end.epochs,
        "ended_by": end.by.name(),
        "best_epoch": end.best_epoch,
    })
}

/// The end of a run in one line.
fn end_text(end: RunEnd) -> String {
    let RunEnd { by, epochs, asked, step, best_epoch } = end;
    let name = by.name();
    let mut text = match by {
        EndedBy::Steps | EndedBy::TimeLimit => {
            let whole = if epochs == 1 { "whole epoch" } else { "whole epochs" };
            format!("by --{name} at step {step}, after {epochs} {whole} of {asked}")
        }
        EndedBy::EarlyStopping => {
            format!("by --{name} after epoch {epochs} of {asked}, step {step}")
        }
        EndedBy::Epochs => format!("after epoch {epochs} of {asked}, step {step}"),
    };
    if let Some(best) = best_epoch {
        text += &format!("; the weights are those after epoch {best}, the best");
    }
    text
}
