//! Training pictures mixed two by two, and their targets with them.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use dnn_core::{CoreError, Element, Purpose, RandomStream, Shape};
use dnn_kernels::{Parts, for_each_part};

use crate::named_rule::{Rules, Setting};

/// How the pictures of a batch are mixed two by two: the first with the last, the second with the last but one, and so on.
///
/// Each of the two becomes a mixture of both in which its own part `s` is the larger one, drawn for each picture, and its
/// target the same mixture of both targets: its cost is `s` times that of its own class and `1 - s` times that of the other's.
/// Shares come from a distribution `Beta(alpha, alpha)`: near 0 and 1 for a small `alpha`, alike for 1, around a half for a
/// large one.
///
/// As text it is a name, and numbers that are not the defaults: `mixup`, `cutmix:alpha=0.5,share=1`.
///
/// # References
/// Zhang and others (2018), mixup: beyond empirical risk minimization. Yun and others (2019), `CutMix`: regularization strategy
/// to train strong classifiers with localizable features.
///
/// # Examples
/// ```
/// use dnn_train::{Mixing, Trainer};
///
/// let mixing: Mixing = "mixup:alpha=0.4".parse()?;
/// assert_eq!(mixing, Mixing::Mixup { alpha: 0.4, share: 1.0 });
/// let trainer = Trainer { mixing: Some(mixing), ..Trainer::default() };
/// # let _ = trainer;
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Mixing {
    /// Each pixel is `s` times the own one and `1 - s` times the other's.
    Mixup {
        /// Of the distribution of shares, above 0.
        alpha: f64,
        /// The share of the pictures that are mixed, above 0 and at most 1.
        share: f64,
    },
    /// A rectangle of the other picture takes the place of the own pixels, of the same height-to-width ratio as the picture.
    Cutmix {
        /// Of the distribution of shares, above 0.
        alpha: f64,
        /// The share of the pictures that are mixed, above 0 and at most 1.
        share: f64,
    },
}

impl Rules for Mixing {
    const KIND: &'static str = "mixing";
    const KIND_OF_SETTING: &'static str = "setting of the mixing";
    const NAMES: &'static [&'static str] = &["mixup", "cutmix"];

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "mixup" => Self::Mixup { alpha: 0.2, share: 1.0 },
            "cutmix" => Self::Cutmix { alpha: 1.0, share: 0.5 },
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mixup { .. } => "mixup",
            Self::Cutmix { .. } => "cutmix",
        }
    }

    fn settings(&mut self) -> Vec<Setting<'_>> {
        let (Self::Mixup { alpha, share } | Self::Cutmix { alpha, share }) = self;
        vec![Setting::above_0("alpha", alpha), Setting::above_0_up_to_1("share", share)]
    }
}

impl Mixing {
    /// The names of all kinds.
    pub const NAMES: &'static [&'static str] = <Self as Rules>::NAMES;

    /// What becomes of one picture.
    fn draw(self, stream: &mut RandomStream, shape: Shape) -> Mix {
        let (Self::Mixup { alpha, share } | Self::Cutmix { alpha, share }) = self;
        // As many draws, whatever they say.
        let (is_mixed, own) = (stream.uniform() < share, beta(alpha, stream));
        let own = own.max(1.0 - own);
        let [row, column] = [stream.uniform(), stream.uniform()];
        match self {
            _ if !is_mixed => Mix { own: 1.0, other: None },
            Self::Mixup { .. } => Mix { own, other: None },
            Self::Cutmix { .. } => {
                let side = (1.0 - own).sqrt();
                let rows = part(shape.height, side, row);
                let columns = part(shape.width, side, column);
                let other = rows.len() * columns.len();
                let own = 1.0 - other as f64 / (shape.height * shape.width) as f64;
                Mix { own, other: Some(Rectangle { rows, columns }) }
            }
        }
    }
}

impl fmt::Display for Mixing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl FromStr for Mixing {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        Self::parse(text)
    }
}

/// Of so many pixels in a row, a run that is the share `side` of them, around a place anywhere; what would be outside is cut
/// off.
fn part(all: usize, side: f64, place: f64) -> Range<usize> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of pixels"
    )]
    let at = |place: f64| (place.clamp(0.0, 1.0) * all as f64).round() as usize;
    at(place - side / 2.0)..at(place + side / 2.0)
}

/// A number of `Beta(alpha, alpha)`: a ratio of powers of uniform numbers (Jöhnk 1964) up to 1; above, where that takes ever
/// more tries, of numbers of the gamma distribution (Marsaglia and Tsang 2000).
fn beta(alpha: f64, stream: &mut RandomStream) -> f64 {
    if alpha > 1.0 {
        let [one, other] = [gamma(alpha, stream), gamma(alpha, stream)];
        return one / (one + other);
    }
    loop {
        // Logarithms, as powers of a small alpha underflow.
        let mut log = || libm::log(1.0 - stream.uniform()) / alpha;
        let (one, other) = (log(), log());
        let largest = one.max(other);
        let (a, b) = (libm::exp(one - largest), libm::exp(other - largest));
        let log_of_sum = largest + libm::log(a + b);
        if log_of_sum <= 0.0 {
            return a / (a + b);
        }
    }
}

/// A number of the gamma distribution of a shape above 1.
fn gamma(shape: f64, stream: &mut RandomStream) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = stream.normal();
        let v = 1.0 + c * x;
        let v = v * v * v;
        let u = 1.0 - stream.uniform();
        if v > 0.0 && libm::log(u) < 0.5 * x * x + d * (1.0 - v + libm::log(v)) {
            return d * v;
        }
    }
}

/// What becomes of one picture of a batch.
#[derive(Debug, Clone, PartialEq)]
struct Mix {
    /// Its own share of its target, and of each pixel if no part is the other's.
    own: f64,
    /// Where the other one's pixels take the place of its own.
    other: Option<Rectangle>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rectangle {
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Mix {
    /// The pixel `x` of the own picture, beside that of the other one at the same place.
    fn pixel(&self, row: usize, column: usize, x: u8, other: u8) -> u8 {
        match &self.other {
            Some(part) if part.rows.contains(&row) && part.columns.contains(&column) => other,
            Some(_) => x,
            None => {
                let mixed = self.own * f64::from(x) + (1.0 - self.own) * f64::from(other) + 0.5;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between two bytes"
                )]
                let mixed = mixed as u8;
                mixed
            }
        }
    }
}

/// Mixes batches, in memory that is used again.
#[derive(Debug)]
pub(crate) struct Mixer<T> {
    mixing: Mixing,
    seed: u64,
    shape: Shape,
    mixes: Vec<Mix>,
    own: Vec<T>,
}

impl<T: Element> Mixer<T> {
    /// For batches of up to `batch` pictures of this shape.
    pub(crate) fn new(mixing: Mixing, seed: u64, shape: Shape, batch: usize) -> Self {
        let (mixes, own) = (Vec::with_capacity(batch), Vec::with_capacity(batch));
        Self { mixing, seed, shape, mixes, own }
    }

    /// Makes it one for pictures of this shape.
    pub(crate) fn resize(&mut self, shape: Shape) {
        self.shape = shape;
    }

    /// Mixes the pictures of step `step`, counted from 1, which lie one after another; gives the share that each has of its
    /// own target. The rest is that of the one as far from the other end.
    pub(crate) fn mix(&mut self, step: u64, pictures: &mut [u8]) -> &[T] {
        let Shape { height, width, channels } = self.shape;
        let (row, features) = (width * channels, height * width * channels);
        let m = pictures.len() / features;
        let mut stream = RandomStream::new(self.seed, Purpose::Mixing, step);
        self.mixes.clear();
        self.mixes.extend((0..m).map(|_| self.mixing.draw(&mut stream, self.shape)));
        if !m.is_multiple_of(2) {
            // It would be mixed with itself.
            self.mixes[m / 2] = Mix { own: 1.0, other: None };
        }
        let mixes = &self.mixes;
        let (front, back) = pictures.split_at_mut(m / 2 * features);
        let back = &mut back[m % 2 * features..];
        for_each_part(Opposite { front, back, features }, &|index, (one, other)| {
            let (of_one, of_other) = (&mixes[index], &mixes[m - 1 - index]);
            for (at, (x, y)) in one.iter_mut().zip(other).enumerate() {
                let (at_row, at_column) = (at / row, at % row / channels);
                (*x, *y) = (
                    of_one.pixel(at_row, at_column, *x, *y),
                    of_other.pixel(at_row, at_column, *y, *x),
                );
            }
        });
        self.own.clear();
        self.own.extend(mixes.iter().map(|mix| T::from_f64(mix.own)));
        &self.own
    }
}

/// Pictures, and beside each the one as far from the other end.
struct Opposite<'a> {
    front: &'a mut [u8],
    back: &'a mut [u8],
    features: usize,
}

impl<'a> Parts for Opposite<'a> {
    type Part = (&'a mut [u8], &'a mut [u8]);

    fn count(&self) -> usize {
        self.front.len() / self.features
    }

    fn cut(self, at: usize) -> [Self; 2] {
        let Self { front, back, features } = self;
        let (front, later) = front.split_at_mut(at * features);
        let (earlier, back) = back.split_at_mut(back.len() - at * features);
        [Self { front, back, features }, Self { front: later, back: earlier, features }]
    }

    fn in_order(self) -> impl Iterator<Item = Self::Part> {
        let Self { front, back, features } = self;
        front.chunks_exact_mut(features).zip(back.chunks_exact_mut(features).rev())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape::picture(10, 8, 3);

    #[test]
    fn mixings_are_their_text() {
        for (text, mixing) in [
            ("mixup", Mixing::Mixup { alpha: 0.2, share: 1.0 }),
            ("cutmix", Mixing::Cutmix { alpha: 1.0, share: 0.5 }),
            ("cutmix:alpha=0.5,share=1.0", Mixing::Cutmix { alpha: 0.5, share: 1.0 }),
        ] {
            assert_eq!(text.parse::<Mixing>().unwrap(), mixing);
            assert_eq!(mixing.to_string(), text);
        }
        assert_eq!(Mixing::NAMES.len(), 2);
        for (text, message) in [
            ("mix", "unknown mixing `mix`; expected one of mixup, cutmix"),
            ("mixup:beta=1", "unknown setting of the mixing `beta`; expected one of alpha, share"),
            ("mixup:alpha=0", "alpha: expected a finite number above 0, found 0.0"),
            ("cutmix:share=2", "share: expected a number above 0 and at most 1, found 2.0"),
        ] {
            assert_eq!(text.parse::<Mixing>().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn shares_have_the_moments_of_their_distribution() {
        for alpha in [1e-3, 0.2, 1.0, 3.0, 1e4] {
            let mut stream = RandomStream::new(1, Purpose::Data, 0);
            let drawn: Vec<f64> = (0..40_000).map(|_| beta(alpha, &mut stream)).collect();
            assert!(drawn.iter().all(|share| (0.0..=1.0).contains(share)), "{alpha}");
            let mean = drawn.iter().sum::<f64>() / 4e4;
            let variance = drawn.iter().map(|share| (share - 0.5).powi(2)).sum::<f64>() / 4e4;
            let expected = 0.25 / (2.0 * alpha + 1.0);
            assert!((mean - 0.5).abs() < 0.01, "{alpha}: {mean}");
            assert!((variance / expected - 1.0).abs() < 0.05, "{alpha}: {variance} for {expected}");
        }
    }

    /// Batches of pictures that are each of one value, `values`.
    fn mixed(mixing: &str, values: &[u8], step: u64) -> (Vec<Vec<u8>>, Vec<f64>) {
        let features = SHAPE.features().unwrap();
        let mut pictures: Vec<u8> =
            values.iter().flat_map(|&value| vec![value; features]).collect();
        let mut mixer = Mixer::<f64>::new(mixing.parse().unwrap(), 7, SHAPE, values.len());
        let own = mixer.mix(step, &mut pictures).to_vec();
        (pictures.chunks(features).map(<[u8]>::to_vec).collect(), own)
    }

    #[test]
    fn pixels_are_mixed_as_targets_are() {
        let values = [0, 40, 80, 120, 200];
        for step in 1..20 {
            let (pictures, own) = mixed("mixup:alpha=1", &values, step);
            for (j, picture) in pictures.iter().enumerate() {
                let other = f64::from(values[4 - j]);
                let expected = own[j] * f64::from(values[j]) + (1.0 - own[j]) * other;
                assert!(picture.iter().all(|&pixel| (f64::from(pixel) - expected).abs() <= 0.5));
                assert!((0.5..=1.0).contains(&own[j]));
            }
            assert_eq!((own[2], pictures[2][0]), (1.0, 80));

            let (pictures, own) = mixed("cutmix:share=1", &values, step);
            for (j, picture) in pictures.iter().enumerate() {
                let count_of = |value: u8| {
                    picture.iter().map(|&pixel| usize::from(pixel == value)).sum::<usize>()
                };
                let count = count_of(values[j]);
                assert!((count as f64 / 240.0 - own[j]).abs() < 1e-12);
                assert!(j == 2 || count + count_of(values[4 - j]) == 240);
                // All channels of a pixel are of one picture.
                assert!(picture.chunks(3).all(|pixel| pixel.iter().all(|it| *it == pixel[0])));
            }
        }
    }

    #[test]
    fn what_is_drawn_is_a_function_of_seed_and_step() {
        let values = [3, 250, 17, 99];
        assert_eq!(mixed("cutmix", &values, 4), mixed("cutmix", &values, 4));
        assert_ne!(mixed("mixup", &values, 4), mixed("mixup", &values, 5));
        let (pictures, own) = mixed("mixup:share=1e-9", &values, 1);
        assert_eq!(own, [1.0; 4]);
        assert!(pictures.iter().zip(values).all(|(picture, value)| picture == &[value; 240]));
        let (pictures, own) = mixed("mixup", &[9], 1);
        assert_eq!((own, pictures[0][0]), (vec![1.0], 9));
    }
}
