//! Content hashes and fingerprints. Core defines the values; the crates that compute them name the
//! algorithm (BLAKE3).

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A 256-bit hash of some content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for ContentHash {
    type Err = Error;

    /// Reads what [`Display`](fmt::Display) writes: 64 lower-case hexadecimal digits.
    fn from_str(text: &str) -> Result<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, odd) = text.as_bytes().as_chunks::<2>();
        let bytes = pairs
            .iter()
            .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        let bytes: Option<Vec<u8>> = bytes.collect();
        bytes
            .filter(|_| odd.is_empty())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| Error::invalid("a hash has 64 lower-case hexadecimal digits"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// A short, stable, printable name of a configuration that changes what is stored: two components
/// with the same fingerprint produce interchangeable output.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Wraps an already computed fingerprint.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The printable form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_as_they_are_written() {
        let hash = ContentHash(std::array::from_fn(|at| (at * 37) as u8));
        assert_eq!(hash.to_string().parse::<ContentHash>().unwrap(), hash);
        let good = "0".repeat(64);
        let bad = [
            String::new(),
            good[1..].to_owned(),
            format!("{good}00"),
            good.replacen('0', "A", 1),
            good.replacen("00", "é", 1),
        ];
        for bad in bad {
            assert!(bad.parse::<ContentHash>().is_err(), "{bad}");
        }
    }
}
