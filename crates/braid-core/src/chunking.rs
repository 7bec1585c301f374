//! How documents become chunks: what a collection chooses for every format, and for one.

use std::fmt;
use std::str::FromStr;

use crate::document::Format;
use crate::error::{Error, Result};

/// Where chunk boundaries are sought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChunkingStrategy {
    /// By what the document is: headings for Markdown and HTML, syntax for source code, paragraphs
    /// and sentences for text.
    #[default]
    Structure,
    /// After so many tokens, at the end of a word.
    Tokens,
    /// After as many whole sentences as fit.
    Sentences,
    /// At headings; where the format has none, as [`ChunkingStrategy::Sentences`].
    Headings,
    /// At definitions and statements; where the document is no program, as
    /// [`ChunkingStrategy::Sentences`].
    Code,
    /// The whole document is one chunk. One that is longer than the embedder reads is cut into as
    /// few as possible.
    Whole,
}

impl ChunkingStrategy {
    /// Every strategy with its public name.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Structure, "structure"),
        (Self::Tokens, "tokens"),
        (Self::Sentences, "sentences"),
        (Self::Headings, "headings"),
        (Self::Code, "code"),
        (Self::Whole, "whole"),
    ];

    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Tokens => "tokens",
            Self::Sentences => "sentences",
            Self::Headings => "headings",
            Self::Code => "code",
            Self::Whole => "whole",
        }
    }
}

impl FromStr for ChunkingStrategy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(strategy, _)| *strategy).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|(_, name)| *name).collect();
            let known = known.join(", ");
            Error::invalid(format!("unknown strategy {name:?}: use one of {known}"))
        })
    }
}

/// Formats that are chunked alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FormatFamily {
    /// Plain text, PDF included.
    Text,
    /// Markdown, and what is read as Markdown: Word, EPUB.
    Markdown,
    /// HTML.
    Html,
    /// Source code in any language.
    Code,
}

impl FormatFamily {
    /// Every family, in the order in which they are named to people.
    pub const ALL: [Self; 4] = [Self::Text, Self::Markdown, Self::Html, Self::Code];

    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Code => "code",
        }
    }
}

impl From<Format> for FormatFamily {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Markdown => Self::Markdown,
            Format::Html => Self::Html,
            Format::Code(_) => Self::Code,
        }
    }
}

impl FromStr for FormatFamily {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid(format!("unknown format {name:?}: use one of {known}"))
        })
    }
}

/// How documents become chunks. Sizes are in tokens of the collection's embedder, body only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkingSettings {
    /// Where boundaries are sought.
    pub strategy: ChunkingStrategy,
    /// Most tokens in a chunk.
    pub target_tokens: usize,
    /// Most tokens repeated from the chunk before.
    pub overlap_tokens: usize,
    /// What is different for some formats.
    pub formats: FormatOverrides,
}

impl Default for ChunkingSettings {
    fn default() -> Self {
        Self {
            strategy: ChunkingStrategy::Structure,
            target_tokens: 180,
            overlap_tokens: 0,
            formats: FormatOverrides::default(),
        }
    }
}

impl ChunkingSettings {
    /// What holds for documents of `family`.
    pub fn rule(&self, family: FormatFamily) -> ChunkingRule {
        let chosen = self.formats.of(family);
        ChunkingRule {
            strategy: chosen.strategy.unwrap_or(self.strategy),
            target_tokens: chosen.target_tokens.unwrap_or(self.target_tokens),
            overlap_tokens: chosen.overlap_tokens.unwrap_or(self.overlap_tokens),
        }
    }
}

/// What holds for one format, nothing left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkingRule {
    /// Where boundaries are sought.
    pub strategy: ChunkingStrategy,
    /// Most tokens in a chunk.
    pub target_tokens: usize,
    /// Most tokens repeated from the chunk before.
    pub overlap_tokens: usize,
}

impl ChunkingRule {
    /// What is wrong with the sizes, if anything: the field's name and what it must be. Whole
    /// documents use neither. An overlap of more than half would be most of what is stored.
    pub fn problem(self) -> Option<(&'static str, String)> {
        if self.strategy == ChunkingStrategy::Whole {
            return None;
        }
        let target = self.target_tokens;
        if target == 0 {
            return Some(("target_tokens", "must be 1 or more".to_owned()));
        }
        if self.overlap_tokens > target / 2 {
            let rule = format!("must be at most half of target_tokens, which is {target}");
            return Some(("overlap_tokens", rule));
        }
        None
    }
}

/// What is different for each family of formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FormatOverrides {
    /// For plain text.
    pub text: ChunkingOverride,
    /// For Markdown.
    pub markdown: ChunkingOverride,
    /// For HTML.
    pub html: ChunkingOverride,
    /// For source code.
    pub code: ChunkingOverride,
}

impl FormatOverrides {
    /// What is different for `family`.
    pub fn of(&self, family: FormatFamily) -> ChunkingOverride {
        match family {
            FormatFamily::Text => self.text,
            FormatFamily::Markdown => self.markdown,
            FormatFamily::Html => self.html,
            FormatFamily::Code => self.code,
        }
    }

    /// The place of `family`.
    pub fn of_mut(&mut self, family: FormatFamily) -> &mut ChunkingOverride {
        match family {
            FormatFamily::Text => &mut self.text,
            FormatFamily::Markdown => &mut self.markdown,
            FormatFamily::Html => &mut self.html,
            FormatFamily::Code => &mut self.code,
        }
    }
}

/// What a collection chooses for one family of formats; what it leaves open is as for all. Written
/// `STRATEGY[:TARGET[:OVERLAP]]`, each part of which may be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ChunkingOverride {
    /// Where boundaries are sought.
    pub strategy: Option<ChunkingStrategy>,
    /// Most tokens in a chunk.
    pub target_tokens: Option<usize>,
    /// Most tokens repeated from the chunk before.
    pub overlap_tokens: Option<usize>,
}

impl ChunkingOverride {
    /// Whether it leaves everything open.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for ChunkingOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.strategy.map_or("", ChunkingStrategy::as_str))?;
        if let Some(target) = self.target_tokens {
            write!(f, ":{target}")?;
        }
        match (self.target_tokens, self.overlap_tokens) {
            (_, None) => Ok(()),
            (Some(_), Some(overlap)) => write!(f, ":{overlap}"),
            (None, Some(overlap)) => write!(f, "::{overlap}"),
        }
    }
}

impl FromStr for ChunkingOverride {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split(':').map(str::trim);
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (strategy, target, overlap) = (part(), part(), part());
        let read = Self {
            strategy: strategy.map(str::parse).transpose()?,
            target_tokens: target.map(|it| tokens(it, text)).transpose()?,
            overlap_tokens: overlap.map(|it| tokens(it, text)).transpose()?,
        };
        if parts.next().is_some() || read.is_empty() {
            return Err(malformed(text));
        }
        Ok(read)
    }
}

fn tokens(part: &str, whole: &str) -> Result<usize> {
    part.parse().map_err(|_| malformed(whole))
}

fn malformed(text: &str) -> Error {
    Error::invalid(format!(
        "expected STRATEGY[:TARGET[:OVERLAP]] such as sentences:120:20, found {text:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for (strategy, name) in ChunkingStrategy::ALL {
            assert_eq!(name.parse::<ChunkingStrategy>().unwrap(), strategy);
            assert_eq!(strategy.as_str(), name);
        }
        for family in FormatFamily::ALL {
            assert_eq!(family.as_str().parse::<FormatFamily>().unwrap(), family);
        }
        assert!("tiny".parse::<ChunkingStrategy>().is_err());
        assert!("pdf".parse::<FormatFamily>().is_err());
    }

    #[test]
    fn overrides_are_written_and_read() {
        for text in [
            "tokens",
            "tokens:120",
            "code:120:20",
            ":90",
            "::5",
            "whole::5",
        ] {
            let read: ChunkingOverride = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
        }
        for bad in [
            "",
            "::",
            "tiny",
            "tokens:",
            "tokens:x",
            "tokens:1:2:3",
            "tokens:-1",
        ] {
            let read = bad.parse::<ChunkingOverride>();
            assert_eq!(read.is_ok(), bad == "tokens:", "{bad:?}");
        }
    }

    #[test]
    fn a_format_takes_what_it_leaves_open_from_all() {
        let mut settings = ChunkingSettings::default();
        settings.formats.code = "tokens::20".parse().unwrap();
        let rule = |strategy, overlap_tokens| ChunkingRule {
            strategy,
            target_tokens: 180,
            overlap_tokens,
        };
        let code = FormatFamily::from(Format::Code(crate::document::CodeLanguage::Go));
        assert_eq!(settings.rule(code), rule(ChunkingStrategy::Tokens, 20));
        let html = settings.rule(FormatFamily::Html);
        assert_eq!(html, rule(ChunkingStrategy::Structure, 0));
        assert_eq!(settings.rule(code).problem(), None);
        settings.formats.code.target_tokens = Some(39);
        assert_eq!(settings.rule(code).problem().unwrap().0, "overlap_tokens");
        settings.formats.code.target_tokens = Some(0);
        assert_eq!(settings.rule(code).problem().unwrap().0, "target_tokens");
        settings.formats.code.strategy = Some(ChunkingStrategy::Whole);
        assert_eq!(settings.rule(code).problem(), None);
    }
}
