//! Bits and times beside busy processes, on small jobs.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it cannot use")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use dnn_bench::bench::Workspace;
use dnn_bench::worker::{Job, Kind};
use dnn_bench::workloads::{Body, Busy, Options, Source, Stage, Store, Workload, bits, loaded};

const WORKER: &str = env!("CARGO_BIN_EXE_bench-worker");

fn stage(folder: &Path) -> Stage {
    Stage {
        workspace: Workspace::here().unwrap(),
        store: Store { folder: folder.to_owned(), real: None },
        threads: 2,
        quick: true,
        worker: PathBuf::from(WORKER),
        against: None,
        python: None,
        notes: Vec::new(),
    }
}

fn workload(name: &'static str, kind: Kind, batch: Option<usize>) -> Workload {
    let job = Job {
        name: name.to_owned(),
        kind,
        shape: [8, 8, 3],
        hidden: vec![6, 4],
        classes: 2,
        examples: 60,
        batch,
        learning_rate: 0.05,
        rounds_of: 12,
        ..Job::fma(2)
    };
    let title = "a small job".to_owned();
    let (source, body) = (Source::Cats, Body::Workers(job));
    Workload { name, title, source, body, peers: &[], rounds: 2 }
}

fn with_convolutions(workload: Workload) -> Workload {
    let Body::Workers(job) = workload.body else { panic!("a job for workers") };
    let body = Body::Workers(Job { convolutions: vec![4, 5], ..job });
    Workload { body, ..workload }
}

fn spinning() -> Child {
    let mut child = Command::new(WORKER)
        .arg("spin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "{\"busy\":true}\n");
    child
}

#[test]
fn a_busy_process_lives_as_long_as_its_input() {
    let mut child = spinning();
    assert!(child.try_wait().unwrap().is_none(), "it is busy");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn busy_processes_are_those_that_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(folder.path());
    drop(Busy::start(&stage.ours("spin", &[Path::new("spin")]), 2).unwrap());
    let error = Busy::start(&stage.ours("once", &[Path::new("once")]), 1).unwrap_err();
    assert_eq!(error.to_string(), "once ended at `spin`");
}

#[test]
fn bits_are_compared_over_threads_and_beside_busy_processes() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = [
        workload("some", Kind::Train, Some(16)),
        workload("whole", Kind::Run, None),
        workload("answers", Kind::Predict, Some(16)),
        with_convolutions(workload("windows", Kind::Train, Some(16))),
        with_convolutions(workload("labels", Kind::Predict, Some(16))),
    ];
    let report = bits::compare(&stage(folder.path()), &Options::default(), &wanted).unwrap();
    let names: Vec<&str> = report.sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["some", "whole", "whole", "answers", "windows", "labels"]);
    for section in &report.sections {
        let runs: Vec<(usize, usize)> =
            section.runs.iter().map(|run| (run.threads, run.busy)).collect();
        assert_eq!(runs, [(1, 0), (2, 0), (3, 0), (4, 0), (8, 0), (2, 2)]);
    }
    assert_eq!(report.differences(), [""; 0]);
    for name in ["bits.md", "bits.json"] {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
}

/// A worker that ends in other bits on every number of threads.
#[cfg(unix)]
fn unsteady(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;

    let path = folder.join("unsteady.sh");
    let script = r#"#!/bin/sh
if [ "$1" = spin ]; then echo '{"busy": true}'; exec cat; fi
echo "{\"sha256\": \"on $RAYON_NUM_THREADS\", \"numbers\": 1, \"kernels\": \"none\"}"
"#;
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn bits_that_differ_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage { worker: unsteady(folder.path()), ..stage(folder.path()) };
    let wanted = [workload("some", Kind::Train, Some(16))];
    let report = bits::compare(&stage, &Options::default(), &wanted).unwrap();
    let said = "some (30 steps, sgd, batches of 16, f32, 60 of [192,6,4,1])";
    assert_eq!(report.differences(), [said]);
    let verdict = "**differ from 1 thread**: 2 threads, 3 threads, 4 threads, 8 threads, \
                   2 threads beside 2 busy";
    let text = std::fs::read_to_string(folder.path().join("bits.md")).unwrap();
    assert!(text.contains(verdict), "{text}");
}

#[test]
fn times_are_taken_on_an_idle_and_on_a_busy_machine() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = [workload("some", Kind::Train, Some(16)), workload("run", Kind::Run, None)];
    let found = loaded::load(&stage(folder.path()), &Options::default(), &wanted).unwrap();
    for section in &found.sections {
        let rows: Vec<(&str, usize)> =
            section.rows.iter().map(|row| (row.who.as_str(), row.samples.len())).collect();
        let expected = [
            ("dnn, 1 thread, idle", 2),
            ("dnn, 2 threads, idle", 2),
            ("dnn, 2 threads beside 2 busy", 2),
            ("dnn, 1 thread beside 2 busy", 2),
        ];
        assert_eq!(rows, expected, "{}", section.name);
    }
    for name in ["loaded.md", "loaded.json"] {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
}
