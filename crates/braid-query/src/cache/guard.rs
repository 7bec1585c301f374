//! Questions that look alike to an encoder and ask for different things.
//!
//! "How do I enable it?" and "How do I disable it?" have nearly the same embedding, and so do 1.2 and
//! 1.3, from A to B and from B to A. The guard reads both texts, word by word, and names the first
//! difference of a kind that turns an answer into a wrong one. It knows English words; names, numbers
//! and order are found in any language that parts words. It can only refuse: what it says nothing
//! about is still a matter of similarity.

mod reading;
mod words;

pub use reading::Reading;

/// Why two questions are not taken to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Difference {
    /// One has a number, a version, an identifier or a name that the other has not.
    Name,
    /// One has a negation more: `not`, `without`, `unable`, ...
    Negation,
    /// Where one has a word, the other has its opposite.
    Opposite,
    /// One asks who, where, when or why, and the other another of these.
    Question,
    /// The same words in another order, or `to`, `than`, `before`, ... before another of them.
    Order,
    /// Where one has a word, the other has another that is not known to say the same.
    Word,
}

impl Difference {
    /// Every difference, in the order in which they are looked for.
    pub const ALL: [Self; 6] = [
        Self::Name,
        Self::Negation,
        Self::Opposite,
        Self::Question,
        Self::Order,
        Self::Word,
    ];

    /// Its name in answers and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Negation => "negation",
            Self::Opposite => "opposite",
            Self::Question => "question",
            Self::Order => "order",
            Self::Word => "word",
        }
    }

    /// The first difference between two questions, if one is found. The same whichever comes first.
    pub fn between(one: &Reading, other: &Reading) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|difference| difference.is_between(one, other))
    }

    /// Whether this difference is between two questions.
    pub fn is_between(self, one: &Reading, other: &Reading) -> bool {
        match self {
            Self::Name => one.has_name_beyond(other) || other.has_name_beyond(one),
            Self::Negation => one.is_negated() != other.is_negated(),
            Self::Opposite => one.has_opposite_in(other),
            Self::Question => one.asks_otherwise(other),
            Self::Order => one.is_reordered(other),
            Self::Word => one.differs_in_one_word(other),
        }
    }
}

#[cfg(test)]
mod tests;
