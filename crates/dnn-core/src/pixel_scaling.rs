//! How 8-bit pixels become the numbers that a network sees.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CoreError, Element};

/// How an 8-bit pixel becomes the number a network sees: `(pixel / 255 - mean) / std_dev`, with
/// one mean and one standard deviation per channel, in units of the full range.
///
/// A model carries its scaling, so that nobody can forget it.
///
/// # Examples
/// ```
/// use dnn_core::PixelScaling;
///
/// let scaling = PixelScaling::per_channel(&[0.5, 0.5, 0.5], &[0.25, 0.25, 0.25])?;
/// assert_eq!(scaling.channels(), 3);
/// assert_eq!(PixelScaling::default().channels(), 1); // 0..=255 becomes 0..=1
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScalingParts", into = "ScalingParts")]
pub struct PixelScaling {
    channels: usize,
    mean: [f64; MAX_CHANNELS],
    std_dev: [f64; MAX_CHANNELS],
}

/// The most channels that can have a scaling of their own.
const MAX_CHANNELS: usize = 8;

/// The serialised form, checked on the way in.
#[derive(Serialize, Deserialize)]
struct ScalingParts {
    mean: Vec<f64>,
    #[serde(rename = "deviation")]
    std_dev: Vec<f64>,
}

impl TryFrom<ScalingParts> for PixelScaling {
    type Error = CoreError;

    fn try_from(parts: ScalingParts) -> Result<Self, CoreError> {
        Self::per_channel(&parts.mean, &parts.std_dev)
    }
}

impl From<PixelScaling> for ScalingParts {
    fn from(scaling: PixelScaling) -> Self {
        Self { mean: scaling.mean().to_vec(), std_dev: scaling.std_dev().to_vec() }
    }
}

impl Default for PixelScaling {
    /// Pixels divided by 255, whatever the channel.
    fn default() -> Self {
        Self { channels: 1, mean: [0.0; MAX_CHANNELS], std_dev: [1.0; MAX_CHANNELS] }
    }
}

impl fmt::Debug for PixelScaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = f.debug_struct("PixelScaling");
        parts.field("mean", &self.mean()).field("std_dev", &self.std_dev()).finish()
    }
}

impl fmt::Display for PixelScaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &[f64]| {
            let texts: Vec<String> = numbers.iter().map(f64::to_string).collect();
            texts.join(" ")
        };
        write!(f, "mean {}, deviation {}", list(self.mean()), list(self.std_dev()))
    }
}

impl PixelScaling {
    /// One mean and one standard deviation for each channel.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] unless both have the same number of channels, from 1 to 8, every mean
    /// is finite and every deviation finite and above 0.
    pub fn per_channel(mean: &[f64], std_dev: &[f64]) -> Result<Self, CoreError> {
        let invalid = |what, expected, found: String| CoreError::Invalid { what, expected, found };
        if !(1..=MAX_CHANNELS).contains(&mean.len()) || mean.len() != std_dev.len() {
            return Err(invalid(
                "pixel scaling",
                "as many means as deviations, from 1 to 8",
                format!("{} means, {} deviations", mean.len(), std_dev.len()),
            ));
        }
        if let Some(bad) = mean.iter().find(|mean| !mean.is_finite()) {
            return Err(invalid("pixel mean", "a finite number", bad.to_string()));
        }
        if let Some(bad) = std_dev.iter().find(|&&d| !(d.is_finite() && d > 0.0)) {
            return Err(invalid("pixel deviation", "a finite number above 0", bad.to_string()));
        }
        let mut scaling = Self { channels: mean.len(), ..Self::default() };
        scaling.mean[..mean.len()].copy_from_slice(mean);
        scaling.std_dev[..mean.len()].copy_from_slice(std_dev);
        Ok(scaling)
    }

    /// How many channels have a scaling of their own; 1 serves any number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The mean of each channel, in units of the full range.
    pub fn mean(&self) -> &[f64] {
        &self.mean[..self.channels]
    }

    /// The standard deviation of each channel, in units of the full range.
    pub fn std_dev(&self) -> &[f64] {
        &self.std_dev[..self.channels]
    }

    /// Checks that `width` features are whole pixels, and that `T` can hold them scaled.
    pub(crate) fn check<T: Element>(&self, width: usize) -> Result<(), CoreError> {
        let channels = self.channels();
        let invalid =
            |expected, found| Err(CoreError::Invalid { what: "pixel scaling", expected, found });
        if !width.is_multiple_of(channels) {
            let expected = "a number of channels that divides the number of features";
            return invalid(expected, format!("{channels} channels for {width} features"));
        }
        for channel in 0..channels {
            let affine: Affine<T> = self.affine(channel);
            let largest = affine.of(u8::MAX);
            if !(affine.factor.is_normal() && affine.offset.is_finite() && largest.is_finite()) {
                let (mean, std_dev) = (self.mean[channel], self.std_dev[channel]);
                let expected = "means and deviations that leave numbers of the network's precision";
                return invalid(expected, format!("mean {mean}, deviation {std_dev}"));
            }
        }
        Ok(())
    }

    /// `(pixel / 255 - mean) / std_dev` as a factor and an offset.
    pub(crate) fn affine<T: Element>(&self, channel: usize) -> Affine<T> {
        let std_dev = self.std_dev[channel];
        Affine {
            factor: T::from_f64(1.0 / (255.0 * std_dev)),
            offset: T::from_f64(-self.mean[channel] / std_dev),
        }
    }

    /// What becomes of one pixel after the other: of [`REPEATS`] pixels of all channels from any channel on.
    pub(crate) fn repeated<T: Element>(&self) -> [Affine<T>; (REPEATS + 1) * MAX_CHANNELS] {
        std::array::from_fn(|pixel| self.affine(pixel % self.channels))
    }
}

/// Pixels of all channels that are converted at a time, so that vectors are long whatever the channels.
pub(crate) const REPEATS: usize = 16;

/// The map `pixel -> pixel * factor + offset`.
#[derive(Clone, Copy)]
pub(crate) struct Affine<T> {
    pub(crate) factor: T,
    pub(crate) offset: T,
}

impl<T: Element> Affine<T> {
    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    pub(crate) fn of(self, pixel: u8) -> T {
        <T as From<u8>>::from(pixel) * self.factor + self.offset
    }
}
