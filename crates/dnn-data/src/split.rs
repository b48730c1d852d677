//! Dividing examples into a part to keep and a part to hold out, class by class.

use crate::stream::Stream;
use crate::{DataError, Dataset, ImageDataset, Result};

/// The positions of examples in two parts: together all of them, none in both, each part ascending
/// and not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The larger part as a rule: what to train on.
    pub kept: Vec<usize>,
    /// The fraction that was asked for: what to validate or test on.
    pub held_out: Vec<usize>,
}

/// Holds out a fraction of the examples, of each class alike.
///
/// With `m` examples in all and `m_c` of class `c`, `fraction * m` rounded to the nearest number (half
/// up) are held out, and of each class within 1 of its share `fraction * m_c`: every class gives its
/// share rounded down, and the classes with the largest remainders, the smaller class first among
/// equals, give one more. Every class keeps at least one example, so a class of a single example is
/// never held out; where that binds, fewer examples than asked may be held out.
///
/// The result depends on nothing but the arguments, on every machine and in every later version. The
/// random stream is ChaCha8, read as 32-bit words, under the 32-byte key: `seed` (8 bytes,
/// little-endian), `split` and three zero bytes, 16 zeros. Classes are taken in ascending order, the
/// positions of each are put into a random order (Fisher-Yates by masked rejection, from the end), and
/// the first of them are held out.
///
/// # Errors
///
/// [`Fraction`](DataError::Fraction) unless `0 < fraction < 1`, which NaN is not;
/// [`Empty`](DataError::Empty) without labels; [`NothingHeldOut`](DataError::NothingHeldOut) where the
/// examples are too few. The kept part is never empty.
///
/// # Examples
///
/// ```
/// let split = dnn_data::stratified_split(&[0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 0.4, 1)?;
/// assert_eq!(split.held_out, [0, 1, 5, 6]);
/// assert_eq!(split.kept, [2, 3, 4, 7, 8, 9]);
/// # Ok::<(), dnn_data::DataError>(())
/// ```
pub fn stratified_split(labels: &[u32], fraction: f64, seed: u64) -> Result<Split> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(DataError::Fraction { found: fraction });
    }
    if labels.is_empty() {
        return Err(DataError::Empty);
    }
    // Grouped by class, ascending within each: a stable sort, since labels can be any numbers.
    let mut examples: Vec<usize> = (0..labels.len()).collect();
    examples.sort_by_key(|&example| labels[example]);
    let mut classes: Vec<&mut [usize]> =
        examples.chunk_by_mut(|&a, &b| labels[a] == labels[b]).collect();

    let sizes: Vec<usize> = classes.iter().map(|class| class.len()).collect();
    let mut stream = Stream::new(seed, *b"split\0\0\0");
    let mut split = Split { kept: Vec::new(), held_out: Vec::new() };
    for (class, count) in classes.iter_mut().zip(held_out_counts(&sizes, fraction)) {
        stream.shuffle(class);
        let (held_out, kept) = class.split_at(count);
        split.held_out.extend_from_slice(held_out);
        split.kept.extend_from_slice(kept);
    }
    if split.held_out.is_empty() {
        return Err(DataError::NothingHeldOut { examples: labels.len(), fraction });
    }
    split.held_out.sort_unstable();
    split.kept.sort_unstable();
    Ok(split)
}

impl Dataset {
    /// Moves a fraction of the training part to the test part, of each class alike; a test part that
    /// is there already stays as it is.
    ///
    /// Which examples these are is said by [`stratified_split`]; both parts keep their order. No pixels
    /// are copied, unless a clone of the training part shares them: they change places, and the two
    /// parts look at one matrix.
    ///
    /// # Errors
    ///
    /// Those of [`stratified_split`]; nothing has moved then.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut digits = dnn_data::digits();
    /// digits.hold_out_test(0.2, 0)?;
    /// assert_eq!(digits.train.len(), 1438);
    /// assert_eq!(digits.test.map(|part| part.len()), Some(359));
    /// # Ok::<(), dnn_data::DataError>(())
    /// ```
    pub fn hold_out_test(&mut self, fraction: f64, seed: u64) -> Result<()> {
        if self.test.is_none() {
            self.test = Some(self.hold_out(fraction, seed)?);
        }
        Ok(())
    }

    /// Moves a fraction of the training part to the validation part; otherwise as
    /// [`hold_out_test`](Self::hold_out_test).
    ///
    /// # Errors
    ///
    /// Those of [`stratified_split`]; nothing has moved then.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut digits = dnn_data::digits();
    /// digits.hold_out_validation(0.1, 7)?;
    /// assert_eq!(digits.train.len(), 1617);
    /// assert_eq!(digits.validation.map(|part| part.len()), Some(180));
    /// # Ok::<(), dnn_data::DataError>(())
    /// ```
    pub fn hold_out_validation(&mut self, fraction: f64, seed: u64) -> Result<()> {
        if self.validation.is_none() {
            self.validation = Some(self.hold_out(fraction, seed)?);
        }
        Ok(())
    }

    /// Takes a fraction of the training part out of it.
    fn hold_out(&mut self, fraction: f64, seed: u64) -> Result<ImageDataset> {
        let split = stratified_split(self.train.labels(), fraction, seed)?;
        let mut order = split.kept;
        let kept = order.len();
        order.extend(split.held_out);
        self.train.reorder(&order, self.validation.iter_mut().chain(&mut self.test));
        Ok(self.train.split_off(kept))
    }
}

/// How many examples of each class to hold out, by the largest remainder.
fn held_out_counts(sizes: &[usize], fraction: f64) -> Vec<usize> {
    let share = |size: usize| size as f64 * fraction;
    // Below the size: the float product of a count and a number below 1 is below the count.
    let mut counts: Vec<usize> = sizes.iter().map(|&size| whole(share(size).floor())).collect();
    let total = whole(share(sizes.iter().sum()).round());
    let mut missing = total.saturating_sub(counts.iter().sum());

    let mut order: Vec<usize> = (0..sizes.len()).collect();
    let remainder = |class: usize| share(sizes[class]).fract();
    // A stable sort, so that the smaller class comes first among equals.
    order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)));
    for class in order {
        if missing > 0 && counts[class] < sizes[class] - 1 {
            counts[class] += 1;
            missing -= 1;
        }
    }
    counts
}

/// A whole number from its float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rounded share of a count is whole, not negative and not above the count"
)]
fn whole(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_of_a_seed_are_fixed() {
        // These never change; computed a second time in Python with a ChaCha8 of its own.
        let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1];
        assert_eq!(stratified_split(&labels, 0.4, 1).unwrap().held_out, [0, 1, 5, 6]);
        assert_eq!(stratified_split(&labels, 0.4, 2).unwrap().held_out, [0, 1, 6, 9]);
        let labels = [2, 0, 1, 0, 1, 2, 0, 0, 1, 7];
        let split = stratified_split(&labels, 0.3, 42).unwrap();
        assert_eq!(split.held_out, [1, 5, 8]);
        assert_eq!(split.kept, [0, 2, 3, 4, 6, 7, 9]);
        let digits = crate::digits();
        let split = stratified_split(digits.train.labels(), 0.2, 1).unwrap();
        assert_eq!(split.held_out[..8], [0, 3, 16, 20, 21, 23, 29, 34]);
        assert_eq!(split.held_out[357..], [1794, 1796]);
    }

    #[test]
    fn the_largest_remainders_give_one_more() {
        // Shares of 0.3: 1.5, 0.9, 0.6, sum 3; rounded down 1, 0, 0; two more to 0.9 and 0.6.
        assert_eq!(held_out_counts(&[5, 3, 2], 0.3), [1, 1, 1]);
        // Shares of 0.5: 1.5, 1.5, 1.5, sum 4.5, rounded 5; two more to the first two.
        assert_eq!(held_out_counts(&[3, 3, 3], 0.5), [2, 2, 1]);
        // Shares of 0.9: 0.9, 1.8, 9, sum 11.7, rounded 12; a single example stays, a pair keeps one.
        assert_eq!(held_out_counts(&[1, 2, 10], 0.9), [0, 1, 9]);
        // The largest fraction below 1 still keeps one.
        assert_eq!(held_out_counts(&[10], 1.0 - f64::EPSILON / 2.0), [9]);
    }

    #[test]
    fn fractions_outside_0_and_1_are_refused() {
        for (fraction, found) in
            [(0.0, "0"), (1.0, "1"), (-0.5, "-0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")]
        {
            assert_eq!(
                stratified_split(&[0, 0, 1, 1], fraction, 1).unwrap_err().to_string(),
                format!("expected a fraction above 0 and below 1, found {found}")
            );
        }
    }

    #[test]
    fn too_few_examples_are_refused_with_the_reason() {
        assert!(matches!(stratified_split(&[], 0.5, 1), Err(DataError::Empty)));
        for labels in [&[0][..], &[0, 1, 2], &[0, 0]] {
            assert_eq!(
                stratified_split(labels, 0.1, 1).unwrap_err().to_string(),
                format!(
                    "too few examples to split: expected one to hold out, found none at a fraction of \
                     0.1 of {} examples; every class keeps at least one",
                    labels.len()
                )
            );
        }
    }
}
