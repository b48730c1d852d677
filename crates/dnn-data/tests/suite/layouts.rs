//! Which folder is a class, which a part, and which is neither.

use std::fs;
use std::path::Path;

use crate::support::folders::{folder, listed, pictures};
use dnn_data::doctor::{Kind, examine_pictures};
use dnn_data::picture::Decoding;
use dnn_data::{DataError, Part, SHOW_MARKER, list_pictures};
use tempfile::TempDir;

/// A folder with a picture at each of these paths; `a{3}.jpg` stands for three pictures.
fn made(paths: &[&str]) -> TempDir {
    let mut all = Vec::new();
    for path in paths {
        match path.split_once('{').and_then(|(start, rest)| Some((start, rest.split_once('}')?))) {
            Some((start, (count, end))) => {
                let count: usize = count.parse().unwrap();
                all.extend((1..=count).map(|number| format!("{start}{number}{end}")));
            }
            None => all.push((*path).to_owned()),
        }
    }
    folder(&pictures(&all.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// The classes, and how many pictures of each are in train, validation and test.
fn counts(root: &Path) -> (Vec<String>, [Vec<usize>; 3]) {
    let listing = list_pictures(root).unwrap();
    let of = |part| {
        let count = |class| {
            let here = |one: &&dnn_data::Entry| one.part == part && one.class as usize == class;
            listing.entries.iter().filter(here).count()
        };
        (0..listing.class_names.len()).map(count).collect::<Vec<_>>()
    };
    (listing.class_names.clone(), Part::ALL.map(of))
}

#[track_caller]
fn expect(paths: &[&str], names: [&str; 2], [train, validation, test]: [[usize; 2]; 3]) {
    let folder = made(paths);
    let (found, parts) = counts(folder.path());
    assert_eq!(found, names, "{paths:?}");
    assert_eq!(parts, [train.to_vec(), validation.to_vec(), test.to_vec()], "{paths:?}");
}

/// What is left out: path, reason, number of pictures.
fn left_out(root: &Path) -> Vec<(String, &'static str, usize)> {
    let ignored = list_pictures(root).unwrap().ignored.into_iter();
    ignored.map(|one| (one.path, one.reason, one.pictures)).collect()
}

#[test]
fn words_in_the_names_of_folders_say_the_parts() {
    expect(
        &[
            "training_set/training_set/cats/cat.{6}.png",
            "training_set/training_set/dogs/dog.{6}.png",
            "test_set/test_set/cats/cat.{2}.png",
            "test_set/test_set/dogs/dog.{3}.png",
        ],
        ["cats", "dogs"],
        [[6, 6], [0, 0], [2, 3]],
    );
    let intel = [
        "seg_train/seg_train/forest/{6}.png",
        "seg_train/seg_train/sea/{5}.png",
        "seg_test/seg_test/forest/{2}.png",
        "seg_test/seg_test/sea/{1}.png",
        "seg_pred/seg_pred/{4}.png",
    ];
    expect(&intel, ["forest", "sea"], [[6, 5], [0, 0], [2, 1]]);
    let unused = left_out(made(&intel).path());
    assert_eq!((unused[0].0.as_str(), unused[0].2, unused.len()), ("seg_pred", 4, 1));
    for [train, validation, test] in [
        ["train", "valid", "test"],
        ["Training", "Validation", "TEST"],
        ["trainset", "dev", "testing"],
        ["train2017", "val2017", "test2017"],
        ["split/train", "split/val", "split/test"],
        ["images/train", "images/val", "images/test"],
        ["a/b/Training Data", "a/b/Validation Data", "a/b/Test Data"],
        ["train/train", "val/val", "test1/test1"],
    ] {
        let paths = [
            &format!("{train}/a/{{4}}.jpg"),
            &format!("{train}/b/{{3}}.jpg"),
            &format!("{validation}/a/1.jpg"),
            &format!("{test}/b/{{2}}.jpg"),
        ];
        expect(&paths.map(String::as_str), ["a", "b"], [[4, 3], [1, 0], [0, 2]]);
    }
    // Folders of annotations beside those of pictures are no folders with files.
    let folder = made(&["images/train/a/1.jpg", "images/train/b/1.jpg", "images/val/a/2.jpg"]);
    fs::create_dir_all(folder.path().join("labels/train")).unwrap();
    fs::write(folder.path().join("labels/train/1.txt"), "0").unwrap();
    assert_eq!(counts(folder.path()).1, [vec![1, 1], vec![1, 0], vec![0, 0]]);
    // Pictures of a test without labels are left out one by one.
    let folder = made(&["train/cat.{3}.jpg", "train/dog.{3}.jpg", "test1/{5}.jpg"]);
    assert_eq!(counts(folder.path()).1, [vec![3, 3], vec![0, 0], vec![0, 0]]);
    let unused = left_out(folder.path());
    assert!(unused.iter().all(|one| one.1 == "no label in its name" && one.2 == 1), "{unused:?}");
    assert_eq!(unused.len(), 5);
}

#[test]
fn a_class_may_be_called_like_the_training_part() {
    for names in
        ["{3}.jpg", "IMG_{3}.jpg", "DSC_000{3}.jpg", "train.{3}.jpg", "IMG_20200131_{3}.jpg"]
    {
        let paths = ["bus", "car", "train"].map(|class| format!("{class}/{names}"));
        let folder = made(&paths.each_ref().map(String::as_str));
        assert_eq!(
            counts(folder.path()),
            (
                ["bus", "car", "train"].map(String::from).to_vec(),
                [vec![3; 3], vec![0; 3], vec![0; 3]]
            ),
            "{names}"
        );
    }
    // With a test part beside it, or class folders in it, it is the training part.
    let folder = made(&["bus/{3}.jpg", "train/a/1.jpg", "train/b/1.jpg"]);
    assert_eq!(counts(folder.path()).0, ["a", "b"]);
    assert_eq!(left_out(folder.path()), [("bus".to_owned(), "a folder beside the parts", 3)]);
    // Words that are only a piece of the name are none, and inside a part all folders are classes.
    let folder = made(&["train_station/1.jpg", "test-tube/1.jpg", "valley/1.jpg"]);
    assert_eq!(counts(folder.path()).0, ["test-tube", "train_station", "valley"]);
    let folder =
        made(&["train/bus/1.jpg", "train/train/1.jpg", "test/bus/2.jpg", "test/train/2.jpg"]);
    assert_eq!(counts(folder.path()).1, [vec![1, 1], vec![0, 0], vec![1, 1]]);
}

#[test]
fn what_could_be_a_class_and_a_part_is_an_error_and_a_serious_finding() {
    for (paths, expected) in [
        (&["cats/1.jpg", "dogs/1.jpg", "test/cats/1.jpg", "test/dogs/1.jpg"][..], "test is called"),
        (&["pos/1.jpg", "neg/1.jpg", "validation/1.jpg"], "lies beside others (neg, pos)"),
        (&["train/cat.1.jpg", "train/dog.1.jpg", "more/cat.2.jpg"], "(more): expected parts or"),
        (&["test/a/1.jpg", "val/a/1.jpg"], "expected a folder train in"),
        (&["test1/1.jpg", "valid/1.jpg"], "found only test1, valid; name the one"),
        (
            &["trainA/1.jpg", "trainB/1.jpg", "testA/1.jpg", "testB/1.jpg"],
            "begin as those of parts",
        ),
        (&["train_other/a/1.jpg", "test_other/a/1.jpg"], "begin as those of parts"),
        (&["old/a/1.jpg", "old/b/1.jpg", "new/a/1.jpg", "new/b/1.jpg"], "in it (a, b)"),
        (&["x/x/a/1.jpg", "x/x/b/1.jpg", "y/b/1.jpg", "y/a/1.jpg", "y/c/1.jpg"], "in it (a, b)"),
        (
            &["cats/train/1.jpg", "cats/test/1.jpg", "dogs/train/1.jpg", "dogs/test/1.jpg"],
            "(test, train)",
        ),
        (
            &[
                "train/p/a/1.jpg",
                "train/p/b/1.jpg",
                "train/q/a/1.jpg",
                "train/q/b/1.jpg",
                "test/a/1.jpg",
            ],
            "p and ",
        ),
    ] {
        let folder = made(paths);
        let error = list_pictures(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{paths:?}: {error}");
        let report = examine_pictures(folder.path(), &Decoding::default()).unwrap();
        assert!(report.is_serious(), "{report:?}");
        assert_eq!(report.finding(Kind::Layout).unwrap().cases[0].detail, error);
    }
    // Folders in class folders are fine where they do not say the same of each class.
    for paths in [
        &["n01/images/1.jpg", "n02/images/1.jpg"][..],
        &["cats/a/1.jpg", "cats/b/1.jpg", "dogs/a/1.jpg"],
        &["cats/a/1.jpg", "cats/b/1.jpg", "dogs/a/1.jpg", "dogs/b/1.jpg", "dogs/1.jpg"],
    ] {
        assert_eq!(counts(made(paths).path()).0.len(), 2, "{paths:?}");
    }
}

#[test]
fn what_dnn_wrote_is_no_data() {
    let folder = made(&["a/{3}.jpg", "b/{3}.jpg"]);
    let root = folder.path();
    let before = listed(root);
    let write = |path: &str| {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), "dnn").unwrap();
    };
    for path in [
        "runs/D-1/config.json",
        "runs/D-1/history.jsonl",
        "runs/D-1/model.dnn",
        "runs/D-1/checkpoints/step-1.checkpoint",
        "runs/D-1/tensorboard/events.out.tfevents.1",
        "searches/D-1/search.json",
        "searches/D-1/trials.jsonl",
        "searches/D-1/trial-1/config.json",
        "copied run/config.json",
        "copied run/.lock",
        "copied run/curve.png",
        "b/kept/config.json",
        "b/kept/checkpoints/step-1.checkpoint",
        "models/best.dnn",
        "models/step-9.checkpoint",
        "a/model.dnn",
    ] {
        write(path);
    }
    fs::create_dir_all(root.join("seen")).unwrap();
    fs::write(root.join("seen").join(SHOW_MARKER), "").unwrap();
    fs::copy(root.join("a/1.jpg"), root.join("seen/1.png")).unwrap();
    assert_eq!(listed(root), before);
    let mut found: Vec<_> = left_out(root).into_iter().map(|(path, why, _)| (path, why)).collect();
    found.sort();
    let suffix = "its suffix is that of another kind of file";
    let expected = [
        ("a/model.dnn", suffix),
        ("b/kept", "a run folder of dnn"),
        ("copied run", "a run folder of dnn"),
        ("models", "an empty folder"),
        ("models/best.dnn", suffix),
        ("models/step-9.checkpoint", suffix),
        ("runs/D-1", "a run folder of dnn"),
        ("searches/D-1", "a search folder of dnn"),
        ("seen", "what `predict --show` wrote"),
    ];
    assert_eq!(found, expected.map(|(path, why)| (path.to_owned(), why)));
    assert_eq!(dnn_data::picture_files(root).unwrap().len(), 6);
    // A class of pictures may be called `runs`.
    fs::copy(root.join("a/1.jpg"), root.join("runs/photo.jpg")).unwrap();
    assert_eq!(
        counts(root),
        (["a", "b", "runs"].map(String::from).to_vec(), [vec![3, 3, 1], vec![0; 3], vec![0; 3]])
    );
    let error = list_pictures(&root.join("copied run")).unwrap_err().to_string();
    assert!(error.ends_with("found a run folder of dnn"), "{error}");
}

#[test]
fn pictures_that_are_left_out_are_counted_and_named_first() {
    let folder = made(&["a/{2}.jpg", "b/{2}.jpg", "holiday.JPG", "scan.tif"]);
    for hidden in [".DS_Store", "a/.DS_Store", "notes.txt", "LICENSE"] {
        fs::write(folder.path().join(hidden), "x").unwrap();
    }
    let report = examine_pictures(folder.path(), &Decoding::default()).unwrap();
    let cases = &report.finding(Kind::Ignored).unwrap().cases;
    let told: Vec<(&str, &str)> =
        cases.iter().map(|case| (case.pictures[0].path.as_str(), case.detail.as_str())).collect();
    let beside = "1 picture, beside the class folders";
    assert_eq!(told[..2], [("holiday.JPG", beside), ("scan.tif", beside)]);
    assert!(told[2..].iter().all(|(_, detail)| !detail.contains("picture")), "{told:?}");

    // A folder full of them is serious, but for one whose name says that nobody trains on it.
    let folder = made(&[
        "train/a/1.jpg",
        "train/b/2.jpg",
        "test/a/3.jpg",
        "test/b/4.jpg",
        "extra/deep/{5}.jpg",
        "unlabeled/{6}.jpg",
    ]);
    let report = examine_pictures(folder.path(), &Decoding::default()).unwrap();
    let unused = &report.finding(Kind::UnusedFolders).unwrap();
    assert!(unused.serious && unused.cases.len() == 1, "{unused:?}");
    assert_eq!(unused.cases[0].pictures[0].path, "extra");
    assert_eq!(unused.cases[0].detail, "5 pictures, a folder beside the parts");
    let aside = &report.finding(Kind::Ignored).unwrap().cases[0];
    assert!(aside.detail.starts_with("6 pictures, a folder beside the parts, "), "{aside:?}");
}

#[cfg(unix)]
#[test]
fn parts_whose_folders_are_links_to_one_pool_keep_their_pictures() {
    use std::os::unix::fs::symlink;

    let pool = made(&["pool/a/{2}.jpg", "pool/b/{3}.jpg", "pool/c/{4}.jpg"]);
    let from = pool.path().join("pool");
    let both = [vec![2, 3], vec![0, 0], vec![2, 3]];
    // Class folders that are links, into the data and out of it.
    for inside in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let root = if inside { pool.path() } else { folder.path() };
        for part in ["train", "test"] {
            fs::create_dir(root.join(part)).unwrap();
            for class in ["a", "b"] {
                symlink(from.join(class), root.join(part).join(class)).unwrap();
            }
        }
        assert_eq!(counts(root).1, both, "{inside}");
        if inside {
            assert_eq!(left_out(root), [("pool".to_owned(), "a folder beside the parts", 4)]);
            let report = examine_pictures(root, &Decoding::default()).unwrap();
            assert_eq!(report.finding(Kind::AcrossParts).unwrap().cases.len(), 5);
        }
    }
    // Parts that are links, and one that leads back to the folder that it lies in.
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    symlink(&from, root.join("train")).unwrap();
    symlink(&from, root.join("test")).unwrap();
    symlink(root, root.join("val")).unwrap();
    assert_eq!(counts(root).1, [vec![2, 3, 4], vec![0; 3], vec![2, 3, 4]]);
    assert_eq!(left_out(root), [("val".to_owned(), "a folder that is read under another path", 0)]);
    // Within one part, a folder counts once.
    let folder = made(&["train/a/1.jpg", "train/b/1.jpg", "test/a/1.jpg", "test/b/1.jpg"]);
    let root = folder.path();
    symlink(root.join("train/a"), root.join("train/b/again")).unwrap();
    symlink(root.join("test"), root.join("test/a/loop")).unwrap();
    assert_eq!(counts(root).1, [vec![1, 1], vec![0, 0], vec![1, 1]]);
}

#[cfg(unix)]
#[test]
fn pictures_of_a_pool_that_links_in_the_parts_lead_to_are_not_left_out() {
    use std::os::unix::fs::symlink;

    let folder = made(&["pool/{6}.jpg"]);
    let root = folder.path();
    for (number, place) in ["train/a", "train/a", "train/b", "test/a", "test/b"].iter().enumerate()
    {
        fs::create_dir_all(root.join(place)).unwrap();
        let name = format!("{}.jpg", number + 1);
        symlink(root.join("pool").join(&name), root.join(place).join(&name)).unwrap();
    }
    assert_eq!(counts(root).1, [vec![2, 1], vec![0, 0], vec![1, 1]]);
    // Five of six are used.
    assert_eq!(left_out(root), [("pool".to_owned(), "a folder beside the parts", 1)]);
}

#[test]
fn drawings_are_told_and_not_read() {
    let folder = made(&["a/{2}.jpg", "b/{2}.jpg"]);
    let root = folder.path();
    fs::write(root.join("a/plot.SVG"), "<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap();
    let reason = "a drawing, which is a kind that is not read";
    assert_eq!(left_out(root), [("a/plot.SVG".to_owned(), reason, 0)]);
    assert_eq!(counts(root).1[0], [2, 2]);
}

#[test]
fn names_that_differ_only_in_unicode_composition_are_one_class() {
    let (one, two) = ("caf\u{e9}", "cafe\u{301}");
    let paths = [one, two].map(|name| format!("{name}/{}.jpg", name.len()));
    let folder = made(&[&paths[0], &paths[1], "tea/1.jpg"]);
    assert_eq!(
        counts(folder.path()),
        (vec![one.to_owned(), "tea".to_owned()], [vec![2, 1], vec![0, 0], vec![0, 0]])
    );
    // In two parts, in names of files, in Hangul.
    let paths = [
        format!("train/{two}.1.jpg"),
        format!("train/{one}.2.jpg"),
        "train/tea.1.jpg".to_owned(),
        format!("test/{one}.3.jpg"),
    ];
    let folder = made(&paths.each_ref().map(String::as_str));
    assert_eq!(counts(folder.path()).1, [vec![2, 1], vec![0, 0], vec![1, 0]]);
    let folder = made(&["train/\u{ac00}/1.jpg", "train/b/1.jpg", "test/\u{1100}\u{1161}/1.jpg"]);
    assert_eq!(counts(folder.path()).1, [vec![1, 1], vec![0, 0], vec![0, 1]]);
}

#[test]
fn no_message_ends_in_an_empty_list() {
    let folder = made(&["train/{2}.jpg", "test/a/1.jpg", "test/b/1.jpg"]);
    let error = list_pictures(folder.path()).unwrap_err();
    assert!(matches!(error, DataError::ClassOnlyInTest { .. }), "{error}");
    assert!(error.to_string().contains("training part (which has no pictures)"), "{error}");
    let folder = made(&["train/{2}.jpg", "test/{2}.jpg"]);
    let error = list_pictures(folder.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("found parts with neither class folders nor labels in the names"),
        "{error}"
    );
}
