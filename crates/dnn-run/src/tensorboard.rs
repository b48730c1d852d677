//! The history as TensorBoard reads it: a file of records, each an `Event` message.
//!
//! A record is its length, a checksum of the length, the message, a checksum of the message
//! (`tensorflow/core/lib/io/record_writer.h`); the checksums are CRC-32C, rotated and shifted. Of the messages
//! (`tensorflow/core/util/event.proto`) only the few fields that scalars need are written.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dnn_train::{EpochRecord, Evaluation};

use crate::error::{Context as _, Result};

const PREFIX: &str = "events.out.tfevents.";

/// `tensorboard/events.out.tfevents.TIME.PID` in a run folder.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file, for a run that has made `step` steps: TensorBoard forgets what earlier files say of later
    /// ones. `now` is the time since 1970.
    pub(crate) fn create(run: &Path, step: u64, now: Duration) -> Result<Self> {
        let folder = run.join("tensorboard");
        dnn_store::check_own_folder(&folder)?;
        dnn_store::create_folder(&folder)?;
        // TensorBoard reads files by name: this one comes last, whatever the clock says.
        let latest =
            latest_time(&folder).context(|| format!("cannot read {}", folder.display()))?;
        let time = now.as_secs().max(latest.saturating_add(1));
        let path = folder.join(format!("{PREFIX}{time:010}.{}", std::process::id()));
        let file = File::create_new(&path);
        let file = file.context(|| format!("cannot write {}", path.display()))?;
        let mut events = Self { path, file };
        events.write(event(now, 0, bytes_field(3, b"brain.Event:2")))?;
        // SessionLog { status: START }; at step 0, too: a run may have been killed before its first checkpoint.
        events.write(event(now, step + 1, bytes_field(7, &varint_field(1, 1))))?;
        Ok(events)
    }

    /// The numbers of an epoch, at its last step; `now` is the time since 1970.
    pub(crate) fn append(&mut self, record: &EpochRecord, now: Duration) -> Result<()> {
        let validation = record.validation.as_ref();
        let scalars = [
            ("cost/training", Some(record.cost)),
            ("cost/validation", validation.map(|part| part.cost)),
            ("accuracy/training", record.accuracy),
            ("accuracy/validation", validation.and_then(Evaluation::accuracy)),
            ("learning rate", Some(record.learning_rate)),
        ];
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let Some(value) = value else { continue };
            let mut scalar = bytes_field(1, tag.as_bytes());
            // Fixed 32 bits of field 2. TensorBoard keeps no more.
            scalar.push(2 << 3 | 5);
            #[expect(clippy::cast_possible_truncation, reason = "the format has single precision")]
            scalar.extend((value as f32).to_le_bytes());
            summary.extend(bytes_field(1, &scalar));
        }
        self.write(event(now, record.step, bytes_field(5, &summary)))
    }

    fn write(&mut self, message: Vec<u8>) -> Result<()> {
        let length = (message.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_checksum(&length).to_le_bytes());
        record.extend(&message);
        record.extend(masked_checksum(&message).to_le_bytes());
        self.file.write_all(&record).context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The time in the name of the last file of events that is there; 0 if there is none.
fn latest_time(folder: &Path) -> io::Result<u64> {
    let mut latest = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let time = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split('.').next()?.parse::<u64>().ok());
        latest = latest.max(time.unwrap_or(0));
    }
    Ok(latest)
}

/// An `Event` of this step with one more field.
fn event(now: Duration, step: u64, field: Vec<u8>) -> Vec<u8> {
    let mut message = vec![1 << 3 | 1];
    message.extend(now.as_secs_f64().to_le_bytes());
    message.extend(varint_field(2, step));
    message.extend(field);
    message
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

fn varint_field(number: u8, value: u64) -> Vec<u8> {
    let mut field = vec![number << 3];
    field.extend(varint(value));
    field
}

fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    field.extend(varint(bytes.len() as u64));
    field.extend(bytes);
    field
}

fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_framed_as_tensorflow_frames_them() {
        // A file that TensorFlow wrote begins with these: 24 bytes of message.
        let length = 24_u64.to_le_bytes();
        assert_eq!(masked_checksum(&length).to_le_bytes(), [0xa3, 0x7f, 0x4b, 0x22]);
        // The check value of CRC-32C.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(varint(300), [0xac, 0x02]);
        assert_eq!(varint_field(2, 1), [0x10, 0x01]);
        assert_eq!(bytes_field(3, b"ab"), [0x1a, 2, b'a', b'b']);
    }
}
