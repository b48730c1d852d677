//! How many operations a second a workload comes to, beside those of the loop of multiplications.

use serde::Serialize;

use super::list::{Body, Workload};
use super::report::{Row, Section};
use super::statistics::Spread;
use crate::bench::{markdown_table, scaled};
use crate::worker::{Job, Kind};

/// What one sample of a workload consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Multiplications and additions, those of the products with weights alone.
    pub operations: usize,
    /// Steps, or predictions.
    pub parts: usize,
}

impl Work {
    /// 10^9 operations a second of a sample that took so long.
    fn rate(self, seconds: f64) -> f64 {
        self.operations as f64 / seconds / 1e9
    }

    /// That of a workload with convolutions: others leave out what they can, so that a count says little of them.
    pub(super) fn of(workload: &Workload) -> Option<Self> {
        match &workload.body {
            Body::Workers(job) => Self::of_job(job),
            Body::Processes(_) | Body::Loading(_) => None,
        }
    }

    pub(super) fn of_job(job: &Job) -> Option<Self> {
        if job.convolutions.is_empty() {
            return None;
        }
        let batch = job.batch.unwrap_or(job.examples);
        Some(if job.kind == Kind::Predict {
            // The time is the median of single predictions.
            Self { operations: job.forward_operations() * batch, parts: 1 }
        } else {
            let (examples, epochs) = (job.examples, job.rounds_of);
            Self {
                operations: job.step_operations() * examples * epochs,
                parts: examples.div_ceil(batch) * epochs,
            }
        })
    }
}

/// The median over the rounds that count of a program's share of what the loop came to just before and after.
fn share(row: &Row, work: Work, rates: &[f64]) -> Option<f64> {
    let around = rates.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
    let rounds = row.samples.iter().zip(around).zip(&row.kept.rounds).filter(|(_, kept)| **kept);
    let shares = rounds.map(|((sample, around), _)| work.rate(sample.seconds) / around);
    Spread::of(shares).map(|spread| spread.median)
}

/// Each program of the sections that count their operations; `None` if there is no such section.
pub(super) fn table(sections: &[Section]) -> Option<String> {
    let header = ["workload", "program", "a step or a call", "GFLOP/s", "of the loop's"];
    let mut rows = vec![header.map(str::to_owned)];
    for section in sections {
        let Some(work) = section.work else { continue };
        for (at, row) in section.rows.iter().enumerate() {
            let share = share(row, work, &section.rates).unwrap_or(f64::NAN);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::{named, workloads};

    fn work(name: &str) -> Option<Work> {
        Work::of(named(&workloads(false, 2), name)[0])
    }

    #[test]
    fn the_work_of_a_sample_is_that_of_all_its_steps() {
        // 5.01 GFLOP a step.
        assert_eq!(work("w8"), Some(Work { operations: 20 * 64 * 78_250_368, parts: 20 }));
        assert_eq!(work("w9-256"), Some(Work { operations: 256 * 27_263_104, parts: 1 }));
        assert_eq!(work("w1a"), None);
        assert_eq!(work("w5"), None);
    }
}
