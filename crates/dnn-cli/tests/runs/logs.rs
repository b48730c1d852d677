//! What a run writes down while it goes on, and when it fails.

use std::fs;
use std::path::Path;

use crate::program::{
    checkpoints, fails, history, into, json, names, pictures, run, start, succeeds, text,
    wait_until,
};

/// As TensorBoard forgets what was said of later steps when a run starts again.
const START: &str = "start";

/// The numbers in a file of events: step, tag and value; and where a run says that it starts.
fn events(bytes: &[u8]) -> Vec<(u64, String, f32)> {
    let mut found = Vec::new();
    let mut rest = bytes;
    let checksum = |bytes: &[u8]| crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8);
    while !rest.is_empty() {
        let (head, after) = rest.split_at(12);
        let length = usize::try_from(u64::from_le_bytes(head[..8].try_into().unwrap())).unwrap();
        assert_eq!(head[8..], checksum(&head[..8]).to_le_bytes());
        let (message, after) = after.split_at(length);
        assert_eq!(after[..4], checksum(message).to_le_bytes());
        rest = &after[4..];
        let mut step = 0;
        for (number, field) in fields(message) {
            match (number, field) {
                (2, Field::Number(value)) => step = value,
                (7, Field::Bytes(_)) => found.push((step, START.to_owned(), 0.0)),
                (5, Field::Bytes(summary)) => {
                    for (_, value) in fields(summary) {
                        let Field::Bytes(value) = value else { panic!("a value is a message") };
                        let (mut tag, mut scalar) = (String::new(), f32::NAN);
                        for (number, field) in fields(value) {
                            match (number, field) {
                                (1, Field::Bytes(name)) => tag = text(name),
                                (2, Field::Four(bytes)) => scalar = f32::from_le_bytes(bytes),
                                _ => panic!("field {number} of a value"),
                            }
                        }
                        found.push((step, tag, scalar));
                    }
                }
                _ => {}
            }
        }
    }
    found
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Four([u8; 4]),
}

/// The fields of a message of protocol buffers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (first, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return value;
            }
        }
        unreachable!("a number ends")
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let mut take = |length: usize| {
            let (field, rest) = bytes.split_at(length);
            bytes = rest;
            field
        };
        let field = match key & 7 {
            1 => Field::Bytes(take(8)),
            5 => Field::Four(take(4).try_into().unwrap()),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (field, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(field)
            }
            0 => Field::Number(varint(&mut bytes)),
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

#[test]
fn the_history_is_keyed_by_step_in_three_forms() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let first = ["train", "--hidden=8", "--batch=64", "--epochs=2", "--tensorboard", "--out=run"];
    succeeds(path, &first);
    // What is kept of a run goes on with it.
    succeeds(path, &["train", "--resume=run", "--epochs=3"]);
    let folder = path.join("run/tensorboard");
    let mut told: Vec<(u64, String, f32)> = Vec::new();
    for name in names(&folder) {
        assert!(name.starts_with("events.out.tfevents."), "{name}");
        told.extend(events(&fs::read(folder.join(name)).unwrap()));
    }
    told.sort_by_key(|(step, ..)| *step);
    let records = history(&path.join("run"));
    assert_eq!(records.len(), 3);
    let csv = fs::read_to_string(path.join("run/history.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!((rows.len(), rows[0][..4].join(" ").as_str()), (4, "step epoch learning_rate cost"));
    for (index, record) in records.iter().enumerate() {
        let step = 21 * (index as u64 + 1);
        assert_eq!(record["step"], step);
        let cost = record["cost"].as_f64().unwrap();
        assert_eq!(rows[index + 1][0], step.to_string());
        assert_eq!(rows[index + 1][3].parse::<f64>().unwrap(), cost);
        let of = |tag: &str| {
            let is = |(at, name, _): &&(u64, String, f32)| (*at, name.as_str()) == (step, tag);
            told.iter().find(is).unwrap_or_else(|| panic!("{tag} at {step}: {told:?}")).2
        };
        #[expect(clippy::cast_possible_truncation, reason = "as the format has it")]
        let expected = cost as f32;
        assert_eq!(of("cost/training"), expected);
        assert!(of("accuracy/validation") > 0.05 && of("learning rate") > 0.0);
    }
}

/// The steps of a tag as TensorBoard shows them: file after file by name, and where a run starts, what was
/// said of that step and later ones goes.
fn shown(run: &Path, tag: &str) -> Vec<u64> {
    let mut steps = Vec::new();
    let folder = run.join("tensorboard");
    for name in names(&folder) {
        for (step, found, _) in events(&fs::read(folder.join(name)).unwrap()) {
            if found == START {
                steps.retain(|&before| before < step);
            } else if found == tag {
                steps.push(step);
            }
        }
    }
    steps
}

/// Attempts that were killed before their first checkpoint and between two, all within a second or so: each
/// epoch is shown, and kept in the history, once.
#[test]
fn what_a_killed_attempt_told_is_shown_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let long = ["train", "--hidden=8", "--batch=64", "--epochs=100000", "--tensorboard", "--quiet"];
    let killed = |arguments: &[&str], epochs: usize| {
        let mut child = start(path, arguments);
        // No record of an earlier attempt: that is cut away first.
        wait_until("some epochs are over", || {
            let files = names(&path.join("run/tensorboard"));
            files.last().is_some_and(|name| {
                let file = fs::read(path.join("run/tensorboard").join(name)).unwrap();
                file.windows(13).filter(|part| part == b"cost/training").count() >= epochs
            })
        });
        child.kill().unwrap();
        child.wait().unwrap();
    };
    killed(&into(&long, "run"), 5);
    killed(&["train", "--resume=run", "--quiet"], 2);
    succeeds(path, &["train", "--resume=run", "--steps=50", "--quiet"]);
    killed(&["train", "--resume=run", "--quiet"], 4);
    succeeds(path, &["train", "--resume=run", "--epochs=6", "--quiet"]);
    succeeds(path, &["train", "--resume=run", "--epochs=6", "--quiet"]);
    assert!(names(&path.join("run/tensorboard")).len() >= 5);
    let expected: Vec<u64> = (1..=6).map(|epoch| 21 * epoch).collect();
    for tag in ["cost/training", "accuracy/validation"] {
        assert_eq!(shown(&path.join("run"), tag), expected, "{tag}");
    }
    let records = history(&path.join("run"));
    let steps: Vec<u64> = records.iter().map(|record| record["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, expected);
    assert_eq!(fs::read_to_string(path.join("run/history.csv")).unwrap().lines().count(), 7);
}

#[test]
fn a_learning_rate_is_suggested_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let find = ["train", "--find-lr", "--hidden=32"];
    let (curve, _) = succeeds(path, &find);
    assert!(curve.contains("learning rate ") && curve.contains("falls fastest"), "{curve}");
    assert!(names(path).is_empty(), "nothing is left: {:?}", names(path));
    let told = json(path, &[&find[..], &["--json", "--out=found"]].concat());
    let rate = told["suggestion"].as_f64().unwrap();
    assert!((1e-3..10.0).contains(&rate), "{rate}");
    assert!(told["points"].as_array().unwrap().len() > 50);
    let drawing = fs::read_to_string(path.join("found/learning-rate.svg")).unwrap();
    assert!(drawing.contains("suggested"), "{drawing}");
    // The rate is one that works.
    let rate = format!("--learning-rate={rate}");
    let outcome = json(path, &["train", "--hidden=32", "--epochs=10", &rate, "--json"]);
    assert!(outcome["test"]["accuracy"].as_f64().unwrap() > 0.9, "{outcome}");
}

/// T6: layer, step, batch and files are named, and the last good state is there.
#[test]
fn a_run_that_diverges_names_the_files_of_its_batch_and_keeps_the_last_good_state() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    pictures(&path.join("photos"), 20);
    let far = ["train", "photos", "--size=8", "--hidden=4", "--batch=8", "--optimizer=sgd"];
    let diverging =
        [&far[..], &["--learning-rate=1e30", "--checkpoint-every=1", "--out=run"]].concat();
    let output = run(path, &diverging);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(
        said.contains(" of dense2 ") && said.contains("stopped being finite at step"),
        "{said}"
    );
    assert!(said.contains("epoch 1, batch "), "{said}");
    assert!(said.contains("run/last-good.dnn holds the weights from before that step"), "{said}");
    assert!(said.contains("the batch was ") && said.contains(".png"), "{said}");
    assert!(run(path, &["inspect", "run/last-good.dnn"]).status.success());
    assert!(!path.join("run/model.dnn").exists());
    assert!(!checkpoints(&path.join("run")).is_empty(), "what was saved stays");
}

#[test]
fn a_run_folder_that_cannot_be_written_is_told_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("file"), "x").unwrap();
    fails(path, &["train", "--out=file/run"], 4, "cannot make the folder file/run");
    fails(path, &["train", "--out=file"], 4, "cannot make the folder file");
}
