//! How large a picture is.

use super::decode::contain;
use super::jpeg;
use super::sniff::sniff;
use super::{Decoding, Format, decode};
use crate::ImageSize;

/// The size of a picture as it is looked at, upright; `None` where the file cannot be used.
///
/// Of PNG, GIF and JPEG only the header is read, unless the sides differ and the picture may lie on one
/// of them.
pub(crate) fn upright_size(bytes: &[u8]) -> Option<ImageSize> {
    match header_size(bytes) {
        Some(size) if size.width == size.height && size.width > 0 => Some(size),
        _ => {
            let (rgb, _) = decode(bytes, &Decoding::default()).ok()?;
            Some(ImageSize { width: rgb.width, height: rgb.height })
        }
    }
}

/// What the header says, where it can be read without decoding.
fn header_size(bytes: &[u8]) -> Option<ImageSize> {
    let side = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let short = |at: usize| bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes);
    match sniff(bytes).ok()? {
        Format::Png => Some(ImageSize { width: side(16)? as usize, height: side(20)? as usize }),
        Format::Gif => Some(ImageSize { width: short(6)?.into(), height: short(8)?.into() }),
        Format::Jpeg => contain(Format::Jpeg, || {
            let mut decoder = jpeg::decoder(bytes, false);
            let _ = decoder.decode_headers();
            let size = decoder.info().map(|info| [info.width, info.height].map(usize::from));
            Ok(size.map(|[width, height]| ImageSize { width, height }))
        })
        .ok()?,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageShape;
    use crate::picture::encode_png;

    #[test]
    fn the_size_is_that_of_the_upright_picture() {
        for (width, height) in [(1, 1), (7, 7), (9, 4)] {
            let pixels = vec![9; width * height * 3];
            let file = encode_png(&pixels, ImageShape { height, width, channels: 3 }).unwrap();
            let size = ImageSize { width, height };
            assert_eq!(upright_size(&file), Some(size));
            let cut = upright_size(&file[..file.len() - 20]);
            // A header is enough where no side is another; whether the rest is there, decoding tells.
            assert_eq!(cut, (width == height).then_some(size));
        }
        assert_eq!(upright_size(b"<html>"), None);
    }
}
