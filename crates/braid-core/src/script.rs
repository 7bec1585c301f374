//! Writing systems.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A writing system by its ISO 15924 code: `Latn`, `Cyrl`, `Hani`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Script([u8; 4]);

impl Script {
    /// The letters of English and of most languages of western Europe.
    pub const LATIN: Self = Self(*b"Latn");

    /// The script of a code, which must be four letters, the first alone a capital.
    pub const fn of_code(code: [u8; 4]) -> Option<Self> {
        let [first, a, b, c] = code;
        let is_code = first.is_ascii_uppercase()
            && a.is_ascii_lowercase()
            && b.is_ascii_lowercase()
            && c.is_ascii_lowercase();
        if is_code { Some(Self(code)) } else { None }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl FromStr for Script {
    type Err = Error;

    fn from_str(code: &str) -> Result<Self> {
        let known = <[u8; 4]>::try_from(code.as_bytes())
            .ok()
            .and_then(Self::of_code);
        known.ok_or_else(|| {
            Error::invalid(format!(
                "{code:?} is no script: use the four letters of ISO 15924, such as Latn, Cyrl or Hani"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_four_letters() {
        for code in ["Latn", "Cyrl", "Hani"] {
            assert_eq!(code.parse::<Script>().unwrap().to_string(), code);
        }
        assert_eq!("Latn".parse::<Script>().unwrap(), Script::LATIN);
        for code in ["", "Latin", "latn", "LATN", "La n", "Lätn"] {
            let error = code.parse::<Script>().unwrap_err();
            assert!(error.message().contains("ISO 15924"), "{error}");
        }
    }
}
