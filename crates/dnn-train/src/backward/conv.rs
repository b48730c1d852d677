//! The way back through a convolution: `dA_prev` is `dZ` convolved with the weights turned by half a circle, `dW` the sum
//! over all windows of the window times `dZ`, `db` the sum of `dZ`.

use dnn_core::{Element, Shape};
use dnn_kernels::{KernelPath, PlainLoop};
use dnn_layers::Conv2d;
use ndarray::{Array2, Axis};

use super::{Backward, BackwardStep, GradientBy, StoredGradient, SumsOf};
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
        let BackwardStep { shape, gradient, input_gradient, convolution, packed, .. } = step;
        let Some(mut to) = input_gradient else { return };
        let packed = packed.expect("weights are laid out before the step");
        let geometry = self.geometry(shape).expect("checked when the network was made");
        let products = &mut convolution.products;
        for (dz, mut dx) in gradient.columns().into_iter().zip(to.columns_mut()) {
            let dz = dz.to_slice().expect("examples in one piece");
            products.input_gradient(
                &geometry,
                packed,
                dz,
                dx.as_slice_mut().expect("in one piece"),
            );
        }
    }

    /// Those of the weights lie as the kernels want them.
    fn sums(&self, of: SumsOf<'_, T>, own: (usize, usize)) -> (usize, usize) {
        // A frozen array has no gradient.
        if of.tensor > 0 || own.0 * own.1 == 0 {
            return own;
        }
        let geometry = self.geometry(of.shape).expect("checked when the network was made");
        (1, of.convolution.products.gradient_sums(&geometry))
    }

    fn parameter_gradient(&self, step: &mut BackwardStep<'_, '_, T>, sums: &mut [Array2<T>]) {
        let BackwardStep { shape, input, inputs, gradient, convolution, is_first, .. } = step;
        let geometry = self.geometry(*shape).expect("checked when the network was made");
        let ConvolutionMemory { products, example, .. } = &mut **convolution;
        let [dw, db @ ..] = sums else { unreachable!("a convolution has weights") };
        // A frozen array has no gradient.
        let is_wanted = !dw.is_empty();
        let dw = dw.as_slice_mut().expect("one row");
        if let [db] = &mut *db
            && *is_first
        {
            db.fill(T::zero());
        }
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
                products.add_gradient(&geometry, x, dz, dw, *is_first && j == 0);
            }
            if let [db] = &mut *db
                && let Some(sums) = db.as_slice_mut()
            {
                KernelPath::best().vectorized(AddPixels { sums, numbers: dz });
            }
        }
    }

    fn store_gradient(&self, stored: StoredGradient<'_, T>) {
        let StoredGradient { of, sums, share, gradient } = stored;
        if of.tensor > 0 {
            return gradient.zip_mut_with(sums, |to, &sum| *to = sum * share);
        }
        if !gradient.is_empty() {
            let geometry = self.geometry(of.shape).expect("checked when the network was made");
            let sums = sums.as_slice().expect("one row");
            of.convolution.products.store_gradient(&geometry, sums, share, gradient.view_mut());
        }
    }
}

/// Units at a time: a vector, or several of them.
const LANES: usize = 16;
/// Sums of each unit side by side, so that none waits for the one before it.
const CHAINS: usize = 4;

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
        let Self { sums, numbers } = self;
        let units = sums.len().max(1);
        let whole = units - units % LANES;
        for start in (0..whole).step_by(LANES) {
            // In registers over all pixels.
            let vector = |of: &[T]| -> [T; LANES] {
                of[start..][..LANES].try_into().expect("as many numbers")
            };
            let mut of_units = [[T::zero(); LANES]; CHAINS];
            of_units[0] = vector(sums);
            let groups = numbers.chunks_exact(CHAINS * units);
            let rest = groups.remainder();
            for pixels in groups {
                for (sums, pixel) in of_units.iter_mut().zip(pixels.chunks_exact(units)) {
                    let pixel = vector(pixel);
                    sums.iter_mut().zip(pixel).for_each(|(sum, number)| *sum += number);
                }
            }
            for pixel in rest.chunks_exact(units) {
                let pixel = vector(pixel);
                of_units[0].iter_mut().zip(pixel).for_each(|(sum, number)| *sum += number);
            }
            let [a, b, c, d] = of_units;
            for (lane, sum) in sums[start..][..LANES].iter_mut().enumerate() {
                *sum = (a[lane] + b[lane]) + (c[lane] + d[lane]);
            }
        }
        if whole < units {
            for pixel in numbers.chunks_exact(units) {
                let rest = sums[whole..].iter_mut().zip(&pixel[whole..]);
                rest.for_each(|(sum, &number)| *sum += number);
            }
        }
    }
}
