//! Training pictures that are a little different in every epoch.
//!
//! The one idea: what happens to a picture is a pure function of a seed, the epoch and the example.
//! Nothing is remembered between pictures, so a run that is resumed, or that has another number of
//! threads, sees the same bytes. [`Augmentation`] says what may be changed and by how much;
//! [`Augmenter`] does it for pictures of one shape.
//!
//! The steps, in this order:
//!
//! | step | what happens | how much |
//! |---|---|---|
//! | `crop=S` | a part of the picture, anywhere in it, is enlarged to the whole | its sides are `S` to 1 of the picture's |
//! | `ratio=R` | the sides of that part are drawn apart | width to height times `1 / R` to `R`, alike on a logarithmic scale |
//! | `flip` | left and right change places | in half of all cases |
//! | `alternating-flip` | left and right change places | in every second epoch of each picture; half of them begin with it |
//! | `rotate=D` | the picture is turned about its centre | up to `D` degrees, either way |
//! | `shift=N` | the picture is moved, as by padding and cropping | up to `N` pixels, each way |
//! | `brightness=X` | `p * f` | `f` in `1 - X ..= 1 + X` |
//! | `contrast=X` | `g + (p - g) * f`, with `g` the picture's mean grey | likewise |
//! | `saturation=X` | `y + (p - y) * f`, with `y` the pixel's own grey | likewise |
//! | `cutout=N` | a square of `N` pixels a side gets the picture's mean colour | its centre is any pixel |
//!
//! Grey is `(299 R + 587 G + 114 B) / 1000`. The geometric steps are one movement, and every pixel
//! is interpolated once (bilinear, positions to 1/256 of a pixel). Where `ratio` is asked for, or [another
//! size](Augmenter::giving), rotation and shift come first, and then the part is brought to its size by a triangle
//! filter, which takes all pixels into account where there are more than are wanted. Where it comes from outside the
//! picture it repeats the pixel at the edge: black would put straight dark edges into photographs, and
//! those are what a dense network learns first. The mean colour in a cut-out leaves the picture's
//! average where it was, on MNIST's black as on a photograph. A square over the border is cut off there.
//!
//! Left out on purpose: anything that changes a label, or that looks at a second picture.
//!
//! # References
//!
//! The cut-out is that of `DeVries` and Taylor 2017, <https://arxiv.org/abs/1708.04552>; parts of other ratios are those
//! of Szegedy and others 2014, <https://arxiv.org/abs/1409.4842>; the alternating flip is that of Jordan 2024,
//! <https://arxiv.org/abs/2404.00498>.

mod color;
mod draws;
mod geometry;
mod resample;
mod text;

use serde::{Deserialize, Serialize};

use crate::{DataError, ImageShape, ImageSize, Result};
use draws::Draws;
use geometry::Movement;
use resample::{Part, resample};

/// The longest side of a picture, in pixels, so that positions in fixed point cannot overflow.
const LONGEST_SIDE: usize = 1 << 20;

/// What may be changed in a training picture, and by how much; see the [module](self).
///
/// Its text, as in `flip,shift=4,rotate=15`, is what the command line takes and what a run records;
/// without any change it is `none`. Serde writes and reads this text.
///
/// # Examples
///
/// ```
/// use dnn_data::augment::Augmentation;
///
/// let augmentation: Augmentation = "flip,shift=4".parse()?;
/// assert_eq!(augmentation, Augmentation { flip: true, shift: 4, ..Augmentation::default() });
/// assert_eq!(augmentation.to_string(), "flip,shift=4");
/// assert_eq!(Augmentation::default().to_string(), "none");
/// # Ok::<(), dnn_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Augmentation {
    /// Whether half of the pictures are mirrored, left for right.
    pub flip: bool,
    /// Whether each picture is mirrored in every second epoch.
    pub alternating_flip: bool,
    /// The furthest that a picture is moved along each axis, in pixels.
    pub shift: u32,
    /// The shortest side of the part that is enlarged, as a share of the picture's: above 0, at most 1.
    pub crop: f64,
    /// The largest factor by which its width and height are drawn apart, 1 to 4.
    pub ratio: f64,
    /// The largest angle that a picture is turned by, in degrees, 0 to 180.
    pub rotate: f64,
    /// How far the brightness goes from 1, 0 to 1.
    pub brightness: f64,
    /// How far the contrast goes from 1, 0 to 1.
    pub contrast: f64,
    /// How far the saturation goes from 1, 0 to 1; grey pictures have none.
    pub saturation: f64,
    /// The side of the square that is hidden, in pixels.
    pub cutout: u32,
}

impl Default for Augmentation {
    /// No change.
    fn default() -> Self {
        Self {
            flip: false,
            alternating_flip: false,
            shift: 0,
            crop: 1.0,
            ratio: 1.0,
            rotate: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            cutout: 0,
        }
    }
}

impl Augmentation {
    /// Whether every picture stays as it is.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The strengths, each with its name and its range.
    fn check(&self) -> Result<()> {
        let unit = "a number from 0 to 1";
        let strengths = [
            ("crop", "a share above 0, at most 1", self.crop, self.crop > 0.0 && self.crop <= 1.0),
            ("ratio", "a factor from 1 to 4", self.ratio, (1.0..=4.0).contains(&self.ratio)),
            ("rotate", "degrees from 0 to 180", self.rotate, (0.0..=180.0).contains(&self.rotate)),
            ("brightness", unit, self.brightness, (0.0..=1.0).contains(&self.brightness)),
            ("contrast", unit, self.contrast, (0.0..=1.0).contains(&self.contrast)),
            ("saturation", unit, self.saturation, (0.0..=1.0).contains(&self.saturation)),
        ];
        match strengths.into_iter().find(|(.., fits)| !fits) {
            Some((what, expected, found, _)) => {
                Err(DataError::Setting { what, expected, found: found.to_string() })
            }
            None => Ok(()),
        }
    }
}

/// An [`Augmentation`] made ready for pictures of one shape.
///
/// It has no state: any number of threads can share one.
///
/// # Examples
///
/// ```
/// use dnn_data::augment::{Augmentation, Augmenter};
///
/// let digits = dnn_data::digits().train;
/// let augmentation = Augmentation { shift: 1, ..Augmentation::default() };
/// let augmenter = Augmenter::new(&augmentation, 7, digits.shape())?;
/// let picture = digits.pixels().column(0).to_vec();
/// let mut changed = vec![0; 64];
/// augmenter.apply(1, 0, &picture, &mut changed);
/// let once = changed.clone();
/// augmenter.apply(1, 0, &picture, &mut changed);
/// assert_eq!(changed, once);
/// # Ok::<(), dnn_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Augmenter {
    augmentation: Augmentation,
    seed: u64,
    shape: ImageShape,
    /// What the changed pictures get.
    size: ImageSize,
}

impl Augmenter {
    /// The augmentation under a seed, for pictures of a shape.
    ///
    /// # Errors
    ///
    /// [`Setting`](DataError::Setting) where a strength is outside its range, or where a shift or a
    /// cut-out is as large as the picture; [`Shape`](DataError::Shape) where the picture is empty, has
    /// a side above 2^20 pixels or has neither 1 nor 3 channels.
    pub fn new(augmentation: &Augmentation, seed: u64, shape: ImageShape) -> Result<Self> {
        augmentation.check()?;
        check_shape(shape)?;
        let size = ImageSize { width: shape.width, height: shape.height };
        let augmenter = Self { augmentation: *augmentation, seed, shape, size };
        augmenter.check_pixels("shift", augmentation.shift, size)?;
        augmenter.giving(size)
    }

    /// The same, for changed pictures of this size.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), where there can be no such pictures, or a cut-out is as large as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use dnn_data::ImageSize;
    /// use dnn_data::augment::{Augmentation, Augmenter};
    ///
    /// let digits = dnn_data::digits().train;
    /// let augmentation = Augmentation { crop: 0.8, ratio: 1.2, ..Augmentation::default() };
    /// let size = ImageSize { width: 6, height: 6 };
    /// let augmenter = Augmenter::new(&augmentation, 7, digits.shape())?.giving(size)?;
    /// let mut changed = vec![0; 36];
    /// augmenter.apply(1, 0, &digits.pixels().column(0).to_vec(), &mut changed);
    /// # Ok::<(), dnn_data::DataError>(())
    /// ```
    pub fn giving(self, size: ImageSize) -> Result<Self> {
        check_shape(ImageShape { width: size.width, height: size.height, ..self.shape })?;
        self.check_pixels("cutout", self.augmentation.cutout, size)?;
        Ok(Self { size, ..self })
    }

    fn check_pixels(&self, what: &'static str, pixels: u32, size: ImageSize) -> Result<()> {
        if pixels == 0 || (pixels as usize) < size.height.min(size.width) {
            return Ok(());
        }
        let expected = "fewer pixels than the picture's shorter side has";
        let shape = ImageShape { width: size.width, height: size.height, ..self.shape };
        let found = format!("{pixels} for pictures of {shape}");
        Err(DataError::Setting { what, expected, found })
    }

    /// Writes one picture, changed as this epoch changes this example, to `out`.
    ///
    /// Equal seed, epoch, example and pixels give equal bytes, on every machine. Each step has random
    /// numbers of its own: turning one on or off does not change what the others do.
    ///
    /// # Shapes
    ///
    /// | what | shape |
    /// |---|---|
    /// | `pixels` | height * width * channels, row-major, channels interleaved, 0..=255 |
    /// | `out` | the same, of the [size that is given](Self::giving) |
    ///
    /// # Panics
    ///
    /// When `pixels` or `out` has another length.
    pub fn apply(&self, epoch: u64, example: usize, pixels: &[u8], out: &mut [u8]) {
        let ImageShape { height, width, channels } = self.shape;
        let lengths = [height * width, self.size.height * self.size.width].map(|it| it * channels);
        assert_eq!([pixels.len(), out.len()], lengths, "the shapes' values");
        let draws = Draws::new(self.seed, epoch, example as u64);
        let mirrored = if self.augmentation.alternating_flip {
            let first = Draws::new(self.seed, 0, example as u64).coin(draws::FLIP);
            first != epoch.is_multiple_of(2)
        } else {
            self.augmentation.flip && draws.coin(draws::FLIP)
        };
        if channels == 3 {
            self.change::<3>(&draws, mirrored, pixels, out);
        } else {
            self.change::<1>(&draws, mirrored, pixels, out);
        }
    }

    /// The steps, in their order, on pixels of `C` channels.
    fn change<const C: usize>(&self, draws: &Draws, mirrored: bool, pixels: &[u8], out: &mut [u8]) {
        let (pixels, _) = pixels.as_chunks::<C>();
        let (out, _) = out.as_chunks_mut::<C>();
        self.place(draws, mirrored, pixels, out);
        let Augmentation { brightness, contrast, saturation, cutout, .. } = self.augmentation;
        let ImageSize { height, width } = self.size;
        if brightness > 0.0 {
            color::brightness(out, draws.factor(draws::BRIGHTNESS, brightness));
        }
        if contrast > 0.0 {
            color::contrast(out, draws.factor(draws::CONTRAST, contrast));
        }
        if saturation > 0.0 && C == 3 {
            color::saturation(out, draws.factor(draws::SATURATION, saturation));
        }
        if cutout > 0 {
            let row = draws.below(draws::CUTOUT_Y, height);
            let column = draws.below(draws::CUTOUT_X, width);
            color::cut_out(out, width, cutout as usize, color::Position { row, column });
        }
    }

    /// The geometric steps.
    fn place<const C: usize>(
        &self,
        draws: &Draws,
        mirrored: bool,
        pixels: &[[u8; C]],
        out: &mut [[u8; C]],
    ) {
        let augmentation = &self.augmentation;
        let from = ImageSize { width: self.shape.width, height: self.shape.height };
        if from == self.size && augmentation.ratio == 1.0 {
            return Movement::new(augmentation, mirrored, draws, from).apply(pixels, out);
        }
        let part = Part::new(augmentation, draws, from);
        if augmentation.rotate == 0.0 && augmentation.shift == 0 {
            return resample(pixels, from, part, mirrored, self.size, out);
        }
        let whole = Augmentation { crop: 1.0, ..*augmentation };
        let mut moved = vec![[0; C]; pixels.len()];
        Movement::new(&whole, false, draws, from).apply(pixels, &mut moved);
        resample(&moved, from, part, mirrored, self.size, out);
    }
}

fn check_shape(shape: ImageShape) -> Result<()> {
    let ImageShape { height, width, channels } = shape;
    let known = matches!(channels, 1 | 3) && height.max(width) <= LONGEST_SIDE;
    let features = shape.features().filter(|&features| features > 0 && known);
    features.map(|_| ()).ok_or(DataError::Shape { shape })
}
