//! How time and memory grow with examples, width, depth, batch and threads.
//!
//! Every point is a process of its own on pictures made up from a seed, so that its peak of memory is
//! that of this size alone. The slope of the logarithms is the power with which it grows; it is taken of the
//! largest sizes, where what stays the same has the least weight.

mod curves;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::entrants::Process;
use super::options::Options;
use super::stage::Stage;
use super::statistics::{Spread, log_slope};
use crate::bench::{Machine, markdown_table, scaled, write};
use crate::worker::{Job, Kind};

/// Sizes that a power is taken of, the largest ones.
const LARGEST: usize = 3;

/// What is made larger, and what should come of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// What is made larger.
    pub name: String,
    /// What stays.
    pub setting: String,
    /// The power with which the time of a step should grow, for large sizes.
    pub expected_time: f64,
    /// The same for memory; 0 where the examples, which stay, outweigh what grows.
    pub expected_memory: f64,
    /// The sizes.
    pub points: Vec<Point>,
}

/// One size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// The size.
    pub size: usize,
    /// The median time of a step.
    pub seconds: f64,
    /// The peak of memory above that of a process with nothing to do.
    pub bytes: Option<u64>,
}

impl Curve {
    fn slope(&self, of: impl Fn(&Point) -> Option<f64>) -> Option<f64> {
        let largest = &self.points[self.points.len().saturating_sub(LARGEST)..];
        let points: Option<Vec<(f64, f64)>> =
            largest.iter().map(|point| Some((point.size as f64, of(point)?))).collect();
        log_slope(&points?)
    }

    /// The power that was found for time.
    pub fn time_slope(&self) -> Option<f64> {
        self.slope(|point| Some(point.seconds))
    }

    /// The power that was found for memory.
    pub fn memory_slope(&self) -> Option<f64> {
        self.slope(|point| point.bytes.map(|bytes| bytes as f64))
    }
}

/// All curves of a command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Growth {
    /// The command.
    pub command: String,
    /// Whether sizes were small.
    pub quick: bool,
    /// On what.
    pub machine: Machine,
    /// One for each thing that is made larger.
    pub curves: Vec<Curve>,
}

/// A curve to be measured: its sizes, and the job of a size.
struct Wanted {
    name: &'static str,
    setting: &'static str,
    expected: (f64, f64),
    sizes: Vec<usize>,
    job: fn(&Job, usize) -> Job,
}

fn wanted(quick: bool, threads: usize) -> Vec<Wanted> {
    let sizes = |first: usize, count: u32| {
        let count = if quick { 3 } else { count };
        (0..count).map(|power| first << power).collect()
    };
    let cores = (0..usize::BITS).map(|power| 1 << power).take_while(|&count| count <= threads);
    vec![
        Wanted {
            name: "examples",
            setting: "a full-batch step of [3072,64,1]",
            expected: (1.0, 1.0),
            sizes: sizes(1000, 7),
            job: |job, size| Job { examples: size, hidden: vec![64], ..job.clone() },
        },
        Wanted {
            name: "width",
            setting: "a step of 64 examples, [48,w,w,w,1]",
            expected: (2.0, 2.0),
            sizes: sizes(512, 4),
            job: |job, size| Job {
                examples: 64,
                shape: [4, 4, 3],
                hidden: vec![size; 3],
                ..job.clone()
            },
        },
        Wanted {
            name: "depth",
            setting: "a step of 256 examples, [48,d times 512,1]",
            expected: (1.0, 1.0),
            sizes: sizes(4, 4),
            job: |job, size| Job {
                examples: 256,
                shape: [4, 4, 3],
                hidden: vec![512; size],
                ..job.clone()
            },
        },
        Wanted {
            name: "batch",
            setting: "a mini-batch step of [3072,256,1], of 4096 examples",
            expected: (1.0, 0.0),
            sizes: sizes(64, 5),
            job: |job, size| {
                let batch = Some(size);
                Job { examples: 4096, hidden: vec![256], batch, ..job.clone() }
            },
        },
        Wanted {
            name: "threads",
            setting: "a full-batch step of [3072,64,1], 4000 examples",
            expected: (-1.0, 0.0),
            sizes: cores.collect(),
            job: |job, size| Job { examples: 4000, hidden: vec![64], threads: size, ..job.clone() },
        },
    ]
}

/// Measures all curves and writes `growth.md`, `growth.json` and `growth.svg`.
///
/// # Errors
/// If a process or a file fails.
pub fn grow(options: &Options) -> Result<Growth> {
    let stage = Stage::set(&Options { peers: false, ..options.clone() })?;
    let base = Job {
        name: "growth".to_owned(),
        kind: Kind::Train,
        shape: [32, 32, 3],
        classes: 2,
        learning_rate: 0.01,
        rounds_of: if options.quick { 4 } else { 9 },
        ..Job::fma(stage.threads)
    };
    let idle = point(&stage, &Job::fma(1), 1)?.bytes;
    let mut curves = Vec::new();
    for wanted in wanted(options.quick, stage.threads) {
        let mut points = Vec::new();
        for &size in &wanted.sizes {
            let mut point = point(&stage, &(wanted.job)(&base, size), size)?;
            point.bytes = point.bytes.zip(idle).map(|(peak, idle)| peak.saturating_sub(idle));
            points.push(point);
        }
        let (expected_time, expected_memory) = wanted.expected;
        let (name, setting) = (wanted.name.to_owned(), wanted.setting.to_owned());
        curves.push(Curve { name, setting, expected_time, expected_memory, points });
    }
    let (command, quick) = (options.command(), options.quick);
    let growth = Growth { command, quick, machine: Machine::here(), curves };
    let folder = &stage.store.folder;
    write(&folder.join("growth.md"), &growth.markdown())?;
    write(&folder.join("growth.json"), &(serde_json::to_string_pretty(&growth)? + "\n"))?;
    write(&folder.join("growth.svg"), &curves::draw(&growth))?;
    Ok(growth)
}

/// A size, measured by processes of its own: the medians.
fn point(stage: &Stage, job: &Job, size: usize) -> Result<Point> {
    let path = stage.store.folder.join("growth-job.json");
    job.write(&path)?;
    let program = stage.ours_on(job.threads, "growth", &[Path::new("once"), &path]);
    let process = Process { program, own_time: true, from_cache: false };
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..if stage.quick { 1 } else { 3 } {
        let said = process.turn()?;
        times.push(said.step_seconds.unwrap_or(said.seconds));
        peaks.extend(said.peak_bytes.map(|bytes| bytes as f64));
    }
    let seconds = Spread::of(times).map_or(f64::NAN, |spread| spread.median);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes")]
    let bytes = Spread::of(peaks).map(|spread| spread.median as u64);
    Ok(Point { size, seconds, bytes })
}

impl Growth {
    /// The curves as a Markdown table.
    pub fn markdown(&self) -> String {
        let header = ["larger", "step", "sizes", "time of a step", "power", "memory", "power"];
        let mut rows = vec![header.map(str::to_owned)];
        let power = |found: Option<f64>, expected: f64| {
            let found = found.map_or_else(|| "none".to_owned(), |slope| format!("{slope:.2}"));
            format!("{found} (expected {expected:.0})")
        };
        for curve in &self.curves {
            let (Some(first), Some(last)) = (curve.points.first(), curve.points.last()) else {
                continue;
            };
            let memory = |point: &Point| {
                point
                    .bytes
                    .map_or_else(|| "?".to_owned(), |bytes| format!("{:.1}", mebibytes(bytes)))
            };
            rows.push([
                curve.name.clone(),
                curve.setting.clone(),
                format!("{} to {}", first.size, last.size),
                format!("{} to {}", scaled(1e9 * first.seconds), scaled(1e9 * last.seconds)),
                power(curve.time_slope(), curve.expected_time),
                format!("{} to {} MiB", memory(first), memory(last)),
                power(curve.memory_slope(), curve.expected_memory),
            ]);
        }
        let Machine { cpu, cores, system, rustc, commit, .. } = &self.machine;
        let quick = if self.quick { " A quick run: small sizes." } else { "" };
        format!(
            "`{}` on {cpu}, {cores} cores, {system}; {rustc}; commit {commit}.{quick}\n\
             Power: the slope of the logarithms by least squares, of the {LARGEST} largest sizes. Memory: the peak of a process above \
             that of one with nothing to do.\n\n{}",
            self.command,
            markdown_table(&rows, 2)
        )
    }

    /// The points of all curves by name, for whoever draws them otherwise.
    pub fn by_name(&self) -> BTreeMap<&str, &[Point]> {
        self.curves.iter().map(|curve| (curve.name.as_str(), &curve.points[..])).collect()
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn growth() -> Growth {
        let point = |size: usize| Point {
            size,
            seconds: 1e-3 * (size * size) as f64,
            bytes: Some((size as u64) << 20),
        };
        let curve = |name: &str, points: Vec<Point>| Curve {
            name: name.to_owned(),
            setting: "a step".to_owned(),
            expected_time: 2.0,
            expected_memory: 1.0,
            points,
        };
        Growth {
            command: "cargo xtask bench growth".to_owned(),
            quick: false,
            machine: Machine::here(),
            curves: vec![
                curve("width", [1, 2, 4, 8].map(point).to_vec()),
                curve("threads", vec![Point { bytes: None, ..point(1) }]),
            ],
        }
    }

    #[test]
    fn powers_are_those_of_the_points() {
        let text = growth().markdown();
        let row = "| width   | a step | 1 to 8 | 1.000 ms to 64.00 ms | 2.00 (expected 2) | \
                   1.0 to 8.0 MiB | 1.00 (expected 1) |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("none (expected 2)"), "{text}");
        assert_eq!(growth().by_name()["width"].len(), 4);
    }

    #[test]
    fn every_size_is_a_job_of_that_size() {
        let base = Job { shape: [32, 32, 3], classes: 2, ..Job::fma(2) };
        for wanted in wanted(true, 2) {
            let jobs: Vec<Job> =
                wanted.sizes.iter().map(|&size| (wanted.job)(&base, size)).collect();
            assert!(jobs.len() >= 2, "{}", wanted.name);
            assert_ne!(jobs[0], jobs[1], "{}", wanted.name);
        }
    }
}
