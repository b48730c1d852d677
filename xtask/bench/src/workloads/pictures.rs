//! Photographs of 500x375 to load, as JPEG files.
//!
//! No set of photographs of that size can be fetched everywhere, so they are made: a small picture,
//! enlarged smoothly, with grain of three sizes, so that a file is about as long, and as much work to
//! decode, as that of a photograph.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dnn_core::{Purpose, RandomStream};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::prepare::create;
use crate::bench::write;
use crate::worker::npy;

const WIDTH: usize = 500;
const HEIGHT: usize = 375;
const SMALL: usize = 64;
const QUALITY: u8 = 88;

/// Makes `count` photographs from the small pictures in `pixels`, unless they are there; gives their
/// folder and what they are.
///
/// # Errors
/// If a file cannot be read or written.
pub(super) fn photographs(
    parent: &Path,
    pixels: &Path,
    real: &str,
    count: usize,
) -> Result<(PathBuf, String)> {
    let kind = real.split(' ').next().unwrap_or("made");
    let folder = parent.join(format!("photographs-{kind}-{count}"));
    let note = parent.join(format!("photographs-{kind}-{count}.txt"));
    if !note.exists() {
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let (shape, small) = npy::read::<u8>(pixels)?;
        let mut bytes = 0;
        for class in ["cat", "dog"] {
            create(&folder.join(class))?;
        }
        for place in 0..count {
            let picture = &small[place % shape[0] * shape[1]..][..shape[1]];
            let jpeg = encode(&enlarge(picture, place as u64))?;
            bytes += jpeg.len();
            let class = ["cat", "dog"][place % 2];
            let path = folder.join(class).join(format!("{place}.jpg"));
            fs::write(&path, jpeg).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let mean = bytes / count / 1000;
        let text = format!(
            "JPEGs of {WIDTH}x{HEIGHT} made from {real}, enlarged and grained; {mean} kB each"
        );
        write(&note, &text)?;
    }
    let text = fs::read_to_string(&note);
    Ok((folder, text.with_context(|| format!("cannot read {}", note.display()))?))
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>> {
    let mut jpeg = Vec::new();
    let (width, height) = (u32::try_from(WIDTH)?, u32::try_from(HEIGHT)?);
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).write_image(
        pixels,
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    Ok(jpeg)
}

/// A picture of 64x64 made 500x375, with grain.
fn enlarge(small: &[u8], seed: u64) -> Vec<u8> {
    let mut stream = RandomStream::new(seed, Purpose::Data, 0);
    // Grain of one, four and sixteen pixels, the same in all three channels.
    let grains = [(1, 10), (4, 14), (16, 18)].map(|(size, strength)| {
        let columns = WIDTH.div_ceil(size);
        let count = columns * HEIGHT.div_ceil(size);
        let grain: Vec<f32> = (0..count)
            .map(|_| (stream.word() >> 24) as f32 / 255.0 - 0.5)
            .map(|grain| grain * strength as f32)
            .collect();
        (size, columns, grain)
    });
    let place = |at: usize, large: usize| {
        let place = (at as f32 + 0.5) * SMALL as f32 / large as f32 - 0.5;
        let place = place.clamp(0.0, (SMALL - 1) as f32);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 63")]
        let below = place as usize;
        (below, (below + 1).min(SMALL - 1), place - below as f32)
    };
    let mut large = Vec::with_capacity(3 * WIDTH * HEIGHT);
    for y in 0..HEIGHT {
        let (top, bottom, down) = place(y, HEIGHT);
        for x in 0..WIDTH {
            let (left, right, along) = place(x, WIDTH);
            let grain: f32 = grains
                .iter()
                .map(|(size, columns, grain)| grain[y / size * columns + x / size])
                .sum();
            for channel in 0..3 {
                let at = |row: usize, column: usize| {
                    f32::from(small[(row * SMALL + column) * 3 + channel])
                };
                let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
                let upper = mix(at(top, left), at(top, right), along);
                let lower = mix(at(bottom, left), at(bottom, right), along);
                let bright = (mix(upper, lower, down) + grain).clamp(0.0, 255.0);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 to 255"
                )]
                large.push(bright as u8);
            }
        }
    }
    large
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photographs_are_made_once_and_load() {
        let folder = tempfile::tempdir().unwrap();
        let pixels = folder.path().join("pixels.npy");
        let small = (0..=250_u8).cycle().take(2 * SMALL * SMALL * 3);
        npy::write(&pixels, &[2, SMALL * SMALL * 3], small).unwrap();
        let make = || photographs(folder.path(), &pixels, "synthetic pictures", 3).unwrap();
        let (made, text) = make();
        assert!(text.starts_with("JPEGs of 500x375 made from synthetic pictures"), "{text}");
        let first = made.join("cat/0.jpg");
        let picture = image::open(&first).unwrap();
        assert_eq!((picture.width(), picture.height()), (500, 375));
        let time = fs::metadata(&first).unwrap().modified().unwrap();
        assert_eq!(make(), (made, text));
        assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), time);
    }
}
