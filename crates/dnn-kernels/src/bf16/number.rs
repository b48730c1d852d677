//! From `f32` to bf16 and back.

/// The bits of the number in bf16 that is nearest to this one; of two that are as near, the one whose last bit is 0.
///
/// Numbers from 3.3961775e38 on, which is half a step beyond the largest of bf16, become infinite, those below
/// 2^-126 become 0, and NaN stays NaN; signs stay.
///
/// # Examples
/// ```
/// use dnn_kernels::bf16::{from_bf16, to_bf16};
///
/// // Eight digits of the fraction, the first of which is never written.
/// assert_eq!(from_bf16(to_bf16(1.0 + 1.0 / 128.0)), 1.0 + 1.0 / 128.0);
/// assert_eq!(from_bf16(to_bf16(1.0 + 1.0 / 256.0)), 1.0);
/// assert_eq!(from_bf16(to_bf16(1.0 + 3.0 / 256.0)), 1.0 + 4.0 / 256.0);
/// assert_eq!(from_bf16(to_bf16(3.4e38)), f32::INFINITY);
/// assert!(from_bf16(to_bf16(f32::NAN)).is_nan());
/// ```
#[inline]
pub fn to_bf16(value: f32) -> u16 {
    /// Of a NaN without a fraction in the upper half there would be an infinity left.
    const QUIET: u16 = 0x40;
    let bits = value.to_bits();
    let upper = |bits: u32| u16::try_from(bits >> 16).expect("16 bits");
    if value.is_nan() {
        return upper(bits) | QUIET;
    }
    if value.is_subnormal() {
        return upper(bits) & 0x8000;
    }
    let to_even = (bits >> 16) & 1;
    upper(bits + 0x7fff + to_even)
}

/// The number that these bits are in bf16.
#[inline]
pub fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
