//! What searches need to know of a whole index, worked out once a commit.

use std::sync::Arc;

use braid_core::{Language, Result};
use parking_lot::Mutex;
use tantivy::Searcher;

use crate::languages::present;
use crate::schema::Fields;
use crate::scoring::{LengthNorms, mean_length};

/// Numbers of one commit. Deleted documents count until their segment is merged, here as in the
/// document frequencies.
#[derive(Debug)]
pub(crate) struct Statistics {
    /// How many documents there are.
    pub(crate) documents: u64,
    /// What the length of a document's content counts.
    pub(crate) norms: LengthNorms,
    /// The languages that documents are in, see [`present`].
    pub(crate) languages: Vec<Language>,
}

impl Statistics {
    fn of(searcher: &Searcher, fields: &Fields) -> Result<Self> {
        let segments = searcher.segment_readers().iter();
        let documents = segments.map(|segment| u64::from(segment.max_doc())).sum();
        let mean_length = mean_length(searcher, fields.content, documents)?;
        Ok(Self {
            documents,
            norms: LengthNorms::new(mean_length),
            languages: present(searcher, fields.language)?,
        })
    }
}

/// The statistics of the commit that was searched last. A query on an older one works its own out.
#[derive(Debug, Default)]
pub(crate) struct LatestStatistics(Mutex<Option<(u64, Arc<Statistics>)>>);

impl LatestStatistics {
    pub(crate) fn of(&self, searcher: &Searcher, fields: &Fields) -> Result<Arc<Statistics>> {
        let generation = searcher.generation().generation_id();
        if let Some((known, statistics)) = &*self.0.lock()
            && *known == generation
        {
            return Ok(Arc::clone(statistics));
        }
        let statistics = Arc::new(Statistics::of(searcher, fields)?);
        let mut latest = self.0.lock();
        if latest.as_ref().is_none_or(|(known, _)| *known < generation) {
            *latest = Some((generation, Arc::clone(&statistics)));
        }
        Ok(statistics)
    }
}
