use std::cell::RefCell;
use std::sync::Arc;

use braid_core::LexicalIndex;
use braid_lexical::LexicalOptions;
use braid_testkit::{lexical_durability_suite, lexical_suite};

use crate::open;

#[tokio::test]
async fn passes_the_suite() {
    let directories = RefCell::new(Vec::new());
    lexical_suite(&|| {
        let directory = tempfile::tempdir().unwrap();
        let index = open(directory.path(), LexicalOptions::default()).unwrap();
        directories.borrow_mut().push(directory);
        index
    })
    .await;
}

#[tokio::test]
async fn keeps_what_was_applied() {
    let directory = tempfile::tempdir().unwrap();
    lexical_durability_suite(&|| -> Arc<dyn LexicalIndex> {
        open(directory.path(), LexicalOptions::default()).unwrap()
    })
    .await;
}
