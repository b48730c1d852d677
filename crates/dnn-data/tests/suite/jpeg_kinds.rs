//! JPEGs that few programs write: the pixels that libjpeg gives, or a refusal by name.

use crate::support::{Draws, mutated};
use dnn_data::ImageShape;
use dnn_data::picture::{Decoding, PictureError, Preparer, Preprocessing, decode, encode_png};

const SIDES: (usize, usize) = (23, 17);

/// The names, files and pixels of fixtures.
macro_rules! fixtures {
    ($($name:literal),+ $(,)?) => {
        [$((
            $name,
            include_bytes!(concat!("../fixtures/jpeg/", $name, ".jpg")).as_slice(),
            include_bytes!(concat!("../fixtures/jpeg/", $name, ".rgb")).as_slice(),
        )),+]
    };
}

const READ: [(&str, &[u8], &[u8]); 18] = fixtures![
    "scans-420",
    "scans-420-restart",
    "scans-422",
    "scans-440",
    "scans-444-chroma-first",
    "scans-luma-then-chroma",
    "scans-luma-with-blue",
    "scans-4x2",
    "scans-coarse-steps",
    "scans-cmyk",
    "scans-ycck",
    "luma-subsampled-2x1",
    "luma-subsampled-2x2",
    "luma-subsampled-mixed",
    "luma-subsampled-scans",
    "factors-3x1",
    "factors-1x4-1x2",
    "rgb-red-subsampled",
];

fn words(file: &[u8], lenient: bool) -> String {
    let how = Decoding { lenient, ..Decoding::default() };
    decode(file, &how).unwrap_err().to_string()
}

#[test]
fn scans_and_sampling_factors_of_every_kind_give_the_pixels_of_libjpeg() {
    for (name, file, expected) in READ {
        let (rgb, _) = decode(file, &Decoding::default()).unwrap();
        assert_eq!((rgb.width, rgb.height), SIDES, "{name}");
        assert_eq!(rgb.pixels.len(), expected.len(), "{name}");
        let off = || rgb.pixels.iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
        let mean = off().map(f64::from).sum::<f64>() / expected.len() as f64;
        assert!(off().max().unwrap() <= 3 && mean < 1.0, "{name}: {mean}");
    }
}

#[test]
fn at_a_small_size_they_are_the_same_pictures() {
    for (name, file, _) in READ {
        let (rgb, _) = decode(file, &Decoding::default()).unwrap();
        let shape = ImageShape { height: rgb.height, width: rgb.width, channels: 3 };
        let png = encode_png(&rgb.pixels, shape).unwrap();
        for (height, width) in [(1, 1), (2, 3), (6, 8)] {
            let shape = ImageShape { height, width, channels: 3 };
            let prepared = |file: &[u8]| {
                let mut out = vec![0; 3 * width * height];
                let to = Preprocessing::stretch(shape);
                Preparer::new(to, Decoding::default()).prepare(file, &mut out).unwrap();
                out
            };
            assert_eq!(prepared(file), prepared(&png), "{name} at {height}x{width}");
        }
    }
}

#[test]
fn what_is_not_decoded_is_refused_by_name() {
    let progressive = include_bytes!("../fixtures/jpeg/progressive-luma-subsampled.jpg");
    let expected = "progressive JPEG with the sampling factors 1x1, 2x1, 2x1 is not read; convert \
                    it, for example by `magick FILE NEW.png` of ImageMagick";
    assert_eq!(words(progressive, false), expected);
    assert_eq!(words(progressive, true), expected);
    // 3x1 with 2x1: one and a half samples to one.
    let (.., file, _) = READ[15];
    let frame = file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let mut fractional = file.to_vec();
    fractional[frame + 14] = 0x21;
    let found = words(&fractional, false);
    assert!(
        found.starts_with("JPEG with the sampling factors 3x1, 2x1, 1x1 is not read"),
        "{found}"
    );
    // The height behind the scan.
    let mut late = file.to_vec();
    let height = [late[frame + 5], late[frame + 6]];
    late[frame + 5..frame + 7].fill(0);
    let end = late.len() - 2;
    late.splice(end..end, [0xff, 0xdc, 0, 4, height[0], height[1]]);
    let found = words(&late, false);
    assert!(
        found.starts_with("JPEG that gives its height after its pixels is not read"),
        "{found}"
    );
}

#[test]
fn cut_anywhere_or_without_a_scan_they_are_refused() {
    for (name, file, _) in READ {
        for end in 0..file.len() {
            assert!(decode(&file[..end], &Decoding::default()).is_err(), "{name} cut at {end}");
        }
    }
    let (_, file, _) = READ[0];
    let scans: Vec<usize> =
        (0..file.len() - 1).filter(|&at| file[at..at + 2] == [0xff, 0xda]).collect();
    assert_eq!(scans.len(), 3);
    for lenient in [false, true] {
        let without = [&file[..scans[2]], &[0xff, 0xd9]].concat();
        let expected = "damaged JPEG: its scans do not hold the picture that its header describes";
        assert_eq!(words(&without, lenient), expected);
        let twice = [&file[..scans[2]], &file[scans[1]..]].concat();
        assert_eq!(words(&twice, lenient), expected);
    }
}

#[test]
fn mutations_of_them_never_panic() {
    for (name, file, _) in READ {
        let mut refused = 0;
        for seed in 0..1000 {
            match decode(&mutated(file, &mut Draws::new(seed)), &Decoding::default()) {
                Ok((rgb, _)) => assert_eq!(rgb.pixels.len(), 3 * rgb.width * rgb.height),
                Err(error) => {
                    refused += 1;
                    let panicked = matches!(error, PictureError::Panicked { .. });
                    assert!(!panicked, "{name} {seed}: {error:?}");
                }
            }
        }
        assert!((100..1000).contains(&refused), "{name}: {refused} refused");
    }
}
