//! The jobs of workloads that train or predict, each once, for those who look at more than their time.

use anyhow::{Result, ensure};

use super::list::{Body, Source, Workload};
use crate::worker::{Job, Kind};

/// A job, and the workload that it is of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) title: String,
    pub(super) source: Source,
    pub(super) rounds: usize,
    pub(super) job: Job,
}

/// The cases of these workloads. Of runs that differ in nothing but their length the shortest is one.
///
/// # Errors
/// If there is none.
pub(super) fn cases(wanted: &[Workload]) -> Result<Vec<Case>> {
    let jobs = || {
        wanted.iter().filter_map(|workload| match &workload.body {
            Body::Workers(job) => Some((workload, job)),
            Body::Processes(_) | Body::Loading(_) => None,
        })
    };
    let has_shorter = |job: &Job| {
        let runs = jobs().filter(|_| job.kind == Kind::Run);
        let mut shorter = runs.filter(|(_, other)| other.rounds_of < job.rounds_of);
        shorter.any(|(_, other)| same(&Job { rounds_of: job.rounds_of, ..other.clone() }, job))
    };
    let found: Vec<Case> = jobs()
        .filter(|(_, job)| !has_shorter(job))
        .map(|(workload, job)| Case {
            name: workload.name,
            title: workload.title.clone(),
            source: workload.source,
            rounds: workload.rounds,
            job: job.clone(),
        })
        .collect();
    ensure!(
        !found.is_empty(),
        "expected workloads of w1, w2, w3, w4, w7, w8 or w9, which train or predict"
    );
    Ok(found)
}

/// Whether two jobs are the same but for what they are called.
pub(super) fn same(one: &Job, other: &Job) -> bool {
    Job { name: other.name.clone(), ..one.clone() } == *other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::{named, workloads};

    fn names(words: &[&str]) -> Result<Vec<&'static str>> {
        let all = workloads(false, 2);
        let wanted = words.iter().flat_map(|word| named(&all, word)).cloned();
        let found = cases(&wanted.collect::<Vec<_>>())?;
        Ok(found.into_iter().map(|case| case.name).collect())
    }

    #[test]
    fn of_runs_the_shortest_is_one_and_what_neither_trains_nor_predicts_is_none() {
        assert_eq!(names(&["w1"]).unwrap(), ["w1a", "w1a-run-300", "w1b", "w1b-run-2500"]);
        assert_eq!(names(&["w1a-run-2500"]).unwrap(), ["w1a-run-2500"]);
        assert_eq!(names(&["w4", "w5"]).unwrap().len(), 4);
        assert!(names(&["w5", "w6"]).unwrap_err().to_string().contains("w7"));
    }
}
