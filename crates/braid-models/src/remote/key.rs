//! API keys: read from the environment or a file, sent, never shown.

use std::fmt;
use std::fs;
use std::path::Path;

use braid_core::{Error, ErrorCode, Result};
use http::HeaderValue;

/// A secret for a model server.
#[derive(Clone)]
pub struct ApiKey(HeaderValue);

impl ApiKey {
    /// The key in the environment variable `variable`, else the one in `file`; `None` where neither
    /// is given. Space around it is no part of it.
    ///
    /// # Errors
    /// [`ModelUnavailable`](ErrorCode::ModelUnavailable) when the file cannot be read, or the key is
    /// empty or no header could carry it.
    pub fn find(variable: &str, file: Option<&Path>) -> Result<Option<Self>> {
        if let Ok(text) = std::env::var(variable) {
            return Self::new(&text, &format!("the environment variable {variable}")).map(Some);
        }
        let Some(file) = file else { return Ok(None) };
        let place = format!("the key file {}", file.display());
        let text = fs::read_to_string(file).map_err(|error| {
            let message = format!("{place} cannot be read");
            Error::new(ErrorCode::ModelUnavailable, message).with_source(error)
        })?;
        Self::new(&text, &place).map(Some)
    }

    /// A key out of `place`, which errors name in its stead.
    ///
    /// # Errors
    /// As [`ApiKey::find`].
    pub fn new(text: &str, place: &str) -> Result<Self> {
        let text = text.trim();
        let bad = |what: &str| {
            Error::new(
                ErrorCode::ModelUnavailable,
                format!("the API key in {place} {what}"),
            )
        };
        if text.is_empty() {
            return Err(bad("is empty"));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {text}"))
            .map_err(|_| bad("has characters that a header cannot carry"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The value of the `authorization` header.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_from_files_and_are_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "  sk-secret\n").unwrap();
        let key = ApiKey::find("BRAID_NO_SUCH_KEY", Some(file.path()));
        let key = key.unwrap().unwrap();
        assert_eq!(key.header(), "Bearer sk-secret");
        assert!(!format!("{key:?} {:?}", key.header()).contains("secret"));
        assert!(ApiKey::find("BRAID_NO_SUCH_KEY", None).unwrap().is_none());
    }

    #[test]
    fn bad_keys_are_refused_without_being_shown() {
        for (text, what) in [(" \n", "is empty"), ("sk\u{7}cret", "cannot carry")] {
            let error = ApiKey::new(text, "the test").unwrap_err();
            assert_eq!(error.code(), ErrorCode::ModelUnavailable);
            assert!(error.message().contains(what), "{error}");
            assert!(!error.chain().contains("cret"), "{error}");
        }
        let absent = ApiKey::find("BRAID_NO_SUCH_KEY", Some(Path::new("/absent/key")));
        assert!(absent.unwrap_err().message().contains("/absent/key"));
    }
}
