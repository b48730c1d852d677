//! `cargo xtask`: the chores of this workspace.

use std::io::Write;

use anyhow::Result;
use clap::{Parser, Subcommand};
use dnn_fetch::command::{self, FetchArguments};
use xtask::bench::{self, BenchOptions};

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
        /// Take fewer samples: seconds instead of minutes, and less certain numbers.
        #[arg(long)]
        quick: bool,
        /// Run only benchmarks whose `crate/bench/name` contains one of these.
        #[arg(value_name = "FILTER")]
        filters: Vec<String>,
    },
}

fn main() -> Result<()> {
    match run(Arguments::parse().command) {
        // Whoever read the output has seen enough.
        Err(error) if is_closed_pipe(&error) => Ok(()),
        outcome => outcome,
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::FetchData(arguments) => command::run(&arguments)?,
        Command::Bench { quick, filters } => {
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
