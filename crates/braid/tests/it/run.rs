//! Running `braid` in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// An empty working directory; data goes to `data` in it.
pub(crate) struct Place {
    directory: TempDir,
}

/// What a run of the binary came to.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that sees no settings of whoever runs the tests, but finds the library as they do.
pub(crate) fn braid(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_braid"));
    for (variable, _) in std::env::vars() {
        if variable.starts_with("BRAID_") && variable != "BRAID_ORT_LIB" {
            command.env_remove(variable);
        }
    }
    command.current_dir(directory);
    command
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file, its folders included.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = braid(self.path());
        command.args(arguments);
        command
    }

    pub(crate) fn braid(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// Runs what must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.braid(arguments);
        assert_eq!(
            ran.status, 0,
            "{arguments:?}: {} {}",
            ran.stdout, ran.stderr
        );
        ran.stdout
    }

    /// Runs with `--json` what ends with `status`.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str], status: i32) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let ran = self.braid(&arguments);
        assert_eq!(
            ran.status, status,
            "{arguments:?}: {} {}",
            ran.stdout, ran.stderr
        );
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Runs what must fail with `status`, print nothing, and say one line that contains `words`.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], status: i32, words: &[&str]) {
        self.braid(arguments).fails(status, words);
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    #[track_caller]
    pub(crate) fn fails(&self, status: i32, words: &[&str]) {
        let stderr = &self.stderr;
        assert_eq!(self.status, status, "{} {stderr}", self.stdout);
        assert_eq!(self.stdout, "");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("error: "), "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "no {word:?} in {stderr}");
        }
    }
}

/// Every file below `directory`, with its content. LMDB's table of readers is left out: it is of the
/// process, not of the data.
pub(crate) fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("lock.mdb") {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}
