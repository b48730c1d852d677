//! One small file with everything in it, and the means to damage it and repair its hash.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(unreachable_pub, reason = "shared by several test crates")]

use std::collections::BTreeMap;

use dnn_store::{DType, Format, Hasher, StoreError, Tensor, Values, decode, encode};
use serde::{Deserialize, Serialize};

pub const FORMAT: Format = Format { magic: *b"DNNTEST\0", name: "test file", major: 1, minor: 0 };
pub const HEADER: usize = 62;

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub enum Kind {
    Plain,
    Wide(u64),
    Pair(u8, f64),
    Named { rate: f32, steps: Option<u32> },
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq)]
pub struct Content {
    pub title: String,
    pub classes: Vec<String>,
    pub kinds: Vec<Kind>,
    pub scale: (f32, f64),
    pub counts: BTreeMap<String, u64>,
    pub note: Option<Box<str>>,
}

pub fn content() -> Content {
    Content {
        title: "cats".to_string(),
        classes: vec!["cat".to_string(), "no cat".to_string()],
        kinds: vec![
            Kind::Plain,
            Kind::Wide(1 << 40),
            Kind::Pair(7, -0.5),
            Kind::Named { rate: 0.01, steps: Some(300) },
        ],
        scale: (1.0 / 255.0, 0.25),
        counts: BTreeMap::from([("test".to_string(), 50), ("train".to_string(), 209)]),
        note: Some("kept for ever".into()),
    }
}

pub const PIXELS: [u8; 6] = [0, 1, 2, 128, 254, 255];
/// The smallest subnormal, both zeros and the extremes: what a lossy route would change.
pub const SINGLES: [f32; 6] = [1.5, -0.0, 0.0, 1e-45, f32::MAX, f32::MIN];
pub const DOUBLES: [f64; 3] = [5e-324, -0.0, f64::MAX];

pub fn tensors() -> [Tensor<'static>; 4] {
    [
        Tensor { name: "pixels", dims: &[2, 3], values: Values::U8(&PIXELS) },
        Tensor { name: "w", dims: &[3, 2], values: Values::F32(&SINGLES) },
        Tensor { name: "b", dims: &[3], values: Values::F64(&DOUBLES) },
        Tensor { name: "rate", dims: &[], values: Values::F64(&DOUBLES[..1]) },
    ]
}

pub fn sample() -> Vec<u8> {
    encode(&FORMAT, &content(), &tensors()).unwrap()
}

pub fn try_decode(bytes: &[u8]) -> Result<(), StoreError> {
    decode::<Content>(&FORMAT, bytes).map(|_| ())
}

pub fn message(bytes: &[u8]) -> String {
    try_decode(bytes).unwrap_err().to_string()
}

/// An error is fine, and so is a container in which everything can be had and is finite.
pub fn error_or_sound(bytes: &[u8]) -> bool {
    let Ok(container) = decode::<Content>(&FORMAT, bytes) else {
        return false;
    };
    for tensor in container.tensors() {
        let count = tensor.dims().iter().product::<usize>();
        assert_eq!(tensor.bytes().len(), count * tensor.dtype().width());
        let found = container.tensor(tensor.name()).unwrap();
        match found.dtype() {
            DType::U8 => assert_eq!(found.to_vec::<u8>().unwrap().len(), count),
            DType::F32 => assert!(found.to_vec::<f32>().unwrap().iter().all(|v| v.is_finite())),
            DType::F64 => assert!(found.to_vec::<f64>().unwrap().iter().all(|v| v.is_finite())),
        }
    }
    true
}

/// Makes the hash right again after damage.
pub fn repair(bytes: &mut [u8]) {
    if bytes.len() < HEADER {
        return;
    }
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..30]);
    hasher.update(&bytes[HEADER..]);
    let digest = hasher.finish();
    bytes[30..HEADER].copy_from_slice(&digest);
}

/// The metadata and the data of a sound file.
pub fn parts(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let meta_len = u64::from_le_bytes(bytes[14..22].try_into().unwrap());
    let end = HEADER + usize::try_from(meta_len).unwrap();
    (bytes[HEADER..end].to_vec(), bytes[end.next_multiple_of(64)..].to_vec())
}

/// A file around any metadata and data, with lengths and a hash that agree with them.
pub fn rebuild(metadata: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = sample()[..14].to_vec();
    bytes.extend((metadata.len() as u64).to_le_bytes());
    bytes.extend((data.len() as u64).to_le_bytes());
    bytes.extend([0; 32]);
    bytes.extend(metadata);
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    bytes.extend(data);
    repair(&mut bytes);
    bytes
}

/// Lengths that wrap, that do not fit a signed number, or that no machine has.
pub const HUGE: [u64; 6] = [1 << 31, 1 << 32, 1 << 40, 1 << 63, u64::MAX - 7, u64::MAX];

/// A number as bincode writes one of eight bytes.
pub fn varint(value: u64) -> Vec<u8> {
    let mut bytes = vec![253];
    bytes.extend(value.to_le_bytes());
    bytes
}

/// A small generator (splitmix64), so that a failure can be had again.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).unwrap()
    }
}
