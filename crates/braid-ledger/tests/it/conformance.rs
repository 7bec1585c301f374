//! The suite every ledger passes.

use std::sync::Arc;

use braid_ledger::LmdbLedger;
use braid_testkit::{LedgerSubject, ledger_durability_suite, ledger_suite};

use crate::{Clock, open};

#[tokio::test]
async fn passes_the_suite() {
    let fresh = || {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::default();
        let ledger = LmdbLedger::open(dir.path(), clock.options()).unwrap();
        LedgerSubject {
            work: None,
            ledger: Arc::new(ledger),
            advance_ms: Box::new(move |ms| clock.advance_ms(ms)),
            keep: Box::new(dir),
        }
    };
    ledger_suite(&fresh).await;
}

#[tokio::test]
async fn keeps_everything_over_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    ledger_durability_suite(&|| Arc::new(open(dir.path()))).await;
}
