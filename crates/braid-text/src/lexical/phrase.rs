//! Phrases: words that follow one another, and the entries that say them.

use braid_core::TextField;

use super::{EntryTexts, Languages};
use crate::analysis::{Analyzer, TermKind};

/// Words in a row, in the forms of one analyzer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Phrase {
    /// In rising order of their offsets, the first at 0.
    places: Vec<Place>,
}

/// One word of a phrase.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// How many words after the first.
    pub offset: u32,
    /// Any of these terms is the word.
    pub terms: Vec<String>,
}

impl Phrase {
    /// The phrase that `text` is; `None` where it has no words.
    ///
    /// A word is itself, stop words too, or the whole identifier that begins there: what stands between
    /// words does not count. It does at the ends of a name (`C++`, `.NET`), which stands for itself alone.
    /// Pieces of a word stand for it only where it is nothing else (the last character of a run of Han).
    pub fn new(analyzer: &Analyzer, text: &str) -> Option<Self> {
        let places = placed(analyzer, text);
        let mut places: Vec<Place> = places.into_iter().map(|(place, _)| place).collect();
        let first = places.first()?.offset;
        places.iter_mut().for_each(|place| place.offset -= first);
        Some(Self { places })
    }

    /// The words of the phrase that `text` is, for where words are looked for one by one: without stop
    /// words, which any text has, unless there is nothing else.
    pub fn telling_words(analyzer: &Analyzer, text: &str) -> Vec<Place> {
        let mut places = placed(analyzer, text);
        if places.iter().any(|(_, is_stop_word)| !is_stop_word) {
            places.retain(|(_, is_stop_word)| !is_stop_word);
        }
        places.into_iter().map(|(place, _)| place).collect()
    }

    /// The phrase of one term of an index.
    pub fn of_term(term: &str) -> Self {
        let place = Place {
            offset: 0,
            terms: vec![term.to_owned()],
        };
        Self {
            places: vec![place],
        }
    }

    /// Its words; there is at least one.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The first term of each word.
    pub fn first_terms(&self) -> impl Iterator<Item = String> {
        let places = self.places.iter();
        places.filter_map(|place| place.terms.first().cloned())
    }
}

/// The words of a text that stand for it, by position, and whether each is nothing but a stop word.
fn placed(analyzer: &Analyzer, text: &str) -> Vec<(Place, bool)> {
    let placed = words(analyzer, text)
        .into_iter()
        .filter_map(|(offset, said)| {
            let is_word = |kind| matches!(kind, TermKind::Word | TermKind::StopWord);
            let has_word = said.iter().any(|(_, kind)| is_word(*kind));
            let has_name = said.iter().any(is_name);
            let stands = |term: &(String, TermKind)| match term.1 {
                TermKind::Part => !has_word,
                TermKind::Word | TermKind::StopWord => !has_name,
                TermKind::Whole => !has_name || is_name(term),
            };
            let mut terms: Vec<String> = Vec::new();
            let mut is_stop_word = true;
            for (text, kind) in said.into_iter().filter(stands) {
                is_stop_word &= kind == TermKind::StopWord;
                if !terms.contains(&text) {
                    terms.push(text);
                }
            }
            let place = Place { offset, terms };
            (!place.terms.is_empty()).then_some((place, is_stop_word))
        });
    placed.collect()
}

/// Whether a term is a name that a mark begins or ends.
fn is_name((text, kind): &(String, TermKind)) -> bool {
    let is_mark = |c: Option<char>| c.is_some_and(|c| !c.is_alphanumeric());
    let mut chars = text.chars();
    *kind == TermKind::Whole && (is_mark(chars.next()) || is_mark(chars.next_back()))
}

/// A position of a text, and the terms that stand there.
pub type PlacedTerms = (u32, Vec<(String, TermKind)>);

/// The terms of a text by position, in rising order.
pub fn words(analyzer: &Analyzer, text: &str) -> Vec<PlacedTerms> {
    let mut words: Vec<PlacedTerms> = Vec::new();
    analyzer.visit(text, &mut |term| {
        let said = (term.text.to_owned(), term.kind);
        match words.last_mut() {
            Some((position, terms)) if *position == term.position => terms.push(said),
            _ => words.push((term.position, vec![said])),
        }
    });
    words
}

/// A phrase in the forms of the languages that it is searched for in.
#[derive(Clone, Debug)]
pub struct Forms(Vec<(Phrase, Languages)>, Languages);

impl Forms {
    /// The forms of `text`, one a language; equal ones are one. Empty where no language has words in
    /// it.
    pub fn new(analyzers: &[&Analyzer], text: &str) -> Self {
        let mut forms: Vec<(Phrase, Languages)> = Vec::new();
        for analyzer in analyzers {
            let Some(phrase) = Phrase::new(analyzer, text) else {
                continue;
            };
            match forms.iter_mut().find(|known| known.0 == phrase) {
                Some((_, languages)) => languages.add(analyzer.language()),
                None => forms.push((phrase, Languages::of(analyzer.language()))),
            }
        }
        let all = analyzers.iter().map(|analyzer| analyzer.language());
        Self(forms, all.collect())
    }

    /// Whether no language has words in it: there is nothing to say or not to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with the languages of the documents that it is searched for in; `None` for all.
    pub fn iter(&self) -> impl Iterator<Item = (&Phrase, Option<Languages>)> {
        let limit = |languages| (languages != self.1).then_some(languages);
        let forms = self.0.iter();
        forms.map(move |(phrase, languages)| (phrase, limit(*languages)))
    }
}

/// The words of an entry, text by text: where there is no index to ask, it is looked through.
#[derive(Clone, Debug)]
pub struct EntryWords(Vec<(TextField, Vec<PlacedTerms>)>);

impl EntryWords {
    /// Analyzes every text of an entry.
    pub fn new(texts: EntryTexts<'_>, analyzer: &Analyzer) -> Self {
        let headings = texts.headings.iter().map(String::as_str);
        let headings = headings.map(|text| (TextField::Heading, text));
        let title = std::iter::once((TextField::Title, texts.title));
        let body = std::iter::once((TextField::Body, texts.body));
        let texts = title.chain(headings).chain(body);
        Self(
            texts
                .map(|(field, text)| (field, words(analyzer, text)))
                .collect(),
        )
    }

    /// Each text, with the field that it is of.
    pub fn texts(&self) -> impl Iterator<Item = (TextField, &[PlacedTerms])> {
        let texts = self.0.iter();
        texts.map(|(field, words)| (*field, words.as_slice()))
    }

    /// Whether some text of `field`, or of any field, says `phrase`, which is in a form of the same
    /// analyzer.
    pub fn say(&self, phrase: &Phrase, field: Option<TextField>) -> bool {
        let mut texts = self.texts();
        texts.any(|(of, words)| field.is_none_or(|field| field == of) && says(words, phrase))
    }
}

fn says(words: &[PlacedTerms], phrase: &Phrase) -> bool {
    let stands = |start: u32, place: &Place| {
        let position = start.saturating_add(place.offset);
        let at = words.binary_search_by_key(&position, |(position, _)| *position);
        at.is_ok_and(|at| {
            let mut said = words[at].1.iter();
            said.any(|(term, _)| place.terms.contains(term))
        })
    };
    let mut starts = words.iter();
    starts.any(|(start, _)| phrase.places.iter().all(|place| stands(*start, place)))
}

#[cfg(test)]
mod tests {
    use braid_core::Language;

    use super::*;

    fn entry<'a>(title: &'a str, headings: &'a [String], body: &'a str) -> EntryTexts<'a> {
        EntryTexts {
            title,
            headings,
            body,
        }
    }

    #[test]
    fn entries_say_phrases_within_one_text() {
        let analyzer = Analyzer::new(Language::English);
        let headings = ["To be".to_owned(), "or not".to_owned()];
        let texts = entry("Who is who", &headings, "The State-of-the-art in C++");
        let words = EntryWords::new(texts, &analyzer);
        let says = |field, text: &str| words.say(&Phrase::new(&analyzer, text).unwrap(), field);
        assert!(says(None, "who is"));
        assert!(says(Some(TextField::Title), "who is"));
        assert!(!says(Some(TextField::Body), "who is"));
        assert!(says(Some(TextField::Heading), "or not"));
        for across in ["be or", "who to", "not the"] {
            assert!(!says(None, across), "{across}");
        }
        for said in [
            "states of the art",
            "state-of-the-art",
            "art in c++",
            "in C++",
        ] {
            assert!(says(Some(TextField::Body), said), "{said}");
        }
        assert!(says(None, "in C") && !says(None, "in C#"));
        assert!(!says(None, "art the"));
        assert!(!says(None, &"to ".repeat(2_700)));
    }

    #[test]
    fn languages_with_one_form_share_it() {
        let [english, german] = [Language::English, Language::German].map(Analyzer::new);
        let forms = Forms::new(&[&english, &german], "haus");
        assert!(!forms.is_empty());
        assert_eq!(forms.iter().count(), 1);
        assert!(Forms::new(&[&english], "???").is_empty());
    }
}
