//! Pooling over the whole picture.

use std::fmt;

use dnn_core::{CoreError, Element, Shape};
use serde::{Deserialize, Serialize};

use super::{Forward, Layer, Step};

/// One or two numbers for each channel of the whole picture: a network that ends so takes pictures of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalPool {
    /// What is kept of a channel.
    pub by: PoolBy,
}

/// What is kept of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolBy {
    /// Its largest number; on the way back the first one of equals gets the gradient.
    Maximum,
    /// Its mean.
    Mean,
    /// The largest numbers of all channels, and behind them the means of all.
    Both,
}

impl PoolBy {
    /// Whether the largest number is kept.
    pub fn has_maximum(self) -> bool {
        self != Self::Mean
    }

    /// Whether the mean is kept.
    pub fn has_mean(self) -> bool {
        self != Self::Maximum
    }
}

impl fmt::Display for PoolBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Maximum => "max",
            Self::Mean => "mean",
            Self::Both => "max and mean",
        })
    }
}

impl From<GlobalPool> for Layer {
    fn from(layer: GlobalPool) -> Self {
        Self::GlobalPool(layer)
    }
}

impl<T: Element> Forward<T> for GlobalPool {
    fn kind(&self) -> &'static str {
        "global_pool"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        input.features()?;
        let numbers = usize::from(self.by.has_maximum()) + usize::from(self.by.has_mean());
        let units = Shape::units(input.channels.saturating_mul(numbers));
        units.features().map(|_| units)
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step { shape, input, mut output, .. } = step;
        let channels = shape.channels;
        let share = T::one() / T::from_f64((shape.height * shape.width) as f64);
        for (x, mut out) in input.numbers().columns().into_iter().zip(output.columns_mut()) {
            let x = x.to_slice().expect("examples in one piece");
            let out = out.as_slice_mut().expect("examples in one piece");
            let maxima = if self.by.has_maximum() { channels } else { 0 };
            let (maxima, means) = out.split_at_mut(maxima);
            if !maxima.is_empty() {
                maxima.copy_from_slice(&x[..channels]);
            }
            means.fill(T::zero());
            for pixel in x.chunks_exact(channels) {
                for (largest, &x) in maxima.iter_mut().zip(pixel) {
                    *largest = if x > *largest { x } else { *largest };
                }
                means.iter_mut().zip(pixel).for_each(|(sum, &x)| *sum += x);
            }
            for sum in means.iter_mut() {
                *sum *= share;
            }
        }
    }
}
