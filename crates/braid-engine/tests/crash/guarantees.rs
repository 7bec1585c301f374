//! `docs/guarantees.md` names a test for each guarantee: they must exist.

use std::path::Path;

#[test]
fn every_test_that_the_guarantees_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/guarantees.md")).unwrap();
    let named = page.split('`').filter_map(|code| code.split_once(".rs::"));
    let mut count = 0;
    for (file, test) in named {
        count += 1;
        let file = format!("{file}.rs");
        let source = std::fs::read_to_string(root.join(&file));
        let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {test}(")), "{file}::{test}");
    }
    assert!(count > 30, "{count} tests are named");
}
