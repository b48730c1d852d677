//! What the doctor finds: each finding on pictures made for it, and nothing on sound data.

use std::fs;
use std::path::Path;

use crate::support::{Draws, animated_gif, encode, with_orientation};
use dnn_data::doctor::{Case, Compared, Kind, Report, examine, examine_pictures};
use dnn_data::picture::Decoding;
use dnn_data::{Dataset, ImageDataset, ImageShape, Layout, Part};
use image::imageops::{FilterType, crop_imm, flip_horizontal, resize};
use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage};
use ndarray::array;
use tempfile::TempDir;

/// A picture with coarse spots, unlike that of any other seed.
fn scene(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut draws = Draws::new(seed);
    let coarse = RgbImage::from_fn(6, 6, |_, _| Rgb([0; 3].map(|_| draws.byte())));
    resize(&coarse, width, height, FilterType::Triangle)
}

fn png(picture: &RgbImage) -> Vec<u8> {
    encode(&DynamicImage::from(picture.clone()), ImageFormat::Png)
}

fn jpeg(picture: &RgbImage) -> Vec<u8> {
    encode(&DynamicImage::from(picture.clone()), ImageFormat::Jpeg)
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Sound data: two classes with four pictures each in train and two in test.
fn sound() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut seed = 0;
    for (part, count) in [("train", 4), ("test", 2)] {
        for class in ["cats", "dogs"] {
            for number in 0..count {
                seed += 1;
                let path = format!("{part}/{class}/{number}.png");
                write(folder.path(), &path, &png(&scene(48, 40, seed)));
            }
        }
    }
    folder
}

fn look(root: &Path) -> Report {
    examine_pictures(root, &Decoding::default()).unwrap()
}

/// The findings on sound data with these files besides: kinds, paths of each case, details.
fn found(files: &[(&str, Vec<u8>)]) -> Vec<(Kind, Vec<String>, String)> {
    let folder = sound();
    for (path, bytes) in files {
        write(folder.path(), path, bytes);
    }
    let findings = look(folder.path()).findings.into_iter();
    let paths = |case: &Case| case.pictures.iter().map(|one| one.path.clone()).collect();
    findings
        .flat_map(|finding| {
            let kind = finding.kind;
            assert_eq!(finding.serious, kind.is_serious());
            finding.cases.into_iter().map(move |case| (kind, paths(&case), case.detail))
        })
        .collect()
}

/// One finding and nothing else.
#[track_caller]
fn only(files: &[(&str, Vec<u8>)], kind: Kind, paths: &[&str], detail: &str) {
    let found = found(files);
    let expected = (kind, paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1.clone()), expected);
    assert!(found[0].2.contains(detail), "`{}` does not say `{detail}`", found[0].2);
}

#[test]
fn sound_data_has_counts_and_no_findings() {
    let folder = sound();
    let report = look(folder.path());
    assert_eq!(report.findings, []);
    assert!(!report.is_serious());
    assert_eq!((report.layout, report.compared), (Some(Layout::ClassFolders), Compared::Likeness));
    assert_eq!(report.class_names, ["cats", "dogs"]);
    let counts: Vec<_> = report.parts.iter().map(|one| (one.part, &one.classes[..])).collect();
    assert_eq!(counts, [(Part::Train, &[4, 4][..]), (Part::Test, &[2, 2][..])]);
}

#[test]
fn files_that_cannot_be_used_are_those_of_the_loader() {
    only(
        &[("train/cats/9.png", png(&scene(48, 40, 50))[..200].to_vec())],
        Kind::Bad,
        &["train/cats/9.png"],
        "damaged PNG",
    );
    let sums = format!("{0}  train/cats/0.png\n{0}  train/cats/7.png\n", "0".repeat(64));
    let found = found(&[("SHA256SUMS", sums.into_bytes())]);
    let short: Vec<_> = found.iter().map(|(kind, paths, _)| (*kind, paths[0].as_str())).collect();
    assert_eq!(
        short,
        [
            (Kind::Bad, "train/cats/0.png"),
            (Kind::Bad, "train/cats/7.png"),
            (Kind::Ignored, "SHA256SUMS")
        ]
    );
    assert!(found[0].2.starts_with("expected sha256 000"), "{}", found[0].2);
    assert_eq!(found[1].2, "listed in SHA256SUMS and not there");
}

#[test]
fn a_cut_jpeg_is_bad_or_unusual_as_the_loader_has_it() {
    let folder = sound();
    let whole = jpeg(&scene(96, 80, 50));
    write(folder.path(), "train/cats/9.jpg", &whole[..whole.len() * 3 / 4]);
    assert!(look(folder.path()).finding(Kind::Bad).is_some());
    let lenient = Decoding { lenient: true, ..Decoding::default() };
    let report = examine_pictures(folder.path(), &lenient).unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    let unusual = report.finding(Kind::Unusual).unwrap();
    assert!(unusual.cases[0].detail.contains("damaged"), "{unusual:?}");
}

#[test]
fn classes_are_missing_or_unbalanced_by_what_can_be_used() {
    let folder = sound();
    for number in 0..2 {
        write(folder.path(), &format!("test/dogs/{number}.png"), b"");
    }
    for number in 1..4 {
        write(folder.path(), &format!("train/dogs/{number}.png"), b"");
    }
    let report = look(folder.path());
    assert_eq!(report.parts[1].classes, [2, 0]);
    let missing = report.finding(Kind::MissingClass).unwrap();
    assert_eq!((missing.cases.len(), missing.serious), (1, true));
    assert_eq!(missing.cases[0].detail, "test has no picture of dogs");
    // 4 to 1 is more than 3 to 1; 3 to 1 is not.
    let unbalanced = report.finding(Kind::Unbalanced).unwrap();
    assert_eq!(unbalanced.cases[0].detail, "cats has 4 training pictures, dogs 1: 4.0 times");
    fs::remove_file(folder.path().join("train/cats/0.png")).unwrap();
    assert_eq!(look(folder.path()).finding(Kind::Unbalanced), None);
}

#[test]
fn equal_pictures_are_found_within_a_class_under_two_labels_and_in_two_parts() {
    // The picture of train/cats/1.png, as it is and in another format.
    let (same, other) =
        (png(&scene(48, 40, 2)), encode(&scene(48, 40, 2).into(), ImageFormat::Bmp));
    let twins = ["train/cats/1.png", "train/cats/9.png"];
    only(&[(twins[1], same.clone())], Kind::Duplicates, &twins, "equal files");
    let twins = ["train/cats/1.png", "train/cats/9.bmp"];
    let detail = "equal pixels in different files";
    only(&[(twins[1], other.clone())], Kind::Duplicates, &twins, detail);
    let twins = ["train/cats/1.png", "train/dogs/9.png"];
    only(&[(twins[1], same.clone())], Kind::TwoLabels, &twins, "equal files");
    let twins = ["train/cats/1.png", "test/cats/9.bmp"];
    only(&[(twins[1], other)], Kind::AcrossParts, &twins, detail);
    // Both at once.
    let kinds: Vec<Kind> =
        found(&[("test/dogs/9.png", same)]).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, [Kind::TwoLabels, Kind::AcrossParts]);
}

#[test]
fn nearly_equal_pictures_are_found_scaled_stretched_cut_saved_again_and_mirrored() {
    let original = scene(120, 100, 2);
    let small = png(&resize(&original, 60, 50, FilterType::Triangle));
    let square = jpeg(&resize(&original, 64, 64, FilterType::Triangle));
    let cut = png(&crop_imm(&original, 2, 2, 116, 96).to_image());
    for (file, bytes) in [("9.png", small), ("9.jpg", square), ("9.png", cut)] {
        for (folder, kind) in [
            ("train/cats", Kind::Near),
            ("train/dogs", Kind::NearTwoLabels),
            ("test/cats", Kind::NearAcrossParts),
        ] {
            let path = format!("{folder}/{file}");
            let twins = ["train/cats/1.png", path.as_str()];
            only(&[(&path, bytes.clone())], kind, &twins, "of 255 levels apart");
        }
    }
    let mirrored = png(&flip_horizontal(&original));
    let twins = ["train/cats/1.png", "test/cats/9.png"];
    only(&[(twins[1], mirrored)], Kind::Mirrored, &twins, "of 255 levels apart");
}

#[test]
fn hundreds_of_different_pictures_give_no_false_alarm_and_many_alike_one_group() {
    let folder = sound();
    for seed in 100..400 {
        write(folder.path(), &format!("train/cats/x{seed}.bmp"), &{
            encode(&scene(20, 20, seed).into(), ImageFormat::Bmp)
        });
    }
    // Ten frames of a film: the same scene, each a little brighter than the one before.
    for frame in 0..10 {
        let mut scene = scene(40, 40, 1000);
        scene.iter_mut().for_each(|value| *value = value.saturating_add(frame));
        write(folder.path(), &format!("train/dogs/frame{frame}.png"), &png(&scene));
    }
    let report = look(folder.path());
    let kinds: Vec<Kind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Near, Kind::Unbalanced]);
    let cases = &report.findings[0].cases;
    assert_eq!((cases.len(), cases[0].pictures.len()), (1, 10));
}

#[test]
fn pictures_that_are_not_like_the_others_are_named() {
    let path = "train/cats/9.png";
    let gray = |seed| {
        let gray: GrayImage = DynamicImage::from(scene(48, 40, seed)).into_luma8();
        encode(&gray.into(), ImageFormat::Png)
    };
    let single = RgbImage::from_fn(48, 40, |x, _| Rgb([90, 200, 30 + u8::from(x > 9)]));
    only(&[(path, png(&single))], Kind::SingleColor, &[path], "");
    only(&[(path, gray(60))], Kind::Grey, &[path], "");
    // Grey in the pixels, not in the file.
    let colorless = DynamicImage::from(scene(48, 40, 60)).into_luma8();
    let colorless = DynamicImage::from(colorless).into_rgb8();
    only(&[(path, png(&colorless))], Kind::Grey, &[path], "");
    only(&[(path, png(&scene(9, 12, 60)))], Kind::Tiny, &[path], "9x12");
    only(&[(path, png(&scene(161, 170, 60)))], Kind::Huge, &[path], "161x170");
    only(&[(path, png(&scene(121, 40, 60)))], Kind::Elongated, &[path], "121x40");
    assert_eq!(found(&[(path, png(&scene(120, 40, 60)))]), []);
    // Where most are grey, grey is nothing to tell.
    let many: Vec<String> = (0..20).map(|number| format!("train/cats/g{number}.png")).collect();
    let files: Vec<(&str, Vec<u8>)> =
        many.iter().zip(60..).map(|(path, seed)| (path.as_str(), gray(seed))).collect();
    assert!(found(&files).iter().all(|(kind, ..)| *kind == Kind::Unbalanced));
}

#[test]
fn wrong_suffixes_and_unusual_files_are_named() {
    let picture = scene(48, 40, 60);
    only(
        &[("train/cats/9.gif", png(&picture))],
        Kind::WrongSuffix,
        &["train/cats/9.gif"],
        "a PNG by its content",
    );
    let mut long = jpeg(&picture);
    long.extend(b"more");
    let turned = with_orientation(&jpeg(&picture), 6);
    let cmyk = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cmyk.jpg"));
    for (name, bytes, detail) in [
        ("9.jpg", long, "bytes after its end"),
        ("9.jpg", turned, "EXIF orientation 6"),
        ("9.jpg", cmyk.unwrap(), "CMYK"),
        ("9.gif", animated_gif(), "animated"),
    ] {
        let path = format!("train/cats/{name}");
        let found = found(&[(&path, bytes)]);
        let unusual: Vec<_> = found.iter().filter(|(kind, ..)| *kind == Kind::Unusual).collect();
        assert_eq!(unusual.len(), 1, "{found:?}");
        assert!(unusual[0].1 == [path] && unusual[0].2.contains(detail), "{found:?}");
    }
    let ignored = "its suffix is that of another kind of file";
    only(
        &[("train/cats/notes.txt", b"text".to_vec())],
        Kind::Ignored,
        &["train/cats/notes.txt"],
        ignored,
    );
}

#[test]
fn the_report_is_the_same_for_any_number_of_threads() {
    let folder = sound();
    for copy in 0..12 {
        let scene = resize(
            &scene(120, 100, copy % 5),
            50 + u32::try_from(copy).unwrap(),
            50,
            FilterType::Triangle,
        );
        write(folder.path(), &format!("train/dogs/c{copy}.jpg"), &jpeg(&scene));
    }
    write(folder.path(), "train/dogs/bad.jpg", b"text");
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| look(folder.path()))
    };
    let expected = with(1);
    assert!(expected.findings.len() > 2, "{expected:?}");
    for threads in [2, 3, 8] {
        assert_eq!(with(threads), expected, "{threads}");
    }
}

#[test]
fn data_without_files_is_examined_by_its_pixels() {
    let shape = ImageShape { height: 1, width: 2, channels: 1 };
    let names = || vec!["a".to_owned(), "b".to_owned()];
    let train = array![[1, 90, 90, 5], [99, 2, 2, 6]];
    let train = ImageDataset::new(train, vec![0, 0, 1, 0], names(), shape).unwrap();
    let test = ImageDataset::new(array![[1], [99]], vec![0], names(), shape).unwrap();
    let data = Dataset { name: "made".into(), train, validation: None, test: Some(test) };
    let report = examine(&data);
    assert_eq!((report.layout, report.compared), (None, Compared::Equality));
    let found: Vec<(Kind, Vec<&str>)> = (report.findings.iter())
        .map(|one| (one.kind, one.cases[0].pictures.iter().map(|p| p.path.as_str()).collect()))
        .collect();
    assert_eq!(
        found,
        [
            (Kind::MissingClass, vec![]),
            (Kind::TwoLabels, vec!["train 2", "train 3"]),
            (Kind::AcrossParts, vec!["train 1", "test 1"]),
            (Kind::SingleColor, vec!["train 4"]),
        ]
    );
}

/// The two photographs that are known to be there twice, and no false alarm, in 7,002 pictures.
#[test]
fn real_photographs_that_are_there_twice_are_found_and_no_others() {
    let Some(archive) = dnn_testing::real_data("cats-vs-dogs-small.tar.gz") else { return };
    let folder = tempfile::tempdir().unwrap();
    for part in ["train/", "test/"] {
        for (path, bytes) in crate::support::members(&archive, part) {
            write(folder.path(), &path, &bytes);
        }
    }
    let report = look(folder.path());
    let paths = |case: &Case| case.pictures.iter().map(|one| one.path.clone()).collect::<Vec<_>>();
    let near: Vec<_> = report.finding(Kind::Near).unwrap().cases.iter().map(paths).collect();
    assert_eq!(
        near,
        [["train/dog.74.jpg", "train/dog.180.jpg"], ["train/dog.980.jpg", "train/dog.1273.jpg"]]
    );
    let kinds: Vec<Kind> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Near, Kind::Grey, Kind::Elongated]);
}
