//! Our side of a measurement, as a process: see `xtask::worker`.
//!
//! Without arguments it obeys the lines on its standard input; `bench-worker once JOB` does the job in
//! that file once and says in one line of JSON what that took.

use std::io::{BufReader, Write, stdin, stdout};
use std::path::Path;

use anyhow::{Result, bail};
use xtask::worker::{Job, Link, once, serve};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => serve(Link { input: BufReader::new(stdin()), output: stdout() }),
        ["once", path] => {
            let found = once(&Job::read(Path::new(path))?)?;
            writeln!(stdout(), "{}", serde_json::to_string(&found)?)?;
            Ok(())
        }
        _ => bail!("usage: bench-worker [once JOB]"),
    }
}
