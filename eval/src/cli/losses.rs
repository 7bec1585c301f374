//! `braid eval losses`.

use std::str::FromStr;
use std::sync::Arc;

use braid_config::Settings;
use braid_core::filter::{Condition, Predicate};
use braid_core::limits::{MAX_CANDIDATES, MAX_TOP_K};
use braid_core::{Error, Filter, MetadataValue, Result};
use braid_engine::query::RetrieveRequest;
use braid_engine::{Engine, retrieve_defaults};

use super::DataArgs;
use super::bars::{bar_of_topics, spinner};
use crate::dataset::Dataset;
use crate::harness::load_corpus;
use crate::losses::{LossPlan, Losses, account};
use crate::table::{Answer, Verdict};

/// `braid eval losses`.
///
/// Each query is served as the settings say. Every relevant document is then found or was lost by one
/// stage, the first that lost it; the stages add up to all of them.
#[derive(Clone, Debug, clap::Args)]
pub struct LossesArgs {
    /// What is measured on.
    #[command(flatten)]
    pub data: DataArgs,
    /// Passages returned for a query; as set where not given
    #[arg(long)]
    pub top_k: Option<usize>,
    /// How deep the legs are searched to tell a miss from a place below the depth
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub deep: usize,
    /// A metadata field that documents must have, repeatable: lang=en
    #[arg(long = "where", value_name = "KEY=VALUE")]
    pub filter: Vec<FieldIs>,
    /// Print as JSON, with every lost document
    #[arg(long)]
    pub json: bool,
}

/// A metadata field with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldIs(Condition);

impl FromStr for FieldIs {
    type Err = Error;

    /// Numbers and `true` or `false` are taken as such, everything else as text.
    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| {
                Error::invalid(format!("{text:?} is not KEY=VALUE"))
                    .with_help("write it as in lang=en")
            })?;
        let value = match (value.parse::<f64>(), value.parse::<bool>()) {
            (Ok(number), _) if number.is_finite() => MetadataValue::Number(number),
            (_, Ok(flag)) => MetadataValue::Bool(flag),
            (Ok(_) | Err(_), Err(_)) => MetadataValue::String(value.to_owned()),
        };
        Ok(Self(Condition {
            key: key.to_owned(),
            predicate: Predicate::Match(value),
        }))
    }
}

impl LossesArgs {
    /// Checks what can be checked before an engine is opened. The collection is named once the engine
    /// says what it is made of.
    ///
    /// # Errors
    /// `InvalidRequest` for a bad dataset, depth or count.
    pub fn prepare(&self, settings: &Settings) -> Result<LossPlan> {
        let mut request = retrieve_defaults(settings)?;
        request.rerank.deadline_ms = None;
        request.top_k = self.top_k.unwrap_or(request.top_k);
        if !self.filter.is_empty() {
            request.filter = Some(Arc::new(Filter {
                must: self.filter.iter().map(|field| field.0.clone()).collect(),
                ..Filter::default()
            }));
        }
        for (name, value, most) in [
            ("--top-k", request.top_k, MAX_TOP_K),
            ("--deep", self.deep, MAX_CANDIDATES),
        ] {
            if !(1..=most).contains(&value) {
                return Err(Error::invalid(format!(
                    "{name} is {value}, it must be 1 to {most}"
                )));
            }
        }
        Ok(LossPlan {
            dataset: Dataset::open(&self.data.dataset, &self.data.split)?,
            request,
            searched_to: self.deep,
        })
    }

    /// Ingests, serves and follows.
    ///
    /// # Errors
    /// What stops the account.
    pub async fn answer(&self, engine: &Engine, plan: &LossPlan) -> Result<Answer> {
        let bar = spinner("ingesting {spinner} {pos} documents");
        let settings = engine.default_collection_settings();
        let loaded = load_corpus(engine, settings, &plan.dataset, |read| {
            bar.set_position(read as u64)
        })
        .await?;
        bar.finish_and_clear();
        let plan = LossPlan {
            request: RetrieveRequest {
                collection: loaded.collection,
                ..plan.request.clone()
            },
            ..plan.clone()
        };
        let bar = bar_of_topics(plan.dataset.qrels.len() as u64);
        let losses = account(engine, &plan, |done| bar.set_position(done as u64)).await?;
        bar.finish_and_clear();
        let losses = Losses {
            not_searched: loaded.not_searched,
            ..losses
        };
        let is_whole = losses.failed.is_empty() && losses.not_searched.is_empty();
        let answer = Answer::new(losses.text(), &losses)?;
        Ok(answer.ending(Verdict::of(is_whole)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_what_they_look_like() {
        let value = |text: &str| {
            let predicate = text.parse::<FieldIs>().unwrap().0.predicate;
            let Predicate::Match(value) = predicate else {
                panic!("{predicate:?}");
            };
            value
        };
        assert_eq!(value("year=2020"), MetadataValue::Number(2020.0));
        assert_eq!(value("draft=false"), MetadataValue::Bool(false));
        assert_eq!(
            value("lang=en=us"),
            MetadataValue::String("en=us".to_owned())
        );
        assert!("=x".parse::<FieldIs>().is_err() && "x".parse::<FieldIs>().is_err());
    }
}
