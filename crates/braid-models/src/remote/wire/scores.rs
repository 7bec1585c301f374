//! Pairs to scores: `/rerank`, `/v1/rerank` and `/v2/rerank`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{body, in_order, not_the_shape};
use crate::manifest::Relevance;
use crate::remote::endpoint::Api;

/// A probability that rounding made 0 or 1 is taken to be so far from it.
const LEAST_PROBABILITY: f64 = 1e-15;

#[derive(Serialize)]
struct TeiRequest<'a> {
    query: &'a str,
    texts: &'a [String],
    truncate: bool,
    raw_scores: bool,
}

#[derive(Serialize)]
struct CohereRequest<'a> {
    model: &'a str,
    query: &'a str,
    documents: &'a [String],
    top_n: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    return_documents: Option<bool>,
}

/// The body that asks for the scores of `passages`.
pub(crate) fn rerank_request(api: Api, model: &str, query: &str, passages: &[String]) -> Bytes {
    if api == Api::TeiRerank {
        return body(&TeiRequest {
            query,
            texts: passages,
            truncate: true,
            raw_scores: true,
        });
    }
    body(&CohereRequest {
        model,
        query,
        documents: passages,
        top_n: passages.len(),
        return_documents: (api == Api::CohereV1).then_some(false),
    })
}

#[derive(Deserialize)]
struct TeiItem {
    index: usize,
    score: f64,
}

#[derive(Deserialize)]
struct CohereAnswer {
    results: Vec<CohereItem>,
}

#[derive(Deserialize)]
struct CohereItem {
    index: usize,
    /// `null` is Braid's word for a pair that the model has no score for.
    relevance_score: Option<f64>,
}

/// One raw score for each of `count` passages, in order; or what is wrong. A pair without a score
/// has NaN.
pub(crate) fn read_scores(
    api: Api,
    relevance: Relevance,
    answer: &[u8],
    count: usize,
) -> Result<Vec<f32>, String> {
    if api == Api::TeiRerank {
        let items: Vec<TeiItem> =
            serde_json::from_slice(answer).map_err(|error| not_the_shape(&error))?;
        return in_order(
            items.iter().map(|item| (item.index, item.score as f32)),
            count,
        );
    }
    let answer: CohereAnswer =
        serde_json::from_slice(answer).map_err(|error| not_the_shape(&error))?;
    let items = answer.results.iter();
    let scores = in_order(items.map(|item| (item.index, item.relevance_score)), count)?;
    let raw = scores.into_iter().map(|score| match score {
        Some(score) => raw_score(score, relevance),
        None => Ok(f32::NAN),
    });
    raw.collect()
}

/// The model's own score behind a served one.
fn raw_score(served: f64, relevance: Relevance) -> Result<f32, String> {
    if relevance == Relevance::Raw {
        return Ok(served as f32);
    }
    if !(0.0..=1.0).contains(&served) {
        return Err(format!(
            "its relevance_score {served} is not from 0 to 1; where it gives raw scores, say \"relevance\": \"raw\" under remote in the manifest"
        ));
    }
    let probability = served.clamp(LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY);
    Ok((probability / (1.0 - probability)).ln() as f32)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(api: Api, relevance: Relevance, answer: &Value) -> Result<Vec<f32>, String> {
        read_scores(api, relevance, answer.to_string().as_bytes(), 2)
    }

    #[test]
    fn requests_are_in_their_shape() {
        let passages = ["a".to_owned()];
        let json = |api| -> Value {
            let body = rerank_request(api, "m", "q", &passages);
            serde_json::from_slice(&body).unwrap()
        };
        let tei = json!({"query": "q", "texts": ["a"], "truncate": true, "raw_scores": true});
        assert_eq!(json(Api::TeiRerank), tei);
        let mut cohere = json!({"model": "m", "query": "q", "documents": ["a"], "top_n": 1});
        assert_eq!(json(Api::Cohere), cohere);
        cohere["return_documents"] = false.into();
        assert_eq!(json(Api::CohereV1), cohere);
    }

    #[test]
    fn scores_are_put_in_order_and_made_raw() {
        let tei = json!([{"index": 1, "score": 2.5}, {"index": 0, "score": -3.0}]);
        assert_eq!(
            read(Api::TeiRerank, Relevance::Sigmoid, &tei).unwrap(),
            [-3.0, 2.5]
        );
        let sigmoid = |raw: f64| 1.0 / (1.0 + (-raw).exp());
        let served = |score: f64| {
            let results = json!([
                {"index": 1, "relevance_score": score},
                {"index": 0, "relevance_score": null},
            ]);
            json!({ "results": results })
        };
        for raw in [-30.0, -11.0171, 0.0, 2.1447, 20.0] {
            let scores = read(Api::Cohere, Relevance::Sigmoid, &served(sigmoid(raw))).unwrap();
            assert!(scores[0].is_nan(), "there is none");
            assert!(
                (f64::from(scores[1]) - raw).abs() < 1e-5,
                "{raw}: {scores:?}"
            );
        }
        let ends = [0.0, 1.0].map(|end| read(Api::Cohere, Relevance::Sigmoid, &served(end)));
        assert!(ends.iter().flatten().all(|scores| scores[1].is_finite()));
        let raw = read(Api::Cohere, Relevance::Raw, &served(7.5)).unwrap();
        assert_eq!(raw[1], 7.5);
    }

    #[test]
    fn replies_that_are_not_what_was_asked_for_are_told_apart() {
        let item = |index: usize, score: f64| json!({"index": index, "relevance_score": score});
        let cases = [
            (json!({"results": [item(0, 0.5)]}), "for 1 texts where 2"),
            (json!({"results": [item(0, 0.5), item(0, 0.5)]}), "twice"),
            (
                json!({"results": [item(0, 0.5), item(7, 0.5)]}),
                "for text 7",
            ),
            (
                json!({"results": [item(0, 0.5), item(1, 2.5)]}),
                "not from 0 to 1; where",
            ),
            (json!({"scores": []}), "missing field `results`"),
        ];
        for (answer, what) in cases {
            let wrong = read(Api::Cohere, Relevance::Sigmoid, &answer).unwrap_err();
            assert!(wrong.contains(what), "{answer}: {wrong}");
        }
    }
}
