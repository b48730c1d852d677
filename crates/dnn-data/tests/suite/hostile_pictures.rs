//! Damaged, lying and foreign files: an error with the reason, never a panic, never half a picture.

use crate::support::{Draws, FORMATS, animated_gif, encode, file, mutated, picture};
use dnn_data::picture::{Decoding, Limits, Note, PictureError, decode};
use image::{DynamicImage, ImageFormat};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

fn strict(bytes: &[u8]) -> Result<(usize, usize), PictureError> {
    decode(bytes, &Decoding::default()).map(|(rgb, _)| (rgb.width, rgb.height))
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for format in FORMATS {
        let whole = file(format, 1);
        assert_eq!(strict(&whole), Ok((40, 24)), "{format:?}");
        let taken: Vec<usize> =
            (0..whole.len()).into_par_iter().filter(|&end| strict(&whole[..end]).is_ok()).collect();
        assert_eq!(taken, [0; 0], "{format:?} of {} bytes cut to these lengths", whole.len());
    }
}

#[test]
fn a_progressive_jpeg_cut_anywhere_is_refused_too() {
    let whole = include_bytes!("../fixtures/progressive.jpg");
    assert!(strict(whole).is_ok());
    let taken: Vec<usize> = (0..whole.len()).filter(|&end| strict(&whole[..end]).is_ok()).collect();
    assert_eq!(taken, [0; 0], "of {} bytes", whole.len());
}

#[test]
fn a_cut_jpeg_can_be_asked_for_and_is_counted() {
    let whole = file(ImageFormat::Jpeg, 1);
    let lenient = Decoding { lenient: true, ..Decoding::default() };
    let (_, info) = decode(&whole, &lenient).unwrap();
    assert_eq!(info.notes, []);
    let (rgb, info) = decode(&whole[..whole.len() - 100], &lenient).unwrap();
    assert_eq!((rgb.width, rgb.height), (40, 24));
    assert_eq!(info.notes, [Note::Damaged]);
    assert!(decode(&whole[..100], &lenient).is_err(), "there is nothing to save");
    // Cut at a hundred points: told wherever it is used.
    let whole = encode(&picture(200, 150, 1).into(), ImageFormat::Jpeg);
    let used = (1..=100).map(|part| part * (whole.len() - 1) / 100).filter(|&end| {
        let cut = decode(&whole[..end], &lenient);
        cut.is_ok_and(|(_, info)| {
            assert_eq!(info.notes, [Note::Damaged], "cut at {end}");
            true
        })
    });
    assert!(used.count() > 80);
}

#[test]
fn a_wrong_checksum_in_any_chunk_of_a_png_is_refused() {
    let whole = encode(&DynamicImage::from(picture(40, 24, 1)), ImageFormat::Png);
    let mut at = 8;
    let mut kinds = Vec::new();
    while at < whole.len() {
        let length = u32::from_be_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
        kinds.push(String::from_utf8(whole[at + 4..at + 8].to_vec()).unwrap());
        let mut changed = whole.clone();
        changed[at + 8 + length] ^= 1;
        let error = strict(&changed).unwrap_err().to_string();
        assert!(error.starts_with("damaged PNG: "), "{error}");
        at += 12 + length;
    }
    assert!(kinds.contains(&"IHDR".to_owned()) && kinds.contains(&"IEND".to_owned()), "{kinds:?}");
}

#[test]
fn ten_thousand_mutations_of_each_format_never_panic() {
    for format in FORMATS {
        let refused: usize = (0..20_u64)
            .into_par_iter()
            .map(|seed| {
                let whole = encode(&picture(16, 12, seed).into(), format);
                let mut draws = Draws::new(1000 + seed);
                let decoding = Decoding { lenient: seed % 2 == 1, ..Decoding::default() };
                let refused =
                    (0..500).filter(|_| match decode(&mutated(&whole, &mut draws), &decoding) {
                        Ok((rgb, _)) => {
                            assert_eq!(rgb.pixels.len(), 3 * rgb.width * rgb.height);
                            false
                        }
                        Err(_) => true,
                    });
                refused.count()
            })
            .sum();
        assert!((100..10_000).contains(&refused), "{format:?}: {refused} refused");
    }
}

#[test]
fn claims_of_huge_sizes_are_refused_by_their_numbers() {
    let set = |whole: &[u8], places: [(usize, &[u8]); 2]| {
        let mut bytes = whole.to_vec();
        for (place, value) in places {
            bytes[place..place + value.len()].copy_from_slice(value);
        }
        bytes
    };
    let jpeg = file(ImageFormat::Jpeg, 1);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    for (width, height) in [(65500_u16, 65500_u16), (1, 65535), (65535, 1), (0, 10), (20000, 20000)]
    {
        let (w, h) = (width.to_be_bytes(), height.to_be_bytes());
        let claim = set(&jpeg, [(frame + 5, &h[..]), (frame + 7, &w[..])]);
        let error = strict(&claim).unwrap_err();
        assert!(error.to_string().contains("JPEG"), "{error}");
        if width > 32768 || height > 32768 {
            let expected = format!("a JPEG of {width}x{height} pixels is too large");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }
    let png = file(ImageFormat::Png, 1);
    let side = 100_000_u32.to_be_bytes();
    let error = strict(&set(&png, [(16, &side[..]), (20, &side[..])])).unwrap_err();
    assert!(error.to_string().starts_with("a PNG of 100000x100000 pixels is too large"), "{error}");
    // Within the limits, but not in so few bytes.
    let side = 10_000_u32.to_be_bytes();
    let error = strict(&set(&png, [(16, &side[..]), (20, &side[..])])).unwrap_err();
    assert!(error.to_string().contains("bytes cannot hold its 10000x10000 pixels"), "{error}");
}

#[test]
fn limits_can_be_set_and_hold() {
    let how = |limits| Decoding { limits, lenient: false };
    for format in FORMATS {
        let whole = file(format, 1);
        let exact = Limits { width: 40, height: 24, ..Limits::default() };
        assert!(decode(&whole, &how(exact)).is_ok());
        for limits in [
            Limits { width: 39, ..exact },
            Limits { height: 23, ..exact },
            Limits { memory: 40 * 24 * 3, ..exact },
        ] {
            let error = decode(&whole, &how(limits)).unwrap_err();
            assert!(
                matches!(error, PictureError::TooLarge { width: 40, .. }),
                "{format:?} {error}"
            );
        }
    }
}

#[test]
fn files_of_other_kinds_are_refused_by_name() {
    let magick = "`magick FILE NEW.png`";
    let cases: [(&[u8], &str); 38] = [
        (b"", "the file is empty"),
        (b"x", "found text"),
        (b"{\"error\": 404}", "found text"),
        (b"  <!DOCTYPE html><p>", "found an HTML page, perhaps of a failed download"),
        (b"<!doctype html><svg>", "found an HTML page, perhaps of a failed download"),
        (b"<?xml version=\"1.0\"?>", "found an XML text"),
        (b"BMW and other cars, a long text about them", "found text"),
        (b"PK\x03\x04....", "found a zip archive"),
        (b"\0\x01\x02", "found a file that begins with [00, 01, 02]"),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1",
            "HEIC is not read; convert it, for example by `heif-convert",
        ),
        (b"\0\0\0\x18ftypmif1\0\0\0\0heic", "sips -s format jpeg FILE --out NEW.jpg"),
        (
            b"\0\0\0\x18ftypavif\0\0\0\0avif",
            "AVIF is not read; convert it, for example by `avifdec",
        ),
        (b"\0\0\0\x18ftypcrx \0\0\0\0", "a camera's raw file is not read; develop it"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video or another ISO media file is not read"),
        (b"\x1aE\xdf\xa3", "a video is not read; take frames out, for example by `ffmpeg"),
        (b"II+\0\x08\0\0\0", "BigTIFF is not read"),
        (b"MM\0+\0\x08\0\0", "BigTIFF is not read"),
        (b"II*\0\x10\0\0\0CR\x02\0", "a camera's raw file is not read"),
        (b"FUJIFILMCCD-RAW 0201", "a camera's raw file is not read"),
        (b"IIRO\x08\0\0\0", "darktable-cli FILE NEW.jpg"),
        (b"\xff\x0a\0\0", "JPEG XL is not read; convert it, for example by `djxl FILE NEW.png`"),
        (b"\0\0\0\x0cJXL \x0d\x0a", "JPEG XL is not read"),
        (b"\0\0\0\x0cjP  \x0d\x0a", "JPEG 2000 is not read"),
        (b"\xff\x4f\xff\x51\0", "opj_decompress -i FILE -o NEW.png"),
        (b"8BPS\0\x01", "a Photoshop document is not read"),
        (b"gimp xcf file", "a GIMP document is not read"),
        (b"%PDF-1.7", "pdfimages -png FILE NEW"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript is not read"),
        (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "SVG is not read"),
        (b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- a --><svg/>", "rsvg-convert -o NEW.png FILE"),
        (b"\0\0\x01\0\x01\0\x10\x10", "an icon is not read"),
        (b"P6\n2 2\n255\n", "PNM is not read"),
        (b"P5 2 2 255 ", magick),
        (b"qoif\0\0\0\x01", magick),
        (b"DDS |\0\0\0", magick),
        (b"\x76\x2f\x31\x01\x02", magick),
        (b"SIMPLE  =                    T", "FITS is not read"),
        (b"#?RADIANCE\n", magick),
    ];
    for (bytes, expected) in cases {
        let error = strict(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "expected {expected}, found {error}");
    }
}

#[test]
fn dicom_is_told_by_what_stands_after_its_preamble() {
    let file = [&[0; 128][..], b"DICM\x02\0"].concat();
    let error = strict(&file).unwrap_err().to_string();
    assert!(
        error.starts_with("DICOM is not read; convert it, for example by `dcmj2pnm"),
        "{error}"
    );
}

#[test]
fn a_jpeg_in_arithmetic_coding_is_refused_by_name() {
    let mut jpeg = file(ImageFormat::Jpeg, 1);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 1] = 0xc9;
    let error = strict(&jpeg).unwrap_err();
    assert!(matches!(error, PictureError::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("rithmetic"), "{error}");
}

#[test]
fn a_damaged_second_frame_does_not_matter_and_is_told() {
    let gif = animated_gif();
    let (_, info) = decode(&gif, &Decoding::default()).unwrap();
    assert_eq!(info.notes, [Note::Palette, Note::Animated]);
}

/// Two colours in four places, run-length coded: a BMP of 2x2 with a palette.
fn packed_bmp(rows: &[u8]) -> Vec<u8> {
    let number = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    let palette = [0, 0, 0, 0, 200, 100, 50, 0];
    let header = [&number(40)[..], &number(2), &number(2), &[1, 0, 8, 0], &number(1)].concat();
    let rest = [&number(rows.len())[..], &number(0), &number(0), &number(2), &number(2)].concat();
    let start = 14 + 40 + palette.len();
    let file = [b"BM", &number(start + rows.len())[..], &number(0), &number(start)].concat();
    [&file[..], &header, &rest, &palette, rows].concat()
}

#[test]
fn a_run_length_coded_bmp_needs_its_end() {
    let rows = [2, 1, 0, 0, 1, 0, 1, 1, 0, 0, 0, 1];
    let (rgb, _) = decode(&packed_bmp(&rows), &Decoding::default()).unwrap();
    // The last row comes first; colours are blue, green, red.
    assert_eq!(rgb.pixels, [0, 0, 0, 50, 100, 200, 50, 100, 200, 50, 100, 200]);
    for end in 0..rows.len() {
        let error = strict(&packed_bmp(&rows[..end])).unwrap_err().to_string();
        assert!(error.starts_with("damaged BMP: it is cut short"), "{end}: {error}");
    }
}

#[test]
fn a_webp_of_one_colour_is_as_small_as_it_likes() {
    // No transform, no cache, one group of five codes of one symbol each: no bits for any pixel.
    let sizes = (3000_u32 - 1) | ((2000 - 1) << 14);
    let body = [&[0x2f][..], &sizes.to_le_bytes(), &[0x88, 0x88, 0x08]].concat();
    let file = [b"RIFF\x14\0\0\0WEBPVP8L\x08\0\0\0", &body[..]].concat();
    assert_eq!(strict(&file), Ok((3000, 2000)));
}

#[test]
fn a_gif_whose_frame_leaves_its_canvas_is_refused_or_cut_to_it() {
    let whole = file(ImageFormat::Gif, 1);
    let frame = whole.windows(9).position(|it| it == [0x2c, 0, 0, 0, 0, 40, 0, 24, 0]).unwrap();
    for (place, value) in [(1, 30), (1, 200), (3, 20), (4, 255), (5, 255), (6, 255), (7, 25)] {
        let mut changed = whole.clone();
        changed[frame + place] = value;
        match decode(&changed, &Decoding::default()) {
            Ok((rgb, _)) => assert_eq!((rgb.width, rgb.height), (40, 24), "{place}"),
            Err(error) => assert!(error.to_string().starts_with("damaged GIF"), "{error}"),
        }
    }
}
