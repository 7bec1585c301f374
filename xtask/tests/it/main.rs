//! `cargo xtask tidy` as a person runs it, on a planted workspace; and the deployment files.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be planted fails the test"
)]

mod deploy;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const MANIFEST: &str = "[package]\nname = \"braid-core\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
    [lints]\nworkspace = true\n\n[dependencies]\nbraid-engine = { path = \"../engine\" }\n";

fn plant(root: &Path) {
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"core\", \"engine\"]\n\n[workspace.lints]\n",
    );
    write("core/Cargo.toml", MANIFEST);
    write("core/src/lib.rs", "//! Core.\n");
    let engine = MANIFEST.split("[dependencies]").next().unwrap();
    write(
        "engine/Cargo.toml",
        &engine.replace("braid-core", "braid-engine"),
    );
    write("engine/src/lib.rs", "pub fn a() {}\n");
}

fn run(root: &Path, program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}"))
}

#[test]
fn tidy_lists_each_violation_and_exits_with_1() {
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("skipped: git is not installed, so tidy has no list of tracked files");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    plant(root.path());
    assert!(run(root.path(), "git", &["init", "-q"]).status.success());
    assert!(run(root.path(), "git", &["add", "."]).status.success());

    let output = run(root.path(), env!("CARGO_BIN_EXE_xtask"), &["tidy"]);

    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let expected = [
        "LICENSE: required-file: commit it",
        "braid-core: layers: layer 0 cannot depend on braid-engine of layer 4; \
         go through a port of braid-core",
        "engine/src/lib.rs: crate-doc: open with `//!`: what the crate is, what it never does, \
         where to start",
    ];
    for line in expected {
        assert!(
            lines.lines().any(|found| found == line),
            "{line} not in\n{lines}"
        );
    }
}
