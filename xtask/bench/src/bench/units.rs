//! Durations for people.

/// The units, each 1000 times the one before.
const UNITS: [&str; 4] = ["ns", "µs", "ms", "s"];

/// A duration in the unit that leaves one to three digits before the point, with three or four
/// significant digits: `1.234 ms`.
///
/// # Examples
/// ```
/// assert_eq!(dnn_bench::bench::scaled(1_234_000.0), "1.234 ms");
/// ```
pub fn scaled(nanoseconds: f64) -> String {
    let (mut value, mut unit) = (nanoseconds, 0);
    // From here on the digits below would round up to 1000.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value {
        value if value < 9.9995 => 3,
        value if value < 99.995 => 2,
        _ => 1,
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn each_unit_starts_where_the_one_below_would_show_four_digits() {
        for (nanoseconds, text) in [
            (0.0, "0.000 ns"),
            (0.25, "0.250 ns"),
            (9.9996, "10.00 ns"),
            (99.996, "100.0 ns"),
            (999.94, "999.9 ns"),
            (999.96, "1.000 µs"),
            (12_345.0, "12.35 µs"),
            (999_960.0, "1.000 ms"),
            (123_456_789.0, "123.5 ms"),
            (2.5e9, "2.500 s"),
            (4.0e12, "4000.0 s"),
        ] {
            assert_eq!(scaled(nanoseconds), text, "{nanoseconds}");
        }
    }
}
