//! Augmentation as a user sees it: the text, purity, and what it does to a picture.

use dnn_data::augment::{Augmentation, Augmenter};
use dnn_data::{DataError, ImageShape, ImageSize};
use proptest::prelude::*;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

const SHAPE: ImageShape = ImageShape { height: 12, width: 16, channels: 3 };
const ALL: &str =
    "flip,shift=4,crop=0.8,rotate=15,brightness=0.2,contrast=0.2,saturation=0.2,cutout=6";
const STEPS: [&str; 8] = [
    "flip",
    "shift=4",
    "crop=0.5",
    "rotate=30",
    "brightness=0.5",
    "contrast=0.5",
    "saturation=0.5",
    "cutout=5",
];

fn augmenter(text: &str, seed: u64, shape: ImageShape) -> Augmenter {
    Augmenter::new(&text.parse().unwrap(), seed, shape).unwrap()
}

/// A smooth picture with a different value almost everywhere.
fn picture(shape: ImageShape) -> Vec<u8> {
    let features = shape.features().unwrap();
    (0..features)
        .map(|place| u8::try_from((place * 37 + place * place / 50) % 251).unwrap())
        .collect()
}

fn applied(augmenter: &Augmenter, epoch: u64, example: usize, pixels: &[u8]) -> Vec<u8> {
    let mut out = vec![99; pixels.len()];
    augmenter.apply(epoch, example, pixels, &mut out);
    out
}

#[test]
fn the_text_is_read_and_written() {
    for text in [ALL, "none", "flip", "shift=1", "crop=0.25", "rotate=0.5,cutout=3"] {
        assert_eq!(text.parse::<Augmentation>().unwrap().to_string(), text);
    }
    let read = |text: &str| text.parse::<Augmentation>().unwrap();
    assert_eq!(read(""), Augmentation::default());
    assert_eq!(read("shift=0,crop=1,rotate=0"), Augmentation::default());
    assert_eq!(read(" cutout = 3 , flip "), read("flip,cutout=3"));
    let whole = read(ALL);
    assert_eq!((whole.flip, whole.shift, whole.crop, whole.rotate), (true, 4, 0.8, 15.0));
    assert_eq!((whole.brightness, whole.contrast, whole.saturation), (0.2, 0.2, 0.2));
    assert_eq!((whole.cutout, whole.is_none(), read("none").is_none()), (6, false, true));
}

#[test]
fn a_text_that_cannot_be_read_says_what_can() {
    let expected = "augmentation: expected `none`, or some of flip, alternating-flip, \
                    shift=PIXELS, crop=SHARE, ratio=FACTOR, rotate=DEGREES, brightness=X, contrast=X, saturation=X and cutout=PIXELS with \
                    commas between them, each once, found";
    for part in ["flop", "flip=1", "shift", "shift=-1", "shift=1.5", "crop=much", "none", ""] {
        let error = format!("rotate=3,{part}").parse::<Augmentation>().unwrap_err();
        assert_eq!(error.to_string(), format!("{expected} `{part}`"));
    }
    let error = "flip,flip".parse::<Augmentation>().unwrap_err();
    assert_eq!(error.to_string(), format!("{expected} `flip`"));
    for (text, message) in [
        ("crop=0", "crop: expected a share above 0, at most 1, found `0`"),
        ("crop=1.5", "crop: expected a share above 0, at most 1, found `1.5`"),
        ("ratio=0.5", "ratio: expected a factor from 1 to 4, found `0.5`"),
        ("rotate=181", "rotate: expected degrees from 0 to 180, found `181`"),
        ("brightness=-0.1", "brightness: expected a number from 0 to 1, found `-0.1`"),
        ("contrast=NaN", "contrast: expected a number from 0 to 1, found `NaN`"),
        ("saturation=inf", "saturation: expected a number from 0 to 1, found `inf`"),
    ] {
        assert_eq!(text.parse::<Augmentation>().unwrap_err().to_string(), message);
    }
}

#[test]
fn what_does_not_fit_the_pictures_is_refused() {
    let refused = |text: &str, shape| {
        Augmenter::new(&text.parse().unwrap(), 1, shape).unwrap_err().to_string()
    };
    for what in ["shift", "cutout"] {
        assert_eq!(
            refused(&format!("{what}=12"), SHAPE),
            format!(
                "{what}: expected fewer pixels than the picture's shorter side has, found `12 for \
                 pictures of 12x16x3`"
            )
        );
    }
    for shape in [
        ImageShape { channels: 2, ..SHAPE },
        ImageShape { width: 0, ..SHAPE },
        ImageShape { height: (1 << 20) + 1, ..SHAPE },
        ImageShape { height: usize::MAX, ..SHAPE },
    ] {
        let none = Augmentation::default();
        let error = Augmenter::new(&none, 1, shape).unwrap_err();
        assert!(matches!(error, DataError::Shape { .. }), "{error}");
    }
    let wild = Augmentation { rotate: f64::NAN, ..Augmentation::default() };
    assert!(Augmenter::new(&wild, 1, SHAPE).is_err());
}

/// Every example of some epochs, brought to another size.
fn resized(text: &str, size: ImageSize, epochs: u64) -> Vec<Vec<u8>> {
    let augmenter = augmenter(text, 1, SHAPE).giving(size).unwrap();
    let pixels: Vec<u8> =
        (0..12 * 16 * 3_usize).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect();
    let change = |epoch| {
        let mut out = vec![0; size.width * size.height * 3];
        augmenter.apply(epoch, 3, &pixels, &mut out);
        out
    };
    (1..=epochs).map(change).collect()
}

#[test]
fn pictures_of_another_size_are_parts_of_the_picture() {
    let size = ImageSize { width: 5, height: 9 };
    // Nothing is drawn: every epoch sees the same, and the mean stays where it was.
    let whole = resized("none", size, 2);
    assert_eq!(whole[0], whole[1]);
    let mean = |of: &[u8]| of.iter().map(|&it| f64::from(it)).sum::<f64>() / of.len() as f64;
    assert!((mean(&whole[0]) - 125.0).abs() < 5.0, "{}", mean(&whole[0]));
    for text in ["crop=0.5", "ratio=1.5", "rotate=20", "shift=3"] {
        let changed = resized(text, size, 2);
        assert_ne!(changed[0], changed[1], "{text}");
        assert_ne!(changed[0], whole[0], "{text}");
    }
    let error = augmenter("cutout=5", 1, SHAPE).giving(size).unwrap_err().to_string();
    assert!(error.ends_with("found `5 for pictures of 9x5x3`"), "{error}");
    let none = ImageSize { width: 0, height: 9 };
    assert!(augmenter("none", 1, SHAPE).giving(none).is_err());
}

#[test]
fn an_alternating_flip_mirrors_every_second_epoch() {
    let size = ImageSize { width: 16, height: 12 };
    let mirrored = |of: &[u8]| -> Vec<u8> {
        of.chunks(16 * 3).flat_map(|row| row.chunks(3).rev().flatten().copied()).collect()
    };
    let seen = resized("alternating-flip", size, 6);
    for pair in seen.windows(2) {
        assert_eq!(pair[1], mirrored(&pair[0]));
    }
    // Half of the pictures begin with their mirror.
    let augmenter =
        augmenter("alternating-flip", 1, ImageShape { height: 1, width: 2, channels: 1 });
    let mut out = [0; 2];
    let first = (0..400).filter(|&example| {
        augmenter.apply(1, example, &[1, 2], &mut out);
        out == [2, 1]
    });
    let count = first.count();
    assert!((160..240).contains(&count), "{count}");
}

#[test]
#[should_panic(expected = "the shapes' values")]
fn pixels_of_another_shape_are_a_mistake_of_the_caller() {
    augmenter("flip", 1, SHAPE).apply(1, 0, &[0; 3], &mut [0; 3]);
}

#[test]
fn without_a_change_every_picture_stays_as_it_is() {
    for shape in [SHAPE, ImageShape { height: 1, width: 1, channels: 1 }] {
        let pixels = picture(shape);
        let augmenter = augmenter("none", 5, shape);
        assert!((0..20).all(|example| applied(&augmenter, 1, example, &pixels) == pixels));
    }
}

#[test]
fn the_bytes_are_fixed() {
    // A change here means that runs of an older version cannot be repeated.
    let pixels = picture(SHAPE);
    let sums = STEPS.map(|text| {
        let augmenter = augmenter(text, 11, SHAPE);
        (0..50).fold(0_u32, |sum, example| {
            let out = applied(&augmenter, 3, example, &pixels);
            out.iter().fold(sum, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
        })
    });
    let expected = [
        2_142_724_098,
        4_081_850_977,
        2_995_000_806,
        2_107_889_812,
        2_960_028_843,
        11_533_616,
        4_074_834_716,
        2_300_586_331,
    ];
    assert_eq!(sums, expected);
}

#[test]
fn order_and_threads_change_nothing() {
    let augmenter = augmenter(ALL, 3, SHAPE);
    let pixels = picture(SHAPE);
    let one = |place: usize| applied(&augmenter, place as u64 / 40, place % 40, &pixels);
    let forwards: Vec<_> = (0..200).map(one).collect();
    let mut backwards: Vec<_> = (0..200).rev().map(one).collect();
    backwards.reverse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let together: Vec<_> = pool.install(|| (0..200).into_par_iter().map(one).collect());
    assert!(forwards == backwards && forwards == together);
    let mut different = forwards.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 200, "every epoch and example has a picture of its own");
    assert_ne!(forwards[0], applied(&self::augmenter(ALL, 4, SHAPE), 0, 0, &pixels), "the seed");
}

#[test]
fn one_step_does_not_change_what_another_does() {
    // On a picture of one colour, only brightness changes anything, and its factor can be read off.
    let pixels = vec![100; SHAPE.features().unwrap()];
    let (alone, all) = (augmenter("brightness=0.2", 9, SHAPE), augmenter(ALL, 9, SHAPE));
    for example in 0..50 {
        assert_eq!(applied(&alone, 1, example, &pixels), applied(&all, 1, example, &pixels));
    }
    // A shift, with and without a cut-out elsewhere.
    let pixels = picture(SHAPE);
    let (alone, both) = (augmenter("shift=4", 9, SHAPE), augmenter("shift=4,cutout=1", 9, SHAPE));
    for example in 0..50 {
        let (alone, both) =
            (applied(&alone, 1, example, &pixels), applied(&both, 1, example, &pixels));
        assert!(alone.iter().zip(&both).filter(|(a, b)| a != b).count() <= 3);
    }
}

#[test]
fn every_step_changes_most_pictures() {
    let pixels = picture(SHAPE);
    for text in &STEPS[1..] {
        let augmenter = augmenter(text, 2, SHAPE);
        let changed = (0..100).filter(|&e| applied(&augmenter, 1, e, &pixels) != pixels).count();
        assert!(changed > 95, "{text}: {changed} of 100");
    }
}

#[test]
fn half_of_the_pictures_are_mirrored_and_mirroring_twice_is_nothing() {
    let augmenter = augmenter("flip", 1, SHAPE);
    let pixels = picture(SHAPE);
    let mirrored: Vec<usize> =
        (0..10_000).filter(|&e| applied(&augmenter, 1, e, &pixels) != pixels).collect();
    // Standard deviation sqrt(10000 / 4) = 50.
    assert!((4_800..5_200).contains(&mirrored.len()), "{}", mirrored.len());
    let once = applied(&augmenter, 1, mirrored[0], &pixels);
    assert_eq!(applied(&augmenter, 1, mirrored[0], &once), pixels);
    let row: Vec<&[u8]> = pixels[..48].chunks(3).rev().collect();
    assert_eq!(once[..48], row.concat());
}

#[test]
fn every_shift_comes_up_about_as_often() {
    // The one bright pixel in the middle of 5x5 shows where the picture went.
    let shape = ImageShape { height: 5, width: 5, channels: 1 };
    let mut pixels = vec![0; 25];
    pixels[12] = 255;
    let augmenter = augmenter("shift=2", 1, shape);
    let mut counts = [0; 25];
    for example in 0..25_000 {
        let out = applied(&augmenter, 1, example, &pixels);
        counts[out.iter().position(|&value| value == 255).unwrap()] += 1;
    }
    // 1,000 each, standard deviation 31.
    assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
}

#[test]
fn factors_are_within_their_strength_and_reach_it() {
    let shape = ImageShape { height: 1, width: 1, channels: 1 };
    let augmenter = augmenter("brightness=0.3", 1, shape);
    let values: Vec<u8> = (0..2000).map(|e| applied(&augmenter, 1, e, &[100])[0]).collect();
    assert_eq!((values.iter().min(), values.iter().max()), (Some(&70), Some(&130)));
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / 2000.0;
    // A spread of 60 has a standard deviation of 17; of 2,000, 0.39.
    assert!((mean - 100.0).abs() < 1.6, "{mean}");
}

#[test]
fn a_small_turn_and_a_crop_keep_the_picture_roughly_in_place() {
    // A white disc on black is the same disc after any turn, and covers more after a crop.
    let shape = ImageShape { height: 41, width: 41, channels: 1 };
    let disc = |place: i32| (place / 41 - 20).pow(2) + (place % 41 - 20).pow(2) <= 100;
    let pixels: Vec<u8> = (0..41 * 41).map(|place| if disc(place) { 255 } else { 0 }).collect();
    let brightness = |pixels: &[u8]| pixels.iter().map(|&value| f64::from(value)).sum::<f64>();
    let before = brightness(&pixels);
    for example in 0..100 {
        let turned = applied(&augmenter("rotate=180", 1, shape), 1, example, &pixels);
        assert!((brightness(&turned) / before - 1.0).abs() < 0.01);
        assert_eq!((turned[20 * 41 + 20], turned[0]), (255, 0));
        // The part is 0.8 to 1 of 41 wide, so that 8 pixels at most are lost: the disc stays inside.
        let cropped = applied(&augmenter("crop=0.8", 1, shape), 1, example, &pixels);
        let larger = brightness(&cropped) / before;
        assert!((0.99..1.0 / 0.64 + 0.02).contains(&larger), "{larger}");
    }
}

proptest! {
    #[test]
    fn any_augmentation_is_written_as_it_is_read(
        (flip, alternating_flip) in (any::<bool>(), any::<bool>()),
        (shift, cutout) in (any::<u32>(), any::<u32>()),
        (crop, ratio, rotate) in (0.001..=1.0_f64, 1.0..=4.0_f64, 0.0..=180.0_f64),
        [brightness, contrast, saturation] in [0.0..=1.0_f64, 0.0..=1.0, 0.0..=1.0],
    ) {
        let augmentation =
            Augmentation { flip, alternating_flip, shift, crop, ratio, rotate, brightness, contrast, saturation, cutout };
        prop_assert_eq!(augmentation.to_string().parse::<Augmentation>().unwrap(), augmentation);
    }

    #[test]
    fn geometry_alone_never_leaves_the_range_of_the_picture(
        (height, width) in (1_usize..20, 1_usize..20),
        (seed, epoch, example) in (any::<u64>(), any::<u64>(), any::<usize>()),
        channels in prop::sample::select(vec![1_usize, 3]),
    ) {
        let shape = ImageShape { height, width, channels };
        let pixels: Vec<u8> = picture(shape).iter().map(|value| 50 + value / 2).collect();
        let shift = height.min(width) - 1;
        let text = format!("flip,shift={shift},crop=0.1,rotate=180,cutout={shift}");
        let out = applied(&augmenter(&text, seed, shape), epoch, example, &pixels);
        let (low, high) = (pixels.iter().min().unwrap(), pixels.iter().max().unwrap());
        prop_assert!(out.iter().all(|value| (low..=high).contains(&value)));
    }
}
