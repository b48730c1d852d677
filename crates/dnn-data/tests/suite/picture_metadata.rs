//! Where an orientation may stand, and an alpha that nobody filled in.

use crate::support::{file, picture};
use dnn_data::picture::{Decoding, Note, decode};
use flate2::Crc;
use image::ImageFormat;

/// An EXIF block of one field: the orientation, in a number of two or of four bytes.
fn exif(orientation: u32, four_bytes: bool) -> Vec<u8> {
    let kind: &[u8] = if four_bytes { &[4, 0] } else { &[3, 0] };
    let start = b"II*\0\x08\0\0\0\x01\0\x12\x01";
    [start, kind, &[1, 0, 0, 0], &orientation.to_le_bytes(), &[0; 4]].concat()
}

/// The pictures' notes, and whether it came out turned: 40x24 lies, 24x40 stands.
fn notes(bytes: &[u8]) -> (Vec<Note>, bool) {
    let (rgb, info) = decode(bytes, &Decoding::default()).unwrap();
    (info.notes, (rgb.width, rgb.height) == (24, 40))
}

fn jpeg_with(exif: &[u8]) -> Vec<u8> {
    let jpeg = file(ImageFormat::Jpeg, 1);
    let length = u16::try_from(exif.len() + 8).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, b"Exif\0\0", exif, &jpeg[2..]].concat()
}

/// A WebP of the extended kind, with this block behind its pixels.
fn webp_with(exif: &[u8]) -> Vec<u8> {
    let plain = file(ImageFormat::WebP, 1);
    let length = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
    // Flags: there is EXIF. Then the sides less one, in three bytes each.
    let extended = [&b"VP8X"[..], &length(10), &[8, 0, 0, 0, 39, 0, 0, 23, 0, 0]].concat();
    let padding = &[0][..exif.len() % 2];
    let chunks =
        [&b"WEBP"[..], &extended, &plain[12..], b"EXIF", &length(exif.len()), exif, padding]
            .concat();
    [&b"RIFF"[..], &length(chunks.len()), &chunks].concat()
}

/// A PNG with this block before the chunk of this name.
fn png_with(exif: &[u8], before: [u8; 4]) -> Vec<u8> {
    let plain = file(ImageFormat::Png, 1);
    let at = plain.windows(4).position(|name| name == before).unwrap() - 4;
    let body = [b"eXIf", exif].concat();
    let mut crc = Crc::new();
    crc.update(&body);
    let length = u32::try_from(exif.len()).unwrap().to_be_bytes();
    [&plain[..at], &length, &body, &crc.sum().to_be_bytes(), &plain[at..]].concat()
}

#[test]
fn an_orientation_turns_in_every_format_whatever_its_type_and_prefix() {
    for four_bytes in [false, true] {
        let block = exif(6, four_bytes);
        let prefixed = [b"Exif\0\0", &block[..]].concat();
        for (what, bytes) in [
            ("JPEG", jpeg_with(&block)),
            ("JPEG with the prefix twice", jpeg_with(&prefixed)),
            ("WebP", webp_with(&block)),
            ("WebP with the prefix", webp_with(&prefixed)),
            ("PNG", png_with(&block, *b"IDAT")),
            ("PNG with the prefix", png_with(&prefixed, *b"IDAT")),
        ] {
            let expected = (vec![Note::Oriented(6)], true);
            assert_eq!(notes(&bytes), expected, "{what}, four bytes: {four_bytes}");
        }
    }
}

#[test]
fn an_orientation_behind_the_pixels_of_a_png_is_not_followed() {
    assert_eq!(notes(&png_with(&exif(6, false), *b"IEND")), (vec![], false));
}

/// A BMP of 32 bits a pixel with an alpha mask, of this picture with these alphas.
fn bmp(alphas: [u8; 6]) -> (Vec<u8>, Vec<u8>) {
    let rgb = picture(3, 2, 1);
    let number = |value: u32| value.to_le_bytes();
    let header =
        [&number(108)[..], &number(3), &number(2), &[1, 0, 32, 0], &number(3), &number(24)];
    let masks = [number(0xff_0000), number(0xff00), number(0xff), number(0xff00_0000)].concat();
    let header = [&header.concat()[..], &[0; 16], &masks, b"BGRs", &[0; 48]].concat();
    let start = [&b"BM"[..], &number(14 + 108 + 24), &number(0), &number(14 + 108)].concat();
    let mut rows = Vec::new();
    // The last row comes first.
    for y in [1, 0] {
        for x in 0..3 {
            let [red, green, blue] = rgb.get_pixel(x, y).0;
            rows.extend([blue, green, red, alphas[(3 * y + x) as usize]]);
        }
    }
    ([start, header, rows].concat(), rgb.into_raw())
}

#[test]
fn a_bmp_whose_alpha_is_0_throughout_is_opaque() {
    let read = |alphas| {
        let (file, colors) = bmp(alphas);
        let (rgb, info) = decode(&file, &Decoding::default()).unwrap();
        (rgb.pixels == colors, info.notes)
    };
    assert_eq!(read([0; 6]), (true, vec![]));
    assert_eq!(read([255; 6]), (true, vec![]));
    // One pixel that can be seen: the others are transparent.
    assert_eq!(read([0, 0, 255, 0, 0, 0]), (false, vec![Note::Transparent]));
}
