//! Numbers to be found in place of classes: from training to prediction.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use serde_json::Value;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::program::{checkpoints, fails, history, into, json, model, run, succeeds, text};

const EXAMPLES: usize = 400;
const SIDE: usize = 6;

/// Grey pictures whose upper and lower halves are each of some lightness, with a little noise on it.
fn pixels() -> Vec<u8> {
    let mut state = 1_u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let mut pixels = Vec::new();
    for _ in 0..2 * EXAMPLES {
        let light = draw() / 8 * 7;
        pixels.extend((0..SIDE * SIDE / 2).map(|_| light + draw() % 32));
    }
    pixels
}

/// A price that rises with the light in the upper half, and a small number that falls with that in the lower half.
fn targets(pixels: &[u8]) -> Vec<[f64; 2]> {
    let light = |half: &[u8]| half.iter().map(|&level| f64::from(level)).sum::<f64>() / 255.0;
    let of = |picture: &[u8]| {
        let (upper, lower) = picture.split_at(SIDE * SIDE / 2);
        [250_000.0 + 20_000.0 * light(upper), 0.01 - 0.001 * light(lower)]
    };
    pixels.chunks(SIDE * SIDE).map(of).collect()
}

/// A `.npz` with pictures and what is asked of them, as this type and of these sizes.
fn npz(path: &Path, descr: &str, sizes: &str, values: &[u8]) {
    let array = |descr: &str, sizes: &str, values: &[u8]| {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {sizes}, }}\n");
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), values].concat()
    };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let of_x = format!("({EXAMPLES}, {SIDE}, {SIDE})");
    for (name, array) in [("x", array("|u1", &of_x, &pixels())), ("y", array(descr, sizes, values))]
    {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        zip.write_all(&array).unwrap();
    }
    fs::write(path, zip.finish().unwrap().into_inner()).unwrap();
}

/// `prices.npz`, with a number for each picture as `f4`, and `pairs.npz`, with two as `f8`.
fn data(folder: &Path) {
    let targets = targets(&pixels());
    #[expect(clippy::cast_possible_truncation, reason = "stored so")]
    let prices: Vec<u8> =
        targets.iter().flat_map(|[price, _]| (*price as f32).to_le_bytes()).collect();
    npz(&folder.join("prices.npz"), "<f4", &format!("({EXAMPLES},)"), &prices);
    let pairs: Vec<u8> = targets.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
    npz(&folder.join("pairs.npz"), "<f8", &format!("({EXAMPLES}, 2)"), &pairs);
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("expected a number, found {value}"))
}

const SETTINGS: [&str; 5] =
    ["train", "prices.npz", "--hidden=32", "--dropout=0", "--learning-rate=0.01"];

#[test]
fn numbers_in_any_unit_are_learned_measured_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    data(path);
    let settings = [&SETTINGS[..], &["--epochs=25", "--keep-best"]].concat();
    let outcome = json(path, &into(&[&settings[..], &["--json"]].concat(), "run"));
    let test = &outcome["test"];
    let r2 = number(&test["r2"]);
    assert!(r2 > 0.9, "{outcome}");
    // In the unit of the data: R2 is the share of the baseline that is left of the cost.
    let left = number(&test["cost"]) / number(&test["baseline"]);
    assert!((1.0 - left - r2).abs() < 1e-3, "{test}");
    assert!(number(&test["mean_absolute_error"]) < number(&test["baseline"]).sqrt() / 3.0);
    assert_eq!(test.get("accuracy"), None);
    // While it goes on, in shares of the variance.
    let records = history(&path.join("run"));
    assert!(number(&records[0]["cost"]) < 3.0 && number(&records[24]["cost"]) < 0.1);

    let measured = json(path, &["evaluate", "run/model.dnn", "prices.npz", "--json"]);
    assert_eq!((&measured["test"], &measured["trained_on_this_data"]), (test, &true.into()));
    let (said, _) = succeeds(path, &["evaluate", "run/model.dnn", "prices.npz"]);
    assert!(said.contains("R2") && said.contains("absolute error"), "{said}");
    // The best model is in that unit, too.
    let best = json(path, &["evaluate", "run/best.dnn", "prices.npz", "--json"]);
    assert!(number(&best["validation"]["r2"]) > 0.9, "{best}");
    let (said, _) = succeeds(path, &["verify", "run/model.dnn"]);
    assert!(said.starts_with("same"), "{said}");
    let (said, _) = succeeds(path, &["inspect", "run/model.dnn"]);
    assert!(said.contains("outputs        1 (identity head)"), "{said}");

    // Going on from a model begins where that ended.
    let still =
        ["train", "prices.npz", "--from=run/model.dnn", "--learning-rate=1e-12", "--epochs=1"];
    let again = json(path, &into(&[&still[..], &["--json"]].concat(), "again"));
    assert!((number(&again["test"]["r2"]) - r2).abs() < 1e-4, "{again}");
}

#[test]
fn several_numbers_of_different_units_are_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    data(path);
    let settings = ["train", "pairs.npz", "--hidden=32", "--dropout=0", "--learning-rate=0.01"];
    let outcome = json(path, &into(&[&settings[..], &["--json"]].concat(), "run"));
    assert!(number(&outcome["test"]["r2"]) > 0.85, "{outcome}");
    // The pictures as IDX.
    let header = [0, 0, 8, 3, 0, 0, 1, 144, 0, 0, 0, 6, 0, 0, 0, 6];
    fs::write(path.join("x-idx3-ubyte"), [&header[..], &pixels()].concat()).unwrap();
    let found = json(path, &["predict", "run/model.dnn", "x-idx3-ubyte", "--json"]);
    let found = found["predictions"].as_array().unwrap();
    assert_eq!(found.len(), EXAMPLES);
    for output in 0..2 {
        let wanted: Vec<f64> = targets(&pixels()).iter().map(|pair| pair[output]).collect();
        let mean = wanted.iter().sum::<f64>() / EXAMPLES as f64;
        let spread: f64 = wanted.iter().map(|y| (y - mean).powi(2)).sum();
        let errors: f64 = (found.iter().zip(&wanted))
            .map(|(one, y)| (number(&one["outputs"][output]) - y).powi(2))
            .sum();
        assert!(errors < 0.1 * spread, "output {output}: {errors} of {spread}");
        assert_eq!(found[0].get("class"), None);
    }
    let (csv, _) = succeeds(path, &["predict", "run/model.dnn", "x-idx3-ubyte", "--csv"]);
    assert!(csv.starts_with("file,picture,output_1,output_2\nx-idx3-ubyte,1,"), "{csv}");
    let (table, _) = succeeds(path, &["predict", "run/model.dnn", "x-idx3-ubyte"]);
    assert!(table.lines().next().unwrap().ends_with("outputs"), "{table}");
    assert_eq!(table.lines().count(), 1 + EXAMPLES);
}

#[test]
fn a_run_on_numbers_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    data(path);
    let settings = [&SETTINGS[..], &["--epochs=3", "--quiet", "--precision=f64"]].concat();
    succeeds(path, &into(&settings, "straight"));
    succeeds(path, &into(&[&settings[..], &["--steps=13"]].concat(), "run"));
    assert!(!checkpoints(&path.join("run")).is_empty());
    succeeds(path, &["train", "--resume=run", "--quiet"]);
    assert!(model(&path.join("run")) == model(&path.join("straight")));
    // The other commands that train.
    let lr = ["train", "prices.npz", "--find-lr", "--json"];
    assert!(json(path, &lr)["points"].as_array().is_some_and(|points| !points.is_empty()));
    let search =
        ["search", "prices.npz", "--epochs=2", "--try=hidden=4|8", "--grid", "--out=search"];
    let (said, noted) = succeeds(path, &search);
    assert!(said.contains("R2") && !noted.contains("diverged"), "{said}{noted}");
}

#[test]
fn what_is_for_classes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    data(path);
    for flag in
        ["--calibrate", "--class-weights=balanced", "--label-smoothing=0.1", "--monitor=accuracy"]
    {
        let name = flag.split('=').next().unwrap();
        let output = run(path, &into(&[&SETTINGS[..], &[flag]].concat(), "refused"));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flag}: {said}");
        assert!(said.contains(name) && said.contains("is for classes"), "{said}");
        assert!(!path.join("refused").exists());
    }
    succeeds(path, &into(&[&SETTINGS[..], &["--epochs=1"]].concat(), "numbers"));
    fails(path, &["evaluate", "numbers/model.dnn", "prices.npz", "--metrics"], 2, "is for classes");
    // Integers are classes, whatever they are called, and floats numbers, however whole they are.
    let whole: Vec<u8> = (0..EXAMPLES).flat_map(|j| ((j % 2) as f64).to_le_bytes()).collect();
    npz(&path.join("whole.npz"), "<f8", &format!("({EXAMPLES}, 1)"), &whole);
    let (_, noted) = succeeds(path, &["train", "whole.npz", "--epochs=1", "--out=whole"]);
    assert!(noted.contains("a number to be found from each"), "{noted}");
    let classes: Vec<u8> = (0..EXAMPLES).flat_map(|j| ((j % 2) as u64).to_le_bytes()).collect();
    npz(&path.join("classes.npz"), "<i8", &format!("({EXAMPLES},)"), &classes);
    let (_, noted) = succeeds(path, &["train", "classes.npz", "--epochs=1", "--out=classes"]);
    assert!(noted.contains("2 classes"), "{noted}");
    let message = "the model gives classes; found data with a number for each picture";
    fails(path, &["evaluate", "classes/model.dnn", "prices.npz"], 3, message);
    let message = "the model gives a number for each picture; found data with classes";
    fails(path, &["evaluate", "numbers/model.dnn", "classes.npz"], 3, message);
    let (said, _) = succeeds(path, &["doctor", "prices.npz"]);
    assert!(!said.is_empty());
}
