//! Languages as lexical indexes tell them apart.

use braid_core::Language;

/// A set of languages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Languages(u64);

impl Languages {
    /// The set of one.
    pub fn of(language: Language) -> Self {
        let mut set = Self::default();
        set.add(language);
        set
    }

    /// Adds a language.
    pub fn add(&mut self, language: Language) {
        self.0 |= 1 << language_code(language);
    }

    /// Whether it has `language`.
    pub fn has(self, language: Language) -> bool {
        self.has_code(u64::from(language_code(language)))
    }

    /// Whether it has the language of this [`language_code`].
    pub fn has_code(self, code: u64) -> bool {
        self.0.checked_shr(code as u32).unwrap_or(0) & 1 == 1
    }
}

impl FromIterator<Language> for Languages {
    fn from_iter<I: IntoIterator<Item = Language>>(languages: I) -> Self {
        let mut set = Self::default();
        languages.into_iter().for_each(|language| set.add(language));
        set
    }
}

/// What stands for a language in an index, below 64: a code keeps its meaning for ever.
pub fn language_code(language: Language) -> u8 {
    match language {
        Language::None => 0,
        Language::Arabic => 1,
        Language::Chinese => 2,
        Language::Danish => 3,
        Language::Dutch => 4,
        Language::English => 5,
        Language::Finnish => 6,
        Language::French => 7,
        Language::German => 8,
        Language::Greek => 9,
        Language::Hungarian => 10,
        Language::Italian => 11,
        Language::Japanese => 12,
        Language::Korean => 13,
        Language::Norwegian => 14,
        Language::Portuguese => 15,
        Language::Romanian => 16,
        Language::Russian => 17,
        Language::Spanish => 18,
        Language::Swedish => 19,
        Language::Tamil => 20,
        Language::Thai => 21,
        Language::Turkish => 22,
        Language::Ukrainian => 23,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added() {
        let set: Languages = [Language::None, Language::Ukrainian].into_iter().collect();
        for (language, name) in Language::ALL {
            let wanted = matches!(language, Language::None | Language::Ukrainian);
            let code = u64::from(language_code(language));
            assert_eq!(set.has_code(code), wanted, "{name}");
        }
        assert!(!set.has_code(u64::MAX));
    }

    #[test]
    fn codes_are_distinct() {
        let codes = Language::ALL.map(|(language, _)| language_code(language));
        let distinct: std::collections::HashSet<u8> = codes.into_iter().collect();
        assert_eq!(distinct.len(), Language::ALL.len());
        assert!(distinct.iter().all(|code| *code < 64));
    }
}
