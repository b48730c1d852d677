//! The files that criterion leaves.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// Bounds in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower one.
    pub lower_bound: f64,
    /// The upper one.
    pub upper_bound: f64,
}

/// One statistic of `estimates.json`, in nanoseconds per iteration.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Estimate {
    confidence_interval: Interval,
    point_estimate: f64,
}

/// The part of `estimates.json` that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct EstimatesFile {
    median: Estimate,
    median_abs_dev: Estimate,
}

/// The part of `benchmark.json` that is read here.
#[derive(Deserialize)]
struct BenchmarkFile {
    full_id: String,
}

/// What one benchmark took, in nanoseconds per iteration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimates {
    /// The median over the samples.
    pub median: f64,
    /// The median absolute deviation from it, scaled so that it estimates a standard deviation.
    pub deviation: f64,
    /// Where the true median lies with a confidence of 95 %; of a quick run the two samples.
    pub interval: Interval,
}

impl Estimates {
    /// From the text of `estimates.json`.
    fn parse(json: &str) -> Result<Self> {
        let file: EstimatesFile = serde_json::from_str(json)?;
        let estimates = Self {
            median: file.median.point_estimate,
            deviation: file.median_abs_dev.point_estimate,
            interval: file.median.confidence_interval,
        };
        let usable = estimates.median > 0.0 && estimates.deviation >= 0.0;
        ensure!(usable, "expected a median above 0, found {}", estimates.median);
        Ok(estimates)
    }
}

/// The time by the clock of the file system, which is the one that stamps criterion's files.
pub(super) fn mark_start(folder: &Path) -> Result<SystemTime> {
    let mark = folder.join("started");
    fs::write(&mark, "")
        .and_then(|()| fs::metadata(&mark)?.modified())
        .with_context(|| format!("cannot write {}", mark.display()))
}

/// The estimates below `folder` that were written at `start` or later, with their benchmark's name.
pub(super) fn written_since(folder: &Path, start: SystemTime) -> Result<Vec<(String, Estimates)>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("cannot list {}; did a bench run?", folder.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
            if path.is_dir() {
                open.push(path);
            }
        }
        let file = folder.join("estimates.json");
        let modified = fs::metadata(&file).and_then(|metadata| metadata.modified());
        let fresh = modified.is_ok_and(|modified| modified >= start);
        if fresh && folder.file_name().is_some_and(|name| name == "new") {
            let text = read(&file)?;
            let estimates = Estimates::parse(&text)
                .with_context(|| format!("{} is not as criterion writes it", file.display()))?;
            found.push((name_in(&folder.join("benchmark.json"))?, estimates));
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

fn name_in(path: &Path) -> Result<String> {
    let file: BenchmarkFile = serde_json::from_str(&read(path)?)
        .with_context(|| format!("{} is not as criterion writes it", path.display()))?;
    Ok(file.full_id)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// As criterion writes it, other statistics and fields included.
    const ESTIMATES: &str = r#"{
        "mean": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 1.0,
            "upper_bound": 2.0}, "point_estimate": 1.5, "standard_error": 0.1},
        "median": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 1190.0,
            "upper_bound": 1300.5}, "point_estimate": 1234.5, "standard_error": 3.0},
        "median_abs_dev": {"confidence_interval": {"confidence_level": 0.95, "lower_bound": 10.0,
            "upper_bound": 30.0}, "point_estimate": 20.25, "standard_error": 1.0},
        "slope": null}"#;

    #[test]
    fn median_deviation_and_interval_are_read() {
        let estimates = Estimates::parse(ESTIMATES).unwrap();
        assert_eq!((estimates.median, estimates.deviation), (1234.5, 20.25));
        assert_eq!(estimates.interval.lower_bound, 1190.0);
        assert_eq!(estimates.interval.upper_bound, 1300.5);
        for broken in ["", "{}", &ESTIMATES.replace("1234.5", "0.0")] {
            assert!(Estimates::parse(broken).is_err(), "{broken}");
        }
    }

    fn leave(folder: &Path, name: &str, estimates: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("estimates.json"), estimates).unwrap();
        let benchmark = format!(r#"{{"group_id": "g", "full_id": "{name}"}}"#);
        fs::write(folder.join("benchmark.json"), benchmark).unwrap();
    }

    #[test]
    fn only_new_files_of_this_run_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        leave(&folder.join("b_c/new"), "b c", ESTIMATES);
        leave(&folder.join("group/a/new"), "group/a", ESTIMATES);
        // The run before and the comparison are criterion's own affair.
        leave(&folder.join("group/a/base"), "group/a", ESTIMATES);
        leave(&folder.join("old/new"), "old", ESTIMATES);
        let start = mark_start(folder).unwrap();
        let old =
            fs::File::options().write(true).open(folder.join("old/new/estimates.json")).unwrap();
        old.set_modified(start - Duration::from_secs(60)).unwrap();
        for name in ["b_c", "group/a"] {
            let file = folder.join(name).join("new/estimates.json");
            let file = fs::File::options().write(true).open(file).unwrap();
            file.set_modified(start).unwrap();
        }
        let names = |start| -> Vec<String> {
            let found = written_since(folder, start).unwrap();
            found.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(start), ["b c", "group/a"]);
        assert!(names(start + Duration::from_secs(60)).is_empty());
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        leave(&folder.path().join("a/new"), "a", "{");
        let error = written_since(folder.path(), SystemTime::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().contains("estimates.json"), "{error}");
        let missing = written_since(&folder.path().join("none"), SystemTime::UNIX_EPOCH);
        assert!(missing.unwrap_err().to_string().contains("none"));
    }
}
