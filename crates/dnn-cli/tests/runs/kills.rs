//! `kill -9` at any moment.

use std::path::Path;
use std::time::{Duration, Instant};

use dnn_core::{Purpose, RandomStream};
use dnn_layers::ModelFile;
use dnn_train::Checkpoint;

use crate::program::{
    EVERYTHING, checkpoints, command, fails, has_half, history, into, model, pictures, run, start,
    succeeds, text,
};

/// Saves after every step, and keeps what it needs and no more.
fn saving(out: &str) -> Vec<&str> {
    let often = ["--checkpoint-every=1", "--keep-last=2", "--threads=1"];
    into(&[&EVERYTHING[..], &often].concat(), out)
}

/// Starts the command and kills it after a part of `whole`; says whether it was over before.
fn killed(folder: &Path, arguments: &[&str], whole: Duration, share: f64) -> bool {
    let mut child = start(folder, arguments);
    std::thread::sleep(whole.mul_f64(share));
    let _ = child.kill();
    child.wait().unwrap().success()
}

/// What lies in a run folder after a kill is whole.
fn check_state(run: &Path, step: &mut Option<u64>) {
    let found = checkpoints(run);
    // Two are kept, and while one is being replaced there may be one more.
    assert!(found.len() <= 3, "{found:?}");
    if let Some(latest) = found.last() {
        let checkpoint = Checkpoint::<f32>::load(latest).unwrap();
        assert!(
            step.is_none_or(|before| before <= checkpoint.step()),
            "{step:?}, {}",
            latest.display()
        );
        *step = Some(checkpoint.step());
        // The best model is there as soon as an epoch is over.
        assert!(checkpoint.epochs() == 0 || run.join("best.dnn").exists());
    }
    assert!(step.is_none() || !found.is_empty(), "the last checkpoint is gone");
    for file in ["best.dnn", "model.dnn"] {
        if run.join(file).exists() {
            ModelFile::read(run.join(file)).unwrap();
        }
    }
}

/// A hundred runs are killed, go on, and come to the same bits as the run that was not.
fn kill_often(folder: &Path, straight: &str, whole: Duration, seed: u64) -> u32 {
    let mut draws = RandomStream::new(seed, Purpose::Data, 0);
    let mut in_time = 0;
    for kill in 0..100 {
        let out = format!("killed-{seed}-{kill}");
        let over = killed(folder, &saving(&out), whole, 1.1 * draws.uniform());
        in_time += u32::from(!over);
        let run = folder.join(&out);
        // Before there are settings there is nothing to go on with, and the folder is free.
        if run.join("config.json").exists() {
            check_state(&run, &mut None);
            succeeds(folder, &["train", "--resume", &out, "--quiet"]);
        } else {
            succeeds(folder, &saving(&out));
        }
        assert!(model(&run) == model(&folder.join(straight)), "{out} ended in other bits");
        assert_eq!(history(&run), history(&folder.join(straight)), "{out}");
        assert_eq!(checkpoints(&run).len(), 2, "{out}");
        assert!(!has_half(&run) && !has_half(&run.join("checkpoints")), "{out}");
        std::fs::remove_dir_all(&run).unwrap();
    }
    in_time
}

/// C2 and C9: 200 of 200.
#[test]
fn two_hundred_kills_end_in_the_bits_of_the_run_that_was_not_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let begun = Instant::now();
    succeeds(path, &saving("straight"));
    let whole = begun.elapsed();
    let in_time: u32 = std::thread::scope(|scope| {
        let halves: Vec<_> = [1, 2]
            .map(|seed| scope.spawn(move || kill_often(path, "straight", whole, seed)))
            .into();
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    // How many are met alive is up to the machine; a few show that runs were killed at all.
    assert!(in_time >= 10, "{in_time} of 200 were killed in time");
}

/// Starts the command and kills it as soon as something is there.
fn killed_at(folder: &Path, arguments: &[&str], there: &Path) {
    let mut child = start(folder, arguments);
    // Without a pause: the moments that count are short.
    while std::fs::symlink_metadata(there).is_err() && child.try_wait().unwrap().is_none() {
        std::hint::spin_loop();
    }
    let _ = child.kill();
    child.wait().unwrap();
}

/// Wherever a run on pictures is killed, from its folder on: it can be started again or resumed. Which moments
/// are met is up to the machine; what each leaves before `config.json` is a test of the run folder's own.
#[test]
fn a_run_that_is_killed_as_each_of_its_files_appears_can_be_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    pictures(&path.join("photos"), 20);
    let train = ["train", "photos", "--size=8", "--hidden=4", "--epochs=2", "--checkpoint-every=1"];
    let train = [&train[..], &["--tensorboard", "--keep-best", "--threads=1", "--quiet"]].concat();
    succeeds(path, &into(&train, "straight"));
    for there in [
        "",
        ".lock",
        "data.json",
        "split.tsv",
        "config.json",
        "history.jsonl",
        "history.csv",
        "tensorboard",
        "checkpoints",
        "best.dnn",
        "model.dnn",
    ] {
        for time in 0..3 {
            let out = format!("run-{there}-{time}");
            let run = path.join(&out);
            killed_at(path, &into(&train, &out), &run.join(there));
            if run.join("config.json").exists() {
                succeeds(path, &["train", "--resume", &out, "--quiet"]);
            } else {
                fails(path, &["train", "--resume", &out], 2, "start it again with --out run-");
                succeeds(path, &into(&train, &out));
            }
            assert!(model(&run) == model(&path.join("straight")), "{out} ended in other bits");
            assert_eq!(history(&run), history(&path.join("straight")), "{out}");
            assert!(!has_half(&run) && !has_half(&run.join("checkpoints")), "{out}");
        }
    }
}

#[test]
fn a_search_that_is_killed_as_each_of_its_files_appears_can_be_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let search = ["search", "--grid", "--try=hidden=4|5", "--epochs=1", "--threads=1"];
    succeeds(path, &into(&search, "straight"));
    let models = |run: &Path| [1, 2].map(|trial| model(&run.join(format!("trial-{trial:03}"))));
    for there in ["", ".lock", "search.json", "trial-001", "trial-001/config.json", "trials.jsonl"]
    {
        let out = format!("search-{}", there.replace('/', "-"));
        killed_at(path, &into(&search, &out), &path.join(&out).join(there));
        if path.join(&out).join("search.json").exists() {
            succeeds(path, &["search", "--resume", &out]);
        } else {
            fails(path, &["search", "--resume", &out], 2, "start it again with --out search-");
            succeeds(path, &into(&search, &out));
        }
        assert!(models(&path.join(&out)) == models(&path.join("straight")), "{out}");
    }
}

/// The same run is killed again and again, whenever it goes on.
#[test]
fn a_run_that_is_killed_at_every_turn_gets_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let begun = Instant::now();
    succeeds(path, &saving("straight"));
    let whole = begun.elapsed();
    let mut draws = RandomStream::new(3, Purpose::Data, 0);
    killed(path, &saving("chain"), whole, 0.5);
    let run = path.join("chain");
    let mut step = None;
    let resume = ["train", "--resume=chain", "--quiet"];
    for turn in 0.. {
        check_state(&run, &mut step);
        // Longer and longer, so that it ends on any machine.
        let share = draws.uniform() * (0.4 + f64::from(turn) / 20.0);
        if killed(path, &resume, whole, share) {
            break;
        }
    }
    assert!(model(&run) == model(&path.join("straight")));
}

/// C3: the cache of decoded pictures is not there, or whole.
#[test]
fn a_load_that_is_killed_while_it_caches_leaves_nothing_that_harms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    pictures(&path.join("photos"), 60);
    let look = ["train", "photos", "--hidden=none", "--epochs=1", "--size=32", "--json"];
    let sha256 = |stdout: &[u8]| {
        let outcome: serde_json::Value = serde_json::from_slice(stdout).unwrap();
        outcome["model_sha256"].as_str().unwrap().to_owned()
    };
    let begun = Instant::now();
    let expected = sha256(&run(path, &look).stdout);
    let whole = begun.elapsed();
    let mut draws = RandomStream::new(4, Purpose::Data, 0);
    for _ in 0..50 {
        std::fs::remove_dir_all(path.join("cache")).unwrap();
        killed(path, &look, whole, draws.uniform());
        let output = command(path, &look).output().unwrap();
        let stderr = text(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert!(!stderr.contains("made anew"), "half a cache was there: {stderr}");
        assert_eq!(sha256(&output.stdout), expected);
    }
}
