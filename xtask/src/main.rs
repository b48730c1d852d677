//! `cargo xtask`: the chores of this workspace.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use dnn_fetch::command::{self, FetchArguments};
use xtask::bench::{self, BenchOptions};
use xtask::peers::loading;

/// Chores of the dnn workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch public data sets into datasets/, verify and unpack them.
    #[command(name = "fetch-data", after_help = command::EXAMPLES.replace("PROGRAM", "cargo xtask fetch-data"))]
    FetchData(FetchArguments),
    /// Run the benchmarks of every crate and print one table of them.
    ///
    /// The table is also written to bench/bench.md and bench/bench.json in the target folder,
    /// together with the machine, the compiler and the commit.
    Bench {
        /// Measure this job against other software instead, in rounds of one run.
        ///
        /// loading: the pictures below a folder become 64x64x3, with the same number of threads.
        /// The peers are Python packages; what is missing is said, with the command that gets it.
        #[arg(long, value_name = "JOB", value_enum)]
        peers: Option<Job>,
        /// The folder of pictures for --peers loading.
        #[arg(
            long,
            value_name = "DIR",
            requires = "peers",
            default_value = "datasets/cats-vs-dogs"
        )]
        data: PathBuf,
        /// Take fewer samples: seconds instead of minutes, and less certain numbers.
        #[arg(long)]
        quick: bool,
        /// Run only benchmarks whose `crate/bench/name` contains one of these.
        #[arg(value_name = "FILTER", conflicts_with = "peers")]
        filters: Vec<String>,
    },
}

/// What is measured against other software.
#[derive(Clone, Copy, ValueEnum)]
enum Job {
    Loading,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // For people: the causes, and no stack.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::FetchData(arguments) => command::run(&arguments)?,
        Command::Bench { peers: Some(Job::Loading), data, quick, .. } => {
            write!(std::io::stdout(), "{}", loading::run(&data, quick)?.markdown())?;
        }
        Command::Bench { quick, filters, .. } => {
            let report = bench::run(&BenchOptions { quick, filters })?;
            write!(std::io::stdout(), "{}", report.markdown())?;
        }
    }
    Ok(())
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
