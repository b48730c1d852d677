//! Ctrl-C and its relatives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Notices the first SIGINT, SIGTERM or SIGHUP; a second SIGINT or SIGTERM ends the process at once.
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
        #[cfg(unix)]
        watch_terminal(&signal)?;
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

/// A terminal that is closed, or a connection that is lost, saves the run, too.
///
/// The kernel and the shell often send a SIGHUP each, and a session manager a SIGTERM after it. So it is
/// never the second signal, nor makes the next one the second.
#[cfg(unix)]
fn watch_terminal(signal: &Arc<AtomicUsize>) -> anyhow::Result<()> {
    use signal_hook::consts::SIGHUP;

    if is_ignored(SIGHUP) {
        return Ok(());
    }
    let plain = usize::try_from(SIGHUP).expect("signals are small numbers");
    flag::register_usize(SIGHUP, signal.clone(), plain)
        .context("cannot listen for the end of the terminal")?;
    Ok(())
}

/// Whether the process was started with a signal ignored, as `nohup` does, which stays so. Where the
/// system has no file to tell, nobody knows, and the answer is yes.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return true };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_none_or(|mask| mask >> (signal - 1) & 1 == 1)
}

/// A file that outgrows `ulimit -f` is an error of the write, as on a full disk: by itself SIGXFSZ would end
/// the process without a word, and leave half a file.
pub(crate) fn outlive_file_size_limit() {
    // Where it cannot be handled, the error of the write is missed, and nothing else.
    #[cfg(unix)]
    let _ = flag::register(signal_hook::consts::signal::SIGXFSZ, Arc::default());
}
