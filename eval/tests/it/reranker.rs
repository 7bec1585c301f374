//! The training tool's tests that need no packages beyond Python's standard library.

use std::path::Path;
use std::process::Command;

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn the_training_tool_passes_its_own_tests() {
    // The recipe is TOML, which Python reads from 3.11 on.
    let python = Command::new("python3")
        .args(["-c", "import tomllib"])
        .output();
    if !python.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3 is missing or older than 3.11");
        return;
    }
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("reranker");
    let output = Command::new("python3")
        .args(["-m", "unittest", "tests.test_labels", "tests.test_ranking"])
        .current_dir(tool)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Ran "), "no test ran: {said}");
}
