//! The named arrays of a network.

use dnn_core::Element;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// An array of a layer, before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Its name in the layer, as in `dense1.weights`.
    pub name: &'static str,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// What it holds before training.
    pub initial: Initial,
    /// Whether a gradient changes it; other arrays follow the batches in another way.
    pub is_trained: bool,
    /// Whether L2 and weight decay pull it towards 0.
    pub decays: bool,
    /// Whether its numbers cannot be below 0, as a variance.
    pub is_at_least_0: bool,
}

impl ParameterSpec {
    /// Weights that the network's initialiser draws; they decay.
    pub const fn weights(name: &'static str, rows: usize, columns: usize) -> Self {
        let initial = Initial::Drawn;
        Self { name, rows, columns, initial, is_trained: true, decays: true, is_at_least_0: false }
    }

    /// A trained number for each unit, which does not decay.
    pub const fn for_each_unit(name: &'static str, units: usize, initial: Initial) -> Self {
        Self { initial, decays: false, ..Self::weights(name, units, 1) }
    }

    /// The same, but no gradient changes it.
    pub const fn not_trained(self) -> Self {
        Self { is_trained: false, ..self }
    }

    /// The same, but none of its numbers can be below 0.
    pub const fn at_least_0(self) -> Self {
        Self { is_at_least_0: true, ..self }
    }
}

/// What an array holds before training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initial {
    /// What the network's initialiser draws.
    Drawn,
    /// Zeros.
    Zeros,
    /// Ones.
    Ones,
}

/// An array of a network and what becomes of it in training.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<T> {
    name: String,
    layer: usize,
    spec: ParameterSpec,
    is_frozen: bool,
    values: Array2<T>,
}

impl<T: Element> Tensor<T> {
    /// An array of layer `layer`, counted from 0; `owner` is that layer's name.
    pub(crate) fn new(owner: &str, layer: usize, spec: ParameterSpec, values: Array2<T>) -> Self {
        let name = format!("{owner}.{}", spec.name);
        Self { name, layer, spec, is_frozen: false, values }
    }

    /// Its name in the network: that of the layer and its own, as in `dense1.weights`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The position of its layer among all [layers](crate::Network::layers), counted from 0.
    pub fn layer(&self) -> usize {
        self.layer
    }

    /// What its layer says of it.
    pub fn spec(&self) -> &ParameterSpec {
        &self.spec
    }

    /// Whether training changes it by a gradient: it is of that kind, and not frozen.
    pub fn is_trained(&self) -> bool {
        self.spec.is_trained && !self.is_frozen
    }

    /// Whether it is left as it is, although its kind is trained.
    pub fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    pub(crate) fn set_frozen(&mut self, is_frozen: bool) {
        self.is_frozen = is_frozen;
    }

    /// Its numbers: `(n, n_prev)` for weights, `(n, 1)` for what each unit has one of.
    pub fn values(&self) -> ArrayView2<'_, T> {
        self.values.view()
    }

    /// The same, to be changed in place; the shape stays.
    pub fn values_mut(&mut self) -> ArrayViewMut2<'_, T> {
        self.values.view_mut()
    }

    /// One of its numbers, by row and column.
    ///
    /// # Panics
    /// If there is no such row or column.
    pub fn entry_mut(&mut self, index: (usize, usize)) -> &mut T {
        &mut self.values[index]
    }

    pub(crate) fn into_values(self) -> Array2<T> {
        self.values
    }

    pub(crate) fn array_mut(&mut self) -> &mut Array2<T> {
        &mut self.values
    }

    /// The first column: one number for each unit.
    pub(crate) fn unit(&self) -> ArrayView1<'_, T> {
        self.values.column(0)
    }

    pub(crate) fn unit_mut(&mut self) -> ArrayViewMut1<'_, T> {
        self.values.column_mut(0)
    }
}
