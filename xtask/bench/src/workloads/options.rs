//! What the command line asks for.

use std::path::PathBuf;

use xtask::cargo::quoted;

/// How this program is called, built as it is.
const PROGRAM: &str = if cfg!(feature = "turbojpeg") {
    "cargo run --release -p dnn-bench --features turbojpeg --"
} else {
    "cargo xtask bench"
};

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Small shapes and few rounds: whether it runs, not how fast.
    pub quick: bool,
    /// Whether other software takes part.
    pub peers: bool,
    /// The `bench-worker` of another checkout, which takes its turns beside ours.
    pub against: Option<PathBuf>,
    /// Pictures to load, in place of photographs that are made.
    pub data: Option<PathBuf>,
    /// The words after the options.
    pub words: Vec<String>,
}

impl Options {
    /// The command line that asks for this.
    pub fn command(&self) -> String {
        let mut words = vec![PROGRAM.to_owned()];
        words.extend(self.quick.then(|| "--quick".to_owned()));
        words.extend(self.peers.then(|| "--peers".to_owned()));
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().display().to_string();
        words.extend(self.against.as_ref().map(|_| "--against WORKER".to_owned()));
        words.extend(self.data.as_ref().map(|path| format!("--data {}", quoted(&name(path)))));
        words.extend(self.words.iter().map(|word| quoted(word)));
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_into_a_shell_and_names_no_place() {
        let options = Options {
            quick: true,
            peers: true,
            against: Some("/elsewhere/bench-worker".into()),
            data: Some("/somewhere/my pictures".into()),
            words: vec!["w1a".to_owned(), "batch 1".to_owned()],
        };
        let expected = format!(
            "{PROGRAM} --quick --peers --against WORKER --data 'my pictures' w1a 'batch 1'"
        );
        assert_eq!(options.command(), expected);
        assert_eq!(Options::default().command(), PROGRAM);
    }
}
