//! `dnn evaluate` on data that has some of a model's classes.

use serde_json::Value;
use tempfile::TempDir;

use crate::effect::idx;
use crate::made::{class, fails, succeeds};

/// `data` with three classes and a model of it, and test sets with some of them.
fn three_classes() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (name, sides, bright) in [("a", [9, 7], true), ("b", [9, 7], false), ("c", [9, 7], true)] {
        class(&here.join("data").join(name), sides, bright, 10);
    }
    succeeds(here, &["train", "data", "--hidden=8", "--epochs=30", "--out=run"]);
    for (set, names) in [("ab", &["a", "b"][..]), ("bc", &["b", "c"]), ("ac", &["a", "c"])] {
        for name in names {
            class(&here.join(set).join(name), [9, 7], *name != "b", 4);
        }
    }
    folder
}

#[test]
fn labels_are_found_by_their_names() {
    let folder = three_classes();
    let here = folder.path();
    let measured = |set: &str| -> Value {
        let output = succeeds(here, &["evaluate", "run", set, "--metrics", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for (set, present) in [("ab", [4, 4, 0]), ("bc", [0, 4, 4]), ("ac", [4, 0, 4])] {
        let told = measured(set);
        assert_eq!(told["data"]["examples"], 8, "{set}: {told}");
        let classes = told["data"]["metrics"]["classes"].as_array().unwrap();
        let support: Vec<u64> =
            classes.iter().map(|one| one["support"].as_u64().unwrap()).collect();
        assert_eq!(support, present, "{set}");
        if set != "ac" {
            // Night is the dark class, wherever it stands among those of the set.
            let recall = &classes[1]["recall"];
            assert_eq!(recall, 1.0, "{set}: {told}");
        }
    }
}

#[test]
fn only_a_class_that_the_model_does_not_have_is_refused() {
    let folder = three_classes();
    let here = folder.path();
    class(&here.join("more/b"), [9, 7], false, 4);
    class(&here.join("more/x"), [9, 7], true, 4);
    let message = "expected the classes of the model (a, b, c), found x too";
    fails(here, &["evaluate", "run", "more"], 3, message);
    // Arrays name the classes up to their largest label; the model has to know those with examples.
    idx(&here.join("arrays"), "train", 30);
    succeeds(here, &["train", "arrays", "--hidden=none", "--epochs=1", "--out=numbers"]);
    let labels = here.join("test/t10k-labels-idx1-ubyte");
    idx(&here.join("test"), "t10k", 2);
    std::fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 2, 2, 2]).unwrap();
    succeeds(here, &["evaluate", "numbers", "test"]);
    std::fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 2, 5, 2]).unwrap();
    fails(here, &["evaluate", "numbers", "test"], 3, "found 5 too");
}
