//! From the bytes of a file to the pixels that a network sees.

use crate::ImageSize;
use crate::picture::decode::{Upright, decode_for};
use crate::picture::plan::{DecodePlan, upright};
use crate::picture::resize::Resizer;
use crate::picture::{Decoding, Info, PictureError, Preprocessing};

/// Prepares one picture after another; keeps its buffers between them. One for each thread.
///
/// | fit | what is scaled, of a picture of `w` x `h` for `W` x `H` |
/// |---|---|
/// | stretch | the whole, each side on its own |
/// | pad | the whole, to `round(w s)` x `round(h s)` (at least 1), `s = min(W / w, H / h)`; in the middle, black around it |
/// | crop | from the middle, `round(h W / H)` x `h` if that is narrower than the picture, else `w` x `round(w H / W)` |
///
/// Where the rest cannot be halved, the extra row or column lies below or on the right. For one
/// channel, grey is `(299 r + 587 g + 114 b + 500) / 1000` of the scaled picture (ITU-R BT.601).
///
/// A common JPEG is decoded at a half, a quarter or an eighth of its size, the smallest that leaves 1.4
/// times the wanted pixels on each side of the used part, unless the filter is the nearest pixel. Its pixels
/// then differ from those scaled down from all of the file's by about one of 255 levels on average, up to
/// 2 in small pictures that become tiny. Errors and [`Info`] are those of
/// [`decode`](crate::picture::decode) all the same.
///
/// # Examples
/// ```
/// use dnn_data::ImageShape;
/// use dnn_data::picture::{Decoding, Preparer, Preprocessing, encode_png};
///
/// let shape = ImageShape { height: 1, width: 2, channels: 3 };
/// let file = encode_png(&[255, 0, 0, 0, 0, 255], shape)?;
/// let to = Preprocessing::stretch(ImageShape { height: 2, width: 4, channels: 3 });
/// let mut pixels = [0; 24];
/// Preparer::new(to, Decoding::default()).prepare(&file, &mut pixels)?;
/// assert_eq!(pixels[..3], [255, 0, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Preparer {
    preprocessing: Preprocessing,
    decoding: Decoding,
    resizer: Resizer,
    /// Red, green and blue of the scaled picture, where they do not go straight to their place.
    scaled: Vec<u8>,
}

impl Preparer {
    /// A preparer with these settings.
    pub fn new(preprocessing: Preprocessing, decoding: Decoding) -> Self {
        Self { preprocessing, decoding, resizer: Resizer::default(), scaled: Vec::new() }
    }

    /// Decodes the picture in `bytes` and writes its pixels into `out`, row-major, channels
    /// interleaved.
    ///
    /// # Errors
    /// What [`PictureError`] lists; `out` then holds anything.
    ///
    /// # Panics
    /// When `out` does not have the length of the shape, or the shape has neither 1 nor 3 channels.
    pub fn prepare(&mut self, bytes: &[u8], out: &mut [u8]) -> Result<Info, PictureError> {
        let Preprocessing { shape, fit, filter } = self.preprocessing;
        assert_eq!(Some(out.len()), shape.features(), "expected room for {shape}");
        assert!(matches!(shape.channels, 1 | 3), "expected 1 or 3 channels, found {shape}");
        let Upright { rgb, info, reduction, orientation } =
            decode_for(bytes, &self.decoding, &self.preprocessing)?;
        let in_file = ImageSize { width: info.width as usize, height: info.height as usize };
        let size = upright(in_file, orientation);
        let plan = DecodePlan::new(size, shape, fit);
        let area = reduction.area(plan.part, size, orientation);
        if shape.channels == 3 && plan.fills(shape) {
            self.resizer.resize(&rgb, area, filter, plan.size, out);
            return Ok(info);
        }
        let mut scaled = std::mem::take(&mut self.scaled);
        scaled.resize(3 * plan.size.width * plan.size.height, 0);
        self.resizer.resize(&rgb, area, filter, plan.size, &mut scaled);
        plan.place(&scaled, shape, out);
        self.scaled = scaled;
        Ok(info)
    }
}
