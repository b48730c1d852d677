//! How much each pixel of a side weighs in each pixel of the resized side.

use crate::picture::Filter;

/// How much a pixel weighs, by how far it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Curve {
    Triangle,
    CatmullRom,
    Lanczos3,
}

impl Curve {
    /// That of a filter; the nearest pixel has none.
    pub(super) fn of(filter: Filter) -> Option<Self> {
        match filter {
            Filter::Nearest => None,
            Filter::Bilinear => Some(Self::Triangle),
            Filter::Bicubic => Some(Self::CatmullRom),
            Filter::Lanczos => Some(Self::Lanczos3),
        }
    }

    /// From how far on pixels weigh nothing.
    fn reach(self) -> f64 {
        match self {
            Self::Triangle => 1.0,
            Self::CatmullRom => 2.0,
            Self::Lanczos3 => 3.0,
        }
    }

    /// What a pixel weighs this far from the middle, before the weights of a run are made to add up to 1.
    fn at(self, offset: f64) -> f64 {
        let x = offset.abs();
        if x >= self.reach() {
            return 0.0;
        }
        match self {
            Self::Triangle => 1.0 - x,
            // In this order of operations: another one rounds otherwise.
            Self::CatmullRom if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::CatmullRom => -0.5 * (((x - 5.0) * x + 8.0) * x - 4.0),
            Self::Lanczos3 => sinc(offset) * sinc(offset / 3.0),
        }
    }
}

/// `sin(pi x) / (pi x)`.
fn sinc(x: f64) -> f64 {
    let angle = x * std::f64::consts::PI;
    if angle == 0.0 { 1.0 } else { angle.sin() / angle }
}

/// The most bits after the point that weights have: 8 bits of a level and 2 for sums beyond black and white are
/// left of 32.
const MOST_BITS: u32 = 21;

/// A stretch of one side of a picture, and how many pixels are made of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Side {
    /// How many pixels the whole side has.
    pub(super) pixels: usize,
    /// Where the stretch begins, in pixels.
    pub(super) start: f64,
    /// How long it is, in pixels.
    pub(super) length: f64,
    /// How many pixels become of it.
    pub(super) to: usize,
}

impl Side {
    /// Whether the stretch lies in the side, and has pixels.
    pub(super) fn is_inside(&self) -> bool {
        self.start >= 0.0 && self.length > 0.0 && self.start + self.length <= self.pixels as f64
    }

    /// Whether the pixels stay as they are.
    pub(super) fn is_kept(&self) -> bool {
        self.to as f64 == self.length && self.start == self.start.round()
    }

    /// The first pixel of the stretch.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in the picture"
    )]
    pub(super) fn first(&self) -> usize {
        self.start as usize
    }
}

/// The pixels that make up one of the resized side.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The first of them.
    first: usize,
    /// Where their weights begin, and where they end.
    weights: [usize; 2],
}

/// For each pixel of the resized side, a run of pixels and their weights: whole numbers of 16 bits, of which
/// [`bits`](Self::bits) are after the point.
#[derive(Debug, Default)]
pub(super) struct Weights {
    /// What they were last made for.
    made_for: Option<(Side, Curve)>,
    runs: Vec<Run>,
    rounded: Vec<i16>,
    bits: u32,
    /// The weights before they are rounded.
    exact: Vec<f64>,
}

impl Weights {
    /// Makes those of a side, unless they are what is here already.
    ///
    /// The curve is as wide as it is by itself where the picture grows, and wider by how much the picture shrinks,
    /// so that nothing between its pixels is passed over.
    pub(super) fn fill(&mut self, side: Side, curve: Curve) {
        if self.made_for == Some((side, curve)) {
            return;
        }
        self.made_for = None;
        self.runs.clear();
        self.exact.clear();
        for number in 0..side.to {
            self.push_run(&side, curve, number);
        }
        self.round();
        self.made_for = Some((side, curve));
    }

    /// The pixels that weigh something in this one, and how much; their sum is 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places in the picture, cut off at its ends"
    )]
    fn push_run(&mut self, side: &Side, curve: Curve, number: usize) {
        let scale = side.length / side.to as f64;
        let wider = scale.max(1.0);
        let (reach, narrower) = (curve.reach() * wider, 1.0 / wider);
        let centre = side.start + (number as f64 + 0.5) * scale;
        // 32 bits, and no `floor` or `ceil`: these take long where the processor may be any.
        let start = (centre - reach).max(0.0) as u32;
        let end = (centre + reach).min(side.pixels as f64);
        let end = end as u32 + u32::from(f64::from(end as u32) < end);
        let begin = self.exact.len();
        let (mut first, mut sum) = (start, 0.0);
        for pixel in start..end {
            // From the middle of one pixel to that of the other.
            let weight = curve.at((f64::from(pixel) - (centre - 0.5)) * narrower);
            if weight == 0.0 && self.exact.len() == begin {
                first = pixel + 1;
            } else {
                sum += weight;
                self.exact.push(weight);
            }
        }
        let length = self.exact[begin..].iter().rposition(|weight| *weight != 0.0);
        self.exact.truncate(begin + length.map_or(0, |last| last + 1));
        if sum != 0.0 {
            self.exact[begin..].iter_mut().for_each(|weight| *weight /= sum);
        }
        self.runs.push(Run { first: first as usize, weights: [begin, self.exact.len()] });
    }

    /// Rounds all weights, with as many bits as the largest allows.
    fn round(&mut self) {
        let largest = self.exact.iter().copied().fold(0.0, f64::max);
        let one_more_is_too_large =
            |bits: &u32| (largest * f64::from(2 << *bits)).round() > f64::from(i16::MAX);
        self.bits = (0..MOST_BITS).find(one_more_is_too_large).unwrap_or(MOST_BITS);
        let one = f64::from(1 << self.bits);
        self.rounded.clear();
        self.rounded.extend(self.exact.iter().map(|weight| nearest(weight * one)));
    }

    /// How many bits of a weight are after the point.
    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    /// The first pixel of each run and the weights, in order.
    pub(super) fn runs(&self) -> impl ExactSizeIterator<Item = (usize, &[i16])> {
        self.runs
            .iter()
            .map(|Run { first, weights: [begin, end] }| (*first, &self.rounded[*begin..*end]))
    }

    /// The first pixel that weighs anything, and the end of those that do.
    pub(super) fn used(&self) -> [usize; 2] {
        let first = self.runs().map(|(first, _)| first).min().unwrap_or(0);
        let end = self.runs().map(|(first, weights)| first + weights.len()).max().unwrap_or(0);
        [first, end.max(first)]
    }
}

/// The nearest whole number, halves away from 0; `f64::round` is a call where the processor may be any.
#[expect(clippy::cast_possible_truncation, reason = "what the bits were chosen for")]
fn nearest(x: f64) -> i16 {
    let towards_0 = x as i32;
    let rest = x - f64::from(towards_0);
    (towards_0 + i32::from(rest >= 0.5) - i32::from(rest <= -0.5)) as i16
}
