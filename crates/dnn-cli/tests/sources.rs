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
    assert!(code == 5 && err.contains("train-labels-idx1-ubyte"), "{code} {err}");
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

/// Two pictures to train on and one to test on, grey, in IDX files named as MNIST's.
fn write_idx(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for (part, count) in [("train", 20_u8), ("t10k", 4)] {
        let pixels = (0..count).flat_map(|picture| [picture % 2 * 200; 4]);
        let head = [0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 2, 0, 0, 0, 2];
        let images: Vec<u8> = head.into_iter().chain(pixels).collect();
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        let labels = (0..count).map(|picture| picture % 2);
        let labels: Vec<u8> = [0, 0, 8, 1, 0, 0, 0, count].into_iter().chain(labels).collect();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

#[test]
fn the_name_of_a_data_set_is_taken_wherever_data_is() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let sha256 = |run_folder: &str| {
        let config = fs::read(here.join(run_folder).join("config.json")).unwrap();
        serde_json::from_slice::<Value>(&config).unwrap()["data_sha256"].clone()
    };
    let quick = ["--hidden", "none", "--epochs", "1", "--quiet", "--out"];
    let train = |data: &[&str], out: &str| {
        let (code, _, err) = run(here, &[&["train"], data, &quick[..], &[out]].concat());
        assert_eq!(code, 0, "{err}");
        err
    };
    // Built in, with and without its name.
    train(&[], "unnamed");
    train(&["digits"], "built-in");
    assert_eq!(sha256("built-in"), sha256("unnamed"));
    for arguments in [&["doctor", "digits"][..], &["evaluate", "built-in/model.dnn", "digits"]] {
        let (code, _, err) = run(here, arguments);
        assert_eq!(code, 0, "{arguments:?}: {err}");
    }
    let (code, out, err) = run(here, &["verify", "built-in/model.dnn", "digits"]);
    assert!(code == 0 && out.starts_with("same"), "{code} {out}{err}");
    // Known, but not here.
    let arguments = ["doctor", "train", "search"].map(|command| vec![command, "mnist"]);
    let wanted = "expected the data set mnist in datasets/mnist, found nothing; get it with: dnn fetch mnist";
    for arguments in arguments.into_iter().chain([vec!["train", "datasets/mnist"]]) {
        let (code, _, err) = run(here, &arguments);
        assert!(code == 4 && err.contains(wanted), "{arguments:?}: {code} {err}");
    }
    // Fetched.
    write_idx(&here.join("datasets/mnist"));
    let err = train(&["mnist"], "fetched");
    assert!(err.contains("note: mnist is the data set in datasets/mnist"), "{err}");
    train(&["datasets/mnist"], "by-path");
    assert_eq!(sha256("fetched"), sha256("by-path"));
    let search = ["search", "mnist", "--trials", "1", "--epochs", "1", "--out", "s"];
    let (code, _, err) = run(here, &search);
    assert_eq!(code, 0, "{err}");
    // What lies here wins.
    write_idx(&here.join("digits"));
    let err = train(&["digits"], "own");
    assert!(err.contains("note: digits is what lies here, not the data set of dnn fetch"), "{err}");
    assert_ne!(sha256("own"), sha256("built-in"));
}

/// What `fetch` waits for, in the order of its calls to the system.
#[cfg(target_os = "linux")]
#[test]
fn a_fetched_set_is_on_the_medium_before_it_has_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let calls = ["-f", "-qq", "-o", "calls", "-y", "-e", "trace=fsync,rename"];
    let program = [env!("CARGO_BIN_EXE_dnn"), "fetch", "digits"];
    let traced =
        std::process::Command::new("strace").args(calls).args(program).current_dir(here).output();
    if !traced.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: strace is not there, or may not trace");
        return;
    }
    let calls = fs::read_to_string(here.join("calls")).unwrap();
    let calls: Vec<&str> = calls.lines().collect();
    let named = calls.iter().position(|call| call.contains("ready\", \"datasets/digits\""));
    let (before, after) = calls.split_at(named.unwrap());
    let waited = |calls: &[&str], path: &str| {
        calls.iter().any(|call| call.contains("fsync(") && call.contains(&format!("{path}>")))
    };
    for file in ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "SHA256SUMS", "ready"] {
        assert!(waited(before, &format!("/{file}")), "{file}: {calls:?}");
    }
    assert!(waited(after, "/datasets"), "{calls:?}");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_where_a_file_is_to_be_fetched_from() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let made = std::process::Command::new("mkfifo").arg(here.join("pipe")).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no mkfifo here");
        return;
    }
    let (code, _, err) = run(here, &["fetch", "mnist", "--from", "pipe", "--unverified"]);
    assert!(
        code == 4 && err.contains("expected a regular file, found a pipe: pipe"),
        "{code} {err}"
    );
    let (code, _, err) = run(here, &["fetch", "mnist", "--from", "/dev/zero", "--unverified"]);
    assert!(code == 4 && err.contains("found a device: /dev/zero"), "{code} {err}");
}
