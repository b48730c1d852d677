//! Data with numbers to be found in place of classes.

use dnn_core::Element;
use dnn_data::ImageDataset;
use dnn_layers::{Network, NetworkError, OutputScale};
use dnn_store::Scalar;
use ndarray::Array2;

/// The mean and the standard deviation of each target over the training part.
///
/// A network is trained on targets less their mean and over their deviation, so that the default learning rates fit
/// whatever the unit is, and is given the unit back at the end, by its last layer.
#[derive(Debug, Clone)]
pub(crate) struct TargetScales(Vec<Scale>);

#[derive(Debug, Clone, Copy)]
struct Scale {
    mean: f64,
    deviation: f64,
}

impl TargetScales {
    /// `None` where there are classes.
    pub(crate) fn of(train: &ImageDataset) -> Option<Self> {
        let targets = train.targets()?;
        let m = targets.ncols() as f64;
        let scale = |numbers: ndarray::ArrayView1<'_, f64>| {
            let mean = numbers.sum() / m;
            let deviation =
                (numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / m).sqrt();
            // A target that is the same everywhere tells nothing; any deviation but 0 will do.
            Scale { mean, deviation: if deviation > 0.0 { deviation } else { 1.0 } }
        };
        Some(Self(targets.rows().into_iter().map(scale).collect()))
    }

    /// The targets of a part as training sees them.
    pub(crate) fn standardized<T: Element>(&self, part: &ImageDataset) -> Option<Array2<T>> {
        let mut numbers = part.targets()?.to_owned();
        for (mut row, scale) in numbers.rows_mut().into_iter().zip(&self.0) {
            row.mapv_inplace(|number| (number - scale.mean) / scale.deviation);
        }
        Some(numbers.mapv(T::from_f64))
    }

    /// From the unit of the data to that of training.
    pub(crate) fn enter<T: Element>(&self, network: &mut Network<T>) -> Result<(), NetworkError> {
        let inverse = |scale: &Scale| OutputScale {
            scale: 1.0 / scale.deviation,
            shift: -scale.mean / scale.deviation,
        };
        network.scale_outputs(&self.0.iter().map(inverse).collect::<Vec<_>>())
    }

    /// From the unit of training to that of the data.
    pub(crate) fn leave<T: Element>(&self, network: &mut Network<T>) -> Result<(), NetworkError> {
        let own = |it: &Scale| OutputScale { scale: it.deviation, shift: it.mean };
        network.scale_outputs(&self.0.iter().map(own).collect::<Vec<_>>())
    }

    /// The same for a model file.
    pub(crate) fn leave_model(&self, model: &[u8]) -> Result<Vec<u8>, NetworkError> {
        fn of<T: Element + Scalar>(
            scales: &TargetScales,
            mut network: Network<T>,
        ) -> Result<Vec<u8>, NetworkError> {
            scales.leave(&mut network)?;
            network.to_bytes()
        }
        match Network::<f32>::from_bytes(model) {
            Err(NetworkError::Precision { .. }) => of(self, Network::<f64>::from_bytes(model)?),
            network => of(self, network?),
        }
    }
}

/// The targets of a part in their own unit, in the precision of a network; `None` where there are classes.
pub(crate) fn targets<T: Element>(part: &ImageDataset) -> Option<Array2<T>> {
    Some(part.targets()?.mapv(T::from_f64))
}
