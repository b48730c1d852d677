//! `dnn predict`: where `--show` writes, and what it says of it.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::made::{fails, picture, succeeds, with_model};
use crate::support::{code, text};

/// The model and this input.
fn predict(folder: &Path, more: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dnn"))
        .args(["predict", "run/model.dnn"])
        .args(more)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments does not wait for the input.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[test]
fn show_into_the_folder_of_the_pictures_leaves_them_as_they_are() {
    let folder = with_model();
    let here = folder.path();
    let original = picture([30, 20], true, 1);
    fs::create_dir(here.join("photos")).unwrap();
    for name in ["cat.png", "dog.png", "dog-2.png"] {
        fs::write(here.join("photos").join(name), &original).unwrap();
    }
    let inputs = ["predict", "run/model.dnn", "photos/cat.png", "photos/dog.png", "--show=photos"];
    let unchanged = || {
        for name in ["cat.png", "dog.png", "dog-2.png"] {
            assert_eq!(fs::read(here.join("photos").join(name)).unwrap(), original, "{name}");
        }
    };
    let output = succeeds(here, &[&inputs[..], &["--csv"]].concat());
    let csv = text(&output.stdout);
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows[0].ends_with(",shown"), "{csv}");
    assert!(rows[1].ends_with(",photos/cat-2.png"), "{csv}");
    assert!(rows[2].ends_with(",photos/dog-3.png"), "{csv}");
    unchanged();
    let first = fs::read(here.join("photos/cat-2.png")).unwrap();
    // Another call writes over nothing of the first one.
    succeeds(here, &inputs);
    assert!(here.join("photos/cat-3.png").exists() && here.join("photos/dog-4.png").exists());
    assert_eq!(fs::read(here.join("photos/cat-2.png")).unwrap(), first);
    // Told to replace, it replaces what it does not read: of dog-2.png nobody asked here.
    fs::remove_file(here.join("photos/dog-2.png")).unwrap();
    fs::write(here.join("photos/cat-2.png"), "old").unwrap();
    let output = succeeds(here, &[&inputs[..], &["--overwrite", "--json"]].concat());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["predictions"][0]["shown"], "photos/cat-2.png");
    assert_eq!(told["predictions"][1]["shown"], "photos/dog-2.png");
    assert_eq!(fs::read(here.join("photos/cat-2.png")).unwrap(), first);
    assert_eq!(fs::read(here.join("photos/cat.png")).unwrap(), original);
}

#[test]
fn pictures_of_one_name_are_shown_under_different_ones() {
    let folder = with_model();
    let here = folder.path();
    let inputs = ["data/day/1.png", "data/night/1.png", "data/day/1.png"];
    let output =
        succeeds(here, &[&["predict", "run/model.dnn"], &inputs[..], &["--show", "a/b"]].concat());
    let table = text(&output.stdout);
    for (row, name) in table.lines().skip(1).zip(["a/b/1.png", "a/b/1-2.png", "a/b/1-3.png"]) {
        assert!(row.ends_with(name), "{table}");
    }
    assert!(table.lines().next().unwrap().ends_with("  shown"), "{table}");
    let table = text(&succeeds(here, &["predict", "run/model.dnn", "data/day/1.png"]).stdout);
    assert!(!table.contains("shown"), "{table}");
}

#[cfg(unix)]
#[test]
fn show_does_not_write_through_a_link() {
    let folder = with_model();
    let here = folder.path();
    fs::create_dir(here.join("seen")).unwrap();
    fs::write(here.join("precious"), "text").unwrap();
    std::os::unix::fs::symlink("../precious", here.join("seen/1.png")).unwrap();
    for more in [&[][..], &["--overwrite"]] {
        let shown = ["predict", "run/model.dnn", "data/day/1.png", "--show=seen"];
        succeeds(here, &[&shown[..], more].concat());
        assert_eq!(fs::read_to_string(here.join("precious")).unwrap(), "text");
        assert!(here.join("seen/1-2.png").exists());
    }
    assert!(!here.join("seen/1-3.png").exists(), "the second call replaced the first one's");
}

#[test]
fn one_picture_comes_from_standard_input() {
    let folder = with_model();
    let here = folder.path();
    let bright = picture([20, 20], true, 3);
    let output = predict(here, &["-", "--json", "--show=seen"], &bright);
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    fs::write(here.join("same.png"), &bright).unwrap();
    let same = succeeds(here, &["predict", "run/model.dnn", "same.png", "--json"]);
    let same: Value = serde_json::from_slice(&same.stdout).unwrap();
    let (told, same) = (&told["predictions"][0], &same["predictions"][0]);
    assert_eq!(told["probabilities"], same["probabilities"]);
    assert_eq!((&told["file"], &told["shown"]), (&"-".into(), &"seen/standard-input.png".into()));
    // Beside files, too.
    let output = predict(here, &["data/day/1.png", "-", "--csv"], &bright);
    assert_eq!(text(&output.stdout).lines().count(), 3, "{}", text(&output.stderr));
    for (arguments, input, expected, message) in [
        (&["-"][..], &b""[..], 3, "standard input: expected a picture of at most"),
        (&["-"], b"<html>", 3, "standard input: expected a picture"),
        (&["-", "-"], &bright, 2, "standard input has one picture"),
    ] {
        let output = predict(here, arguments, input);
        let error = text(&output.stderr);
        assert_eq!(code(&output), expected, "{error}");
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn bad_files_is_the_flag_of_predict_as_of_the_others() {
    let folder = with_model();
    let here = folder.path();
    fs::write(here.join("bad.png"), "<html>").unwrap();
    let inputs = ["predict", "run/model.dnn", "bad.png", "data/day/1.png"];
    fails(here, &inputs, 3, "bad.png: expected a picture");
    let output = crate::support::dnn(here, &[&inputs[..], &["--bad-files", "skip"]].concat());
    assert_eq!((code(&output), text(&output.stdout).lines().count()), (7, 2));
    fails(here, &[&inputs[..], &["--bad-files", "quarantine"]].concat(), 2, "possible values");
    fails(here, &[&inputs[..], &["--overwrite"]].concat(), 2, "--show");
}

#[test]
fn columns_stand_under_each_other_in_any_script() {
    let folder = with_model();
    let here = folder.path();
    for name in ["猫の写真.png", "e\u{301}te\u{301}.png", "plain.png"] {
        fs::write(here.join(name), picture([9, 7], true, 1)).unwrap();
    }
    let files = ["猫の写真.png", "e\u{301}te\u{301}.png", "plain.png"];
    let output = succeeds(here, &[&["predict", "run/model.dnn"], &files[..]].concat());
    let table = text(&output.stdout);
    let rows: Vec<&str> = table.lines().skip(1).collect();
    // Twelve columns: four characters of two, and `.png`.
    assert!(rows[0].starts_with("猫の写真.png        1  "), "{table}");
    assert!(rows[1].starts_with("e\u{301}te\u{301}.png             1  "), "{table}");
    assert!(rows[2].starts_with("plain.png           1  "), "{table}");
}

#[test]
fn explain_draws_beside_what_is_there_and_says_where() {
    let folder = with_model();
    let here = folder.path();
    fs::create_dir(here.join("photos")).unwrap();
    for name in ["cat.png", "dog.png"] {
        fs::write(here.join("photos").join(name), picture([30, 20], true, 1)).unwrap();
    }
    let inputs = ["predict", "run/model.dnn", "photos/cat.png", "photos/dog.png"];
    let csv = text(&succeeds(here, &[&inputs[..], &["--csv", "--explain"]].concat()).stdout);
    let rows: Vec<&str> = csv.lines().collect();
    assert!(rows[0].ends_with(",explained"), "{csv}");
    assert!(rows[1].ends_with(",explained/cat-explained.png"), "{csv}");
    assert!(here.join("explained/.dnn-show").is_file());
    // 6 x 5 pixels 43 times as large, twice, and what the answer was.
    let file = fs::read(here.join("explained/cat-explained.png")).unwrap();
    let side = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
    assert_eq!((side(16), side(20)), (2 * 6 * 43 + 8, 5 * 43));
    let said = String::from_utf8_lossy(&file).into_owned();
    let class = rows[1].split(',').nth(2).unwrap();
    assert!(said.contains(&format!("iTXtTitle\0\0\0\0\0{class}, ")), "{class}");
    assert!(said.contains("(gradient of the input)"));
    // Both kinds of drawings, into one folder, twice.
    let both = [&inputs[..], &["--show=drawn", "--explain=drawn", "--json"]].concat();
    for again in ["", "-2"] {
        let told: Value = serde_json::from_slice(&succeeds(here, &both).stdout).unwrap();
        let first = &told["predictions"][0];
        assert_eq!(first["shown"], format!("drawn/cat{again}.png"));
        assert_eq!(first["explained"], format!("drawn/cat-explained{again}.png"));
    }
    let replacing = [&both[..], &["--overwrite"]].concat();
    let told: Value = serde_json::from_slice(&succeeds(here, &replacing).stdout).unwrap();
    assert_eq!(told["predictions"][1]["explained"], "drawn/dog-explained.png");
    let table = text(&succeeds(here, &[&inputs[..], &["--show=a", "--explain=b"]].concat()).stdout);
    assert!(table.lines().next().unwrap().ends_with("  shown      explained"), "{table}");
    assert!(table.lines().nth(1).unwrap().ends_with("  a/cat.png  b/cat-explained.png"), "{table}");
    let asked = ["predict", "run/model.dnn", "photos/dog.png", "--explain", "photos/cat.png"];
    fails(here, &asked, 2, "give --explain after the pictures");
}

#[test]
fn explain_follows_the_convolutions_of_a_model() {
    let folder = with_model();
    let here = folder.path();
    let train = ["train", "data", "--size=8", "--network=conv:4,4", "--epochs=1", "--out=convs"];
    succeeds(here, &train);
    succeeds(here, &["predict", "convs/model.dnn", "data/day/1.png", "--explain=why"]);
    let file = fs::read(here.join("why/1-explained.png")).unwrap();
    let said = String::from_utf8_lossy(&file).into_owned();
    assert!(said.contains("(Grad-CAM of activation2)"), "no convolution explained it");
}
