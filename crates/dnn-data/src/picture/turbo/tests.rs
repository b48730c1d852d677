use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use turbojpeg::Compressor;
use zune_jpeg::errors::DecodeErrors;

use super::*;
use crate::picture::jpeg::decoder;

const SUBSAMPLINGS: [Subsamp; 5] =
    [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Sub1x2, Subsamp::Gray];

fn below(stream: &mut ChaCha8Rng, bound: usize) -> usize {
    usize::try_from(stream.next_u64() % bound as u64).unwrap()
}

/// A smooth picture with some noise.
fn picture(width: usize, height: usize, noise: usize) -> Vec<u8> {
    let mut stream = ChaCha8Rng::seed_from_u64(1);
    let slope = [0; 6].map(|_| below(&mut stream, 200));
    let mut pixels = Vec::new();
    for place in 0..3 * width * height {
        let (x, y, c) = (place / 3 % width, place / 3 / width, place % 3);
        let level = slope[c] * x / width + slope[c + 3] * y / height + below(&mut stream, noise);
        pixels.push(u8::try_from(level.min(255)).unwrap());
    }
    pixels
}

fn encode(pixels: &[u8], size: ImageSize, subsampling: Subsamp, progressive: bool) -> Vec<u8> {
    let ImageSize { width, height } = size;
    let mut compressor = Compressor::new().unwrap();
    compressor.set_subsamp(subsampling).unwrap();
    compressor.set_progressive(progressive).unwrap();
    compressor.set_quality(85).unwrap();
    let image = Image { pixels, width, pitch: 3 * width, height, format: PixelFormat::RGB };
    compressor.compress_to_vec(image).unwrap()
}

type Both = (Option<Rgb>, Result<Vec<u8>, DecodeErrors>);

/// What both decoders make of a file, libjpeg-turbo at a reduced size; `None` where its header has a fault.
fn both(bytes: &[u8], reduction: Reduction) -> Option<Both> {
    let mut strict = decoder(bytes, true);
    strict.decode_headers().ok()?;
    let info = strict.info().unwrap();
    let size = ImageSize { width: info.width.into(), height: info.height.into() };
    // As the check of the size does.
    let pixels = size.width * size.height;
    if pixels == 0 || pixels > 1024 * bytes.len() {
        return None;
    }
    let turbo = decode_turbo(bytes, size, strict.input_colorspace(), reduction);
    Some((turbo, strict.decode()))
}

/// 1 to 4 bytes changed, a marker put in, or a piece dropped or doubled.
fn damaged(whole: &[u8], stream: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let from = below(stream, bytes.len() - 1);
    let length = below(stream, 40).min(bytes.len() - from);
    match below(stream, 5) {
        0 => drop(bytes.drain(from..from + length)),
        1 => {
            let piece = bytes[from..from + length].to_vec();
            let to = below(stream, bytes.len());
            bytes.splice(to..to, piece);
        }
        2 => bytes[from..from + 2].copy_from_slice(&[0xff, stream.next_u32().to_le_bytes()[0]]),
        3 => {
            bytes.truncate(from);
            bytes.extend([0xff, 0xd9]);
        }
        _ => {
            for _ in 0..=below(stream, 4) {
                let place = below(stream, bytes.len());
                bytes[place] = stream.next_u32().to_le_bytes()[0];
            }
        }
    }
    bytes
}

#[test]
fn what_it_takes_the_strict_decoder_takes_too() {
    let pixels = picture(67, 41, 24);
    for subsampling in SUBSAMPLINGS {
        let whole = encode(&pixels, ImageSize { width: 67, height: 41 }, subsampling, false);
        let seen: Vec<(bool, bool)> = (0..3000)
            .into_par_iter()
            .filter_map(|seed| {
                let bytes = damaged(&whole, &mut ChaCha8Rng::seed_from_u64(seed));
                let reduction = if seed % 2 == 0 { Reduction::Full } else { Reduction::Quarter };
                let (turbo, strict) = both(&bytes, reduction)?;
                let (turbo, strict) = (turbo.is_some(), strict.map_err(|error| error.to_string()));
                assert!(!turbo || strict.is_ok(), "{subsampling:?}, seed {seed}: {strict:?}");
                Some((turbo, strict.is_ok()))
            })
            .collect();
        let count = |wanted| seen.iter().filter(|&&pair| pair == wanted).count();
        let (taken, left, refused) =
            (count((true, true)), count((false, true)), count((false, false)));
        assert!(taken > 300 && left > 300 && refused > 100, "{taken}, {left}, {refused}");
    }
}

#[test]
fn a_file_cut_anywhere_is_not_for_it() {
    let whole =
        encode(&picture(40, 24, 24), ImageSize { width: 40, height: 24 }, Subsamp::Sub2x2, false);
    assert!(both(&whole, Reduction::Half).unwrap().0.is_some());
    for end in 2..whole.len() {
        let bare = both(&whole[..end], Reduction::Half);
        assert!(bare.is_none_or(|(turbo, _)| turbo.is_none()), "cut at {end}");
        // With an end marker, as a program for repair would add it; the last bits may be all there.
        let ended = [&whole[..end], &[0xff, 0xd9]].concat();
        let ended = both(&ended, Reduction::Half);
        assert!(ended.is_none_or(|(turbo, _)| turbo.is_none() || end + 4 > whole.len()), "{end}");
    }
}

#[test]
fn what_libjpeg_turbo_passes_over_in_silence_is_not_for_it() {
    let pixels = picture(40, 24, 24);
    let whole = encode(&pixels, ImageSize { width: 40, height: 24 }, Subsamp::Sub2x2, false);
    let taken = |bytes: &[u8]| both(bytes, Reduction::Full).unwrap().0.is_some();
    let place = |marker: u8| whole.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
    let set = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        bytes
    };
    assert!(taken(&whole));
    // A table of codes becomes a comment, and libjpeg-turbo takes the one that most files have.
    let tableless = set(place(0xc4) + 1, 0xfe);
    let (turbo, strict) = both(&tableless, Reduction::Full).unwrap();
    assert!(turbo.is_none() && strict.is_err());
    // A number of lines after the scan, an unknown segment before it.
    let end = whole.len() - 2;
    let lines = [&whole[..end], &[0xff, 0xdc, 0, 4, 0, 24], &whole[end..]].concat();
    let unknown = [&whole[..2], &[0xff, 0xf1, 0, 4, 0, 0], &whole[2..]].concat();
    assert!(!taken(&lines) && !taken(&unknown));
    // What else is left to the strict decoder.
    assert!(
        !taken(&encode(&pixels, ImageSize { width: 40, height: 24 }, Subsamp::Sub2x2, true)),
        "progressive"
    );
    assert!(
        both(include_bytes!("../../../tests/fixtures/cmyk.jpg"), Reduction::Full)
            .unwrap()
            .0
            .is_none()
    );
}

#[test]
fn tables_do_not_come_from_the_picture_before() {
    let whole =
        encode(&picture(40, 24, 24), ImageSize { width: 40, height: 24 }, Subsamp::None, false);
    let quantisation = whole.windows(2).position(|pair| pair == [0xff, 0xdb]).unwrap();
    let mut without = whole.clone();
    without[quantisation + 1] = 0xfe;
    assert!(both(&whole, Reduction::Full).unwrap().0.is_some());
    assert!(both(&without, Reduction::Full).unwrap().0.is_none());
}

/// Mean, 99th percentile and largest difference.
fn apart(a: &[u8], b: &[u8]) -> (f64, u8, u8) {
    let mut apart: Vec<u8> = a.iter().zip(b).map(|(&a, &b)| a.abs_diff(b)).collect();
    apart.sort_unstable();
    let sum: u64 = apart.iter().map(|&levels| u64::from(levels)).sum();
    (sum as f64 / apart.len() as f64, apart[apart.len() * 99 / 100], apart[apart.len() - 1])
}

/// `pixels` with each square of this side as one pixel, its mean; what is left at the right and at the bottom
/// as it is.
fn means(pixels: &[u8], size: ImageSize, side: usize) -> Vec<u8> {
    let ImageSize { width, height } = size;
    let mut out = Vec::new();
    for place in 0..width.div_ceil(side) * height.div_ceil(side) {
        let (left, top) =
            (place % width.div_ceil(side) * side, place / width.div_ceil(side) * side);
        for channel in 0..3 {
            let (mut sum, mut count) = (0, 0);
            for y in top..(top + side).min(height) {
                for x in left..(left + side).min(width) {
                    sum += usize::from(pixels[3 * (y * width + x) + channel]);
                    count += 1;
                }
            }
            out.push(u8::try_from((sum + count / 2) / count).unwrap());
        }
    }
    out
}

#[test]
fn its_pixels_are_near_those_of_the_strict_decoder_and_at_a_fraction_near_their_means() {
    let size = ImageSize { width: 163, height: 117 };
    let pixels = picture(size.width, size.height, 24);
    for subsampling in SUBSAMPLINGS {
        let whole = encode(&pixels, size, subsampling, false);
        for reduction in [Reduction::Full, Reduction::Half, Reduction::Quarter, Reduction::Eighth] {
            let (turbo, strict) = both(&whole, reduction).unwrap();
            let turbo = turbo.unwrap();
            let divisor = reduction.divisor();
            let [width, height] = [size.width, size.height].map(|side| side.div_ceil(divisor));
            assert_eq!((turbo.width, turbo.height), (width, height));
            let found = apart(&turbo.pixels, &means(&strict.unwrap(), size, divisor));
            let limit = match (subsampling, reduction) {
                (_, Reduction::Full) => (0.2, 2, 4),
                // Chroma is as coarse in one direction as the reduced picture is in two.
                (Subsamp::Sub2x1 | Subsamp::Sub1x2, _) => (2.0, 5, 8),
                _ => (0.5, 2, 8),
            };
            let near = found.0 < limit.0 && found.1 <= limit.1 && found.2 <= limit.2;
            assert!(near, "{subsampling:?} {reduction:?}: {found:?}");
        }
    }
}
