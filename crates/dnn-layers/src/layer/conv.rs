//! Convolutions: `Z = W * A_prev + b`.

use dnn_core::{CoreError, Element, Shape};
use dnn_kernels::{Epilogue, Geometry};
use ndarray::Axis;
use serde::{Deserialize, Serialize};

use super::window::{Padding, Window};
use super::{Forward, Input, Layer, Scratch, Step, invalid};
use crate::Network;
use crate::tensor::{Initial, ParameterSpec};

/// `Z = W * A_prev + b`: every unit sees a window of the picture at a time, all of its channels, and is one channel of
/// what is made. Nothing is turned: in the field's words a cross-correlation.
///
/// | array | shape | before training |
/// |---|---|---|
/// | `weights` | `(units, rows x columns of a window x channels / groups)` | drawn by the network's initialiser |
/// | `bias` | `(units, 1)` | 0; none if a [batch normalisation](super::BatchNorm) follows |
///
/// A row of the weights lies as a window of the picture does: row by row, the channels of a pixel side by side.
///
/// # References
/// `LeCun` and others (1989), Backpropagation applied to handwritten zip code recognition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv2d {
    /// Units, the channels of the output.
    pub units: usize,
    /// Where the windows lie.
    pub window: Window,
    /// Channels and units are divided into so many groups; a unit sees the channels of its group alone. With as many as
    /// there are channels, each is seen on its own (depthwise).
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Conv2d {
    /// Square windows of an odd size, a pixel apart, with a border that leaves the picture as large as it is, and a bias.
    pub const fn same(units: usize, kernel: usize) -> Self {
        Self { units, window: Window::square(kernel, 1, Padding::Same), groups: 1, bias: true }
    }

    /// Where the windows lie in pictures of this shape.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if a number of the layer cannot be, or does not go with the shape.
    pub fn geometry(&self, input: Shape) -> Result<Geometry, CoreError> {
        let Self { units, window, groups, .. } = *self;
        if units == 0 {
            return invalid("units of a convolution", "at least 1", 0);
        }
        let divides = |number: usize| groups > 0 && number.is_multiple_of(groups);
        if !divides(units) || !divides(input.channels) {
            let expected = "groups that divide channels and units";
            let found = format!("{groups} for {} and {units}", input.channels);
            return invalid("groups of a convolution", expected, found);
        }
        let places = window.places(input)?;
        let [rows, columns] = places.count;
        Ok(Geometry {
            input: [input.height, input.width, input.channels],
            output: [rows, columns, units],
            kernel: window.kernel,
            stride: window.stride,
            before: places.before,
            groups,
        })
    }
}

impl Conv2d {
    /// Where the windows of this layer `l` of a network lie.
    pub(crate) fn geometry_of<T: Element>(&self, network: &Network<T>, l: usize) -> Geometry {
        self.geometry(network.layer_input(l)).expect("checked when the network was made")
    }
}

impl From<Conv2d> for Layer {
    fn from(layer: Conv2d) -> Self {
        Self::Conv2d(layer)
    }
}

impl<T: Element> Forward<T> for Conv2d {
    fn kind(&self) -> &'static str {
        "conv"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        input.features()?;
        let [rows, columns, units] = self.geometry(input)?.output;
        let output = Shape::picture(rows, columns, units);
        output.features().map(|_| output)
    }

    fn parameters(&self, input: Shape) -> Vec<ParameterSpec> {
        let [rows, columns] = self.window.kernel;
        let taps = rows.saturating_mul(columns).saturating_mul(input.channels / self.groups.max(1));
        let weights = ParameterSpec::weights("weights", self.units, taps);
        let bias = ParameterSpec::for_each_unit("bias", self.units, Initial::Zeros);
        std::iter::once(weights).chain(self.bias.then_some(bias)).collect()
    }

    fn takes_features(&self) -> bool {
        true
    }

    fn reserve(&self, input: Shape, scratch: &mut Scratch<T>) {
        let geometry = self.geometry(input).expect("checked when the network was made");
        scratch.convolution.reserve(&geometry);
        let numbers = geometry.input.iter().product::<usize>();
        scratch.features.reserve(numbers.saturating_sub(scratch.features.len()));
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step {
            tensors: [weights, bias @ ..],
            shape,
            input,
            output,
            scratch,
            given,
            relu,
            maximum,
            ..
        } = step
        else {
            unreachable!("a convolution has weights")
        };
        let geometry = self.geometry(shape).expect("checked when the network was made");
        let Scratch { convolution, features, weights: own, .. } = scratch;
        let packed = given.convolution.unwrap_or_else(|| {
            own.pack(&geometry, weights.values());
            own
        });
        let mut output = output;
        for (j, mut out) in output.columns_mut().into_iter().enumerate() {
            let out = out.as_slice_mut().expect("columns in one piece");
            let epilogue = Epilogue { bias: bias.first().map(|bias| bias.unit()), relu, maximum };
            let x = example(&input, j, features);
            convolution.forward(&geometry, packed, x, epilogue, out);
        }
    }
}

/// One example of what a layer is given, as numbers.
fn example<'e, T: Element>(
    input: &'e Input<'_, '_, T>,
    j: usize,
    memory: &'e mut Vec<T>,
) -> &'e [T] {
    match input {
        Input::Features { x, columns } => x.example(columns.at(j), memory),
        Input::Numbers(numbers) => {
            let example = numbers.index_axis_move(Axis(1), j);
            example.to_slice().expect("examples in one piece")
        }
    }
}
