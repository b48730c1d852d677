//! Printing for examples whose output may be piped to `head`.

/// As `println!`, but ends the program in peace when the reader has seen enough.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        if writeln!(std::io::stdout(), $($text)*).is_err() {
            std::process::exit(0);
        }
    }};
}
