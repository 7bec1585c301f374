//! Small collections in scripts other than the Latin one, each with queries that people would ask
//! and the one document that answers each. Written for Braid.

use braid_core::Language;

/// Documents in one language, and queries for them.
#[derive(Clone, Debug)]
pub struct ScriptSet {
    /// The language.
    pub language: Language,
    /// Documents: id and text.
    pub documents: Vec<(&'static str, &'static str)>,
    /// Queries: text, and the id of the document that must be found first.
    pub queries: Vec<(&'static str, &'static str)>,
}

/// Chinese, Japanese, Korean, Thai, Arabic, Russian and Ukrainian.
pub fn all() -> Vec<ScriptSet> {
    let files = [
        (Language::Chinese, include_str!("scripts/chinese.txt")),
        (Language::Japanese, include_str!("scripts/japanese.txt")),
        (Language::Korean, include_str!("scripts/korean.txt")),
        (Language::Thai, include_str!("scripts/thai.txt")),
        (Language::Arabic, include_str!("scripts/arabic.txt")),
        (Language::Russian, include_str!("scripts/russian.txt")),
        (Language::Ukrainian, include_str!("scripts/ukrainian.txt")),
    ];
    files.map(|(language, file)| parse(language, file)).into()
}

/// Lines are `id: text` or `? query => id`.
fn parse(language: Language, file: &'static str) -> ScriptSet {
    let (queries, documents): (Vec<&str>, Vec<&str>) =
        file.lines().partition(|line| line.starts_with("? "));
    let query = |line: &'static str| line[2..].split_once(" => ").expect("`? query => id`");
    let document = |line: &'static str| line.split_once(": ").expect("`id: text`");
    ScriptSet {
        language,
        documents: documents.into_iter().map(document).collect(),
        queries: queries.into_iter().map(query).collect(),
    }
}
