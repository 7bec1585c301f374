//! An unchanged file is not parsed again, wherever its text is stored.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use braid_config::Settings;
use braid_core::{CollectionName, DocumentId};
use braid_engine::file::isolated::{ParseLimits, Parser};
use braid_engine::source::SourceFormat;
use braid_engine::{Engine, OpenOptions, retrieve_defaults};
use braid_ingest::remote::Remote;
use braid_ingest::{IngestArgs, IngestReport, Target};
use braid_server::{App, ServerOptions};
use braid_testkit::HashEmbedder;
use tempfile::TempDir;

/// Files, and a parser that leaves a trace of each parse.
struct World {
    directory: TempDir,
    engine: Engine,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("docs")).unwrap();
        let mut settings = Settings::default();
        settings.storage.data_dir = directory.path().join("data");
        let options = OpenOptions {
            instead_of_models: Some(Arc::new(HashEmbedder::new(16))),
            ..OpenOptions::default()
        };
        let engine = Engine::open(&settings, options).await.unwrap();
        let world = Self { directory, engine };
        // One document with a title that the file states, one with a title found in its text.
        world.write("stated.pdf", "%PDF-1.4 stated");
        world.write("found.pdf", "%PDF-1.4 found");
        world.write("plain.md", "# Plain\n\nwords");
        world
    }

    fn docs(&self) -> PathBuf {
        self.directory.path().join("docs")
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.docs().join(name), content).unwrap();
    }

    /// Says what is in the file, under a title where its name is that of one that states it.
    fn parser(&self) -> Parser {
        let script = r##"
            echo parsed >> "$0"
            case "$4" in *stated*) title='"Stated"';; *) title=null;; esac
            text=$(printf "# Found\n\nabout %s" "$(cat "$4")")
            printf '{"bytes":%d,"format":"markdown","title":%s}\n%s' "${#text}" "$title" "$text"
        "##;
        let arguments = vec!["-c".into(), script.into(), self.trace().into()];
        Parser::new("/bin/sh".into(), arguments, ParseLimits::default())
    }

    fn trace(&self) -> PathBuf {
        self.directory.path().join("parses")
    }

    /// Parses since the last look.
    fn parses(&self) -> usize {
        let trace = std::fs::read_to_string(self.trace()).unwrap_or_default();
        let _ = std::fs::remove_file(self.trace());
        trace.lines().count()
    }

    async fn ingest(&self, metadata: &[&str], target: Target) -> IngestReport {
        let args = args(&self.docs(), metadata);
        let report = braid_ingest::run(&args, Some(self.parser()), target).await;
        let report = report.unwrap();
        assert!(report.failed.is_empty(), "{report:?}");
        report
    }

    async fn title(&self, id: &str) -> Option<String> {
        let id = DocumentId::new(id).unwrap();
        let stored = self.engine.document(&collection(), &id).await.unwrap();
        stored.summary.title
    }

    async fn newest(&self) -> u64 {
        let info = self.engine.collection_info(&collection()).await.unwrap();
        info.stats.newest.0
    }

    /// What must hold whatever stands between the files and the ledger.
    async fn check(&self, target: impl Fn() -> Target) {
        let first = self.ingest(&[], target()).await;
        assert_eq!((first.added, self.parses()), (3, 2));
        assert_eq!(self.title("stated.pdf").await.as_deref(), Some("Stated"));
        assert_eq!(self.title("found.pdf").await.as_deref(), Some("Found"));
        let newest = self.newest().await;

        let again = self.ingest(&[], target()).await;
        assert_eq!((again.unchanged, self.parses()), (3, 0));
        assert_eq!(again.chunks_embedded.unwrap_or(0), 0);
        assert_eq!(self.newest().await, newest, "nothing was logged");

        let labelled = self.ingest(&["shelf=3"], target()).await;
        assert_eq!((labelled.replaced, self.parses()), (3, 0));
        assert_eq!(self.title("found.pdf").await.as_deref(), Some("Found"));
        let labelled = self.ingest(&["shelf=3"], target()).await;
        assert_eq!((labelled.unchanged, self.parses()), (3, 0));

        self.write("found.pdf", "%PDF-1.4 changed");
        let changed = self.ingest(&["shelf=3"], target()).await;
        assert_eq!(
            (changed.replaced, changed.unchanged, self.parses()),
            (1, 2, 1)
        );
        self.engine.close().await;
    }
}

fn collection() -> CollectionName {
    CollectionName::new("default").unwrap()
}

fn args(path: &Path, metadata: &[&str]) -> IngestArgs {
    IngestArgs {
        watch: false,
        watch_poll: None,
        paths: vec![path.to_owned()],
        collection: collection(),
        format: SourceFormat::Auto,
        id_field: None,
        text_field: None,
        rows_per_document: 1,
        metadata: metadata.iter().map(|it| (*it).to_owned()).collect(),
        sync: false,
        json: false,
    }
}

#[tokio::test]
async fn a_data_directory_is_asked_for_the_text() {
    let world = World::new().await;
    world.check(|| Target::Local(world.engine.clone())).await;
}

#[tokio::test]
async fn a_server_is_asked_for_the_text() {
    let world = World::new().await;
    let options = ServerOptions {
        max_body_bytes: 1 << 20,
        request_timeout: Duration::from_secs(60),
        max_concurrent_requests: 8,
        max_waiting_requests: 8,
        shutdown_grace: Duration::ZERO,
        max_batch_requests: 1,
        batch_concurrency: 1,
    };
    let defaults = retrieve_defaults(&Settings::default()).unwrap();
    let app = App::new(world.engine.clone(), options, defaults, None);
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = braid_server::serve::bind(address, false).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(braid_server::serve(listener, app, std::future::pending()));
    world
        .check(|| Target::Server(Remote::new(&url).unwrap()))
        .await;
    served.abort();
}
