//! The peers' Python: an environment of its own in the target folder, and what is in it.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::entrants::Program;

/// The packages, by the names of `import` and of `pip install`.
const PACKAGES: [(&str, &str); 10] = [
    ("numpy", "numpy"),
    ("sklearn", "scikit-learn"),
    ("jax", "jax"),
    ("onnx", "onnx"),
    ("onnxruntime", "onnxruntime"),
    ("PIL", "pillow"),
    ("cv2", "opencv-python-headless"),
    ("torch", "torch"),
    ("keras", "keras"),
    ("tensorflow", "tensorflow-cpu"),
];
/// What PyTorch needs of pure Python, so that it can be tried without what it has for graphics cards.
const TORCH_NEEDS: [&str; 6] =
    ["typing-extensions", "sympy", "networkx", "jinja2", "fsspec", "filelock"];

/// A Python and what could be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// The program.
    pub path: PathBuf,
    /// The version of each package that is there, and of Python itself.
    pub versions: BTreeMap<String, String>,
    /// What did not install.
    pub missing: Vec<String>,
    threads: usize,
}

impl Python {
    /// `DNN_PYTHON` as it is, else the environment below `folder`, made and filled if need be.
    ///
    /// # Errors
    /// If there is no Python to make it with. A package that does not install is only missing.
    pub fn ready(folder: &Path, threads: usize) -> Result<Self> {
        let given = env::var_os("DNN_PYTHON").map(PathBuf::from);
        let path = given.clone().unwrap_or_else(|| {
            folder.join(if cfg!(windows) {
                "python/Scripts/python.exe"
            } else {
                "python/bin/python"
            })
        });
        if !path.exists() {
            let python = if cfg!(windows) { "python" } else { "python3" };
            let status = Command::new(python)
                .args(["-m", "venv"])
                .arg(folder.join("python"))
                .stdout(Stdio::null())
                .status()
                .with_context(|| format!("cannot start {python}, which the peers need"))?;
            ensure!(status.success(), "`{python} -m venv` failed with {status}");
        }
        let mut python = Self { path, versions: BTreeMap::new(), missing: Vec::new(), threads };
        python.look()?;
        if given.is_none() && !python.missing.is_empty() {
            for package in std::mem::take(&mut python.missing) {
                python.install(&package);
            }
            python.look()?;
        }
        Ok(python)
    }

    /// Installs a package, if it can be had.
    fn install(&self, package: &str) {
        if package != "torch" {
            self.pip(&["install", package]);
            return;
        }
        // The package for Linux brings several gigabytes for graphics cards, and may do without.
        self.pip(&[&["install"], &TORCH_NEEDS[..]].concat());
        self.pip(&["install", "--no-deps", package]);
        if !self.runs("import torch") {
            self.pip(&["install", package]);
        }
    }

    fn pip(&self, words: &[&str]) -> bool {
        let status = Command::new(&self.path)
            .args(["-m", "pip", "--quiet", "--disable-pip-version-check"])
            .args(words)
            .stdout(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }

    fn runs(&self, code: &str) -> bool {
        let status = Command::new(&self.path)
            .args(["-c", code])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }

    /// Sees what is there.
    fn look(&mut self) -> Result<()> {
        const CODE: &str = "
import importlib.metadata, importlib.util, platform, sys
print('python', platform.python_version())
for pair in sys.argv[1:]:
    module, package = pair.split('=')
    try:
        found = importlib.util.find_spec(module) and importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        found = 'unknown'
    print(package, found or '')
";
        let pairs = PACKAGES.map(|(module, package)| format!("{module}={package}"));
        let output = Command::new(&self.path)
            .args(["-c", CODE])
            .args(pairs)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        ensure!(output.status.success(), "{} failed: {}", self.path.display(), output.status);
        (self.versions, self.missing) = parse_versions(&String::from_utf8_lossy(&output.stdout));
        Ok(())
    }

    /// A driver with these arguments, on as many threads as ours.
    pub fn driver(&self, name: &str, script: &Path, arguments: &[&Path]) -> Program {
        let threads = Some(self.threads.to_string());
        Program {
            name: name.to_owned(),
            path: self.path.clone(),
            arguments: [script].iter().chain(arguments).map(|word| (*word).into()).collect(),
            environment: vec![
                ("OMP_NUM_THREADS", threads.clone()),
                ("OPENBLAS_NUM_THREADS", threads.clone()),
                ("MKL_NUM_THREADS", threads),
                ("JAX_PLATFORMS", Some("cpu".to_owned())),
                ("PYTHONWARNINGS", Some("ignore".to_owned())),
                ("PYTHONDONTWRITEBYTECODE", Some("1".to_owned())),
                // Where they are set for old builds, they make new ones slow.
                ("OPENBLAS_CORETYPE", None),
                ("OPENBLAS_L2_SIZE", None),
            ],
        }
    }
}

/// The packages with a version, and those without, one `package version` a line.
fn parse_versions(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
    for (package, version) in text.lines().filter_map(|line| line.split_once(' ')) {
        if version.is_empty() {
            missing.push(package.to_owned());
        } else {
            found.insert(package.to_owned(), version.to_owned());
        }
    }
    (found, missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_there_or_missing() {
        let (found, missing) = parse_versions("python 3.1\nnumpy 2.4.6\ntorch \n");
        assert_eq!(found["numpy"], "2.4.6");
        assert_eq!(found.len(), 2);
        assert_eq!(missing, ["torch"]);
    }

    #[test]
    fn a_driver_has_our_number_of_threads() {
        let python = Python {
            path: "python".into(),
            versions: BTreeMap::new(),
            missing: Vec::new(),
            threads: 3,
        };
        let program = python.driver("jax", Path::new("serve.py"), &[Path::new("jax")]);
        assert_eq!(program.arguments, ["serve.py", "jax"]);
        assert!(program.environment.contains(&("OMP_NUM_THREADS", Some("3".to_owned()))));
        assert!(program.environment.contains(&("OPENBLAS_CORETYPE", None)));
    }
}
