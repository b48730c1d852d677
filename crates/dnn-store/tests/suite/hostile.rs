//! Damaged and hostile bytes: every one is an error or a sound container, never a panic.

use crate::common::{
    Dice, FORMAT, HEADER, HUGE, error_or_sound, message, parts, rebuild, repair, sample,
    try_decode, varint,
};
use dnn_store::{DType, Format, Record, StoreError, Tensor, Values, Version, encode};
use serde::Serialize;

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let bytes = sample();
    for len in 0..bytes.len() {
        match try_decode(&bytes[..len]).unwrap_err() {
            StoreError::TooShort { expected: HEADER, found, .. } if len < HEADER => {
                assert_eq!(found, len);
            }
            StoreError::WrongLength { expected, found } if len >= HEADER => {
                assert_eq!((expected, found), (bytes.len() as u64, len as u64));
            }
            other => panic!("cut at {len}: {other}"),
        }
    }
}

#[test]
fn a_file_with_any_bit_flipped_is_refused() {
    let mut bytes = sample();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        // The minor version is not checked for its own sake, so the hash has to see it too.
        let error = try_decode(&bytes).unwrap_err();
        assert!(error.is_corrupt(), "bit {bit}: {error}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(try_decode(&bytes).is_ok());
}

#[test]
fn a_file_with_any_bit_flipped_and_its_hash_repaired_is_refused_or_sound() {
    let sound = sample();
    let mut still_read = 0;
    for bit in (0..sound.len() * 8).filter(|bit| !(30..HEADER).contains(&(bit / 8))) {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        repair(&mut bytes);
        still_read += usize::from(error_or_sound(&bytes));
    }
    // Most bits of values and text are as good as before, and that must be reached for the test to
    // say anything.
    assert!(still_read > 100, "only {still_read} flips got past the checks");
}

#[test]
fn random_and_structured_mutations_with_a_repaired_hash_are_refused_or_sound() {
    let sound = sample();
    let (metadata, data) = parts(&sound);
    let mut dice = Dice(20_260_101);
    let mut still_read = 0;
    for round in 0..20_000 {
        let bytes = if round % 2 == 0 {
            let mut bytes = sound.clone();
            scribble(&mut dice, &mut bytes);
            repair(&mut bytes);
            bytes
        } else {
            // The lengths agree again, so that what is wrong is deeper inside.
            let (mut metadata, mut data) = (metadata.clone(), data.clone());
            scribble(&mut dice, &mut metadata);
            if dice.below(4) == 0 {
                scribble(&mut dice, &mut data);
            }
            rebuild(&metadata, &data)
        };
        still_read += usize::from(error_or_sound(&bytes));
    }
    assert!(still_read > 100, "only {still_read} mutations got past the checks");
}

/// One to four changes: a byte, a run of random bytes, a splice, an insertion, a cut, a huge number.
fn scribble(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..=dice.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len());
        match dice.below(6) {
            0 => bytes[at] = dice.roll().to_le_bytes()[0],
            1 => {
                let end = bytes.len().min(at + 16);
                bytes[at..end].iter_mut().for_each(|byte| *byte = dice.roll().to_le_bytes()[0]);
            }
            2 => {
                let (from, len) = (dice.below(bytes.len()), dice.below(16));
                let piece = bytes[from..bytes.len().min(from + len)].to_vec();
                bytes.splice(at..at, piece);
            }
            3 => bytes.insert(at, dice.roll().to_le_bytes()[0]),
            4 => drop(bytes.drain(at..bytes.len().min(at + 4))),
            _ => drop(bytes.splice(at..=at, varint(HUGE[dice.below(HUGE.len())]))),
        }
    }
}

/// A file with one table and no content or values, as an attacker would write it.
fn forged(table: &[(&str, DType, &[u64])], data: &[u8]) -> String {
    #[derive(Serialize)]
    struct Meta<'a>(&'a [(&'a str, DType, &'a [u64])], ());
    let whole = encode(&FORMAT, &Meta(table, ()), &[]).unwrap();
    // The encoder's own empty table is the first byte.
    let (metadata, _) = parts(&whole);
    let bytes = rebuild(&metadata[1..], data);
    dnn_store::decode::<()>(&FORMAT, &bytes).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn tables_that_lie_are_refused_with_the_reason() {
    let wraps = forged(&[("w", DType::F32, &[1 << 32, 1 << 32])], &[]);
    assert!(wraps.contains("dimensions [4294967296, 4294967296] do not fit in 64 bits"), "{wraps}");
    // 2^62 values of four bytes wrap to nothing.
    let wraps = forged(&[("w", DType::F32, &[1 << 62])], &[]);
    assert!(wraps.contains("do not fit in 64 bits"), "{wraps}");
    for huge in HUGE {
        let error = forged(&[("w", DType::U8, &[huge])], &[1, 2, 3]);
        let expected = format!("expected {huge} bytes of data by the table of tensors, found 3");
        assert_eq!(error, expected);
    }
    assert!(forged(&[("w", DType::U8, &[0, 3])], &[]).contains("found 0 on axis 0"));
    assert!(forged(&[("w", DType::U8, &[1; 9])], &[1]).contains("at most 8 axes, found 9"));
    let twice = forged(&[("w", DType::U8, &[1]), ("w", DType::U8, &[1])], &[0; 65]);
    assert_eq!(twice, "bad tensor \"w\": expected unique names, found this one twice");
    let more = forged(&[("w", DType::U8, &[2])], &[1]);
    assert_eq!(more, "expected 2 bytes of data by the table of tensors, found 1");
    let less = forged(&[("w", DType::U8, &[1])], &[1, 0]);
    assert_eq!(less, "expected 1 bytes of data by the table of tensors, found 2");
    let nan = forged(&[("w", DType::F32, &[2])], &[0, 0, 0, 0, 0, 0, 0xc0, 0x7f]);
    assert_eq!(nan, "expected finite values in tensor \"w\", found NaN at index 1");
    let many: Vec<_> = (0..65_537).map(|i| format!("{i}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), DType::U8, &[1_u64][..])).collect();
    assert_eq!(forged(&many, &[]), "expected at most 65536 tensors, found 65537");
}

#[test]
fn huge_lengths_in_the_header_are_refused() {
    for field in [14, 22] {
        for huge in HUGE {
            let mut bytes = sample();
            bytes[field..field + 8].copy_from_slice(&huge.to_le_bytes());
            repair(&mut bytes);
            assert!(matches!(try_decode(&bytes), Err(StoreError::WrongLength { .. })));
        }
    }
}

#[test]
fn metadata_over_the_cap_are_refused_both_ways() {
    let long = "x".repeat(dnn_store::MAX_METADATA);
    let error = encode(&FORMAT, &long, &[]).unwrap_err().to_string();
    // The empty table, 253 and eight bytes or 252 and four: here one and five more.
    assert_eq!(error, "expected at most 16777216 bytes of metadata, found 16777222");
    let bytes = rebuild(&vec![0; dnn_store::MAX_METADATA + 1], &[]);
    assert_eq!(message(&bytes), "expected at most 16777216 bytes of metadata, found 16777217");
}

#[test]
fn bytes_that_belong_to_nothing_are_refused() {
    let sound = sample();
    let mut longer = sound.clone();
    longer.push(0);
    repair(&mut longer);
    assert!(message(&longer).ends_with(&format!("by the header, found {}", longer.len())));

    let (mut metadata, data) = parts(&sound);
    let len = metadata.len();
    let (gap, first) = (HEADER + len, (HEADER + len).next_multiple_of(64));
    metadata.push(0);
    let trailing = message(&rebuild(&metadata, &data));
    assert_eq!(trailing, format!("expected {len} bytes of metadata, found {}", len + 1));

    // After the metadata, and after the six bytes of the first tensor.
    for offset in [gap, first - 1, first + 6, first + 63] {
        let mut bytes = sound.clone();
        bytes[offset] = 5;
        repair(&mut bytes);
        let expected = format!("expected zero padding, found 0x05 at offset {offset}");
        assert_eq!(message(&bytes), expected);
    }
    let mut bare = encode(&FORMAT, &(), &[]).unwrap();
    bare[63] = 1;
    repair(&mut bare);
    let error = dnn_store::decode::<()>(&FORMAT, &bare).unwrap_err();
    assert_eq!(error.to_string(), "expected zero padding, found 0x01 at offset 63");
}

#[test]
fn each_field_of_the_header_has_its_own_message() {
    let with = |offset: usize, value: u8| {
        let mut bytes = sample();
        bytes[offset] = value;
        repair(&mut bytes);
        bytes
    };
    assert_eq!(
        message(&with(8, 2)),
        "expected test file version 1.x, which this build reads, found 2.0; a newer version of dnn \
         wrote it: read it with that one"
    );
    assert_eq!(
        message(&with(8, 0)),
        "expected test file version 1.x, which this build reads, found 0.0"
    );
    assert_eq!(message(&with(12, 9)), "expected metadata codec 1, found 9");
    assert_eq!(message(&with(13, 4)), "expected no flags, found 0b00000100");
    assert_eq!(
        message(&with(0, b'X')),
        "expected a test file starting with \"DNNTEST\\x00\", \
         found another kind of file starting with \"XNNTEST\\x00\""
    );
    assert_eq!(message(b"DNN"), "expected a test file of at least 62 bytes, found 3 bytes");
    let mut damaged = sample();
    *damaged.last_mut().unwrap() ^= 1;
    let error = message(&damaged);
    assert!(
        error.starts_with("the file is damaged: expected sha256 ") && error.contains(", found "),
        "{error}"
    );
}

#[test]
fn a_newer_minor_version_is_read() {
    let newer = Format { minor: 7, ..FORMAT };
    let bytes = encode(&newer, &crate::common::content(), &crate::common::tensors()).unwrap();
    let container = dnn_store::decode::<crate::common::Content>(&FORMAT, &bytes).unwrap();
    assert_eq!(container.minor, 7);
    assert_eq!(container.content, crate::common::content());
}

#[test]
fn the_version_of_a_file_is_known_whatever_it_is() {
    let newer = Format { major: 3, minor: 7, ..FORMAT };
    let bytes = encode(&newer, &(), &[]).unwrap();
    assert_eq!(FORMAT.version_of(&bytes).unwrap(), Version { major: 3, minor: 7 });
    assert!(matches!(FORMAT.version_of(&bytes[..61]), Err(StoreError::TooShort { .. })));
    let other = Format { magic: *b"ANOTHER\0", ..FORMAT };
    assert!(matches!(other.version_of(&bytes), Err(StoreError::WrongMagic { .. })));
}

#[test]
fn a_record_is_read_wholly_as_what_it_is_or_not_at_all() {
    let record = Record::new("rate", &(0.5_f64, 7_u8)).unwrap();
    let other = Record::new("of another kind", &"nobody here reads this").unwrap();
    // Behind a record that nobody reads the next one is what it was.
    let records = vec![other, record.clone()];
    let bytes = encode(&FORMAT, &records, &[]).unwrap();
    let read = dnn_store::decode::<Vec<Record>>(&FORMAT, &bytes).unwrap().content;
    assert_eq!(read, records);
    assert_eq!(read[1].read::<(f64, u8)>().unwrap(), (0.5, 7));
    let error = |outcome: Result<(), StoreError>| outcome.unwrap_err().to_string();
    assert_eq!(error(record.read::<f64>().map(drop)), "expected 8 bytes of metadata, found 9");
    assert!(error(record.read::<[f64; 2]>().map(drop)).contains("cannot decode the metadata"));
    // A length beyond the bytes that are there.
    let (metadata, _) = parts(&bytes);
    let at = metadata.windows(5).position(|it| it == b"\x04rate").unwrap() + 5;
    assert_eq!(metadata[at], 9);
    for length in [10, 250] {
        let mut forged = metadata.clone();
        forged[at] = length;
        let forged = rebuild(&forged, &[]);
        assert!(dnn_store::decode::<Vec<Record>>(&FORMAT, &forged).is_err(), "{length}");
    }
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let write = |name, dims: &[usize], values: &[f32]| {
        let values = Values::new(values);
        let tensors = [
            Tensor { name: "a", dims: &[1], values: Values::U8(&[1]) },
            Tensor { name, dims, values },
        ];
        encode(&FORMAT, &(), &tensors).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(write("w", &[2], &[1.0, 2.0]), Ok(()));
    let error = write("w", &[2], &[1.0]).unwrap_err();
    assert_eq!(error, "bad tensor \"w\": expected 2 values by dimensions [2], found 1");
    assert!(write("a", &[1], &[1.0]).unwrap_err().contains("unique names"));
    assert!(write("w", &[0], &[]).unwrap_err().contains("found 0 on axis 0"));
    assert!(write("w", &[usize::MAX, 2], &[1.0]).unwrap_err().contains("do not fit"));
    let error = write("w", &[2], &[0.0, f32::NEG_INFINITY]).unwrap_err();
    assert_eq!(error, "expected finite values in tensor \"w\", found -inf at index 1");
    assert!(write("w", &[1], &[f32::NAN]).unwrap_err().contains("NaN at index 0"));
}

#[test]
fn asking_for_the_wrong_tensor_says_what_there_is() {
    let bytes = sample();
    let container = dnn_store::decode::<crate::common::Content>(&FORMAT, &bytes).unwrap();
    let missing = container.tensor("bias").unwrap_err().to_string();
    assert_eq!(missing, "expected a tensor \"bias\", found pixels, w, b, rate");
    let wrong = container.tensor("w").unwrap().to_vec::<f64>().unwrap_err().to_string();
    assert_eq!(wrong, "expected f64 values in tensor \"w\", found f32");
}
