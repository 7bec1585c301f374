//! Texts to vectors: `/embed` and `/v1/embeddings`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use braid_core::Embedding;
use bytes::Bytes;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{body, in_order, not_the_shape};
use crate::remote::endpoint::Api;

/// How far from 1 the length of a vector may be that is taken as it is. Others are scaled.
const UNIT: f64 = 1e-3;
/// The least length that says a direction.
const LEAST_LENGTH: f64 = 1e-6;

#[derive(Serialize)]
struct TeiRequest<'a> {
    inputs: &'a [String],
    truncate: bool,
    normalize: bool,
}

/// Vectors are asked for in base64, as OpenAI's own client asks: they keep every bit, and cost less
/// to read than decimals. Servers that answer with numbers all the same are understood.
#[derive(Serialize)]
struct OpenAiRequest<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
}

/// The body that asks for the vectors of `texts`.
pub(crate) fn embed_request(api: Api, model: &str, texts: &[String]) -> Bytes {
    if api == Api::TeiEmbed {
        return body(&TeiRequest {
            inputs: texts,
            truncate: true,
            normalize: true,
        });
    }
    body(&OpenAiRequest {
        model,
        input: texts,
        encoding_format: "base64",
    })
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    data: Vec<OpenAiItem>,
}

#[derive(Deserialize)]
struct OpenAiItem {
    index: usize,
    embedding: Numbers,
}

/// Numbers of an array, or little-endian in base64.
struct Numbers(Vec<f32>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumbersVisitor)
    }
}

struct NumbersVisitor;

impl<'de> Visitor<'de> for NumbersVisitor {
    type Value = Numbers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, or base64 of them")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Numbers, E> {
        let bytes = STANDARD.decode(text).map_err(E::custom)?;
        let (numbers, odd) = bytes.as_chunks::<4>();
        if !odd.is_empty() {
            return Err(E::custom("base64 of something else than 32-bit numbers"));
        }
        let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
        Ok(Numbers(numbers.collect()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Numbers, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = items.next_element::<f32>()? {
            numbers.push(number);
        }
        Ok(Numbers(numbers))
    }
}

/// One vector of `dimension` for each of `count` texts, in order, of length 1; or what is wrong.
pub(crate) fn read_embeddings(
    api: Api,
    answer: &[u8],
    count: usize,
    dimension: usize,
) -> Result<Vec<Embedding>, String> {
    let vectors: Vec<Vec<f32>> = if api == Api::TeiEmbed {
        let rows: Vec<Vec<f32>> =
            serde_json::from_slice(answer).map_err(|error| not_the_shape(&error))?;
        in_order(rows.into_iter().enumerate(), count)?
    } else {
        let answer: OpenAiAnswer =
            serde_json::from_slice(answer).map_err(|error| not_the_shape(&error))?;
        let items = answer.data.into_iter();
        in_order(items.map(|item| (item.index, item.embedding.0)), count)?
    };
    let checked = vectors.into_iter().enumerate();
    let checked = checked.map(|(place, vector)| {
        unit(vector, dimension).map_err(|what| format!("its vector of text {place} {what}"))
    });
    checked.collect()
}

/// The vector with length 1.
fn unit(vector: Vec<f32>, dimension: usize) -> Result<Embedding, String> {
    if vector.len() != dimension {
        let found = vector.len();
        return Err(format!(
            "has {found} numbers where the model has {dimension}"
        ));
    }
    let squares = vector.iter().map(|x| f64::from(*x) * f64::from(*x));
    let length = squares.sum::<f64>().sqrt();
    if !length.is_finite() {
        return Err("has a number that is not finite".to_owned());
    }
    if length < LEAST_LENGTH {
        return Err("is zero".to_owned());
    }
    if (length - 1.0).abs() <= UNIT {
        return Ok(vector.into());
    }
    let scaled = vector.iter().map(|x| (f64::from(*x) / length) as f32);
    Ok(scaled.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(api: Api, answer: &Value, count: usize) -> Result<Vec<Embedding>, String> {
        read_embeddings(api, answer.to_string().as_bytes(), count, 2)
    }

    fn base64(numbers: &[f32]) -> String {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        STANDARD.encode(bytes)
    }

    #[test]
    fn requests_are_in_their_shape() {
        let texts = ["a".to_owned(), "b".to_owned()];
        let json = |api| -> Value {
            let body = embed_request(api, "m", &texts);
            serde_json::from_slice(&body).unwrap()
        };
        let tei = json!({"inputs": ["a", "b"], "truncate": true, "normalize": true});
        assert_eq!(json(Api::TeiEmbed), tei);
        let openai = json!({"model": "m", "input": ["a", "b"], "encoding_format": "base64"});
        assert_eq!(json(Api::OpenAi), openai);
    }

    #[test]
    fn vectors_are_put_in_order_and_scaled() {
        let answer = json!({"data": [
            {"index": 1, "embedding": [3.0, 4.0]},
            {"index": 0, "embedding": base64(&[0.6, 0.8])},
        ]});
        let vectors = read(Api::OpenAi, &answer, 2).unwrap();
        assert_eq!(*vectors[0], [0.6, 0.8], "every bit of it");
        assert_eq!(*vectors[1], [0.6, 0.8]);
        let vectors = read(Api::TeiEmbed, &json!([[0.0, 2.0]]), 1).unwrap();
        assert_eq!(*vectors[0], [0.0, 1.0]);
    }

    #[test]
    fn replies_that_are_not_what_was_asked_for_are_told_apart() {
        let item = |index: usize, embedding: Value| json!({"index": index, "embedding": embedding});
        let openai = |items: &[Value]| json!({ "data": items });
        let good = || json!([0.6, 0.8]);
        let cases = [
            (openai(&[item(0, good())]), "for 1 texts where 2 were sent"),
            (
                openai(&[item(0, good()), item(0, good())]),
                "twice for text 0",
            ),
            (
                openai(&[item(0, good()), item(2, good())]),
                "for text 2 where 2",
            ),
            (
                openai(&[item(0, good()), item(1, json!([1.0]))]),
                "text 1 has 1 numbers where the model has 2",
            ),
            (
                openai(&[item(0, good()), item(1, json!([0.0, 0.0]))]),
                "text 1 is zero",
            ),
            (
                openai(&[item(0, good()), item(1, json!(base64(&[f32::NAN, 1.0])))]),
                "text 1 has a number that is not finite",
            ),
            (
                openai(&[item(0, good()), item(1, json!([null, 1.0]))]),
                "not of the shape",
            ),
            (
                openai(&[item(0, good()), item(1, json!("AAA="))]),
                "not of the shape",
            ),
            (json!({"object": "list"}), "missing field `data`"),
        ];
        for (answer, what) in cases {
            let wrong = read(Api::OpenAi, &answer, 2).unwrap_err();
            assert!(wrong.contains(what), "{answer}: {wrong}");
        }
        let short = read(Api::TeiEmbed, &json!([[0.6, 0.8]]), 2).unwrap_err();
        assert!(short.contains("for 1 texts where 2"), "{short}");
        let cut = read_embeddings(Api::TeiEmbed, b"[[0.6, 0.", 1, 2).unwrap_err();
        assert!(cut.contains("not of the shape"), "{cut}");
    }
}
