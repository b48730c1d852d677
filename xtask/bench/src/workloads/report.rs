//! The tables.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Serialize;

use super::list::Workload;
use super::rates::Work;
use super::statistics::{
    FAR, FEWEST, Kept, MOST_STOLEN, Measured, SLOW, Sample, Spread, keep, ratio, times,
};
use super::turns::Played;
use crate::bench::{Machine, markdown_table, scaled};

/// One program at one workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The program.
    pub who: String,
    /// Whether it is ours.
    pub ours: bool,
    /// Seconds.
    pub time: Spread,
    /// How many times as long as ours it took, within each round.
    pub ratio: Spread,
    /// The median of the peaks of its memory, where the workload is a whole process.
    pub peak_bytes: Option<u64>,
    /// How many pictures it loaded.
    pub pictures: Option<usize>,
    /// What it said last: a cost, a probability.
    pub value: Option<f64>,
    /// Whether its times are those of some steps, multiplied.
    pub extrapolated: bool,
    /// How far its costs are from the reference, relatively.
    pub apart: Option<f64>,
    /// How far they may be.
    pub limit: f64,
    /// Which samples count.
    pub kept: Kept,
    /// A sample a round.
    pub samples: Vec<Sample>,
}

/// One workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// What it is called on the command line.
    pub name: String,
    /// What is done.
    pub title: String,
    /// What the pictures are.
    pub data: String,
    /// How many rounds count.
    pub rounds: usize,
    /// Whose costs the others' are compared with.
    pub reference: Option<String>,
    /// What a sample consists of, where operations are counted.
    pub work: Option<Work>,
    /// Ours first.
    pub rows: Vec<Row>,
    /// Who takes no part, and why.
    pub notes: Vec<String>,
    /// The commands of whole processes.
    pub commands: Vec<String>,
    /// The rates of the loop in 10^9 operations a second, before, between and after the rounds.
    pub rates: Vec<f64>,
}

/// All workloads of a command.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The command that was asked for.
    pub command: String,
    /// Whether shapes were small and rounds few.
    pub quick: bool,
    /// On what.
    pub machine: Machine,
    /// Threads for everybody.
    pub threads: usize,
    /// Of everything that took part.
    pub versions: BTreeMap<String, String>,
    /// What is worth telling beside the numbers.
    pub notes: Vec<String>,
    /// The commands of the workers.
    pub commands: Vec<String>,
    /// One a workload.
    pub sections: Vec<Section>,
}

impl Section {
    pub(super) fn new(workload: &Workload, data: String) -> Self {
        Self {
            name: workload.name.to_owned(),
            title: workload.title.clone(),
            data,
            rounds: workload.rounds,
            reference: None,
            work: Work::of(workload),
            rows: Vec::new(),
            notes: Vec::new(),
            commands: Vec::new(),
            rates: Vec::new(),
        }
    }

    /// Makes rows of the turns; the first entrant is ours, and so is every other whose name begins alike.
    pub(super) fn fill(
        &mut self,
        names: &[String],
        played: Vec<Played>,
        rates: Vec<f64>,
    ) -> Result<()> {
        let mut first: Option<(Vec<Sample>, Kept)> = None;
        for (name, played) in names.iter().zip(played) {
            let ours = name.starts_with("dnn");
            if let Some(why) = played.failed {
                if ours {
                    bail!("{why}");
                }
                self.notes.push(why);
                continue;
            }
            let kept = keep(&played.samples, &rates);
            let (first, first_kept) =
                first.get_or_insert_with(|| (played.samples.clone(), kept.clone()));
            let this = Measured { samples: &played.samples, kept: &kept };
            let first = Measured { samples: first, kept: first_kept };
            let both = times(&played.samples, &kept).zip(ratio(this, first));
            let Some((time, ratio)) = both else { bail!("{name} had no turn") };
            let peaks = played.samples.iter().filter_map(|sample| sample.peak_bytes);
            let peak = Spread::of(peaks.map(|bytes| bytes as f64));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes")]
            let peak_bytes = peak.map(|peak| peak.median as u64);
            self.rows.push(Row {
                who: name.clone(),
                ours,
                time,
                ratio,
                peak_bytes,
                pictures: played.pictures,
                value: played.value,
                extrapolated: played.extrapolated,
                apart: None,
                limit: f64::INFINITY,
                kept,
                samples: played.samples,
            });
        }
        self.rates = rates;
        Ok(())
    }

    /// The fastest peer.
    pub(super) fn best_peer(&self) -> Option<&Row> {
        let peers = self.rows.iter().filter(|row| !row.ours);
        peers.min_by(|a, b| a.ratio.median.total_cmp(&b.ratio.median))
    }
}

impl Row {
    /// How many of its samples were kept.
    pub(super) fn count(&self) -> String {
        let kept = self.kept.rounds.iter().filter(|&&kept| kept).count();
        let mark = if self.kept.disturbed { " disturbed" } else { "" };
        format!("{kept}/{}{mark}", self.samples.len())
    }

    fn cells(&self, section: &str) -> [String; 9] {
        let Spread { lower, median, upper } = self.time;
        let mark = if self.extrapolated { " *" } else { "" };
        let [low, middle, high] = [lower, median, upper].map(|seconds| scaled(1e9 * seconds));
        let memory = self.peak_bytes.map(|bytes| format!("{} MiB", (bytes + (1 << 19)) >> 20));
        [
            section.to_owned(),
            self.who.clone(),
            format!("{middle}{mark}"),
            format!("{low} to {high}"),
            self.count(),
            format!("{:.2}", self.ratio.median),
            format!("{:.2} to {:.2}", self.ratio.lower, self.ratio.upper),
            memory.unwrap_or_default(),
            self.apart.map_or_else(String::new, |apart| format!("{apart:.0e}")),
        ]
    }
}

impl Report {
    /// Whoever is farther from the reference than allowed: an error for the command, after the report.
    pub fn disagreements(&self) -> Vec<String> {
        let mut found = Vec::new();
        for section in &self.sections {
            let reference = section.reference.as_deref().unwrap_or("ours");
            for row in section.rows.iter().filter(|row| !row.agrees()) {
                found.push(format!(
                    "{}: {} is {:.1e} from {reference}, more than {:.0e}",
                    section.name,
                    row.who,
                    row.apart.unwrap_or(f64::NAN),
                    row.limit
                ));
            }
        }
        found
    }

    /// Ours beside the fastest peer of each workload.
    fn summary(&self) -> Option<String> {
        let header = ["workload", "what", "dnn", "fastest peer", "its time", "times ours"];
        let mut rows = vec![header.map(str::to_owned)];
        for section in &self.sections {
            let (Some(ours), Some(best)) = (section.rows.first(), section.best_peer()) else {
                continue;
            };
            let mark = if best.extrapolated { " *" } else { "" };
            rows.push([
                section.name.clone(),
                section.title.clone(),
                scaled(1e9 * ours.time.median),
                best.who.clone(),
                format!("{}{mark}", scaled(1e9 * best.time.median)),
                format!(
                    "{:.2} ({:.2} to {:.2})",
                    best.ratio.median, best.ratio.lower, best.ratio.upper
                ),
            ]);
        }
        (rows.len() > 1).then(|| markdown_table(&rows, 2))
    }

    fn details(&self) -> String {
        let header = [
            "workload",
            "program",
            "median",
            "quartiles",
            "samples",
            "times ours",
            "its quartiles",
            "peak memory",
            "apart",
        ];
        let mut rows = vec![header.map(str::to_owned)];
        for section in &self.sections {
            for (index, row) in section.rows.iter().enumerate() {
                rows.push(row.cells(if index == 0 { &section.name } else { "" }));
            }
        }
        markdown_table(&rows, 2)
    }

    /// Each program of the sections that count their operations; `None` if there is no such section.
    fn rates(&self) -> Option<String> {
        let header = ["workload", "program", "a step or a call", "GFLOP/s", "of the loop's"];
        let mut rows = vec![header.map(str::to_owned)];
        for section in &self.sections {
            let Some(work) = section.work else { continue };
            for (at, row) in section.rows.iter().enumerate() {
                let program = Measured { samples: &row.samples, kept: &row.kept };
                let share = work.share(program, &section.rates).unwrap_or(f64::NAN);
                rows.push([
                    if at == 0 { section.name.clone() } else { String::new() },
                    row.who.clone(),
                    scaled(1e9 * row.time.median / work.parts as f64),
                    format!("{:.1}", work.rate(row.time.median)),
                    format!("{:.0} %", 100.0 * share),
                ]);
            }
        }
        (rows.len() > 1).then(|| {
        format!(
            "Multiplications and additions of the products with weights, as a rate and as a share of what the loop \
             came to just before and after, in f32 and on as many threads. Where others use the processors too, they \
             disturb a long loop more than the median of short predictions, whose share may then be above 100 %.\n\n{}",
            markdown_table(&rows, 2)
        )
    })
    }

    fn head(&self) -> String {
        let Machine { cpu, cores, system, rustc, commit, features } = &self.machine;
        let warning = if self.quick {
            "A quick run: small shapes and few rounds show that everything runs, not how fast.\n"
        } else {
            ""
        };
        format!(
            "`{}` on {cpu} ({}), {cores} cores, {system}; {rustc}; commit {commit}; {} threads for \
             everybody.\n{warning}\n",
            self.command,
            features.join(" "),
            self.threads
        )
    }

    /// How to read the tables, what the data are, and what was dropped.
    fn notes(&self) -> String {
        let mut text = format!(
            "All programs are alive together and take turns, in an order that moves on from round to \
             round. Times are medians over the rounds; *times ours* is the median, and the quartiles, of \
             the ratios within each round. A sample is dropped if more than {:.0} % of the processors' \
             time was stolen meanwhile, if a loop of plain multiplications beside it ran below {:.0} % \
             of its median rate, or if it lies more than {FAR} scaled median absolute deviations from the \
             median; *samples* says how many were kept. With fewer than {FEWEST} left all are kept: \
             *disturbed*. *Apart*: how far the costs of the first 11 steps (of predictions: the \
             probabilities, of whole processes: the last value) are from the reference, relatively. \
             `*`: the time of 10 steps, multiplied.\n\n",
            100.0 * MOST_STOLEN,
            100.0 * SLOW
        );
        for section in &self.sections {
            let reference = section.reference.as_deref();
            let compared =
                reference.map_or_else(String::new, |name| format!("; reference: {name}"));
            let [low, high] = [f64::min, f64::max]
                .map(|choose| section.rates.iter().copied().reduce(choose).unwrap_or(f64::NAN));
            text.push_str(&format!(
                "- {}: {}; {} rounds{compared}; the loop ran at {low:.0} to {high:.0} GFLOP/s\n",
                section.name, section.data, section.rounds
            ));
            text.extend(section.notes.iter().map(|note| format!("    - {note}\n")));
        }
        text.extend(self.notes.iter().map(|note| format!("- {note}\n")));
        text
    }

    /// The report as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = self.head();
        if let Some(summary) = self.summary() {
            text.push_str(&format!("{summary}\n"));
        }
        text.push_str(&format!("{}\n", self.details()));
        if let Some(rates) = self.rates() {
            text.push_str(&format!("{rates}\n"));
        }
        text.push_str(&self.notes());
        let versions = self.versions.iter().map(|(name, version)| format!("{name} {version}"));
        text.push_str(&format!("\nVersions: {}.\n", versions.collect::<Vec<_>>().join(", ")));
        let own = self.sections.iter().flat_map(|section| &section.commands);
        let commands: Vec<&str> = self.commands.iter().chain(own).map(String::as_str).collect();
        text.push_str(&format!("\n```console\n{}\n```\n", commands.join("\n")));
        let wrong = self.disagreements();
        if !wrong.is_empty() {
            text.push_str(&format!("\n**Costs disagree.** {}.\n", wrong.join("; ")));
        }
        text
    }

    /// The same numbers as JSON, unrounded.
    ///
    /// # Errors
    /// If a number is not finite.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::workloads::{named, workloads};

    fn played(seconds: &[f64], value: f64) -> Played {
        let sample = |&seconds| Sample { seconds, stolen: 0.0, peak_bytes: Some(3 << 20) };
        let samples = seconds.iter().map(sample).collect();
        Played { samples, value: Some(value), ..Played::default() }
    }

    /// A report of two workloads, one with a peer that was skipped.
    pub(in crate::workloads) fn report() -> Report {
        let all = workloads(true, 2);
        let mut sections = Vec::new();
        for name in ["w1a", "w3-adam"] {
            let workload = named(&all, name)[0];
            let mut section = Section::new(workload, "synthetic pictures".to_owned());
            let names = ["dnn", "torch", "jax"].map(str::to_owned);
            let failed = Some("jax: no such thing".to_owned());
            let turns = vec![
                played(&[0.5, 0.5, 1.0], 0.25),
                Played { extrapolated: true, ..played(&[1.0, 2.0, 2.5], 0.5) },
                Played { failed, ..Played::default() },
            ];
            section.fill(&names, turns, vec![100.0; 4]).unwrap();
            section.reference = Some("numpy-f64".to_owned());
            (section.rows[1].apart, section.rows[1].limit) = (Some(2e-7), 1e-6);
            sections.push(section);
        }
        Report {
            command: "cargo xtask bench --quick --peers w1a".to_owned(),
            quick: true,
            machine: Machine {
                cpu: "A CPU".to_owned(),
                cores: 2,
                system: "linux x86_64".to_owned(),
                rustc: "rustc 1".to_owned(),
                commit: "abc".to_owned(),
                features: vec!["avx2".to_owned(), "fma".to_owned()],
            },
            threads: 2,
            versions: BTreeMap::from([("numpy".to_owned(), "2.4".to_owned())]),
            notes: vec!["onnx did not install".to_owned()],
            commands: vec!["target/worker".to_owned()],
            sections,
        }
    }

    #[test]
    fn the_table_says_who_took_how_long_and_who_took_no_part() {
        let text = report().markdown();
        assert!(text.starts_with("`cargo xtask bench --quick --peers w1a` on A CPU (avx2 fma)"));
        // Ratios within the rounds: 2, 4, 2.5. Times of torch: median 2, quartiles 1.5 and 2.25.
        let row = "|          | torch   | 2.000 s * |   1.500 s to 2.250 s |           3/3 |       2.50 |  \
                   2.25 to 3.25 |       3 MiB |  2e-7 |";
        assert!(text.contains(row), "{text}");
        let summary = "| w1a      | 2 full-batch steps, 384 of [12288,20,7,5,1]";
        assert!(text.contains(summary), "{text}");
        assert!(text.contains("2.50 (2.25 to 3.25) |"), "{text}");
        assert!(text.contains("    - jax: no such thing\n"), "{text}");
        assert!(text.contains("- onnx did not install\n"), "{text}");
        assert!(text.contains("Versions: numpy 2.4."), "{text}");
        assert!(!text.contains("disagree"), "{text}");
    }

    #[test]
    fn operations_are_counted_of_convolutions() {
        let mut report = report();
        assert!(!report.markdown().contains("GFLOP/s | of the loop's"));
        let work = Work { operations: 20_000_000_000, parts: 20 };
        report.sections[1].work = Some(work);
        let text = report.markdown();
        // 20 GFLOP in a median of half a second, beside a loop of 100 GFLOP/s.
        let row = "| w3-adam  | dnn     |         25.00 ms |    40.0 |          40 % |";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn a_program_that_computes_something_else_is_named() {
        let mut report = report();
        report.sections[1].rows[1].apart = Some(0.5);
        let expected = "w3-adam: torch is 5.0e-1 from numpy-f64, more than 1e-6";
        assert_eq!(report.disagreements(), [expected]);
        assert!(report.markdown().contains(expected));
    }

    #[test]
    fn the_json_has_every_sample() {
        let value: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
        assert_eq!(value["sections"][0]["rows"][1]["samples"][2]["seconds"], 2.5);
        assert_eq!(value["sections"][0]["rows"][1]["kept"]["rounds"][0], true);
        assert_eq!(value["machine"]["features"][0], "avx2");
    }

    #[test]
    fn ours_must_not_fail() {
        let all = workloads(true, 2);
        let mut section = Section::new(&all[0], String::new());
        let failed = Some("dnn: no".to_owned());
        let turns = vec![Played { failed, ..Played::default() }];
        let error = section.fill(&["dnn".to_owned()], turns, Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "dnn: no");
    }
}
