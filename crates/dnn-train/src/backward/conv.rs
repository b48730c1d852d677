//! The way back through a convolution: `dA_prev` is `dZ` convolved with the weights turned by half a circle, `dW` the sum
//! over all windows of the window times `dZ`, `db` the sum of `dZ`.

use dnn_core::{Element, Shape};
use dnn_kernels::{KernelPath, PlainLoop};
use dnn_layers::Conv2d;
use ndarray::{Array2, Axis};

use super::{Backward, BackwardStep, GradientBy};
use crate::convolution_memory::ConvolutionMemory;

impl<T: Element> Backward<T> for Conv2d {
    fn gradient_by(&self) -> GradientBy {
        GradientBy::Group
    }

    fn is_in_place(&self) -> bool {
        false
    }

    fn reserve(&self, input: Shape, memory: &mut ConvolutionMemory<T>) {
        let geometry = self.geometry(input).expect("checked when the network was made");
        memory.products.reserve(&geometry);
        let numbers = geometry.input.iter().product::<usize>();
        memory.example.resize(numbers.max(memory.example.len()), T::zero());
    }

    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep {
            tensors,
            shape,
            gradient,
            input_gradient: Some(mut to),
            convolution,
            ..
        } = step
        else {
            return;
        };
        let geometry = self.geometry(shape).expect("checked when the network was made");
        let products = &mut convolution.products;
        products.pack_exchanged(&geometry, tensors[0].values());
        for (dz, mut dx) in gradient.columns().into_iter().zip(to.columns_mut()) {
            let dz = dz.to_slice().expect("examples in one piece");
            products.input_gradient(&geometry, dz, dx.as_slice_mut().expect("in one piece"));
        }
    }

    fn add_parameter_gradient(&self, step: &mut BackwardStep<'_, '_, T>, sums: &mut [Array2<T>]) {
        let BackwardStep { shape, input, inputs, gradient, convolution, .. } = step;
        let geometry = self.geometry(*shape).expect("checked when the network was made");
        let ConvolutionMemory { products, example, .. } = &mut **convolution;
        let [dw, db @ ..] = sums else { unreachable!("a convolution has weights") };
        // A frozen array has no gradient.
        let is_wanted = !dw.is_empty();
        products.start_gradient(&geometry);
        for (j, dz) in gradient.columns().into_iter().enumerate() {
            let dz = dz.to_slice().expect("examples in one piece");
            let x = match input {
                Some(input) => {
                    let x = input.index_axis_move(Axis(1), j);
                    x.to_slice().expect("examples in one piece")
                }
                None => inputs.x.example(inputs.columns.at(j), example),
            };
            if is_wanted {
                products.add_gradient(&geometry, x, dz);
            }
            if let [db] = &mut *db
                && let Some(sums) = db.as_slice_mut()
            {
                KernelPath::best().vectorized(AddPixels { sums, numbers: dz });
            }
        }
        if is_wanted {
            products.finish_gradient(&geometry, dw.view_mut());
        }
    }
}

/// Adds the numbers of each unit over all pixels; of a single one, its numbers.
pub(crate) struct AddPixels<'a, T> {
    pub(crate) sums: &'a mut [T],
    pub(crate) numbers: &'a [T],
}

impl<T: Element> PlainLoop for AddPixels<'_, T> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) {
        for pixel in self.numbers.chunks_exact(self.sums.len().max(1)) {
            self.sums.iter_mut().zip(pixel).for_each(|(sum, &number)| *sum += number);
        }
    }
}
