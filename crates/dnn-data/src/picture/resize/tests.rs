//! Resizing against another library's, byte for byte.

use dnn_kernels::KernelPath;
use fast_image_resize::images::TypedImage;
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions};
use proptest::prelude::*;

use super::*;

const FILTERS: [Filter; 4] = [Filter::Nearest, Filter::Bilinear, Filter::Bicubic, Filter::Lanczos];

/// What `fast_image_resize` makes of an area.
fn expected(from: &Rgb, area: [f64; 4], filter: Filter, to: ImageSize) -> Vec<u8> {
    let side = |side: usize| u32::try_from(side).unwrap();
    let mut pixels = from.pixels.clone();
    // Of this type alone: all that the library has take a minute to compile.
    let source =
        TypedImage::<U8x3>::from_buffer(side(from.width), side(from.height), &mut pixels).unwrap();
    let mut out = vec![0; 3 * to.width * to.height];
    let mut image =
        TypedImage::<U8x3>::from_buffer(side(to.width), side(to.height), &mut out).unwrap();
    let algorithm = match filter {
        Filter::Nearest => ResizeAlg::Nearest,
        Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        Filter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        Filter::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
    };
    let [left, top, width, height] = area;
    let options = ResizeOptions::new().resize_alg(algorithm).crop(left, top, width, height);
    fast_image_resize::Resizer::new().resize_typed(&source, &mut image, &options).unwrap();
    out
}

/// What [`Resizer`] makes of it on all instruction sets, whatever it made before.
fn check(
    resizer: &mut Resizer,
    from: &Rgb,
    area: [f64; 4],
    to: ImageSize,
) -> Result<(), TestCaseError> {
    let [left, top, width, height] = area;
    let columns = Side { pixels: from.width, start: left, length: width, to: to.width };
    let rows = Side { pixels: from.height, start: top, length: height, to: to.height };
    for filter in FILTERS {
        let expected = expected(from, area, filter, to);
        let what = format!("{}x{} {area:?} to {to:?}, {filter:?}", from.width, from.height);
        let mut out = vec![1; expected.len()];
        resizer.resize(from, area, filter, to, &mut out);
        prop_assert!(out == expected, "{what}");
        let Some(curve) = Curve::of(filter).filter(|_| !(columns.is_kept() && rows.is_kept()))
        else {
            continue;
        };
        for path in KernelPath::all() {
            out.fill(2);
            resizer.weigh(path, from, [columns, rows], curve, &mut out);
            prop_assert!(out == expected, "{what}, {path}");
        }
    }
    Ok(())
}

/// Any bytes, black, white, or both of these.
fn pixels(length: usize, kind: u8) -> BoxedStrategy<Vec<u8>> {
    match kind {
        0 => Just(vec![0; length]).boxed(),
        1 => Just(vec![255; length]).boxed(),
        2 => prop::collection::vec(prop_oneof![Just(0_u8), Just(255)], length).boxed(),
        _ => prop::collection::vec(any::<u8>(), length).boxed(),
    }
}

fn side() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..8, 1_usize..40, 1_usize..300]
}

fn pictures() -> impl Strategy<Value = Rgb> {
    (side(), side(), 0_u8..6).prop_flat_map(|(width, height, kind)| {
        pixels(3 * width * height, kind).prop_map(move |pixels| Rgb { width, height, pixels })
    })
}

/// A stretch of a side of this many pixels that becomes `to`: from eighths on where it shrinks, as after decoding at a
/// reduced size, else whole ones. (Where a side grows from a fraction on, the other library can read past its rows.)
fn stretch(pixels: usize, to: usize, [start, end]: [f64; 2]) -> [f64; 2] {
    let place = |share: f64, unit: f64| (share * pixels as f64 * unit).floor() / unit;
    let (from, until) = (start.min(end), start.max(end));
    let eighths = [place(from, 8.0), place(until, 8.0) - place(from, 8.0)];
    if eighths[1] > to as f64 {
        return eighths;
    }
    [place(from, 1.0), (place(until, 1.0) - place(from, 1.0)).max(1.0)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_whole_picture_has_the_bytes_of_the_other_library(
        from in pictures(), width in side(), height in side(), kept in 0_u8..8,
    ) {
        let width = if kept == 0 { from.width } else { width };
        let height = if kept == 1 { from.height } else { height };
        let area = [0.0, 0.0, from.width as f64, from.height as f64];
        check(&mut Resizer::default(), &from, area, ImageSize { width, height })?;
    }

    #[test]
    fn parts_have_the_bytes_of_the_other_library_one_after_another(
        from in pictures(),
        parts in prop::collection::vec(
            (side(), side(), [0.0..1.0, 0.0..1.0], [0.0..1.0, 0.0..1.0]), 1..4,
        ),
    ) {
        let mut resizer = Resizer::default();
        for (width, height, x, y) in parts {
            let [left, part_width] = stretch(from.width, width, x);
            let [top, part_height] = stretch(from.height, height, y);
            let area = [left, top, part_width, part_height];
            check(&mut resizer, &from, area, ImageSize { width, height })?;
        }
    }
}

#[test]
fn every_row_of_a_block_and_every_column_has_its_place() {
    let from = Rgb {
        width: 37,
        height: 41,
        pixels: (0..3 * 37 * 41)
            .map(|i: u32| i.wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect(),
    };
    let mut resizer = Resizer::default();
    for sides in 1..70 {
        let to = ImageSize { width: sides, height: 70 - sides };
        check(&mut resizer, &from, [0.0, 0.0, 37.0, 41.0], to).unwrap();
    }
}

#[test]
#[should_panic(expected = "expected a part of 2x2 pixels")]
fn a_part_outside_of_the_picture_is_refused() {
    let from = Rgb { width: 2, height: 2, pixels: vec![0; 12] };
    let to = ImageSize { width: 1, height: 1 };
    Resizer::default().resize(&from, [0.5, 0.0, 2.0, 2.0], Filter::Bilinear, to, &mut [0; 3]);
}
