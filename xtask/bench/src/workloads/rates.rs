//! How many operations a second a workload comes to, beside those of the loop of multiplications.

use serde::Serialize;

use super::list::{Body, Workload};
use super::statistics::{Measured, Spread};
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
    pub(super) fn rate(self, seconds: f64) -> f64 {
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
        if !job.has_convolutions() {
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

    /// The median over the rounds that count of a program's share of what the loop came to just before and after.
    pub(super) fn share(self, program: Measured<'_>, rates: &[f64]) -> Option<f64> {
        let Measured { samples, kept } = program;
        let around = rates.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
        let rounds = samples.iter().zip(around).zip(&kept.rounds).filter(|(_, kept)| **kept);
        let shares = rounds.map(|((sample, around), _)| self.rate(sample.seconds) / around);
        Spread::of(shares).map(|spread| spread.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::statistics::{Kept, Sample};
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

    #[test]
    fn a_share_is_that_of_the_loop_around_a_round() {
        let sample = |seconds| Sample { seconds, stolen: 0.0, peak_bytes: None };
        let samples = [1.0, 0.5, 0.01].map(sample);
        let kept = Kept { rounds: vec![true, true, false], disturbed: false };
        let program = Measured { samples: &samples, kept: &kept };
        let work = Work { operations: 20_000_000_000, parts: 1 };
        // 20 of 50, and 40 of 80.
        let share = work.share(program, &[40.0, 60.0, 100.0, 100.0]).unwrap();
        assert!((share - 0.45).abs() < 1e-12, "{share}");
    }
}
