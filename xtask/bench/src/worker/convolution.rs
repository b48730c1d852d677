//! Single convolutions of one picture, as the kernels have them.

use dnn_core::ndarray::Array2;
use dnn_kernels::{Convolution, ConvolutionWeights, Epilogue, Geometry, Products};

/// What a convolution is made of: square pictures, square windows of an odd size, a border that leaves the picture as
/// large as it is at a stride of 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Rows, and columns.
    pub(crate) size: usize,
    pub(crate) channels: usize,
    pub(crate) units: usize,
    /// Rows, and columns, of a window.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) groups: usize,
}

impl Picture {
    fn geometry(&self) -> Geometry {
        let Self { size, channels, units, kernel, stride, groups } = *self;
        let before = (kernel - 1) / 2;
        let output = (size + 2 * before - kernel) / stride + 1;
        Geometry {
            input: [size, size, channels],
            output: [output, output, units],
            kernel: [kernel; 2],
            stride: [stride; 2],
            before: [before; 2],
            groups,
        }
    }

    /// Multiplications and additions of one pass; those that meet the border count.
    pub(crate) fn operations(&self) -> usize {
        let Geometry { output: [rows, columns, units], .. } = self.geometry();
        2 * rows * columns * units * self.kernel.pow(2) * self.channels / self.groups
    }
}

/// What is done with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Forward,
    WeightGradient,
    InputGradient,
}

impl Pass {
    pub(crate) const ALL: [Self; 3] = [Self::Forward, Self::WeightGradient, Self::InputGradient];
}

/// A convolution, with all that its passes read and write.
#[derive(Debug)]
pub(crate) struct Passes {
    geometry: Geometry,
    convolution: Convolution<f32>,
    packed: ConvolutionWeights<f32>,
    sums: Vec<f32>,
    weights: Array2<f32>,
    weight_gradient: Array2<f32>,
    x: Vec<f32>,
    input_gradient: Vec<f32>,
    out: Vec<f32>,
    /// The gradient of the output, without zeros.
    dz: Vec<f32>,
}

impl Passes {
    pub(crate) fn of(picture: &Picture, products: Products) -> Self {
        let geometry = picture.geometry();
        let [inputs, outputs] = [geometry.input, geometry.output].map(|of| of.iter().product());
        let taps = picture.kernel.pow(2) * picture.channels / picture.groups;
        let numbers = |count: usize, period: usize| -> Vec<f32> {
            (0..count).map(|at| 0.1 * (1 + at % period) as f32).collect()
        };
        let mut convolution = Convolution::default();
        let mut packed = ConvolutionWeights::default();
        convolution.set_products(products);
        packed.set_products(products);
        let sums = vec![0.0; convolution.gradient_sums(&geometry)];
        Self {
            geometry,
            convolution,
            packed,
            sums,
            weights: Array2::from_elem((picture.units, taps), 0.01),
            weight_gradient: Array2::zeros((picture.units, taps)),
            x: numbers(inputs, 7),
            input_gradient: vec![0.0; inputs],
            out: vec![0.0; outputs],
            dz: numbers(outputs, 5),
        }
    }

    /// A pass for so many pictures, with what is done once for all of them; gives one of the numbers made.
    pub(crate) fn run(&mut self, pass: Pass, pictures: usize) -> f32 {
        let Self { geometry, convolution, packed, weights, sums, .. } = self;
        match pass {
            Pass::Forward => {
                packed.pack(geometry, weights.view());
                for _ in 0..pictures {
                    let epilogue = Epilogue::default();
                    convolution.forward(geometry, packed, &self.x, epilogue, &mut self.out);
                }
                self.out[0]
            }
            Pass::WeightGradient => {
                for picture in 0..pictures {
                    convolution.add_gradient(geometry, &self.x, &self.dz, sums, picture == 0);
                }
                let to = self.weight_gradient.view_mut();
                convolution.store_gradient(geometry, sums, 1.0, to);
                self.weight_gradient[(0, 0)]
            }
            Pass::InputGradient => {
                packed.pack_exchanged(geometry, weights.view());
                for _ in 0..pictures {
                    convolution.input_gradient(
                        geometry,
                        packed,
                        &self.dz,
                        &mut self.input_gradient,
                    );
                }
                self.input_gradient[0]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_makes_what_the_formula_says() {
        // One channel, one unit, a window of one pixel: each pass is one product for each of the pictures' four pixels.
        let picture = Picture { size: 2, channels: 1, units: 1, kernel: 1, stride: 1, groups: 1 };
        assert_eq!(picture.operations(), 8);
        let mut passes = Passes::of(&picture, Products::Full);
        let close = |found: f32, expected: f32| (found - expected).abs() < 1e-6;
        // x and dz are 0.1, 0.2, 0.3, 0.4.
        assert!(close(passes.run(Pass::Forward, 2), 0.001));
        assert!(close(passes.run(Pass::InputGradient, 2), 0.001));
        assert!(close(passes.run(Pass::WeightGradient, 2), 2.0 * 0.3));
    }

    #[test]
    fn strides_borders_and_groups_count() {
        let picture = Picture { size: 8, channels: 4, units: 6, kernel: 3, stride: 2, groups: 2 };
        assert_eq!(picture.operations(), 2 * 4 * 4 * 6 * 9 * 2);
    }
}
