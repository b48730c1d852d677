//! Our side of a measurement, as a process: see `dnn_bench::worker`.
//!
//! Without arguments it obeys the lines on its standard input, as it does with `bf16`, but trains in that alone. `bench-worker once JOB` does the job in that
//! file once and says in one line of JSON what that took; `bench-worker bits JOB` says which bits it ended
//! in; `bench-worker spin` keeps a processor busy until its standard input ends.

use std::io::{BufReader, Write, stdin, stdout};
use std::path::Path;

use anyhow::{Result, bail};
use dnn_bench::worker::{Job, Link, bits, once, serve, serve_in_bf16, spin};
use serde::Serialize;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => serve(Link { input: BufReader::new(stdin()), output: stdout() }),
        ["bf16"] => serve_in_bf16(Link { input: BufReader::new(stdin()), output: stdout() }),
        ["once", path] => say(&once(&Job::read(Path::new(path))?)?),
        ["bits", path] => say(&bits(&Job::read(Path::new(path))?)?),
        ["spin"] => spin(stdin(), stdout()),
        _ => bail!("usage: bench-worker [bf16 | once JOB | bits JOB | spin]"),
    }
}

fn say(found: &impl Serialize) -> Result<()> {
    writeln!(stdout(), "{}", serde_json::to_string(found)?)?;
    Ok(())
}
