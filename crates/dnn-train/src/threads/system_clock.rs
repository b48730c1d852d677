//! The system's clock, for callers who hand it to a run.

use std::io::Read;
use std::time::{Duration, Instant};

use super::StepClock;

/// The time of the system, and what Linux tells of how long a thread waited for a processor.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use dnn_train::{SystemClock, Trainer};
///
/// // Beside other busy programs the run goes on with a single thread where that is faster.
/// let trainer = Trainer { clock: Some(Arc::new(SystemClock::start())), ..Trainer::default() };
/// # let _ = trainer;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl StepClock for SystemClock {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn waited(&self) -> Option<Duration> {
        // Time on a processor, time in wait of one, in nanoseconds, and turns.
        let mut text = [0; 96];
        let read = std::fs::File::open("/proc/thread-self/schedstat").ok()?.read(&mut text).ok()?;
        let text = std::str::from_utf8(&text[..read]).ok()?;
        text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
    }
}
