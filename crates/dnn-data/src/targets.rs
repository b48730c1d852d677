//! Numbers that pictures ask for, in place of classes.

use ndarray::{ArrayView2, ShapeBuilder};

use crate::{DataError, Result};

/// Finite numbers, as many for each picture, one picture after the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Targets {
    /// Numbers of a picture, at least 1.
    each: usize,
    numbers: Vec<f64>,
}

// None of the numbers is NaN.
impl Eq for Targets {}

impl Targets {
    /// `each` numbers a picture.
    pub(crate) fn new(numbers: Vec<f64>, each: usize) -> Result<Self> {
        if each == 0 || !numbers.len().is_multiple_of(each) {
            return Err(DataError::TargetCount { found: numbers.len(), each });
        }
        match numbers.iter().position(|number| !number.is_finite()) {
            Some(at) => Err(DataError::Target { example: at / each, found: numbers[at] }),
            None => Ok(Self { each, numbers }),
        }
    }

    /// How many pictures.
    pub(crate) fn len(&self) -> usize {
        self.numbers.len() / self.each
    }

    /// (numbers of a picture, pictures).
    pub(crate) fn view(&self) -> ArrayView2<'_, f64> {
        ArrayView2::from_shape((self.each, self.len()).f(), &self.numbers)
            .expect("there are as many numbers for each picture")
    }

    /// Those of the pictures at these positions, in that order.
    pub(crate) fn select(&self, examples: &[usize]) -> Self {
        let of = |&example: &usize| &self.numbers[example * self.each..(example + 1) * self.each];
        Self { each: self.each, numbers: examples.iter().flat_map(of).copied().collect() }
    }

    /// Takes those from the picture `first` on out.
    pub(crate) fn split_off(&mut self, first: usize) -> Self {
        Self { each: self.each, numbers: self.numbers.split_off(first * self.each) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn numbers_stay_with_their_picture() {
        let mut targets = Targets::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2).unwrap();
        assert_eq!(
            (targets.len(), targets.view()),
            (3, array![[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]].view())
        );
        assert_eq!(targets.select(&[2, 0]).view(), array![[5.0, 1.0], [6.0, 2.0]]);
        assert_eq!(targets.split_off(1).view(), array![[3.0, 5.0], [4.0, 6.0]]);
        assert_eq!(targets.view(), array![[1.0], [2.0]]);
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        let error = Targets::new(vec![1.0, 2.0, 3.0, f64::NAN], 2).unwrap_err().to_string();
        assert_eq!(error, "expected finite numbers as targets, found NaN at example 1");
        let error = Targets::new(vec![1.0], 2).unwrap_err().to_string();
        assert_eq!(
            error,
            "expected the same number of targets, at least 1, for each picture, found 1 by 2"
        );
        assert!(Targets::new(vec![], 0).is_err());
    }
}
