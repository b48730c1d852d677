//! A process that is busy: what else runs on a machine that is not idle.

use std::hint::black_box;
use std::io::{Read, Write, copy, sink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use serde_json::json;

/// Says a line, and keeps one processor busy until its input ends, as it does when whoever started it is
/// gone.
///
/// # Errors
/// If the line cannot be said.
pub fn spin(mut input: impl Read + Send, mut output: impl Write) -> Result<()> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // An input that cannot be read is as good as one that ended.
            let _ = copy(&mut input, &mut sink());
            over.store(true, Ordering::Relaxed);
        });
        let said = writeln!(output, "{}", json!({ "busy": true })).and_then(|()| output.flush());
        let mut number = 1_u64;
        while said.is_ok() && !over.load(Ordering::Relaxed) {
            number = black_box(number).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        }
        said.context("cannot say that it is busy")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_its_input() {
        let mut output = Vec::new();
        spin(&b"some words\n"[..], &mut output).unwrap();
        assert_eq!(output, b"{\"busy\":true}\n");
    }
}
