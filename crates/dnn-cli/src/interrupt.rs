//! Ctrl-C and its relatives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Notices the first SIGINT or SIGTERM; the second one ends the process at once.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// From now on.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        let (armed, signal) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for number in [SIGINT, SIGTERM] {
            let plain = usize::try_from(number).expect("signals are small numbers");
            // In this order: only what comes after the first is the second.
            flag::register_conditional_shutdown(number, exit_code(number), armed.clone())
                .and_then(|_| flag::register(number, armed.clone()))
                .and_then(|_| flag::register_usize(number, signal.clone(), plain))
                .context("cannot listen for Ctrl-C")?;
        }
        Ok(Self { signal })
    }

    /// The exit code that the signal that came asks for, if one came.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            number => Some(exit_code(i32::try_from(number).expect("it was one before"))),
        }
    }
}

/// As shells have it.
fn exit_code(signal: i32) -> i32 {
    128 + signal
}
