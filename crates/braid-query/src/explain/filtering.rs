//! Which conditions of a filter keep a document out.

use braid_core::{Condition, Filter, Language, Metadata};

/// What a filter would have to lose for a document to pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Excluding {
    /// The conditions, as JSON pointers into the filter: failing ones of `must`, matching ones of
    /// `must_not`, and all of `should` where none of it holds.
    pub(super) conditions: Vec<String>,
    /// The filter without them; `None` where nothing is left.
    pub(super) rest: Option<Filter>,
}

/// What of `filter` keeps a document with `metadata`, in which `language` was detected, out; no
/// conditions where it passes.
pub(super) fn excluding(
    filter: &Filter,
    metadata: &Metadata,
    language: Option<Language>,
) -> Excluding {
    let alone = |condition: &Condition| {
        let only = Filter {
            must: vec![condition.clone()],
            ..Filter::default()
        };
        only.matches(metadata, language)
    };
    let mut excluding = Excluding::default();
    let mut rest = Filter::default();
    for (at, condition) in filter.must.iter().enumerate() {
        if alone(condition) {
            rest.must.push(condition.clone());
        } else {
            excluding.conditions.push(format!("/must/{at}"));
        }
    }
    if filter.should.is_empty() || filter.should.iter().any(alone) {
        rest.should.clone_from(&filter.should);
    } else {
        excluding.conditions.push("/should".to_owned());
    }
    for (at, condition) in filter.must_not.iter().enumerate() {
        if alone(condition) {
            excluding.conditions.push(format!("/must_not/{at}"));
        } else {
            rest.must_not.push(condition.clone());
        }
    }
    excluding.rest = Some(rest).filter(|rest| !rest.is_empty());
    excluding
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use braid_core::{MetadataValue, Predicate};

    use super::*;

    fn is(key: &str, value: &str) -> Condition {
        Condition {
            key: key.to_owned(),
            predicate: Predicate::Match(MetadataValue::String(value.to_owned())),
        }
    }

    #[test]
    fn exactly_what_keeps_a_document_out_is_named_and_dropped() {
        let fields = [("a", "1"), ("b", "2")];
        let fields =
            fields.map(|(key, value)| (key.to_owned(), MetadataValue::String(value.to_owned())));
        let metadata = Metadata::new(BTreeMap::from(fields)).unwrap();
        let filter = Filter {
            must: vec![is("a", "1"), is("b", "9")],
            should: vec![is("a", "7"), is("b", "8")],
            must_not: vec![is("b", "2"), is("a", "5"), is("language", "thai")],
        };
        let excluding = excluding(&filter, &metadata, Some(Language::Thai));
        let excluded = ["/must/1", "/should", "/must_not/0", "/must_not/2"];
        assert_eq!(excluding.conditions, excluded);
        let rest = excluding.rest.unwrap();
        assert!(rest.matches(&metadata, Some(Language::Thai)));
        let left = [rest.must.len(), rest.should.len(), rest.must_not.len()];
        assert_eq!(left, [1, 0, 1]);
        let passes = super::excluding(&Filter::default(), &metadata, None);
        assert!(passes.conditions.is_empty() && passes.rest.is_none());
    }
}
