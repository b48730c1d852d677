//! The program on folders whose names say something else than their place.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::path::Path;

use dnn_data::ImageShape;
use dnn_data::picture::encode_png;
use serde_json::Value;
use support::{code, dnn, text};

mod support;

/// `count` pictures of 8x8 in a folder, of a level that `class` gives, no two of them equal.
fn pictures(folder: &Path, class: u8, count: u8) {
    fs::create_dir_all(folder).unwrap();
    for number in 0..count {
        let pixels: Vec<u8> =
            (0..192_u8).map(|place| 60 * class + (place ^ number.wrapping_mul(37)) % 50).collect();
        let shape = ImageShape { height: 8, width: 8, channels: 3 };
        let name = if number % 2 == 0 { "DSC" } else { "IMG" };
        let path = folder.join(format!("{name}_{number:04}.png"));
        fs::write(path, encode_png(&pixels, shape).unwrap()).unwrap();
    }
}

const QUICK: &[&str] = &["--size=8", "--epochs=1", "--hidden=4"];

fn train(here: &Path, more: &[&str]) -> std::process::Output {
    dnn(here, &[&["train"], more, QUICK].concat())
}

#[test]
fn dnn_runs_in_the_folder_of_its_data_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("D");
    pictures(&data.join("a"), 0, 20);
    pictures(&data.join("b"), 2, 20);
    let run = |arguments: &[&str]| {
        let output = dnn(&data, arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output.stderr));
        output
    };
    let trained = |more: &[&str]| -> Value {
        let output = train(&data, &[&[".", "--json", "--no-cache"], more].concat());
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let first = trained(&[]);
    let model = "runs/D-1/model.dnn";
    run(&["predict", model, "a", "--show", "seen"]);
    run(&["search", ".", "--try", "learning-rate=0.01|0.001", "--size=8", "--epochs=1"]);
    let again = trained(&[]);
    assert_eq!(again["model_sha256"], first["model_sha256"]);
    run(&["evaluate", model, "."]);
    run(&["verify", model, "."]);
    run(&["train", "--resume", "runs/D-1", "--epochs", "2"]);
    let output = run(&["doctor", ".", "--rows=9"]);
    let report = text(&output.stdout);
    assert!(report.starts_with("D: 2 classes"), "{report}");
    assert!(report.contains("    runs/D-1: a run folder of dnn\n"), "{report}");
    assert!(report.contains("    seen: what `predict --show` wrote\n"), "{report}");
}

#[test]
fn pictures_that_are_not_used_are_counted_before_all_else() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for part in ["training_set/training_set", "test_set/test_set"] {
        pictures(&here.join("D").join(part).join("a"), 0, 10);
        pictures(&here.join("D").join(part).join("b"), 2, 10);
    }
    pictures(&here.join("D/more"), 1, 5);
    fs::write(here.join("D/.DS_Store"), "x").unwrap();
    fs::write(here.join("D/a.txt"), "x").unwrap();
    let output = train(here, &["D"]);
    let log = text(&output.stderr);
    assert_eq!(code(&output), 0, "{log}");
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("note: ")).collect();
    assert_eq!(
        lines[..2],
        [
            "note: 5 pictures are not used: more (a folder beside the parts)",
            "note: no part of the data: .DS_Store (hidden), a.txt (its suffix is that of another kind of \
             file)"
        ],
        "{log}"
    );
    let output = dnn(here, &["doctor", "D"]);
    let report = text(&output.stdout);
    assert_eq!(code(&output), 3, "{report}");
    assert!(report.contains("\n! folders of pictures that are not used: 1\n"), "{report}");
}

#[test]
fn folders_that_are_neither_classes_nor_parts_for_certain_stop_training_and_are_serious() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for class in ["old/a", "old/b", "new/a", "new/b"] {
        pictures(&here.join("D").join(class), 0, 3);
    }
    let output = train(here, &["D"]);
    let error = text(&output.stderr);
    assert_eq!(code(&output), 3, "{error}");
    assert!(error.contains("D/new and D/old, which are no classes"), "{error}");
    assert!(!here.join("runs").exists(), "nothing was begun");
    let output = dnn(here, &["doctor", "D"]);
    assert_eq!(code(&output), 3);
    let report = text(&output.stdout);
    assert!(report.contains("\n! folders that are neither classes nor parts"), "{report}");
    assert_eq!(code(&dnn(here, &["doctor", "D", "--json"])), 3);
}

#[test]
fn the_first_error_about_a_bad_file_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    pictures(&here.join("D/a"), 0, 10);
    pictures(&here.join("D/b"), 2, 10);
    fs::write(here.join("D/a/page.jpg"), "<html>").unwrap();
    for command in [&["train", "D"][..], &["search", "D", "--try", "l2=0|1"]] {
        let error = text(&dnn(here, &[command, &["--size=8", "--epochs=1"]].concat()).stderr);
        assert!(error.contains("D/a/page.jpg"), "{error}");
        assert!(error.contains("`dnn doctor`") && error.contains("`--bad-files skip`"), "{error}");
    }
    assert_eq!(code(&train(here, &["D", "--bad-files", "skip"])), 7);
    let error = text(&dnn(here, &["predict", "runs/D-1/model.dnn", "D"]).stderr);
    assert!(error.contains("D/a/page.jpg") && error.contains("`--bad-files skip`"), "{error}");
    let error = text(&train(here, &["D", "--bad-files", "skip", "--max-bad", "1"]).stderr);
    assert!(error.contains("`dnn doctor`") && error.contains("`--max-bad`"), "{error}");
}
