//! Which conditions of a query keep a document out.

use std::sync::Arc;

use braid_core::{LedgerPin, Result, Selection, TextCondition};

use super::target::Target;
use crate::retriever::RetrieverParts;
use crate::search::open_lexical;

/// The conditions that no passage of the document meets, written as in a query; where each is met by
/// some passage and all by none, all of them. Nothing where a passage meets them all.
pub(super) async fn unmet(
    parts: &RetrieverParts,
    pin: &Arc<dyn LedgerPin>,
    target: &Target,
    conditions: &[TextCondition],
) -> Result<Vec<String>> {
    if conditions.is_empty() {
        return Ok(Vec::new());
    }
    let view = open_lexical(parts, pin.collection()).await?;
    let passages = Selection {
        filter: None,
        slots: Some(Arc::new(target.slots.clone())),
        ..Selection::default()
    };
    let narrowed = view.narrow(conditions, &passages).await?;
    if narrowed
        .selection
        .slots
        .is_some_and(|slots| !slots.is_empty())
    {
        return Ok(Vec::new());
    }
    let all = target.slots.len();
    let failed = conditions.iter().zip(&narrowed.saying);
    let failed = failed.filter(|(condition, saying)| match condition.is_excluded {
        true => **saying == all,
        false => **saying == 0,
    });
    let failed: Vec<String> = failed.map(|(condition, _)| condition.to_string()).collect();
    if failed.is_empty() {
        return Ok(conditions.iter().map(ToString::to_string).collect());
    }
    Ok(failed)
}
