//! The embedded data set.

use crate::{Dataset, idx};

/// 1,797 pictures of handwritten digits, 8x8 grey pixels, ten classes, built into the program.
///
/// All of them are in the training part; there is no test part. They come from the crate `dnn-digits`,
/// whose documentation says who made them (E. Alpaydin and C. Kaynak, CC BY 4.0).
///
/// # Shapes
///
/// | what | shape |
/// |---|---|
/// | `train.pixels()` | (64, 1797), 0..=255, 0 = paper |
/// | `train.labels()` | 1797, in 0..=9 |
///
/// # Examples
///
/// ```
/// let digits = dnn_data::digits();
/// assert_eq!(digits.train.len(), 1797);
/// assert_eq!(digits.train.shape().to_string(), "8x8x1");
/// assert_eq!(digits.train.class_names()[3], "3");
/// ```
pub fn digits() -> Dataset {
    let train = idx::dataset_from_idx(dnn_digits::IMAGES, dnn_digits::LABELS)
        .expect("the embedded files are constants, and the test below reads them");
    Dataset { name: "digits".into(), train, validation: None, test: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_files_make_a_data_set_of_ten_classes() {
        let digits = digits();
        assert_eq!((digits.name.as_str(), digits.test.is_none()), ("digits", true));
        assert_eq!(digits.train.pixels().dim(), (64, 1797));
        assert_eq!(digits.train.class_counts(), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        // Row 0 of the first picture: levels 0 0 5 13 9 1 0 0 of 16, as (v * 255 + 8) / 16.
        let row: Vec<u8> = digits.train.pixels().column(0).iter().take(8).copied().collect();
        assert_eq!(row, [0, 0, 80, 207, 143, 16, 0, 0]);
        // Computed a second time in Python over the same bytes.
        assert_eq!(
            digits.train.sha256(),
            "86245842b33eb3686818dcd25863429574f271b68d3ebc7f95430f2c590f5c76"
        );
    }
}
