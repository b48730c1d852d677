//! Single convolutions on one thread, shape by shape, beside the loop of multiplications.
//!
//! The one idea: a kernel is judged by what share it reaches of what the same thread could do at the same moment, so the
//! loop runs before and after every round of a shape.

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use dnn_kernels::Products;
use serde::Serialize;

use super::options::Options;
use super::statistics::{Sample, Spread, keep, times};
use super::turns::Ticks;
use crate::bench::{Machine, Workspace, markdown_table, write};
use crate::worker::{Pass, Passes, Picture, bf16_rate, fma_round};

/// Multiplications and additions of one sample, whose time is that of the loop or somewhat more.
const OPERATIONS: usize = 3_000_000_000;
const ROUNDS: usize = 7;
/// Below this share of the loop a pass is marked: the gradient of few channels, which has few numbers in registers, and
/// all others.
const LEAST: f64 = 0.6;
const LEAST_OF_FEW: f64 = 0.5;
const FEW_CHANNELS: usize = 3;

/// A pass of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// 10^9 operations a second.
    pub operations: f64,
    /// The share of the loop's.
    pub share: f64,
    /// Rounds that count.
    pub kept: usize,
}

/// A shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What it is, in words.
    pub name: String,
    /// Channels that a unit sees.
    pub channels: usize,
    /// In which numbers products were made.
    pub products: String,
    /// Whether every unit sees one channel alone: then memory is the limit.
    pub is_depthwise: bool,
    /// Forward, the gradient of the weights, the gradient of the input.
    pub passes: [Rate; 3],
}

/// All shapes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shapes {
    /// The command.
    pub command: String,
    /// Whether there was little to do.
    pub quick: bool,
    /// On what.
    pub machine: Machine,
    /// The kernels that ran.
    pub kernels: String,
    /// The rates of the loop on one thread.
    pub loop_rate: Spread,
    /// Those of the same loop in bf16, if there is one.
    pub bf16_rate: Option<Spread>,
    /// One a shape.
    pub rows: Vec<Row>,
}

fn pictures() -> Vec<Picture> {
    let dense = |size, [channels, units]: [usize; 2], kernel, stride| Picture {
        size,
        channels,
        units,
        kernel,
        stride,
        groups: 1,
    };
    let depthwise = |size, channels| Picture {
        size,
        channels,
        units: channels,
        kernel: 3,
        stride: 1,
        groups: channels,
    };
    vec![
        dense(64, [3, 16], 3, 1),
        dense(32, [16, 32], 3, 1),
        dense(16, [32, 64], 3, 1),
        dense(8, [64, 64], 3, 1),
        dense(32, [24, 48], 3, 1),
        dense(32, [32, 64], 3, 1),
        dense(16, [64, 128], 3, 1),
        dense(8, [128, 128], 3, 1),
        dense(7, [192, 192], 3, 1),
        dense(64, [3, 24], 3, 2),
        dense(32, [64, 64], 3, 2),
        dense(224, [3, 32], 3, 2),
        dense(14, [32, 64], 5, 1),
        dense(28, [64, 64], 1, 1),
        depthwise(32, 64),
        depthwise(56, 96),
    ]
}

fn name(picture: &Picture) -> String {
    let Picture { size, channels, units, kernel, stride, groups } = *picture;
    let stride = if stride == 1 { String::new() } else { format!(", stride {stride}") };
    let depthwise = if groups == 1 { "" } else { ", depthwise" };
    format!("{size}x{size}, {channels} -> {units}, {kernel}x{kernel}{stride}{depthwise}")
}

/// Measures all shapes on this thread, and writes `shapes.md` and `shapes.json`.
///
/// # Errors
/// If a file cannot be written.
pub fn shapes(options: &Options) -> Result<Shapes> {
    let folder = Workspace::here()?.target.join("bench");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    shapes_in(options, &folder, &pictures())
}

fn shapes_in(options: &Options, folder: &Path, pictures: &[Picture]) -> Result<Shapes> {
    let (rounds, operations) =
        if options.quick { (2, OPERATIONS / 100) } else { (ROUNDS, OPERATIONS) };
    // The first time for what is made at first use.
    fma_round(1);
    let (mut rates, mut rates_of_bf16) = (Vec::new(), Vec::new());
    let mut rows = Vec::new();
    for picture in pictures {
        let _ = writeln!(std::io::stderr(), "shapes: {}", name(picture));
        let amount = Amount { rounds, operations };
        rows.push(row(picture, Products::Full, amount, &mut rates)?);
        if picture.kernel == 3 && picture.stride == 1 && picture.groups == 1 {
            rows.push(row(picture, Products::Direct, amount, &mut rates)?);
        }
        if Products::Bf16.exist() && picture.groups == 1 {
            rows.push(row(picture, Products::Bf16, amount, &mut rates_of_bf16)?);
        }
    }
    let found = Shapes {
        command: options.command(),
        quick: options.quick,
        machine: Machine::here(),
        kernels: dnn_core::kernel_path().to_owned(),
        loop_rate: Spread::of(rates).context("no shape")?,
        bf16_rate: Spread::of(rates_of_bf16),
        rows,
    };
    write(&folder.join("shapes.md"), &found.markdown())?;
    write(&folder.join("shapes.json"), &(serde_json::to_string_pretty(&found)? + "\n"))?;
    Ok(found)
}

/// How much is measured of each pass.
#[derive(Clone, Copy)]
struct Amount {
    rounds: usize,
    /// Multiplications and additions of a sample.
    operations: usize,
}

/// The passes of a shape in turns; `all_rates` is given those of the loop.
fn row(
    picture: &Picture,
    products: Products,
    amount: Amount,
    all_rates: &mut Vec<f64>,
) -> Result<Row> {
    let loop_rate = || match products {
        Products::Full | Products::Direct => fma_round(1).1,
        Products::Bf16 => bf16_rate().unwrap_or(f64::INFINITY),
    };
    let mut passes = Passes::of(picture, products);
    let count = amount.operations / picture.operations() + 1;
    let (mut samples, mut rates) = ([const { Vec::new() }; 3], vec![loop_rate()]);
    for round in 0..=amount.rounds {
        for (pass, samples) in Pass::ALL.into_iter().zip(&mut samples) {
            let (ticks, start) = (Ticks::now(), Instant::now());
            black_box(passes.run(pass, count));
            let seconds = start.elapsed().as_secs_f64();
            let stolen = Ticks::now().stolen_since(ticks);
            // The first round does not count.
            if round > 0 {
                samples.push(Sample { seconds, stolen, peak_bytes: None });
            }
        }
        if round > 0 {
            rates.push(loop_rate());
        }
    }
    all_rates.extend(&rates);
    let done = (count * picture.operations()) as f64 / 1e9;
    let passes = samples.map(|samples| rate(&samples, &rates, done));
    let [Some(forward), Some(weights), Some(input)] = passes else {
        anyhow::bail!("a pass without a sample")
    };
    let passes = [forward, weights, input];
    let channels = picture.channels / picture.groups;
    let (name, is_depthwise) = (name(picture), picture.groups > 1);
    Ok(Row { name, channels, products: products.to_string(), is_depthwise, passes })
}

/// The median rate of samples that do `done` 10^9 operations each, and of its shares of the loop around it.
fn rate(samples: &[Sample], rates: &[f64], done: f64) -> Option<Rate> {
    let kept = keep(samples, rates);
    let around = rates.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
    let rounds = samples.iter().zip(around).zip(&kept.rounds).filter(|(_, kept)| **kept);
    let shares = rounds.map(|((sample, around), _)| done / sample.seconds / around);
    Some(Rate {
        operations: done / times(samples, &kept)?.median,
        share: Spread::of(shares)?.median,
        kept: kept.rounds.iter().filter(|&&kept| kept).count(),
    })
}

impl Row {
    fn title(&self) -> String {
        if self.products == Products::Full.to_string() {
            return self.name.clone();
        }
        format!("{}, {}", self.name, self.products)
    }

    fn cell(&self, pass: Pass, rate: &Rate) -> String {
        let few = pass == Pass::WeightGradient && self.channels <= FEW_CHANNELS;
        let least = if few { LEAST_OF_FEW } else { LEAST };
        let mark = if rate.share < least && !self.is_depthwise { " !" } else { "" };
        format!("{:.1} ({:.0} %){mark}", rate.operations, 100.0 * rate.share)
    }
}

impl Shapes {
    /// The report as a Markdown table, below what it was measured with.
    pub fn markdown(&self) -> String {
        let header = ["shape", "forward", "gradient of weights", "gradient of input"];
        let mut rows = vec![header.map(str::to_owned)];
        for row in &self.rows {
            let cells = Pass::ALL.iter().zip(&row.passes).map(|(&pass, rate)| row.cell(pass, rate));
            let cells: Vec<String> = std::iter::once(row.title()).chain(cells).collect();
            rows.push(std::array::from_fn(|at| cells[at].clone()));
        }
        let Machine { cpu, cores, system, rustc, commit, .. } = &self.machine;
        let quick = if self.quick { " A quick run, which says nothing of speed." } else { "" };
        let Spread { lower, median, upper } = self.loop_rate;
        let in_bf16 = self.bf16_rate.map_or(String::new(), |Spread { lower, median, upper }| {
            format!(" Rows in bf16 beside a loop in that: {median:.1} GFLOP/s ({lower:.1} to {upper:.1}).")
        });
        format!(
            "`{}` on {cpu}, {cores} cores, {system}; {rustc}; commit {commit}; kernels {}.{quick}\n\
             Convolutions of one picture after another on one thread, in GFLOP/s, and as a share of what a loop of \
             multiplications and additions in registers came to before and after: {median:.1} GFLOP/s ({lower:.1} to \
             {upper:.1}). Products with the border count, those that a stride leaves out do not. Medians of the rounds \
             that count by the rule of `report.md`. `!`: below {:.0} % of the loop, for the gradient of the weights of {FEW_CHANNELS} \
             channels {:.0} %; not for depthwise convolutions, whose limit is memory.{in_bf16}\n\n{}",
            self.command,
            self.kernels,
            100.0 * LEAST,
            100.0 * LEAST_OF_FEW,
            markdown_table(&rows, 1)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_measured_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { quick: true, ..Options::default() };
        let small = Picture { size: 6, channels: 3, units: 4, kernel: 3, stride: 2, groups: 1 };
        let found = shapes_in(&options, folder.path(), &[small]).unwrap();
        assert_eq!(found.rows[0].name, "6x6, 3 -> 4, 3x3, stride 2");
        assert!(found.rows[0].passes.iter().all(|rate| rate.share > 0.0 && rate.kept == 2));
        let text = std::fs::read_to_string(folder.path().join("shapes.md")).unwrap();
        assert_eq!(text, found.markdown());
        assert!(folder.path().join("shapes.json").is_file());
    }

    #[test]
    fn names_differ_and_say_what_is_not_usual() {
        let names: Vec<String> = pictures().iter().map(name).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name}");
        }
        assert_eq!(names.last().unwrap(), "56x56, 96 -> 96, 3x3, depthwise");
    }

    #[test]
    fn a_rate_is_that_of_the_rounds_that_count() {
        let sample = |seconds| Sample { seconds, stolen: 0.0, peak_bytes: None };
        let samples = [0.5, 0.5, 0.5, 0.25, 0.5].map(sample);
        // The loop was slow after the last round, and the fourth is far from the others.
        let rates = [100.0, 100.0, 100.0, 100.0, 100.0, 50.0];
        let found = rate(&samples, &rates, 40.0).unwrap();
        assert_eq!(found, Rate { operations: 80.0, share: 0.8, kept: 3 });
    }

    #[test]
    fn slow_passes_are_marked_unless_memory_is_their_limit() {
        let rate = |share| Rate { operations: 55.0, share, kept: 7 };
        let row = |channels, is_depthwise| Row {
            name: String::new(),
            channels,
            products: String::new(),
            is_depthwise,
            passes: [rate(0.55); 3],
        };
        let marked = |row: &Row, pass| row.cell(pass, &row.passes[0]).ends_with(" !");
        assert!(marked(&row(16, false), Pass::Forward));
        assert!(marked(&row(16, false), Pass::WeightGradient));
        assert!(!marked(&row(3, false), Pass::WeightGradient));
        assert!(marked(&row(3, false), Pass::InputGradient));
        assert!(!marked(&row(1, true), Pass::Forward));
    }
}
