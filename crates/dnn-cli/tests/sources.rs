//! `dnn fetch`, `dnn doctor`, and training on what is stored in other ways than as pictures.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use dnn_data::ImageShape;
use dnn_data::picture::encode_png;
use serde_json::Value;
use support::{code, dnn, text};

mod support;

/// The exit code, standard output and standard error.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = dnn(folder, arguments);
    (code(&output), text(&output.stdout), text(&output.stderr))
}

#[test]
fn what_can_be_fetched_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let (code, list, _) = run(folder.path(), &["fetch", "--list"]);
    assert_eq!(code, 0);
    for name in ["cats-vs-dogs", "mnist", "fashion-mnist", "cifar-10", "oxford-iiit-pet", "digits"]
    {
        assert!(list.lines().any(|line| line == name), "{name} in {list}");
    }
    assert!(list.contains("licence: CC BY 4.0"), "{list}");
}

#[test]
fn a_fetched_set_is_trained_on_and_a_second_call_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (code, out, err) = run(here, &["fetch", "digits"]);
    assert_eq!((code, out.lines().next()), (0, Some("datasets/digits: fetched, 2 files")), "{err}");
    let (code, out, _) = run(here, &["fetch", "digits"]);
    assert_eq!((code, out.contains("verified")), (0, true), "{out}");
    let arguments = ["train", "datasets/digits", "--hidden", "8", "--epochs", "1", "--json"];
    let (code, out, err) = run(here, &arguments);
    let outcome: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &outcome["test"]["examples"]), (0, &359.into()), "{err}");
    // A changed file is not data any more.
    fs::write(here.join("datasets/digits/train-labels-idx1-ubyte"), "changed").unwrap();
    let (code, _, err) = run(here, &["fetch", "digits"]);
    assert!(code == 3 && err.contains("train-labels-idx1-ubyte"), "{code} {err}");
}

#[test]
fn what_cannot_be_fetched_has_a_reason_and_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let (code, _, err) = run(here, &["fetch", "nope"]);
    assert!(code == 2 && err.contains("there are cats-vs-dogs, "), "{code} {err}");
    let (code, _, err) = run(here, &["fetch", "cats-vs-dogs", "--from", "no.zip"]);
    assert!(code == 4 && err.contains("no.zip"), "{code} {err}");
    fs::write(here.join("own.zip"), "no zip at all").unwrap();
    let (code, _, err) = run(here, &["fetch", "cats-vs-dogs", "--from", "own.zip"]);
    assert!(code == 3 && err.contains("--sha256"), "{code} {err}");
    let wrong = "0".repeat(64);
    let (code, _, err) =
        run(here, &["fetch", "cats-vs-dogs", "--from", "own.zip", "--sha256", &wrong]);
    assert!(code == 3 && err.contains(&wrong), "{code} {err}");
    assert!(!here.join("datasets/cats-vs-dogs").exists());
    let (code, _, err) = run(here, &["fetch"]);
    assert!(code == 2 && err.contains("NAMES"), "{code} {err}");
}

#[test]
fn the_doctor_writes_a_table_and_json_and_its_code_says_whether_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let shape = ImageShape { height: 40, width: 40, channels: 3 };
    for (class, levels) in [("day", [150, 170]), ("night", [20, 50])] {
        fs::create_dir_all(here.join("photos").join(class)).unwrap();
        for (number, level) in levels.into_iter().enumerate() {
            let value = |place: u32| level + u8::try_from((place * place / 7) % 60).unwrap();
            let pixels: Vec<u8> = (0..40 * 40 * 3).map(value).collect();
            let file = encode_png(&pixels, shape).unwrap();
            fs::write(here.join("photos").join(class).join(format!("{number}.png")), file).unwrap();
        }
    }
    let (code, table, err) = run(here, &["doctor", "photos"]);
    assert!(table.starts_with("photos: 2 classes, a folder for each class"), "{table}{err}");
    assert!(table.contains("night"), "{table}");
    assert_eq!(code, 0, "{table}");
    fs::write(here.join("photos/day/page.jpg"), "<html>Not found</html>").unwrap();
    let (code, table, _) = run(here, &["doctor", "photos"]);
    assert_eq!(code, 3, "{table}");
    assert!(table.contains("page.jpg: ") && table.contains("an HTML page"), "{table}");
    let (code, json, _) = run(here, &["doctor", "photos", "--json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &report["name"]), (3, &"photos".into()));
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["serious"] == true), "{json}");
    let (code, _, err) = run(here, &["doctor", "none"]);
    assert!(code == 4 && err.contains("none"), "{code} {err}");
}

/// A `.npz` whose arrays are stored as they are: bytes and one-byte labels.
fn npz(arrays: &[(&str, &str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, shape, values) in arrays {
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        let file = [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), values].concat();
        zip.write_all(&file).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn arrays_are_trained_on_evaluated_and_looked_over() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // Forty pictures of 2x3: dark ones of class 0, bright ones of class 1.
    let labels: Vec<u8> = (0..40).map(|picture| picture % 2).collect();
    let pixels = (0..240_u8).map(|place| place / 6 % 2 * 180 + place % 40).collect();
    let arrays = [
        ("x_train.npy", "(40, 2, 3)", pixels),
        ("y_train.npy", "(40,)", labels),
        ("weights.npy", "(1,)", vec![0]),
    ];
    fs::write(here.join("own.npz"), npz(&arrays)).unwrap();
    let arguments =
        ["train", "own.npz", "--hidden", "4", "--epochs", "40", "--batch", "4", "--json"];
    let (code, out, err) = run(here, &arguments);
    assert_eq!(code, 0, "{err}");
    let outcome: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(outcome["test"]["accuracy"], 1.0, "{out}");
    assert!(
        err.contains("no part of the data: own.npz:weights (an array of another name)"),
        "{err}"
    );
    let (code, _, err) = run(here, &["evaluate", "runs/own-1/model.dnn", "own.npz"]);
    assert_eq!(code, 0, "{err}");
    let (code, table, _) = run(here, &["doctor", "own.npz"]);
    assert!(code == 0 && table.starts_with("own: 2 classes"), "{code} {table}");
    fs::write(here.join("own.npz"), "no zip").unwrap();
    let (code, _, err) = run(here, &["train", "own.npz"]);
    assert!(code == 3 && err.contains("own.npz: expected a zip with arrays"), "{code} {err}");
}
