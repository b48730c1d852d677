//! First weights.

use std::fmt;
use std::str::FromStr;

use ndarray::Array2;
use rand::Rng;

use crate::{CoreError, Element, LayerParameters, Parameters, RandomStream};

/// A rule for the first weights of a layer with `fan_in` inputs and `fan_out` units.
///
/// Normal rules give the standard deviation, uniform ones draw from `-limit..limit`. Biases start
/// at 0 under every rule. The names of [`FromStr`] and [`Display`](fmt::Display) are in the table.
///
/// | name | rule |
/// |---|---|
/// | `zeros` | 0 |
/// | `constant:C` | `C` |
/// | `normal:S` | normal, deviation `S` |
/// | `uniform:L` | uniform, limit `L` |
/// | `he-normal`, `he-uniform` | deviation `sqrt(2 / fan_in)`, limit `sqrt(6 / fan_in)` |
/// | `xavier-normal`, `xavier-uniform` (or `glorot-…`) | deviation `sqrt(2 / (fan_in + fan_out))`, limit `sqrt(6 / (fan_in + fan_out))` |
/// | `lecun-normal`, `lecun-uniform` | deviation `sqrt(1 / fan_in)`, limit `sqrt(3 / fan_in)` |
/// | `inverse-sqrt` | standard normal divided by `sqrt(fan_in)` |
/// | `orthogonal` | orthonormal rows or columns, whichever are fewer |
///
/// # References
/// He et al. 2015, "Delving Deep into Rectifiers"; Glorot and Bengio 2010, "Understanding the
/// difficulty of training deep feedforward neural networks"; LeCun et al. 1998, "Efficient
/// `BackProp`"; Saxe et al. 2014, "Exact solutions to the nonlinear dynamics of learning".
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Initializer {
    /// All weights 0: the units of a layer then stay equal for ever.
    Zeros,
    /// All weights this number.
    Constant(f64),
    /// Normal with this standard deviation; 0.01 is the course's first rule.
    Normal(f64),
    /// Uniform in `-limit..limit`.
    Uniform(f64),
    /// For `ReLU`: normal with deviation `sqrt(2 / fan_in)`.
    HeNormal,
    /// For `ReLU`: uniform with limit `sqrt(6 / fan_in)`.
    HeUniform,
    /// For tanh and sigmoid: normal with deviation `sqrt(2 / (fan_in + fan_out))`.
    XavierNormal,
    /// For tanh and sigmoid: uniform with limit `sqrt(6 / (fan_in + fan_out))`.
    XavierUniform,
    /// Normal with deviation `sqrt(1 / fan_in)`, which the course calls Xavier.
    LeCunNormal,
    /// Uniform with limit `sqrt(3 / fan_in)`.
    LeCunUniform,
    /// The course's second rule, `randn / sqrt(n_prev)`: LeCun's, divided instead of multiplied.
    InverseSqrt,
    /// A random matrix with orthonormal rows or columns, whichever are fewer.
    Orthogonal,
}

impl Initializer {
    /// Every rule, with a common number where it takes one.
    pub const ALL: [Self; 12] = [
        Self::Zeros,
        Self::Constant(0.1),
        Self::Normal(0.01),
        Self::Uniform(0.1),
        Self::HeNormal,
        Self::HeUniform,
        Self::XavierNormal,
        Self::XavierUniform,
        Self::LeCunNormal,
        Self::LeCunUniform,
        Self::InverseSqrt,
        Self::Orthogonal,
    ];

    /// Weights for `fan_out` units with `fan_in` inputs, drawn row by row.
    ///
    /// The numbers are drawn in `f64` and rounded, so that both precisions start alike.
    ///
    /// # Shapes
    /// The result is `(fan_out, fan_in)`.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if the rule's own number is not usable, [`CoreError::TooLarge`] if
    /// there is no memory for the matrix.
    pub fn weights<T: Element, R: Rng>(
        self,
        fan_out: usize,
        fan_in: usize,
        stream: &mut RandomStream<R>,
    ) -> Result<Array2<T>, CoreError> {
        self.check(|number| T::from_f64(number).is_finite())?;
        let (n, m) = (fan_in as f64, fan_out as f64);
        let mut normal = |deviation: f64| fill(fan_out, fan_in, || stream.normal() * deviation);
        match self {
            Self::Zeros => fill(fan_out, fan_in, || 0.0),
            Self::Constant(value) => fill(fan_out, fan_in, || value),
            Self::Normal(deviation) => normal(deviation),
            Self::HeNormal => normal((2.0 / n).sqrt()),
            Self::XavierNormal => normal((2.0 / (n + m)).sqrt()),
            Self::LeCunNormal => normal((1.0 / n).sqrt()),
            Self::InverseSqrt => fill(fan_out, fan_in, || stream.normal() / n.sqrt()),
            Self::Uniform(limit) => uniform(fan_out, fan_in, limit, stream),
            Self::HeUniform => uniform(fan_out, fan_in, (6.0 / n).sqrt(), stream),
            Self::XavierUniform => uniform(fan_out, fan_in, (6.0 / (n + m)).sqrt(), stream),
            Self::LeCunUniform => uniform(fan_out, fan_in, (3.0 / n).sqrt(), stream),
            Self::Orthogonal => orthogonal(fan_out, fan_in, stream),
        }
    }

    /// Checks the rule's own number, if it has one.
    fn check(self, is_finite: impl Fn(f64) -> bool) -> Result<(), CoreError> {
        let (what, expected, value, usable) = match self {
            Self::Constant(value) => {
                ("constant of the initialiser", "a finite number", value, is_finite(value))
            }
            Self::Normal(value) => (
                "standard deviation of the initialiser",
                "a finite number of at least 0",
                value,
                is_finite(value) && value >= 0.0,
            ),
            Self::Uniform(value) => (
                "limit of the initialiser",
                "a finite number of at least 0",
                value,
                is_finite(value) && value >= 0.0,
            ),
            _ => return Ok(()),
        };
        if usable {
            return Ok(());
        }
        Err(CoreError::Invalid { what, expected, found: value.to_string() })
    }
}

/// A row-major matrix of drawn numbers; an impossible size is an error, not an abort.
fn fill<T: Element>(
    rows: usize,
    columns: usize,
    mut draw: impl FnMut() -> f64,
) -> Result<Array2<T>, CoreError> {
    let too_large = || CoreError::TooLarge {
        rows,
        columns,
        needed: rows as u128 * columns as u128 * T::PRECISION.bytes() as u128,
    };
    let count = rows.checked_mul(columns).ok_or_else(too_large)?;
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| too_large())?;
    values.extend((0..count).map(|_| T::from_f64(draw())));
    Array2::from_shape_vec((rows, columns), values).map_err(|_| too_large())
}

fn uniform<T: Element, R: Rng>(
    rows: usize,
    columns: usize,
    limit: f64,
    stream: &mut RandomStream<R>,
) -> Result<Array2<T>, CoreError> {
    fill(rows, columns, || (2.0 * stream.uniform() - 1.0) * limit)
}

/// Orthonormal vectors along the longer side, by Gram and Schmidt run twice over normal draws.
///
/// # References
/// "Twice is enough": Giraud et al. 2005, "The loss of orthogonality in the Gram-Schmidt
/// orthogonalization process".
fn orthogonal<T: Element, R: Rng>(
    rows: usize,
    columns: usize,
    stream: &mut RandomStream<R>,
) -> Result<Array2<T>, CoreError> {
    let (few, many) = (rows.min(columns), rows.max(columns));
    let mut basis: Array2<f64> = fill(few, many, || stream.normal())?;
    for i in 0..few {
        let (done, mut rest) = basis.view_mut().split_at(ndarray::Axis(0), i);
        let mut vector = rest.row_mut(0);
        for _ in 0..2 {
            for earlier in done.rows() {
                let overlap = earlier.dot(&vector);
                vector.scaled_add(-overlap, &earlier);
            }
        }
        let norm = vector.dot(&vector).sqrt();
        vector /= norm;
    }
    let oriented = if rows <= columns { basis } else { basis.reversed_axes() };
    let mut values = oriented.iter();
    fill(rows, columns, || *values.next().expect("as many values as the matrix has"))
}

/// The names and rules of [`Initializer`] that take no number.
const PLAIN: [(&str, Initializer); 9] = [
    ("zeros", Initializer::Zeros),
    ("he-normal", Initializer::HeNormal),
    ("he-uniform", Initializer::HeUniform),
    ("xavier-normal", Initializer::XavierNormal),
    ("xavier-uniform", Initializer::XavierUniform),
    ("lecun-normal", Initializer::LeCunNormal),
    ("lecun-uniform", Initializer::LeCunUniform),
    ("inverse-sqrt", Initializer::InverseSqrt),
    ("orthogonal", Initializer::Orthogonal),
];

impl fmt::Display for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => write!(f, "constant:{value}"),
            Self::Normal(deviation) => write!(f, "normal:{deviation}"),
            Self::Uniform(limit) => write!(f, "uniform:{limit}"),
            plain => {
                let name =
                    PLAIN.iter().find(|(_, rule)| rule == plain).map_or("", |(name, _)| name);
                f.pad(name)
            }
        }
    }
}

impl FromStr for Initializer {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        let name = text.replacen("glorot", "xavier", 1);
        if let Some((_, rule)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
            return Ok(*rule);
        }
        let with_number = |(kind, number): (&str, &str)| -> Option<Self> {
            let number = number.parse().ok()?;
            match kind {
                "constant" => Some(Self::Constant(number)),
                "normal" => Some(Self::Normal(number)),
                "uniform" => Some(Self::Uniform(number)),
                _ => None,
            }
        };
        let rule = name.split_once(':').and_then(with_number).ok_or_else(|| {
            let plain: Vec<&str> = PLAIN.iter().map(|(name, _)| *name).collect();
            CoreError::UnknownName {
                kind: "initialiser",
                found: text.to_owned(),
                expected: format!("{}, constant:C, normal:S, uniform:L", plain.join(", ")),
            }
        })?;
        rule.check(f64::is_finite)?;
        Ok(rule)
    }
}

/// The parameters of the course's two-layer network: weights `randn * 0.01`, biases 0.
///
/// # Shapes
/// | `W1` | `b1` | `W2` | `b2` |
/// |---|---|---|---|
/// | `(n_h, n_x)` | `(n_h, 1)` | `(n_y, n_h)` | `(n_y, 1)` |
///
/// # Errors
/// [`CoreError::ZeroWidth`] if a width is 0, [`CoreError::TooLarge`] if there is no memory.
///
/// # Examples
/// ```
/// use dnn_core::{RandomStream, initialize_parameters};
///
/// let parameters = initialize_parameters::<f64, _>(3, 2, 1, &mut RandomStream::numpy_legacy(1))?;
/// assert!((parameters.layers[0].weights[(0, 0)] - 0.01624345363663242).abs() < 1e-15);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn initialize_parameters<T: Element, R: Rng>(
    n_x: usize,
    n_h: usize,
    n_y: usize,
    stream: &mut RandomStream<R>,
) -> Result<Parameters<T>, CoreError> {
    initialize_parameters_deep(&[n_x, n_h, n_y], Initializer::Normal(0.01), stream)
}

/// The parameters of a network with the widths `[n_x, n_1, …, n_L]`, drawn layer by layer, biases 0.
///
/// # Shapes
/// `W[l]` is `(n[l], n[l-1])`, `b[l]` is `(n[l], 1)`.
///
/// # Errors
/// [`CoreError::TooFewWidths`] with fewer than two widths, [`CoreError::ZeroWidth`] if one is 0,
/// and those of [`Initializer::weights`].
///
/// # Examples
/// ```
/// use dnn_core::{Initializer, Purpose, RandomStream, initialize_parameters_deep};
///
/// let mut stream = RandomStream::new(1, Purpose::Initialization, 0);
/// let parameters =
///     initialize_parameters_deep::<f32, _>(&[2, 4, 1], Initializer::HeNormal, &mut stream)?;
/// assert_eq!(parameters.layers[0].weights.dim(), (4, 2));
/// assert_eq!(parameters.layers[1].bias.dim(), (1, 1));
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn initialize_parameters_deep<T: Element, R: Rng>(
    layer_dims: &[usize],
    initializer: Initializer,
    stream: &mut RandomStream<R>,
) -> Result<Parameters<T>, CoreError> {
    if layer_dims.len() < 2 {
        return Err(CoreError::TooFewWidths { found: layer_dims.len() });
    }
    if let Some(layer) = layer_dims.iter().position(|&width| width == 0) {
        return Err(CoreError::ZeroWidth { layer });
    }
    let layers = layer_dims
        .windows(2)
        .map(|pair| {
            let weights = initializer.weights(pair[1], pair[0], stream)?;
            Ok(LayerParameters { weights, bias: Array2::zeros((pair[1], 1)) })
        })
        .collect::<Result<_, CoreError>>()?;
    Ok(Parameters { layers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    fn draw(rule: Initializer, fan_out: usize, fan_in: usize) -> Array2<f64> {
        rule.weights(fan_out, fan_in, &mut RandomStream::new(9, Purpose::Data, 0)).unwrap()
    }

    #[test]
    fn every_rule_has_its_deviation_and_limit() {
        // Standard deviation by definition; a uniform one has limit / sqrt(3).
        let (fan_out, fan_in) = (150_usize, 200_usize);
        let (n, both) = (200.0_f64, 350.0_f64);
        for (rule, deviation) in [
            (Initializer::Normal(0.01), 0.01),
            (Initializer::Uniform(0.3), 0.3 / 3_f64.sqrt()),
            (Initializer::HeNormal, (2.0 / n).sqrt()),
            (Initializer::HeUniform, (2.0 / n).sqrt()),
            (Initializer::XavierNormal, (2.0 / both).sqrt()),
            (Initializer::XavierUniform, (2.0 / both).sqrt()),
            (Initializer::LeCunNormal, (1.0 / n).sqrt()),
            (Initializer::LeCunUniform, (1.0 / n).sqrt()),
            (Initializer::InverseSqrt, (1.0 / n).sqrt()),
            (Initializer::Orthogonal, (1.0 / n).sqrt()),
        ] {
            let weights = draw(rule, fan_out, fan_in);
            let found = weights.std(0.0);
            // 30,000 numbers: the standard error of a deviation is below 0.6 %.
            assert!((found / deviation - 1.0).abs() < 0.025, "{rule}: {found} {deviation}");
            assert!(weights.mean().unwrap().abs() < 5.0 * deviation / 30_000_f64.sqrt(), "{rule}");
        }
        let limit =
            draw(Initializer::LeCunUniform, fan_out, fan_in).fold(0.0, |a: f64, b| a.max(b.abs()));
        assert!(limit <= (3.0 / n).sqrt() && limit > 0.99 * (3.0 / n).sqrt(), "{limit}");
    }

    #[test]
    fn orthogonal_rows_or_columns_are_orthonormal() {
        for (rows, columns) in [(1, 1), (3, 7), (7, 3), (40, 40)] {
            let w = draw(Initializer::Orthogonal, rows, columns);
            let gram = if rows <= columns { w.dot(&w.t()) } else { w.t().dot(&w) };
            let error = (&gram - &Array2::<f64>::eye(rows.min(columns)))
                .fold(0.0, |a: f64, b| a.max(b.abs()));
            assert!(error < 1e-13, "{rows} x {columns}: {error}");
        }
    }

    #[test]
    fn both_precisions_start_from_the_same_draws() {
        let mut stream = RandomStream::new(9, Purpose::Data, 0);
        let single: Array2<f32> = Initializer::HeNormal.weights(3, 5, &mut stream).unwrap();
        assert_eq!(single, draw(Initializer::HeNormal, 3, 5).mapv(f32::from_f64));
    }

    #[test]
    fn every_rule_is_listed() {
        crate::assert_lists_every_variant!(
            Initializer::ALL,
            Initializer::Zeros,
            Initializer::Constant(_),
            Initializer::Normal(_),
            Initializer::Uniform(_),
            Initializer::HeNormal,
            Initializer::HeUniform,
            Initializer::XavierNormal,
            Initializer::XavierUniform,
            Initializer::LeCunNormal,
            Initializer::LeCunUniform,
            Initializer::InverseSqrt,
            Initializer::Orthogonal,
        );
    }

    #[test]
    fn names_round_trip() {
        let numbered =
            [Initializer::Constant(-1.5), Initializer::Normal(0.01), Initializer::Uniform(2.0)];
        for rule in PLAIN.iter().map(|(_, rule)| *rule).chain(numbered) {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        assert_eq!("glorot-uniform".parse(), Ok(Initializer::XavierUniform));
    }

    #[test]
    fn bad_names_numbers_and_widths_say_expected_and_found() {
        let message = |name: &str| name.parse::<Initializer>().unwrap_err().to_string();
        assert!(
            message("he").starts_with("unknown initialiser `he`; expected one of zeros, he-normal")
        );
        assert!(message("normal:-1").ends_with("expected a finite number of at least 0, found -1"));
        assert!(message("constant:NaN").ends_with("expected a finite number, found NaN"));
        let deep = |dims: &[usize]| {
            let mut stream = RandomStream::new(0, Purpose::Data, 0);
            initialize_parameters_deep::<f32, _>(dims, Initializer::HeNormal, &mut stream)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(deep(&[3]), "expected at least 2 layer widths (input and output), found 1");
        assert_eq!(deep(&[3, 0, 1]), "layer 1 has width 0; expected at least 1 unit");
        let too_large: Result<Array2<f32>, _> =
            Initializer::Constant(1e300).weights(1, 1, &mut RandomStream::new(0, Purpose::Data, 0));
        assert!(too_large.unwrap_err().to_string().starts_with("constant of the initialiser"));
        assert!(deep(&[usize::MAX, 2, 1]).contains("does not fit in memory"));
        assert!(deep(&[1 << 30, 1 << 30]).contains("4611686018427387904 bytes"));
    }
}
