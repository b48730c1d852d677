//! From the bytes of a file to the pixels that a network sees.

use fast_image_resize as fir;

use crate::picture::{Decoding, Info, PictureError, Preprocessing, decode};

/// Prepares one picture after another; keeps its buffers between them. One for each thread.
#[derive(Debug)]
pub struct Preparer {
    preprocessing: Preprocessing,
    decoding: Decoding,
    resizer: fir::Resizer,
}

impl Preparer {
    /// A preparer with these settings.
    pub fn new(preprocessing: Preprocessing, decoding: Decoding) -> Self {
        Self { preprocessing, decoding, resizer: fir::Resizer::new() }
    }

    /// Decodes the picture in `bytes` and writes its pixels into `out`, row-major, channels
    /// interleaved.
    ///
    /// # Errors
    /// What [`PictureError`] lists; `out` then holds anything.
    ///
    /// # Panics
    /// When `out` does not have the length of the shape.
    pub fn prepare(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<Info, PictureError> {
        let shape = self.preprocessing.shape;
        assert_eq!(Some(out.len()), shape.features(), "expected room for {shape}");
        let (rgb, info) = decode(bytes, &self.decoding)?;
        let size = |side: usize| u32::try_from(side).expect("pictures are within u32");
        let source = fir::images::ImageRef::new(
            size(rgb.width),
            size(rgb.height),
            &rgb.pixels,
            fir::PixelType::U8x3,
        )
        .expect("the decoder gives width * height * 3 bytes");
        let mut to = fir::images::Image::from_slice_u8(
            size(shape.width),
            size(shape.height),
            out,
            fir::PixelType::U8x3,
        )
        .expect("the length was checked");
        let options = fir::ResizeOptions::new()
            .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear));
        self.resizer.resize(&source, &mut to, &options).expect("both are U8x3");
        Ok(info)
    }
}
