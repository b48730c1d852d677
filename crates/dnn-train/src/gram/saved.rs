//! The first layer in the dual (Gram) form as arrays of a checkpoint. Their names are a part of the format.

use dnn_core::Element;
use dnn_store::{Scalar, StoredTensor};
use ndarray::Array2;

use super::{Best, DualWeights, GramState};
use crate::TrainError;
use crate::checkpoint::array::NamedArray;

impl DualWeights {
    fn save<'a>(&'a self, name: &str, to: &mut Vec<NamedArray<'a>>) {
        for (part, array) in ["share", "sums", "z"].into_iter().zip(self.arrays()) {
            to.push(named(&format!("gram.{name}.{part}"), array));
        }
    }
}

impl<T: Element + Scalar> GramState<T> {
    /// Adds everything to the arrays of a checkpoint.
    pub(crate) fn save<'a>(&'a self, to: &mut Vec<NamedArray<'a>>) {
        to.push(named("gram.base", &self.base));
        self.place.save("place", to);
        if let Some(direction) = &self.direction {
            direction.save("direction", to);
        }
        if let Some(Best { share, sums }) = &self.best {
            to.push(named("gram.best.share", share));
            to.push(named("gram.best.sums", sums));
        }
    }

    /// The state in the last arrays of a checkpoint whose first layer has weights of this shape; nothing if
    /// there are no arrays.
    ///
    /// # Errors
    /// What is wrong, if they are others than [`save`](Self::save) writes.
    pub(crate) fn load(
        tensors: &[StoredTensor<'_>],
        shape: (usize, usize),
    ) -> Result<Option<Self>, TrainError> {
        let Some(place) = tensors.iter().find(|tensor| tensor.name() == "gram.place.sums") else {
            return Ok(None);
        };
        let pairs = (shape.0, place.dims().get(1).copied().unwrap_or(0));
        let dual = |name: &str| -> Result<Option<DualWeights>, TrainError> {
            let part = |part: &str, dims| array(tensors, &format!("gram.{name}.{part}"), dims);
            let parts = (part("share", (1, 1))?, part("sums", pairs)?, part("z", pairs)?);
            Ok(match parts {
                (Some(share), Some(sums), Some(z)) => Some(DualWeights { share, sums, z }),
                _ => None,
            })
        };
        let best = match (
            array(tensors, "gram.best.share", (1, 1))?,
            array(tensors, "gram.best.sums", pairs)?,
        ) {
            (Some(share), Some(sums)) => Some(Best { share, sums }),
            _ => None,
        };
        let base = array(tensors, "gram.base", shape)?;
        let (place, direction) = (dual("place")?, dual("direction")?);
        let used = 4 + 3 * usize::from(direction.is_some()) + 2 * usize::from(best.is_some());
        match (base, place) {
            (Some(base), Some(place)) if used == tensors.len() => {
                Ok(Some(Self { base, place, direction, best }))
            }
            _ => Err(TrainError::unfit(format!(
                "{} for {used} in the dual (Gram) form",
                tensors.len()
            ))),
        }
    }
}

fn named<'a, T: Element + Scalar>(name: &str, array: &'a Array2<T>) -> NamedArray<'a> {
    let values = array.as_slice().expect("made in the standard layout");
    NamedArray::new(name, vec![array.nrows(), array.ncols()], values)
}

/// The array of this name and shape, if there is one of that name.
fn array<T: Element + Scalar>(
    tensors: &[StoredTensor<'_>],
    name: &str,
    shape: (usize, usize),
) -> Result<Option<Array2<T>>, TrainError> {
    let Some(tensor) = tensors.iter().find(|tensor| tensor.name() == name) else {
        return Ok(None);
    };
    if *tensor.dims() != [shape.0, shape.1] {
        return Err(TrainError::unfit(format!("{:?} for {shape:?} in `{name}`", tensor.dims())));
    }
    let values = tensor.to_vec::<T>()?;
    Array2::from_shape_vec(shape, values)
        .map(Some)
        .map_err(|error| TrainError::unfit(error.to_string()))
}
