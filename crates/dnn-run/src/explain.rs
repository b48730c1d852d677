//! Which places of a picture speak for a class, as numbers from 0 to 1 and as a drawing.

use std::fmt;

use dnn_core::Element;
use dnn_data::{DataError, ImageShape};
use dnn_layers::Network;
use dnn_train::explain::{class_activation, has_class_activation, input_gradient};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, ShapeBuilder as _};

use crate::error::Result;

/// Where each of some pictures speaks for a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What it was taken from.
    pub by: ExplainedBy,
    /// `(height * width, m)`: how much each place of what the network sees speaks for the class, from 0 to 1, row by
    /// row; 0 everywhere where nothing does.
    pub heat: Array2<f64>,
}

/// How an [`Explanation`] was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExplainedBy {
    /// [Grad-CAM](class_activation), for networks with convolutions.
    ClassActivation {
        /// The layer whose output it was taken from, as `activation4`.
        layer: String,
    },
    /// The size of the [gradient of the input](input_gradient), summed over channels, for all others.
    InputGradient,
}

impl fmt::Display for ExplainedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClassActivation { layer } => write!(f, "Grad-CAM of {layer}"),
            Self::InputGradient => f.write_str("gradient of the input"),
        }
    }
}

/// The share of places whose gradients are told apart; those above are as hot as the hottest of them. A few places have
/// gradients so large that nothing could be seen of all others.
const TOLD_APART: f64 = 0.99;

pub(crate) fn explain<T: Element>(
    network: &Network<T>,
    pixels: ArrayView2<'_, u8>,
    classes: &[usize],
) -> Result<Explanation> {
    let features = network.pixels(pixels);
    let shape = network.input();
    let size = [shape.height, shape.width];
    if has_class_activation(network) {
        let found = class_activation(network, &features, classes)?;
        let by = ExplainedBy::ClassActivation { layer: network.layer_name(found.layer).to_owned() };
        let heat = columns(&found.maps, |map| {
            let map: Vec<f64> = map.iter().map(|&number| number.into()).collect();
            let largest = map.iter().copied().fold(0.0, f64::max);
            share_of(resized(&map, found.size, size), largest)
        });
        return Ok(Explanation { by, heat });
    }
    let gradient = input_gradient(network, &features, classes)?;
    let heat = columns(&gradient, |gradient| {
        let gradient: Vec<f64> = gradient.iter().map(|&number| number.into()).collect();
        let places = gradient.chunks_exact(shape.channels.max(1));
        let map: Vec<f64> = places.map(|place| place.iter().map(|it| it.abs()).sum()).collect();
        let limit = told_apart(&map);
        share_of(map, limit)
    });
    Ok(Explanation { by: ExplainedBy::InputGradient, heat })
}

/// What `of` makes of each column.
fn columns<T: Element>(
    maps: &Array2<T>,
    of: impl Fn(ArrayView1<'_, T>) -> Vec<f64>,
) -> Array2<f64> {
    let made: Vec<Vec<f64>> = maps.axis_iter(Axis(1)).map(of).collect();
    let rows = made.first().map_or(0, Vec::len);
    Array2::from_shape_vec((rows, made.len()).f(), made.concat())
        .expect("columns of the same length")
}

/// The largest of the places that are told apart.
fn told_apart(map: &[f64]) -> f64 {
    let mut sorted = map.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the length")]
    let place = (TOLD_APART * sorted.len() as f64) as usize;
    let (limit, largest) = (sorted.get(place).copied(), sorted.last().copied());
    limit.filter(|&limit| limit > 0.0).or(largest).unwrap_or(0.0)
}

/// The numbers as shares of a limit, 1 at most.
fn share_of(mut numbers: Vec<f64>, limit: f64) -> Vec<f64> {
    for number in &mut numbers {
        *number = if limit > 0.0 { (*number / limit).min(1.0) } else { 0.0 };
    }
    numbers
}

/// A map in another size, bilinear: a number stands for the middle of its place.
fn resized(map: &[f64], from: [usize; 2], to: [usize; 2]) -> Vec<f64> {
    let [rows, across] = [0, 1].map(|axis| {
        let (from, to) = (from[axis], to[axis]);
        (0..to).map(|place| between(place, from, to)).collect::<Vec<Between>>()
    });
    let at = |row: usize, column: usize| map[row * from[1] + column];
    let mut all = Vec::with_capacity(to[0] * to[1]);
    for row in &rows {
        for column in &across {
            let line = |row: usize| {
                let (first, second) = (at(row, column.first), at(row, column.second));
                first + (second - first) * column.share
            };
            let (first, second) = (line(row.first), line(row.second));
            all.push(first + (second - first) * row.share);
        }
    }
    all
}

/// Two neighbours, and how far it is from the first to the second.
struct Between {
    first: usize,
    second: usize,
    share: f64,
}

/// Where place `place` of `to` lies among `from`.
fn between(place: usize, from: usize, to: usize) -> Between {
    let middle = (place as f64 + 0.5) * from as f64 / to as f64 - 0.5;
    let middle = middle.clamp(0.0, from.saturating_sub(1) as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the length")]
    let first = middle as usize;
    Between { first, second: (first + 1).min(from - 1), share: middle - first as f64 }
}

/// A drawing: pixels of red, green and blue, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// `height * width * 3` bytes.
    pub pixels: Vec<u8>,
    /// Height, width and 3 channels.
    pub shape: ImageShape,
}

/// The longer side of a picture in a drawing, at least, and the space between two of them.
const SIDE: usize = 256;
const GAP: usize = 8;

/// What the network sees, and beside it the same in grey with heat over it: from dark red, where little speaks for the
/// class, to yellow. Small pictures are enlarged.
///
/// # Shapes
/// `pixels` are those of one picture as the network sees it, `heat` is its column of [`Explanation::heat`].
///
/// # Errors
/// [`DataError::Shape`] unless the picture has 1 or 3 channels, [`DataError::PixelCount`] if there are not as many pixels
/// as it says.
pub fn draw_heat(
    pixels: &[u8],
    shape: ImageShape,
    heat: ArrayView1<'_, f64>,
) -> Result<Drawing, DataError> {
    let ImageShape { height, width, channels } = shape;
    if !matches!(channels, 1 | 3) || height == 0 || width == 0 {
        return Err(DataError::Shape { shape });
    }
    let expected = height * width * channels;
    if pixels.len() != expected || heat.len() != height * width {
        return Err(DataError::PixelCount { expected, found: pixels.len(), shape });
    }
    let times = SIDE.div_ceil(height.max(width));
    let [tall, wide] = [height, width].map(|side| side * times);
    let heat = resized(&heat.to_vec(), [height, width], [tall, wide]);
    let drawn = ImageShape { height: tall, width: 2 * wide + GAP, channels: 3 };
    let mut all = Vec::with_capacity(drawn.height * drawn.width * 3);
    for row in 0..tall {
        let color = |column: usize| {
            let first = (row / times * width + column / times) * channels;
            [0, 1, 2].map(|it| pixels[first + it * (channels - 1) / 2])
        };
        all.extend((0..wide).flat_map(color));
        all.extend([255; 3 * GAP]);
        all.extend((0..wide).flat_map(|column| heated(color(column), heat[row * wide + column])));
    }
    Ok(Drawing { pixels: all, shape: drawn })
}

/// Red, green and blue of heat, from none to all of it.
const HEAT: [[f64; 3]; 4] =
    [[60.0, 0.0, 90.0], [200.0, 20.0, 60.0], [250.0, 130.0, 10.0], [255.0, 245.0, 120.0]];

/// A pixel in grey with heat over it, which covers the more of it the hotter it is.
fn heated([red, green, blue]: [u8; 3], heat: f64) -> [u8; 3] {
    let grey = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
    let place = between_stops(heat);
    let covers = 0.8 * heat;
    [0, 1, 2].map(|it| {
        let (first, second) = (HEAT[place.first][it], HEAT[place.second][it]);
        let color = first + (second - first) * place.share;
        let mixed = grey * (1.0 - covers) + color * covers;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        let byte = mixed.round() as u8;
        byte
    })
}

fn between_stops(heat: f64) -> Between {
    let last = HEAT.len() - 1;
    let place = heat.clamp(0.0, 1.0) * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the length")]
    let first = (place as usize).min(last - 1);
    Between { first, second: first + 1, share: place - first as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_enlarged_between_the_middles_of_its_places() {
        // Middles of 4 places of a row of 2 lie at -0.25, 0.25, 0.75 and 1.25.
        assert_eq!(resized(&[0.0, 8.0], [1, 2], [1, 4]), [0.0, 2.0, 6.0, 8.0]);
        assert_eq!(resized(&[1.0, 2.0, 3.0, 4.0], [2, 2], [2, 2]), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(resized(&[5.0], [1, 1], [2, 3]), [5.0; 6]);
    }

    #[test]
    fn heat_is_a_share_of_what_is_told_apart() {
        let mut map = vec![1.0; 99];
        map.push(1e6);
        // The hundredth place is beyond the 99 that are told apart, and it is the limit itself.
        assert_eq!(told_apart(&map), 1e6);
        map.extend([1.0; 100]);
        assert_eq!(told_apart(&map), 1.0);
        assert_eq!(share_of(vec![0.5, 1e6], 1.0), [0.5, 1.0]);
        assert_eq!(share_of(vec![0.0, 0.0], 0.0), [0.0, 0.0]);
        // Almost nothing but zeros: what there is decides.
        let mut rare = vec![0.0; 500];
        rare[3] = 2.0;
        assert_eq!(told_apart(&rare), 2.0);
    }

    #[test]
    fn a_drawing_has_the_picture_and_the_heat_beside_it() {
        let shape = ImageShape { height: 1, width: 2, channels: 1 };
        let heat = ndarray::array![0.0, 1.0];
        let Drawing { pixels, shape: drawn } = draw_heat(&[10, 200], shape, heat.view()).unwrap();
        assert_eq!((drawn.height, drawn.width, drawn.channels), (128, 520, 3));
        assert_eq!(pixels.len(), 128 * 520 * 3);
        let at = |column: usize| &pixels[3 * column..3 * column + 3];
        assert_eq!((at(0), at(255), at(256)), (&[10; 3][..], &[200; 3][..], &[255; 3][..]));
        // Cold places are grey, hot ones 80 % yellow: 200 * 0.2 + 255 * 0.8 = 244, and so on.
        assert_eq!((at(264), at(519)), (&[10; 3][..], &[244, 236, 136][..]));
        assert!(draw_heat(&[10], shape, heat.view()).is_err());
        let odd = ImageShape { channels: 2, ..shape };
        assert!(draw_heat(&[0; 4], odd, heat.view()).is_err());
    }
}
