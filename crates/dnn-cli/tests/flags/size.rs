//! The size that pictures get where nobody says.

use std::fs;

use serde_json::Value;

use crate::made::{class, fails, picture, succeeds};
use crate::support::text;

#[test]
fn small_pictures_of_one_size_keep_it_and_others_get_64() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (data, sides, expected) in [
        ("small", [32, 32], "pictures get 32x32, which is their own size; --size gives another"),
        ("oblong", [20, 12], "pictures get 20x12, which is their own size"),
        ("limit", [64, 64], "pictures get 64x64, which is their own size"),
        ("large", [65, 65], "pictures get 64x64, since they have no common size up to 64x64"),
        ("wide", [65, 3], "pictures get 64x64, since they have no common size up to 64x64"),
    ] {
        class(&here.join(data).join("day"), sides, true, 8);
        class(&here.join(data).join("night"), sides, false, 8);
        let output = succeeds(here, &["train", data, "--hidden=2", "--epochs=1"]);
        let said = text(&output.stderr);
        assert!(said.contains(expected), "{data}: {said}");
    }
    // One picture of another size anywhere, and there is no size of their own.
    fs::write(here.join("small/night/7.png"), picture([31, 32], false, 9)).unwrap();
    let output = succeeds(here, &["train", "small", "--hidden=2", "--epochs=1"]);
    assert!(text(&output.stderr).contains("pictures of 64x64x3"), "{}", text(&output.stderr));
    // With a size, nothing is said of it.
    let output = succeeds(here, &["train", "oblong", "--size=8", "--hidden=2", "--epochs=1"]);
    assert!(!text(&output.stderr).contains("pictures get"), "{}", text(&output.stderr));
}

#[test]
fn the_size_that_was_chosen_is_recorded_as_if_it_had_been_given() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    class(&here.join("data/day"), [12, 10], true, 10);
    class(&here.join("data/night"), [12, 10], false, 10);
    // A file that is no picture has no say.
    fs::write(here.join("data/day/0.png"), "<html>").unwrap();
    fs::remove_file(here.join("data/day/0.png")).unwrap();
    let train = ["train", "data", "--hidden=4", "--epochs=2"];
    succeeds(here, &[&train[..], &["--out=unset"]].concat());
    succeeds(here, &[&train[..], &["--out=given", "--size=12x10"]].concat());
    let model = |run: &str| fs::read(here.join(run).join("model.dnn")).unwrap();
    assert!(model("unset") == model("given"), "one model, provenance and all");
    let report: Value =
        serde_json::from_slice(&fs::read(here.join("given/data.json")).unwrap()).unwrap();
    assert_eq!(report["cache"], "hit", "one key in the cache");
    let shown = text(&succeeds(here, &["inspect", "unset"]).stdout);
    assert!(shown.contains("preprocessing  10x12x3 stretch bilinear\n"), "{shown}");
    assert!(text(&succeeds(here, &["verify", "unset"]).stdout).starts_with("same"));
    // New pictures of another size do not change what the run was begun with.
    fails(
        here,
        &["train", "--resume=unset", "--size=8", "--epochs=3"],
        2,
        "--size: expected 12x10",
    );
    succeeds(here, &["train", "--resume=unset", "--epochs=3"]);
    succeeds(here, &[&train[..1], &["data", "--hidden=4", "--epochs=3", "--out=longer"]].concat());
    assert!(model("unset") == model("longer"));
    // All trials of a search have the size that was found once.
    let search = ["search", "data", "--grid", "--epochs=1", "--try=hidden=2|3", "--out=search"];
    succeeds(here, &search);
    let shown = text(&succeeds(here, &["inspect", "search/trial-001"]).stdout);
    assert!(shown.contains("preprocessing  10x12x3 stretch bilinear\n"), "{shown}");
}
