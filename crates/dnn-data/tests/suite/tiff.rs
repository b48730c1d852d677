//! TIFF: what each kind becomes, and what is refused by name.

use crate::support::{encode, picture};
use dnn_data::picture::{Decoding, Format, Note, decode};
use image::{DynamicImage, ImageFormat};

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const STRIP_OFFSETS: u16 = 273;
const ORIENTATION: u16 = 274;
const SAMPLES: u16 = 277;
const STRIP_BYTES: u16 = 279;
const PLANAR: u16 = 284;
const PREDICTOR: u16 = 317;
const COLOR_MAP: u16 = 320;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;

/// A TIFF that is written field by field; the pixels lie behind the directory.
#[derive(Clone)]
struct Tiff {
    big_endian: bool,
    /// Tags and their numbers of two bytes.
    fields: Vec<(u16, Vec<u16>)>,
    pixels: Vec<u8>,
    /// In how many strips of equal length they lie.
    strips: usize,
    /// Where the directory of the next page lies.
    next: u32,
}

impl Tiff {
    fn new(sides: [u16; 2], photometric: u16, samples: u16, bits: u16, pixels: &[u8]) -> Self {
        let fields = vec![
            (WIDTH, vec![sides[0]]),
            (HEIGHT, vec![sides[1]]),
            (BITS, vec![bits; samples.into()]),
            (COMPRESSION, vec![1]),
            (PHOTOMETRIC, vec![photometric]),
            (SAMPLES, vec![samples]),
        ];
        Self { big_endian: false, fields, pixels: pixels.to_vec(), strips: 1, next: 0 }
    }

    /// Of two rows with one pixel of red, green and blue each.
    fn two() -> Self {
        Self::new([1, 2], 2, 3, 8, &[10, 20, 30, 40, 50, 60])
    }

    fn with(mut self, tag: u16, numbers: &[u16]) -> Self {
        self.fields.retain(|(other, _)| *other != tag);
        self.fields.push((tag, numbers.to_vec()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let two = |n: u16| if self.big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let four = |n: usize| {
            let n = u32::try_from(n).unwrap();
            if self.big_endian { n.to_be_bytes() } else { n.to_le_bytes() }
        };
        let mut fields = self.fields.clone();
        fields.push((STRIP_OFFSETS, vec![]));
        let strip = self.pixels.len() / self.strips;
        fields.push((STRIP_BYTES, vec![u16::try_from(strip).unwrap(); self.strips]));
        fields.sort();
        let end = 8 + 2 + 12 * fields.len() + 4;
        let lists: usize =
            fields.iter().map(|(_, n)| if n.len() > 2 { 2 * n.len() } else { 0 }).sum();
        let lists = lists + if self.strips > 1 { 4 * self.strips } else { 0 };
        let start: &[u8] = if self.big_endian { b"MM\0*" } else { b"II*\0" };
        let mut file = [start, &four(8), &two(u16::try_from(fields.len()).unwrap())].concat();
        let mut behind = Vec::new();
        for (tag, numbers) in fields {
            file.extend(two(tag));
            if tag == STRIP_OFFSETS {
                file.extend([&two(4)[..], &four(self.strips)].concat());
                let places = (0..self.strips).map(|number| four(end + lists + number * strip));
                let places: Vec<u8> = places.flatten().collect();
                if self.strips > 1 {
                    file.extend(four(end + behind.len()));
                    behind.extend(places);
                } else {
                    file.extend(places);
                }
                continue;
            }
            file.extend([&two(3)[..], &four(numbers.len())].concat());
            let mut list: Vec<u8> = numbers.iter().flat_map(|&number| two(number)).collect();
            if numbers.len() > 2 {
                file.extend(four(end + behind.len()));
                behind.append(&mut list);
            } else {
                list.resize(4, 0);
                file.extend(list);
            }
        }
        file.extend(four(self.next as usize));
        [file, behind, self.pixels.clone()].concat()
    }
}

fn read(tiff: &Tiff) -> (Vec<u8>, Vec<Note>) {
    let (rgb, info) = decode(&tiff.bytes(), &Decoding::default()).unwrap();
    assert_eq!(info.format, Format::Tiff);
    (rgb.pixels, info.notes)
}

/// What a file is called, the file, its pixels and notes.
type Case = (&'static str, Tiff, Vec<u8>, Vec<Note>);

/// Reads each case in both orders of bytes; pixels of 16 bits are written in one.
fn check<const COUNT: usize>(cases: [Case; COUNT]) {
    for (what, tiff, expected, notes) in cases {
        assert_eq!(read(&tiff), (expected.clone(), notes.clone()), "{what}");
        if !notes.contains(&Note::SixteenBit) {
            assert_eq!(read(&Tiff { big_endian: true, ..tiff }), (expected, notes), "{what}");
        }
    }
}

#[test]
fn levels_of_every_width_become_bytes() {
    let new = Tiff::new;
    let sixteen = |values: &[u16]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    check([
        ("colours", new([1, 1], 2, 3, 8, &[9, 8, 7]), vec![9, 8, 7], vec![]),
        ("grey", new([2, 1], 1, 1, 8, &[9, 200]), vec![9, 9, 9, 200, 200, 200], vec![Note::Grey]),
        ("white at 0", new([1, 1], 0, 1, 8, &[9]), vec![246; 3], vec![Note::Grey]),
        // Rows end with a byte: 1 0 1 of 101, 0 1 0 of 010.
        (
            "one bit",
            new([3, 2], 1, 1, 1, &[0xa0, 0x40]),
            [[255; 3], [0; 3], [255; 3], [0; 3], [255; 3], [0; 3]].concat(),
            vec![Note::Grey],
        ),
        (
            "four bits",
            new([3, 1], 1, 1, 4, &[0x0f, 0x50]),
            [[0; 3], [255; 3], [85; 3]].concat(),
            vec![Note::Grey],
        ),
        // (384 + 128) / 257 = 1.99, (386 + 128) / 257 = 2
        (
            "16 bits",
            new([1, 1], 2, 3, 16, &sixteen(&[384, 386, 65535])),
            vec![1, 2, 255],
            vec![Note::SixteenBit],
        ),
    ]);
}

#[test]
fn palettes_and_inks_become_colors() {
    let new = Tiff::new;
    let colors: Vec<u16> = [[0x1234, 0xff00], [0x5600, 0x80ff], [0x7800, 0x00ff]].concat();
    check([
        (
            "a palette",
            new([3, 1], 3, 1, 1, &[0x40]).with(COLOR_MAP, &colors),
            [[0x12, 0x56, 0x78], [0xff, 0x80, 0], [0x12, 0x56, 0x78]].concat(),
            vec![Note::Palette],
        ),
        (
            "a palette of 8 bits",
            new([2, 1], 3, 1, 1, &[0x40]).with(COLOR_MAP, &[1, 2, 3, 4, 5, 6]),
            vec![1, 3, 5, 2, 4, 6],
            vec![Note::Palette],
        ),
        // 255 - 55 = 200 of paper, and 255 - 51 = 204 of black: 200 * 204 / 255 = 160
        ("inks", new([1, 1], 5, 4, 8, &[55, 0, 255, 51]), vec![160, 204, 0], vec![Note::Cmyk]),
        // (9 * 51 + 255 * 204 + 127) / 255 = 206.3
    ]);
}

#[test]
fn what_lies_beside_the_colors_has_its_rule() {
    let new = Tiff::new;
    check([
        (
            "alpha",
            new([1, 1], 2, 4, 8, &[9, 0, 255, 51]).with(EXTRA_SAMPLES, &[2]),
            vec![206, 204, 255],
            vec![Note::Transparent],
        ),
        // Multiplied already: 9 + 204.
        (
            "multiplied alpha",
            new([1, 1], 2, 4, 8, &[9, 0, 51, 51]).with(EXTRA_SAMPLES, &[1]),
            vec![213, 204, 255],
            vec![Note::Transparent],
        ),
        (
            "a channel of unknown meaning",
            new([1, 1], 2, 4, 8, &[9, 8, 7, 51]).with(EXTRA_SAMPLES, &[0]),
            vec![9, 8, 7],
            vec![],
        ),
        (
            "a channel that is not told of",
            new([1, 1], 2, 4, 8, &[9, 8, 7, 51]),
            vec![9, 8, 7],
            vec![],
        ),
        (
            "grey and alpha",
            new([1, 1], 1, 2, 8, &[9, 51]).with(EXTRA_SAMPLES, &[2]),
            vec![206; 3],
            vec![Note::Grey, Note::Transparent],
        ),
        (
            "channels one after another",
            Tiff { strips: 3, ..new([2, 1], 2, 3, 8, &[1, 4, 2, 5, 3, 6]).with(PLANAR, &[2]) },
            vec![1, 2, 3, 4, 5, 6],
            vec![],
        ),
        (
            "turned",
            Tiff::two().with(ORIENTATION, &[6]),
            vec![40, 50, 60, 10, 20, 30],
            vec![Note::Oriented(6)],
        ),
    ]);
}

#[test]
fn what_another_program_wrote_comes_back_and_later_pages_are_told() {
    let whole = picture(23, 17, 1);
    let file = encode(&whole.clone().into(), ImageFormat::Tiff);
    let (rgb, info) = decode(&file, &Decoding::default()).unwrap();
    assert_eq!((rgb.pixels, info.notes), (whole.clone().into_raw(), vec![]));
    let deep = DynamicImage::from(whole.clone()).to_rgb16();
    let (rgb, info) =
        decode(&encode(&deep.into(), ImageFormat::Tiff), &Decoding::default()).unwrap();
    assert_eq!((rgb.pixels, info.notes), (whole.into_raw(), vec![Note::SixteenBit]));
    // A second directory, without fields, at the end.
    let end = u32::try_from(Tiff::two().bytes().len()).unwrap();
    let pages = [Tiff { next: end, ..Tiff::two() }.bytes(), vec![0; 6]].concat();
    let (rgb, info) = decode(&pages, &Decoding::default()).unwrap();
    assert_eq!((rgb.pixels, info.notes), (vec![10, 20, 30, 40, 50, 60], vec![Note::Pages]));
    assert_eq!(Note::Pages.to_string(), "several pages; the first is used");
    assert!(Format::Tiff.has_suffix("TIF") && Format::Tiff.has_suffix("tiff"));
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let by_magick = "convert it, for example by `magick FILE NEW.png` of ImageMagick";
    for (tiff, expected) in [
        (Tiff::two().with(COMPRESSION, &[7]), "TIFF with JPEG inside is not read"),
        (Tiff::two().with(COMPRESSION, &[50000]), "TIFF with compression 50000 is not read"),
        (Tiff::two().with(PHOTOMETRIC, &[8]), "TIFF with colours of kind 8 is not read"),
        (Tiff::two().with(BITS, &[8, 8, 16]), "TIFF with channels of unequal bits is not read"),
        (Tiff::two().with(BITS, &[32; 3]), "TIFF with 3 times 32 bits a pixel is not read"),
        (
            Tiff::two().with(SAMPLE_FORMAT, &[3; 3]),
            "TIFF with numbers that are no levels is not read",
        ),
        (Tiff::two().with(266, &[2]), "TIFF with its bits in reversed order is not read"),
        (
            Tiff::new([1, 1], 2, 4, 8, &[0; 4]).with(PREDICTOR, &[2]),
            "TIFF with a channel of unknown meaning and differences for levels is not read",
        ),
    ] {
        let error = decode(&tiff.bytes(), &Decoding::default()).unwrap_err().to_string();
        assert_eq!(error, format!("{expected}; {by_magick}"));
    }
    // A preview, a mark of the format, colours of a sensor.
    for (tag, numbers) in [(254, [1].as_slice()), (50706, &[0x0104]), (PHOTOMETRIC, &[32803])] {
        let error = decode(&Tiff::two().with(tag, numbers).bytes(), &Decoding::default());
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("a camera's raw file is not read; develop it"), "{tag}: {error}");
    }
}

#[test]
fn lists_that_lie_are_damage() {
    let words = |tiff: &Tiff| decode(&tiff.bytes(), &Decoding::default()).unwrap_err().to_string();
    let mut short = Tiff::two();
    short.pixels.pop();
    assert_eq!(words(&short), "damaged TIFF: its strips or tiles are too short for its size");
    let palette = Tiff::new([1, 1], 3, 1, 8, &[0]).with(COLOR_MAP, &[0; 12]);
    assert_eq!(words(&palette), "damaged TIFF: its palette is missing or too short");
    let huge = Tiff::new([30_000, 30_000], 2, 3, 8, &[0; 12]);
    let error = words(&huge);
    assert!(error.contains("30000x30000 pixels"), "{error}");
    // With the pixels last, a cut takes pixels; the directory is whole.
    let whole = Tiff::two().bytes();
    for end in 0..whole.len() {
        let error = decode(&whole[..end], &Decoding::default()).unwrap_err().to_string();
        assert!(end < 4 || error.starts_with("damaged TIFF: "), "{end}: {error}");
    }
}
