//! From the bytes of a file to the pixels that a network sees.

use fast_image_resize as fir;
use fir::images::{TypedImage, TypedImageRef};
use fir::pixels::U8x3;

use crate::ImageShape;
use crate::picture::decode::{Rgb, decode};
use crate::picture::{Decoding, Filter, Fit, Info, PictureError, Preprocessing};

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
        let (rgb, info) = decode(bytes, &self.decoding)?;
        let plan = Plan::new(&rgb, shape, fit);
        if shape.channels == 3 && plan.fills(shape) {
            self.resize(&rgb, &plan, out);
            return Ok(info);
        }
        let mut scaled = std::mem::take(&mut self.scaled);
        scaled.resize(3 * plan.width * plan.height, 0);
        self.resize(&rgb, &plan, &mut scaled);
        plan.place(&scaled, shape, out);
        self.scaled = scaled;
        Ok(info)
    }

    fn resize(&mut self, rgb: &Rgb, plan: &Plan, out: &mut [u8]) {
        let size = |side: usize| u32::try_from(side).expect("pictures are within u32");
        // Of this type alone: all that the library has would be megabytes of code.
        let from =
            TypedImageRef::<U8x3>::from_buffer(size(rgb.width), size(rgb.height), &rgb.pixels)
                .expect("3 bytes a pixel");
        let mut to = TypedImage::<U8x3>::from_buffer(size(plan.width), size(plan.height), out)
            .expect("the length was chosen for it");
        let [left, top, crop_width, crop_height] = plan.part.map(|side| side as f64);
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

/// Which part of a picture becomes how large, and where it goes.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// Left, top, width and height of the part that is used.
    part: [usize; 4],
    /// Its size afterwards.
    width: usize,
    height: usize,
}

impl Plan {
    fn new(rgb: &Rgb, shape: ImageShape, fit: Fit) -> Self {
        let (w, h) = (rgb.width, rgb.height);
        let (width, height) = (shape.width, shape.height);
        // `a b / c` to the nearest whole number, from 1 to `most`.
        let share = |a: usize, b: usize, c: usize, most: usize| {
            let nearest = (2 * a as u128 * b as u128 + c as u128) / (2 * c as u128);
            usize::try_from(nearest).unwrap_or(most).clamp(1, most)
        };
        let wider = w as u128 * height as u128 > h as u128 * width as u128;
        match fit {
            Fit::Stretch => Self { part: [0, 0, w, h], width, height },
            Fit::Pad if wider => {
                Self { part: [0, 0, w, h], width, height: share(h, width, w, height) }
            }
            Fit::Pad => Self { part: [0, 0, w, h], width: share(w, height, h, width), height },
            Fit::Crop if wider => {
                let part = share(h, width, height, w);
                Self { part: [(w - part) / 2, 0, part, h], width, height }
            }
            Fit::Crop => {
                let part = share(w, height, width, h);
                Self { part: [0, (h - part) / 2, w, part], width, height }
            }
        }
    }

    /// Whether nothing of the shape is left over.
    fn fills(&self, shape: ImageShape) -> bool {
        (self.width, self.height) == (shape.width, shape.height)
    }

    /// Copies the scaled picture into the middle of `out`, as grey if that has one channel.
    fn place(&self, scaled: &[u8], shape: ImageShape, out: &mut [u8]) {
        out.fill(0);
        let (left, top) = ((shape.width - self.width) / 2, (shape.height - self.height) / 2);
        let rows = out.chunks_exact_mut(shape.width * shape.channels).skip(top);
        for (row, from) in rows.zip(scaled.chunks_exact(3 * self.width)) {
            let row = &mut row[left * shape.channels..(left + self.width) * shape.channels];
            if shape.channels == 3 {
                row.copy_from_slice(from);
            } else {
                row.iter_mut().zip(from.chunks_exact(3)).for_each(|(grey, rgb)| *grey = luma(rgb));
            }
        }
    }
}

/// Grey by ITU-R BT.601, to the nearest.
fn luma(rgb: &[u8]) -> u8 {
    let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(rgb[channel]));
    u8::try_from((299 * red + 587 * green + 114 * blue + 500) / 1000).unwrap_or(u8::MAX)
}
