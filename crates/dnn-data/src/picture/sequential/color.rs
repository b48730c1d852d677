//! From luma and chroma to red, green and blue.

/// Bits after the point of the factors.
const POINT: u32 = 14;

/// A factor of JFIF's rule, in fixed point.
const fn factor(millionths: i64) -> i32 {
    #[allow(clippy::cast_possible_truncation, reason = "below 2")]
    let factor = (((millionths << POINT) + 500_000) / 1_000_000) as i32;
    factor
}

/// Writes red, green and blue of a row of pixels: `r = y + 1.402 (cr - 128)`,
/// `g = y - 0.344136 (cb - 128) - 0.714136 (cr - 128)`, `b = y + 1.772 (cb - 128)`, to the nearest.
pub(super) fn to_rgb(luma: &[u8], blue: &[u8], red: &[u8], out: &mut [u8]) {
    let level = |value: i32| {
        let value = (value + (1 << (POINT - 1))) >> POINT;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        let level = value.clamp(0, 255) as u8;
        level
    };
    let pixels = out.chunks_exact_mut(3).zip(luma.iter().zip(blue.iter().zip(red)));
    for (rgb, (&luma, (&blue, &red))) in pixels {
        let luma = i32::from(luma) << POINT;
        let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
        rgb[0] = level(luma + factor(1_402_000) * red);
        rgb[1] = level(luma - factor(344_136) * blue - factor(714_136) * red);
        rgb[2] = level(luma + factor(1_772_000) * blue);
    }
}

/// Writes a row of grey pixels.
pub(super) fn grey_to_rgb(luma: &[u8], out: &mut [u8]) {
    out.chunks_exact_mut(3).zip(luma).for_each(|(rgb, &luma)| rgb.fill(luma));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_is_the_nearest_to_the_rule() {
        for (y, cb) in (0..=255_u8).step_by(5).flat_map(|y| (0..=255_u8).map(move |cb| (y, cb))) {
            let reds: Vec<u8> = (0..=255).collect();
            let mut out = [0; 3 * 256];
            to_rgb(&[y; 256], &[cb; 256], &reds, &mut out);
            for (cr, found) in out.chunks(3).enumerate() {
                let (y, cb, cr) = (f64::from(y), f64::from(cb) - 128.0, cr as f64 - 128.0);
                let expected =
                    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
                for (found, expected) in found.iter().zip(expected) {
                    // The factors are within 2^-15, of at most 256 and 128.
                    let off = (f64::from(*found) - expected.clamp(0.0, 255.0)).abs();
                    assert!(off <= 0.5 + 256.0 / 32768.0, "{y} {cb} {cr}: {found} {expected}");
                }
            }
        }
    }
}
