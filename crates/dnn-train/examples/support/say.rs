//! Printing for examples whose output may be piped to `head`.

/// As `println!`, but ends the program where the output cannot be written: in peace when the reader
/// has seen enough, otherwise as a failure.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        if let Err(error) = writeln!(std::io::stdout(), $($text)*) {
            let seen_enough = error.kind() == std::io::ErrorKind::BrokenPipe;
            std::process::exit(i32::from(!seen_enough));
        }
    }};
}
