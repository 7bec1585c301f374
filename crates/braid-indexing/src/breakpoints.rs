//! Named points of the write path, where a test may stop the world.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use braid_core::{Error, Result};

/// A point between two durable steps. A crash at any of them loses nothing acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Breakpoint {
    /// Documents are chunked, nothing is stored: not acknowledged.
    BeforeStage,
    /// The ledger holds the changes; the caller has not been told yet.
    AfterStage,
    /// A job is about to be cancelled: nothing is taken back.
    BeforeCancel,
    /// The ledger took back what it could of a job; the caller has not been told yet.
    AfterCancel,
    /// Texts are embedded, the embeddings are in memory only.
    AfterEmbed,
    /// The ledger holds the embeddings.
    AfterPutEmbeddings,
    /// An operation was recorded as failed.
    AfterFailOperation,
    /// A run of operations is assembled, no index holds it.
    BeforeApply,
    /// The vector store holds the run, the lexical index does not.
    AfterVectorApply,
    /// Both indexes hold the run, it is not published.
    AfterLexicalApply,
    /// Both indexes dropped purged slots, the purge is not published.
    AfterPurgeApply,
    /// The run is published.
    AfterPublish,
    /// A purge is logged, not applied.
    AfterStagePurge,
    /// One of the indexes was brought back in line with the ledger.
    AfterReconcile,
    /// A document was chunked anew for the next generation.
    AfterRechunk,
    /// The next generation holds everything, the old one is served.
    BeforeSwitchGeneration,
    /// The next generation is served, the old one still exists.
    AfterSwitchGeneration,
}

impl Breakpoint {
    /// Every point with its public name.
    pub const ALL: [(Self, &'static str); 17] = [
        (Self::BeforeStage, "before_stage"),
        (Self::AfterStage, "after_stage"),
        (Self::BeforeCancel, "before_cancel"),
        (Self::AfterCancel, "after_cancel"),
        (Self::AfterEmbed, "after_embed"),
        (Self::AfterPutEmbeddings, "after_put_embeddings"),
        (Self::AfterFailOperation, "after_fail_operation"),
        (Self::BeforeApply, "before_apply"),
        (Self::AfterVectorApply, "after_vector_apply"),
        (Self::AfterLexicalApply, "after_lexical_apply"),
        (Self::AfterPurgeApply, "after_purge_apply"),
        (Self::AfterPublish, "after_publish"),
        (Self::AfterStagePurge, "after_stage_purge"),
        (Self::AfterReconcile, "after_reconcile"),
        (Self::AfterRechunk, "after_rechunk"),
        (Self::BeforeSwitchGeneration, "before_switch_generation"),
        (Self::AfterSwitchGeneration, "after_switch_generation"),
    ];

    /// The public name.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(point, _)| *point == self)
            .map_or("unknown", |(_, name)| name)
    }
}

impl fmt::Display for Breakpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Breakpoint {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.iter().find(|(_, known)| *known == name);
        known.map(|(point, _)| *point).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(_, name)| *name).collect();
            Error::invalid(format!(
                "unknown breakpoint {name:?}: use one of {}",
                names.join(", ")
            ))
        })
    }
}

/// A function that is called at every [`Breakpoint`]. It runs on an async thread and may panic or
/// abort, but not wait.
pub type Hook = Arc<dyn Fn(Breakpoint) + Send + Sync>;

/// What is called at every [`Breakpoint`]; nothing by default.
#[derive(Clone, Default)]
pub struct Breakpoints(Option<Hook>);

impl From<Option<Hook>> for Breakpoints {
    fn from(hook: Option<Hook>) -> Self {
        Self(hook)
    }
}

impl Breakpoints {
    /// Calls `hook` at every point.
    pub fn new(hook: impl Fn(Breakpoint) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(crate) fn reach(&self, point: Breakpoint) {
        if let Some(hook) = &self.0 {
            hook(point);
        }
    }
}

impl fmt::Debug for Breakpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Breakpoints")
            .field(&self.0.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (point, name) in Breakpoint::ALL {
            assert_eq!(name.parse::<Breakpoint>().unwrap(), point);
            assert_eq!(point.to_string(), name);
        }
        assert!("after_lunch".parse::<Breakpoint>().is_err());
    }
}
