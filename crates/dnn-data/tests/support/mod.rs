//! Made-up picture files, and the archive of real ones.
#![allow(dead_code, reason = "each test crate uses the part it needs")]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

pub(crate) mod folders;

use std::io::{Cursor, Read};
use std::path::Path;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, ExtendedColorType, Frame, ImageFormat, RgbImage};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

pub(crate) const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Gif,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
];

/// Numbers that follow from a seed.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.next_u64() % bound as u64).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// A smooth picture with some noise, another one for each seed.
pub(crate) fn picture(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut draws = Draws::new(seed);
    let slope = [0; 6].map(|_| draws.below(200));
    RgbImage::from_fn(width, height, |x, y| {
        let channel = |c: usize| {
            let across = slope[c] * x as usize / width as usize;
            let down = slope[c + 3] * y as usize / height as usize;
            u8::try_from((across + down + draws.below(24)).min(255)).unwrap()
        };
        image::Rgb([0, 1, 2].map(channel))
    })
}

pub(crate) fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A made-up picture file.
pub(crate) fn file(format: ImageFormat, seed: u64) -> Vec<u8> {
    encode(&picture(40, 24, seed).into(), format)
}

pub(crate) fn animated_gif() -> Vec<u8> {
    let mut file = Vec::new();
    let frames =
        [1, 2].map(|seed| Frame::new(DynamicImage::from(picture(20, 10, seed)).to_rgba8()));
    GifEncoder::new(&mut file).encode_frames(frames).unwrap();
    file
}

/// A PNG of raw samples in any colour type of the encoder.
pub(crate) fn png(samples: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut file, samples, width, height, color, ImageFormat::Png)
        .unwrap();
    file.into_inner()
}

/// A JPEG with an EXIF block that says this orientation.
pub(crate) fn with_orientation(jpeg: &[u8], orientation: u16) -> Vec<u8> {
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend(orientation.to_le_bytes());
    exif.extend([0; 6]);
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

/// 1 to 16 bytes changed, or a piece of the file moved, dropped or doubled.
pub(crate) fn mutated(whole: &[u8], draws: &mut Draws) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    match draws.below(4) {
        0 => {
            let (from, to) = (draws.below(bytes.len()), draws.below(bytes.len()));
            let length = draws.below(64).min(bytes.len() - from.max(to));
            bytes.copy_within(from..from + length, to);
        }
        1 => {
            let from = draws.below(bytes.len());
            let piece: Vec<u8> = bytes[from..].iter().copied().take(draws.below(32)).collect();
            let to = draws.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        _ => {
            for _ in 0..=draws.below(16) {
                let place = draws.below(bytes.len());
                bytes[place] = draws.byte();
            }
        }
    }
    bytes
}

/// Every regular file of a `.tar.gz` whose path begins with `prefix`.
pub(crate) fn members(archive: &Path, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let file = flate2::read::GzDecoder::new(std::fs::File::open(archive).unwrap());
    let mut archive = tar::Archive::new(file);
    let mut members = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().trim_start_matches("./").to_owned();
        if path.starts_with(prefix) && entry.header().entry_type().is_file() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            members.push((path, bytes));
        }
    }
    members
}
