//! What becomes of the pixels: one rule for each kind of picture, the shapes, the filters.

use crate::support::{animated_gif, encode, file, members, picture, png, with_orientation};
use dnn_data::ImageShape;
use dnn_data::picture::{
    Decoding, Filter, Fit, Format, Info, Note, Preparer, Preprocessing, decode, encode_png,
};
use image::{DynamicImage, ExtendedColorType, ImageFormat, RgbImage};
use proptest::prelude::*;

fn shape(height: usize, width: usize, channels: usize) -> ImageShape {
    ImageShape { height, width, channels }
}

fn pixels_and_notes(bytes: &[u8]) -> (Vec<u8>, Vec<Note>) {
    let (rgb, info) = decode(bytes, &Decoding::default()).unwrap();
    (rgb.pixels, info.notes)
}

fn prepare(bytes: &[u8], preprocessing: Preprocessing) -> Vec<u8> {
    let mut out = vec![7; preprocessing.shape.features().unwrap()];
    Preparer::new(preprocessing, Decoding::default()).prepare(bytes, &mut out).unwrap();
    out
}

/// Samples, their kind, and the pixel and notes that they become.
type Case = (Vec<u8>, ExtendedColorType, [u8; 3], Vec<Note>);

#[test]
fn every_kind_of_png_has_its_rule() {
    let sixteen = |values: &[u16]| values.iter().flat_map(|v| v.to_ne_bytes()).collect::<Vec<_>>();
    let cases: [Case; 8] = [
        (vec![9, 8, 7], ExtendedColorType::Rgb8, [9, 8, 7], vec![]),
        (vec![9], ExtendedColorType::L8, [9; 3], vec![Note::Grey]),
        // (9 * 51 + 255 * 204 + 127) / 255 = 206.3
        (vec![9, 51], ExtendedColorType::La8, [206; 3], vec![Note::Grey, Note::Transparent]),
        (vec![9, 255], ExtendedColorType::La8, [9; 3], vec![Note::Grey]),
        (vec![9, 0, 255, 51], ExtendedColorType::Rgba8, [206, 204, 255], vec![Note::Transparent]),
        (vec![9, 8, 7, 255], ExtendedColorType::Rgba8, [9, 8, 7], vec![]),
        // (384 + 128) / 257 = 1.99, (385 + 128) / 257 = 1.996, (386 + 128) / 257 = 2
        (
            sixteen(&[384, 386, 65535]),
            ExtendedColorType::Rgb16,
            [1, 2, 255],
            vec![Note::SixteenBit],
        ),
        (sixteen(&[386]), ExtendedColorType::L16, [2; 3], vec![Note::Grey, Note::SixteenBit]),
    ];
    for (samples, color, expected, notes) in cases {
        let (pixels, found) = pixels_and_notes(&png(&samples, 1, 1, color));
        assert_eq!(pixels, expected, "{color:?}");
        assert_eq!(found, notes, "{color:?}");
    }
}

#[test]
fn jpegs_of_all_colours_come_out_as_their_writer_meant() {
    let near = |found: &[u8], expected: [u8; 3]| {
        found.iter().zip(expected).all(|(&found, expected)| found.abs_diff(expected) <= 3)
    };
    // The values of both files at rows 0, 8, 16 and columns 0, 13, 26 as their writer, Pillow, reads
    // them; Pillow's CMYK is `255 - c` where there is no black.
    let expected = [[0, 1, 0], [73, 2, 34], [151, 4, 75]];
    let (pixels, notes) = pixels_and_notes(include_bytes!("../fixtures/progressive.jpg"));
    assert_eq!(notes, []);
    for (place, expected) in expected.into_iter().enumerate() {
        assert!(near(&pixels[39 * place..39 * place + 3], expected), "{place}");
    }
    let (pixels, notes) = pixels_and_notes(include_bytes!("../fixtures/cmyk.jpg"));
    assert_eq!(notes, [Note::Cmyk]);
    for (place, expected) in [[0, 0, 0], [78, 0, 39], [156, 0, 78]].into_iter().enumerate() {
        let found = &pixels[39 * place..39 * place + 3];
        assert!(near(found, expected), "{place}: {found:?}");
    }
    let grey = DynamicImage::from(picture(16, 16, 1)).to_luma8();
    let (pixels, notes) = pixels_and_notes(&encode(&grey.into(), ImageFormat::Jpeg));
    assert_eq!(notes, [Note::Grey]);
    assert!(pixels.chunks(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
}

#[test]
fn exif_turns_a_picture_upright_and_nonsense_in_it_does_not_matter() {
    let plain = file(ImageFormat::Jpeg, 3);
    let (upright, _) = decode(&plain, &Decoding::default()).unwrap();
    for value in [0, 1, 9, 700] {
        let (rgb, info) = decode(&with_orientation(&plain, value), &Decoding::default()).unwrap();
        assert_eq!((rgb, info.notes), (upright.clone(), vec![]), "{value}");
    }
    for value in 2..=8_u8 {
        let turned = with_orientation(&plain, value.into());
        let (rgb, info) = decode(&turned, &Decoding::default()).unwrap();
        assert_eq!(info.notes, [Note::Oriented(value)]);
        assert_eq!((info.width, info.height), (40, 24));
        let sides = if value >= 5 { (24, 40) } else { (40, 24) };
        assert_eq!((rgb.width, rgb.height), sides, "{value}");
        assert_ne!(rgb.pixels, upright.pixels);
    }
}

#[test]
fn content_decides_and_gif_and_trailing_bytes_are_told() {
    let (_, info) = decode(&animated_gif(), &Decoding::default()).unwrap();
    let notes = vec![Note::Palette, Note::Animated];
    assert_eq!(info, Info { format: Format::Gif, width: 20, height: 10, notes });
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let mut bytes = file(format, 1);
        bytes.extend(b"more");
        assert_eq!(pixels_and_notes(&bytes).1, [Note::TrailingBytes], "{format:?}");
    }
    assert!(Format::Jpeg.has_suffix("JPG") && !Format::Jpeg.has_suffix("png"));
}

#[test]
fn a_png_of_the_prepared_picture_reads_back_the_same() {
    for (pixels, shape) in [(vec![1, 2, 3, 4, 5, 6], shape(1, 2, 3)), (vec![9, 8], shape(2, 1, 1))]
    {
        let same = Preprocessing { shape, fit: Fit::Stretch, filter: Filter::Nearest };
        assert_eq!(prepare(&encode_png(&pixels, shape).unwrap(), same), pixels);
    }
    assert!(encode_png(&[1], shape(1, 2, 1)).is_err());
    assert!(encode_png(&[1, 2], shape(1, 1, 2)).is_err());
}

#[test]
fn fits_keep_what_they_promise() {
    // Red left half, blue right half, 8 wide and 4 high.
    let halves =
        RgbImage::from_fn(8, 4, |x, _| image::Rgb(if x < 4 { [200, 0, 0] } else { [0, 0, 200] }));
    let file = encode(&halves.into(), ImageFormat::Png);
    let at = |fit| {
        let shape = shape(4, 4, 3);
        prepare(&file, Preprocessing { shape, fit, filter: Filter::Nearest })
    };
    let (red, blue, black) = ([200, 0, 0], [0, 0, 200], [0, 0, 0]);
    let stretched = [red, red, blue, blue];
    assert_eq!(at(Fit::Stretch), stretched.repeat(4).concat());
    assert_eq!(at(Fit::Crop), stretched.repeat(4).concat());
    let rows = [[black; 4], stretched, stretched, [black; 4]];
    assert_eq!(at(Fit::Pad), rows.concat().concat());
    // Grey: (299 * 200 + 500) / 1000 = 60, (114 * 200 + 500) / 1000 = 23.
    let grey = Preprocessing { shape: shape(1, 2, 1), fit: Fit::Stretch, filter: Filter::Nearest };
    assert_eq!(prepare(&file, grey), [60, 23]);
}

#[test]
fn preprocessing_is_its_text() {
    for text in ["64x64x3 stretch bilinear", "1x2x1 pad nearest", "8x9x3 crop lanczos"] {
        assert_eq!(text.parse::<Preprocessing>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "64x64x3",
        "64x64 pad nearest",
        "0x1x3 pad nearest",
        "1x1x2 pad nearest",
        "1x1x3 fill nearest",
        "1x1x3 pad best",
        "1x1x3  pad nearest",
        "99999x1x3 pad nearest",
    ] {
        assert!(text.parse::<Preprocessing>().is_err(), "{text}");
    }
    let error = "1x1x3 fill nearest".parse::<Preprocessing>().unwrap_err().to_string();
    assert_eq!(error, "fit: expected stretch, pad or crop, found `fill`");
}

/// A triangle or cubic of this support, straight from the formula, in f64.
fn oracle(picture: &RgbImage, width: usize, height: usize, filter: Filter) -> Vec<f64> {
    let kernel = |x: f64| {
        let x = x.abs();
        match filter {
            Filter::Bilinear => (1.0 - x).max(0.0),
            Filter::Bicubic if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x * x - 4.0 * x + 2.0,
            Filter::Lanczos if x == 0.0 => 1.0,
            Filter::Lanczos if x < 3.0 => {
                let t = std::f64::consts::PI * x;
                3.0 * t.sin() * (t / 3.0).sin() / (t * t)
            }
            _ => 0.0,
        }
    };
    let weights = |from: usize, to: usize, place: usize| -> Vec<f64> {
        let scale = from as f64 / to as f64;
        let centre = (place as f64 + 0.5) * scale;
        let widened = scale.max(1.0);
        let all: Vec<f64> =
            (0..from).map(|i| kernel((i as f64 + 0.5 - centre) / widened)).collect();
        let sum: f64 = all.iter().sum();
        all.iter().map(|weight| weight / sum).collect()
    };
    // Across, then down, in any order the same: nothing is rounded here.
    let (w, h) = (picture.width() as usize, picture.height() as usize);
    let raw = picture.as_raw();
    let mut across = vec![0.0; h * width * 3];
    let mut out = vec![0.0; height * width * 3];
    for x in 0..width {
        let weights = weights(w, width, x);
        for (row, channel) in (0..h).flat_map(|row| [(row, 0), (row, 1), (row, 2)]) {
            let values = weights.iter().enumerate();
            let sum: f64 = values
                .map(|(i, weight)| weight * f64::from(raw[(row * w + i) * 3 + channel]))
                .sum();
            across[(row * width + x) * 3 + channel] = sum;
        }
    }
    for y in 0..height {
        let weights = weights(h, height, y);
        for place in 0..3 * width {
            let values = weights.iter().enumerate();
            let sum: f64 = values.map(|(i, weight)| weight * across[i * 3 * width + place]).sum();
            out[y * 3 * width + place] = sum;
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn resizing_agrees_with_the_formula(
        w in 1_u32..60, h in 1_u32..60, width in 1_usize..40, height in 1_usize..40,
        seed in 0_u64..1000, filter in 0_usize..3,
    ) {
        let filter = [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos][filter];
        // Away from both ends, so that no filter overshoots them between its passes.
        let mut source = picture(w, h, seed);
        source.iter_mut().for_each(|level| *level = 64 + *level / 2);
        let expected = oracle(&source, width, height, filter);
        let file = encode(&source.into(), ImageFormat::Png);
        let to = Preprocessing { shape: shape(height, width, 3), fit: Fit::Stretch, filter };
        for (found, expected) in prepare(&file, to).iter().zip(expected) {
            // The resizer rounds twice, once enlarged by the weights, which are fixed-point numbers.
            prop_assert!((f64::from(*found) - expected).abs() <= 2.0, "{found} {expected}");
        }
    }
}

/// A JPEG far larger than what is asked for, as waves; as the file, and as a PNG of all its pixels, which
/// is never decoded at a reduced size.
fn both_ways(width: u32, height: u32, orientation: u16) -> (Vec<u8>, Vec<u8>) {
    let waves = RgbImage::from_fn(width, height, |x, y| {
        let wave = |a: u32, b: u32| (f64::from(a * x + b * y) / 60.0).sin() * 90.0 + 128.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "38 to 218")]
        image::Rgb([wave(1, 3) as u8, wave(2, 0) as u8, wave(0, 2) as u8])
    });
    let jpeg = with_orientation(&encode(&waves.into(), ImageFormat::Jpeg), orientation);
    let (rgb, _) = decode(&jpeg, &Decoding::default()).unwrap();
    let png = encode_png(&rgb.pixels, shape(rgb.height, rgb.width, 3)).unwrap();
    (jpeg, png)
}

/// The mean and the largest difference of two pictures.
fn difference(a: &[u8], b: &[u8]) -> (f64, u8) {
    let off = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = off().map(u64::from).sum();
    (sum as f64 / a.len() as f64, off().max().unwrap())
}

#[test]
fn a_jpeg_at_a_reduced_size_shows_the_same_part_of_the_picture() {
    // Sides that leave 3, 5 and 7 of 8 over, upright and turned, so that a part of a pixel is missing at
    // any side.
    for (orientation, (width, height)) in
        (1..=8).flat_map(|value| [(203, 301), (405, 157), (160, 319)].map(|sides| (value, sides)))
    {
        let (jpeg, png) = both_ways(width, height, orientation);
        for fit in [Fit::Stretch, Fit::Pad, Fit::Crop] {
            for (rows, columns) in [(16, 16), (30, 20), (12, 40), (60, 60)] {
                for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
                    let to = Preprocessing { shape: shape(rows, columns, 3), fit, filter };
                    let (mean, most) = difference(&prepare(&jpeg, to), &prepare(&png, to));
                    let what = format!("{width}x{height} turned {orientation}, {to}");
                    // A pixel of the file is up to 4.5 levels from the next.
                    let limit = if cfg!(feature = "turbojpeg") { (1.2, 8) } else { (0.9, 5) };
                    assert!(mean < limit.0 && most <= limit.1, "{what}: {mean} {most}");
                }
            }
        }
    }
}

#[test]
fn the_nearest_pixel_and_pictures_not_much_larger_are_taken_as_they_are() {
    let (jpeg, png) = both_ways(203, 301, 6);
    for text in ["16x16x3 stretch nearest", "280x190x3 stretch bilinear", "400x160x3 pad lanczos"] {
        let to = text.parse().unwrap();
        assert!(prepare(&jpeg, to) == prepare(&png, to), "{text}");
    }
    // So that this test would see a difference.
    let to = "16x16x3 stretch bilinear".parse().unwrap();
    assert!(prepare(&jpeg, to) != prepare(&png, to));
}

#[test]
fn a_reduced_jpeg_is_told_by_its_own_size_and_its_faults_by_the_same_words() {
    let (jpeg, _) = both_ways(203, 301, 6);
    let to = Preprocessing::stretch(shape(8, 8, 3));
    let mut out = vec![0; 8 * 8 * 3];
    let mut prepared = |bytes: &[u8], how| {
        Preparer::new(to, how).prepare(bytes, &mut out).map_err(|e| e.to_string())
    };
    let strict = Decoding::default();
    let info = prepared(&jpeg, strict).unwrap();
    assert_eq!((info.width, info.height), (203, 301));
    assert_eq!(info, decode(&jpeg, &strict).unwrap().1);
    let followed = [&jpeg[..], b"more"].concat();
    assert_eq!(
        prepared(&followed, strict).unwrap().notes,
        [Note::TrailingBytes, Note::Oriented(6)]
    );
    let lenient = Decoding { lenient: true, ..strict };
    for end in (0..jpeg.len()).step_by(97) {
        for how in [strict, lenient] {
            let whole = decode(&jpeg[..end], &how).map(|(_, info)| info);
            assert_eq!(prepared(&jpeg[..end], how), whole.map_err(|e| e.to_string()), "{end}");
        }
    }
}

/// Photographs at the sizes where the reduction is the most that is allowed, against all their pixels.
#[test]
fn real_photographs_hardly_differ_when_they_are_decoded_at_a_reduced_size() {
    let Some(archive) = dnn_testing::real_data("cats-vs-dogs-small.tar.gz") else { return };
    let files = members(&archive, "test/");
    let mut differences = Vec::new();
    for (_, file) in files.iter().step_by(10) {
        let (rgb, info) = decode(file, &Decoding::default()).unwrap();
        let png = encode_png(&rgb.pixels, shape(rgb.height, rgb.width, 3)).unwrap();
        for divisor in [2, 4, 8] {
            let side = |side: u32| (side as usize * 5 / 7 / divisor).max(1);
            let to = Preprocessing::stretch(shape(side(info.height), side(info.width), 3));
            let (a, b) = (prepare(file, to), prepare(&png, to));
            differences.extend(a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)));
        }
    }
    differences.sort_unstable();
    let sum: u64 = differences.iter().map(|&off| u64::from(off)).sum();
    let mean = sum as f64 / differences.len() as f64;
    let high = differences[differences.len() * 99 / 100];
    assert!(differences.len() > 100_000);
    assert!(mean < 1.5 && high <= 8, "a mean of {mean} levels, 99 of 100 within {high}");
}

/// What is expected of an odd file: its size, notes and mean red, green and blue; or words of the
/// refusal.
type Expected = Result<(Format, (usize, usize), &'static [Note], [f64; 3]), &'static str>;

#[rustfmt::skip]
const ODD: [(&str, Expected); 27] = {
    use Format::{Gif, Jpeg, Png, WebP};
    use Note::{Animated, Cmyk, Grey, Oriented, Palette, SixteenBit, TrailingBytes, Transparent};
    const BULLDOG: [f64; 3] = [142.45, 136.63, 128.15];
    const EMPTY: &str = "the file is empty";
    [
        ("natural/Abyssinian_34.jpg", Ok((Gif, (250, 202), &[Palette], [125.41, 114.48, 108.77]))),
        ("natural/Abyssinian_5.jpg", Ok((Png, (200, 150), &[], [126.05, 100.92, 87.31]))),
        ("natural/Bengal_201.jpg", Ok((Jpeg, (250, 166), &[], [86.53, 119.53, 39.47]))),
        ("natural/Bengal_157.jpg", Ok((Jpeg, (262, 246), &[], [97.46, 91.10, 84.35]))),
        ("natural/Bengal_146.jpg", Ok((Jpeg, (200, 200), &[], [127.89, 121.01, 121.54]))),
        ("natural/cat.12000-gray.jpg", Ok((Jpeg, (64, 64), &[Grey], [120.17; 3]))),
        ("natural/PetImages_Cat_666.jpg", Err(EMPTY)),
        ("natural/PetImages_Dog_11702.jpg", Err(EMPTY)),
        ("made/truncated.jpg", Err("damaged JPEG: it is cut short")),
        ("made/header-only.jpg", Err("damaged JPEG: it is cut short")),
        ("made/extraneous-before-eoi.jpg", Ok((Jpeg, (144, 96), &[], BULLDOG))),
        ("made/trailing-garbage.jpg", Ok((Jpeg, (144, 96), &[TrailingBytes], BULLDOG))),
        ("made/gray.jpg", Ok((Jpeg, (144, 96), &[Grey], [137.41; 3]))),
        ("made/cmyk.jpg", Ok((Jpeg, (144, 96), &[Cmyk], [142.20, 136.80, 127.81]))),
        ("made/palette.png", Ok((Png, (144, 96), &[Palette], [141.64, 136.84, 128.26]))),
        ("made/rgba.png", Ok((Png, (144, 96), &[Transparent], [198.52, 194.32, 191.79]))),
        ("made/gray16.png", Ok((Png, (144, 96), &[Grey, SixteenBit], [137.40; 3]))),
        ("made/animated.gif", Ok((Gif, (144, 96), &[Palette, Animated], [142.16, 136.79, 127.74]))),
        ("made/webp-named.jpg", Ok((WebP, (144, 96), &[], [142.33, 137.03, 127.63]))),
        ("made/png-named.jpg", Ok((Png, (144, 96), &[], [142.21, 136.82, 127.80]))),
        ("made/exif-orientation-6.jpg", Ok((Jpeg, (96, 144), &[Oriented(6)], BULLDOG))),
        ("made/one-pixel.png", Ok((Png, (1, 1), &[], [147.0, 141.0, 132.0]))),
        ("made/thin.jpg", Ok((Jpeg, (300, 1), &[], [145.14, 138.43, 130.10]))),
        ("made/huge-dimensions.jpg", Err("a JPEG of 65500x65500 pixels is too large")),
        ("made/huge-dimensions.png", Err("a PNG of 100000x100000 pixels is too large")),
        ("made/html-named.jpg", Err("found an HTML page, perhaps of a failed download")),
        ("made/Thumbs.db", Err("found an OLE container, as Thumbs.db is")),
    ]
};

/// The means were compared with Pillow's reading of the same files once; where both read a file they
/// are within half a level, but for the transparent one, where Pillow drops the transparency. They are of
/// the default build; libjpeg-turbo's are a little apart.
#[test]
fn each_odd_file_of_the_real_archive_has_its_outcome() {
    let Some(archive) = dnn_testing::real_data("cats-vs-dogs-small.tar.gz") else { return };
    let files = members(&archive, "bad/");
    let mut seen = 0;
    for (name, expected) in ODD {
        let (_, bytes) = files.iter().find(|(path, _)| *path == format!("bad/{name}")).unwrap();
        seen += 1;
        match (decode(bytes, &Decoding::default()), expected) {
            (Ok((rgb, info)), Ok((format, sides, notes, means))) => {
                assert_eq!((info.format, &info.notes[..]), (format, notes), "{name}");
                assert_eq!((rgb.width, rgb.height), sides, "{name}");
                for (channel, mean) in means.into_iter().enumerate() {
                    let values = rgb.pixels.iter().skip(channel).step_by(3);
                    let sum: u64 = values.map(|&value| u64::from(value)).sum();
                    let found = sum as f64 / (rgb.width * rgb.height) as f64;
                    let limit = if cfg!(feature = "turbojpeg") { 0.5 } else { 0.01 };
                    assert!((found - mean).abs() < limit, "{name}: {found}, expected {mean}");
                }
            }
            (Err(error), Err(reason)) => {
                assert!(error.to_string().contains(reason), "{name}: {error}");
            }
            (found, expected) => panic!("{name}: {:?}, {expected:?}", found.map(|(_, info)| info)),
        }
    }
    assert_eq!(seen, 27);
    assert_eq!(files.len(), 28, "27 odd files and the table of them");
}
