//! What is to be explained: a retrieval with two fields more.

use std::fmt;

use braid_core::{DocumentId, Error, FieldError, Result};
use braid_engine::query::{ExplainRequest, RetrieveRequest};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::dto::retrieve::RetrieveBody;
use crate::extract::parse;

/// Candidates of each leg that are looked at where a request does not say.
const DEFAULT_DEPTH: usize = 1000;

/// Every field of a retrieval, and the document that it did not return.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainBody {
    /// The document asked about.
    pub document_id: String,
    /// How deep each leg is searched for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// The retrieval.
    #[serde(flatten)]
    pub retrieve: RetrieveBody,
}

impl ExplainBody {
    /// A request in JSON, as `POST /v1/explain` reads it.
    ///
    /// # Errors
    /// As [`RetrieveBody::parse`].
    pub fn parse(json: &[u8]) -> Result<Self> {
        parse(json)
    }

    /// The request, with what the body leaves open taken from `defaults`.
    ///
    /// # Errors
    /// `InvalidRequest` naming every bad field by JSON pointer.
    pub fn into_request(self, defaults: &RetrieveRequest) -> Result<ExplainRequest> {
        let mut fields = Vec::new();
        let document = DocumentId::new(self.document_id)
            .map_err(|error| fields.push(FieldError::new("/document_id", error.message())));
        let depth = self.depth.unwrap_or(DEFAULT_DEPTH);
        fields.extend(ExplainRequest::check_depth(depth).err());
        let retrieve = self.retrieve.into_request(defaults);
        match (document, retrieve) {
            (Ok(document), Ok(retrieve)) if fields.is_empty() => Ok(ExplainRequest {
                document,
                depth,
                retrieve,
            }),
            (_, Err(error)) if error.fields().is_empty() => Err(error),
            (_, retrieve) => {
                let rest = retrieve.err();
                fields.extend(rest.iter().flat_map(|error| error.fields().iter().cloned()));
                let first = fields.first().cloned();
                let first = first.unwrap_or_else(|| FieldError::new("", "is not a request"));
                let message = format!("{}: {}", first.pointer, first.detail);
                Err(Error::invalid(message).with_fields(fields))
            }
        }
    }
}

impl ToSchema for ExplainBody {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        RetrieveBody::schemas(schemas);
    }
}

impl PartialSchema for ExplainBody {
    /// The schema of a retrieval, which takes no other fields, with two more.
    fn schema() -> RefOr<Schema> {
        let mut schema = RetrieveBody::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            object.description =
                Some("A retrieval, and the document that it did not return.".to_owned());
            let document = ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .description(Some("The document asked about."));
            let depth = ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(1))
                .maximum(Some(2000))
                .description(Some(
                    "How deep each leg is searched for it; 1000 when absent.",
                ));
            object
                .properties
                .insert("document_id".to_owned(), document.into());
            object.properties.insert("depth".to_owned(), depth.into());
            object.required.push("document_id".to_owned());
        }
        schema
    }
}

// `flatten` would take unknown fields, and lose where a bad value stands: the fields that are not
// ours are handed on as they come.
impl<'de> Deserialize<'de> for ExplainBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = ExplainBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        let mut own = Own::default();
        let rest = Rest {
            fields,
            own: &mut own,
        };
        let retrieve = RetrieveBody::deserialize(MapAccessDeserializer::new(rest))?;
        let document_id = own.document_id;
        Ok(ExplainBody {
            document_id: document_id.ok_or_else(|| A::Error::missing_field("document_id"))?,
            depth: own.depth.flatten(),
            retrieve,
        })
    }
}

/// The fields that a retrieval does not have.
#[derive(Default)]
struct Own {
    document_id: Option<String>,
    depth: Option<Option<usize>>,
}

/// The other fields: ours are taken out on the way.
struct Rest<'a, A> {
    fields: A,
    own: &'a mut Own,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let mut seed = seed;
        loop {
            match self.fields.next_key_seed(Key(seed))? {
                None => return Ok(None),
                Some(Taken::Theirs(value)) => return Ok(Some(value)),
                Some(Taken::Document(back)) => {
                    put(&mut self.own.document_id, "document_id", &mut self.fields)?;
                    seed = back;
                }
                Some(Taken::Depth(back)) => {
                    put(&mut self.own.depth, "depth", &mut self.fields)?;
                    seed = back;
                }
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.fields.next_value_seed(seed)
    }
}

/// Reads one key, and hands it on unless it is ours: inside the reader, so that an error of the
/// key's is told where the key stands.
struct Key<K>(K);

enum Taken<K, V> {
    Document(K),
    Depth(K),
    Theirs(V),
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Key<K> {
    type Value = Taken<K, K::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = String::deserialize(deserializer)?;
        match key.as_str() {
            "document_id" => Ok(Taken::Document(self.0)),
            "depth" => Ok(Taken::Depth(self.0)),
            _ => self
                .0
                .deserialize(key.into_deserializer())
                .map(Taken::Theirs),
        }
    }
}

fn put<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut Option<T>,
    name: &'static str,
    fields: &mut A,
) -> Result<(), A::Error> {
    if field.is_some() {
        return Err(A::Error::duplicate_field(name));
    }
    *field = Some(fields.next_value()?);
    Ok(())
}
