//! A document in any form that a body can have: JSON, a file that is parsed, or text.

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use braid_core::{CollectionName, DocumentId, Error, ErrorCode, Format, NewDocument, Result};
use braid_engine::decode;
use braid_engine::file::{FileKind, MediaType, ParsedFile};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Wait;
use crate::app::App;
use crate::dto::documents::{PutDocumentBody, moved};
use crate::dto::metadata::{MetadataBody, metadata};
use crate::error::ApiError;
use crate::extract::{content_type, is_json, off_thread, parse};
use crate::idempotency::Mutation;

/// Parameters of a put. Those of the document are for bodies other than JSON, which has them itself.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PutParameters {
    /// `none` answers when the write is durable, `indexed` when it is retrievable.
    #[serde(default)]
    #[param(inline)]
    pub(super) wait: Wait,
    /// Title; where absent, the one that the file states or that is found in the text is used.
    #[param(max_length = 4096)]
    title: Option<String>,
    /// Where the document came from.
    #[param(max_length = 4096)]
    uri: Option<String>,
    /// Filterable fields: a JSON object, percent-encoded.
    metadata: Option<String>,
}

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct FileBody(Vec<u8>);

/// A put's body, and what it is.
pub(super) struct Upload {
    pub(super) mutation: Mutation,
    pub(super) sent: Sent,
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Json,
    File(FileKind),
    Text(Format),
}

impl FromRequest<App> for Upload {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (essence, parameters) = content_type(request.headers());
        let sent = match request.body().is_end_stream() {
            true => Sent::Json,
            false => Sent::of(essence, parameters)?,
        };
        let media_type = match sent {
            Sent::Json => String::new(),
            Sent::File(_) | Sent::Text(_) => format!(" {}", essence.to_ascii_lowercase()),
        };
        let mutation = Mutation::of(request, app, &media_type).await?;
        Ok(Self { mutation, sent })
    }
}

impl Sent {
    fn of(essence: &str, parameters: &str) -> Result<Self> {
        if is_json(essence) {
            return Ok(Self::Json);
        }
        match MediaType::named(essence) {
            Some(MediaType::File(kind)) => Ok(Self::File(kind)),
            Some(MediaType::Text(format)) if is_readable(parameters) => Ok(Self::Text(format)),
            Some(MediaType::Text(_)) => {
                Err(unsupported("text must be UTF-8, or UTF-16 with a mark")
                    .with_help("send it as UTF-8"))
            }
            None => {
                let names = MediaType::ALL.map(MediaType::as_str).join(", ");
                let message = match essence {
                    "" => "the body does not say what it is".to_owned(),
                    other => format!("{other} is not a media type that documents are read from"),
                };
                Err(unsupported(&message)
                    .with_help(format!("send Content-Type: application/json, {names}")))
            }
        }
    }

    /// The document in the body.
    pub(super) async fn read(
        self,
        app: &App,
        (collection, id): (&CollectionName, &DocumentId),
        mutation: &Mutation,
        parameters: PutParameters,
    ) -> Result<NewDocument> {
        let owned = id.clone();
        let bytes = mutation.bytes();
        match self {
            Self::Json => {
                parameters.refuse_beside_json()?;
                let read = move |body: PutDocumentBody| body.into_document(owned);
                mutation.read(read).await
            }
            Self::Text(format) => {
                let read = move || parameters.document(owned, text(bytes.to_vec(), format)?);
                off_thread(mutation.bytes().len(), read).await
            }
            Self::File(kind) => {
                let within = app.options().request_timeout;
                let engine = app.engine();
                let (parsed, origin) = engine
                    .parse_file(
                        (collection, id),
                        (kind, parameters.title.clone()),
                        bytes,
                        within,
                    )
                    .await?;
                let mut document = parameters.document(owned, parsed)?;
                document.origin = Some(origin);
                Ok(document)
            }
        }
    }
}

/// Whether a text's parameters name an encoding that is read, or none.
fn is_readable(parameters: &str) -> bool {
    let mut charsets = parameters.split(';').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    charsets.all(|name| matches!(name.as_str(), "utf-8" | "us-ascii" | "utf-16"))
}

fn text(bytes: Vec<u8>, format: Format) -> Result<ParsedFile> {
    let unreadable = |reason| Error::new(ErrorCode::UnreadableDocument, reason);
    Ok(ParsedFile {
        text: decode(bytes).map_err(unreadable)?,
        format,
        title: None,
    })
}

impl PutParameters {
    fn refuse_beside_json(&self) -> Result<()> {
        let given = [
            ("/title", self.title.is_some()),
            ("/uri", self.uri.is_some()),
            ("/metadata", self.metadata.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((pointer, _)) => Err(Error::invalid_field(
                pointer,
                "belongs into the JSON body; as a query parameter it is for other media types",
            )),
            None => Ok(()),
        }
    }

    fn document(self, id: DocumentId, parsed: ParsedFile) -> Result<NewDocument> {
        let fields = match &self.metadata {
            Some(json) => parse::<MetadataBody>(json.as_bytes()),
            None => Ok(MetadataBody::default()),
        };
        let metadata = fields
            .map_err(|error| match error.fields() {
                [] => Error::invalid_field("", "must be a JSON object"),
                [..] => error,
            })
            .and_then(metadata)
            .map_err(|error| moved(error, "/metadata"))?;
        let document = NewDocument {
            id,
            text: parsed.text,
            title: self.title.or(parsed.title),
            uri: self.uri,
            format: parsed.format,
            metadata,
            origin: None,
        };
        document.check()?;
        Ok(document)
    }
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorCode::UnsupportedMediaType, message)
}
