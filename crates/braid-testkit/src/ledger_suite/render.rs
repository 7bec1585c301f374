//! A collection's whole state as text.

use std::fmt::Write;

use braid_core::{Collection, Ledger, Sequence};

use super::scene::visible;

/// Writes everything a caller can see of a collection, one fact a line.
pub async fn render(ledger: &dyn Ledger, collection: &Collection) -> String {
    let id = collection.id;
    let mut text = String::new();
    let found = ledger.collection(&collection.name).await.unwrap();
    writeln!(text, "{found:?}").unwrap();
    writeln!(text, "{:?}", ledger.stats(id).await.unwrap()).unwrap();
    let mut cursor = None;
    loop {
        let page = ledger.documents(id, cursor.as_deref(), 3).await.unwrap();
        for summary in page.items {
            let document = ledger.document(id, &summary.id).await.unwrap().unwrap();
            assert_eq!(document.summary, summary);
            writeln!(text, "{summary:?} {:?}", document.text).unwrap();
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let log = ledger.operations(id, Sequence::ZERO, usize::MAX);
    for operation in log.await.unwrap() {
        writeln!(text, "{operation:?}").unwrap();
    }
    let failed = ledger.failed_documents(id, None, usize::MAX);
    for failed in failed.await.unwrap().items {
        writeln!(text, "{failed:?}").unwrap();
    }
    let jobs = ledger.jobs(Some(id), None, usize::MAX);
    for job in jobs.await.unwrap().items {
        writeln!(text, "{:?}", ledger.job(job.id).await.unwrap()).unwrap();
    }
    writeln!(text, "live {:?}", ledger.live_slots(id).await.unwrap()).unwrap();
    let expected = ledger.expected_slots(id).await.unwrap();
    writeln!(text, "expected {expected:?}").unwrap();
    let pin = ledger.pin(&collection.name).await.unwrap();
    writeln!(text, "{:#?}", visible(&*pin, None).await).unwrap();
    text
}
