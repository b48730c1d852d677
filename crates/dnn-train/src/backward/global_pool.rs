//! The way back through pooling over the whole picture.

use dnn_core::Element;
use dnn_layers::GlobalPool;

use super::{Backward, BackwardStep};

impl<T: Element> Backward<T> for GlobalPool {
    fn is_in_place(&self) -> bool {
        false
    }

    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep { shape, input, output, mut gradient, input_gradient, .. } = step;
        let (Some(input), Some(mut to)) = (input, input_gradient) else { return };
        let channels = shape.channels;
        let share = T::one() / T::from_f64((shape.height * shape.width) as f64);
        let examples = input.columns().into_iter().zip(output.columns());
        let gradients = gradient.columns_mut().into_iter().zip(to.columns_mut());
        for ((x, out), (mut dz, mut dx)) in examples.zip(gradients) {
            let slices = (x.to_slice(), out.to_slice(), dz.as_slice_mut(), dx.as_slice_mut());
            let (Some(x), Some(out), Some(dz), Some(dx)) = slices else {
                unreachable!("examples in one piece")
            };
            let maxima = if self.by.has_maximum() { channels } else { 0 };
            let (to_maxima, to_means) = dz.split_at_mut(maxima);
            for (x, dx) in x.chunks_exact(channels).zip(dx.chunks_exact_mut(channels)) {
                dx.fill(T::zero());
                dx.iter_mut().zip(&*to_means).for_each(|(dx, &dz)| *dx = share * dz);
                let numbers = dx.iter_mut().zip(x).zip(&out[..maxima]).zip(&mut *to_maxima);
                for (((dx, x), largest), dz) in numbers {
                    if x == largest {
                        // What is given away once is nothing afterwards.
                        *dx += std::mem::replace(dz, T::zero());
                    }
                }
            }
        }
    }
}
