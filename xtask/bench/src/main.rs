//! `cargo xtask bench`: what this workspace measures.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use dnn_bench::bench::{self, BenchOptions};
use dnn_bench::workloads::{self, Choice, Options, Stage, bits, growth, loaded, shapes, workloads};

/// Measure: the benchmarks of every crate, and whole workloads beside other software.
///
/// Tables are printed and also written to `bench` in the target folder, together with the machine,
/// all versions and the commit: bench.md and bench.json for benchmarks, report.md, report.json and
/// report.svg for workloads, growth.md, growth.json and growth.svg for growth curves, shapes.md and
/// shapes.json, bits.md and bits.json, loaded.md and loaded.json.
///
/// Pictures are real where the folder `DNN_TEST_DATA` has them (cats-vs-dogs-small.tar.gz, mnist/,
/// `train_catvnoncat.h5`), else made up.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", after_help = WORDS)]
struct Arguments {
    /// Measure workloads beside other software: `NumPy`, `PyTorch`, JAX, Keras, scikit-learn,
    /// onnxruntime, Pillow and `OpenCV`, as far as they install into target/bench/python. `DNN_PYTHON` names
    /// another Python, which is used as it is.
    #[arg(long)]
    peers: bool,
    /// The `bench-worker` of another checkout (target/release/bench-worker, built there) takes its turns beside ours:
    /// before and after, in one run
    #[arg(long, value_name = "WORKER")]
    against: Option<PathBuf>,
    /// The folder of pictures to load, in place of photographs that are made.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Small shapes and few samples: whether it runs, not how fast.
    #[arg(long)]
    quick: bool,
    /// What to measure; benchmarks and workloads if there is no word, without benchmarks if there
    /// are peers.
    #[arg(value_name = "WORKLOAD")]
    words: Vec<String>,
}

const WORDS: &str = "\
Words:
  w1a w1b                  full-batch steps on 6,002 pictures
  w1a-run-2500 w1a-run-300 w1b-run-2500   whole full-batch runs
  w2-64-sgd w2-64-adam w2-256-sgd w2-256-adam   an epoch in mini-batches
  w3-momentum w3-adam      an epoch of 60,000 digits
  w4-big-1 w4-mnist-1 w4-big-256 w4-mnist-256   predictions
  w5 (loading)             JPEG files to 64x64
  w6-step w6-predict       whole processes
  w7                       the course's run
  w8                       training steps of a convolutional network, 64 pictures each
  w9-1 w9-256              its predictions
  w10                      training steps of a residual network with batch normalisation, 32 pictures each
  w1 w2 w2-64 ...          all whose names begin so
  growth                   time and memory against examples, width, depth, batch, threads
  shapes                   single convolutions on one thread, beside what a thread can do at most
  bits                     whether equal runs end in equal bits on 1, 2, 3, 4 and 8 threads, and
                           beside busy processes; an error if not. Of all workloads that train or
                           predict, or of those named with it: bits w2 w3
  loaded                   time beside a busy process for each processor, against one thread on the
                           idle machine; of the same workloads
  criterion                all benchmarks of all crates
  any other                the benchmarks whose `crate/bench/name` contains it";

fn main() -> ExitCode {
    let Arguments { peers, against, data, quick, words } = Arguments::parse();
    match measure(&Options { quick, peers, against, data, words }) {
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

/// Measures what the words ask for; costs that disagree and bits that differ are errors, after the report.
fn measure(options: &Options) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let choice = Choice::of(options, workloads(options.quick, threads));
    if let Some(filters) = choice.filters {
        let report = bench::run(&BenchOptions { quick: options.quick, filters })?;
        writeln!(std::io::stdout(), "{}", report.markdown())?;
    }
    if !choice.workloads.is_empty() {
        let report = workloads::measure(options, &choice.workloads)?;
        writeln!(std::io::stdout(), "{}", report.markdown())?;
        let wrong = report.disagreements();
        ensure!(wrong.is_empty(), "costs disagree: {}", wrong.join("; "));
    }
    if choice.growth {
        writeln!(std::io::stdout(), "{}", growth::grow(options)?.markdown())?;
    }
    if choice.shapes {
        writeln!(std::io::stdout(), "{}", shapes::shapes(options)?.markdown())?;
    }
    let stage = || Stage::set(&Options { peers: false, ..options.clone() });
    if !choice.loaded.is_empty() {
        let loaded = loaded::load(&stage()?, options, &choice.loaded)?;
        writeln!(std::io::stdout(), "{}", loaded.markdown())?;
    }
    if !choice.bits.is_empty() {
        let report = bits::compare(&stage()?, options, &choice.bits)?;
        writeln!(std::io::stdout(), "{}", report.markdown())?;
        let wrong = report.differences();
        ensure!(wrong.is_empty(), "bits differ: {}", wrong.join("; "));
    }
    Ok(())
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
