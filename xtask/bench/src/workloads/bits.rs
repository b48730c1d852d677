//! Whether equal jobs end in equal bits, whatever the number of threads, and also while the machine is
//! busy with something else.
//!
//! Every run is a process of its own that takes a few steps from the same first weights, or predicts the
//! same pictures, and gives a hash of all the numbers that it ended in.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::busy::Busy;
use super::cases::{Case, cases, same};
use super::list::{Workload, network};
use super::options::Options;
use super::stage::Stage;
use crate::bench::{Machine, markdown_table, write};
use crate::worker::{Bits, Job, Kind};

/// The threads of the runs on a machine that is left alone.
const THREADS: [usize; 5] = [1, 2, 3, 4, 8];
/// Steps over all examples.
const FULL_STEPS: usize = 10;
/// Steps over mini-batches.
const SMALL_STEPS: usize = 30;
/// Digits of a hash in the table.
const DIGITS: usize = 16;

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its threads.
    pub threads: usize,
    /// Busy processes beside it.
    pub busy: usize,
    /// What it ended in.
    pub bits: Bits,
}

/// All runs of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// The workload.
    pub name: String,
    /// What was done.
    pub title: String,
    /// What the pictures are.
    pub data: String,
    /// The run that others are compared with first.
    pub runs: Vec<Run>,
}

/// All jobs of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BitsReport {
    /// The command.
    pub command: String,
    /// Whether shapes were small.
    pub quick: bool,
    /// On what.
    pub machine: Machine,
    /// One for each job.
    pub sections: Vec<Section>,
}

/// Runs every job of the workloads on several numbers of threads, and writes `bits.md` and `bits.json`.
///
/// # Errors
/// If no workload trains or predicts, or a process or a file fails. Bits that differ are in the report.
pub fn compare(stage: &Stage, options: &Options, wanted: &[Workload]) -> Result<BitsReport> {
    let cases = forms(cases(wanted)?);
    let mut sections = Vec::new();
    for case in cases {
        let _ = writeln!(std::io::stderr(), "{}: {}", case.name, case.title);
        let name = case.name;
        sections.push(section(stage, case).with_context(|| format!("workload {name}"))?);
    }
    let (command, quick) = (options.command(), options.quick);
    let report = BitsReport { command, quick, machine: Machine::here(), sections };
    let folder = &stage.store.folder;
    write(&folder.join("bits.md"), &report.markdown())?;
    write(&folder.join("bits.json"), &(serde_json::to_string_pretty(&report)? + "\n"))?;
    Ok(report)
}

/// The cases cut to a few steps, full-batch runs in both forms, and each only once.
fn forms(cases: Vec<Case>) -> Vec<Case> {
    let mut found: Vec<Case> = Vec::new();
    for case in cases {
        let forms: &[Option<bool>] = match (case.job.kind, case.job.batch) {
            (Kind::Run, None) => &[Some(false), Some(true)],
            (Kind::Train, None) => &[Some(false)],
            _ => &[None],
        };
        for &gram in forms {
            let mut one = case.clone();
            // What is the same for a step and for a run, so that it is known again.
            one.job.gram = gram;
            if one.job.kind != Kind::Predict {
                one.job.kind = Kind::Train;
                one.job.rounds_of = if one.job.batch.is_some() { SMALL_STEPS } else { FULL_STEPS };
            }
            one.title = title(&one.job);
            if !found.iter().any(|other| same(&one.job, &other.job)) {
                found.push(one);
            }
        }
    }
    found
}

fn title(job: &Job) -> String {
    let Job { optimizer, precision, rounds_of: steps, .. } = job;
    let what = match (job.kind, job.batch, job.gram) {
        (Kind::Predict, batch, _) => {
            format!("predictions, batch {}", batch.unwrap_or(job.examples))
        }
        (_, Some(batch), _) => format!("{steps} steps, {optimizer}, batches of {batch}"),
        (_, None, Some(true)) => format!("{steps} full-batch steps, Gram form"),
        _ => format!("{steps} full-batch steps, plain form"),
    };
    format!("{what}, {precision}, {}", network(job))
}

fn section(stage: &Stage, mut case: Case) -> Result<Section> {
    let (path, data) = stage.store.prepare(case.source, &mut case.job)?;
    let path = path.with_file_name("bits.json");
    let processors = stage.threads;
    let quiet = THREADS.iter().map(|&threads| (threads, 0));
    let mut runs = Vec::new();
    for (threads, busy) in quiet.chain([(processors, processors)]) {
        Job { threads, ..case.job.clone() }.write(&path)?;
        let program = stage.ours_on(threads, "bits", &[Path::new("bits"), &path]);
        let beside = Busy::start(&stage.ours("spin", &[Path::new("spin")]), busy)?;
        let line = program.last_line()?;
        drop(beside);
        let bits = serde_json::from_str(&line).with_context(|| format!("it printed `{line}`"))?;
        runs.push(Run { threads, busy, bits });
    }
    Ok(Section { name: case.name.to_owned(), title: case.title, data, runs })
}

impl Run {
    fn label(&self) -> String {
        let threads = if self.threads == 1 { "thread" } else { "threads" };
        let beside = match self.busy {
            0 => String::new(),
            busy => format!(" beside {busy} busy"),
        };
        format!("{} {threads}{beside}", self.threads)
    }
}

impl Section {
    /// The runs that ended in other bits than the first.
    fn differing(&self) -> Vec<String> {
        let others = self.runs.iter().filter(|run| run.bits != self.runs[0].bits);
        others.map(Run::label).collect()
    }

    fn verdict(&self) -> String {
        let differing = self.differing();
        if differing.is_empty() {
            return "one hash".to_owned();
        }
        format!("**differ from {}**: {}", self.runs[0].label(), differing.join(", "))
    }
}

impl BitsReport {
    /// The jobs that did not always end in the same bits: an error for the command, after the report.
    pub fn differences(&self) -> Vec<String> {
        let wrong = self.sections.iter().filter(|section| !section.differing().is_empty());
        wrong.map(|section| format!("{} ({})", section.name, section.title)).collect()
    }

    /// The report as a Markdown table, below what it was made with.
    pub fn markdown(&self) -> String {
        let header = ["workload", "what", "hash", "verdict", "runs"];
        let mut rows = vec![header.map(str::to_owned)];
        for section in &self.sections {
            let hash: String = section.runs[0].bits.sha256.chars().take(DIGITS).collect();
            let (name, title) = (section.name.clone(), section.title.clone());
            rows.push([name, title, hash, section.verdict(), section.runs.len().to_string()]);
        }
        let runs: Vec<String> =
            self.sections.first().iter().flat_map(|first| &first.runs).map(Run::label).collect();
        let kernels = self.sections.first().map_or("", |first| &first.runs[0].bits.kernels);
        let Machine { cpu, cores, system, rustc, commit, .. } = &self.machine;
        let quick = if self.quick { " A quick run: small shapes." } else { "" };
        let mut text = format!(
            "`{}` on {cpu}, {cores} cores, {system}; {rustc}; commit {commit}; kernels {kernels}.{quick}\n\
             Hash: the beginning of the sha256 of all parameters after training, or of all \
             probabilities; other kernels end in others. Every run is a process of its own: {}.\n\n{}\n",
            self.command,
            runs.join(", "),
            markdown_table(&rows, 4)
        );
        for section in &self.sections {
            let count = section.runs[0].bits.numbers;
            text.push_str(&format!("- {}: {}; {count} numbers\n", section.name, section.data));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::workloads;

    fn run(threads: usize, busy: usize, sha256: &str) -> Run {
        let bits = Bits { sha256: sha256.repeat(32), numbers: 7, kernels: "plain".to_owned() };
        Run { threads, busy, bits }
    }

    fn report() -> BitsReport {
        let section = |name: &str, runs: &[Run]| Section {
            name: name.to_owned(),
            title: "3 steps".to_owned(),
            data: "synthetic".to_owned(),
            runs: runs.to_vec(),
        };
        BitsReport {
            command: "cargo xtask bench bits".to_owned(),
            quick: true,
            machine: Machine::here(),
            sections: vec![
                section("w1a", &[run(1, 0, "0a"), run(2, 0, "0a"), run(2, 2, "0a")]),
                section("w1b", &[run(1, 0, "0a"), run(2, 0, "0b"), run(2, 2, "0b")]),
            ],
        }
    }

    #[test]
    fn the_verdict_names_the_runs_that_differ() {
        let report = report();
        let text = report.markdown();
        let row = "| w1a      | 3 steps | 0a0a0a0a0a0a0a0a | one hash ";
        assert!(text.contains(row), "{text}");
        let row = "| **differ from 1 thread**: 2 threads, 2 threads beside 2 busy |    3 |";
        assert!(text.contains(row), "{text}");
        assert!(
            text.contains("of its own: 1 thread, 2 threads, 2 threads beside 2 busy.\n"),
            "{text}"
        );
        assert!(text.contains("kernels plain. A quick run"), "{text}");
        assert!(text.contains("- w1b: synthetic; 7 numbers\n"), "{text}");
        assert_eq!(report.differences(), ["w1b (3 steps)"]);
    }

    #[test]
    fn every_form_of_every_workload_is_compared_once() {
        let found = forms(cases(&workloads(false, 2)).unwrap());
        let titles: Vec<String> =
            found.iter().map(|case| format!("{}: {}", case.name, case.title)).collect();
        let titles: Vec<&str> =
            titles.iter().filter_map(|title| title.split(" of [").next()).collect();
        assert_eq!(
            titles,
            [
                "w1a: 10 full-batch steps, plain form, f32, 6002",
                "w1a-run-300: 10 full-batch steps, Gram form, f32, 6002",
                "w1b: 10 full-batch steps, plain form, f32, 6002",
                "w1b-run-2500: 10 full-batch steps, Gram form, f32, 6002",
                "w2-64-sgd: 30 steps, sgd, batches of 64, f32, 6002",
                "w2-64-adam: 30 steps, adam, batches of 64, f32, 6002",
                "w2-256-sgd: 30 steps, sgd, batches of 256, f32, 6002",
                "w2-256-adam: 30 steps, adam, batches of 256, f32, 6002",
                "w3-momentum: 30 steps, momentum, batches of 128, f32, 60000",
                "w3-adam: 30 steps, adam, batches of 128, f32, 60000",
                "w4-big-1: predictions, batch 1, f32, 256",
                "w4-mnist-1: predictions, batch 1, f32, 256",
                "w4-big-256: predictions, batch 256, f32, 256",
                "w4-mnist-256: predictions, batch 256, f32, 256",
                "w7: 10 full-batch steps, plain form, f64, 209",
                "w7: 10 full-batch steps, Gram form, f64, 209",
                "w8: 30 steps, momentum, batches of 64, f32, 1280",
                "w9-1: predictions, batch 1, f32, 256",
                "w9-256: predictions, batch 256, f32, 256",
                "w10: 30 steps, muon, batches of 32, f32, 1280",
            ]
        );
    }
}
