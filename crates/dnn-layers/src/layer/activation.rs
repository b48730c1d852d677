//! Activations of hidden units, each beside its derivative.

use std::fmt;
use std::str::FromStr;

use dnn_core::{CoreError, Element, Shape};
use dnn_kernels::{KernelPath, PlainLoop};
use ndarray::{ArrayView, ArrayView2, ArrayViewMut, ArrayViewMut2, Dimension};
use serde::{Deserialize, Serialize};

use super::{Forward, Layer, Step};

/// An elementwise activation `a = g(z)`.
///
/// | name | `g(z)` | `g'(z)` |
/// |---|---|---|
/// | `identity` | `z` | `1` |
/// | `relu` | `max(z, 0)` | `1` where `z > 0`, else `0` |
/// | `relu6` | `min(max(z, 0), 6)` | `1` where `0 < z < 6`, else `0` |
/// | `leaky-relu[:S]` | `z` where `z > 0`, else `S z` (`S` = 0.01) | `1` or `S` |
/// | `elu[:C]` | `z` where `z > 0`, else `C (e^z - 1)` (`C` = 1) | `1` or `a + C` |
/// | `gelu` | `z P(z)`, `P` the normal distribution function | `P(z) + z p(z)`, `p` its density |
/// | `silu` | `z s`, `s` the sigmoid of `z` | `s (1 + z (1 - s))` |
/// | `hard-swish` | `z min(max(z + 3, 0), 6) / 6` | `(2 z + 3) / 6` where `-3 < z < 3`; below `0`, above `1` |
/// | `softplus` | `ln(1 + e^z)` | the sigmoid of `z` |
/// | `tanh` | `tanh z` | `1 - a^2` |
/// | `sigmoid` | `1 / (1 + e^-z)` | `a (1 - a)` |
///
/// # References
/// Maas et al. 2013 (leaky `ReLU`); Clevert et al. 2016 (ELU); Hendrycks and Gimpel 2016 (GELU, the
/// exact form); Elfwing et al. 2018 (`SiLU`); Howard et al. 2019 (hard swish).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Activation {
    /// `z` itself.
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `ReLU` that stops at 6.
    Relu6,
    /// `ReLU` with this slope below 0.
    LeakyRelu(f64),
    /// Exponential below 0, down to minus this number.
    Elu(f64),
    /// `z` weighted by the normal distribution function.
    Gelu,
    /// `z` weighted by its sigmoid, also called swish.
    Silu,
    /// `SiLU` of three straight pieces in place of the sigmoid.
    HardSwish,
    /// The smooth `ReLU`, `ln(1 + e^z)`.
    Softplus,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-z)`.
    Sigmoid,
}

impl Activation {
    /// Every activation, with its default number where it takes one.
    pub const ALL: [Self; 11] = [
        Self::Identity,
        Self::Relu,
        Self::Relu6,
        Self::LeakyRelu(0.01),
        Self::Elu(1.0),
        Self::Gelu,
        Self::Silu,
        Self::HardSwish,
        Self::Softplus,
        Self::Tanh,
        Self::Sigmoid,
    ];

    /// `g(z)`.
    #[inline]
    pub fn value<T: Element>(self, z: T) -> T {
        let zero = T::zero();
        match self {
            Self::Identity => z,
            // Written so that NaN stays NaN.
            Self::Relu => {
                if z <= zero {
                    zero
                } else {
                    z
                }
            }
            Self::Relu6 => clamp_to_6(z),
            Self::LeakyRelu(slope) => {
                if z <= zero {
                    T::from_f64(slope) * z
                } else {
                    z
                }
            }
            Self::Elu(scale) => {
                if z <= zero {
                    T::from_f64(scale) * z.exp_m1()
                } else {
                    z
                }
            }
            Self::Gelu => z * normal_distribution(z),
            Self::Silu => z * sigmoid(z),
            Self::HardSwish => z * clamp_to_6(z + T::from_f64(3.0)) / T::from_f64(6.0),
            Self::Softplus => softplus(z),
            Self::Tanh => z.tanh(),
            Self::Sigmoid => sigmoid(z),
        }
    }

    /// `g'(z)`, where `a` is `g(z)`.
    #[inline]
    pub fn derivative<T: Element>(self, z: T, a: T) -> T {
        let (zero, one) = (T::zero(), T::one());
        match self {
            Self::Identity => one,
            Self::Relu => {
                if z > zero {
                    one
                } else {
                    zero
                }
            }
            Self::Relu6 => {
                if z > zero && z < T::from_f64(6.0) {
                    one
                } else {
                    zero
                }
            }
            Self::LeakyRelu(slope) => {
                if z > zero {
                    one
                } else {
                    T::from_f64(slope)
                }
            }
            Self::Elu(scale) => {
                if z > zero {
                    one
                } else {
                    a + T::from_f64(scale)
                }
            }
            Self::Gelu => {
                let density = (-z * z / T::from_f64(2.0)).exp()
                    * T::from_f64(
                        std::f64::consts::FRAC_2_SQRT_PI / std::f64::consts::SQRT_2 / 2.0,
                    );
                normal_distribution(z) + z * density
            }
            Self::Silu => {
                let s = sigmoid(z);
                s * (one + z * (one - s))
            }
            Self::HardSwish => {
                let three = T::from_f64(3.0);
                if z <= -three {
                    zero
                } else if z >= three {
                    one
                } else {
                    (z + z + three) / T::from_f64(6.0)
                }
            }
            Self::Softplus => sigmoid(z),
            Self::Tanh => one - a * a,
            Self::Sigmoid => a * (one - a),
        }
    }
}

impl Activation {
    /// `a = g(z)`, elementwise.
    ///
    /// # Shapes
    /// `z` and `a` are alike.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn apply<T: Element>(self, z: ArrayView2<'_, T>, a: ArrayViewMut2<'_, T>) {
        // A constant in place of `self` spares the commonest loops a choice per element.
        match self {
            Self::Relu => map(z, a, |z| Self::Relu.value(z)),
            _ => map(z, a, |z| self.value(z)),
        }
    }

    /// `dz = da * g'(z)`, elementwise, in place: `gradient` holds `da` before and `dz` after.
    ///
    /// # Shapes
    /// All three are alike, with any number of axes.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn apply_derivative<T: Element, D: Dimension>(
        self,
        z: ArrayView<'_, T, D>,
        a: ArrayView<'_, T, D>,
        gradient: ArrayViewMut<'_, T, D>,
    ) {
        match self {
            Self::Identity => {}
            Self::Relu => scale(z, a, gradient, |z, a| Self::Relu.derivative(z, a)),
            _ => scale(z, a, gradient, |z, a| self.derivative(z, a)),
        }
    }

    /// Checks the activation's own number, if it has one.
    fn check_number<T: Element>(self) -> Result<(), CoreError> {
        match self {
            Self::LeakyRelu(number) | Self::Elu(number) if !T::from_f64(number).is_finite() => {
                Err(not_finite(number.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// The name without its number.
    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu(_) => "leaky-relu",
            Self::Elu(_) => "elu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::HardSwish => "hard-swish",
            Self::Softplus => "softplus",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
        }
    }
}

impl From<Activation> for Layer {
    fn from(layer: Activation) -> Self {
        Self::Activation(layer)
    }
}

impl<T: Element> Forward<T> for Activation {
    fn kind(&self) -> &'static str {
        "activation"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        Ok(input)
    }

    fn check(&self) -> Result<(), CoreError> {
        self.check_number::<T>()
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        self.apply(step.input.numbers(), step.output);
    }
}

fn map<T: Element>(z: ArrayView2<'_, T>, mut a: ArrayViewMut2<'_, T>, g: impl Fn(T) -> T) {
    assert_eq!(z.dim(), a.dim(), "arrays of one shape");
    if let (Some(z), Some(a)) = (z.to_slice_memory_order(), in_the_order_of(z, &mut a)) {
        return KernelPath::best().vectorized(Map { z, a, g });
    }
    // Hardly ever: by places, which takes the least code for each function.
    for place in ndarray::indices(z.dim()) {
        a[place] = g(z[place]);
    }
}

/// The numbers as they lie, if those of `other` lie in the same order.
fn in_the_order_of<'a, T: Element, D: Dimension>(
    other: ArrayView<'_, T, D>,
    values: &'a mut ArrayViewMut<'_, T, D>,
) -> Option<&'a mut [T]> {
    if other.strides() == values.strides() { values.as_slice_memory_order_mut() } else { None }
}

/// A function of numbers that lie in one piece.
struct Map<'a, T, G> {
    z: &'a [T],
    a: &'a mut [T],
    g: G,
}

impl<T: Element, G: Fn(T) -> T> PlainLoop for Map<'_, T, G> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) {
        for (a, &z) in self.a.iter_mut().zip(self.z) {
            *a = (self.g)(z);
        }
    }
}

/// A derivative times gradients that lie in one piece.
struct ScaleBy<'a, T, G> {
    z: &'a [T],
    a: &'a [T],
    gradient: &'a mut [T],
    derivative: G,
}

impl<T: Element, G: Fn(T, T) -> T> PlainLoop for ScaleBy<'_, T, G> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) {
        for ((gradient, &z), &a) in self.gradient.iter_mut().zip(self.z).zip(self.a) {
            *gradient *= (self.derivative)(z, a);
        }
    }
}

fn scale<T: Element, D: Dimension>(
    z: ArrayView<'_, T, D>,
    a: ArrayView<'_, T, D>,
    mut gradient: ArrayViewMut<'_, T, D>,
    derivative: impl Fn(T, T) -> T,
) {
    assert!(z.shape() == a.shape() && z.shape() == gradient.shape(), "arrays of one shape");
    let slices = (z.as_slice_memory_order(), a.as_slice_memory_order());
    if let (Some(z_numbers), Some(a_numbers)) = slices
        && z.strides() == a.strides()
        && let Some(gradient) = in_the_order_of(z.view(), &mut gradient)
    {
        let (z, a) = (z_numbers, a_numbers);
        return KernelPath::best().vectorized(ScaleBy { z, a, gradient, derivative });
    }
    for ((gradient, &z), &a) in gradient.iter_mut().zip(&z).zip(&a) {
        *gradient *= derivative(z, a);
    }
}

/// `z`, but at least 0 and at most 6; NaN stays NaN.
fn clamp_to_6<T: Element>(z: T) -> T {
    let most = T::from_f64(6.0);
    if z <= T::zero() {
        T::zero()
    } else if z >= most {
        most
    } else {
        z
    }
}

/// `1 / (1 + e^-z)`, without overflow for any `z`.
fn sigmoid<T: Element>(z: T) -> T {
    let small = (-z.abs()).exp();
    let upper = T::one() / (T::one() + small);
    if z >= T::zero() { upper } else { small * upper }
}

/// `ln(1 + e^z)`, without overflow for any `z`.
fn softplus<T: Element>(z: T) -> T {
    let positive = if z <= T::zero() { T::zero() } else { z };
    positive + (-z.abs()).exp().ln_1p()
}

/// The standard normal distribution function.
fn normal_distribution<T: Element>(z: T) -> T {
    let half = T::from_f64(0.5);
    half * (T::one() + (z * T::from_f64(std::f64::consts::FRAC_1_SQRT_2)).erf())
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeakyRelu(number) | Self::Elu(number) => write!(f, "{}:{number}", self.name()),
            _ => f.pad(self.name()),
        }
    }
}

impl FromStr for Activation {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let unknown = || CoreError::UnknownName {
            kind: "activation",
            found: text.to_owned(),
            expected: Self::ALL.map(Self::name).join(", "),
        };
        let default = Self::ALL.into_iter().find(|a| a.name() == name).ok_or_else(unknown)?;
        let Some(number) = number else {
            return Ok(default);
        };
        let parsed: Option<f64> = number.parse().ok();
        let activation = match (default, parsed) {
            (Self::LeakyRelu(_), Some(slope)) => Self::LeakyRelu(slope),
            (Self::Elu(_), Some(scale)) => Self::Elu(scale),
            (Self::LeakyRelu(_) | Self::Elu(_), None) => return Err(not_finite(number.to_owned())),
            _ => return Err(unknown()),
        };
        activation.check_number::<f64>()?;
        Ok(activation)
    }
}

fn not_finite(found: String) -> CoreError {
    CoreError::Invalid { what: "number of the activation", expected: "a finite number", found }
}

impl TryFrom<String> for Activation {
    type Error = CoreError;

    fn try_from(text: String) -> Result<Self, CoreError> {
        text.parse()
    }
}

impl From<Activation> for String {
    fn from(activation: Activation) -> Self {
        activation.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_points_worked_out_by_hand() {
        for (activation, z, expected) in [
            (Activation::Identity, -2.0, -2.0),
            (Activation::Relu, -2.0, 0.0),
            (Activation::Relu, 3.0, 3.0),
            (Activation::LeakyRelu(0.01), -2.0, -0.02),
            (Activation::Elu(2.0), -(2.0_f64.ln()), -1.0), // 2 (1/2 - 1)
            (Activation::Gelu, 1.0, 0.841_344_746_068_542_9), // P(1)
            (Activation::Silu, 0.0, 0.0),
            (Activation::Silu, 3.0_f64.ln(), 0.75 * 3.0_f64.ln()), // s = 3/4
            (Activation::Relu6, 7.0, 6.0),
            (Activation::HardSwish, 1.5, 1.125), // 1.5 * 4.5 / 6
            (Activation::HardSwish, -4.0, 0.0),
            (Activation::HardSwish, 4.0, 4.0),
            (Activation::Softplus, 0.0, std::f64::consts::LN_2),
            (Activation::Tanh, 3.0_f64.ln(), 0.8), // (9 - 1) / (9 + 1)
            (Activation::Sigmoid, 3.0_f64.ln(), 0.75),
        ] {
            let found = activation.value(z);
            assert!((found - expected).abs() < 1e-15, "{activation} at {z}: {found} {expected}");
        }
    }

    #[test]
    fn derivatives_are_the_slopes_of_the_values() {
        let eps = 1e-5;
        for activation in Activation::ALL {
            // No point is a kink; 0 has an answer of its own below.
            for z in [-30.0, -3.5, -0.7, -0.01, 0.02, 0.5, 2.0, 30.0_f64] {
                let slope = (activation.value(z + eps) - activation.value(z - eps)) / (2.0 * eps);
                let found = activation.derivative(z, activation.value(z));
                assert!((found - slope).abs() < 1e-9, "{activation} at {z}: {found} {slope}");
            }
        }
        assert_eq!(Activation::Relu.derivative(0.0, 0.0), 0.0);
    }

    #[test]
    fn nothing_overflows_and_nan_stays_nan() {
        for activation in Activation::ALL {
            for z in [-1e30, -1e4, -750.0, 750.0, 1e4, 1e30_f64] {
                let a = activation.value(z);
                assert!(a.is_finite(), "{activation} at {z}: {a}");
                let slope = activation.derivative(z, a);
                assert!(slope.is_finite(), "{activation} at {z}: {slope}");
            }
            assert!(activation.value(f64::NAN).is_nan(), "{activation}");
        }
        assert_eq!(Activation::Sigmoid.value(17.0_f32), 1.0);
    }

    #[test]
    fn every_activation_is_listed() {
        dnn_core::assert_lists_every_variant!(
            Activation::ALL,
            Activation::Identity,
            Activation::Relu,
            Activation::Relu6,
            Activation::LeakyRelu(_),
            Activation::Elu(_),
            Activation::Gelu,
            Activation::Silu,
            Activation::HardSwish,
            Activation::Softplus,
            Activation::Tanh,
            Activation::Sigmoid,
        );
    }

    #[test]
    fn names_round_trip_and_bad_ones_say_what_exists() {
        for activation in Activation::ALL.into_iter().chain([Activation::Elu(0.3)]) {
            assert_eq!(activation.to_string().parse(), Ok(activation));
        }
        assert_eq!("leaky-relu".parse(), Ok(Activation::LeakyRelu(0.01)));
        let message = |name: &str| name.parse::<Activation>().unwrap_err().to_string();
        assert_eq!(
            message("swish"),
            "unknown activation `swish`; expected one of identity, relu, relu6, leaky-relu, elu, \
             gelu, silu, hard-swish, softplus, tanh, sigmoid"
        );
        assert_eq!(message("elu:x"), "number of the activation: expected a finite number, found x");
        assert!(message("relu:1").starts_with("unknown activation `relu:1`"));
    }
}
