//! Invariants of chunking, over generated texts and over texts that are known to hurt.

use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use proptest::prelude::*;

use braid_core::CodeLanguage;

use super::*;

/// Counts like a word-piece tokenizer: punctuation alone, words in pieces of four characters.
#[derive(Clone, Copy, Debug)]
pub(super) struct PieceCounter;

impl TokenCounter for PieceCounter {
    fn count(&self, text: &str) -> usize {
        let mut tokens = 0;
        let mut run = 0_usize;
        for c in text.chars() {
            if c.is_alphanumeric() {
                run += 1;
            } else {
                tokens += run.div_ceil(4) + usize::from(!c.is_whitespace());
                run = 0;
            }
        }
        tokens + run.div_ceil(4)
    }

    fn max_tokens(&self) -> usize {
        512
    }
}

/// Finds more tokens in a text than in its words: white space counts too.
#[derive(Clone, Copy, Debug)]
pub(super) struct CharacterCounter;

impl TokenCounter for CharacterCounter {
    fn count(&self, text: &str) -> usize {
        text.chars().count()
    }

    fn max_tokens(&self) -> usize {
        512
    }
}

fn settings(target_tokens: usize, overlap_tokens: usize) -> ChunkingSettings {
    ChunkingSettings {
        strategy: ChunkingStrategy::Structure,
        target_tokens,
        overlap_tokens,
        ..ChunkingSettings::default()
    }
}

fn chunker(target_tokens: usize, overlap_tokens: usize) -> Chunker {
    Chunker::new(
        Arc::new(PieceCounter),
        settings(target_tokens, overlap_tokens),
    )
    .unwrap()
}

impl Chunker {
    /// The chunks of a text without a title.
    pub(super) fn chunk_text(&self, text: &str, markup: Markup) -> Vec<Chunk> {
        let extracted = ExtractedText {
            text: text.to_owned(),
            markup,
            title: None,
        };
        let family = match markup {
            Markup::Plain => FormatFamily::Text,
            Markup::Markdown => FormatFamily::Markdown,
            Markup::Code(_) => FormatFamily::Code,
        };
        self.chunk(&extracted, family, None)
    }
}

/// Asserts everything that holds of any chunks of `text`.
#[track_caller]
pub(super) fn assert_invariants(
    text: &str,
    chunks: &[Chunk],
    limit: Option<(&dyn TokenCounter, usize)>,
) {
    let chars: Vec<char> = text.chars().collect();
    let mut covered = vec![false; chars.len()];
    let mut last_start = 0;
    for (index, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.ordinal as usize, index);
        let span = chunk.span.start as usize..chunk.span.end as usize;
        let spanned: String = chars[span.clone()].iter().collect();
        assert_eq!(spanned, chunk.text);
        assert!(!chunk.text.trim().is_empty(), "a chunk says something");
        assert!(last_start <= span.start, "chunks are in text order");
        last_start = span.start;
        covered[span].fill(true);
        if let Some((counter, target)) = limit {
            let is_atom = chunk.text.chars().count() == 1;
            assert!(counter.count(&chunk.text) <= target || is_atom, "{chunk:?}");
        }
    }
    for pair in chunks.windows(2) {
        let between = chars.get(pair[0].span.end as usize..pair[1].span.start as usize);
        let between: String = between.into_iter().flatten().collect();
        let is_gap = between.trim().is_empty() && !between.contains(PAGE_END);
        let expected = if is_gap && between.len() <= 64 {
            between
        } else {
            String::new()
        };
        assert_eq!(pair[0].gap, expected);
    }
    assert!(chunks.last().is_none_or(|last| last.gap.is_empty()));
    let missed = chars
        .iter()
        .zip(&covered)
        .find(|(c, covered)| !**covered && !c.is_whitespace());
    assert_eq!(missed, None, "every character is in a chunk");
}

#[track_caller]
fn check_markdown(text: &str, expected: &Expect) {
    check_chunks(text, Markup::Markdown, 12, expected);
}

/// Compares heading paths and texts of chunks of at most `target` tokens.
#[track_caller]
pub(super) fn check_chunks(text: &str, markup: Markup, target: usize, expected: &Expect) {
    let chunks = chunker(target, 0).chunk_text(text, markup);
    assert_invariants(text, &chunks, Some((&PieceCounter, target)));
    let lines: Vec<String> = chunks
        .iter()
        .map(|chunk| format!("{} | {:?}\n", chunk.heading_path.join(" > "), chunk.text))
        .collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn markdown_is_cut_at_headings() {
    check_markdown(
        "intro\n\n# Guide\n\nHello.\n\n## Install\nrun it\n\n### Linux\napt\n\nUsage\n-----\nuse it\n",
        &expect![[r####"
             | "intro"
            Guide | "# Guide\n\nHello."
            Guide > Install | "## Install\nrun it"
            Guide > Install > Linux | "### Linux\napt"
            Guide > Usage | "Usage\n-----\nuse it"
        "####]],
    );
}

#[test]
fn a_bare_heading_opens_the_section_below_it() {
    check_markdown(
        "# A\n## B\ntext\n## C\n## D\n# E\n",
        &expect![[r###"
        A > B | "# A\n## B\ntext"
        A > C | "## C"
        A > D | "## D"
        E | "# E"
    "###]],
    );
}

#[test]
fn headings_in_code_quotes_and_lists_do_not_cut() {
    check_markdown(
        "# A\n```\n# not\n```\n> # quoted\n\n- # item\n\n    # indented\n",
        &expect![[r##"
            A | "# A\n```\n# not\n```\n>"
            A | "# quoted\n\n- # item\n\n    # indented"
        "##]],
    );
}

#[test]
fn long_sections_are_cut_at_blocks_then_sentences() {
    check_markdown(
        "# T\nOne two three four. Five six seven eight. Nine ten eleven twelve.\n\n- first item of it\n- second item of it\n- third item of it\n",
        &expect![[r##"
            T | "# T\nOne two three four."
            T | "Five six seven eight."
            T | "Nine ten eleven twelve."
            T | "- first item of it"
            T | "- second item of it"
            T | "- third item of it"
        "##]],
    );
}

#[test]
fn heading_titles_lose_their_markup_and_are_bounded() {
    let text = format!(
        "# `code` *and* [link](x) {{#id}}\ntext\n# {}\ntext",
        "long ".repeat(500)
    );
    let chunks = chunker(200, 0).chunk_text(&text, Markup::Markdown);
    assert_eq!(chunks[0].heading_path, ["code and link"]);
    let longest = chunks.last().unwrap().heading_path[0].chars().count();
    assert_eq!(longest, 200);
}

#[test]
fn text_of_one_size_makes_chunks_of_about_one_size() {
    let text = "Alpha beta gamma delta. ".repeat(11);
    let chunks = chunker(60, 0).chunk_text(&text, Markup::Plain);
    let sizes: Vec<usize> = chunks
        .iter()
        .map(|chunk| PieceCounter.count(&chunk.text))
        .collect();
    assert_eq!(sizes, [48, 40]);
}

#[test]
fn a_form_feed_ends_a_page_of_plain_text() {
    let text =
        "One two three.\n\u{c}\u{c}Four five six.\u{c}\nSeven eight nine. Ten eleven twelve.\u{c}";
    let pages = |text: &str, markup| {
        let chunks = chunker(6, 0).chunk_text(text, markup);
        assert_invariants(text, &chunks, Some((&PieceCounter, 6)));
        let shown = |chunk: &Chunk| (chunk.page, chunk.text.split(' ').next().map(str::to_owned));
        chunks.iter().map(shown).collect::<Vec<_>>()
    };
    let word = |page: u32, word: &str| (Some(page), Some(word.to_owned()));
    assert_eq!(
        pages(text, Markup::Plain),
        [
            word(1, "One"),
            word(3, "Four"),
            word(4, "Seven"),
            word(4, "Ten")
        ]
    );
    assert!(
        pages(text, Markup::Markdown)
            .iter()
            .all(|(page, _)| page.is_none())
    );
    assert!(
        pages("no pages", Markup::Plain)
            .iter()
            .all(|(page, _)| page.is_none())
    );
}

#[test]
fn nothing_makes_no_chunk_and_a_little_makes_one() {
    for markup in [Markup::Plain, Markup::Markdown] {
        for empty in ["", " \n\t\u{a0} "] {
            assert_eq!(chunker(10, 0).chunk_text(empty, markup), []);
        }
        let chunks = chunker(10, 0).chunk_text("\n é \n", markup);
        assert_eq!(chunks.len(), 1);
        assert_invariants("\n é \n", &chunks, Some((&PieceCounter, 10)));
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for (target, overlap) in [(0, 0), (10, 6), (511, 0)] {
        let refused = Chunker::new(Arc::new(PieceCounter), settings(target, overlap));
        assert!(refused.is_err(), "{target} {overlap}");
    }
    assert!(Chunker::new(Arc::new(PieceCounter), settings(510, 255)).is_ok());
}

#[test]
fn fingerprints_name_what_shapes_the_chunks() {
    assert_ne!(chunker(10, 0).fingerprint(), chunker(11, 0).fingerprint());
    assert_ne!(chunker(10, 0).fingerprint(), chunker(10, 1).fingerprint());
    assert_eq!(chunker(10, 1).fingerprint(), chunker(10, 1).fingerprint());
}

/// A line without any place to cut, and other inputs that have made parsers slow. The bound is far
/// above what a debug build needs and far below what work that grows with its square would take.
#[track_caller]
fn check_hostile(unit: &str, bytes: usize, markup: Markup) {
    let text = unit.repeat(bytes / unit.len());
    let started = Instant::now();
    let chunks = chunker(220, 0).chunk_text(&text, markup);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(60), "{unit:?}: {took:?}");
    assert_invariants(&text, &chunks, Some((&PieceCounter, 220)));
    let longest = chunks.iter().map(|chunk| chunk.text.len()).max();
    assert!(longest.unwrap_or(0) <= 16 * 1024, "{unit:?} {longest:?}");
}

#[test]
fn five_megabytes_without_a_space_are_chunked_in_reasonable_time() {
    check_hostile("x", 5 << 20, Markup::Plain);
}

#[test]
fn a_line_of_five_megabytes_is_chunked_in_reasonable_time() {
    check_hostile("some words ", 5 << 20, Markup::Markdown);
}

#[test]
fn hostile_texts_are_chunked_in_reasonable_time() {
    let units = [
        "漢字", "=/+a", "> ", "[", "*a_ ", "`", "- a\n", "# a\n", "|a", "a\t", "<b>", "\u{301}",
    ];
    for unit in units {
        for markup in [Markup::Plain, Markup::Markdown] {
            check_hostile(unit, 1 << 17, markup);
        }
    }
    for (language, unit) in [
        (CodeLanguage::Rust, "fn f() { g(1); }\n"),
        (CodeLanguage::Rust, "mod a { "),
        (CodeLanguage::Python, "((("),
        (CodeLanguage::JavaScript, "x=>{"),
        (CodeLanguage::C, "#if A\n"),
    ] {
        check_hostile(unit, 1 << 17, Markup::Code(language));
    }
    let balanced = "(".repeat(8000) + "x" + &")".repeat(8000);
    for language in [
        CodeLanguage::Python,
        CodeLanguage::Rust,
        CodeLanguage::TypeScript,
    ] {
        check_hostile(&balanced, 1 << 17, Markup::Code(language));
    }
    check_hostile(
        &format!("a{}b", " ".repeat(1 << 20)),
        3 << 20,
        Markup::Markdown,
    );
}

#[test]
fn a_heading_is_never_alone_above_a_long_paragraph() {
    let text = format!(
        "## Heading\n\n{}\n",
        "Some words in a sentence. ".repeat(40)
    );
    let chunks = chunker(50, 0).chunk_text(&text, Markup::Markdown);
    assert_invariants(&text, &chunks, Some((&PieceCounter, 50)));
    assert!(
        chunks[0].text.starts_with("## Heading\n\nSome words"),
        "{:?}",
        chunks[0]
    );
    assert!(chunks.iter().all(|chunk| chunk.heading_path == ["Heading"]));
}

/// Words, punctuation, line ends and Markdown, in any order.
pub(super) fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        8 => "[a-zé漢]{1,12}",
        6 => Just(" ".to_owned()),
        2 => prop_oneof![Just(". "), Just("! "), Just(", "), Just("\u{a0}")].prop_map(str::to_owned),
        2 => prop_oneof![Just("\n"), Just("\n\n"), Just("\r\n"), Just("\r\n\r\n")].prop_map(str::to_owned),
        1 => prop_oneof![
            Just("# "), Just("\n## "), Just("\n### "), Just("\n---\n"), Just("\n===\n"),
            Just("\n```\n"), Just("\n- "), Just("\n1. "), Just("\n> "), Just("`"), Just("**"),
            Just("["), Just("](u)"), Just("\n    "), Just("\n|a|b|\n|-|-|\n|"), Just("<b>"), Just("$$"),
        ].prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 0..120).prop_map(|parts| parts.concat())
}

pub(super) fn markups() -> impl Strategy<Value = Markup> {
    let language = prop::sample::select(CodeLanguage::ALL.to_vec());
    prop_oneof![
        Just(Markup::Plain),
        Just(Markup::Markdown),
        language.prop_map(Markup::Code)
    ]
}

/// Pieces of programs, in any order.
pub(super) fn programs() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-z_]{1,8}",
        3 => prop_oneof![Just(" "), Just("\n"), Just("\n\n"), Just("\n    ")].prop_map(str::to_owned),
        3 => prop_oneof![
            Just("fn f() {"), Just("impl A {"), Just("def f(x):\n    "), Just("class A {"), Just("class A:\n    "),
            Just("func F() {"), Just("int f(void) {"), Just("export const f = () => {"), Just("// c\n"), Just("# c\n"),
            Just("/*"), Just("*/"), Just("}"), Just("{"), Just("("), Just(")"), Just(";"), Just("\""), Just("@a\n"),
        ].prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..80).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn chunks_tile_any_text(text in texts(), markup in markups(), target in 1..40_usize) {
        let chunks = chunker(target, 0).chunk_text(&text, markup);
        assert_invariants(&text, &chunks, Some((&PieceCounter, target)));
        for pair in chunks.windows(2) {
            prop_assert!(pair[0].span.end <= pair[1].span.start, "without overlap nothing is said twice");
        }
    }

    #[test]
    fn chunks_tile_any_program(
        text in programs(),
        language in prop::sample::select(CodeLanguage::ALL.to_vec()),
        target in 1..40_usize,
    ) {
        let chunks = chunker(target, 0).chunk_text(&text, Markup::Code(language));
        assert_invariants(&text, &chunks, Some((&PieceCounter, target)));
        for pair in chunks.windows(2) {
            prop_assert!(pair[0].span.end <= pair[1].span.start, "without overlap nothing is said twice");
        }
    }

    #[test]
    fn overlap_is_within_its_bound(text in texts(), markup in markups(), overlap in 1..12_usize) {
        let chunks = chunker(24, overlap).chunk_text(&text, markup);
        assert_invariants(&text, &chunks, Some((&PieceCounter, 24)));
        for pair in chunks.windows(2) {
            let repeated = pair[0].span.end.saturating_sub(pair[1].span.start) as usize;
            let shared: String = pair[1].text.chars().take(repeated).collect();
            prop_assert!(PieceCounter.count(&shared) <= overlap, "{:?}", shared);
            prop_assert!(repeated == 0 || pair[0].heading_path == pair[1].heading_path);
        }
    }

    #[test]
    fn the_tokenizer_has_the_last_word(text in texts(), markup in markups(), target in 1..40_usize) {
        let chunker = Chunker::new(Arc::new(CharacterCounter), settings(target, 0)).unwrap();
        let chunks = chunker.chunk_text(&text, markup);
        assert_invariants(&text, &chunks, Some((&CharacterCounter, target)));
    }

    #[test]
    fn sections_tile_the_text(text in texts()) {
        let mut end = 0;
        for section in sections::markdown_sections(&text) {
            prop_assert_eq!(section.range.start, end);
            end = section.range.end;
        }
        prop_assert_eq!(end, text.len());
    }
}

#[test]
fn a_long_text_repeats_its_overlap() {
    let text = "One two three four five. ".repeat(40);
    let chunks = chunker(30, 8).chunk_text(&text, Markup::Plain);
    let overlapping = chunks
        .windows(2)
        .filter(|pair| pair[1].span.start < pair[0].span.end);
    assert_eq!(overlapping.count(), chunks.len() - 1);
}
