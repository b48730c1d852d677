//! The order in which people expect names: 2 before 10.

use std::cmp::Ordering;

/// Compares names so that runs of digits count as numbers: `1`, `2`, `10`; `cat.2`, `cat.10`.
///
/// Everything else is compared character by character, as in Unicode's order of code points, whatever
/// the locale. Names that differ only in leading zeros come in plain order, so that only equal names
/// are equal.
///
/// # Examples
///
/// ```
/// let mut names = ["10", "b", "2", "1", "a"];
/// names.sort_by(|a, b| dnn_data::natural_order(a, b));
/// assert_eq!(names, ["1", "2", "10", "a", "b"]);
/// ```
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (x, y) = match (left.chars().next(), right.chars().next()) {
            (Some(x), Some(y)) => (x, y),
            (x, y) => return x.is_some().cmp(&y.is_some()).then_with(|| a.cmp(b)),
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let ((m, rest_left), (n, rest_right)) = (digits(left), digits(right));
            match m.len().cmp(&n.len()).then_with(|| m.cmp(n)) {
                Ordering::Equal => (left, right) = (rest_left, rest_right),
                order => return order,
            }
        } else if x == y {
            (left, right) = (&left[x.len_utf8()..], &right[y.len_utf8()..]);
        } else {
            return x.cmp(&y);
        }
    }
}

/// The digits that `text` begins with, without leading zeros, and what follows them.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_total_order(
            a in "[0-2ab.]{0,6}", b in "[0-2ab.]{0,6}", c in "[0-2ab.]{0,6}",
        ) {
            prop_assert_eq!(natural_order(&a, &b), natural_order(&b, &a).reverse());
            prop_assert_eq!(natural_order(&a, &b) == Ordering::Equal, a == b);
            if natural_order(&a, &b).is_le() && natural_order(&b, &c).is_le() {
                prop_assert!(natural_order(&a, &c).is_le(), "{} {} {}", a, b, c);
            }
        }

        #[test]
        fn numbers_come_by_their_value(a in 0_u32..2000, b in 0_u32..2000) {
            let name = |number| format!("cat.{number}.jpg");
            prop_assert_eq!(natural_order(&name(a), &name(b)), a.cmp(&b));
        }
    }
}
