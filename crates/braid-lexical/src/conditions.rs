//! What entries must say, and must not.

use std::sync::Arc;

use braid_core::{Narrowed, Result, Selection, SlotSet, TextCondition};
use braid_text::Analyzer;
use braid_text::lexical::Forms;
use tantivy::Searcher;

use crate::index::slots;
use crate::lookup::Lookup;
use crate::phrase::slots_saying;
use crate::schema::Fields;

/// The entries of `selection` that all conditions hold for.
pub(crate) fn narrow(
    searcher: &Searcher,
    fields: &Fields,
    analyzers: &[&Analyzer],
    conditions: &[TextCondition],
    selection: &Selection,
) -> Result<Narrowed> {
    let all: Arc<SlotSet> = match &selection.slots {
        Some(slots) => Arc::clone(slots),
        None => Arc::new(slots(searcher)?),
    };
    let mut kept = SlotSet::clone(&all);
    let lookup = Lookup::new(searcher);
    let mut saying = Vec::with_capacity(conditions.len());
    for condition in conditions {
        let forms = Forms::new(analyzers, &condition.text);
        if forms.is_empty() {
            // No words: there is nothing to say or not to say.
            saying.push(if condition.is_excluded { 0 } else { all.len() });
            continue;
        }
        let said = slots_saying(&lookup, fields, &forms, condition.field)?;
        saying.push(all.intersection_len(&said));
        if condition.is_excluded {
            kept -= &said;
        } else {
            kept &= &said;
        }
    }
    Ok(Narrowed {
        selection: Selection {
            filter: selection.filter.clone(),
            slots: Some(Arc::new(kept)),
            ..Selection::default()
        },
        saying,
    })
}
