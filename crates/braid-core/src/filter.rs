//! Metadata filters and their reference semantics.
//!
//! [`Filter::matches`] is the oracle: the ledger's bitmap evaluation and every remote translation
//! must agree with it, which the conformance suites check. Beside its metadata a filter sees the
//! language that was detected in a document, under [`LANGUAGE_KEY`].

use crate::collection::Language;
use crate::document::{Metadata, MetadataValue};
use crate::error::{Error, Result};
use crate::limits::MAX_FILTER_CONDITIONS;

/// The key under which a filter sees the language that was detected in a document. A metadata field of
/// that name goes before: what a caller says of a document is not overruled.
pub const LANGUAGE_KEY: &str = "language";

/// All of `must`, none of `must_not`, and, where `should` is not empty, at least one of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Conditions that must all hold.
    pub must: Vec<Condition>,
    /// Conditions of which one must hold, if there are any.
    pub should: Vec<Condition>,
    /// Conditions none of which may hold.
    pub must_not: Vec<Condition>,
}

/// A predicate on one metadata field.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The field.
    pub key: String,
    /// What must hold of it.
    pub predicate: Predicate,
}

/// A predicate on a metadata value. A missing field satisfies only `Exists(false)`.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Equal to the scalar, or an array that has it.
    Match(MetadataValue),
    /// Equal to any of the scalars, or an array that has any of them.
    Any(Vec<MetadataValue>),
    /// A number within the range.
    Range(Range),
    /// The field is there, or is not.
    Exists(bool),
}

/// Bounds on a number; absent bounds do not bind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// Greater than.
    pub gt: Option<f64>,
    /// Greater than or equal to.
    pub gte: Option<f64>,
    /// Less than.
    pub lt: Option<f64>,
    /// Less than or equal to.
    pub lte: Option<f64>,
}

impl Range {
    /// Whether `value` is within every bound.
    pub fn contains(&self, value: f64) -> bool {
        self.gt.is_none_or(|bound| value > bound)
            && self.gte.is_none_or(|bound| value >= bound)
            && self.lt.is_none_or(|bound| value < bound)
            && self.lte.is_none_or(|bound| value <= bound)
    }
}

impl Filter {
    /// Whether there is nothing to check.
    pub fn is_empty(&self) -> bool {
        self.must.is_empty() && self.should.is_empty() && self.must_not.is_empty()
    }

    /// Checks sizes and values.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) with the JSON pointer of the bad
    /// condition, relative to the filter object.
    pub fn check(&self) -> Result<()> {
        let count = self.must.len() + self.should.len() + self.must_not.len();
        if count > MAX_FILTER_CONDITIONS {
            return Err(Error::invalid_field(
                "",
                format!("{count} conditions, the limit is {MAX_FILTER_CONDITIONS}"),
            ));
        }
        let groups = [
            ("must", &self.must),
            ("should", &self.should),
            ("must_not", &self.must_not),
        ];
        for (name, conditions) in groups {
            for (index, condition) in conditions.iter().enumerate() {
                condition
                    .check()
                    .map_err(|detail| Error::invalid_field(format!("/{name}/{index}"), detail))?;
            }
        }
        Ok(())
    }

    /// Whether a document with this metadata, in which this language was detected, passes.
    pub fn matches(&self, metadata: &Metadata, language: Option<Language>) -> bool {
        let detected = language.map(|language| MetadataValue::String(language.to_string()));
        let holds = |condition: &Condition| {
            let detected = detected.as_ref().filter(|_| condition.key == LANGUAGE_KEY);
            condition.matches(metadata.get(&condition.key).or(detected))
        };
        self.must.iter().all(holds)
            && (self.should.is_empty() || self.should.iter().any(holds))
            && !self.must_not.iter().any(holds)
    }
}

impl Condition {
    fn check(&self) -> Result<(), String> {
        if self.key.is_empty() {
            return Err("key is empty".to_owned());
        }
        match &self.predicate {
            Predicate::Match(value) => check_scalar(value),
            Predicate::Any(values) if values.len() > crate::limits::MAX_METADATA_ARRAY => Err(
                format!("any may list {} values", crate::limits::MAX_METADATA_ARRAY),
            ),
            Predicate::Any(values) => values.iter().try_for_each(check_scalar),
            Predicate::Range(range) => {
                let bounds = [range.gt, range.gte, range.lt, range.lte];
                if bounds.iter().all(Option::is_none) {
                    return Err("range needs one of gt, gte, lt, lte".to_owned());
                }
                if bounds.iter().flatten().any(|bound| !bound.is_finite()) {
                    return Err("range bounds must be finite".to_owned());
                }
                Ok(())
            }
            Predicate::Exists(_) => Ok(()),
        }
    }

    /// Whether it holds of what the document has under its key.
    fn matches(&self, value: Option<&MetadataValue>) -> bool {
        match &self.predicate {
            Predicate::Match(wanted) => value.is_some_and(|value| equals(value, wanted)),
            Predicate::Any(wanted) => {
                value.is_some_and(|value| wanted.iter().any(|wanted| equals(value, wanted)))
            }
            Predicate::Range(range) => {
                matches!(value, Some(MetadataValue::Number(number)) if range.contains(*number))
            }
            Predicate::Exists(wanted) => value.is_some() == *wanted,
        }
    }
}

fn check_scalar(value: &MetadataValue) -> Result<(), String> {
    match value {
        MetadataValue::Strings(_) => {
            Err("match takes a string, number or boolean; use any for several".to_owned())
        }
        MetadataValue::Number(number) if !number.is_finite() => {
            Err("a number must be finite".to_owned())
        }
        MetadataValue::String(_) | MetadataValue::Number(_) | MetadataValue::Bool(_) => Ok(()),
    }
}

fn equals(value: &MetadataValue, wanted: &MetadataValue) -> bool {
    match (value, wanted) {
        (MetadataValue::Strings(values), MetadataValue::String(wanted)) => values.contains(wanted),
        (value, wanted) => value == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        Metadata::new(
            [
                ("lang".to_owned(), MetadataValue::String("en".to_owned())),
                ("year".to_owned(), MetadataValue::Number(2021.0)),
                (
                    "tag".to_owned(),
                    MetadataValue::Strings(vec!["a".to_owned(), "b".to_owned()]),
                ),
            ]
            .into(),
        )
        .unwrap()
    }

    fn condition(key: &str, predicate: Predicate) -> Condition {
        Condition {
            key: key.to_owned(),
            predicate,
        }
    }

    #[test]
    fn groups_combine() {
        let lang = |value: &str| {
            condition(
                "lang",
                Predicate::Match(MetadataValue::String(value.to_owned())),
            )
        };
        let check = |must: Vec<Condition>, should: Vec<Condition>, must_not: Vec<Condition>| {
            Filter {
                must,
                should,
                must_not,
            }
            .matches(&metadata(), None)
        };
        assert!(check(vec![lang("en")], vec![], vec![]));
        assert!(!check(vec![lang("de")], vec![], vec![]));
        assert!(check(vec![], vec![lang("de"), lang("en")], vec![]));
        assert!(!check(vec![], vec![lang("de")], vec![]));
        assert!(!check(vec![], vec![], vec![lang("en")]));
    }

    #[test]
    fn predicates_hold() {
        let string = |text: &str| MetadataValue::String(text.to_owned());
        let metadata = metadata();
        let check = |key: &str, predicate| condition(key, predicate).matches(metadata.get(key));
        assert!(check("tag", Predicate::Match(string("b"))));
        assert!(check("tag", Predicate::Any(vec![string("x"), string("a")])));
        assert!(check(
            "year",
            Predicate::Range(Range {
                gte: Some(2021.0),
                ..Range::default()
            })
        ));
        assert!(!check(
            "year",
            Predicate::Range(Range {
                gt: Some(2021.0),
                ..Range::default()
            })
        ));
        assert!(!check(
            "lang",
            Predicate::Range(Range {
                gte: Some(0.0),
                ..Range::default()
            })
        ));
        assert!(check("none", Predicate::Exists(false)));
        assert!(!check("none", Predicate::Match(string("x"))));
    }

    #[test]
    fn a_detected_language_is_seen_where_no_field_says_otherwise() {
        let filter = |predicate| Filter {
            must: vec![condition(LANGUAGE_KEY, predicate)],
            ..Filter::default()
        };
        let named = |name: &str| MetadataValue::String(name.to_owned());
        let is = |name: &str| filter(Predicate::Match(named(name)));
        let german = Some(Language::German);
        assert!(is("german").matches(&metadata(), german));
        assert!(!is("english").matches(&metadata(), german));
        assert!(!is("german").matches(&metadata(), None));
        assert!(filter(Predicate::Exists(true)).matches(&metadata(), german));
        assert!(filter(Predicate::Exists(false)).matches(&metadata(), None));
        let said = Metadata::new([(LANGUAGE_KEY.to_owned(), named("english"))].into()).unwrap();
        assert!(is("english").matches(&said, german));
        assert!(!is("german").matches(&said, german));
    }
}
