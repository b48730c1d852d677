//! Arrays whose first index moves fastest, as Fortran and MATLAB lay them.
//!
//! For pictures that is plane after plane: one pixel of all pictures, then the next. They are put in
//! row-major order while they are read, a block of planes at a time, so that no second array is made:
//!
//! ```text
//! for each block of planes:
//!     read it
//!     for each picture:
//!         for each plane of the block:
//!             the plane's value of this picture goes to the plane's place in the picture
//! ```

use std::io::{self, Read};

/// As many bytes are read before they are put in order, if a plane is no longer.
const BLOCK: usize = 4 << 20;

/// Reads bytes in the order of Fortran into `out`, in row-major order.
///
/// # Shapes
///
/// | what | length |
/// |---|---|
/// | `out` | the product of `dims`, not 0 |
pub(super) fn read(dims: &[usize], file: &mut impl Read, out: &mut [u8]) -> io::Result<()> {
    let Some((&count, rest)) = dims.split_first() else { return file.read_exact(out) };
    debug_assert_eq!(dims.iter().product::<usize>(), out.len());
    let planes = out.len() / count;
    let at_once = (BLOCK / count).clamp(1, planes);
    let mut block = vec![0; at_once * count];
    for first in (0..planes).step_by(at_once) {
        let places: Vec<usize> =
            (first..planes.min(first + at_once)).map(|plane| place(rest, plane)).collect();
        let block = &mut block[..places.len() * count];
        file.read_exact(block)?;
        for (example, picture) in out.chunks_exact_mut(planes).enumerate() {
            for (plane, &place) in places.iter().enumerate() {
                picture[place] = block[plane * count + example];
            }
        }
    }
    Ok(())
}

/// Where, in row-major order, the value lies that is at `plane` where the first index moves fastest.
fn place(dims: &[usize], plane: usize) -> usize {
    let (mut rest, mut stride) = (plane, dims.iter().product::<usize>());
    dims.iter().fold(0, |place, &size| {
        stride /= size;
        let index = rest % size;
        rest /= size;
        place + index * stride
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayView, IxDyn, ShapeBuilder};

    use super::*;

    #[test]
    fn any_shape_is_turned_as_a_view_of_it_is() {
        // The last ones need several blocks, or have planes longer than one.
        let long = BLOCK / 2 + 1;
        let shapes: [&[usize]; 7] =
            [&[5], &[2, 3], &[4, 3, 2], &[3, 2, 5, 3], &[1, 4, 4], &[long, 3], &[BLOCK + 1, 2]];
        for dims in shapes {
            let values: Vec<u8> = (0_u8..=250).cycle().take(dims.iter().product()).collect();
            let view = ArrayView::from_shape(IxDyn(dims).f(), &values).unwrap();
            let mut out = vec![0; values.len()];
            read(dims, &mut values.as_slice(), &mut out).unwrap();
            assert!(out.iter().eq(view.iter()), "{dims:?}");
        }
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let mut out = [0; 6];
        let error = read(&[2, 3], &mut &[1, 2, 3, 4, 5][..], &mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
