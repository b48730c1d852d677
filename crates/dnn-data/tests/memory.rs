//! What files may cost: memory before and while pixels of hostile ones are decoded, and the memory of
//! whole data sets.
//!
//! One test at a time, because the allocator counts for the whole program.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dnn_data::picture::{Decoding, Limits, Note, PictureError, Preprocessing, decode, encode_png};
use dnn_data::{CacheUse, Dataset, ImageShape, LoadOptions, load_arrays, load_pictures};
use image::{ExtendedColorType, ImageFormat};
use support::{Draws, FORMATS, file, mutated, picture, png};

mod support;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged; only counters are beside it.
// The provided `realloc` and `alloc_zeroed` go through these two, so that growth counts as well.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises about `pointer` and `layout` are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALONE: Mutex<()> = Mutex::new(());

/// The most bytes that `work` held at once, beyond what was there.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed) - before)
}

const MIB: usize = 1 << 20;

/// The whole with these bytes at these places.
fn set(whole: &[u8], places: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for (place, value) in places {
        bytes[*place..place + value.len()].copy_from_slice(value);
    }
    bytes
}

/// Each format with each of these sizes in its header.
fn claims() -> Vec<Vec<u8>> {
    let mut claims = Vec::new();
    let jpeg = file(ImageFormat::Jpeg, 1);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let [png, gif, bmp] =
        [ImageFormat::Png, ImageFormat::Gif, ImageFormat::Bmp].map(|format| file(format, 1));
    // The smallest WebP without loss: its sizes, less one, are the first 28 bits after a signature.
    let webp = |width: u32, height: u32| {
        let sizes = (width.wrapping_sub(1) & 0x3fff) | ((height.wrapping_sub(1) & 0x3fff) << 14);
        let body = [&[0x2f][..], &sizes.to_le_bytes(), &[0; 3]].concat();
        [b"RIFF\x14\0\0\0WEBPVP8L\x08\0\0\0", &body[..]].concat()
    };
    for (width, height) in
        [(65_500_u16, 65_500_u16), (1, 65_535), (65_535, 1), (0, 10), (20_000, 20_000)]
    {
        let (w, h) = (width.to_be_bytes(), height.to_be_bytes());
        claims.push(set(&jpeg, &[(frame + 5, &h), (frame + 7, &w)]));
        let (w, h) = (u32::from(width), u32::from(height));
        claims.push(set(&png, &[(16, &w.to_be_bytes()), (20, &h.to_be_bytes())]));
        claims.push(set(&bmp, &[(18, &w.to_le_bytes()), (22, &h.to_le_bytes())]));
        claims.push(set(&gif, &[(6, &width.to_le_bytes()), (8, &height.to_le_bytes())]));
        claims.push(webp(w.min(16_384), h.min(16_384)));
    }
    claims
}

fn chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(&kind);
    crc.update(body);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[..], &kind, body, &crc.sum().to_be_bytes()].concat()
}

/// A good PNG with 64 MiB of zeros, packed, beside its pixels.
fn bombs() -> Vec<Vec<u8>> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packer.write_all(&vec![0; MIB]).unwrap();
    }
    let packed = packer.finish().unwrap();
    let whole = file(ImageFormat::Png, 1);
    let with = |chunk: Vec<u8>| [&whole[..33], &chunk, &whole[33..]].concat();
    vec![
        with(chunk(*b"iCCP", &[b"profile\0\0", &packed[..]].concat())),
        with(chunk(*b"zTXt", &[b"Comment\0\0", &packed[..]].concat())),
        with(chunk(*b"iTXt", &[b"Comment\0\x01\0\0\0", &packed[..]].concat())),
    ]
}

#[test]
fn memory_stays_within_what_is_said() {
    let _alone = ALONE.lock();
    let strict = Decoding::default();
    for claim in claims() {
        let (result, peak) = peak(|| decode(&claim, &strict));
        assert!(result.is_err() && peak < MIB, "{:?} with {peak} bytes", result.map(|it| it.1));
    }
    let plain = decode(&file(ImageFormat::Png, 1), &strict).unwrap();
    for bomb in bombs() {
        let (result, peak) = peak(|| decode(&bomb, &strict));
        // The packed bytes themselves are copied once.
        assert!(result.as_ref() == Ok(&plain) && peak < 2 * MIB, "{peak} bytes");
    }
    // A chunk of a WebP that says it has 4 GiB.
    let webp = file(ImageFormat::WebP, 1);
    let size = u32::try_from(webp.len() - 8 + 8).unwrap().to_le_bytes();
    let claim = [&set(&webp, &[(4, &size)]), &b"EXIF\xff\xff\xff\xff"[..]].concat();
    let (result, held) = peak(|| decode(&claim, &strict));
    assert!(result.unwrap_err().to_string().contains("longer than the file"));
    assert!(held < MIB, "{held} bytes");

    // Rows of zeros: a real bomb within the limits of sides, beyond that of memory.
    let rows =
        set(&bombs()[0], &[(16, &32_768_u32.to_be_bytes()), (20, &32_768_u32.to_be_bytes())]);
    let (result, held) = peak(|| decode(&rows, &strict));
    assert!(matches!(result, Err(PictureError::TooLarge { .. })) && held < MIB, "{held} bytes");

    // Sixteen bits and transparency: eight bytes a pixel, four narrowed, three of the result.
    let sixteen = png(&vec![7; 500 * 400 * 8], 500, 400, ExtendedColorType::Rgba16);
    let need = 500 * 400 * (8 + 4 + 3);
    let with = |memory| {
        let limits = Limits { memory, ..Limits::default() };
        decode(&sixteen, &Decoding { limits, lenient: false })
    };
    let (result, held) = peak(|| with(need));
    assert!(result.unwrap().1.notes.contains(&Note::SixteenBit));
    let need = usize::try_from(need).unwrap();
    assert!(held < need + MIB, "{held} bytes, expected {need}");
    assert!(matches!(with(need as u64 - 1), Err(PictureError::TooLarge { .. })));
    // Three bytes a pixel, once from the decoder, once counted for the result.
    let jpeg = support::encode(&picture(500, 400, 3).into(), ImageFormat::Jpeg);
    let (result, held) = peak(|| decode(&jpeg, &strict));
    assert!(result.is_ok() && held < 500 * 400 * 9 + MIB, "{held} bytes");
    // Whatever is changed in a file, the limit holds: with room for what a decoder needs beside it.
    let limits = Limits { memory: 4 << 20, ..Limits::default() };
    let mut most = 0;
    for format in FORMATS {
        let whole = file(format, 1);
        for seed in 0..1000 {
            let changed = mutated(&whole, &mut Draws::new(seed));
            let how = Decoding { limits, lenient: seed % 2 == 1 };
            most = most.max(peak(|| decode(&changed, &how).is_ok()).1);
        }
    }
    assert!(most < (4 + 16) * MIB, "{most} bytes");
}

/// A set of bytes is loaded and divided with no more than a seventh above its pixels, and `beside`.
fn assert_in_memory_once(what: &str, beside: usize, load: impl Fn() -> Dataset) {
    let (data, held) = peak(|| {
        let mut data = load();
        data.hold_out_test(0.2, 0).unwrap();
        data.hold_out_validation(0.1, 1).unwrap();
        data
    });
    let parts = [Some(&data.train), data.validation.as_ref(), data.test.as_ref()];
    let pixels: usize = parts.into_iter().flatten().map(|part| part.pixels().len()).sum();
    assert!(held >= pixels, "{what}: {held} bytes held {pixels}");
    let most = pixels * 8 / 7 + beside;
    assert!(held < most, "{what}: {held} bytes, expected at most {most} for {pixels} of pixels");
}

fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let sizes: Vec<u8> = dims.iter().flat_map(|size| size.to_be_bytes()).collect();
    [&[0, 0, 8, u8::try_from(dims.len()).unwrap()], &sizes[..], values].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn npz(fortran: &str, [x, y]: [(&str, &[u8]); 2]) -> Vec<u8> {
    let mut zip = zip::write::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, (shape, values)) in [("x.npy", x), ("y.npy", y)] {
        let header = format!("{{'descr': '|u1', 'fortran_order': {fortran}, 'shape': {shape}}}\n");
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        for piece in [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values] {
            zip.write_all(piece).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn arrays_are_in_memory_once() {
    let _alone = ALONE.lock();
    let count = 20_000_u32;
    let labels: Vec<u8> = (0_u8..10).cycle().take(count as usize).collect();
    let pixels: Vec<u8> = (0_u8..=250).cycle().take(28 * 28 * count as usize).collect();
    let (images, classes) = (idx(&[count, 28, 28], &pixels), idx(&[count], &labels));
    let arrays = [("(20000, 28, 28)", &pixels[..]), ("(20000,)", &labels[..])];
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, bytes: Vec<u8>| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("packed/train-images-idx3-ubyte.gz", gzip(&images));
    write("packed/train-labels-idx1-ubyte.gz", gzip(&classes));
    write("plain/train-images-idx3-ubyte", images);
    write("plain/train-labels-idx1-ubyte", classes);
    write("rows.npz", npz("False", arrays));
    write("fortran.npz", npz("True", arrays));
    // Planes are turned four MiB at a time.
    for (path, beside) in
        [("plain", MIB), ("packed", MIB), ("rows.npz", MIB), ("fortran.npz", 5 * MIB)]
    {
        let path: &Path = &folder.path().join(path);
        assert_in_memory_once(path.to_str().unwrap(), beside, || {
            load_arrays(path).unwrap().unwrap().0
        });
    }
}

#[test]
fn pictures_are_in_memory_once() {
    let _alone = ALONE.lock();
    let folder = tempfile::tempdir().unwrap();
    let shape = ImageShape { height: 1, width: 1, channels: 3 };
    let file = encode_png(&[1, 2, 3], shape).unwrap();
    for (part, count) in [("alone", 600), ("own/train", 400), ("own/test", 200)] {
        for number in 0..count {
            let class = folder.path().join(part).join(format!("{}", number % 4));
            fs::create_dir_all(&class).unwrap();
            fs::write(class.join(format!("{number}.png")), &file).unwrap();
        }
    }
    let shape = ImageShape { height: 64, width: 64, channels: 3 };
    let mut options = LoadOptions::new(Preprocessing::stretch(shape));
    options.cache = Some(folder.path().join("cache"));
    for root in ["alone", "own"].map(|name| folder.path().join(name)) {
        for expected in [CacheUse::Stored, CacheUse::Hit] {
            assert_in_memory_once(&format!("{} {expected:?}", root.display()), MIB, || {
                let loaded = load_pictures(&root, &options).unwrap();
                assert_eq!(loaded.report.cache, expected);
                loaded.dataset
            });
        }
    }
}
