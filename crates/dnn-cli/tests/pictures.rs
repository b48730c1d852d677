//! The program on folders of pictures.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::path::Path;
use std::process::Output;

use dnn_data::ImageShape;
use dnn_data::picture::{Decoding, decode, encode_png};
use serde_json::Value;
use support::{code, dnn, text};
use tempfile::TempDir;

mod support;

/// A picture of 9x7, dark or bright, another one for each number.
fn picture(bright: bool, number: u8) -> Vec<u8> {
    let level = if bright { 170 } else { 20 };
    let pixels: Vec<u8> = (0..9 * 7 * 3_u8).map(|place| level + (place ^ number) % 60).collect();
    encode_png(&pixels, ImageShape { height: 7, width: 9, channels: 3 }).unwrap()
}

/// `data/train` with twenty dark and twenty bright pictures, `data/test` with four of each.
fn data() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (part, count) in [("train", 20), ("test", 4)] {
        for (class, bright) in [("day", true), ("night", false)] {
            let path = folder.path().join("data").join(part).join(class);
            fs::create_dir_all(&path).unwrap();
            for number in 0..count {
                fs::write(path.join(format!("{number}.png")), picture(bright, number)).unwrap();
            }
        }
    }
    folder
}

const TRAIN: &[&str] = &[
    "train",
    "data",
    "--size=6x5",
    "--hidden=4",
    "--dropout=0",
    "--optimizer=sgd",
    "--batch=16",
    "--epochs=8",
];

fn train(folder: &Path, more: &[&str]) -> Output {
    dnn(folder, &[TRAIN, more].concat())
}

#[test]
fn a_folder_trains_evaluates_and_predicts() {
    let folder = data();
    let here = folder.path();
    let output = train(here, &["--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcome["test"]["accuracy"], 1.0);
    assert_eq!(outcome["test"]["examples"], 8);
    let low = outcome["test"]["interval"][0].as_f64().unwrap();
    // Wilson, 8 of 8: 1 / (1 + 1.96^2 / 8) = 0.676.
    assert!((low - 0.6756).abs() < 1e-3, "{low}");
    assert!(
        text(&output.stderr)
            .contains("pictures of 5x6x3, 2 classes; 36 train, 4 validation, 8 test")
    );

    let split = fs::read_to_string(here.join("runs/data-1/split.tsv")).unwrap();
    assert_eq!(split.lines().count(), 49);
    let report: Value =
        serde_json::from_slice(&fs::read(here.join("runs/data-1/data.json")).unwrap()).unwrap();
    assert_eq!((&report["used"], &report["cache"]), (&48.into(), &"stored".into()));

    // The same data again comes from the cache and gives the same model.
    let again: Value = serde_json::from_slice(&train(here, &["--json"]).stdout).unwrap();
    assert_eq!(again["model_sha256"], outcome["model_sha256"]);

    let model = "runs/data-1/model.dnn";
    let output = dnn(here, &["evaluate", model, "data", "--json"]);
    let evaluated: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(evaluated["trained_on_this_data"], true);
    assert_eq!(evaluated["test"]["accuracy"], 1.0);

    // The model brings its own preprocessing: files of any size, and what it sees of them.
    let output = dnn(here, &["predict", model, "data/test", "--csv", "--show", "seen"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let csv = text(&output.stdout);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[0], "file,picture,class,probability,day,night,shown");
    assert!(rows[1].ends_with(",seen/0.png"), "{}", rows[1]);
    assert!(rows[1].starts_with("data/test/day/0.png,1,day,"), "{}", rows[1]);
    assert!(rows[8].starts_with("data/test/night/3.png,1,night,"), "{}", rows[8]);
    let seen = fs::read(here.join("seen/0.png")).unwrap();
    let (rgb, _) = decode(&seen, &Decoding::default()).unwrap();
    assert_eq!((rgb.width, rgb.height), (6, 5));
    assert!(here.join("seen/0-2.png").exists(), "a second file of one name");
    let output = dnn(here, &["predict", model, "data/test/day/1.png", "--json"]);
    let predicted: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(predicted["predictions"][0]["class"], "day");
}

#[test]
fn augmentation_changes_a_run_and_is_recorded_and_repeats() {
    let folder = data();
    let here = folder.path();
    let sha256 = |more: &[&str]| -> Value {
        let output = train(here, &[more, &["--json"]].concat());
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["model_sha256"].clone()
    };
    let plain = sha256(&[]);
    let changed = sha256(&["--augment", "flip,shift=1"]);
    assert_ne!(plain, changed);
    assert_eq!(changed, sha256(&["--augment", "flip,shift=1", "--threads", "3"]));
    let settings = text(&dnn(here, &["inspect", "runs/data-2/model.dnn"]).stdout);
    assert!(settings.contains("augment        flip,shift=1\n"), "{settings}");
    assert!(settings.contains("preprocessing  5x6x3 stretch bilinear\n"), "{settings}");
    assert_eq!(code(&train(here, &["--augment", "turn=3"])), 2);
}

#[test]
fn the_policies_are_counted_in_the_log_the_run_folder_and_the_exit_code() {
    let folder = data();
    let here = folder.path();
    fs::write(here.join("data/train/day/bad.png"), &picture(true, 1)[..99]).unwrap();
    fs::write(here.join("data/train/night/page.jpg"), "<html>").unwrap();

    let output = train(here, &[]);
    assert_eq!(code(&output), 3);
    let error = text(&output.stderr);
    assert!(error.contains("data/train/day/bad.png: damaged PNG: "), "{error}");
    assert!(error.contains("(and 1 other file is bad)"), "{error}");
    assert!(!here.join("runs").exists(), "nothing was begun");

    let output = train(here, &["--bad-files", "skip", "--max-bad", "3.9"]);
    assert_eq!(code(&output), 3);
    let error = text(&output.stderr);
    assert!(error.contains("2 of 50 files cannot be used: expected at most 3.9 %"), "{error}");

    let output = train(here, &["--bad-files", "skip", "--max-bad", "4"]);
    assert_eq!(code(&output), 7);
    let log = text(&output.stderr);
    assert!(log.contains("left out: train/day/bad.png: damaged PNG: "), "{log}");
    assert!(log.contains("left out: train/night/page.jpg: expected a picture"), "{log}");
    let report: Value =
        serde_json::from_slice(&fs::read(here.join("runs/data-1/data.json")).unwrap()).unwrap();
    assert_eq!(report["used"], 48);
    assert_eq!(report["bad"].as_array().unwrap().len(), 2);
    let model = "runs/data-1/model.dnn";
    assert_eq!(code(&dnn(here, &["evaluate", model, "data"])), 3);
    assert_eq!(code(&dnn(here, &["evaluate", model, "data", "--bad-files", "skip"])), 7);
    let files = ["predict", model, "data/test/day/1.png", "data/train/night/page.jpg"];
    assert_eq!(code(&dnn(here, &files)), 3);
    let output = dnn(here, &[&files[..], &["--bad-files=skip"]].concat());
    assert_eq!((code(&output), text(&output.stdout).lines().count()), (7, 2));

    assert_eq!(code(&train(here, &["--bad-files", "quarantine"])), 7);
    assert!(here.join("data/.quarantine/train/day/bad.png").exists());
    assert_eq!(code(&train(here, &[])), 0);
}

#[test]
fn what_is_no_picture_folder_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir_all(here.join("empty")).unwrap();
    fs::create_dir_all(here.join("one/only")).unwrap();
    fs::write(here.join("one/only/cat.1.png"), picture(true, 1)).unwrap();
    fs::write(here.join("one/only/cat.2.png"), picture(true, 2)).unwrap();
    for (data, expected) in [
        ("empty", "expected a folder for each class"),
        ("one", "expected examples of at least 2 classes, found only cat"),
    ] {
        let output = dnn(here, &["train", data, "--split", "0", "--validation", "0"]);
        let error = text(&output.stderr);
        assert!(error.contains(expected), "{error}");
        assert_eq!(code(&output), 3, "{error}");
    }
    assert_eq!(code(&dnn(here, &["train", "nowhere"])), 4);
    for (setting, value) in
        [("--size", "0"), ("--size", "9x"), ("--resize", "fill"), ("--max-bad", "101")]
    {
        assert_eq!(code(&dnn(here, &["train", "one", setting, value])), 2, "{setting} {value}");
    }
}
