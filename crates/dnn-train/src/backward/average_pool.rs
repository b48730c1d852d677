//! The way back through pooling by the mean: each number of a window gets the same share.

use dnn_core::{Element, Shape};
use dnn_layers::AveragePool2d;

use super::{Backward, BackwardStep};

impl<T: Element> Backward<T> for AveragePool2d {
    fn is_in_place(&self) -> bool {
        false
    }

    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep { shape, gradient, input_gradient: Some(mut to), .. } = step else {
            return;
        };
        let places = self.window.places(shape).expect("checked before");
        let Shape { width, channels, .. } = shape;
        for (dz, mut dx) in gradient.columns().into_iter().zip(to.columns_mut()) {
            let (Some(dz), Some(dx)) = (dz.to_slice(), dx.as_slice_mut()) else {
                unreachable!("examples in one piece")
            };
            dx.fill(T::zero());
            for (place, dz) in dz.chunks_exact(channels).enumerate() {
                let at = [place / places.count[1], place % places.count[1]];
                let [rows, columns] = self.window.covers(&places, shape, at);
                let share = T::one() / T::from_f64((rows.len() * columns.len()) as f64);
                for row in rows {
                    for column in columns.clone() {
                        let dx = &mut dx[(row * width + column) * channels..][..channels];
                        dx.iter_mut().zip(dz).for_each(|(dx, &dz)| *dx += share * dz);
                    }
                }
            }
        }
    }
}
