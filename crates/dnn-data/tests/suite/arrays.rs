//! Data sets stored as arrays: CIFAR-10, `.npz` and `.h5`, whole, odd and hostile.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use crate::support::Draws;
use dnn_data::{DataError, Dataset, ImageShape, load_arrays};
use tempfile::TempDir;
use zip::write::{SimpleFileOptions, ZipWriter};

/// A `.npy` file.
fn npy(descr: &str, fortran: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let length = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), values].concat()
}

/// Unsigned bytes in row-major order.
fn bytes(shape: &str, values: &[u8]) -> Vec<u8> {
    npy("|u1", "False", shape, values)
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        zip.write_all(array).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn load(path: &Path) -> Dataset {
    load_arrays(path).unwrap().unwrap().0
}

/// Loads these bytes as `set.npz`.
fn load_npz(file: &[u8]) -> Result<Dataset, DataError> {
    let folder = folder();
    let path = folder.path().join("set.npz");
    fs::write(&path, file).unwrap();
    load_arrays(&path).map(|found| found.unwrap().0)
}

/// The message, without the path.
fn refused(arrays: &[(&str, Vec<u8>)]) -> String {
    let message = load_npz(&npz(arrays)).unwrap_err().to_string();
    message.split_once("set.npz: ").map_or(message.clone(), |(_, reason)| reason.to_owned())
}

/// Two pictures of 1x2, grey, of the classes 1 and 0.
fn pair() -> Vec<(&'static str, Vec<u8>)> {
    vec![("x_train", bytes("(2, 1, 2)", &[1, 2, 3, 4])), ("y_train", bytes("(2,)", &[1, 0]))]
}

#[test]
fn the_names_of_keras_and_of_others_are_read() {
    let mut arrays = pair();
    arrays.push(("x_test", bytes("(1, 1, 2)", &[5, 6])));
    arrays.push(("y_test", bytes("(1,)", &[1])));
    let set = load_npz(&npz(&arrays)).unwrap();
    assert_eq!((set.name.as_str(), set.train.labels()), ("set", &[1, 0][..]));
    assert_eq!(set.train.pixels().t().to_slice().unwrap(), [1, 2, 3, 4]);
    assert_eq!((set.train.class_names(), set.validation), (&["0".into(), "1".into()][..], None));
    assert_eq!(set.test.unwrap().labels(), [1]);

    let wide: Vec<u8> = [1_i64, 0].iter().flat_map(|label| label.to_be_bytes()).collect();
    let names: Vec<u8> =
        "cat\0dög\0".chars().flat_map(|letter| (letter as u32).to_le_bytes()).collect();
    let arrays = [
        // The first index moves fastest: value (m, y, x, c) lies at m + 2 y + 4 x + 4 c.
        ("train_images", npy("|u1", "True", "(2, 2, 1, 2)", &[1, 5, 3, 7, 2, 6, 4, 8])),
        ("train_labels", npy(">i8", "False", "(2, 1)", &wide)),
        ("val_images", bytes("(1, 2, 1, 2)", &[9, 9, 9, 9])),
        ("val_labels", npy("<u2", "False", "(1,)", &[1, 0])),
        ("class_names", npy("<U4", "False", "(2,)", &names)),
    ];
    let set = load_npz(&npz(&arrays)).unwrap();
    assert_eq!(set.train.shape(), ImageShape { height: 2, width: 1, channels: 2 });
    assert_eq!(set.train.pixels().t().to_slice().unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((set.train.labels(), set.validation.unwrap().labels()), (&[1, 0][..], &[1][..]));
    assert_eq!(set.train.class_names(), ["cat", "dög"]);
}

#[test]
fn a_folder_of_arrays_is_one_set_and_its_files_say_the_parts() {
    let folder = folder();
    let of = |values| [("x", bytes("(1, 1, 2)", values)), ("y", bytes("(1,)", &[0]))];
    fs::write(folder.path().join("my-train.npz"), npz(&of(&[1, 2]))).unwrap();
    fs::write(folder.path().join("my-test.npz"), npz(&of(&[3, 4]))).unwrap();
    fs::write(folder.path().join("notes.txt"), "read me").unwrap();
    let set = load(folder.path());
    assert_eq!(set.train.pixels().t().to_slice().unwrap(), [1, 2]);
    assert_eq!(set.test.unwrap().pixels().t().to_slice().unwrap(), [3, 4]);
    // One of them alone is the data.
    let set = load(&folder.path().join("my-test.npz"));
    assert_eq!((set.train.pixels().t().to_slice().unwrap(), set.test), (&[3, 4][..], None));
}

#[test]
fn beside_pictures_or_folders_arrays_are_not_the_data() {
    let folder = folder();
    fs::write(folder.path().join("features.npz"), npz(&pair())).unwrap();
    assert!(load_arrays(folder.path()).unwrap().is_some());
    // What our own runs leave there is no other data.
    fs::create_dir_all(folder.path().join("runs/x-1")).unwrap();
    for name in ["config.json", "history.jsonl"] {
        fs::write(folder.path().join("runs/x-1").join(name), "{}").unwrap();
    }
    assert!(load_arrays(folder.path()).unwrap().is_some());
    fs::create_dir(folder.path().join("cats")).unwrap();
    assert!(load_arrays(folder.path()).unwrap().is_none());
    fs::remove_dir(folder.path().join("cats")).unwrap();
    fs::write(folder.path().join("cat.1.JPG"), "").unwrap();
    assert!(load_arrays(folder.path()).unwrap().is_none());
    assert!(load_arrays(&folder.path().join("cat.1.JPG")).unwrap().is_none());
    let missing = load_arrays(&folder.path().join("none.npz")).unwrap_err();
    assert!(missing.is_io() && missing.to_string().starts_with("no such file"), "{missing}");
}

#[test]
fn arrays_of_other_names_are_named() {
    let folder = folder();
    let mut arrays = pair();
    arrays.push(("weights", npy("<f8", "False", "(1,)", &[0; 8])));
    fs::write(folder.path().join("set.npz"), npz(&arrays)).unwrap();
    let (_, ignored) = load_arrays(folder.path()).unwrap().unwrap();
    assert_eq!(ignored.len(), 1);
    assert!(ignored[0].path.ends_with("set.npz:weights"), "{ignored:?}");
    assert_eq!(ignored[0].reason, "an array of another name");
}

#[test]
fn what_is_missing_or_ambiguous_is_named() {
    let [x, y] = <[_; 2]>::try_from(pair()).unwrap();
    assert_eq!(
        refused(std::slice::from_ref(&x)),
        "array x_train: expected its labels in an array named like y_train or train_labels, found none"
    );
    assert!(refused(std::slice::from_ref(&y)).starts_with("array y_train: expected its pictures"));
    let message = refused(&[("a", x.1.clone()), ("b", y.1.clone())]);
    assert!(message.starts_with("expected arrays named like x_train and y_train in "), "{message}");
    assert!(message.ends_with("set.npz, found a, b"), "{message}");
    let message = refused(&[x.clone(), y.clone(), ("train_images", x.1.clone())]);
    assert!(message.ends_with("has the same meaning (train pictures)"), "{message}");
    let message = refused(&[x, y, ("x_val", bytes("(1, 1, 2)", &[0, 0]))]);
    assert!(message.contains("named like y_validation"), "{message}");
}

#[test]
fn values_that_are_no_pixels_or_labels_are_refused() {
    let [x, y] = <[_; 2]>::try_from(pair()).unwrap();
    for (array, reason) in [
        (npy("<f4", "False", "(2, 1, 2)", &[0; 16]), "real numbers; pixels are unsigned bytes"),
        (npy("|O", "False", "(2, 1, 2)", b"cos\nsystem\n"), "Python objects, which are never read"),
        (npy("<i8", "False", "(2, 1, 2)", &[0; 32]), "expected unsigned bytes"),
        (bytes("(4,)", &[0; 4]), "found 1"),
        (bytes("(0, 1, 2)", &[]), "at least one example"),
        (bytes("(2, 0, 2)", &[]), "1x1x1 or more"),
        (bytes("(2, 3, 1, 5)", &[0; 30]), "move the channels to the end"),
        (bytes("(3, 1, 2)", &[0; 6]), "expected 3 labels, one for each picture, found 2"),
        (bytes("(2, 1, 2)", &[0; 3]), "its header says 4 bytes, found 3"),
        (bytes("(2, 1, 2)", &[0; 5]), "its header says 4 bytes, found 5 or more"),
        (bytes("(2, 1099511627776)", &[]), "its header says 2199023255552"),
        (bytes("(1, 2, 1000000000)", &[]), "cannot hold the 2000000000 its header says"),
        (bytes("(9223372036854775807, 9, 9)", &[]), "sizes that can be addressed"),
        (b"\x93NUMPY\x09\x00".to_vec(), "version 1, 2 or 3 of .npy, found 9"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "header of at most 65536 bytes"),
        (b"not an array".to_vec(), "something else"),
        (Vec::new(), "its header cannot be read"),
    ] {
        let found = refused(&[("x_train", array), y.clone()]);
        assert!(found.contains(reason), "expected {reason}, found {found}");
    }
    for (array, reason) in [
        (npy("<i2", "False", "(2,)", &[255, 255, 0, 0]), "found -1 at example 0"),
        (npy("<i4", "False", "(2,)", &[0, 0, 0, 0, 0, 0, 1, 0]), "found 65536 at example 1"),
        (npy("<u8", "False", "(2,)", &[255; 16]), "63 bits"),
        (npy("|S1", "False", "(2,)", b"ab"), "found texts"),
        (bytes("(2, 2)", &[0; 4]), "the sizes (m) or (m, 1), found [2, 2]"),
        (bytes("()", &[0]), "the sizes (m) or (m, 1), found []"),
    ] {
        let found = refused(&[x.clone(), ("y_train", array)]);
        assert!(found.contains(reason), "expected {reason}, found {found}");
    }
    let names = |values| npy("|S2", "False", "(1,)", values);
    let found = refused(&[x.clone(), y.clone(), ("classes", names(b"a\0"))]);
    assert!(found.contains("expected labels below 1"), "{found}");
    let found = refused(&[x.clone(), y.clone(), ("classes", bytes("(2,)", &[0, 1]))]);
    assert!(found.contains("expected names, found numbers"), "{found}");
    let both = [x, y, ("classes", names(b"a\0")), ("class_names", names(b"b\0"))];
    assert!(refused(&both).contains("not those of another array"));
}

/// Cut and changed files are refused or read as something else, and nothing panics.
fn survives(whole: &[u8], name: &str, changes: u64) {
    let folder = folder();
    let path = folder.path().join(name);
    let mut refused = 0;
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert!(load_arrays(&path).is_err(), "{name} cut to {end} of {}", whole.len());
    }
    for seed in 0..changes {
        let mut draws = Draws::new(seed);
        let mut changed = whole.to_vec();
        for _ in 0..=draws.below(8) {
            let place = draws.below(changed.len());
            changed[place] = draws.byte();
        }
        fs::write(&path, changed).unwrap();
        refused += u64::from(load_arrays(&path).is_err());
    }
    assert!(refused > changes / 10, "{name}: {refused} of {changes} refused");
}

#[test]
fn damaged_npz_files_never_panic() {
    survives(&npz(&pair()), "set.npz", 3000);
}

/// A batch of pictures whose values follow from the label and the place.
fn batch(labels: &[u8]) -> Vec<u8> {
    let values = (0..3072_u32).map(|place| u8::try_from(place / 1024 * 80 + place % 64).unwrap());
    let values: Vec<u8> = values.collect();
    labels.iter().flat_map(|&label| [&[label][..], &values].concat()).collect()
}

fn write_cifar(folder: &Path) {
    for number in 1..=5 {
        let path = folder.join(format!("data_batch_{number}.bin"));
        fs::write(path, batch(&[number, 0])).unwrap();
    }
}

#[test]
fn cifar_is_read_from_planes_and_five_batches() {
    let folder = folder();
    write_cifar(folder.path());
    let set = load(folder.path());
    assert_eq!(set.train.shape(), ImageShape { height: 32, width: 32, channels: 3 });
    assert_eq!(set.train.labels(), [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
    assert_eq!((set.train.class_names().len(), &set.test), (10, &None));
    // Row 0, column 3; row 1, column 1.
    let first = set.train.pixels().column(0).to_vec();
    assert_eq!((&first[9..12], &first[99..102]), (&[3, 83, 163][..], &[33, 113, 193][..]));
    fs::write(folder.path().join("test_batch.bin"), batch(&[5])).unwrap();
    let names: Vec<String> = (0..10).map(|class| format!("name {class}")).collect();
    fs::write(folder.path().join("batches.meta.txt"), names.join("\n") + "\n\n").unwrap();
    let set = load(folder.path());
    assert_eq!(set.test.unwrap().labels(), [5]);
    assert_eq!(set.train.class_names(), names);
    // As the archive has it: a folder further down.
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("cifar-10-batches-bin");
    fs::create_dir(&inner).unwrap();
    write_cifar(&inner);
    assert_eq!(load(outer.path()).train.len(), 10);
}

#[test]
fn cifar_that_is_not_whole_is_refused() {
    let folder = folder();
    write_cifar(folder.path());
    let message = || load_arrays(folder.path()).unwrap_err().to_string();
    let third = folder.path().join("data_batch_3.bin");
    for (content, reason) in [
        (batch(&[10]), "expected labels below 10, the number of classes, found 10 at example 4"),
        (batch(&[1])[1..].to_vec(), "of 3073 bytes each, at least one, found 3072 bytes in all"),
        (Vec::new(), "of 3073 bytes each, at least one, found 0 bytes in all"),
    ] {
        fs::write(&third, content).unwrap();
        let found = message();
        assert!(found.contains("data_batch_3.bin: ") && found.ends_with(reason), "{found}");
    }
    fs::remove_file(&third).unwrap();
    assert!(message().contains("data_batch_3.bin beside "), "{}", message());
}

#[cfg(feature = "hdf5")]
mod hdf5 {
    use super::*;

    // 12 pictures of 4x4x3 whose values are 37 i mod 256, labels i mod 3, made with h5py: one file in
    // the oldest version of the format (chunks, shuffled, deflated; big-endian labels), one in the newest.
    const CHUNKED: &[u8] = include_bytes!("../fixtures/chunked.h5");
    const NEWEST: &[u8] = include_bytes!("../fixtures/newest.h5");

    fn expected() -> Vec<u8> {
        (0..12 * 48).map(|i| u8::try_from(37 * i % 256).unwrap()).collect()
    }

    #[test]
    fn old_and_new_files_are_read() {
        let folder = folder();
        let path = folder.path().join("chunked.h5");
        fs::write(&path, CHUNKED).unwrap();
        let (set, ignored) = load_arrays(&path).unwrap().unwrap();
        assert_eq!(set.train.pixels().t().to_slice().unwrap(), &expected()[..8 * 48]);
        assert_eq!(set.train.labels(), [0, 1, 2, 0, 1, 2, 0, 1]);
        let test = set.test.unwrap();
        assert_eq!(test.pixels().t().to_slice().unwrap(), &expected()[8 * 48..]);
        assert_eq!(
            (test.labels(), test.class_names()),
            (&[2, 0, 1, 2][..], set.train.class_names())
        );
        assert_eq!(test.class_names(), ["cat", "dog", "bird"]);
        assert!(ignored.len() == 1 && ignored[0].path.ends_with(":weights"), "{ignored:?}");
        let path = folder.path().join("newest.hdf5");
        fs::write(&path, NEWEST).unwrap();
        let set = load(&path);
        assert_eq!(set.train.pixels().t().to_slice().unwrap(), expected());
        assert_eq!(set.train.class_names(), ["cat", "dog", "bird"]);
    }

    // Made by tests/fixtures/arrays.py with h5py 3.16.
    //
    // 24 pictures of 8x8x1, picture i of label i % 3 with 90 (i % 3) + i + row, shuffled and packed by LZF to
    // less than their size, behind a user block of 1024 bytes; whether the label is 1 as truth values.
    const PACKED: &[u8] = include_bytes!("../fixtures/packed.h5");
    // 4 pictures of 2x2x1; big-endian labels 20, 10, -3, 10 of the enumeration dog 20, cat 10, bird -3.
    const ENUMERATION: &[u8] = include_bytes!("../fixtures/enumeration.h5");
    // Their labels, and a link to another file for them.
    const LINKED: &[u8] = include_bytes!("../fixtures/linked.h5");
    // Pictures and labels in a group.
    const GROUPED: &[u8] = include_bytes!("../fixtures/grouped.h5");

    fn load_h5(bytes: &[u8]) -> Result<(Dataset, Vec<dnn_data::Ignored>), DataError> {
        let folder = folder();
        let path = folder.path().join("set.h5");
        fs::write(&path, bytes).unwrap();
        load_arrays(&path).map(Option::unwrap)
    }

    #[test]
    fn what_lzf_packed_is_unpacked() {
        let (set, _) = load_h5(PACKED).unwrap();
        let expected: Vec<u8> = (0..24 * 64)
            .map(|i| (i / 64, i % 64 / 8))
            .map(|(picture, row)| u8::try_from(picture % 3 * 90 + picture + row).unwrap())
            .collect();
        let is_plain = PACKED.windows(64).any(|bytes| *bytes == expected[..64]);
        assert!(!is_plain, "it is stored as it is, not packed");
        assert_eq!(set.train.pixels().t().iter().copied().collect::<Vec<u8>>(), expected);
    }

    #[test]
    fn truth_values_are_labels_as_they_are_in_npz() {
        let (set, _) = load_h5(PACKED).unwrap();
        let labels: Vec<u32> = (0..24).map(|picture| u32::from(picture % 3 == 1)).collect();
        assert_eq!(set.train.labels(), labels);
        let truths: Vec<u8> = labels.iter().map(|&label| u8::try_from(label).unwrap()).collect();
        let pictures = bytes("(24, 1, 1)", &[7; 24]);
        let other = [("x", pictures), ("y", npy("|b1", "False", "(24,)", &truths))];
        let other = load_npz(&npz(&other)).unwrap();
        assert_eq!(set.train.labels(), other.train.labels());
        assert_eq!(set.train.class_names(), other.train.class_names());
    }

    #[test]
    fn the_members_of_an_enumeration_are_the_classes() {
        let (set, _) = load_h5(ENUMERATION).unwrap();
        assert_eq!(set.train.class_names(), ["bird", "cat", "dog"]);
        assert_eq!(set.train.labels(), [2, 1, 0, 1]);
        // A value that is no member: the fourth label, 10, becomes 11.
        let at = ENUMERATION.windows(8).position(|at| at == [0, 20, 0, 10, 0xff, 0xfd, 0, 10]);
        let mut changed = ENUMERATION.to_vec();
        changed[at.unwrap() + 7] = 11;
        let error = load_h5(&changed).unwrap_err().to_string();
        assert!(error.ends_with("a value of its enumeration, found 11 at example 3"), "{error}");
    }

    #[test]
    fn a_user_block_is_stepped_over() {
        let (plain, _) = load_h5(CHUNKED).unwrap();
        for block in [512, 1024, 8192] {
            for whole in [CHUNKED, NEWEST] {
                let file = [&vec![b'#'; block], whole].concat();
                assert_eq!(load_h5(&file).unwrap().0.train.class_names(), ["cat", "dog", "bird"]);
            }
            let file = [&vec![b'#'; block], CHUNKED].concat();
            assert_eq!(load_h5(&file).unwrap().0, plain, "{block}");
        }
        for block in [1, 511, 1536] {
            let error = load_h5(&[&vec![b'#'; block], CHUNKED].concat()).unwrap_err().to_string();
            assert!(error.ends_with("expected an HDF5 file, found another kind"), "{error}");
        }
    }

    #[test]
    fn groups_and_links_to_other_files_are_named() {
        let error = load_h5(LINKED).unwrap_err().to_string();
        let found = "found none; only arrays at the top of a file are read, not more (a group), x_train \
                     (a link to the file other.h5)";
        assert!(error.ends_with(found), "{error}");
        let error = load_h5(GROUPED).unwrap_err().to_string();
        assert!(error.ends_with("found train (a group)"), "{error}");
        // What is read all the same says what was left.
        let (_, ignored) = load_h5(ENUMERATION).unwrap();
        assert_eq!(ignored.len(), 1);
        assert!(ignored[0].path.ends_with("set.h5:more (a group)"), "{ignored:?}");
        assert_eq!(ignored[0].reason, "only arrays at the top of a file are read");
    }

    #[test]
    fn damaged_files_never_panic() {
        let folder = folder();
        let path = folder.path().join("damaged.h5");
        let mut refused = 0;
        let files = [CHUNKED, NEWEST, PACKED, ENUMERATION, LINKED, GROUPED];
        for (seed, whole) in (0..5000).zip(files.into_iter().cycle()) {
            let mut draws = Draws::new(seed);
            let mut changed = whole.to_vec();
            if seed % 5 == 0 {
                changed.truncate(draws.below(whole.len()));
            } else {
                for _ in 0..=draws.below(8) {
                    // Most of a file are pixels; what says where they lie is before them.
                    let place = draws.below(changed.len().min(3000));
                    changed[place] = draws.byte();
                }
            }
            fs::write(&path, changed).unwrap();
            if let Err(error) = load_arrays(&path) {
                assert!(!error.is_io(), "{error}");
                refused += 1;
            }
        }
        assert!((600..5000).contains(&refused), "{refused} refused");
        fs::write(&path, "text").unwrap();
        let error = load_arrays(&path).unwrap_err().to_string();
        assert!(
            error.ends_with("damaged.h5: expected an HDF5 file, found another kind"),
            "{error}"
        );
    }

    #[test]
    fn the_course_files_are_their_pictures() {
        let Some(path) = dnn_testing::real_data("catvnoncat-png.tar.gz") else { return };
        let folder = folder();
        for name in ["train_catvnoncat.h5", "test_catvnoncat.h5"] {
            fs::copy(path.with_file_name(name), folder.path().join(name)).unwrap();
        }
        let set = load(folder.path());
        assert_eq!(set.train.class_names(), ["non-cat", "cat"]);
        let counts = [set.train.class_counts(), set.test.as_ref().unwrap().class_counts()];
        assert_eq!(counts, [[137, 72], [17, 33]]);
        // Every picture is the PNG that carries its column as number.
        let members = crate::support::members(&path, "t");
        assert_eq!(members.len(), 259);
        for (name, file) in members {
            let part =
                if name.starts_with("train") { &set.train } else { set.test.as_ref().unwrap() };
            let number = name.rsplit(['/', '.']).nth(1).unwrap().parse::<usize>().unwrap();
            let (rgb, _) =
                dnn_data::picture::decode(&file, &dnn_data::picture::Decoding::default()).unwrap();
            assert_eq!(part.pixels().column(number).to_vec(), rgb.pixels, "{name}");
            let class = &part.class_names()[part.labels()[number] as usize];
            assert_eq!(name.split('/').nth(1), Some(class.as_str()), "{name}");
        }
    }
}

#[test]
fn floats_in_place_of_labels_are_targets() {
    let [x, _] = <[_; 2]>::try_from(pair()).unwrap();
    let of_f32: Vec<u8> = [1.5_f32, -2.0].iter().flat_map(|y| y.to_le_bytes()).collect();
    let of_f64 =
        |numbers: &[f64]| -> Vec<u8> { numbers.iter().flat_map(|y| y.to_be_bytes()).collect() };
    let loaded = |y: Vec<u8>| load_npz(&npz(&[x.clone(), ("y_train", y)])).unwrap().train;
    let single = loaded(npy("<f4", "False", "(2,)", &of_f32));
    assert_eq!(single.targets().unwrap(), ndarray::array![[1.5, -2.0]]);
    assert!(single.class_names().is_empty());
    // Whole numbers that are stored as floats are targets, too, and columns stay with their picture.
    let pairs = loaded(npy(">f8", "False", "(2, 2)", &of_f64(&[1.0, 2.0, 3.0, 4.0])));
    assert_eq!(pairs.targets().unwrap(), ndarray::array![[1.0, 3.0], [2.0, 4.0]]);
    let turned = loaded(npy(">f8", "True", "(2, 2)", &of_f64(&[1.0, 3.0, 2.0, 4.0])));
    assert_eq!(turned.sha256(), pairs.sha256());
    assert_ne!(loaded(npy("<f4", "False", "(2,)", &[0; 8])).sha256(), single.sha256());

    let y =
        |shape: &str, numbers: &[f64]| ("y_train", npy(">f8", "False", shape, &of_f64(numbers)));
    for (arrays, reason) in [
        (vec![x.clone(), y("(2,)", &[1.0, f64::NAN])], "found NaN at example 1"),
        (vec![x.clone(), y("(2,)", &[f64::INFINITY, 1.0])], "found inf at example 0"),
        (vec![x.clone(), y("(1,)", &[1.0])], "expected 2 labels, one for each picture, found 1"),
        (vec![x.clone(), y("(2, 0)", &[])], "at least 1, for each picture"),
        (vec![x.clone(), y("(1, 2, 1)", &[1.0, 2.0])], "of the sizes (m) or (m, k)"),
        (
            vec![
                x.clone(),
                y("(2,)", &[1.0, 2.0]),
                ("classes", npy("|S1", "False", "(2,)", b"ab")),
            ],
            "because there are names of classes",
        ),
        (
            vec![
                x.clone(),
                y("(2,)", &[1.0, 2.0]),
                ("x_test", x.1.clone()),
                ("y_test", bytes("(2,)", &[0, 1])),
            ],
            "expected a number for each picture in every part, as in the training part, found classes",
        ),
    ] {
        let message = refused(&arrays);
        assert!(message.contains(reason), "`{message}` does not say `{reason}`");
    }
}
