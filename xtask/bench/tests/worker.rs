//! Our worker as a process, on small jobs, by the protocol that the harness speaks.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it cannot use")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use dnn_bench::worker::{CHECKED_STEPS, Job, Kind};
use dnn_bench::workloads::entrants::{Opened, Process, Program, Worker};
use dnn_bench::workloads::statistics::apart;
use dnn_bench::workloads::{Entrant, Plan, Source, Store, play};

fn program(arguments: &[&Path]) -> Program {
    Program {
        name: "dnn".to_owned(),
        path: PathBuf::from(env!("CARGO_BIN_EXE_bench-worker")),
        arguments: arguments.iter().map(|word| (*word).into()).collect(),
        environment: vec![("RAYON_NUM_THREADS", Some("2".to_owned()))],
    }
}

fn small(name: &str, kind: Kind) -> Job {
    Job {
        name: name.to_owned(),
        kind,
        shape: [8, 8, 3],
        hidden: vec![6, 4],
        classes: 2,
        examples: 60,
        learning_rate: 0.05,
        ..Job::fma(2)
    }
}

/// The job's files below `folder`, and the job's own.
fn prepared(folder: &Path, mut job: Job) -> (Job, PathBuf) {
    let store = Store { folder: folder.to_owned(), real: None };
    let (path, _) = store.prepare(Source::Cats, &mut job).unwrap();
    (job, path)
}

#[test]
fn a_run_goes_on_from_round_to_round() {
    let folder = tempfile::tempdir().unwrap();
    let mut worker = Worker::start(&program(&[])).unwrap();
    for (name, batch, optimizer, convolutions) in [
        ("full", None, "sgd", vec![]),
        ("some", Some(16), "adam", vec![]),
        ("more", Some(16), "momentum", vec![]),
        ("windows", Some(16), "momentum", vec![4, 5]),
    ] {
        let optimizer = optimizer.to_owned();
        let job = Job { batch, optimizer, convolutions, ..small(name, Kind::Train) };
        let (job, path) = prepared(folder.path(), job);
        assert_eq!(worker.open(&path).unwrap(), Opened::Ready);
        let costs = worker.check().unwrap();
        assert_eq!(costs.len(), CHECKED_STEPS);
        let turns = [(); 3].map(|()| worker.go().unwrap());
        assert!(turns[2].value < turns[0].value, "{turns:?}");
        if batch.is_none() {
            // Each round is one step, from the same first weights.
            assert_eq!(turns.map(|turn| turn.value), costs[..3]);
        }
        worker.close().unwrap();

        let wide = Job { precision: "f64".to_owned(), ..job };
        let path = path.with_file_name("wide.json");
        wide.write(&path).unwrap();
        worker.open(&path).unwrap();
        let far = apart(&costs, &worker.check().unwrap());
        assert!(far > 0.0 && far < 1e-5, "{name}: {far}");
        worker.close().unwrap();
    }
}

#[test]
fn whole_runs_start_anew_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let job = Job { rounds_of: 5, ..small("run", Kind::Run) };
    let (_, path) = prepared(folder.path(), job);
    let mut worker = Worker::start(&program(&[])).unwrap();
    worker.open(&path).unwrap();
    let costs = worker.check().unwrap();
    assert_eq!([(); 2].map(|()| worker.go().unwrap().value), [costs[4]; 2]);
    // Opening another job is the end of this one.
    assert_eq!(worker.open(&path).unwrap(), Opened::Ready);
}

#[test]
fn predictions_by_a_worker_and_by_a_process_agree() {
    let folder = tempfile::tempdir().unwrap();
    let job = Job { batch: Some(4), rounds_of: 9, ..small("predict", Kind::Predict) };
    let (_, path) = prepared(folder.path(), job);
    let mut worker = Worker::start(&program(&[])).unwrap();
    worker.open(&path).unwrap();
    let probabilities = worker.check().unwrap();
    assert_eq!(probabilities.len(), 60);
    assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
    assert!(worker.go().unwrap().seconds > 0.0);
    let once = Process {
        program: program(&[Path::new("once"), &path]),
        own_time: false,
        from_cache: false,
    };
    assert_eq!(once.turn().unwrap().value, Some(probabilities[0]));
}

#[test]
fn workers_and_processes_take_turns_beside_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    let (_, path) = prepared(folder.path(), small("turns", Kind::Train));
    let mut worker = Worker::start(&program(&[])).unwrap();
    worker.open(&path).unwrap();
    let loop_path = folder.path().join("fma.json");
    Job::fma(1).write(&loop_path).unwrap();
    let mut fma = Worker::start(&program(&[])).unwrap();
    fma.open(&loop_path).unwrap();
    let once = Process {
        program: program(&[Path::new("once"), &path]),
        own_time: false,
        from_cache: false,
    };
    let mut entrants = [Entrant::Worker(&mut worker), Entrant::Process(&once)];
    let plan = Plan { rounds: 2, warm_up: true, pause: Duration::ZERO };
    let (played, rates) = play(&mut entrants, Some(&mut fma), plan).unwrap();
    assert_eq!((played[0].samples.len(), played[1].samples.len(), rates.len()), (2, 2, 3));
    assert!(played.iter().all(|one| one.failed.is_none()), "{played:?}");
}
