//! From the bytes of a file to the pixels that a network sees.

use fast_image_resize as fir;
use fir::images::TypedImage;
use fir::pixels::U8x3;

use crate::ImageSize;
use crate::picture::decode::{Rgb, Upright, decode_for};
use crate::picture::plan::{DecodePlan, upright};
use crate::picture::{Decoding, Filter, Info, PictureError, Preprocessing};

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
    resizer: fir::Resizer,
    /// Red, green and blue of the scaled picture, where they do not go straight to their place.
    scaled: Vec<u8>,
}

impl Preparer {
    /// A preparer with these settings.
    pub fn new(preprocessing: Preprocessing, decoding: Decoding) -> Self {
        Self { preprocessing, decoding, resizer: fir::Resizer::new(), scaled: Vec::new() }
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
        let Preprocessing { shape, fit, .. } = self.preprocessing;
        assert_eq!(Some(out.len()), shape.features(), "expected room for {shape}");
        assert!(matches!(shape.channels, 1 | 3), "expected 1 or 3 channels, found {shape}");
        let Upright { mut rgb, info, reduction, orientation } =
            decode_for(bytes, &self.decoding, &self.preprocessing)?;
        let in_file = ImageSize { width: info.width as usize, height: info.height as usize };
        let size = upright(in_file, orientation);
        let plan = DecodePlan::new(size, shape, fit);
        let area = reduction.area(plan.part, size, orientation);
        if shape.channels == 3 && plan.fills(shape) {
            self.resize(&mut rgb, area, plan.size, out);
            return Ok(info);
        }
        let mut scaled = std::mem::take(&mut self.scaled);
        scaled.resize(3 * plan.size.width * plan.size.height, 0);
        self.resize(&mut rgb, area, plan.size, &mut scaled);
        plan.place(&scaled, shape, out);
        self.scaled = scaled;
        Ok(info)
    }

    /// Brings an area of `rgb` (left, top, width and height) to this size.
    fn resize(&mut self, rgb: &mut Rgb, area: [f64; 4], to: ImageSize, out: &mut [u8]) {
        let size = |side: usize| u32::try_from(side).expect("pictures are within u32");
        // Of this type alone, which is that of the library's own intermediate images: each further pixel type or
        // view would be another copy of its kernels, a third of this crate's code.
        let from =
            TypedImage::<U8x3>::from_buffer(size(rgb.width), size(rgb.height), &mut rgb.pixels)
                .expect("3 bytes a pixel");
        let mut to = TypedImage::<U8x3>::from_buffer(size(to.width), size(to.height), out)
            .expect("the length was chosen for it");
        let [left, top, crop_width, crop_height] = area;
        let options = fir::ResizeOptions::new()
            .resize_alg(algorithm(self.preprocessing.filter))
            .crop(left, top, crop_width, crop_height);
        self.resizer.resize_typed(&from, &mut to, &options).expect("the part lies in the picture");
    }
}

fn algorithm(filter: Filter) -> fir::ResizeAlg {
    match filter {
        Filter::Nearest => fir::ResizeAlg::Nearest,
        Filter::Bilinear => fir::ResizeAlg::Convolution(fir::FilterType::Bilinear),
        Filter::Bicubic => fir::ResizeAlg::Convolution(fir::FilterType::CatmullRom),
        Filter::Lanczos => fir::ResizeAlg::Convolution(fir::FilterType::Lanczos3),
    }
}
