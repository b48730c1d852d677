//! Reduced pictures against the strict decoder's whole ones.
//!
//! The fixtures are 53x37, smooth waves of three directions; Pillow and `OpenCV` made them.

use std::f64::consts::{PI, SQRT_2};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, SeedableRng as _};

use super::decode_reduced;
use crate::picture::plan::Reduction::{self, Eighth, Full, Half, Quarter};
use crate::picture::{Decoding, Rgb, decode};

const REDUCTIONS: [Reduction; 3] = [Half, Quarter, Eighth];

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/", $name)).as_slice()
    };
}

const COMMON: [(&str, &[u8]); 6] = [
    ("4:2:0", fixture!("420.jpg")),
    ("4:2:0 with restarts", fixture!("420-restart.jpg")),
    ("4:2:2", fixture!("422.jpg")),
    ("4:4:0", fixture!("440.jpg")),
    ("4:4:4 with restarts", fixture!("444-restart.jpg")),
    ("grey with restarts", fixture!("grey-restart.jpg")),
];

const UNCOMMON: [(&str, &[u8]); 3] = [
    ("4:1:1", fixture!("411.jpg")),
    ("CMYK", fixture!("cmyk.jpg")),
    ("progressive", fixture!("progressive.jpg")),
];

fn whole(file: &[u8]) -> Rgb {
    decode(file, &Decoding::default()).unwrap().0
}

/// Waves with noise of up to `noise` levels, another picture for each seed, far from both ends.
fn encoded(width: u32, height: u32, seed: u64, noise: u32, quality: u8, channels: u32) -> Vec<u8> {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    let speed: Vec<f64> =
        (0..2 * channels).map(|_| f64::from(draws.next_u32() % 100) / 700.0).collect();
    let mut pixels = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        for speed in speed.chunks(2) {
            let wave = 50.0 * (f64::from(x) * speed[0] + f64::from(y) * speed[1]).sin();
            let level =
                128.0 + wave + f64::from(draws.next_u32() % (noise + 1)) - f64::from(noise) / 2.0;
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "78 to 178"
            )]
            pixels.push(level as u8);
        }
    }
    let color = if channels == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, quality);
    encoder.write_image(&pixels, width, height, color).unwrap();
    file
}

/// The mean of the file's pixels that a reduced one stands for.
fn average(whole: &Rgb, divisor: usize, x: usize, y: usize, channel: usize) -> f64 {
    let side = |at: usize, end: usize| at * divisor..((at + 1) * divisor).min(end);
    let places = side(y, whole.height).flat_map(|y| side(x, whole.width).map(move |x| (x, y)));
    let levels: Vec<f64> =
        places.map(|(x, y)| f64::from(whole.pixels[3 * (y * whole.width + x) + channel])).collect();
    levels.iter().sum::<f64>() / levels.len() as f64
}

/// The largest and the mean difference from the averages.
fn off_averages(file: &[u8], reduction: Reduction, what: &str) -> (f64, f64) {
    let whole = whole(file);
    let found = decode_reduced(file, reduction).unwrap_or_else(|| panic!("{what}"));
    let divisor = reduction.divisor();
    let (width, height) = (whole.width.div_ceil(divisor), whole.height.div_ceil(divisor));
    assert_eq!((found.width, found.height), (width, height), "{what}");
    assert_eq!(found.pixels.len(), 3 * width * height);
    let differences = found.pixels.iter().enumerate().map(|(place, &level)| {
        let (pixel, channel) = (place / 3, place % 3);
        let (x, y) = (pixel % width, pixel / width);
        (f64::from(level) - average(&whole, divisor, x, y, channel)).abs()
    });
    let (largest, sum) = differences.fold((0.0_f64, 0.0), |(most, sum), d| (most.max(d), sum + d));
    (largest, sum / found.pixels.len() as f64)
}

#[test]
fn every_common_kind_comes_out_as_the_averages_of_the_whole() {
    for (what, file) in COMMON {
        for reduction in REDUCTIONS {
            let (largest, mean) = off_averages(file, reduction, what);
            assert!(largest < 30.0 && mean < 3.5, "{what} {reduction:?}: {largest} {mean}");
        }
    }
}

#[test]
fn every_size_and_quality_is_read() {
    let mut seed = 0;
    for width in [1, 2, 7, 8, 9, 15, 16, 17, 31, 40] {
        for height in [1, 3, 8, 11, 16, 33] {
            for (quality, channels) in [(1, 3), (30, 1), (75, 3), (92, 1), (100, 3)] {
                seed += 1;
                let file = encoded(width, height, seed, 6, quality, channels);
                for reduction in REDUCTIONS {
                    let what = format!("{width}x{height} at {quality} {reduction:?}");
                    let (_, mean) = off_averages(&file, reduction, &what);
                    // At the edges, a pixel may stand for what lies beyond them, too.
                    assert!(mean < 10.0, "{what}: {mean}");
                }
            }
        }
    }
}

/// The reduced block of a whole one by definition: the transform of 8x8, and back with the lowest
/// frequencies alone.
fn reduced_block(block: &[[f64; 8]; 8], side: usize) -> Vec<f64> {
    let basis = |frequency: usize, place: usize, side: usize| {
        let c = if frequency == 0 { 1.0 } else { SQRT_2 };
        c * ((2 * place + 1) as f64 * frequency as f64 * PI / (2 * side) as f64).cos()
    };
    let square = |side: usize| (0..side).flat_map(move |v| (0..side).map(move |u| (u, v)));
    let coefficient = |u: usize, v: usize| -> f64 {
        let terms = square(8).map(|(x, y)| block[y][x] * basis(u, x, 8) * basis(v, y, 8));
        terms.sum::<f64>() / 64.0
    };
    let coefficients: Vec<f64> = square(side).map(|(u, v)| coefficient(u, v)).collect();
    let pixel = |x: usize, y: usize| {
        let frequencies = square(side).zip(&coefficients);
        frequencies.map(|((u, v), f)| f * basis(u, x, side) * basis(v, y, side)).sum()
    };
    square(side).map(|(x, y)| pixel(x, y)).collect()
}

#[test]
fn whole_blocks_agree_with_the_definition() {
    for (seed, (quality, channels)) in [(50, 3), (88, 3), (95, 1), (100, 3)].into_iter().enumerate()
    {
        let file = encoded(72, 40, seed as u64, 40, quality, channels);
        let whole = whole(&file);
        for reduction in REDUCTIONS {
            let found = decode_reduced(&file, reduction).unwrap();
            let side = 8 / reduction.divisor();
            for (column, row) in (0..9).flat_map(|column| (0..5).map(move |row| (column, row))) {
                for channel in 0..3 {
                    let mut block = [[0.0; 8]; 8];
                    for (place, level) in block.as_flattened_mut().iter_mut().enumerate() {
                        let (x, y) = (8 * column + place % 8, 8 * row + place / 8);
                        *level = f64::from(whole.pixels[3 * (72 * y + x) + channel]);
                    }
                    for (place, expected) in reduced_block(&block, side).into_iter().enumerate() {
                        let (x, y) = (side * column + place % side, side * row + place / side);
                        let level = f64::from(found.pixels[3 * (found.width * y + x) + channel]);
                        // Both round luma, chroma and colours, the whole one 64 times a block.
                        let off = (level - expected.clamp(0.0, 255.0)).abs();
                        assert!(off < 3.0, "{quality} {reduction:?} {x} {y}: {level} {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_uncommon_and_the_whole_are_left_to_the_strict_decoder() {
    for (what, file) in UNCOMMON {
        for reduction in REDUCTIONS {
            assert_eq!(decode_reduced(file, reduction), None, "{what}");
        }
    }
    for (what, file) in COMMON {
        assert_eq!(decode_reduced(file, Full), None, "{what}");
    }
}

/// Fails where the strict decoder refuses what the reduced one takes.
fn takes_no_more_than_the_strict_decoder(file: &[u8], what: &str) -> bool {
    let taken = decode_reduced(file, Quarter);
    if taken.is_some() {
        let whole = decode(file, &Decoding::default());
        assert!(whole.is_ok(), "{what}: {:?}", whole.err());
    }
    taken.is_some()
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let made = encoded(40, 24, 5, 30, 88, 3);
    for (what, file) in COMMON.into_iter().chain([("4:4:4", &made[..])]) {
        assert!(takes_no_more_than_the_strict_decoder(file, what));
        for end in 0..file.len() {
            assert_eq!(decode_reduced(&file[..end], Half), None, "{what} cut at {end}");
            // With the end of a whole file.
            let closed = [&file[..end], &[0xff, 0xd9]].concat();
            takes_no_more_than_the_strict_decoder(&closed, &format!("{what} closed at {end}"));
        }
    }
}

#[test]
fn whatever_is_damaged_is_never_taken_where_the_strict_decoder_refuses_it() {
    let made = encoded(40, 24, 5, 30, 88, 3);
    let mut draws = ChaCha8Rng::seed_from_u64(7);
    for (what, file) in COMMON.into_iter().chain([("4:4:4", &made[..])]) {
        let mut taken = 0;
        let mut changed = file.to_vec();
        for place in 0..file.len() {
            for change in [1, 0x10, 0x80, 0xff] {
                changed[place] = file[place] ^ change;
                let what = format!("{what}, byte {place} ^ {change}");
                taken += usize::from(takes_no_more_than_the_strict_decoder(&changed, &what));
            }
            changed[place] = file[place];
        }
        for _ in 0..2000 {
            let mut changed = file.to_vec();
            for _ in 0..=draws.next_u32() % 4 {
                let place = draws.next_u32() as usize % file.len();
                let byte = draws.next_u32().to_le_bytes()[0];
                match draws.next_u32() % 4 {
                    0 if place < changed.len() => drop(changed.remove(place)),
                    1 if place < changed.len() => changed.insert(place, byte),
                    _ => changed.iter_mut().skip(place).take(1).for_each(|old| *old = byte),
                }
            }
            taken += usize::from(takes_no_more_than_the_strict_decoder(&changed, what));
        }
        // Of what no decoder can tell, there is some.
        let tried = 4 * file.len() + 2000;
        assert!(taken > 0 && taken < tried * 2 / 3, "{what}: {taken} of {tried}");
    }
}

#[test]
fn what_is_left_of_a_scan_or_follows_it_is_refused() {
    let file = fixture!("420.jpg");
    let end = file.len() - 2;
    for more in [&[0x55][..], &[0xff, 0], &[0xff, 0xd0], &[0xff]] {
        let longer = [&file[..end], more, &file[end..]].concat();
        assert_eq!(decode_reduced(&longer, Half), None, "{more:?}");
    }
    // After the end, it is no part of the picture.
    let followed = [file, &[1, 2, 3]].concat();
    assert_eq!(decode_reduced(&followed, Half), decode_reduced(file, Half));
    // Restarts out of order.
    let mut file = fixture!("420-restart.jpg").to_vec();
    let first = file.windows(2).position(|pair| pair == [0xff, 0xd1]).unwrap();
    file[first + 1] = 0xd2;
    assert_eq!(decode_reduced(&file, Half), None);
}

#[test]
fn the_same_bytes_come_out_on_every_machine() {
    // FNV-1a of the pixels, as they first came out.
    let hash = |pixels: &[u8]| {
        pixels.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let found = COMMON
        .map(|(_, file)| REDUCTIONS.map(|to| hash(&decode_reduced(file, to).unwrap().pixels)));
    assert_eq!(found, EXPECTED, "{found:#x?}");
}

/// Of each common kind at a half, a quarter and an eighth. Restarts change no pixel.
const EXPECTED: [[u64; 3]; 6] = [
    [0xaa32_6607_2f6a_ad37, 0xf354_a932_443a_4f23, 0xd77c_2995_b5ae_c307],
    [0xaa32_6607_2f6a_ad37, 0xf354_a932_443a_4f23, 0xd77c_2995_b5ae_c307],
    [0xb234_50b5_2fa8_6db5, 0xa28c_c394_20ba_7c89, 0xb22c_b4b4_5063_5154],
    [0xfa3b_4e79_6492_d2a9, 0x639f_3617_b8ab_a994, 0xba20_8b0e_b2cd_4da5],
    [0x7839_d311_6743_dcba, 0x93ce_465b_a2b6_1143, 0xf751_f041_076a_6bf7],
    [0x50fc_1326_fced_d5da, 0x08bf_60b3_d9cf_4ef2, 0x0186_aca8_2069_f221],
];
