//! The exact count of what the sketch says may be shared.

use std::collections::HashMap;
use std::sync::Arc;

use braid_core::DocumentId;

use super::sketch::{Current, Key, Sketch, Unit, visit_units};
use super::{BoilerplateReport, SharedKind, SharedText};

/// Most texts that are counted.
const MOST_TEXTS: usize = 16 * 1024;
/// Most characters of a text that are kept.
const SHOWN_CHARACTERS: usize = 200;

/// Counts texts that the sketch says at least so many documents share.
pub(super) struct Census {
    sketch: Arc<Sketch>,
    least_documents: u64,
    current: Current,
    texts: HashMap<Key, SharedText>,
    chunks: u64,
    characters: u64,
    is_complete: bool,
}

impl Census {
    pub(super) fn new(sketch: Arc<Sketch>, least_documents: u64) -> Self {
        Self {
            sketch,
            least_documents,
            current: Current::default(),
            texts: HashMap::new(),
            chunks: 0,
            characters: 0,
            is_complete: true,
        }
    }

    /// Counts a chunk of `document`.
    pub(super) fn add(&mut self, document: &DocumentId, text: &str) {
        self.chunks += 1;
        self.current.enter(document);
        let mut candidates = Vec::new();
        let (sketch, least) = (&self.sketch, self.least_documents);
        self.characters += visit_units(text, |unit| {
            if sketch.most_documents(unit.key) >= least {
                let shown = unit.text.chars().take(SHOWN_CHARACTERS).collect::<String>();
                candidates.push((unit.key, unit.characters, shown));
            }
        });
        for (key, characters, shown) in candidates {
            let unit = Unit {
                key,
                text: &shown,
                characters,
            };
            self.count(document, &unit);
        }
    }

    fn count(&mut self, document: &DocumentId, unit: &Unit<'_>) {
        if self.texts.len() >= MOST_TEXTS && !self.texts.contains_key(&unit.key) {
            self.is_complete = false;
            return;
        }
        let is_new = self.current.is_new(unit.key);
        let shared = self.texts.entry(unit.key).or_insert_with(|| SharedText {
            kind: unit.key.0,
            text: unit.text.to_owned(),
            documents: 0,
            occurrences: 0,
            characters: 0,
            example: document.clone(),
        });
        shared.documents += u64::from(is_new);
        shared.occurrences += 1;
        shared.characters += unit.characters;
    }

    /// What was found, with the `most` largest texts.
    pub(super) fn report(self, most: usize) -> BoilerplateReport {
        let mut shared: Vec<SharedText> = self
            .texts
            .into_values()
            .filter(|text| text.documents >= self.least_documents)
            .collect();
        let lines = shared.iter().filter(|text| text.kind == SharedKind::Line);
        let shared_characters = lines.map(|line| line.characters).sum();
        shared.sort_unstable_by(|a, b| {
            let order = b.characters.cmp(&a.characters);
            let order = order.then_with(|| a.kind.cmp(&b.kind));
            order.then_with(|| a.text.cmp(&b.text))
        });
        BoilerplateReport {
            chunks: self.chunks,
            characters: self.characters,
            least_documents: self.least_documents,
            shared_characters,
            top: largest(shared, most),
            is_complete: self.is_complete,
        }
    }
}

/// The first `most` that say something of their own: the lines of a chunk that is named already
/// stand in as many documents as it does.
fn largest(shared: Vec<SharedText>, most: usize) -> Vec<SharedText> {
    let mut top: Vec<SharedText> = Vec::new();
    for text in shared {
        if top.len() >= most {
            break;
        }
        let is_said = |larger: &SharedText| {
            larger.text.contains(&text.text) && text.documents <= larger.documents
        };
        if !top.iter().any(is_said) {
            top.push(text);
        }
    }
    top
}
