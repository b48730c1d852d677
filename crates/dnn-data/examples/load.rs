//! Loads a folder of pictures at 64x64x3 and says in one line of JSON how long it took.
//!
//! ```console
//! $ cargo run --release -p dnn-data --example load -- FOLDER [CACHE]
//! ```
//!
//! With `CACHE`, a folder, decoded pictures are kept there and taken from there. `RAYON_NUM_THREADS`
//! sets the number of threads. `peak_bytes` is the most memory that was in use, where the system tells;
//! `decoder` is what decodes JPEG files in this build.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs, io};

use dnn_data::picture::{JPEG_DECODER, Preprocessing};
use dnn_data::{CacheUse, ImageShape, LoadOptions, load_pictures};

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args_os().skip(1).map(PathBuf::from);
    let folder = words.next().ok_or("expected a folder of pictures; usage: load FOLDER [CACHE]")?;
    let shape = ImageShape { height: 64, width: 64, channels: 3 };
    let mut options = LoadOptions::new(Preprocessing::stretch(shape));
    options.cache = words.next();
    let start = Instant::now();
    let loaded = load_pictures(&folder, &options)?;
    let seconds = start.elapsed().as_secs_f64();
    let from_cache = loaded.report.cache == CacheUse::Hit;
    let peak = peak_bytes().map_or_else(|| "null".to_owned(), |bytes| bytes.to_string());
    writeln!(
        io::stdout(),
        r#"{{"pictures": {}, "seconds": {seconds}, "peak_bytes": {peak}, "from_cache": {from_cache}, "decoder": "{JPEG_DECODER}"}}"#,
        loaded.report.used
    )?;
    Ok(())
}

/// The most memory this process had at once, as Linux tells it.
fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
