//! Files that are sent rather than found: each is parsed by a process of its own, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use braid_core::{CollectionName, ContentHash, DocumentId, Error, ErrorCode, Origin, Result};
use braid_readers::file::isolated::{ParseError, Parser};
use braid_readers::file::{FileKind, ParsedFile};
use braid_readers::source::ReadAhead;
use tokio::sync::Semaphore;

use crate::engine::Engine;

/// Ends the parser's name in the origin of a document whose title was given beside the file.
const TITLED: &str = ", title given";

/// The parser, if there is one, and how many may run.
#[derive(Debug)]
pub(crate) struct Parsing {
    parser: Option<Parser>,
    running: Arc<Semaphore>,
}

impl Parsing {
    pub(crate) fn new(parser: Option<Parser>) -> Self {
        let most = ReadAhead::default().threads;
        Self {
            parser,
            running: Arc::new(Semaphore::new(most)),
        }
    }
}

impl Engine {
    /// The text of a file, and what it was made of. Where the stored document was made of the same,
    /// it is not parsed again. A `title` that is given takes the place of the file's own; the origin
    /// says so, for the file's own is then not stored and must be read again without one.
    ///
    /// # Cancel safety
    /// Dropping the future lets a parser that runs go on, to its limits at most; it counts as running.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), [`TooLarge`](ErrorCode::TooLarge),
    /// [`UnreadableDocument`](ErrorCode::UnreadableDocument), [`Unavailable`](ErrorCode::Unavailable) without a parser.
    pub async fn parse_file(
        &self,
        (collection, id): (&CollectionName, &DocumentId),
        (kind, title): (FileKind, Option<String>),
        bytes: impl AsRef<[u8]> + Clone + Send + 'static,
        within: Duration,
    ) -> Result<(ParsedFile, Origin)> {
        let parsing = &self.inner.parsing;
        let parser = parsing.parser.clone().ok_or_else(|| {
            let message = format!("{} files are not read here", kind.as_str());
            Error::new(ErrorCode::Unavailable, message)
        })?;
        let parser = parser.within(within);
        let size = bytes.as_ref().len() as u64;
        parser.limits().check_size(size).map_err(refused)?;
        let hashed = bytes.clone();
        let hash = move || ContentHash(*blake3::hash(hashed.as_ref()).as_bytes());
        let found = Origin {
            hash: self.inner.pool.run(hash).await?,
            parser: kind.parser().to_owned(),
        };
        let titled = Origin {
            parser: format!("{}{TITLED}", found.parser),
            ..found.clone()
        };
        if let Some(title) = title {
            // The text is the same with either title.
            let mut known = self.known_text(collection, id, &titled).await?;
            if known.is_none() {
                known = self.known_text(collection, id, &found).await?;
            }
            let mut parsed = match known {
                Some(known) => known,
                None => self.parse(parser, kind, bytes).await?,
            };
            parsed.title = Some(title);
            return Ok((parsed, titled));
        }
        let parsed = match self.known_text(collection, id, &found).await? {
            Some(known) => known,
            None => self.parse(parser, kind, bytes).await?,
        };
        Ok((parsed, found))
    }

    async fn parse(
        &self,
        parser: Parser,
        kind: FileKind,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<ParsedFile> {
        let parsing = &self.inner.parsing;
        let running = Arc::clone(&parsing.running).acquire_owned().await;
        let running = running.map_err(|_| Error::internal("parsing has ended"))?;
        let parse = move || {
            let parsed = parser.parse_bytes(kind, bytes);
            drop(running);
            parsed.map_err(refused)
        };
        self.inner.pool.blocking().run(parse).await
    }
}

fn refused(error: ParseError) -> Error {
    let (code, reason) = match error {
        ParseError::TooLarge(reason) => (ErrorCode::TooLarge, reason),
        ParseError::Unreadable(reason) => (ErrorCode::UnreadableDocument, reason),
        ParseError::Unavailable(reason) => (ErrorCode::Unavailable, reason),
    };
    Error::new(code, reason)
}
