//! What is measured, as a user of the crates calls it. All calls of the product are in this file, but for those of single
//! convolutions.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dnn_core::ndarray::{Array2, ArrayView2, ShapeBuilder};
use dnn_core::{Element, LayerParameters, Parameters, Purpose, RandomStream, Shape};
use dnn_layers::{
    Activation, BatchNorm, Conv2d, Flatten, GlobalPool, MaxPool2d, Network, NetworkBuilder,
    Padding, PoolBy, Predictor, Residual, Window,
};
use dnn_train::{Batch, BatchOrder, GramChoice, Products, SystemClock, Trainer};

use super::job::WINDOW;
use super::{Job, Kind, npy};

/// The seed of everything that is made up.
const SEED: u64 = 1;

/// The examples of a job: pixels, one example a column, and labels.
///
/// # Errors
/// If a file cannot be read or has another shape.
pub fn read_examples(job: &Job) -> Result<(Array2<u8>, Vec<u32>)> {
    let features = job.shape.iter().product();
    let shape = (features, job.examples);
    let (Some(pixels), Some(labels)) = (&job.pixels, &job.labels) else {
        return Ok(made_up(features, job.examples, job.classes));
    };
    let (found, pixels) = npy::read::<u8>(pixels)?;
    ensure!(found == [job.examples, features], "expected pixels of {shape:?}, found {found:?}");
    // One example a row, row-major, is one example a column, column-major.
    let pixels = Array2::from_shape_vec(shape.f(), pixels)?;
    let (_, labels) = npy::read::<i64>(labels)?;
    let labels = labels.into_iter().map(u32::try_from).collect::<Result<Vec<u32>, _>>()?;
    ensure!(labels.len() == job.examples, "{} labels, {} examples", labels.len(), job.examples);
    Ok((pixels, labels))
}

/// Pictures whose left half is brighter the higher their class.
fn made_up(features: usize, m: usize, classes: usize) -> (Array2<u8>, Vec<u32>) {
    let mut stream = RandomStream::new(SEED, Purpose::Data, 0);
    let last = u32::try_from(classes - 1).expect("few classes");
    let labels: Vec<u32> = (0..m).map(|_| stream.up_to(last)).collect();
    let mut pixels = Array2::<u8>::zeros((features, m).f());
    for (mut column, &label) in pixels.columns_mut().into_iter().zip(&labels) {
        for (row, (place, pixel)) in (0_u32..).zip(column.iter_mut()).enumerate() {
            // The high byte of a product of integers is as good as noise here, and fast.
            let noise = (place + label).wrapping_mul(2_654_435_761) >> 24;
            let bright = if row < features / 2 { 96 * label / last.max(1) } else { 48 };
            *pixel = u8::try_from(noise * 159 / 255 + bright).unwrap_or(u8::MAX);
        }
        // A part of each picture is its own.
        for pixel in column.iter_mut().step_by(7) {
            *pixel = stream.word().to_le_bytes()[3];
        }
    }
    (pixels, labels)
}

/// The network of a job, with its first weights.
///
/// # Errors
/// If a file cannot be read, or the weights do not fit.
pub fn first_network<T: Element>(job: &Job) -> Result<Network<T>> {
    let builder = builder::<T>(job);
    let Some(folder) = &job.weights else {
        let mut stream = RandomStream::new(SEED, Purpose::Initialization, 0);
        return Ok(builder.build(&mut stream)?);
    };
    let layers = (1..=job.weighted_layers().len()).map(|layer| {
        let read = |name: char| read_matrix(&folder.join(format!("{name}{layer}.npy")));
        Ok(LayerParameters { weights: read('W')?, bias: read('b')? })
    });
    Ok(builder.build_with(Parameters { layers: layers.collect::<Result<_>>()? })?)
}

fn builder<T: Element>(job: &Job) -> NetworkBuilder<T> {
    let [height, width, channels] = job.shape;
    let mut builder = Network::<T>::builder(Shape::picture(height, width, channels));
    for &units in &job.convolutions {
        builder = builder
            .layer(Conv2d::same(units, WINDOW))
            .layer(Activation::Relu)
            .layer(MaxPool2d { window: Window::square(2, 2, Padding::Valid) });
    }
    if !job.convolutions.is_empty() {
        builder = builder.layer(Flatten {});
    }
    builder = residual(builder, &job.residual);
    builder
        .hidden(&job.hidden, Activation::Relu)
        .classes((0..job.classes).map(|class| class.to_string()))
}

/// The layers of a [residual](Job::residual) network of these widths.
fn residual<T: Element>(mut builder: NetworkBuilder<T>, widths: &[usize]) -> NetworkBuilder<T> {
    let convolution = |builder: NetworkBuilder<T>, units, stride| {
        let window = Window::square(WINDOW, stride, Padding::Same);
        let layer = Conv2d { units, window, groups: 1, bias: false };
        builder.layer(layer).layer(BatchNorm::default()).layer(Activation::Relu)
    };
    for (at, &units) in widths.iter().enumerate() {
        builder = convolution(builder, units, if at == 0 { 2 } else { 1 });
        if at > 0 {
            builder = builder.layer(MaxPool2d { window: Window::square(2, 2, Padding::Valid) });
        }
        if (1..3).contains(&at) {
            builder = convolution(convolution(builder, units, 1), units, 1);
            builder = builder.layer(Residual { layers: 6 });
        }
    }
    if widths.is_empty() { builder } else { builder.layer(GlobalPool { by: PoolBy::Both }) }
}

fn read_matrix<T: Element>(path: &Path) -> Result<Array2<T>> {
    let from_f32 = |number: f32| T::from_f64(number.into());
    let (shape, numbers) =
        npy::read_as(path, from_f32).or_else(|_| npy::read_as(path, T::from_f64))?;
    let [rows, columns] = shape[..] else { anyhow::bail!("{} is no matrix", path.display()) };
    Ok(Array2::from_shape_vec((rows, columns), numbers)?)
}

/// The trainer of a job, for this many epochs.
pub(super) fn trainer(job: &Job, epochs: usize) -> Result<Trainer> {
    let batch = match job.batch {
        None => Batch::Full,
        Some(size) => Batch::Size(NonZeroUsize::new(size).context("a batch of 0")?),
    };
    let order = match &job.order {
        None => None,
        Some(path) => {
            let (_, order) = npy::read::<i64>(path)?;
            let order = order.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>()?;
            Some(BatchOrder::new(move |_, columns| columns.copy_from_slice(&order)))
        }
    };
    Ok(Trainer {
        optimizer: job.optimizer.parse()?,
        learning_rate: job.learning_rate,
        batch,
        order,
        epochs: epochs as u64,
        products: if job.precision == "bf16" { Products::Bf16 } else { Products::Full },
        threads: NonZeroUsize::new(job.threads),
        clock: Some(Arc::new(SystemClock::start())),
        gram: match (job.gram, job.kind) {
            (Some(true), _) => GramChoice::Always,
            (None, Kind::Run) => GramChoice::Auto,
            // A step on its own is one in the plain form, however long the run is that it belongs to.
            _ => GramChoice::Never,
        },
        ..Trainer::default()
    })
}

/// Something that answers one batch after another.
pub(super) struct Answers<T> {
    predictor: Predictor<T>,
}

impl<T: Element> Answers<T> {
    pub(super) fn of(network: &Network<T>) -> Result<Self> {
        Ok(Self { predictor: Predictor::new(Arc::new(network.clone()))? })
    }

    /// The probability of every class, `(classes, m)`.
    pub(super) fn all_classes(&mut self, pixels: ArrayView2<'_, u8>) -> Result<ArrayView2<'_, T>> {
        let pixels = self.predictor.network().pixels(pixels);
        Ok(self.predictor.probabilities(&pixels)?)
    }

    /// The probability of the last class for each picture of `pixels`.
    pub(super) fn last_class(&mut self, pixels: ArrayView2<'_, u8>) -> Result<Vec<f64>> {
        let found = self.all_classes(pixels)?;
        let last = found.rows().into_iter().next_back().context("a network without classes")?;
        Ok(last.iter().map(|&value| value.into()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_pictures_are_the_same_each_time_and_differ_by_class() {
        let (pixels, labels) = made_up(64, 50, 2);
        assert_eq!((&pixels, &labels), (&made_up(64, 50, 2).0, &made_up(64, 50, 2).1));
        let mean = |class: u32| {
            let of = |(column, _): (_, &u32)| -> f64 {
                let column: dnn_core::ndarray::ArrayView1<'_, u8> = column;
                column.iter().take(32).map(|&pixel| f64::from(pixel)).sum()
            };
            let columns = pixels.columns().into_iter().zip(&labels);
            let wanted: Vec<f64> = columns.filter(|(_, label)| **label == class).map(of).collect();
            wanted.iter().sum::<f64>() / wanted.len() as f64
        };
        assert!(mean(1) > mean(0) + 300.0, "{} {}", mean(0), mean(1));
    }
}
