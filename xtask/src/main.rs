//! `cargo xtask`: the chores of this workspace.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use xtask::cargo::cargo;
use xtask::ci::{self, CiOptions};
use xtask::counts::Counts;

/// Chores of the dnn workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch public data sets into datasets/, verify and unpack them: what `dnn fetch` does.
    #[command(name = "fetch-data", disable_help_flag = true)]
    FetchData(Passed),
    /// Measure: the benchmarks of every crate, and whole workloads beside other software.
    #[command(disable_help_flag = true)]
    Bench(Passed),
    /// Check everything that must hold before a change lands, step by step, with the time of each.
    ///
    /// What cannot be checked here, because its tool is missing, is said at its place and again at the end.
    Ci {
        /// For a change in progress: formatting, counts, clippy, the unit tests of all crates, and the
        /// integration tests of the packages with a file that differs from the base.
        #[arg(long)]
        quick: bool,
        /// What a quick check compares with: a commit, or a branch, whose last common commit is taken.
        #[arg(long, value_name = "COMMIT", default_value = "origin/main", requires = "quick")]
        base: String,
    },
    /// Count what the house rules are about: long functions and files, tuples as parameters, files in
    /// circles, files that match on kinds of layers, public items, lines of the README.
    Counts {
        /// The workspace to count, in place of this one.
        #[arg(long, value_name = "PATH")]
        root: Option<PathBuf>,
        /// Name every place, of what is within its limit too.
        #[arg(long)]
        all: bool,
    },
}

/// The arguments of another program, as they are.
#[derive(Args)]
struct Passed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    words: Vec<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // For people: the causes, and no stack.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.parent().context("the folder of xtask has one above it")?;
    match command {
        Command::FetchData(passed) => pass(&["dnn-cli", "fetch"], &passed.words),
        Command::Bench(passed) => pass(&["dnn-bench"], &passed.words),
        Command::Ci { quick, base } => {
            let passed = ci::run(workspace, &CiOptions { quick, base })?;
            Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Counts { root, all } => {
            let counts = Counts::of(root.as_deref().unwrap_or(workspace))?;
            write!(std::io::stdout(), "{}", counts.table(all))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Builds a package of this workspace for release and runs its program with `words`, in the current folder.
fn pass(package: &[&str], words: &[String]) -> Result<ExitCode> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let status = cargo()
        .args(["run", "--quiet", "--release", "--manifest-path", manifest, "--package"])
        .arg(package[0])
        .arg("--")
        .args(&package[1..])
        .args(words)
        .status()
        .context("cannot start cargo")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
