//! Duplicates: documents of one collection that say the same, or nearly.
//!
//! Likeness is estimated as in Broder, "On the resemblance and containment of documents" (1997): the
//! share of equal MinHash values of two documents is an unbiased estimate of the Jaccard similarity of
//! their sets of word triples. Candidates are found by bands of those values (locality-sensitive
//! hashing), so that a document is never compared with all others.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::ContentHash;
use crate::id::DocumentId;

/// MinHash values of a document. The standard error of an estimate of 0.9 is 0.027.
pub const SKETCH_VALUES: usize = 128;
/// Values in a band. Two documents are compared when all values of one band are equal: with
/// probability 0.95 at a similarity of 0.8, 0.9999 at 0.9.
pub const BAND_VALUES: usize = 8;
/// The least similarity that can be asked for, in percent: below it too few pairs are compared.
pub const LEAST_PERCENT: u8 = 80;

/// What is done about a document that says the same as another one of its collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DuplicateAction {
    /// Nothing: duplicates are not looked for.
    Ignore,
    /// It is stored, and said to be a duplicate.
    #[default]
    Report,
    /// It is not stored, if it is new. One that is stored already and becomes a duplicate is
    /// replaced as it would be otherwise: what it said before must not be retrieved any more.
    Skip,
    /// It is stored, and what it shares with the other document is retrieved once, with both
    /// sources.
    Link,
}

impl DuplicateAction {
    /// Every action.
    pub const ALL: [Self; 4] = [Self::Ignore, Self::Report, Self::Skip, Self::Link];

    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Report => "report",
            Self::Skip => "skip",
            Self::Link => "link",
        }
    }
}

impl FromStr for DuplicateAction {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|action| action.as_str() == name);
        known.ok_or_else(|| {
            Error::invalid(format!(
                "unknown action {name:?}: use ignore, report, skip or link"
            ))
        })
    }
}

/// How a collection treats duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DuplicateSettings {
    /// What is done about them.
    pub action: DuplicateAction,
    /// From which similarity on two documents are duplicates, in percent,
    /// [`LEAST_PERCENT`]..=100. At 100 only the same words in the same order are.
    pub min_percent: u8,
}

impl Default for DuplicateSettings {
    fn default() -> Self {
        Self {
            action: DuplicateAction::default(),
            min_percent: 100,
        }
    }
}

impl DuplicateSettings {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) for a similarity that cannot be asked for.
    pub fn check(&self) -> Result<()> {
        if (LEAST_PERCENT..=100).contains(&self.min_percent) {
            return Ok(());
        }
        let least = f64::from(LEAST_PERCENT) / 100.0;
        let given = f64::from(self.min_percent) / 100.0;
        Err(Error::invalid(format!(
            "duplicates min_similarity is {given}, it must be from {least} to 1"
        )))
    }

    /// Whether documents that are not quite the same are looked for.
    pub fn is_near(&self) -> bool {
        self.min_percent < 100
    }
}

/// What is compared of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Likeness {
    /// Hash of its words in order, white space apart.
    pub words: ContentHash,
    /// MinHash values of its word triples; only where near duplicates are looked for.
    pub sketch: Option<Box<[u32; SKETCH_VALUES]>>,
}

impl Likeness {
    /// The estimated similarity in percent, rounded down; 100 only for the same words.
    pub fn percent(&self, other: &Self) -> u8 {
        if self.words == other.words {
            return 100;
        }
        let (Some(a), Some(b)) = (&self.sketch, &other.sketch) else {
            return 0;
        };
        let equal = a.iter().zip(b.iter()).filter(|(a, b)| a == b).count();
        let percent = equal * 100 / SKETCH_VALUES;
        u8::try_from(percent).unwrap_or(99).min(99)
    }

    /// What two documents must have in common, one of these at least, to be compared: the words
    /// first, then each band.
    pub fn keys(&self) -> Vec<LikenessKey> {
        let [a, b, c, d, e, f, g, h, ..] = self.words.0;
        let words = LikenessKey {
            kind: 0,
            hash: [a, b, c, d, e, f, g, h],
        };
        let sketch = self
            .sketch
            .iter()
            .flat_map(|sketch| sketch.chunks(BAND_VALUES));
        let band = |(kind, band): (u8, &[u32])| LikenessKey {
            kind,
            hash: mix(band).to_be_bytes(),
        };
        std::iter::once(words)
            .chain((1..).zip(sketch).map(band))
            .collect()
    }
}

/// One of the keys under which a document is found by those that are like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LikenessKey {
    /// 0 for the words, the number of the band otherwise.
    pub kind: u8,
    /// Of the words, or of the band's values.
    pub hash: [u8; 8],
}

/// FNV-1a over the values, finished as in SplitMix64. Collisions cost a comparison, nothing else.
fn mix(values: &[u32]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in values.iter().flat_map(|value| value.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The document that another one is a duplicate of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The document that was there before.
    pub of: DocumentId,
    /// The estimated similarity, in percent; 100 for the same words.
    pub percent: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(words: u8, different: usize) -> Likeness {
        let mut sketch = [7; SKETCH_VALUES];
        sketch[..different].fill(9);
        Likeness {
            words: ContentHash([words; 32]),
            sketch: Some(Box::new(sketch)),
        }
    }

    #[test]
    fn similarity_is_the_share_of_equal_values() {
        let one = likeness(1, 0);
        assert_eq!(one.percent(&likeness(1, 64)), 100, "the same words");
        assert_eq!(one.percent(&likeness(2, 0)), 99, "never quite the same");
        assert_eq!(one.percent(&likeness(2, 32)), 75);
        let exact = Likeness {
            sketch: None,
            ..likeness(2, 0)
        };
        assert_eq!(one.percent(&exact), 0);
    }

    #[test]
    fn keys_are_of_the_words_and_of_every_band() {
        let keys = likeness(1, 0).keys();
        assert_eq!(keys.len(), 1 + SKETCH_VALUES / BAND_VALUES);
        let other = likeness(2, 1).keys();
        let equal: Vec<_> = keys.iter().filter(|key| other.contains(key)).collect();
        assert_eq!(equal.len(), SKETCH_VALUES / BAND_VALUES - 1);
        assert!(equal.iter().all(|key| key.kind > 1));
    }

    #[test]
    fn bounds_are_checked() {
        let settings = |min_percent| DuplicateSettings {
            min_percent,
            ..DuplicateSettings::default()
        };
        assert!(settings(80).check().is_ok());
        assert!(settings(79).check().is_err());
        assert!(settings(101).check().is_err());
        for action in DuplicateAction::ALL {
            assert_eq!(action.as_str().parse::<DuplicateAction>().unwrap(), action);
        }
        assert!("drop".parse::<DuplicateAction>().is_err());
    }
}
