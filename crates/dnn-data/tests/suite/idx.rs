//! IDX data, good and bad: whatever the bytes are, the answer is an array or an error.

use std::fs;

use dnn_data::idx::{dataset_from_idx, images_from_idx, parse_idx, read_idx_images, read_idx_pair};
use dnn_data::{DataError, ImageShape};
use proptest::prelude::*;
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// IDX data of unsigned bytes.
fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, u8::try_from(dims.len()).unwrap()];
    bytes.extend(dims.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

/// Three pictures of 2 rows and 2 columns with labels.
fn small() -> (Vec<u8>, Vec<u8>) {
    let values: Vec<u8> = (1..=12).collect();
    (idx(&[3, 2, 2], &values), idx(&[3], &[1, 0, 2]))
}

fn message<T: std::fmt::Debug>(result: Result<T, DataError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn pictures_become_columns_in_their_order() {
    let (images, labels) = small();
    let set = dataset_from_idx(&images, &labels).unwrap();
    assert_eq!(set.pixels(), ndarray::array![[1, 5, 9], [2, 6, 10], [3, 7, 11], [4, 8, 12]]);
    assert_eq!(set.labels(), [1, 0, 2]);
    assert_eq!(set.class_names(), ["0", "1", "2"]);
    assert_eq!(set.shape(), ImageShape { height: 2, width: 2, channels: 1 });
}

#[test]
fn a_fourth_dimension_is_the_channels() {
    let (pixels, shape) = images_from_idx(&idx(&[1, 1, 2, 3], &[1, 2, 3, 4, 5, 6])).unwrap();
    assert_eq!(shape, ImageShape { height: 1, width: 2, channels: 3 });
    assert_eq!(pixels.into_raw_vec_and_offset().0, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn every_cut_is_refused() {
    let (images, labels) = small();
    for length in 0..images.len() {
        let error = dataset_from_idx(&images[..length], &labels).unwrap_err();
        assert!(matches!(error, DataError::IdxCut { found, .. } if found == length), "{error}");
    }
    for length in 0..labels.len() {
        let error = dataset_from_idx(&images, &labels[..length]).unwrap_err();
        assert!(matches!(error, DataError::IdxCut { found, .. } if found == length), "{error}");
    }
    let text = "the IDX data is cut short: expected at least 28 bytes, found 27";
    assert_eq!(message(parse_idx(&images[..27])), text);
}

#[test]
fn every_flipped_bit_of_a_header_is_refused() {
    let (images, labels) = small();
    for bit in 0..16 * 8 {
        let mut bad = images.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(dataset_from_idx(&bad, &labels).is_err(), "bit {bit} of the images");
    }
    for bit in 0..8 * 8 {
        let mut bad = labels.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(dataset_from_idx(&images, &bad).is_err(), "bit {bit} of the labels");
    }
}

#[test]
fn huge_sizes_are_refused_before_anything_is_allocated() {
    // Each claims 2 GiB or far more; the values would be borrowed, so there is nothing to allocate.
    for size in [1 << 31, u32::MAX] {
        for count in 1..=4 {
            for axis in 0..count {
                let mut dims = vec![1; count];
                dims[axis] = size;
                let error = parse_idx(&idx(&dims, &[7; 5])).unwrap_err();
                assert!(matches!(error, DataError::IdxCut { .. }), "{dims:?}: {error}");
            }
        }
        let error = images_from_idx(&idx(&[size; 4], &[7; 5])).unwrap_err();
        assert!(matches!(error, DataError::IdxSize { .. }), "{error}");
        let error = images_from_idx(&idx(&[0, size, size], &[])).unwrap_err();
        assert!(matches!(error, DataError::Empty), "{error}");
        let error = images_from_idx(&idx(&[size, 0, 1], &[])).unwrap_err();
        assert!(matches!(error, DataError::Shape { .. }), "{error}");
    }
    assert_eq!(
        message(parse_idx(&idx(&[u32::MAX; 3], &[]))),
        "expected sizes whose product can be addressed, found [4294967295, 4294967295, 4294967295]"
    );
}

#[test]
fn other_kinds_of_data_are_refused_by_name() {
    let named = [
        (0x09, "signed bytes (type 0x09)"),
        (0x0b, "16-bit integers (type 0x0b)"),
        (0x0c, "32-bit integers (type 0x0c)"),
        (0x0d, "32-bit floats (type 0x0d)"),
        (0x0e, "64-bit floats (type 0x0e)"),
        (0x0a, "an unknown type (type 0x0a)"),
    ];
    for (code, name) in named {
        let text = format!("expected unsigned bytes (type 0x08), found {name}");
        assert_eq!(message(parse_idx(&[0, 0, code, 1, 0, 0, 0, 0])), text);
    }
    assert_eq!(
        message(parse_idx(&[0x1f, 0x8b, 8])),
        "the data is gzip-compressed; unpack it first (gunzip -k FILE)"
    );
    assert_eq!(
        message(parse_idx(b"<!doctype html>")),
        "expected IDX data, which begins with the bytes 00 00, found [3c, 21, 64, 6f]"
    );
    assert_eq!(message(parse_idx(&[0, 0, 8, 0])), "expected 1 to 4 dimensions, found 0");
    assert_eq!(message(parse_idx(&[0, 0, 8, 5])), "expected 1 to 4 dimensions, found 5");
    assert_eq!(
        message(parse_idx(&[0, 0, 8, 1, 0, 0, 0, 1, 7, 7])),
        "the IDX data has bytes after its last value: expected 9 bytes, found 10"
    );
}

#[test]
fn images_and_labels_that_do_not_belong_together_are_refused() {
    let (images, labels) = small();
    assert_eq!(
        message(dataset_from_idx(&labels, &labels)),
        "expected pictures of 3 dimensions (grey) or 4 (with channels), found 1"
    );
    assert_eq!(
        message(dataset_from_idx(&images, &images)),
        "expected labels of 1 dimension, found 3"
    );
    assert_eq!(
        message(dataset_from_idx(&images, &idx(&[2], &[0, 1]))),
        "expected 3 labels, one for each picture, found 2"
    );
}

#[test]
fn five_thousand_mutations_never_panic() {
    let (images, labels) = small();
    let mut random = ChaCha8Rng::seed_from_u64(20);
    let mut below = |bound: usize| random.next_u32() as usize % bound;
    let mut refused = 0;
    for _ in 0..5000 {
        let (mut bad_images, mut bad_labels) = (images.clone(), labels.clone());
        let bad = if below(2) == 0 { &mut bad_images } else { &mut bad_labels };
        for _ in 0..=below(4) {
            let place = below(bad.len());
            match below(4) {
                0 => bad.insert(place, below(256).to_le_bytes()[0]),
                1 if bad.len() > 1 => bad.truncate(bad.len() - 1),
                2 => bad[place] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
                _ => bad[place] ^= 1 << below(8),
            }
        }
        match dataset_from_idx(&bad_images, &bad_labels) {
            Ok(set) => assert_eq!(set.pixels().dim(), (4, 3)),
            Err(error) => {
                assert!(!error.is_io() && !error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!((1000..5000).contains(&refused), "{refused} refused");
}

#[test]
fn files_are_read_and_errors_name_the_file_at_fault() {
    let folder = tempfile::tempdir().unwrap();
    let [images, labels] = ["images", "labels"].map(|name| folder.path().join(name));
    let (good_images, good_labels) = small();
    fs::write(&images, &good_images).unwrap();
    fs::write(&labels, &good_labels).unwrap();
    let set = dataset_from_idx(&good_images, &good_labels).unwrap();
    assert_eq!(read_idx_pair(&images, &labels).unwrap(), set);
    assert_eq!(read_idx_images(&images).unwrap().0, set.pixels());

    fs::write(&labels, &good_labels[..9]).unwrap();
    let text = "the IDX data is cut short: expected at least 11 bytes, found 9";
    let error = read_idx_pair(&images, &labels).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: {text}", labels.display()));
    assert!(!error.is_io());
    fs::write(&images, b"").unwrap();
    let text = "the IDX data is cut short: expected at least 4 bytes, found 0";
    assert_eq!(message(read_idx_pair(&images, &labels)), format!("{}: {text}", images.display()));
}

#[test]
fn a_file_above_two_gibibytes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    // Only the size is set; a file system with sparse files stores nothing.
    fs::File::create(&path).unwrap().set_len((2 << 30) + 1).unwrap();
    assert_eq!(
        message(read_idx_images(&path)),
        format!(
            "{} is too large: expected at most 2147483648 bytes, found 2147483649",
            path.display()
        )
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (dims, values) in prop::collection::vec(0_u32..5, 1..=4).prop_flat_map(|dims| {
            let length = dims.iter().product::<u32>() as usize;
            (Just(dims), prop::collection::vec(any::<u8>(), length))
        })
    ) {
        let bytes = idx(&dims, &values);
        let array = parse_idx(&bytes).unwrap();
        prop_assert!(array.dims.iter().zip(&dims).all(|(&a, &b)| a == b as usize));
        prop_assert_eq!(array.dims.len(), dims.len());
        prop_assert_eq!(array.values, &values[..]);
    }
}
