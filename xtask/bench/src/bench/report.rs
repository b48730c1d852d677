//! The table.

use anyhow::Result;
use serde::Serialize;

use super::{Bench, Estimates, Interval, Machine, markdown_table, scaled};

/// What one benchmark took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The crate and the bench in it, `crate/bench`.
    pub bench: String,
    /// The benchmark's name.
    pub name: String,
    /// The median over the samples, in nanoseconds per iteration.
    pub median_ns: f64,
    /// The median absolute deviation from it, in nanoseconds.
    pub deviation_ns: f64,
    /// Where the true median lies with a confidence of 95 %, in nanoseconds; of a quick run the two
    /// samples.
    pub interval_ns: Interval,
}

impl Row {
    pub(super) fn new(bench: &Bench, name: &str, estimates: &Estimates) -> Self {
        Self {
            bench: bench.to_string(),
            name: name.to_owned(),
            median_ns: estimates.median,
            deviation_ns: estimates.deviation,
            interval_ns: estimates.interval,
        }
    }

    fn cells(&self) -> [String; 5] {
        let Interval { lower_bound, upper_bound } = self.interval_ns;
        let share = 100.0 * self.deviation_ns / self.median_ns;
        [
            cell(&self.bench),
            cell(&self.name),
            scaled(self.median_ns),
            format!("{} ({share:.1} %)", scaled(self.deviation_ns)),
            format!("{} to {}", scaled(lower_bound), scaled(upper_bound)),
        ]
    }
}

/// A name as a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Everything that was measured, and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The command that was asked for.
    pub command: String,
    /// The commands that it ran.
    pub commands: Vec<String>,
    /// Whether criterion took two samples only.
    pub quick: bool,
    /// On what.
    pub machine: Machine,
    /// In the order in which they ran.
    pub benchmarks: Vec<Row>,
}

impl Report {
    /// The report as a Markdown table, below what it was measured with.
    pub fn markdown(&self) -> String {
        let Machine { cpu, cores, system, rustc, commit, .. } = &self.machine;
        let spread = if self.quick {
            "interval: the two samples that `--quick` takes, which say little about certainty"
        } else {
            "interval: where the true median lies with a confidence of 95 %"
        };
        let mut text = format!(
            "`{}` on {cpu}, {cores} cores, {system}; {rustc}; commit {commit}.\n\
             Median: time of one iteration; deviation: the median absolute deviation from it; \
             {spread}.\n\n",
            self.command
        );
        let header = ["crate/bench", "name", "median", "deviation", "interval"];
        let mut table = vec![header.map(str::to_owned)];
        table.extend(self.benchmarks.iter().map(Row::cells));
        text.push_str(&markdown_table(&table, 2));
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
mod tests {
    use super::*;

    fn report() -> Report {
        let row = |name: &str, median_ns, deviation_ns| Row {
            bench: "core/products".to_owned(),
            name: name.to_owned(),
            median_ns,
            deviation_ns,
            interval_ns: Interval { lower_bound: median_ns - 1.0, upper_bound: median_ns + 1000.0 },
        };
        Report {
            command: "cargo xtask bench".to_owned(),
            commands: vec!["cargo bench".to_owned()],
            quick: false,
            machine: Machine {
                cpu: "Some CPU".to_owned(),
                cores: 2,
                system: "linux x86_64".to_owned(),
                rustc: "rustc 1".to_owned(),
                commit: "abc".to_owned(),
                features: Vec::new(),
            },
            benchmarks: vec![row("a|b", 2000.0, 50.0), row("µ", 1.5e9, 3e6)],
        }
    }

    #[test]
    fn the_table_lines_up_and_scales_each_number() {
        let text = report().markdown();
        let (head, table) = text.split_once("\n\n").unwrap();
        assert!(head.ends_with("with a confidence of 95 %."), "{head}");
        assert!(head.starts_with(
            "`cargo xtask bench` on Some CPU, 2 cores, linux x86_64; rustc 1; commit abc."
        ));
        assert_eq!(
            table,
            "\
| crate/bench   | name |   median |        deviation |             interval |
|---------------|------|---------:|-----------------:|---------------------:|
| core/products | a\\|b | 2.000 µs | 50.00 ns (2.5 %) | 1.999 µs to 3.000 µs |
| core/products | µ    |  1.500 s | 3.000 ms (0.2 %) |   1.500 s to 1.500 s |
"
        );
    }

    #[test]
    fn a_quick_run_claims_no_confidence() {
        let mut quick = report();
        quick.quick = true;
        let text = quick.markdown();
        assert!(text.contains("the two samples that `--quick` takes"), "{text}");
        assert!(!text.contains("95 %"), "{text}");
    }

    #[test]
    fn the_json_has_every_number_whole() {
        let json = report().json().unwrap();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["command"], "cargo xtask bench");
        assert_eq!(value["machine"]["cores"], 2);
        assert_eq!(value["benchmarks"][1]["median_ns"], 1.5e9);
        assert_eq!(value["benchmarks"][0]["interval_ns"]["upper_bound"], 3000.0);
        assert_eq!(value["benchmarks"].as_array().unwrap().len(), 2);
    }
}
