//! Probabilities that are as sure as they are right.

use dnn_core::{CoreError, Element, Features};
use dnn_layers::{Head, Network};
use ndarray::{ArrayView1, Axis};

use crate::{Cost, Examples, Targets, TrainError};

/// Newton's method doubles its digits at each step; what is not there by then has no lowest point.
const STEPS: usize = 200;
/// The largest and the inverse of the smallest temperature that is given.
const MOST: f64 = 1e3;
/// How firmly the temperature is held near 1; see [`fit_temperature`].
const FIRMNESS: f64 = 25.0;

/// The temperature by which the logits of `network` have to be divided so that its probabilities are as sure as
/// they are right, 0.001 to 1000; give it to [`Network::apply_temperature`]. Classes do not change.
///
/// It should be fitted to examples that were not trained on, and not to those that are reported on.
///
/// `None` where these examples do not say: none of them is answered wrongly, so that the log loss has no lowest
/// point but falls as long as the logits grow. Leave such a network as it is.
///
/// # The penalty
/// A few examples, nearly all of them right, are fitted best by a network that is endlessly sure, which is then
/// endlessly wrong on the first example that it has not seen. So what is made lowest is, with
/// `beta = 1 / temperature`,
///
/// `sum of the log losses at beta + 25 (beta - 1 - ln beta)`.
///
/// The second term is the negative logarithm, up to a constant, of a gamma distribution of `beta` with its mode at 1
/// and, near that, a standard deviation of `1 / sqrt(25) = 0.2`. It weighs as much as a few dozen examples do:
/// it rules where there are no more, and is not noticed among thousands. Both terms bend upwards everywhere, so
/// there is one lowest point. On the digits, with ten seeds and 29, 72, 144 or 431 examples to fit, any number from 8
/// to 100 in place of 25 made the mean log loss of the test part lower than no temperature did.
///
/// # Errors
/// [`TrainError`] if the examples do not fit the network, and [`CoreError::Invalid`] if their targets or the
/// network's outputs are no classes.
///
/// # References
/// Guo and others (2017), On calibration of modern neural networks, for dividing by a temperature. The mode of a
/// posterior density in place of the maximum of a likelihood: Bishop (2006), Pattern Recognition and Machine Learning,
/// section 1.2.5; the gamma distribution: there, appendix B.
///
/// # Examples
/// ```
/// use dnn_core::{Features, Initializer, Purpose, RandomStream, Shape};
/// use dnn_layers::Network;
/// use dnn_train::{Examples, fit_temperature};
/// use ndarray::Array2;
///
/// // Logits of 5 and -5, which are right three times out of four: ln 3 would be as sure as that.
/// let network = Network::<f64>::builder(Shape::flat(1))
///     .classes(["no", "yes"])
///     .initializer(Initializer::Constant(5.0))
///     .build(&mut RandomStream::new(0, Purpose::Initialization, 0))?;
/// let x = Array2::from_shape_fn((1, 8000), |(_, j)| if j % 2 == 0 { 1.0 } else { -1.0 });
/// let right = |j: u32| if j % 8 < 6 { 1 - j % 2 } else { j % 2 };
/// let labels: Vec<u32> = (0..8000).map(right).collect();
/// let temperature = fit_temperature(&network, &Examples::classes(Features::Real(x.view()), &labels))?;
/// assert!(temperature.is_some_and(|found| (found / (5.0 / 3_f64.ln()) - 1.0).abs() < 0.02));
///
/// // Nothing wrong among them: nothing to be learned of how often that happens.
/// let all_right: Vec<u32> = (0..8000).map(|j| 1 - j % 2).collect();
/// let examples = Examples::classes(Features::Real(x.view()), &all_right);
/// assert_eq!(fit_temperature(&network, &examples)?, None);
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
pub fn fit_temperature<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
) -> Result<Option<f64>, TrainError> {
    examples.check(network, Cost::of_head(network.head()))?;
    let (Targets::Classes(labels), Head::Sigmoid | Head::Softmax) =
        (&examples.targets, network.head())
    else {
        let expected = "classes as targets, of a network that gives their probabilities";
        let found = format!("a {} head", network.head());
        return Err(CoreError::Invalid { what: "temperature", expected, found }.into());
    };
    let logits = logits(network, &examples.features)?;
    let is_right = |(z, &label): (&Vec<f64>, &u32)| {
        let mut others = z.iter().enumerate().filter(|&(class, _)| class != label as usize);
        others.all(|(_, &other)| other < z[label as usize])
    };
    if logits.iter().zip(*labels).all(is_right) {
        return Ok(None);
    }
    let slopes = |beta: f64| {
        let mut first = FIRMNESS * (1.0 - 1.0 / beta);
        let mut second = FIRMNESS / (beta * beta);
        for (z, &label) in logits.iter().zip(*labels) {
            let (mean, variance) = moments(z, beta);
            first += mean - z[label as usize];
            second += variance;
        }
        (first, second)
    };
    Ok(Some(1.0 / lowest(slopes)))
}

/// All logits, example by example, one for each class: `0, z` where one output tells two classes apart.
fn logits<T: Element>(
    network: &Network<T>,
    x: &Features<'_, T>,
) -> Result<Vec<Vec<f64>>, TrainError> {
    let of_first = (network.outputs() == 1).then_some(0.0);
    let logits = network.predict_logits(x)?;
    let numbers =
        |z: ArrayView1<'_, T>| of_first.into_iter().chain(z.iter().map(|&z| z.into())).collect();
    Ok(logits.axis_iter(Axis(1)).map(numbers).collect())
}

/// Mean and variance of the logits `z` under the softmax of `beta * z`.
fn moments(z: &[f64], beta: f64) -> (f64, f64) {
    let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut mean, mut square) = (0.0, 0.0, 0.0);
    for &z in z {
        let weight = (beta * (z - largest)).exp();
        // Less the largest, so that the square loses nothing.
        let apart = z - largest;
        sum += weight;
        mean += weight * apart;
        square += weight * apart * apart;
    }
    let mean = mean / sum;
    (mean + largest, (square / sum - mean * mean).max(0.0))
}

/// Where a function that bends upwards is lowest, between 1 / `MOST` and `MOST`, from its first two
/// derivatives: Newton's method, kept inside a bracket that is halved where it would leave it.
fn lowest(slopes: impl Fn(f64) -> (f64, f64)) -> f64 {
    let (mut low, mut high, mut at) = (1.0 / MOST, MOST, 1.0_f64);
    if slopes(low).0 >= 0.0 {
        return low;
    }
    if slopes(high).0 <= 0.0 {
        return high;
    }
    for _ in 0..STEPS {
        let (first, second) = slopes(at);
        if first == 0.0 {
            break;
        }
        if first > 0.0 {
            high = at;
        } else {
            low = at;
        }
        let newton = at - first / second;
        let next = if newton > low && newton < high { newton } else { (low * high).sqrt() };
        let still = (next - at).abs() <= f64::EPSILON * at;
        at = next;
        if still {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_points_inside_and_at_the_ends() {
        // (x - 3)^2 and its mirror beyond the ends.
        assert!((lowest(|x| (2.0 * (x - 3.0), 2.0)) - 3.0).abs() < 1e-15);
        assert_eq!(lowest(|x| (2.0 * (x + 3.0), 2.0)), 1e-3);
        assert_eq!(lowest(|x| (2.0 * (x - 1e6), 2.0)), 1e3);
        // e^x - 20 x, where Newton's first step leaves the bracket.
        assert!((lowest(|x| (x.exp() - 20.0, x.exp())) - 20_f64.ln()).abs() < 1e-14);
    }

    #[test]
    fn moments_by_hand() {
        // Weights 1 : 3.
        let (mean, variance) = moments(&[0.0, 3_f64.ln()], 1.0);
        assert!((mean - 0.75 * 3_f64.ln()).abs() < 1e-15);
        assert!((variance - 0.1875 * 3_f64.ln().powi(2)).abs() < 1e-15);
        let (mean, variance) = moments(&[1e4, -1e4], 1.0);
        assert_eq!((mean, variance), (1e4, 0.0));
    }
}
