//! What a query means by the synonyms of its collection, and what that is worth at most.

use braid_core::Result;
use braid_text::lexical::{Meant, Phrase, inverse_frequency};

use crate::expansions::Expanded;
use crate::lookup::Lookup;
use crate::schema::Fields;
use crate::statistics::Statistics;

/// What is meant, with what the words are worth that it stands for.
pub(crate) fn expand(
    lookup: &Lookup<'_>,
    index: (&Fields, &Statistics),
    meant: Vec<Meant>,
) -> Result<Vec<Expanded>> {
    let expanded = meant.into_iter().map(|meant| {
        Ok(Expanded {
            at_most: rarity(lookup, index, &meant.from)?,
            phrase: meant.phrase,
            languages: meant.languages,
            told: meant.told,
        })
    });
    expanded.collect()
}

/// What the words of a phrase are worth together.
fn rarity(
    lookup: &Lookup<'_>,
    (fields, statistics): (&Fields, &Statistics),
    phrase: &Phrase,
) -> Result<f32> {
    let mut sum = 0.0;
    for place in phrase.places() {
        let mut most = 0;
        for text in &place.terms {
            most = most.max(lookup.documents(fields.content, text)?);
        }
        sum += inverse_frequency(most, statistics.documents);
    }
    Ok(sum)
}
