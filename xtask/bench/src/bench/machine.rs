//! Where and with what a measurement was taken.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// What a timing depends on beside the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The processor's own name, where the system tells it.
    pub cpu: String,
    /// How many threads can run at once.
    pub cores: usize,
    /// Operating system and architecture.
    pub system: String,
    /// The compiler's version.
    pub rustc: String,
    /// The commit, and whether files differ from it.
    pub commit: String,
    /// Those vector instructions of the processor that matter here, where the system tells them.
    pub features: Vec<String>,
}

const UNKNOWN: &str = "unknown";

/// Vector instructions, as Linux names them.
const FEATURES: [&str; 9] = [
    "avx2",
    "fma",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "amx_int8",
    "asimd",
    "asimddp",
];

impl Machine {
    /// This machine; what cannot be found out is `unknown`.
    pub(crate) fn here() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").ok();
        let or_unknown = |found: Option<String>| found.unwrap_or_else(|| UNKNOWN.to_owned());
        Self {
            cpu: or_unknown(cpu.as_deref().and_then(cpu_model)),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            rustc: or_unknown(first_line("rustc", &["--version"])),
            commit: or_unknown(commit()),
            features: cpu.as_deref().map(cpu_features).unwrap_or_default(),
        }
    }
}

/// The processor's name in the text of `/proc/cpuinfo`.
fn cpu_model(text: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map(|(_, value)| value.trim().to_owned())
}

/// Those of [`FEATURES`] that the text of `/proc/cpuinfo` names, in that order.
fn cpu_features(text: &str) -> Vec<String> {
    let keys = ["flags", "Features"];
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let flags = lines.filter(|(key, _)| keys.contains(&key.trim())).map(|(_, value)| value).next();
    let words: Vec<&str> = flags.unwrap_or_default().split_whitespace().collect();
    let found = FEATURES.iter().filter(|feature| words.contains(feature));
    found.map(|feature| (*feature).to_owned()).collect()
}

fn commit() -> Option<String> {
    let commit = first_line("git", &["rev-parse", "HEAD"])?;
    let changed = first_line("git", &["status", "--porcelain"])?;
    let note = if changed.is_empty() { "" } else { " with local changes" };
    Some(commit + note)
}

/// The first line that a program prints, empty if it prints none; `None` if it fails.
fn first_line(program: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(words)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_where_the_text_names_it() {
        let text = "processor\t: 0\nmodel\t\t: 7\nmodel name\t: Some CPU @ 2.1GHz: B\n";
        assert_eq!(cpu_model(text).unwrap(), "Some CPU @ 2.1GHz: B");
        assert_eq!(cpu_model("processor\t: 0\n"), None);
        let text = "flags\t\t: fpu fma avx512f avx2 sse\nflags\t\t: fma\n";
        assert_eq!(cpu_features(text), ["avx2", "fma", "avx512f"]);
        assert!(cpu_features("").is_empty());
    }

    #[test]
    fn a_program_that_is_missing_or_fails_gives_nothing() {
        assert_eq!(first_line("no-such-program-anywhere", &[]), None);
        assert_eq!(first_line("git", &["no-such-command"]), None);
        assert!(Machine::here().rustc.starts_with("rustc "));
    }
}
