//! The checked data set.

use std::{fmt, mem};

use ndarray::{Array2, ArrayView2, Axis, ShapeBuilder};
use sha2::{Digest, Sha256};

use crate::columns::Columns;
use crate::targets::Targets;
use crate::{DataError, ImageShape, Result};

/// What a source of data gives: a part to train on and, where the source has them, parts
/// to validate and to test on.
///
/// All parts have the same shape and the same class names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The name of the folder, or of the embedded set.
    pub name: String,
    /// The examples to train on.
    pub train: ImageDataset,
    /// The examples to choose settings by.
    pub validation: Option<ImageDataset>,
    /// The examples to test on.
    pub test: Option<ImageDataset>,
}

/// Labelled pictures as unsigned bytes: at least one example, and every label has a class name; or pictures with
/// numbers to be found from them, see [`with_targets`](Self::with_targets).
///
/// # Shapes
///
/// With `n_x = height * width * channels` and `m` examples:
///
/// | what | shape |
/// |---|---|
/// | [`pixels`](Self::pixels) | (`n_x`, `m`), one example a column, each column contiguous |
/// | [`labels`](Self::labels) | m, each below the number of class names; all 0 where there are targets |
/// | [`targets`](Self::targets) | (`n_y`, `m`) finite numbers, or none |
///
/// Pixels are 0..=255; within a picture they are row-major with channels interleaved.
///
/// The parts of a [`Dataset`] that was divided, and clones, share one matrix of pixels, which is in
/// memory as long as one of them is.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageDataset {
    pixels: Columns,
    labels: Vec<u32>,
    class_names: Vec<String>,
    /// In place of classes: then no class has a name, and every label is 0.
    targets: Option<Targets>,
    shape: ImageShape,
    files: Option<Vec<PictureFile>>,
}

/// How bright a channel is, and how much that varies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelStatistics {
    /// Mean level, 0 to 255.
    pub mean: f64,
    /// Standard deviation of the levels.
    pub deviation: f64,
}

/// The file that a picture came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureFile {
    /// Its path from the root of the data set.
    pub path: String,
    /// SHA-256 of its content.
    pub sha256: [u8; 32],
}

impl PictureFile {
    /// The digest as 64 hexadecimal digits.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }
}

impl ImageDataset {
    /// A data set of pixels and labels that belong together.
    ///
    /// Label `c` belongs to the class named `class_names[c]`. Pixels that are not column-major are
    /// copied once into that order.
    ///
    /// # Shapes
    ///
    /// | what | shape |
    /// |---|---|
    /// | `pixels` | (`n_x`, `m`), 0..=255, row-major, channels interleaved |
    /// | `labels` | m |
    ///
    /// # Errors
    ///
    /// [`Empty`](DataError::Empty) without examples; [`Shape`](DataError::Shape),
    /// [`PixelCount`](DataError::PixelCount), [`LabelCount`](DataError::LabelCount) or
    /// [`LabelRange`](DataError::LabelRange) where sizes or labels do not agree.
    ///
    /// # Examples
    ///
    /// ```
    /// use dnn_data::{ImageDataset, ImageShape};
    /// use ndarray::array;
    ///
    /// // Three pictures of one row and two grey pixels, each a column.
    /// let pixels = array![[1, 3, 5], [2, 4, 6]];
    /// let shape = ImageShape { height: 1, width: 2, channels: 1 };
    /// let set = ImageDataset::new(pixels, vec![1, 0, 1], vec!["cat".into(), "dog".into()], shape)?;
    /// assert_eq!(set.class_counts(), [1, 2]);
    /// # Ok::<(), dnn_data::DataError>(())
    /// ```
    pub fn new(
        pixels: Array2<u8>,
        labels: Vec<u32>,
        class_names: Vec<String>,
        shape: ImageShape,
    ) -> Result<Self> {
        let examples = checked_count(&pixels, shape)?;
        if labels.len() != examples {
            return Err(DataError::LabelCount { expected: examples, found: labels.len() });
        }
        let classes = class_names.len();
        if let Some(example) = labels.iter().position(|&label| label as usize >= classes) {
            return Err(DataError::LabelRange { example, classes, found: labels[example] });
        }
        let pixels = Columns::new(pixels);
        Ok(Self { pixels, labels, class_names, targets: None, shape, files: None })
    }

    /// A data set of pixels and of numbers that are to be found from them: `each` of them for a picture, one picture
    /// after the other. There are no classes, and every label is 0.
    ///
    /// # Errors
    ///
    /// What [`new`](Self::new) says of pixels; [`TargetCount`](DataError::TargetCount) and
    /// [`LabelCount`](DataError::LabelCount) where the numbers are not as many;
    /// [`Target`](DataError::Target) for one that is not finite.
    ///
    /// # Examples
    ///
    /// ```
    /// use dnn_data::{ImageDataset, ImageShape};
    /// use ndarray::array;
    ///
    /// // How bright three pictures of two grey pixels are.
    /// let pixels = array![[1, 3, 5], [2, 4, 6]];
    /// let shape = ImageShape { height: 1, width: 2, channels: 1 };
    /// let set = ImageDataset::with_targets(pixels, vec![1.5, 3.5, 5.5], 1, shape)?;
    /// assert_eq!(set.targets(), Some(array![[1.5, 3.5, 5.5]].view()));
    /// assert!(set.class_names().is_empty());
    /// # Ok::<(), dnn_data::DataError>(())
    /// ```
    pub fn with_targets(
        pixels: Array2<u8>,
        targets: Vec<f64>,
        each: usize,
        shape: ImageShape,
    ) -> Result<Self> {
        let expected = checked_count(&pixels, shape)?;
        let targets = Targets::new(targets, each)?;
        if targets.len() != expected {
            return Err(DataError::LabelCount { expected, found: targets.len() });
        }
        let (pixels, labels) = (Columns::new(pixels), vec![0; expected]);
        let (class_names, targets) = (Vec::new(), Some(targets));
        Ok(Self { pixels, labels, class_names, targets, shape, files: None })
    }

    /// The number of examples, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a data set is never empty")]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The pixels, (`n_x`, `m`), one example a column; see [`ImageDataset`].
    pub fn pixels(&self) -> ArrayView2<'_, u8> {
        self.pixels.view()
    }

    /// The class of each example, m numbers.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The name of each class; a class can be without examples.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The numbers to be found from each picture, (`n_y`, `m`), where there are such in place of classes.
    pub fn targets(&self) -> Option<ArrayView2<'_, f64>> {
        self.targets.as_ref().map(Targets::view)
    }

    /// The shape of every picture.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// The file of each picture, where they came from files.
    pub fn files(&self) -> Option<&[PictureFile]> {
        self.files.as_deref()
    }

    /// The same pictures with the files that they came from.
    ///
    /// # Errors
    /// [`FileCount`](DataError::FileCount) unless there is one for each picture.
    pub fn with_files(self, files: Vec<PictureFile>) -> Result<Self> {
        let (expected, found) = (self.len(), files.len());
        if expected != found {
            return Err(DataError::FileCount { expected, found });
        }
        Ok(Self { files: Some(files), ..self })
    }

    /// The number of examples of each class, in the order of [`class_names`](Self::class_names).
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.class_names.len()];
        if self.targets.is_some() {
            return counts;
        }
        for &label in &self.labels {
            counts[label as usize] += 1;
        }
        counts
    }

    /// The mean and the standard deviation (of the whole, not of a sample) of each channel, in pixel
    /// levels 0 to 255; counted in whole numbers, so that they are the same on every machine.
    pub fn channel_statistics(&self) -> Vec<ChannelStatistics> {
        let channels = self.shape.channels;
        let mut counts = vec![[0_u64; 256]; channels];
        for picture in self.pixels().columns() {
            for (place, &pixel) in picture.iter().enumerate() {
                counts[place % channels][usize::from(pixel)] += 1;
            }
        }
        let statistics = |counts: &[u64; 256]| {
            let sum = |power: u32| -> u128 {
                let levels = counts.iter().zip(0_u128..);
                levels.map(|(&count, level)| u128::from(count) * level.pow(power)).sum()
            };
            let (m, first, second) = (sum(0), sum(1), sum(2));
            // m^2 times the variance, exactly.
            let spread = m * second - first * first;
            let deviation = (spread as f64).sqrt() / m as f64;
            ChannelStatistics { mean: first as f64 / m as f64, deviation }
        };
        counts.iter().map(statistics).collect()
    }

    /// The examples at some positions, in that order, with all class names.
    ///
    /// The pictures are copied: what is selected owns what it needs, and the whole can be dropped. To
    /// divide a data set without a copy, see [`Dataset::hold_out_test`].
    ///
    /// # Panics
    ///
    /// When `examples` is empty or has a position that is not below [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// let digits = dnn_data::digits().train;
    /// let two = digits.select(&[5, 3]);
    /// assert_eq!(two.labels(), [5, 3]);
    /// ```
    pub fn select(&self, examples: &[usize]) -> Self {
        assert!(!examples.is_empty(), "expected at least one example to select, found none");
        let all = self.pixels();
        let mut pixels = Array2::zeros((all.nrows(), examples.len()).f());
        for (mut to, &from) in pixels.columns_mut().into_iter().zip(examples) {
            to.assign(&all.index_axis(Axis(1), from));
        }
        let pixels = Columns::new(pixels);
        let labels = examples.iter().map(|&example| self.labels[example]).collect();
        let files = self.files.as_ref();
        let files = files.map(|files| examples.iter().map(|&one| files[one].clone()).collect());
        let targets = self.targets.as_ref().map(|targets| targets.select(examples));
        let class_names = self.class_names.clone();
        Self { pixels, labels, class_names, targets, shape: self.shape, files }
    }

    /// A fingerprint: equal for equal data on every machine, 64 hexadecimal digits.
    ///
    /// It is the SHA-256 of these bytes, every count a 64-bit little-endian number: the line
    /// `dnn-data picture data set 1` with its line feed; height, width, channels; the number of
    /// classes, then for each its name's length in bytes and the name in UTF-8; the number of
    /// examples, then each label as a 32-bit little-endian number; where there are targets, their number for each
    /// picture and then those of each picture as 64-bit little-endian floats; the pixels of each picture in turn.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(dnn_data::digits().train.sha256().starts_with("86245842"));
    /// ```
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new_with_prefix(b"dnn-data picture data set 1\n");
        let ImageShape { height, width, channels } = self.shape;
        for count in [height, width, channels, self.class_names.len()] {
            hash.update((count as u64).to_le_bytes());
        }
        for name in &self.class_names {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
        }
        hash.update((self.len() as u64).to_le_bytes());
        for label in &self.labels {
            hash.update(label.to_le_bytes());
        }
        if let Some(targets) = self.targets() {
            hash.update((targets.nrows() as u64).to_le_bytes());
            for number in targets.columns().into_iter().flatten() {
                hash.update(number.to_le_bytes());
            }
        }
        for picture in self.pixels().columns() {
            hash.update(picture.to_slice().expect("columns are contiguous by construction"));
        }
        hex(&hash.finalize().into())
    }

    /// Puts the example that was at `order[i]` at `i`, for a permutation `order` of all examples.
    ///
    /// Pixels move within their matrix, which parts `beside` this one may share.
    pub(crate) fn reorder<'a>(
        &mut self,
        order: &[usize],
        beside: impl Iterator<Item = &'a mut Self>,
    ) {
        self.pixels.reorder(order, beside.map(|part| &mut part.pixels).collect());
        self.labels = order.iter().map(|&example| self.labels[example]).collect();
        if let Some(targets) = &mut self.targets {
            *targets = targets.select(order);
        }
        if let Some(files) = &mut self.files {
            let empty = || PictureFile { path: String::new(), sha256: [0; 32] };
            let mut take = |&one: &usize| mem::replace(&mut files[one], empty());
            let in_order = order.iter().map(&mut take).collect();
            *files = in_order;
        }
    }

    /// Takes the examples from the position `first` on out of this set; both share the matrix of
    /// pixels. Neither may be left empty.
    pub(crate) fn split_off(&mut self, first: usize) -> Self {
        debug_assert!(0 < first && first < self.len(), "no part is empty");
        Self {
            pixels: self.pixels.split_off(first),
            labels: self.labels.split_off(first),
            class_names: self.class_names.clone(),
            targets: self.targets.as_mut().map(|targets| targets.split_off(first)),
            shape: self.shape,
            files: self.files.as_mut().map(|files| files.split_off(first)),
        }
    }

    /// The same examples with labels that count in `class_names`, where each class is found by its name;
    /// classes that have no examples here may be missing on either side.
    ///
    /// # Errors
    /// [`UnknownClasses`](DataError::UnknownClasses) where an example has a class of another name.
    ///
    /// # Examples
    ///
    /// ```
    /// use dnn_data::{ImageDataset, ImageShape};
    /// use ndarray::array;
    ///
    /// let shape = ImageShape { height: 1, width: 1, channels: 1 };
    /// let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    /// let set = ImageDataset::new(array![[1, 2]], vec![1, 0], names(&["cat", "dog"]), shape)?;
    /// let set = set.in_classes(&names(&["ant", "cat", "dog"]))?;
    /// assert_eq!(set.labels(), [2, 1]);
    /// assert!(set.in_classes(&names(&["ant", "cat"])).is_err());
    /// # Ok::<(), dnn_data::DataError>(())
    /// ```
    pub fn in_classes(self, class_names: &[String]) -> Result<Self> {
        let place = |name: &String| class_names.iter().position(|known| known == name);
        let places: Vec<Option<usize>> = self.class_names.iter().map(place).collect();
        let unknown: Vec<&str> = (self.class_counts().iter().zip(&places).zip(&self.class_names))
            .filter_map(|((&count, place), name)| {
                (count > 0 && place.is_none()).then_some(name.as_str())
            })
            .collect();
        if !unknown.is_empty() {
            let (known, unknown) = (class_names.join(", "), unknown.join(", "));
            return Err(DataError::UnknownClasses { known, unknown });
        }
        let label = |&label: &u32| {
            // Where there are targets in place of classes, there is none to be found.
            let place = places.get(label as usize).copied().flatten();
            place.and_then(|place| u32::try_from(place).ok()).unwrap_or(label)
        };
        let labels = self.labels.iter().map(label).collect();
        Ok(Self { labels, class_names: class_names.to_vec(), ..self })
    }

    /// The same examples under a longer list of names that begins with the present one.
    pub(crate) fn with_class_names(self, class_names: Vec<String>) -> Self {
        debug_assert!(class_names.starts_with(&self.class_names));
        Self { class_names, ..self }
    }
}

impl fmt::Debug for ImageDataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageDataset")
            .field("examples", &self.len())
            .field("shape", &format_args!("{}", self.shape))
            .field("class_names", &self.class_names)
            .finish_non_exhaustive()
    }
}

/// The number of examples of these pixels, which fit the shape.
fn checked_count(pixels: &Array2<u8>, shape: ImageShape) -> Result<usize> {
    let (rows, examples) = pixels.dim();
    let expected = shape.features().filter(|&features| features > 0);
    let expected = expected.ok_or(DataError::Shape { shape })?;
    if rows != expected {
        return Err(DataError::PixelCount { expected, found: rows, shape });
    }
    if examples == 0 {
        return Err(DataError::Empty);
    }
    Ok(examples)
}

/// A digest in hexadecimal.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    const SHAPE: ImageShape = ImageShape { height: 1, width: 2, channels: 1 };

    fn names() -> Vec<String> {
        vec!["cat".into(), "dög".into()]
    }

    fn three() -> ImageDataset {
        ImageDataset::new(array![[1, 3, 5], [2, 4, 6]], vec![1, 0, 1], names(), SHAPE).unwrap()
    }

    #[test]
    fn columns_are_contiguous_whatever_came_in() {
        let row_major = three();
        let columns = Array2::from_shape_vec((2, 3).f(), vec![1, 2, 3, 4, 5, 6]).unwrap();
        let address = columns.as_ptr();
        let kept = ImageDataset::new(columns, vec![1, 0, 1], names(), SHAPE).unwrap();
        assert_eq!(kept, row_major);
        assert_eq!(kept.pixels().as_ptr(), address, "column-major pixels are not copied");
        for set in [kept, row_major] {
            assert_eq!(set.pixels().t().to_slice().unwrap(), [1, 2, 3, 4, 5, 6]);
        }
    }

    #[test]
    fn select_copies_columns_in_the_order_asked() {
        let part = three().select(&[2, 0]);
        assert_eq!(part.pixels(), array![[5, 1], [6, 2]]);
        assert_eq!((part.labels(), part.class_counts()), ([1, 1].as_slice(), vec![0, 2]));
        assert_eq!(part.pixels().t().to_slice().unwrap(), [5, 6, 1, 2]);
    }

    #[test]
    fn statistics_are_those_of_each_channel() {
        let shape = ImageShape { height: 1, width: 2, channels: 2 };
        let pixels = array![[1, 3], [9, 9], [5, 7], [9, 9]];
        let set = ImageDataset::new(pixels, vec![0, 1], names(), shape).unwrap();
        // 1, 3, 5, 7: mean 4, variance (9 + 1 + 1 + 9) / 4 = 5.
        let expected = [(4.0, 5.0_f64.sqrt()), (9.0, 0.0)];
        let found = set.channel_statistics();
        assert_eq!([found[0], found[1]].map(|one| (one.mean, one.deviation)), expected);
    }

    #[test]
    #[should_panic(expected = "expected at least one example")]
    fn select_of_nothing_panics() {
        three().select(&[]);
    }

    #[test]
    fn the_fingerprint_is_fixed_and_sees_every_part() {
        let set = three();
        // Computed in Python over the documented bytes.
        let expected = "819a575c41c3c47d898a79474643aebcb5975f689718d6335d84fff973e05f6b";
        assert_eq!(set.sha256(), expected);
        let mut others = vec![set.clone(), set.clone(), set.clone(), set.clone()];
        others[0].pixels = Columns::new(array![[9, 3, 5], [2, 4, 6]]);
        others[1].labels[0] = 0;
        others[2].class_names[0] = "cow".into();
        others[3].shape = ImageShape { height: 2, width: 1, channels: 1 };
        for other in &others {
            assert_ne!(other.sha256(), expected, "{other:?}");
        }
    }

    #[test]
    fn targets_go_with_their_pictures_and_into_the_fingerprint() {
        let numbered = |second: f64| {
            let targets = vec![1.0, -1.0, second, -2.0, 3.0, -3.0];
            ImageDataset::with_targets(array![[1, 3, 5], [2, 4, 6]], targets, 2, SHAPE).unwrap()
        };
        let mut set = numbered(2.0);
        assert_ne!(set.sha256(), numbered(2.5).sha256());
        assert_eq!(set.sha256(), numbered(2.0).sha256());
        assert_eq!(set.select(&[2]).targets().unwrap(), array![[3.0], [-3.0]]);
        set.reorder(&[1, 2, 0], std::iter::empty());
        let others = set.split_off(1);
        assert_eq!(
            (set.pixels(), set.targets()),
            (array![[3], [4]].view(), Some(array![[2.0], [-2.0]].view()))
        );
        assert_eq!(others.targets().unwrap(), array![[3.0, 1.0], [-3.0, -1.0]]);
        assert_eq!((others.labels(), others.class_counts()), ([0, 0].as_slice(), vec![]));
        let few = ImageDataset::with_targets(array![[1, 3], [2, 4]], vec![1.0], 1, SHAPE);
        assert_eq!(
            few.unwrap_err().to_string(),
            "expected 2 labels, one for each picture, found 1"
        );
    }

    #[test]
    fn debug_is_short() {
        assert_eq!(
            format!("{:?}", three()),
            r#"ImageDataset { examples: 3, shape: 1x2x1, class_names: ["cat", "dög"], .. }"#
        );
    }

    #[test]
    fn what_does_not_agree_is_refused() {
        let pixels = || array![[1, 3, 5], [2, 4, 6]];
        let error = |pixels, labels: &[u32], names, shape| {
            ImageDataset::new(pixels, labels.to_vec(), names, shape).unwrap_err().to_string()
        };
        assert_eq!(
            error(Array2::zeros((2, 0)), &[], names(), SHAPE),
            "expected at least one example, found none; add examples or leave this part out"
        );
        assert_eq!(
            error(pixels(), &[0, 1], names(), SHAPE),
            "expected 3 labels, one for each picture, found 2"
        );
        assert_eq!(
            error(pixels(), &[0, 1, 2], names(), SHAPE),
            "expected labels below 2, the number of classes, found 2 at example 2"
        );
        assert_eq!(
            error(pixels(), &[0; 3], vec![], SHAPE),
            "expected labels below 0, the number of classes, found 0 at example 0"
        );
        assert_eq!(
            error(Array2::zeros((3, 3)), &[0; 3], names(), SHAPE),
            "expected 2 values a picture for the shape 1x2x1, found 3"
        );
        for (height, found) in [(0, "0x2x1"), (usize::MAX, &*format!("{}x2x1", usize::MAX))] {
            assert_eq!(
                error(Array2::zeros((0, 3)), &[0; 3], names(), ImageShape { height, ..SHAPE }),
                format!("expected a picture of 1x1x1 or more that can be addressed, found {found}")
            );
        }
    }
}
