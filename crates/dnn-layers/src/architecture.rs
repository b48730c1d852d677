//! All of a network but its numbers.

use dnn_core::{CoreError, Element, PixelScaling, Shape};

use crate::buffers_for::BuffersFor;
use crate::layer::{Buffers, Mode};
use crate::tensor::ParameterSpec;
use crate::{Activation, Head, Layer, NetworkError};

/// The most parameters a network has: 8 GiB of `f32`.
const MOST_PARAMETERS: u128 = 1 << 31;

/// The parts of a network that are chosen, not learned; checked by [`Architecture::check`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Architecture {
    pub(crate) input: Shape,
    /// All layers, the last of which gives the logits.
    pub(crate) layers: Vec<Layer>,
    pub(crate) head: Head,
    pub(crate) classes: Vec<String>,
    pub(crate) scaling: PixelScaling,
}

/// A layer in its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// Its kind and its number among those of the kind, as in `dense1`.
    pub(crate) name: String,
    pub(crate) input: Shape,
    pub(crate) output: Shape,
    pub(crate) parameters: Vec<ParameterSpec>,
    /// Whether it is a convolution or batch normalisation that does the `ReLU` after it, in training and for answers alone,
    /// where nobody else looks at what lies between the two.
    pub(crate) does_relu: bool,
    /// Whether it is a convolution that does the `ReLU` after it and the maximum of each 2 x 2 after that, for answers.
    pub(crate) does_maximum: bool,
}

impl Architecture {
    /// Checks everything that later code relies on, and gives each layer its place.
    pub(crate) fn check<T: Element>(&self) -> Result<Vec<Place>, NetworkError> {
        self.input.features()?;
        let places = self.places::<T>()?;
        let Some(Layer::Dense(_)) = self.layers.last() else {
            return Err(NetworkError::NoOutputs);
        };
        let found = places.iter().flat_map(|place| &place.parameters);
        let found = found.map(|it| (it.rows as u128).saturating_mul(it.columns as u128));
        let found = found.fold(0, u128::saturating_add);
        if found > MOST_PARAMETERS {
            return Err(NetworkError::TooManyParameters { found, most: MOST_PARAMETERS });
        }
        self.check_classes()?;
        let channels = self.scaling.channels();
        if channels != 1 && channels != self.input.channels {
            return Err(NetworkError::Scaling { expected: self.input.channels, found: channels });
        }
        Ok(places)
    }

    /// Every layer with its shapes, by shape inference from the input on.
    fn places<T: Element>(&self) -> Result<Vec<Place>, NetworkError> {
        let (mut input, mut has_numbers) = (self.input, false);
        // The first layer that is given numbers of another one.
        let mut first: Option<usize> = None;
        let mut places: Vec<Place> = Vec::with_capacity(self.layers.len());
        let mut counts = std::collections::BTreeMap::new();
        for (position, layer) in self.layers.iter().enumerate() {
            let refuse = |reason: CoreError| NetworkError::LayerPlace {
                position: position + 1,
                kind: layer.kind(),
                reason,
            };
            let kind = layer.forward::<T>();
            if !has_numbers && !kind.takes_features() {
                return Err(refuse(CoreError::Invalid {
                    what: "its place",
                    expected: "one after a dense layer or a convolution, which take the inputs of the network",
                    found: "none before it".to_owned(),
                }));
            }
            kind.check().map_err(refuse)?;
            let mut output = kind.output(input).map_err(refuse)?;
            if let Some(around) = kind.goes_around() {
                let begins = position.checked_sub(around).filter(|&begins| first <= Some(begins));
                let begins = begins.filter(|_| first.is_some()).ok_or_else(|| {
                    refuse(CoreError::Invalid {
                        what: "layers that a connection goes around",
                        expected: "no more than follow the first dense layer or convolution",
                        found: around.to_string(),
                    })
                })?;
                if kind.gives_again() {
                    output = places[begins].input;
                } else if places[begins].input != input {
                    return Err(refuse(CoreError::Invalid {
                        what: "what a connection goes around",
                        expected: "layers that give the shape that they are given",
                        found: format!("{} from {}", input, places[begins].input),
                    }));
                }
            }
            if has_numbers {
                first = first.or(Some(position));
            }
            has_numbers |= kind.buffers(input, Mode::Training).output;
            let number = counts.entry(layer.kind()).and_modify(|it| *it += 1).or_insert(1_usize);
            places.push(Place {
                name: format!("{}{number}", layer.kind()),
                input,
                output,
                parameters: kind.parameters(input),
                does_relu: self.does_relu(position),
                does_maximum: self.does_maximum(position, output),
            });
            input = output;
        }
        Ok(places)
    }

    /// See [`Place::does_relu`].
    fn does_relu(&self, layer: usize) -> bool {
        let pair = (&self.layers[layer], self.layers.get(layer + 1));
        let begins = |(to, later): (usize, &Layer)| {
            later.goes_around().is_some_and(|around| to.checked_sub(around) == Some(layer + 1))
        };
        let relu = Some(&Layer::Activation(Activation::Relu));
        matches!(pair.0, Layer::BatchNorm(_) | Layer::Conv2d(_))
            && pair.1 == relu
            && !self.layers.iter().enumerate().any(begins)
    }

    /// See [`Place::does_maximum`]; what the layer gives has this shape.
    fn does_maximum(&self, layer: usize, output: Shape) -> bool {
        let begins = |(to, later): (usize, &Layer)| {
            later.goes_around().is_some_and(|around| to.checked_sub(around) == Some(layer + 2))
        };
        let pool = self.layers.get(layer + 2);
        let is_halving =
            matches!(pool, Some(Layer::MaxPool2d(pool)) if pool.window.is_halving(output));
        matches!(self.layers[layer], Layer::Conv2d(_))
            && is_halving
            && self.does_relu(layer)
            && !self.layers.iter().enumerate().any(begins)
    }

    /// What a layer needs for each example.
    pub(crate) fn buffers<T: Element>(
        &self,
        layer: usize,
        input: Shape,
        purpose: BuffersFor,
    ) -> Buffers {
        if purpose != BuffersFor::Outputs
            && layer.checked_sub(1).is_some_and(|norm| self.does_relu(norm))
        {
            return Buffers { output: false, kept: 0 };
        }
        if purpose == BuffersFor::Answers
            && let Some(convolution) = layer.checked_sub(2)
            && self.does_maximum(convolution, input)
        {
            return Buffers { output: false, kept: 0 };
        }
        self.layers[layer].forward::<T>().buffers(input, purpose.mode())
    }

    /// Numbers per example that the last layer gives.
    pub(crate) fn outputs(&self) -> usize {
        match self.layers.last() {
            Some(Layer::Dense(last)) => last.units,
            _ => 0,
        }
    }

    fn check_classes(&self) -> Result<(), NetworkError> {
        let (found, outputs) = (self.classes.len(), self.outputs());
        let (fits, expected) = match self.head {
            Head::Sigmoid if outputs == 1 => (found == 2 || found == 0, "2"),
            Head::Sigmoid | Head::Identity => (found == 0, "no"),
            Head::Softmax if found < 2 => (false, "at least 2"),
            Head::Softmax => (found == outputs, "as many"),
        };
        if !fits {
            let head = self.head;
            return Err(NetworkError::Classes { head, outputs, expected, found });
        }
        let mut sorted: Vec<&String> = self.classes.iter().collect();
        sorted.sort();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(NetworkError::RepeatedClass { name: pair[0].clone() }),
            None => Ok(()),
        }
    }
}
