//! The analyzers of one collection.

use std::sync::OnceLock;

use braid_core::{Fingerprint, Language, LanguageSetting};

use super::{ANALYZER_VERSION, Analyzer};
use crate::language::DETECTOR_VERSION;

/// An analyzer for each language that a collection's documents may be in, made when it is first
/// asked for.
#[derive(Debug)]
pub struct Analyzers {
    setting: LanguageSetting,
    /// In the order of [`Language::ALL`].
    made: [OnceLock<Analyzer>; Language::ALL.len()],
}

impl Analyzers {
    /// The analyzers of a collection with this setting.
    pub fn new(setting: LanguageSetting) -> Self {
        Self {
            setting,
            made: [const { OnceLock::new() }; Language::ALL.len()],
        }
    }

    /// The setting.
    pub fn setting(&self) -> LanguageSetting {
        self.setting
    }

    /// Identifies the terms they make: analyzers with the same fingerprint are interchangeable.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(match self.setting {
            LanguageSetting::Auto => {
                format!("analyzer-{ANALYZER_VERSION}-auto-detector-{DETECTOR_VERSION}")
            }
            LanguageSetting::Fixed(language) => format!("analyzer-{ANALYZER_VERSION}-{language}"),
        })
    }

    /// The analyzer of `language`.
    pub fn of(&self, language: Language) -> &Analyzer {
        let place = Language::ALL
            .iter()
            .position(|(known, _)| *known == language);
        // Invariant: every language is in the list.
        self.made[place.unwrap_or(0)].get_or_init(|| Analyzer::new(language))
    }

    /// The analyzer of a document in which `detected` was found.
    pub fn of_document(&self, detected: Option<Language>) -> &Analyzer {
        self.of(self.setting.of_document(detected))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn fingerprints_tell_settings_apart() {
        let setting = |name: &str| name.parse::<LanguageSetting>().unwrap();
        let prints: HashSet<_> = LanguageSetting::names()
            .map(|name| Analyzers::new(setting(name)).fingerprint())
            .collect();
        assert_eq!(prints.len(), Language::ALL.len() + 1);
    }

    #[test]
    fn each_document_has_the_analyzer_of_its_language() {
        let auto = Analyzers::new(LanguageSetting::Auto);
        let fixed = Analyzers::new(LanguageSetting::Fixed(Language::French));
        for (language, _) in Language::ALL {
            assert_eq!(auto.of_document(Some(language)).language(), language);
            assert_eq!(
                fixed.of_document(Some(language)).language(),
                Language::French
            );
        }
        assert_eq!(auto.of_document(None).language(), Language::English);
    }
}
