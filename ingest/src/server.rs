//! Ingesting into a running server: bulk requests, each a durable job that is followed to its end.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use braid_core::{
    CollectionName, Error, ErrorCode, Format, MetadataValue, NewDocument, Origin, Result,
};
use braid_engine::source;
use braid_engine::{SourceStep, read_ahead};
use serde_json::{Map, Value, json};

use crate::args::{IngestArgs, Sources};
use crate::known::ServerTexts;
use crate::progress::Bars;
use crate::remote::{Answer, Remote, segment};
use crate::report::{DuplicateDocument, IngestReport};
use crate::sync::{Present, refuse_to_empty};

/// Documents in one request.
const BATCH_DOCUMENTS: usize = 100;
/// Bytes of text in one request, well below the default body limit.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Jobs that are waited for before another batch is sent: bounds what the server has to do.
const MOST_JOBS: usize = 8;
/// Looks at a job between two looks at whether the server's indexing goes on at all.
const LOOKS_BETWEEN_HEALTH: u32 = 15;

pub(crate) async fn ingest(
    args: &IngestArgs,
    sources: &Sources,
    remote: Remote,
) -> Result<IngestReport> {
    let known = ServerTexts::new(remote.clone(), documents_path(&args.collection));
    let documents = source::open(&sources.paths, &sources.knowing(known))?;
    let bars = Bars::new(source::total_bytes(&sources.paths, &sources.options)?);
    let mut steps = read_ahead(documents);
    let (args, rest) = (args.clone(), tokio::runtime::Handle::current());
    // The client blocks: the whole conversation has a thread of its own.
    let conversation = tokio::task::spawn_blocking(move || {
        let mut upload = Upload::begin(args, remote, bars)?;
        while let Some(step) = rest.block_on(steps.recv()) {
            upload.take(step)?;
        }
        upload.finish()
    });
    conversation
        .await
        .map_err(|error| Error::internal("upload stopped").with_source(error))?
}

struct Upload {
    args: IngestArgs,
    remote: Remote,
    bars: Bars,
    start: Instant,
    report: IngestReport,
    present: Present,
    batch: Vec<Value>,
    batch_bytes: usize,
    jobs: VecDeque<Sent>,
    /// What `--sync` deleted.
    gone: HashSet<String>,
}

/// A job the server works on.
struct Sent {
    job: String,
    documents: u64,
}

impl Upload {
    fn begin(args: IngestArgs, remote: Remote, bars: Bars) -> Result<Self> {
        remote
            .put(&collection_path(&args.collection), &json!({}))
            .or_else(ignore_other_settings)?;
        let collection = args.collection.as_str().to_owned();
        Ok(Self {
            args,
            remote,
            bars,
            start: Instant::now(),
            report: IngestReport {
                collection,
                ..IngestReport::default()
            },
            present: Present::default(),
            batch: Vec::new(),
            batch_bytes: 0,
            jobs: VecDeque::new(),
            gone: HashSet::new(),
        })
    }

    fn take(&mut self, step: SourceStep) -> Result<()> {
        let item = match step {
            SourceStep::Skipped(skipped) => {
                self.report.skipped = skipped;
                return Ok(());
            }
            SourceStep::Item(item) => *item,
        };
        match item {
            Ok(found) => {
                self.bars.reading.inc(found.bytes);
                self.present
                    .document(found.document.id.as_str(), &found.name);
                self.batch_bytes += found.document.text.len();
                self.batch.push(document_json(found.document));
            }
            Err(failure) => {
                self.bars.reading.inc(failure.bytes);
                self.present.failure(&failure);
                self.report.unread(failure);
            }
        }
        if self.batch.len() >= BATCH_DOCUMENTS || self.batch_bytes >= BATCH_BYTES {
            self.send()?;
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        self.send_documents(batch)
    }

    /// Sends documents in one request; in two where the server finds one too large.
    fn send_documents(&mut self, mut documents: Vec<Value>) -> Result<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let count = documents.len();
        let body = json!({ "documents": documents });
        match self.start_job(&documents_path(&self.args.collection), &body, count) {
            Err(error) if error.code() == ErrorCode::TooLarge && count == 1 => {
                let id = text(&documents[0], "id")?.to_owned();
                let place = self.present.place(&id);
                self.report.fail(&id, place, error.message());
                Ok(())
            }
            Err(error) if error.code() == ErrorCode::TooLarge => {
                drop(body);
                let second = documents.split_off(count / 2);
                self.send_documents(documents)?;
                self.send_documents(second)
            }
            sent => sent,
        }
    }

    fn start_job(&mut self, path: &str, body: &Value, documents: usize) -> Result<()> {
        let answer = self.remote.post_patiently(path, body)?;
        let documents = documents as u64;
        self.jobs.push_back(Sent {
            job: text(&answer.body, "job_id")?.to_owned(),
            documents,
        });
        self.bars.indexing.inc_length(documents);
        if self.jobs.len() >= MOST_JOBS {
            self.settle_oldest()
        } else {
            Ok(())
        }
    }

    /// Follows the oldest job to its end.
    fn settle_oldest(&mut self) -> Result<()> {
        let Some(sent) = self.jobs.pop_front() else {
            return Ok(());
        };
        let (mut shown, mut looks) = (0, 0_u32);
        let job = self.remote.follow_job(&sent.job, &mut |job| {
            let settled = sent.documents.saturating_sub(pending(job)?);
            self.bars.indexing.inc(settled.saturating_sub(shown));
            shown = settled.max(shown);
            looks += 1;
            if looks.is_multiple_of(LOOKS_BETWEEN_HEALTH) {
                // A server that does not answer now is waited for by the next look.
                if let Ok(ready) = self.remote.get("/readyz") {
                    refuse_to_wait(&ready.body, &self.args.collection)?;
                }
            }
            Ok(())
        })?;
        count(&mut self.report, &self.present, &job)
    }

    fn finish(mut self) -> Result<IngestReport> {
        self.send()?;
        if self.args.sync {
            refuse_to_empty(&self.present, self.report.failed.len())?;
            self.delete_gone()?;
        }
        while !self.jobs.is_empty() {
            self.settle_oldest()?;
        }
        self.report.forget_duplicates_of(&self.gone);
        self.report.seconds = self.start.elapsed().as_secs_f64();
        Ok(self.report)
    }

    fn delete_gone(&mut self) -> Result<()> {
        let base = documents_path(&self.args.collection);
        let mut gone = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let query = cursor.map_or_else(String::new, |at| format!("&cursor={}", segment(&at)));
            let page = self
                .remote
                .get_patiently(&format!("{base}?limit=1000{query}"))?
                .body;
            let documents = page
                .get("documents")
                .and_then(Value::as_array)
                .ok_or_else(|| unexpected("documents"))?;
            for document in documents {
                let id = text(document, "id")?;
                match self.present.is_gone(id) {
                    Ok(true) => gone.push(id.to_owned()),
                    Ok(false) => {}
                    Err(name) => {
                        self.report.deleted_nothing(name);
                        return Ok(());
                    }
                }
            }
            cursor = page
                .get("next_cursor")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        for ids in gone.chunks(1000) {
            self.start_job(&format!("{base}/delete"), &json!({ "ids": ids }), ids.len())?;
        }
        self.gone.extend(gone);
        Ok(())
    }
}

/// Documents of a job that are not settled.
fn pending(job: &Value) -> Result<u64> {
    let pending = job.pointer("/counts/pending").and_then(Value::as_u64);
    pending.ok_or_else(|| unexpected("counts"))
}

/// Counts what a job did.
fn count(report: &mut IngestReport, present: &Present, job: &Value) -> Result<()> {
    let items = job
        .get("items")
        .and_then(Value::as_array)
        .ok_or_else(|| unexpected("items"))?;
    for item in items {
        let duplicate = duplicate(item)?;
        let is_skipped = duplicate.as_ref().is_some_and(|it| it.skipped);
        report.duplicates.extend(duplicate);
        match text(item, "status")? {
            "skipped" if is_skipped => {}
            "indexed" => match text(item, "change")? {
                "created" => report.added += 1,
                "replaced" => report.replaced += 1,
                "deleted" => report.deleted += 1,
                _ => return Err(unexpected("change")),
            },
            "skipped" => report.unchanged += 1,
            status => {
                let id = text(item, "id")?;
                let reason = match status {
                    "cancelled" => "its job was cancelled",
                    _ => text(item, "reason").unwrap_or("no reason"),
                };
                report.fail(id, present.place(id), reason);
            }
        }
    }
    Ok(())
}

/// The document that a job's document is a duplicate of.
fn duplicate(item: &Value) -> Result<Option<DuplicateDocument>> {
    let Some(found) = item.get("duplicate").filter(|it| !it.is_null()) else {
        return Ok(None);
    };
    let similarity = found.get("similarity").and_then(Value::as_f64);
    Ok(Some(DuplicateDocument {
        document: text(item, "id")?.to_owned(),
        of: text(found, "of")?.to_owned(),
        similarity: similarity.ok_or_else(|| unexpected("similarity"))?,
        skipped: text(item, "status")? == "skipped",
    }))
}

/// A collection that exists with other settings is the one to write.
fn ignore_other_settings(error: Error) -> Result<Answer> {
    if error.code() == ErrorCode::CollectionExists {
        return Ok(Answer {
            status: 200,
            body: Value::Null,
        });
    }
    Err(error)
}

fn collection_path(collection: &CollectionName) -> String {
    format!("/v1/collections/{}", segment(collection.as_str()))
}

fn documents_path(collection: &CollectionName) -> String {
    format!("{}/documents", collection_path(collection))
}

fn document_json(document: NewDocument) -> Value {
    let mut body = Map::new();
    body.insert("id".to_owned(), document.id.as_str().into());
    body.insert("text".to_owned(), document.text.into());
    let optional = [("title", document.title), ("uri", document.uri)];
    for (key, value) in optional {
        if let Some(value) = value {
            body.insert(key.to_owned(), value.into());
        }
    }
    if document.format != Format::default() {
        body.insert("format".to_owned(), document.format.as_str().into());
    }
    if !document.metadata.is_empty() {
        let fields = document.metadata.into_fields().into_iter();
        let fields: Map<String, Value> = fields
            .map(|(key, value)| (key, metadata_json(value)))
            .collect();
        body.insert("metadata".to_owned(), fields.into());
    }
    if let Some(Origin { hash, parser }) = document.origin {
        let origin = json!({"hash": hash.to_string(), "parser": parser});
        body.insert("origin".to_owned(), origin);
    }
    Value::Object(body)
}

fn metadata_json(value: MetadataValue) -> Value {
    match value {
        MetadataValue::String(text) => text.into(),
        MetadataValue::Number(number) => number.into(),
        MetadataValue::Bool(value) => value.into(),
        MetadataValue::Strings(texts) => texts.into(),
    }
}

/// Ends the wait for a job that cannot end: what was acknowledged is durable, and the server goes on
/// when what holds it is mended.
fn refuse_to_wait(readiness: &Value, collection: &CollectionName) -> Result<()> {
    let stalled = readiness.get("stalled").and_then(Value::as_array);
    let ours = stalled.into_iter().flatten().find(|stalled| {
        stalled.get("collection").and_then(Value::as_str) == Some(collection.as_str())
    });
    let Some(ours) = ours else {
        return Ok(());
    };
    let reason = ours
        .get("reason")
        .and_then(Value::as_str)
        .unwrap_or("no reason");
    let message = format!("the server cannot index {collection}: {reason}");
    Err(Error::new(ErrorCode::Unavailable, message)
        .with_help("what was sent is stored; mend the server and it will go on"))
}

fn text<'a>(body: &'a Value, key: &str) -> Result<&'a str> {
    body.get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| unexpected(key))
}

fn unexpected(key: &str) -> Error {
    Error::new(
        ErrorCode::Unavailable,
        format!("the server's answer has no {key:?}"),
    )
    .with_help("check that the server and this command have the same version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_counted_by_what_each_change_was() {
        let item = |id: &str, status: &str, change: Option<&str>, reason: Option<&str>| json!({"id": id, "status": status, "change": change, "reason": reason});
        let twin = json!({"of": "a", "similarity": 0.9});
        let job = json!({"items": [
            item("a", "indexed", Some("created"), None),
            item("b", "indexed", Some("replaced"), None),
            item("c", "indexed", Some("deleted"), None),
            item("d", "skipped", Some("unchanged"), None),
            item("e", "failed", Some("created"), Some("poison")),
            item("f", "rejected", None, Some("empty")),
            item("g", "cancelled", Some("created"), None),
            json!({"id": "h", "status": "skipped", "change": "duplicate", "duplicate": twin}),
        ]});
        let mut report = IngestReport::default();
        let mut present = Present::default();
        present.document("e", "docs/e");
        count(&mut report, &present, &job).unwrap();
        let counts = [
            report.added,
            report.replaced,
            report.deleted,
            report.unchanged,
        ];
        assert_eq!(counts, [1, 1, 1, 1]);
        assert_eq!(report.duplicates.len(), 1);
        assert!(report.duplicates[0].skipped);
        let failed: Vec<_> = report.failed.iter().map(|it| it.reason.as_str()).collect();
        assert_eq!(failed, ["poison", "empty", "its job was cancelled"]);
        let places: Vec<_> = report
            .failed
            .iter()
            .map(|it| it.document.as_str())
            .collect();
        assert_eq!(places, ["docs/e", "f", "g"]);
    }

    #[test]
    fn a_stalled_collection_ends_the_wait_with_its_reason() {
        let ours = CollectionName::new("ours").unwrap();
        let readiness = |name: &str| serde_json::json!({"stalled": [{"collection": name, "reason": "disk full"}]});
        assert!(refuse_to_wait(&readiness("other"), &ours).is_ok());
        assert!(refuse_to_wait(&serde_json::json!({"stalled": []}), &ours).is_ok());
        let error = refuse_to_wait(&readiness("ours"), &ours).unwrap_err();
        assert!(error.to_string().contains("disk full"), "{error}");
    }
}
