//! L-BFGS: full-batch steps along a direction that remembers how the gradient has been changing.

use dnn_core::Element;
use dnn_layers::{BatchStatistics, Network, Tensor};
use ndarray::Array2;

use crate::Lbfgs;
use crate::engine::{Engine, NotFinite};
use crate::tally::Tally;

/// One array for each of a network.
type Arrays<T> = Vec<Array2<T>>;

/// Sufficient decrease and curvature of the Wolfe conditions.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
/// Below these a direction, a bracket or a curvature counts as none.
const LEAST_CHANGE: f64 = 1e-9;
const LEAST_CURVATURE: f64 = 1e-10;

/// The cost and its gradient at some parameters.
pub(crate) struct Evaluated<T> {
    pub(crate) tally: Tally,
    pub(crate) penalty: f64,
    gradient: Arrays<T>,
    /// Of each batch normalisation.
    pub(crate) statistics: Vec<BatchStatistics<T>>,
}

impl<T> Evaluated<T> {
    fn cost(&self) -> f64 {
        self.tally.mean_cost() + self.penalty
    }
}

/// Leaves cost and gradient at the network's parameters in the engine; gives what L2 adds to the cost.
type Evaluate<'e, T> = dyn FnMut(&Network<T>, &mut Engine<T>) -> Result<f64, NotFinite> + 'e;

/// What one step needs.
pub(crate) struct Driver<'d, 'e, T> {
    pub(crate) rule: Lbfgs,
    pub(crate) rate: f64,
    pub(crate) network: &'d mut Network<T>,
    pub(crate) engine: &'d mut Engine<T>,
    pub(crate) evaluate: &'d mut Evaluate<'e, T>,
}

/// A place along the direction: how far, and what is there.
struct Point<T> {
    t: f64,
    cost: f64,
    /// Of the cost along the direction.
    slope: f64,
    found: Option<Evaluated<T>>,
}

impl<T: Element> Driver<'_, '_, T> {
    /// Cost and gradient at the present parameters.
    pub(crate) fn here(&mut self) -> Result<Evaluated<T>, NotFinite> {
        let penalty = (self.evaluate)(self.network, self.engine)?;
        let (tally, gradient) = (self.engine.tally().clone(), self.engine.gradient().to_vec());
        let statistics = self.engine.statistics().to_vec();
        Ok(Evaluated { tally, penalty, gradient, statistics })
    }

    /// One step from where cost and gradient are `start`; gives them where it ends. `memory` holds pairs of
    /// a step and the change of the gradient over it, oldest first.
    pub(crate) fn step(
        mut self,
        memory: &mut Vec<Arrays<T>>,
        start: Evaluated<T>,
    ) -> Result<Evaluated<T>, NotFinite> {
        let direction = direction(memory, &start.gradient);
        if let Some(index) = direction.iter().position(|array| !all_finite(array)) {
            let layer = self.network.tensors()[index].layer();
            return Err(NotFinite { what: "direction", layer });
        }
        let slope = dot(&direction, &start.gradient);
        if slope > -LEAST_CHANGE {
            // Nothing goes down any more.
            return Ok(start);
        }
        let t = if memory.is_empty() {
            (1.0 / sum_of_sizes(&start.gradient)).min(1.0) * self.rate
        } else {
            self.rate
        };
        let from = trained(self.network);
        let end = self.search(&from, &direction, start.cost(), slope, t);
        self.move_to(&from, &direction, end.t);
        // Without anything found the search ended where it began.
        let Some(end_found) = end.found else { return Ok(start) };
        let step = scaled(direction, end.t);
        let change = difference(&end_found.gradient, &start.gradient);
        if dot(&step, &change) > LEAST_CURVATURE {
            if memory.len() >= self.rule.most_arrays() {
                memory.drain(..2);
            }
            memory.extend([step, change]);
        }
        Ok(end_found)
    }

    fn move_to(&mut self, from: &[Array2<T>], direction: &[Array2<T>], t: f64) {
        let t = T::from_f64(t);
        let arrays = from.iter().zip(direction);
        for (tensor, (from, direction)) in self.network.tensors_mut().iter_mut().zip(arrays) {
            if tensor.is_trained() {
                let mut to = tensor.values_mut();
                to.assign(from);
                to.scaled_add(t, direction);
            }
        }
    }

    /// What is at `t`; far out the cost may be no number, which is as bad as can be.
    fn look(&mut self, from: &[Array2<T>], direction: &[Array2<T>], t: f64) -> Point<T> {
        self.move_to(from, direction, t);
        match self.here() {
            Ok(found) => {
                let slope = dot(direction, &found.gradient);
                Point { t, cost: found.cost(), slope, found: Some(found) }
            }
            Err(_) => Point { t, cost: f64::INFINITY, slope: f64::INFINITY, found: None },
        }
    }

    /// A place that satisfies the strong Wolfe conditions, or the best that was found.
    fn search(
        &mut self,
        from: &[Array2<T>],
        direction: &[Array2<T>],
        cost_0: f64,
        slope_0: f64,
        mut t: f64,
    ) -> Point<T> {
        let start = || Point { t: 0.0, cost: cost_0, slope: slope_0, found: None };
        let good_slope = |slope: f64| slope.abs() <= -CURVATURE * slope_0;
        let too_high = |point: &Point<T>| point.cost > cost_0 + DECREASE * point.t * slope_0;
        let (mut previous, mut new) = (start(), self.look(from, direction, t));
        let mut looks = 0;
        // Outwards, until a lowest point lies between two.
        let mut bracket = loop {
            if looks >= self.rule.evaluations {
                break [start(), new];
            }
            let rises = too_high(&new) || (looks > 1 && new.cost >= previous.cost);
            if !rises && good_slope(new.slope) {
                return new;
            }
            if rises || new.slope >= 0.0 {
                break [previous, new];
            }
            let bounds = [t + 0.01 * (t - previous.t), t * 10.0];
            t = lowest_of_cubic(&previous, &new, bounds);
            previous = new;
            new = self.look(from, direction, t);
            looks += 1;
        };
        let longest = largest_size(direction);
        let (mut low, mut stalled) = (lower_of(&bracket), false);
        // Inwards.
        while looks < self.rule.evaluations {
            let (a, b) = (bracket[0].t.min(bracket[1].t), bracket[0].t.max(bracket[1].t));
            if (b - a) * longest < LEAST_CHANGE {
                break;
            }
            t = inside(lowest_of_cubic(&bracket[0], &bracket[1], [a, b]), [a, b], &mut stalled);
            let new = self.look(from, direction, t);
            looks += 1;
            let high = 1 - low;
            if too_high(&new) || new.cost >= bracket[low].cost {
                bracket[high] = new;
                low = lower_of(&bracket);
                continue;
            }
            if good_slope(new.slope) {
                return new;
            }
            let turns = new.slope * (bracket[high].t - bracket[low].t) >= 0.0;
            let old_low = std::mem::replace(&mut bracket[low], new);
            if turns {
                bracket[high] = old_low;
            }
        }
        let [first, second] = bracket;
        if low == 0 { first } else { second }
    }
}

/// Which of two places costs less: 0 or 1.
fn lower_of<T>(bracket: &[Point<T>; 2]) -> usize {
    usize::from(bracket[0].cost > bracket[1].cost)
}

/// Where the cubic through two points with these slopes is lowest, within the bounds; in the middle of
/// them if it has no such place.
fn lowest_of_cubic<T>(a: &Point<T>, b: &Point<T>, [least, most]: [f64; 2]) -> f64 {
    let (a, b) = if a.t <= b.t { (a, b) } else { (b, a) };
    let d1 = a.slope + b.slope - 3.0 * (a.cost - b.cost) / (a.t - b.t);
    let square = d1 * d1 - a.slope * b.slope;
    let d2 = square.sqrt();
    let lowest = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2));
    if square >= 0.0 && lowest.is_finite() {
        lowest.max(least).min(most)
    } else {
        f64::midpoint(least, most)
    }
}

/// Keeps `t` away from the ends of the bracket, where a search would make no progress: the second time in
/// a row that it comes close to one, or when it is at one, it is moved a tenth of the way inside.
fn inside(t: f64, [a, b]: [f64; 2], stalled: &mut bool) -> f64 {
    let tenth = 0.1 * (b - a);
    if (b - t).min(t - a) >= tenth {
        *stalled = false;
        return t;
    }
    if !*stalled && t < b && t > a {
        *stalled = true;
        return t;
    }
    *stalled = false;
    if (t - b).abs() < (t - a).abs() { b - tenth } else { a + tenth }
}

/// Minus the gradient times what the memory says of the inverse of the second derivatives.
fn direction<T: Element>(memory: &[Arrays<T>], gradient: &[Array2<T>]) -> Arrays<T> {
    let mut q = scaled(gradient.to_vec(), -1.0);
    let pairs: Vec<_> = memory.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect();
    let inverse: Vec<f64> = pairs.iter().map(|(s, y)| 1.0 / dot(y, s)).collect();
    let mut shares = vec![0.0; pairs.len()];
    for (k, (s, y)) in pairs.iter().enumerate().rev() {
        shares[k] = dot(s, &q) * inverse[k];
        add(&mut q, -shares[k], y);
    }
    if let Some((s, y)) = pairs.last() {
        q = scaled(q, dot(y, s) / dot(y, y));
    }
    for (k, (s, y)) in pairs.iter().enumerate() {
        let share = shares[k] - dot(y, &q) * inverse[k];
        add(&mut q, share, s);
    }
    q
}

/// Copies of what training changes; empty arrays in the place of all others.
fn trained<T: Element>(network: &Network<T>) -> Arrays<T> {
    let of = |(tensor, mut copy): (&Tensor<T>, Array2<T>)| {
        if tensor.is_trained() {
            copy.assign(&tensor.values());
        }
        copy
    };
    network.tensors().iter().zip(network.zeros()).map(of).collect()
}

fn all_finite<T: Element>(array: &Array2<T>) -> bool {
    array.iter().all(|value| value.is_finite())
}

/// The sum over all numbers of two gradients, or one, in their order.
fn fold<T: Element>(a: &[Array2<T>], b: &[Array2<T>], of: impl Fn(f64, f64, f64) -> f64) -> f64 {
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(b) {
        sum = a.iter().zip(b).fold(sum, |sum, (&a, &b)| of(sum, a.into(), b.into()));
    }
    sum
}

fn dot<T: Element>(a: &[Array2<T>], b: &[Array2<T>]) -> f64 {
    fold(a, b, |sum, a, b| sum + a * b)
}

fn sum_of_sizes<T: Element>(a: &[Array2<T>]) -> f64 {
    fold(a, a, |sum, a, _| sum + a.abs())
}

fn largest_size<T: Element>(a: &[Array2<T>]) -> f64 {
    fold(a, a, |largest, a, _| largest.max(a.abs()))
}

fn scaled<T: Element>(mut values: Arrays<T>, by: f64) -> Arrays<T> {
    let by = T::from_f64(by);
    for array in &mut values {
        array.mapv_inplace(|value| value * by);
    }
    values
}

/// Adds `by` times `values`.
fn add<T: Element>(to: &mut [Array2<T>], by: f64, values: &[Array2<T>]) {
    let by = T::from_f64(by);
    for (to, values) in to.iter_mut().zip(values) {
        to.scaled_add(by, values);
    }
}

fn difference<T: Element>(a: &[Array2<T>], b: &[Array2<T>]) -> Arrays<T> {
    let mut change = a.to_vec();
    add(&mut change, -1.0, b);
    change
}
