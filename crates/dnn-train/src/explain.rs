//! Which places of a picture speak for a class: the gradient of the class's logit, taken back further than training
//! takes it.
//!
//! ```text
//! input gradient:    d logit / dX                                            for any network
//! class activation:  A, G = what the last convolution's pictures are, d logit / dA
//!                    alpha_k = mean of G over the places of channel k
//!                    map     = relu(sum over k of alpha_k A_k)               for networks with convolutions
//! ```
//! A logit is taken, and not a probability: where a network is sure, the slope of the probability is nothing.
//! Everything is as prediction has it: batch normalisation by its running statistics, and no dropout.
//!
//! # References
//! Simonyan, Vedaldi and Zisserman (2014), Deep inside convolutional networks, for the gradient of the input; Selvaraju
//! and others (2017), Grad-CAM, for class activation.

use dnn_core::{BothPrecisions, Columns, CoreError, Element, Features};
use dnn_kernels::{Chunks, NonZeroIndex, Products, for_each_part};
use dnn_layers::{ForwardCaches, ForwardInputs, Layer, Network, NetworkError, PackedConvolutions};
use ndarray::{Array2, Axis, ShapeBuilder as _};

use crate::TrainError;
use crate::backward::{Backward, BackwardStep, backward};
use crate::convolution_memory::ConvolutionMemory;
use crate::engine::plan::{is_picture, size};

/// Where pictures speak for a class, as coarse as the last convolution sees them.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassActivation<T> {
    /// The layer whose output it was taken from, counted from 0.
    pub layer: usize,
    /// Rows and columns of a map.
    pub size: [usize; 2],
    /// `(rows * columns, m)`: a map for each example, row by row, no number below 0. Their unit is that of a logit over a
    /// number of places; where nothing speaks for the class, they are 0.
    pub maps: Array2<T>,
}

/// Where each example speaks for a class, by Grad-CAM: `relu(sum over k of alpha_k A_k)`, where `A_k` is channel `k` of
/// what the last convolution gives, with what follows before its size changes (normalisation, activation, the sum of a
/// residual connection), and `alpha_k` the mean over its places of the gradient of the class's logit.
///
/// Of two classes with one logit, the first one's is its negative. Without classes, `classes` are the numbers of
/// outputs.
///
/// # Shapes
/// `x` is `(n_x, m)`, `classes` has length `m`, the maps are `(rows * columns, m)`.
///
/// # Errors
/// [`TrainError::Core`] if no convolution of the network gives more than a single pixel; otherwise as
/// [`input_gradient`].
///
/// # Examples
/// ```
/// use dnn_core::{Features, Purpose, RandomStream, Shape};
/// use dnn_layers::{Activation, Conv2d, GlobalPool, Network, PoolBy};
/// use dnn_train::explain::class_activation;
/// use ndarray::Array2;
///
/// let network = Network::<f32>::builder(Shape::picture(8, 8, 3))
///     .layer(Conv2d::same(4, 3))
///     .layer(Activation::Relu)
///     .layer(GlobalPool { by: PoolBy::Mean })
///     .classes(["cat", "dog"])
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let pictures = Array2::<u8>::from_elem((8 * 8 * 3, 2), 100);
/// let found = class_activation(&network, &network.pixels(pictures.view()), &[0, 1])?;
/// assert_eq!((found.layer, found.size, found.maps.dim()), (1, [8, 8], (64, 2)));
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
pub fn class_activation<T: Element>(
    network: &Network<T>,
    x: &Features<'_, T>,
    classes: &[usize],
) -> Result<ClassActivation<T>, TrainError> {
    ACTIVATION.of::<Explain<T, ClassActivation<T>>>()(network, x, classes)
}

/// What gives an answer for the class of each example.
type Explain<T, A> = fn(&Network<T>, &Features<'_, T>, &[usize]) -> Result<A, TrainError>;

static ACTIVATION: BothPrecisions<
    Explain<f32, ClassActivation<f32>>,
    Explain<f64, ClassActivation<f64>>,
> = BothPrecisions { f32: activation_here, f64: activation_here };

static GRADIENT: BothPrecisions<Explain<f32, Array2<f32>>, Explain<f64, Array2<f64>>> =
    BothPrecisions { f32: gradient_here, f64: gradient_here };

fn activation_here<T: Element>(
    network: &Network<T>,
    x: &Features<'_, T>,
    classes: &[usize],
) -> Result<ClassActivation<T>, TrainError> {
    check(network, x, classes)?;
    let layer = explained_layer(network).ok_or_else(|| CoreError::Invalid {
        what: "a network whose class activation is asked for",
        expected: "one with a convolution that gives more than a single pixel; the gradient of the input is there for \
                   any network",
        found: "none".to_owned(),
    })?;
    let shape = network.layer_output(layer);
    let maps = each_example(network, x, &|way_back, inputs, example| {
        let gradient = way_back.gradient(inputs, classes[example], Some(layer));
        let numbers = way_back.caches.layer_output(layer);
        let channels = shape.channels;
        let (numbers, gradient) = (numbers.column(0), gradient.column(0));
        let places = T::from_f64((shape.height * shape.width) as f64);
        let mut alpha = vec![T::zero(); channels];
        for (entry, &gradient) in gradient.iter().enumerate() {
            alpha[entry % channels] += gradient / places;
        }
        let at = |place: usize| {
            let sum = (0..channels).fold(T::zero(), |sum, channel| {
                sum + alpha[channel] * numbers[place * channels + channel]
            });
            sum.max(T::zero())
        };
        (0..shape.height * shape.width).map(at).collect()
    })?;
    Ok(ClassActivation { layer, size: [shape.height, shape.width], maps })
}

/// Whether a [class activation](class_activation) can be had of the network.
pub fn has_class_activation<T: Element>(network: &Network<T>) -> bool {
    explained_layer(network).is_some()
}

/// The gradient of a class's logit with regard to what each example puts in, `d logit / dX`: how fast the logit grows
/// with each number, as the network is given it, after scaling.
///
/// Of two classes with one logit, the first one's is its negative. Without classes, `classes` are the numbers of
/// outputs.
///
/// # Shapes
/// `x` is `(n_x, m)`, `classes` has length `m`, the result is `(n_x, m)`.
///
/// # Errors
/// [`TrainError::Network`] if `x` are no inputs of the network, or the outputs of an example overflow;
/// [`TrainError::TargetCount`] for another number of classes, [`TrainError::Label`] for one that does not exist.
///
/// # Examples
/// ```
/// use dnn_core::{Features, Initializer, Purpose, RandomStream, Shape};
/// use dnn_layers::Network;
/// use dnn_train::explain::input_gradient;
/// use ndarray::array;
///
/// // One layer, z = 3 x1 + 3 x2: the slope is that of the weights, and of the first class the other way.
/// let network = Network::<f64>::builder(Shape::flat(2))
///     .classes(["no", "yes"])
///     .initializer(Initializer::Constant(3.0))
///     .build(&mut RandomStream::new(0, Purpose::Initialization, 0))?;
/// let x = array![[1.0, 0.5], [2.0, 0.25]];
/// let slopes = input_gradient(&network, &Features::Real(x.view()), &[1, 0])?;
/// assert_eq!(slopes, array![[3.0, -3.0], [3.0, -3.0]]);
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
pub fn input_gradient<T: Element>(
    network: &Network<T>,
    x: &Features<'_, T>,
    classes: &[usize],
) -> Result<Array2<T>, TrainError> {
    GRADIENT.of::<Explain<T, Array2<T>>>()(network, x, classes)
}

fn gradient_here<T: Element>(
    network: &Network<T>,
    x: &Features<'_, T>,
    classes: &[usize],
) -> Result<Array2<T>, TrainError> {
    check(network, x, classes)?;
    each_example(network, x, &|way_back, inputs, example| {
        way_back.gradient(inputs, classes[example], None).into_iter().collect()
    })
}

fn check<T: Element>(
    network: &Network<T>,
    x: &Features<'_, T>,
    classes: &[usize],
) -> Result<(), TrainError> {
    network.check(x)?;
    if classes.len() != x.len() {
        return Err(TrainError::TargetCount { expected: x.len(), found: classes.len() });
    }
    let count = network.classes().len().max(network.outputs());
    match classes.iter().position(|&class| class >= count) {
        Some(example) => {
            let label = u32::try_from(classes[example]).unwrap_or(u32::MAX);
            Err(TrainError::Label { example, label, classes: count })
        }
        None => Ok(()),
    }
}

/// The last layer that gives pictures as large as the last convolution's.
fn explained_layer<T: Element>(network: &Network<T>) -> Option<usize> {
    let layers = network.layers();
    let gives_pictures =
        |l: &usize| matches!(layers[*l], Layer::Conv2d(_)) && is_picture(network.layer_output(*l));
    let conv = (0..layers.len()).rfind(gives_pictures)?;
    let as_large = |l: &usize| network.layer_output(*l) == network.layer_output(conv);
    (conv..layers.len()).take_while(as_large).last()
}

/// Numbers for each example, as columns.
fn each_example<T: Element>(
    network: &Network<T>,
    x: &Features<'_, T>,
    of: &(impl Fn(&mut WayBack<'_, T>, ForwardInputs<'_, '_, T>, usize) -> Vec<T> + Sync),
) -> Result<Array2<T>, TrainError> {
    let mut columns = vec![None; x.len()];
    let at_a_time = x.len().div_ceil(rayon::current_num_threads().max(1)).max(1);
    for_each_part(Chunks::of(&mut columns, at_a_time), &|part, columns| {
        let mut way_back = WayBack::new(network);
        for (index, column) in columns.iter_mut().enumerate() {
            let example = part * at_a_time + index;
            let inputs = ForwardInputs { x, columns: Columns::Run { start: example, len: 1 } };
            network.forward_into(inputs, &mut way_back.caches);
            if way_back.caches.logits().iter().all(|logit| logit.is_finite()) {
                *column = Some(of(&mut way_back, inputs, example));
            }
        }
    });
    let columns = columns.into_iter().enumerate();
    let columns = columns.map(|(example, it)| it.ok_or(NetworkError::Overflow { example }));
    let columns = columns.collect::<Result<Vec<Vec<T>>, NetworkError>>()?;
    let rows = columns.first().map_or(0, Vec::len);
    let mut all = Array2::zeros((rows, columns.len()).f());
    for (mut to, column) in all.axis_iter_mut(Axis(1)).zip(columns) {
        to.iter_mut().zip(column).for_each(|(to, number)| *to = number);
    }
    Ok(all)
}

/// One example on its way forward and back.
struct WayBack<'n, T> {
    network: &'n Network<T>,
    caches: ForwardCaches<T>,
    convolution: ConvolutionMemory<T>,
    /// The weights of convolutions, laid out for the way back.
    packed: PackedConvolutions<T>,
    non_zero: NonZeroIndex<T>,
}

impl<'n, T: Element> WayBack<'n, T> {
    fn new(network: &'n Network<T>) -> Self {
        let mut convolution = ConvolutionMemory::default();
        let mut widest = 0;
        for (l, layer) in network.layers().iter().enumerate() {
            backward::<T>(layer).reserve(network.layer_input(l), &mut convolution);
            widest = widest.max(size(network.layer_output(l)));
        }
        let non_zero = NonZeroIndex::with_capacity(1, widest);
        let mut packed = PackedConvolutions::of(network, Products::Full);
        packed.pack_exchanged(network, 0);
        Self { network, caches: network.caches(1), convolution, packed, non_zero }
    }

    /// The gradient of a class's logit with regard to what layer `of` gives, or to the inputs of the network, after the
    /// way forward.
    fn gradient(
        &mut self,
        inputs: ForwardInputs<'_, '_, T>,
        class: usize,
        of: Option<usize>,
    ) -> Array2<T> {
        let network = self.network;
        let mut gradient = self.gradient_of_logits(class);
        // What connections bring back, and the layers where they begin.
        let mut around: Vec<(usize, Array2<T>)> = Vec::new();
        for l in (of.map_or(0, |of| of + 1)..network.layers().len()).rev() {
            let layer: &dyn Backward<T> = backward(&network.layers()[l]);
            if let Some(skipped) = network.layers()[l].goes_around() {
                around.push((l - skipped, gradient.clone()));
            }
            let mut to = (!layer.is_in_place())
                .then(|| Array2::zeros((size(network.layer_input(l)), 1).f()));
            layer.prediction_gradient(BackwardStep {
                tensors: network.layer_tensors(l),
                shape: network.layer_input(l),
                input: self.caches.layer_input(l),
                inputs,
                output: self.caches.layer_output(l),
                is_first: true,
                after_relu: false,
                kept: self.caches.kept(l),
                gradient: gradient.view_mut(),
                input_gradient: to.as_mut().map(|to| to.view_mut()),
                non_zero: &mut self.non_zero,
                convolution: &mut self.convolution,
                packed: self.packed.of_layer(l),
            });
            gradient = to.unwrap_or(gradient);
            for (_, brought) in around.extract_if(.., |(begins, _)| *begins == l) {
                gradient += &brought;
            }
        }
        gradient
    }

    /// 1 for the class's logit; -1 where the first of two classes has but that of the second.
    fn gradient_of_logits(&self, class: usize) -> Array2<T> {
        let outputs = self.network.outputs();
        let mut gradient = Array2::zeros((outputs, 1).f());
        if self.network.classes().len() > outputs {
            gradient[(0, 0)] = if class == 0 { -T::one() } else { T::one() };
        } else {
            gradient[(class, 0)] = T::one();
        }
        gradient
    }
}
