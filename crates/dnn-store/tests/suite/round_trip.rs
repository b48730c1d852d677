//! What is written is what is read, bit for bit; and what was written once is read for ever.

use std::path::Path;

use crate::common::{Content, DOUBLES, FORMAT, PIXELS, SINGLES, content, sample};
use dnn_store::{DType, Tensor, Values, decode, encode, read_file};
use proptest::collection::vec;
use proptest::prelude::*;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v1.0.bin");

/// Holds a file to the sample's content and values.
fn check_sample(bytes: &[u8]) {
    let container = decode::<Content>(&FORMAT, bytes).unwrap();
    assert_eq!(container.content, content());
    let names: Vec<_> = container.tensors().iter().map(|t| (t.name(), t.dims())).collect();
    let expected: [(_, &[usize]); 4] =
        [("pixels", &[2, 3]), ("w", &[3, 2]), ("b", &[3]), ("rate", &[])];
    assert_eq!(names, expected);
    assert_eq!(container.tensor("pixels").unwrap().to_vec::<u8>().unwrap(), PIXELS);
    let singles = container.tensor("w").unwrap().to_vec::<f32>().unwrap();
    assert_eq!(bits(&singles), SINGLES.map(f32::to_bits));
    let doubles = container.tensor("b").unwrap().to_vec::<f64>().unwrap();
    assert_eq!(doubles.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), DOUBLES.map(f64::to_bits));
    assert_eq!(container.tensor("rate").unwrap().to_vec::<f64>().unwrap(), DOUBLES[..1]);
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn negative_zero_and_subnormals_keep_their_bits() {
    check_sample(&sample());
}

#[test]
fn the_file_of_version_1_0_is_read_and_still_written() {
    let bytes = read_file(Path::new(FIXTURE), 4096).unwrap();
    check_sample(&bytes);
    // Same version, same bytes: a change of layout has to come with a change of version.
    assert_eq!(bytes, sample());
}

#[test]
#[ignore = "writes the fixture of version 1.0, which must never change again"]
fn write_the_fixture() {
    dnn_store::commit(Path::new(FIXTURE), &sample()).unwrap();
}

#[test]
fn tensors_start_at_multiples_of_64() {
    let bytes = sample();
    let container = decode::<Content>(&FORMAT, &bytes).unwrap();
    for tensor in container.tensors() {
        let offset = tensor.bytes().as_ptr().addr() - bytes.as_ptr().addr();
        assert_eq!(offset % 64, 0, "{}", tensor.name());
    }
}

/// A tensor's dimensions, type, and bits for as many values as it needs.
fn any_tensor() -> impl Strategy<Value = (Vec<usize>, u8, Vec<u64>)> {
    (vec(1_usize..5, 0..4), 0_u8..3).prop_flat_map(|(dims, kind)| {
        let count = dims.iter().product::<usize>();
        (Just(dims), Just(kind), vec(any::<u64>(), count))
    })
}

/// The bits as finite values: a zero instead of what is not.
fn values(kind: u8, bits: &[u64]) -> (Vec<u8>, Vec<f32>, Vec<f64>) {
    let finite = |v: f64| if v.is_finite() { v } else { -0.0 };
    let single = |b: &u64| Some(f32::from_bits((b >> 32) as u32)).filter(|v| v.is_finite());
    match kind {
        0 => (bits.iter().map(|b| b.to_le_bytes()[0]).collect(), vec![], vec![]),
        1 => (vec![], bits.iter().map(|b| single(b).unwrap_or(-0.0)).collect(), vec![]),
        _ => (vec![], vec![], bits.iter().map(|b| finite(f64::from_bits(*b))).collect()),
    }
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(
        text in ".{0,40}",
        number in any::<i64>(),
        shapes in vec(any_tensor(), 0..6),
    ) {
        let owned: Vec<_> = shapes.iter().map(|(_, kind, bits)| values(*kind, bits)).collect();
        let names: Vec<_> = (0..shapes.len()).map(|i| format!("tensor {i}")).collect();
        let tensors: Vec<_> = shapes.iter().zip(&owned).zip(&names).map(|(((dims, kind, _), v), name)| {
            let values = match kind {
                0 => Values::U8(&v.0),
                1 => Values::F32(&v.1),
                _ => Values::F64(&v.2),
            };
            Tensor { name, dims, values }
        }).collect();
        let bytes = encode(&FORMAT, &(&text, number), &tensors).unwrap();
        let container = decode::<(String, i64)>(&FORMAT, &bytes).unwrap();
        prop_assert_eq!(&container.content, &(text, number));
        prop_assert_eq!(container.tensors().len(), tensors.len());
        for (stored, (tensor, v)) in container.tensors().iter().zip(tensors.iter().zip(&owned)) {
            prop_assert_eq!(stored.name(), tensor.name);
            prop_assert_eq!(stored.dims(), tensor.dims);
            prop_assert_eq!(stored.dtype(), tensor.values.dtype());
            match stored.dtype() {
                DType::U8 => prop_assert_eq!(&stored.to_vec::<u8>().unwrap(), &v.0),
                DType::F32 => prop_assert_eq!(bits(&stored.to_vec::<f32>().unwrap()), bits(&v.1)),
                DType::F64 => prop_assert!(stored.to_vec::<f64>().unwrap().iter().map(|x| x.to_bits()).eq(v.2.iter().map(|x| x.to_bits()))),
            }
        }
    }
}
