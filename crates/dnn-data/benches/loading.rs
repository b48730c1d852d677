//! One picture from the bytes of its file to 64x64x3, which decodes a large JPEG at a reduced size, beside
//! decoding all of its pixels; and a folder from its cache.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "made-up data")]

use std::io::Cursor;

use criterion::{Criterion, criterion_group, criterion_main};
use dnn_data::picture::{Decoding, Preparer, Preprocessing, decode, encode_png};
use dnn_data::{CacheUse, ImageShape, LoadOptions, load_pictures};
use image::{ImageFormat, RgbImage};

const SHAPE: ImageShape = ImageShape { height: 64, width: 64, channels: 3 };

/// Smooth, with edges: about as hard to decode as a photograph.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |a: u32, b: u32| ((x * a + y * b) % 256) as u8 / 2 + ((x ^ y) & 31) as u8;
        image::Rgb([wave(1, 2), wave(3, 1), wave(2, 2)])
    })
}

fn one_picture(c: &mut Criterion) {
    for (width, height, format, name) in [
        (96, 96, ImageFormat::Jpeg, "JPEG 96x96"),
        (500, 375, ImageFormat::Jpeg, "JPEG 500x375"),
        (500, 375, ImageFormat::Png, "PNG 500x375"),
    ] {
        let mut file = Cursor::new(Vec::new());
        picture(width, height).write_to(&mut file, format).unwrap();
        let file = file.into_inner();
        let mut preparer = Preparer::new(Preprocessing::stretch(SHAPE), Decoding::default());
        let mut pixels = vec![0; 64 * 64 * 3];
        c.bench_function(&format!("prepare {name}"), |b| {
            b.iter(|| preparer.prepare(&file, &mut pixels).unwrap());
        });
        c.bench_function(&format!("decode {name}"), |b| {
            b.iter(|| decode(&file, &Decoding::default()).unwrap());
        });
    }
}

fn from_cache(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    for class in ["cat", "dog"] {
        let of_class = folder.path().join("photos").join(class);
        std::fs::create_dir_all(&of_class).unwrap();
        let pixels: Vec<u8> = (0..64 * 64 * 3_u32).map(|place| (place % 251) as u8).collect();
        let file = encode_png(&pixels, SHAPE).unwrap();
        for number in 0..500 {
            std::fs::write(of_class.join(format!("{number}.png")), &file).unwrap();
        }
    }
    let photos = folder.path().join("photos");
    let mut options = LoadOptions::new(Preprocessing::stretch(SHAPE));
    options.cache = Some(folder.path().join("cache"));
    load_pictures(&photos, &options).unwrap();
    c.bench_function("load 1000 pictures from the cache", |b| {
        b.iter(|| {
            let loaded = load_pictures(&photos, &options).unwrap();
            assert_eq!(loaded.report.cache, CacheUse::Hit);
            loaded
        });
    });
}

criterion_group!(benches, one_picture, from_cache);
criterion_main!(benches);
