//! The way back through scaling: `dX = scale dY`, `dscale` is the sum of `dY X`, `dshift` that of `dY`.

use dnn_core::Element;
use dnn_layers::Scale;
use ndarray::{Array2, Zip};

use super::{Backward, BackwardStep, GradientBy};

impl<T: Element> Backward<T> for Scale {
    fn gradient_by(&self) -> GradientBy {
        GradientBy::Group
    }

    fn parameter_gradient(&self, step: &mut BackwardStep<'_, '_, T>, sums: &mut [Array2<T>]) {
        let (Some(x), [scale, shift]) = (step.input, sums) else {
            unreachable!("scaling has two arrays, and numbers before it")
        };
        if step.is_first {
            scale.fill(T::zero());
            shift.fill(T::zero());
        }
        for (x, dy) in x.columns().into_iter().zip(step.gradient.columns()) {
            // An array that is frozen has no room for its gradient.
            for (sum, (&x, &dy)) in scale.iter_mut().zip(x.iter().zip(dy)) {
                *sum += dy * x;
            }
            for (sum, &dy) in shift.iter_mut().zip(dy) {
                *sum += dy;
            }
        }
    }

    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep { tensors, mut gradient, .. } = step;
        let scale = tensors[0].values();
        for mut dy in gradient.columns_mut() {
            Zip::from(&mut dy).and(scale.column(0)).for_each(|dy, &scale| *dy *= scale);
        }
    }
}
