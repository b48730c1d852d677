//! The second look at a picture, at its mirror.

use dnn_core::{Columns, Element, Features, Shape};
use ndarray::{Array2, ArrayView2, ShapeBuilder, s};

/// Mirrors of some pictures, left for right, in memory that is used again.
#[derive(Debug, Clone)]
pub(crate) struct Mirror<T> {
    /// Of pictures that are bytes.
    pixels: Array2<u8>,
    /// Of pictures that are numbers.
    numbers: Array2<T>,
    /// The logits of the pictures themselves.
    pub(crate) logits: Array2<T>,
}

impl<T: Element> Mirror<T> {
    /// Room for the logits of so many pictures; that for pixels is taken as they come.
    pub(crate) fn new(outputs: usize, pictures: usize) -> Self {
        let pixels = Array2::from_elem((0, 0).f(), 0);
        let numbers = Array2::zeros((0, 0).f());
        Self { pixels, numbers, logits: Array2::zeros((outputs, pictures).f()) }
    }

    /// The mirrors of the pictures `columns`.
    pub(crate) fn of(
        &mut self,
        x: &Features<'_, T>,
        columns: Columns<'_>,
        shape: Shape,
    ) -> Features<'_, T> {
        let most = self.logits.ncols();
        match x {
            Features::Real(values) => {
                room(&mut self.numbers, values.nrows(), most, T::zero());
                mirror(*values, columns, shape, &mut self.numbers);
                Features::Real(self.numbers.slice(s![.., ..columns.len()]))
            }
            &Features::Pixels { values, scaling } => {
                room(&mut self.pixels, values.nrows(), most, 0);
                mirror(values, columns, shape, &mut self.pixels);
                let values = self.pixels.slice(s![.., ..columns.len()]);
                Features::Pixels { values, scaling }
            }
        }
    }
}

fn room<A: Clone>(memory: &mut Array2<A>, rows: usize, columns: usize, zero: A) {
    if memory.dim() != (rows, columns) {
        *memory = Array2::from_elem((rows, columns).f(), zero);
    }
}

fn mirror<A: Copy>(
    values: ArrayView2<'_, A>,
    columns: Columns<'_>,
    Shape { width, channels, .. }: Shape,
    out: &mut Array2<A>,
) {
    let row = width * channels;
    for (j, mut out) in out.columns_mut().into_iter().take(columns.len()).enumerate() {
        let picture = values.column(columns.at(j));
        for (at, out) in out.iter_mut().enumerate() {
            let (start, pixel, channel) = (at / row * row, at % row / channels, at % channels);
            *out = picture[start + (width - 1 - pixel) * channels + channel];
        }
    }
}

#[cfg(test)]
mod tests {
    use dnn_core::PixelScaling;
    use ndarray::array;

    use super::*;

    #[test]
    fn pixels_of_a_row_change_places_and_channels_do_not() {
        let shape = Shape::picture(2, 2, 2);
        let picture = array![[1_u8, 0], [2, 0], [3, 0], [4, 0], [5, 0], [6, 0], [7, 0], [8, 9]];
        let mut mirror = Mirror::<f64>::new(1, 2);
        let columns = Columns::Run { start: 0, len: 2 };
        let scaling = PixelScaling::default();
        let x = Features::Pixels { values: picture.view(), scaling };
        let Features::Pixels { values, .. } = mirror.of(&x, columns, shape) else {
            panic!("pixels stay pixels");
        };
        assert_eq!(values.column(0).to_vec(), [3, 4, 1, 2, 7, 8, 5, 6]);
        assert_eq!(values.column(1).to_vec(), [0, 0, 0, 0, 0, 9, 0, 0]);
        let numbers = picture.mapv(f64::from);
        let second = Columns::Run { start: 1, len: 1 };
        let Features::Real(values) = mirror.of(&Features::Real(numbers.view()), second, shape)
        else {
            panic!("numbers stay numbers");
        };
        assert_eq!(values.dim(), (8, 1));
        assert_eq!(values[(5, 0)], 9.0);
    }
}
