//! [`Tried`]: what is asked of each collection, one after the other. One that fails keeps nobody from the
//! others.

use braid_core::{Collection, Error, ErrorCode, Result};

/// What became of the collections that were tried.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    answered: bool,
    failed: Option<Error>,
}

impl Tried {
    /// The answer of a collection; `None`, and a warning, where it failed.
    pub(crate) fn note<T>(
        &mut self,
        collection: &Collection,
        what: &'static str,
        answer: Result<T>,
    ) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.answered = true;
                Some(answer)
            }
            Err(error) => {
                let name = &collection.name;
                tracing::warn!(collection = %name, what, error = %error.chain(), "a collection is left out");
                if self.failed.as_ref().is_none_or(is_gone) {
                    self.failed = Some(error);
                }
                None
            }
        }
    }

    /// # Errors
    /// Where all failed, and one of them is there: the error of that one, as one that may pass. Whatever
    /// is wrong with it, it may be mended while this process runs.
    pub(crate) fn done(self) -> Result<()> {
        match self.failed {
            Some(failed) if !self.answered && !is_gone(&failed) => Err(passing(failed)),
            _ => Ok(()),
        }
    }
}

/// It was deleted a moment ago.
fn is_gone(error: &Error) -> bool {
    error.code() == ErrorCode::CollectionNotFound
}

/// The error as one that may pass.
fn passing(error: Error) -> Error {
    if error.code().is_retryable() {
        return error;
    }
    Error::new(ErrorCode::Unavailable, "no collection can be read").with_source(error)
}
