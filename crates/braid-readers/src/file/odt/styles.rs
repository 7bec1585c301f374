//! What the styles of a file say of lists and titles.

use std::collections::{HashMap, HashSet};

use super::xml::Element;

/// Most styles that one is based on, one after the other: they may go round.
const MAX_PARENTS: usize = 32;

/// Styles by name. The content's own style of a name takes the place of a shared one.
#[derive(Debug, Default)]
pub(super) struct Styles {
    /// The list style that is being read.
    list: String,
    /// Numbered levels by list style.
    numbered: HashSet<(String, usize)>,
    /// Paragraph styles of titles.
    titles: HashSet<String>,
    paragraphs: HashMap<String, Paragraph>,
}

/// A paragraph style.
#[derive(Debug)]
struct Paragraph {
    /// The style that it is based on.
    parent: Option<String>,
    /// The list style of lists that name none; empty where it takes back its parent's.
    list: Option<String>,
}

impl Styles {
    pub(super) fn take(&mut self, element: &Element) {
        let name = || element.attribute("name").unwrap_or_default().to_owned();
        match element.name.as_str() {
            "text:list-style" => {
                self.list = name();
                self.numbered.retain(|(style, _)| *style != self.list);
            }
            "text:list-level-style-number" => {
                let level = element
                    .attribute("level")
                    .and_then(|level| level.parse().ok());
                self.numbered
                    .extend(level.map(|level| (self.list.clone(), level)));
            }
            "style:style" => {
                let owned = |attribute| element.attribute(attribute).map(str::to_owned);
                let style = Paragraph {
                    parent: owned("parent-style-name"),
                    list: owned("list-style-name"),
                };
                if style.parent.as_deref() == Some("Title") {
                    self.titles.insert(name());
                }
                self.paragraphs.insert(name(), style);
            }
            _ => {}
        }
    }

    pub(super) fn is_title(&self, paragraph: &str) -> bool {
        paragraph == "Title" || self.titles.contains(paragraph)
    }

    /// Whether a list style numbers the items of a level, counted from 1.
    pub(super) fn is_numbered(&self, list: &str, level: usize) -> bool {
        self.numbered.contains(&(list.to_owned(), level))
    }

    /// The list style of a paragraph style, its own or that of one it is based on.
    pub(super) fn list_of(&self, paragraph: &str) -> Option<&str> {
        let mut style = self.paragraphs.get(paragraph)?;
        for _ in 0..MAX_PARENTS {
            if let Some(list) = &style.list {
                return Some(list);
            }
            style = self.paragraphs.get(style.parent.as_ref()?)?;
        }
        None
    }
}
