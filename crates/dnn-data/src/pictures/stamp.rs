//! How a file looked, so that a change is seen without reading it.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Two changes of a file within this time may leave it with one time stamp.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// Size, times and identity of a file; all zero or absent where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    bytes: u64,
    /// When the content changed, in nanoseconds since 1970; anybody may set it back.
    modified: u64,
    /// When the content, the name or the rights changed, by the system's own clock; 0 where the
    /// system does not say.
    changed: i64,
    /// Device and number of the file on it; `None` where the system does not say. A file that is moved to
    /// another name keeps its size and times, and so do those of a folder that is renamed: this tells
    /// which of two such files lies at a path.
    identity: Option<(u64, u64)>,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let Ok(metadata) = fs::metadata(path) else { return Self::default() };
        Self {
            bytes: metadata.len(),
            modified: metadata.modified().map_or(0, since_1970),
            changed: changed(&metadata),
            identity: identity(&metadata),
        }
    }

    /// Whether nothing speaks against this being the file that had the stamp `other`. Devices get other
    /// numbers when they are mounted again, so that identity proves a file to be the same, but not to be
    /// another one.
    pub(super) fn may_be(&self, other: &Self) -> bool {
        Self { identity: None, ..*self } == Self { identity: None, ..*other }
    }

    /// Whether this is for certain the file that had the stamp `other`.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        self.identity.is_some() && self.identity == other.identity
    }

    /// The stamp that the same file has when its device got another number.
    #[cfg(all(test, unix))]
    pub(super) fn on_another_device(self) -> Self {
        Self { identity: self.identity.map(|(device, file)| (device ^ 1, file)), ..self }
    }

    /// Whether the file may have changed again after `looked`, in nanoseconds since 1970, and still
    /// have this stamp.
    pub(super) fn is_fresh(&self, looked: u64) -> bool {
        let step = u64::try_from(CLOCK_STEP.as_nanos()).unwrap_or(u64::MAX);
        let latest = self.modified.max(u64::try_from(self.changed).unwrap_or(0));
        latest.saturating_add(step) >= looked
    }
}

#[cfg(unix)]
fn changed(metadata: &fs::Metadata) -> i64 {
    use std::os::unix::fs::MetadataExt as _;

    metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn changed(_: &fs::Metadata) -> i64 {
    0
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems do not say")]
fn identity(metadata: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;

    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> Option<(u64, u64)> {
    None
}

/// In nanoseconds.
pub(super) fn since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
