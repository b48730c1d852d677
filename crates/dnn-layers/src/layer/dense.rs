//! Dense layers: `Z = W A_prev + b`.

use dnn_core::{Columns, CoreError, Element, Features, Shape};
use dnn_kernels::PackedWeights;
use dnn_kernels::bf16::{self, LinearScratch, PairedRows, TurnScratch};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Zip};
use serde::{Deserialize, Serialize};

use super::{Forward, Input, Layer, Scratch, Step, invalid};
use crate::tensor::{Initial, ParameterSpec};

/// `Z = W A_prev + b`: every unit is connected to every number of the layer before.
///
/// | array | shape | before training |
/// |---|---|---|
/// | `weights` | `(n, n_prev)` | drawn by the network's initialiser |
/// | `bias` | `(n, 1)` | 0 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dense {
    /// Units, `n`.
    pub units: usize,
}

impl From<Dense> for Layer {
    fn from(layer: Dense) -> Self {
        Self::Dense(layer)
    }
}

/// Where the product `W X` of a dense layer comes from.
#[derive(Debug, Clone, Copy, Default)]
pub enum DenseBy<'a, T> {
    /// The layer's weights as they are.
    #[default]
    Weights,
    /// The same weights, laid out for many examples.
    Packed(&'a PackedWeights<T>),
    /// `Z` is known: `(n, m)`.
    Output(ArrayView2<'a, T>),
    /// The product is known, without the bias: `(n, m)`.
    Product(ArrayView2<'a, f64>),
}

/// Memory for products in bf16.
#[derive(Debug, Clone, Default)]
pub(crate) struct DensePairs<T> {
    examples: PairedRows,
    turned: TurnScratch<T>,
    products: LinearScratch<T>,
}

impl<T: Element> Forward<T> for Dense {
    fn kind(&self) -> &'static str {
        "dense"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        input.features()?;
        if self.units == 0 {
            return invalid("units of a dense layer", "at least 1", 0);
        }
        let units = Shape::units(self.units);
        units.features().map(|_| units)
    }

    fn parameters(&self, input: Shape) -> Vec<ParameterSpec> {
        let inputs = input.height * input.width * input.channels;
        vec![
            ParameterSpec::weights("weights", self.units, inputs),
            ParameterSpec::for_each_unit("bias", self.units, Initial::Zeros),
        ]
    }

    fn takes_features(&self) -> bool {
        true
    }

    fn reserve(&self, input: Shape, scratch: &mut Scratch<T>) {
        let (inputs, examples) = (input.height * input.width * input.channels, scratch.examples);
        if let Some(pairs) = &mut scratch.pairs {
            pairs.examples.reserve(inputs, examples);
            pairs.turned.reserve(inputs, examples);
            pairs.products.reserve(self.units, inputs, examples);
        }
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step { input, output, .. } = &step;
        let all = Columns::Run { start: 0, len: output.ncols() };
        match *input {
            Input::Features { x, columns } => linear(x, columns, step),
            Input::Numbers(values) => linear(&Features::Real(values), all, step),
        }
    }
}

/// Writes the output for the examples `columns` of `x`.
fn linear<T: Element>(x: &Features<'_, T>, columns: Columns<'_>, step: Step<'_, '_, '_, T>) {
    let Step { tensors: [weights, bias], mut output, scratch, given, .. } = step else {
        unreachable!("a dense layer has weights and a bias")
    };
    let (weights, bias) = (weights.values(), bias.unit());
    match given.dense {
        DenseBy::Weights => match &mut scratch.pairs {
            None => linear_into(x, columns, weights, bias, &mut scratch.features, output),
            Some(DensePairs { examples, turned, products }) => {
                let write = |inputs, to: ArrayViewMut2<'_, T>| {
                    x.write_examples(inputs, columns, to);
                };
                examples.fill_turned((x.width(), columns.len()), turned, write);
                bf16::linear(weights, bias, examples, products, output);
            }
        },
        DenseBy::Packed(packed) => {
            x.linear_packed_into(packed, bias, columns, &mut scratch.packed, output);
        }
        DenseBy::Output(known) => output.assign(&known),
        DenseBy::Product(product) => shift(product, bias, output),
    }
}

/// `z = W X + b` for the examples `columns` of `x`: the one place where it is computed.
pub(crate) fn linear_into<T: Element>(
    x: &Features<'_, T>,
    columns: Columns<'_>,
    weights: ArrayView2<'_, T>,
    bias: ArrayView1<'_, T>,
    scratch: &mut Vec<T>,
    z: ArrayViewMut2<'_, T>,
) {
    x.linear_into(weights, bias, columns, scratch, z);
}

/// `z = product + b`.
fn shift<T: Element>(
    product: ArrayView2<'_, f64>,
    bias: ArrayView1<'_, T>,
    mut z: ArrayViewMut2<'_, T>,
) {
    for (z, product) in z.columns_mut().into_iter().zip(product.columns()) {
        Zip::from(z).and(product).and(bias).for_each(|z, &product, &bias| {
            *z = T::from_f64(product + bias.into());
        });
    }
}
