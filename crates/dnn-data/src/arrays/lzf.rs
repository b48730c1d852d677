//! LZF, the compression that h5py writes with `compression="lzf"`.
//!
//! A packed text is a row of pieces. The first byte of each is its control byte `c`:
//!
//! ```text
//! c < 32:   c + 1 bytes follow, which are copied
//! else:     length = c >> 5, and if that is 7, plus the next byte
//!           distance = (c & 31) << 8, plus the next byte, plus 1
//!           length + 2 bytes are repeated from that far back; they may run into themselves
//! ```
//!
//! # References
//! Marc Lehmann, `LibLZF`.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

/// What was packed, if it has at most `most` bytes.
pub(super) fn unpack(packed: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let cut = || "LZF: it ends in the middle of a piece".to_owned();
    let mut packed = packed;
    let mut out = Vec::new();
    while let Some((&control, rest)) = packed.split_first() {
        packed = rest;
        let mut length = usize::from(control >> 5);
        if length == 0 {
            let count = usize::from(control).saturating_add(1);
            let (literal, rest) = packed.split_at_checked(count).ok_or_else(cut)?;
            out.extend_from_slice(literal);
            packed = rest;
        } else {
            let mut next = || {
                let (&byte, rest) = packed.split_first().ok_or_else(cut)?;
                packed = rest;
                Ok::<usize, String>(usize::from(byte))
            };
            if length == 7 {
                length = length.saturating_add(next()?);
            }
            let distance = (usize::from(control & 31) << 8 | next()?).saturating_add(1);
            let from = out.len().checked_sub(distance).ok_or_else(|| {
                format!("LZF: expected a distance of at most {}, found {distance}", out.len())
            })?;
            // Byte by byte, since what is repeated may only just have been written.
            for place in from..from.saturating_add(length).saturating_add(2) {
                out.extend(out.get(place).copied());
            }
        }
        if out.len() > most {
            return Err(format!("LZF: expected at most {most} bytes, found more"));
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_repeats_are_unpacked() {
        // Three literals, then 2 + 2 from 3 back: `abcabca`; then 7 + 1 + 2 from 1 back: ten times `a`.
        let packed = [2, b'a', b'b', b'c', 2 << 5, 2, 7 << 5, 1, 0];
        assert_eq!(unpack(&packed, 100).unwrap(), b"abcabcaaaaaaaaaaa"[..]);
        // From 257 back: the high bits of the distance are in the control byte.
        let mut packed: Vec<u8> = Vec::new();
        for start in [0, 32, 64, 96, 128, 160, 192, 224, 0_u8] {
            packed.push(31);
            packed.extend((0..32).map(|step| start + step));
        }
        packed.extend([(1 << 5) | 1, 0]);
        let out = unpack(&packed, 1000).unwrap();
        assert_eq!(out.len(), 291);
        assert!(out.ends_with(&[31, 32, 33]));
        assert_eq!(unpack(&[], 0).unwrap(), b"");
    }

    #[test]
    fn what_is_cut_or_lies_is_refused() {
        for packed in [&[0][..], &[4, 1, 2], &[0, 9, 1 << 5], &[0, 9, 7 << 5, 4]] {
            assert!(unpack(packed, 100).unwrap_err().contains("in the middle"), "{packed:?}");
        }
        let error = unpack(&[0, 9, 1 << 5, 1], 100).unwrap_err();
        assert_eq!(error, "LZF: expected a distance of at most 1, found 2");
        let error = unpack(&[0, 9, 7 << 5, 255, 0], 100).unwrap_err();
        assert_eq!(error, "LZF: expected at most 100 bytes, found more");
    }
}
