//! What is reported of a run: how sure it is, averages over classes, where it ended.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{history, into, json, run, succeeds, text};

/// Seeds and validation shares of runs on the digits.
const SMALL_PARTS: [(&str, &str); 3] = [("1", "0.02"), ("2", "0.05"), ("6", "0.05")];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("expected a number, found {value}"))
}

/// Few validation pictures, all of them right or nearly so, ask for endless sureness: the pictures of the test part
/// must not pay for it.
#[test]
fn a_temperature_does_not_run_away_on_a_small_validation_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let (mut costs, mut fitted, mut left) = ([0.0, 0.0], 0, 0);
    // Of the third, one picture in 72 is answered wrongly; of the others none.
    for (seed, share) in SMALL_PARTS {
        let settings = [
            "train",
            "--hidden=256,128",
            "--quiet",
            "--json",
            "--seed",
            seed,
            "--validation",
            share,
        ];
        for (calibrate, cost) in [false, true].into_iter().zip(&mut costs) {
            let out = format!("{seed}-{calibrate}");
            let mut words = into(&settings, &out);
            words.extend(calibrate.then_some("--calibrate"));
            let (outcome, said) = succeeds(path, &words);
            let outcome: Value = serde_json::from_str(&outcome).unwrap();
            *cost += number(&outcome["test"]["cost"]);
            fitted += usize::from(said.contains("\ncalibrated: the logits are divided by "));
            left += usize::from(said.contains("\nnot calibrated: all "));
        }
    }
    assert_eq!((fitted, left), (1, 2));
    assert!(costs[1] <= 1.02 * costs[0], "{} with a temperature, {} without", costs[1], costs[0]);
}

/// IDX files whose labels are 1, 2 and 3: a class 0 has no picture. Two columns of pixels, by the class, are light.
fn labels_from_1(folder: &Path) {
    let idx = |dims: &[usize], bytes: &[u8]| -> Vec<u8> {
        let rank = u8::try_from(dims.len()).unwrap();
        let mut file = vec![0, 0, 8, rank];
        for &dim in dims {
            file.extend(u32::try_from(dim).unwrap().to_be_bytes());
        }
        file.extend(bytes);
        file
    };
    fs::create_dir_all(folder).unwrap();
    for (part, m) in [("train", 300), ("t10k", 60)] {
        let class = |example: usize| 1 + example % 3;
        let labels: Vec<u8> = (0..m).map(|j| u8::try_from(class(j)).unwrap()).collect();
        let level = |j: usize, place: usize| {
            let light = place % 6 / 2 + 1 == class(j);
            u8::try_from(j * 7 % 11 + place * 5 % 13).unwrap() + 200 * u8::from(light)
        };
        let pixels: Vec<u8> =
            (0..m).flat_map(|j| (0..36).map(move |place| level(j, place))).collect();
        fs::write(folder.join(format!("{part}-images-idx3-ubyte")), idx(&[m, 6, 6], &pixels))
            .unwrap();
        fs::write(folder.join(format!("{part}-labels-idx1-ubyte")), idx(&[m], &labels)).unwrap();
    }
}

#[test]
fn a_class_without_pictures_pulls_no_average_down() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    labels_from_1(&path.join("letters"));
    succeeds(path, &["train", "letters", "--epochs=20", "--out=run", "--quiet"]);
    let measured = json(path, &["evaluate", "run/model.dnn", "letters", "--metrics", "--json"]);
    // In the validation part, too.
    for part in ["train", "validation", "test"] {
        let metrics = &measured[part]["metrics"];
        assert_eq!(metrics["accuracy"], 1.0, "{measured}");
        for average in ["macro_average", "weighted_average"] {
            for kind in ["precision", "recall", "f1"] {
                assert!((number(&metrics[average][kind]) - 1.0).abs() < 1e-12, "{metrics}");
            }
        }
        assert_eq!(metrics["roc_auc"], 1.0);
        assert_eq!(metrics["classes"][0]["roc_auc"], Value::Null);
        let reason = metrics["roc_auc_reason"].as_str().unwrap();
        assert!(
            reason.contains("the mean over 3 of 4 classes; 1 has no examples here"),
            "{reason}"
        );
    }
    let (said, _) = succeeds(path, &["evaluate", "run/model.dnn", "letters", "--metrics"]);
    assert!(said.contains("ROC AUC: the mean over 3 of 4 classes"), "{said}");
}

/// An epoch that is better by less than the margin does not end the wait, and its weights are the best nevertheless;
/// what the wait is over is the last epoch that was better by more.
#[test]
fn the_margin_of_early_stopping_is_not_for_the_best_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let settings = [
        "train",
        "--hidden=256,128",
        "--epochs=60",
        "--early-stopping=2",
        "--min-delta=0.05",
        "--keep-best",
    ];
    let outcome = json(path, &into(&[&settings[..], &["--quiet", "--json"]].concat(), "run"));
    let records = history(&path.join("run"));
    let costs: Vec<f64> = records.iter().map(|one| number(&one["validation"]["cost"])).collect();
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let best = 1 + costs.iter().position(|&cost| cost == least).unwrap();
    assert!(
        costs[best - 1] > costs[best - 2] - 0.05,
        "the best one is better by little: {costs:?}"
    );
    for (epoch, record) in records.iter().enumerate() {
        let before = costs[..epoch].iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(record["best"], costs[epoch] < before, "epoch {}", epoch + 1);
    }
    let (mut reference, mut waited) = (f64::INFINITY, 0);
    for (epoch, &cost) in costs.iter().enumerate() {
        assert!(waited < 2, "it ended before epoch {}: {costs:?}", epoch + 1);
        let ends_wait = reference - cost > 0.05;
        (reference, waited) = if ends_wait { (cost, 0) } else { (reference, waited + 1) };
    }
    assert_eq!(waited, 2, "{costs:?}");
    assert_eq!(number(&outcome["validation"]["cost"]), least);
    let kept = json(path, &["evaluate", "run/best.dnn", "--json"]);
    assert_eq!(number(&kept["validation"]["cost"]), least);

    // Where it ended is told, and kept.
    let epochs = records.len();
    assert!(epochs < 60);
    assert_eq!(outcome["ended_by"], "early-stopping");
    assert_eq!((&outcome["epochs"], &outcome["best_epoch"]), (&epochs.into(), &best.into()));
    let settings =
        json(path, &["inspect", "run/model.dnn", "--json"])["provenance"]["settings"].clone();
    assert_eq!(
        (&settings["epochs"], &settings["epochs_run"]),
        (&"60".into(), &epochs.to_string().into())
    );
    let (said, _) = succeeds(path, &["inspect", "run/model.dnn"]);
    assert!(said.contains("ended by       early-stopping\n"), "{said}");
    assert!(said.contains(&format!("best epoch     {best}\n")), "{said}");
    let (said, _) = succeeds(path, &["verify", "run/model.dnn"]);
    assert!(said.starts_with("same"), "{said}");
    // In the summary, too; a run that is over has nothing to add.
    let (said, _) = succeeds(path, &["train", "--resume=run", "--quiet"]);
    let expected = format!("ended    by --early-stopping after epoch {epochs} of 60, step ");
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn every_end_of_a_run_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let short = ["train", "--hidden=8", "--epochs=2", "--batch=100", "--quiet"];
    let ended = |more: &[&str], out: &str| {
        let (said, _) = succeeds(path, &into(&[&short[..], more].concat(), out));
        said.lines().find(|line| line.starts_with("ended ")).unwrap_or_default().to_owned()
    };
    assert_eq!(ended(&[], "whole"), "ended    after epoch 2 of 2, step 26");
    let best = ended(&["--restore-best"], "best");
    assert!(best.starts_with("ended    after epoch 2 of 2, step 26; the weights are those after"));
    let cut = "ended    by --steps at step 15, after 1 whole epoch of 2";
    assert_eq!(ended(&["--steps=15"], "steps"), cut);
    let settings = |run: &str| {
        let model = format!("{run}/model.dnn");
        json(path, &["inspect", &model, "--json"])["provenance"]["settings"].clone()
    };
    assert_eq!(settings("steps")["ended_by"], "steps");
    assert_eq!(settings("steps")["epochs_run"], "1");
    assert_eq!(settings("whole")["ended_by"], Value::Null);
    // A run that goes on to its end has nothing of that any more.
    let output = run(path, &["train", "--resume=steps", "--quiet", "--json"]);
    let outcome: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert_eq!((&outcome["ended_by"], &outcome["epochs"]), (&"epochs".into(), &2.into()));
    assert_eq!(settings("steps"), settings("whole"));
}
