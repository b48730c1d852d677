//! How a file looked, so that a change is seen without reading it.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Two changes of a file within this time may leave it with one time stamp.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// Size and times of a file; all zero where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    bytes: u64,
    /// When the content changed, in nanoseconds since 1970; anybody may set it back.
    modified: u64,
    /// When the content, the name or the rights changed, by the system's own clock; 0 where the
    /// system does not say.
    changed: i64,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let Ok(metadata) = fs::metadata(path) else { return Self::default() };
        Self {
            bytes: metadata.len(),
            modified: metadata.modified().map_or(0, since_1970),
            changed: changed(&metadata),
        }
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

/// In nanoseconds.
pub(super) fn since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
