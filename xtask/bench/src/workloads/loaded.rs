//! What a busy machine costs: all threads beside as many busy processes, against one thread on an idle
//! machine, and against one thread beside the same processes.
//!
//! The one idea: who shares two processors with two others may well need twice the time of an idle
//! machine, but should not need much more than if it had not asked for the second processor at all.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::cases::{Case, cases};
use super::entrants::{Opened, Worker};
use super::list::{Workload, network};
use super::options::Options;
use super::rates::Work;
use super::report::{Row, Section};
use super::stage::Stage;
use super::turns::{Entrant, play};
use crate::bench::{Machine, markdown_table, scaled, write};
use crate::worker::{Job, Kind};

/// How many times the time of one thread on an idle machine is promised never to be passed.
const MOST: f64 = 1.5;
/// The longest run that is measured: what follows is more of the same.
const STEPS: usize = 300;
/// Rounds of each workload, unless it has fewer.
const ROUNDS: usize = 7;

/// All workloads of a command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Loaded {
    /// The command.
    pub command: String,
    /// Whether shapes were small and rounds few.
    pub quick: bool,
    /// On what.
    pub machine: Machine,
    /// Processors, and so threads and busy processes.
    pub threads: usize,
    /// One a workload. Rows: one thread, all threads, and both beside busy processes, all threads first; ratios to
    /// the first row.
    pub sections: Vec<Section>,
}

/// Measures the workloads on an idle and on a busy machine, and writes `loaded.md` and `loaded.json`.
///
/// # Errors
/// If no workload trains or predicts, or a process or a file fails.
pub fn load(stage: &Stage, options: &Options, wanted: &[Workload]) -> Result<Loaded> {
    let cases: Vec<Case> = cases(wanted)?.into_iter().map(cut).collect();
    let mut fma = stage.fma()?;
    let mut sections = Vec::new();
    for case in cases {
        let _ = writeln!(std::io::stderr(), "{}: {}", case.name, case.title);
        let name = case.name;
        let section = section(stage, &mut fma, case);
        sections.push(section.with_context(|| format!("workload {name}"))?);
    }
    let (command, quick) = (options.command(), options.quick);
    let loaded =
        Loaded { command, quick, machine: Machine::here(), threads: stage.threads, sections };
    let folder = &stage.store.folder;
    write(&folder.join("loaded.md"), &loaded.markdown())?;
    write(&folder.join("loaded.json"), &(serde_json::to_string_pretty(&loaded)? + "\n"))?;
    Ok(loaded)
}

fn cut(mut case: Case) -> Case {
    case.rounds = case.rounds.min(ROUNDS);
    // The course's run is short as it is.
    if case.job.kind == Kind::Run && case.job.rounds_of > STEPS && case.job.precision == "f32" {
        case.job.rounds_of = STEPS;
        case.title = format!("the first {STEPS} full-batch steps, {}", network(&case.job));
    }
    case
}

fn section(stage: &Stage, fma: &mut Worker, mut case: Case) -> Result<Section> {
    let (path, data) = stage.store.prepare(case.source, &mut case.job)?;
    let all = stage.threads;
    let spinner = stage.ours("spin", &[Path::new("spin")]);
    let mut workers = Vec::new();
    for threads in [1, all, all, 1] {
        let path = path.with_file_name(format!("loaded-{threads}.json"));
        Job { threads, ..case.job.clone() }.write(&path)?;
        let mut worker = Worker::start(&stage.ours_on(threads, "dnn", &[]))?;
        ensure!(worker.open(&path)? == Opened::Ready, "{} skips its own job", worker.name);
        workers.push(worker);
    }
    let names = labels(all).map(|label| format!("dnn, {label}"));
    let entrant = |(row, worker)| match row {
        0 | 1 => Entrant::Worker(worker),
        _ => Entrant::Beside { worker, spinner: &spinner, count: all },
    };
    let mut entrants: Vec<Entrant<'_>> = workers.iter_mut().enumerate().map(entrant).collect();
    let plan = stage.plan(case.rounds, case.job.kind != Kind::Run);
    let (played, rates) = play(&mut entrants, Some(fma), plan)?;
    let mut section = Section {
        name: case.name.to_owned(),
        title: case.title,
        data,
        rounds: case.rounds,
        reference: None,
        work: Work::of_job(&case.job),
        rows: Vec::new(),
        notes: Vec::new(),
        commands: Vec::new(),
        rates: Vec::new(),
    };
    section.fill(&names, played, rates)?;
    Ok(section)
}

fn labels(threads: usize) -> [String; 4] {
    let plural = if threads == 1 { "" } else { "s" };
    [
        "1 thread, idle".to_owned(),
        format!("{threads} thread{plural}, idle"),
        format!("{threads} thread{plural} beside {threads} busy"),
        format!("1 thread beside {threads} busy"),
    ]
}

impl Section {
    /// The row of all threads on the busy machine.
    fn loaded(&self) -> Option<&Row> {
        self.rows.get(2)
    }

    /// How many times as long that is as one thread takes there.
    fn against_one_there(&self) -> Option<f64> {
        Some(self.loaded()?.time.median / self.rows.get(3)?.time.median)
    }
}

impl Loaded {
    /// The workload that suffers most, and by what factor.
    fn most(&self) -> Option<(f64, &str)> {
        let ratios = self
            .sections
            .iter()
            .filter_map(|section| Some((section.loaded()?.ratio.median, section.name.as_str())));
        ratios.max_by(|(a, _), (b, _)| a.total_cmp(b))
    }

    fn table(&self) -> String {
        let [one, all, busy, one_busy] = labels(self.threads);
        let header = [
            "workload",
            "what",
            &one,
            &all,
            &busy,
            "busy / 1 idle",
            "quartiles",
            "samples",
            "<= 1.5",
            &one_busy,
            "busy / 1 busy",
        ];
        let mut rows = vec![header.map(str::to_owned)];
        for section in &self.sections {
            let Some(loaded) = section.loaded() else { continue };
            let time = |row: usize| scaled(1e9 * section.rows[row].time.median);
            let ratio = &loaded.ratio;
            rows.push([
                section.name.clone(),
                section.title.clone(),
                time(0),
                time(1),
                time(2),
                format!("{:.2}", ratio.median),
                format!("{:.2} to {:.2}", ratio.lower, ratio.upper),
                loaded.count(),
                if ratio.median <= MOST { "yes" } else { "**no**" }.to_owned(),
                time(3),
                format!("{:.2}", section.against_one_there().unwrap_or(f64::NAN)),
            ]);
        }
        markdown_table(&rows, 2)
    }

    /// The report as a Markdown table, below what it was measured with.
    pub fn markdown(&self) -> String {
        let Machine { cpu, cores, system, rustc, commit, .. } = &self.machine;
        let quick = if self.quick { " A quick run, which says nothing of speed." } else { "" };
        let mut text = format!(
            "`{}` on {cpu}, {cores} cores, {system}; {rustc}; commit {commit}.{quick}\n\
             Times are medians over the rounds, in which all four take turns; *busy*: one process per \
             processor that computes without an end, started before the turn and ended after it; *busy / \
             1 idle*: the median, and the quartiles, of the ratios within each round; *samples*: how many \
             rounds of the busy machine were kept, by the rule of `report.md`; *busy / 1 busy*: of the \
             medians.\n\n{}",
            self.command,
            self.table()
        );
        if let Some((most, name)) = self.most() {
            let word = if most <= MOST { "no workload passes" } else { "**not all keep within**" };
            text.push_str(&format!("\n{word} {MOST}: the most is {most:.2}, {name}.\n"));
        }
        let there = self.sections.iter().filter_map(Section::against_one_there);
        if let Some(most) = there.reduce(f64::max) {
            text.push_str(&format!(
                "Against one thread on the same busy machine the most is {most:.2} times.\n"
            ));
        }
        text.push('\n');
        for section in &self.sections {
            let [low, high] = [f64::min, f64::max]
                .map(|choose| section.rates.iter().copied().reduce(choose).unwrap_or(f64::NAN));
            text.push_str(&format!(
                "- {}: {}; {} rounds; between them a loop of multiplications ran at {low:.0} to {high:.0} \
                 GFLOP/s\n",
                section.name, section.data, section.rounds
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::statistics::Sample;
    use crate::workloads::turns::Played;
    use crate::workloads::workloads;

    /// A workload that took these seconds in three rounds, busy.
    fn section(name: &str, busy: [f64; 3]) -> Section {
        let played = |seconds: [f64; 3]| Played {
            samples: seconds
                .map(|seconds| Sample { seconds, stolen: 0.0, peak_bytes: None })
                .to_vec(),
            ..Played::default()
        };
        let mut section = Section {
            name: name.to_owned(),
            title: "3 steps".to_owned(),
            data: "synthetic".to_owned(),
            rounds: 3,
            reference: None,
            work: None,
            rows: Vec::new(),
            notes: Vec::new(),
            commands: Vec::new(),
            rates: Vec::new(),
        };
        let idle = [played([2.0, 3.0, 4.0]), played([1.0; 3])];
        let played = [idle.into(), vec![played(busy), played([3.0; 3])]].concat();
        let names = labels(2).map(|label| format!("dnn, {label}"));
        section.fill(&names, played, vec![90.0, 100.0, 95.0, 91.0]).unwrap();
        section
    }

    fn loaded(sections: Vec<Section>) -> Loaded {
        let command = "cargo xtask bench loaded".to_owned();
        Loaded { command, quick: false, machine: Machine::here(), threads: 2, sections }
    }

    #[test]
    fn the_ratio_is_to_one_thread_of_the_same_round() {
        // 2.8 / 2, 3.9 / 3, 4.8 / 4.
        let text = loaded(vec![section("w1a", [2.8, 3.9, 4.8])]).markdown();
        assert!(
            text.contains("| 1 thread, idle | 2 threads, idle | 2 threads beside 2 busy |"),
            "{text}"
        );
        let row = "3.000 s |         1.000 s |                 3.900 s |          1.30 | \
                   1.25 to 1.35 |     3/3 |    yes |                3.000 s |          1.30 |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("on the same busy machine the most is 1.30 times."), "{text}");
        assert!(text.contains("no workload passes 1.5: the most is 1.30, w1a."), "{text}");
        assert!(text.contains("ran at 90 to 100 GFLOP/s"), "{text}");
    }

    #[test]
    fn a_workload_that_suffers_more_is_named() {
        let sections = vec![section("w1a", [2.0; 3]), section("w7", [3.2, 4.8, 6.4])];
        let text = loaded(sections).markdown();
        assert!(text.contains("| **no** |"), "{text}");
        assert!(text.contains("**not all keep within** 1.5: the most is 1.60, w7."), "{text}");
    }

    #[test]
    fn long_runs_are_cut_and_all_others_left() {
        let all = cases(&workloads(false, 2)).unwrap();
        let cut: Vec<Case> = all.iter().cloned().map(cut).collect();
        let changed = all.iter().zip(&cut).filter(|(before, after)| before.job != after.job);
        let changed: Vec<&str> = changed.map(|(_, after)| after.title.as_str()).collect();
        assert_eq!(changed, ["the first 300 full-batch steps, 6002 of [12288,100,1]"]);
    }
}
