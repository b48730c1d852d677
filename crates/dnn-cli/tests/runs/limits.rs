//! More than the machine has, and more than a run can have come to.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use dnn_store::Hasher;

use crate::program::{checkpoints, command, fails, into, json, succeeds, text};

#[test]
fn a_variable_that_asks_for_too_many_threads_is_held_down_with_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let quick = ["train", "--hidden=4", "--epochs=2"];
    let with = |variable: &str, threads: &str, more: &[&str]| {
        let mut command = command(path, &[&quick[..], more].concat());
        let output = command.env(variable, threads).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout) + &text(&output.stderr)
    };
    let processors = std::thread::available_parallelism().unwrap().get();
    for variable in ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"] {
        let said = with(variable, "1000000", &[]);
        let note = format!("{} threads: {variable} asks for 1000000", 4 * processors);
        assert!(said.contains(&note), "{said}");
        // As many as there may be, and what is no number.
        for threads in ["1", "0", "many"] {
            let said = with(variable, threads, &[]);
            assert!(!said.contains(variable), "{said}");
        }
    }
    // What the command line says goes first.
    let said = with("RAYON_NUM_THREADS", "1000000", &["--threads=3"]);
    assert!(said.contains("on 3 threads") && !said.contains("RAYON"), "{said}");
    fails(path, &["train", "--threads=100000"], 2, "from 1 to 1024");
}

/// The command with a limit on its memory, in KiB.
fn limited(folder: &Path, kib: u32, arguments: &[&str]) -> Output {
    let limited = format!("ulimit -v {kib} && exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &limited, env!("CARGO_BIN_EXE_dnn")])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// Under any limit a command does its work or says that memory is short: no abort, no panic.
#[test]
#[cfg(target_os = "linux")]
fn memory_that_runs_out_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, &["train", "--hidden=800,800", "--steps=2", "--quiet", "--out=wide"]);
    let wide = ["train", "--hidden=800,800", "--epochs=1", "--quiet", "--threads=2", "--out"];
    let full = [&wide[..4], &["--threads=2", "--batch=full", "--optimizer=adam", "--out"]].concat();
    let mut short = 0;
    for (index, kib) in (40_000..260_000).step_by(27_500).enumerate() {
        let out = format!("out-{index}");
        for arguments in [
            &[&wide[..], &[&out[..]]].concat()[..],
            &[&full[..], &["full"]].concat(),
            &["train", "--resume=wide", "--epochs=2", "--threads=2", "--quiet"],
            &["evaluate", "wide/model.dnn", "--threads=2"],
            &["inspect", "wide/model.dnn"],
        ] {
            let output = limited(path, kib, arguments);
            let said = text(&output.stderr);
            if output.status.success() {
                continue;
            }
            short += 1;
            let code = output.status.code();
            let what = format!("{kib} KiB, {arguments:?}: {:?}: {said}", output.status);
            assert!(code.is_some_and(|code| code < 100) && !said.contains("panicked"), "{what}");
            assert!(said.contains("memory") || said.contains("threads"), "{what}");
            let _ = fs::remove_dir_all(path.join("full"));
        }
    }
    assert!(short > 5, "only {short} commands were short of memory");
}

/// The metadata of a checkpoint with a piece of it replaced, and a right digest.
fn replace_in_metadata(file: &mut [u8], piece: &[u8], by: &[u8]) {
    let places = file.windows(piece.len()).filter(|window| window == &piece).count();
    assert_eq!(places, 1, "which one?");
    let at = file.windows(piece.len()).position(|window| window == piece).unwrap();
    file[at..at + by.len()].copy_from_slice(by);
    let mut hasher = Hasher::new();
    hasher.update(&file[..30]);
    hasher.update(&file[62..]);
    file[30..62].copy_from_slice(&hasher.finish());
}

#[test]
fn a_whole_checkpoint_with_counts_that_cannot_be_is_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let five = ["train", "--hidden=3", "--epochs=2", "--batch=200", "--steps=5", "--quiet"];
    succeeds(path, &into(&five, "run"));
    let checkpoint = checkpoints(&path.join("run")).pop().unwrap();
    let sound = fs::read(&checkpoint).unwrap();
    // Epoch 1, 5 batches of it, 0 records, 5 steps, and 1000 examples so far.
    let counts = [1, 5, 0, 5, 251, 0xe8, 3];
    for (by, found) in [
        (&[0][..], "epoch 0"),
        (&[2], "0 records of epochs in epoch 2"),
        (&[1, 6], "5 steps, 6 of them in epoch 1, at 7 for each"),
        (&[1, 5, 0, 6], "5 steps of the optimiser in 6 of the run"),
    ] {
        let mut changed = sound.clone();
        replace_in_metadata(&mut changed, &counts, by);
        fs::write(&checkpoint, changed).unwrap();
        let expected = format!("expected arrays and counts that fit its network, found {found}");
        fails(path, &["train", "--resume=run", "--epochs=2", "--quiet"], 5, &expected);
    }
    fs::write(&checkpoint, sound).unwrap();
    succeeds(path, &["train", "--resume=run", "--epochs=2", "--quiet"]);
}

/// From the command line and from a model file.
#[test]
fn layers_by_the_thousand_train_and_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let hidden = format!("--hidden={}", vec!["2"; 3000].join(","));
    let few = ["--batch=700", "--quiet", "--steps=2"];
    succeeds(path, &into(&[&["train", &hidden][..], &few].concat(), "deep"));
    succeeds(path, &["train", "--resume=deep", "--epochs=2", "--quiet", "--steps=3"]);
    succeeds(path, &into(&[&["train", "--from=deep/model.dnn"][..], &few].concat(), "from"));
    let inspected = json(path, &["inspect", "from/model.dnn", "--json"]);
    assert_eq!(inspected["widths"].as_array().unwrap().len(), 3002);
    succeeds(path, &["evaluate", "deep/model.dnn"]);
}
