//! Where a number lies on an axis, and which numbers are written beside it.

/// From numbers to places.
pub(super) struct Axis {
    low: f64,
    high: f64,
    /// Where the lowest and the highest number are.
    ends: [f64; 2],
}

impl Axis {
    /// An axis between these places for all of these numbers.
    pub(super) fn of(values: impl Iterator<Item = f64>, ends: [f64; 2]) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        // A single number lies in the middle.
        let (low, high) = if low < high { (low, high) } else { (low - 0.5, high + 0.5) };
        Self { low, high, ends }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.ends[0] + share * (self.ends[1] - self.ends[0])
    }
}

/// A number beside an axis.
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) text: String,
}

/// About so many numbers along the axis, 1, 2 or 5 times a power of ten apart, but no closer than `least`.
pub(super) fn ticks(axis: &Axis, about: usize, least: f64) -> Vec<Tick> {
    let raw = ((axis.high - axis.low) / about as f64).max(least);
    let power = raw.log10().floor();
    let step = |times: f64| times * 10_f64.powf(power);
    let enough = [1.0, 2.0, 5.0].into_iter().map(step).find(|&step| step >= raw * 0.999);
    let step = enough.unwrap_or_else(|| step(10.0));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few digits")]
    let digits = (-step.log10()).ceil().clamp(0.0, 12.0) as usize;
    let first = (axis.low / step - 1e-9).ceil();
    (0..=2 * about)
        .map(|number| (first + number as f64) * step)
        .take_while(|&value| value <= axis.high + 1e-9 * step)
        .map(|value| Tick { value, text: format!("{:.digits$}", value + 0.0) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let texts = |low: f64, high: f64, about, least| {
            let axis = Axis::of([low, high].into_iter(), [0.0, 1.0]);
            ticks(&axis, about, least).into_iter().map(|tick| tick.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(0.03, 1.0, 5, 0.0), ["0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(50.0, 94.0, 5, 0.0), ["50", "60", "70", "80", "90"]);
        assert_eq!(texts(1.0, 3.0, 7, 1.0), ["1", "2", "3"]);
        assert_eq!(texts(1.0, 500.0, 7, 1.0), ["100", "200", "300", "400", "500"]);
        assert_eq!(texts(1.0, 1.0, 7, 1.0), ["1"]);
        assert_eq!(texts(0.0, 0.002, 5, 0.0), ["0.0000", "0.0005", "0.0010", "0.0015", "0.0020"]);
    }

    #[test]
    fn a_number_lies_between_the_ends() {
        let axis = Axis::of([2.0, 4.0].into_iter(), [100.0, 0.0]);
        assert_eq!([2.0, 3.0, 4.0].map(|value| axis.at(value)), [100.0, 50.0, 0.0]);
        let single = Axis::of([2.0].into_iter(), [0.0, 10.0]);
        assert_eq!(single.at(2.0), 5.0);
    }
}
