//! Every strategy: what it does to a small text, and the invariants over generated ones.

use braid_core::ChunkingOverride;
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::tests::{CharacterCounter, PieceCounter, assert_invariants, markups, programs, texts};
use super::*;

/// Another counter with a window of so many tokens.
#[derive(Debug)]
struct Limited<C>(C, usize);

impl<C: TokenCounter> TokenCounter for Limited<C> {
    fn count(&self, text: &str) -> usize {
        self.0.count(text)
    }

    fn max_tokens(&self) -> usize {
        self.1
    }
}

fn settings(strategy: ChunkingStrategy, target_tokens: usize) -> ChunkingSettings {
    ChunkingSettings {
        strategy,
        target_tokens,
        ..ChunkingSettings::default()
    }
}

fn chunker(window: usize, settings: ChunkingSettings) -> Chunker {
    let counter = Limited(PieceCounter, window + SPECIAL_TOKENS);
    Chunker::new(Arc::new(counter), settings).unwrap()
}

/// Headers and texts of chunks under the title `Title`.
#[track_caller]
fn check(settings: ChunkingSettings, text: &str, markup: Markup, expected: &Expect) {
    let extracted = ExtractedText {
        text: text.to_owned(),
        markup,
        title: None,
    };
    let chunks = chunker(40, settings).chunk(&extracted, FormatFamily::Markdown, Some("Title"));
    assert_invariants(text, &chunks, None);
    let line = |it: &Chunk| format!("{} | {:?}\n", it.context_header, it.text);
    expected.assert_eq(&chunks.iter().map(line).collect::<String>());
}

const GUIDE: &str =
    "# Guide\n\nHello there. It is\nshort.\n\n## Run\nrun it now\n\n## Stop\nstop it. And wait.\n";

#[test]
fn tokens_are_counted_off_whatever_the_structure() {
    check(
        settings(ChunkingStrategy::Tokens, 10),
        GUIDE,
        Markup::Markdown,
        &expect![[r##"
            Title > Guide | "# Guide\n\nHello there. It"
            Title > Guide | "is\nshort.\n\n## Run\nrun it"
            Title > Guide | "now\n\n## Stop\nstop it. And wait."
        "##]],
    );
}

#[test]
fn sentences_stay_whole() {
    check(
        settings(ChunkingStrategy::Sentences, 12),
        GUIDE,
        Markup::Markdown,
        &expect![[r###"
            Title > Guide | "# Guide\n\nHello there."
            Title > Guide | "It is\nshort.\n\n## Run\nrun it now"
            Title > Guide > Stop | "## Stop\nstop it. And wait."
        "###]],
    );
}

#[test]
fn headings_cut_markdown_and_nothing_else() {
    let by_headings = settings(ChunkingStrategy::Headings, 14);
    check(
        by_headings,
        GUIDE,
        Markup::Markdown,
        &expect![[r###"
        Title > Guide | "# Guide\n\nHello there. It is\nshort."
        Title > Guide > Run | "## Run\nrun it now"
        Title > Guide > Stop | "## Stop\nstop it. And wait."
    "###]],
    );
    let of_text = |strategy, markup| chunker(40, settings(strategy, 12)).chunk_text(GUIDE, markup);
    let sentences = of_text(ChunkingStrategy::Sentences, Markup::Plain);
    assert_eq!(
        of_text(ChunkingStrategy::Headings, Markup::Plain),
        sentences
    );
    assert_eq!(of_text(ChunkingStrategy::Code, Markup::Plain), sentences);
    assert_ne!(
        of_text(ChunkingStrategy::Structure, Markup::Plain),
        sentences
    );
}

#[test]
fn structure_is_headings_for_markdown_and_code_for_programs() {
    let program = "fn one() { first(); }\n\nfn two() { second(); third(); }\n";
    let rust = Markup::Code(braid_core::CodeLanguage::Rust);
    let of = |strategy, text, markup| chunker(40, settings(strategy, 14)).chunk_text(text, markup);
    assert_eq!(
        of(ChunkingStrategy::Structure, GUIDE, Markup::Markdown),
        of(ChunkingStrategy::Headings, GUIDE, Markup::Markdown)
    );
    let by_code = of(ChunkingStrategy::Code, program, rust);
    assert_eq!(of(ChunkingStrategy::Structure, program, rust), by_code);
    assert_eq!(by_code[1].heading_path, ["two"]);
}

#[test]
fn whole_documents_are_one_chunk_while_the_embedder_reads_them() {
    let whole = settings(ChunkingStrategy::Whole, 1);
    check(
        whole,
        GUIDE,
        Markup::Markdown,
        &expect![[r##"
        Title | "# Guide\n\nHello there. It is\nshort.\n\n## Run\nrun it now\n\n## Stop\nstop it. And wait."
    "##]],
    );
    let text = "word ".repeat(90);
    let chunks = chunker(40, whole).chunk_text(&text, Markup::Plain);
    let sizes: Vec<usize> = chunks.iter().map(|it| it.text.split(' ').count()).collect();
    assert_eq!(sizes, [40, 40, 10]);
    assert_eq!(chunker(40, whole).chunk_text(" ", Markup::Plain), []);
}

#[test]
fn what_is_repeated_begins_at_a_sentence_or_a_word() {
    let overlapping = |strategy| ChunkingSettings {
        overlap_tokens: 6,
        ..settings(strategy, 14)
    };
    let text = "Alpha beta gamma. Delta epsilon zeta. Eta theta iota. Kappa lambda omega.";
    let by_tokens = overlapping(ChunkingStrategy::Tokens);
    check(
        by_tokens,
        text,
        Markup::Plain,
        &expect![[r#"
            Title | "Alpha beta gamma. Delta"
            Title | "beta gamma. Delta epsilon zeta. Eta theta"
            Title | "Eta theta iota. Kappa lambda"
            Title | "Kappa lambda omega."
        "#]],
    );
    let by_sentences = overlapping(ChunkingStrategy::Sentences);
    check(
        by_sentences,
        text,
        Markup::Plain,
        &expect![[r#"
            Title | "Alpha beta gamma."
            Title | "beta gamma. Delta epsilon zeta."
            Title | "Delta epsilon zeta. Eta theta iota."
            Title | "Eta theta iota. Kappa lambda omega."
        "#]],
    );
}

#[test]
fn text_without_spaces_is_cut_and_repeated_between_characters() {
    let chosen = ChunkingSettings {
        overlap_tokens: 6,
        ..settings(ChunkingStrategy::Tokens, 14)
    };
    let counter = Arc::new(Limited(CharacterCounter, 42));
    let chunker = Chunker::new(counter, chosen).unwrap();
    let chunks = chunker.chunk_text(&"一二三四五六七八九十".repeat(3), Markup::Plain);
    let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    expect![[r#"
        一二三四五六七
        二三四五六七八九十一二三四五
        十一二三四五六七八九十一二
        七八九十一二三四五六七八九十"#]]
    .assert_eq(&texts.join("\n"));
}

#[test]
fn headers_give_way_from_the_middle() {
    let header = |title: &str, path: &[&str]| {
        let words = WordCounts::new(Arc::new(PieceCounter));
        let headers = Headers {
            title: Some(title),
            words: &words,
            window: 40,
        };
        let path: Vec<String> = path.iter().map(|it| (*it).to_owned()).collect();
        let header = headers.of(&path);
        assert!(header.room >= headers.least_room());
        header.text
    };
    let expected = expect![[r#"
        A > B > C
        Title > … > Inner part
        A title… > … > Inner part
        A title > Inner part of…
        longlonglonglonglonglonglonglonglong…"#]];
    expected.assert_eq(
        &[
            header("A", &["B", "C"]),
            header("Title", &["Outermost part", "Outer", "Inner part"]),
            header(
                "A title of many words and then some more",
                &["Outer", "Inner part"],
            ),
            header(
                "A title",
                &["Inner part of so many words that not all of them fit"],
            ),
            header(&"long".repeat(40), &[]),
        ]
        .join("\n"),
    );
}

#[test]
fn a_format_is_chunked_by_its_own_rule_and_named_in_the_fingerprint() {
    let mut mixed = settings(ChunkingStrategy::Structure, 30);
    let same = chunker(40, mixed).fingerprint().clone();
    assert_eq!(same.as_str(), "chunker-2/structure/30/0");
    mixed.formats.text = ChunkingOverride {
        strategy: Some(ChunkingStrategy::Tokens),
        target_tokens: Some(10),
        overlap_tokens: None,
    };
    let different = chunker(40, mixed);
    assert_eq!(
        different.fingerprint().as_str(),
        "chunker-2/text=tokens/10/0,markdown=structure/30/0,html=structure/30/0,code=structure/30/0"
    );
    let plain = different.chunk_text(GUIDE, Markup::Plain);
    let tokens = chunker(40, settings(ChunkingStrategy::Tokens, 10));
    assert_eq!(plain, tokens.chunk_text(GUIDE, Markup::Plain));
    assert_eq!(different.chunk_text(GUIDE, Markup::Markdown).len(), 3);
    // Chosen as it is for all, it changes nothing.
    mixed.formats.text = "structure:30:0".parse().unwrap();
    assert_eq!(*chunker(40, mixed).fingerprint(), same);
    mixed.formats.code.target_tokens = Some(41);
    let counter = Arc::new(Limited(PieceCounter, 42));
    let refused = Chunker::new(counter, mixed).unwrap_err();
    assert_eq!(
        refused.message(),
        "chunking target_tokens of code is 41, the embedder reads 40 and would ignore the rest"
    );
}

/// Texts with what is hard to cut: pages, long words, scripts without spaces, Windows line ends.
fn hard_texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => texts(),
        2 => programs(),
        1 => "[a-z]{250,600}",
        1 => "[漢字仮名。、ไทย]{20,90}",
        1 => prop_oneof![Just("\u{c}"), Just("\r\n\r\n"), Just("\u{3000}"), Just("\u{2028}"), Just("e\u{301}🏳️‍🌈")]
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat())
}

/// Settings for a window of so many tokens.
fn any_settings() -> impl Strategy<Value = (usize, ChunkingSettings)> {
    let strategy = prop::sample::select(ChunkingStrategy::ALL.to_vec());
    let sizes = (8..90_usize).prop_flat_map(|window| (Just(window), 1..=window, 0..=window / 2));
    (strategy, sizes).prop_map(|((strategy, _), (window, target, overlap))| {
        let overlap_tokens = overlap.min(target / 2);
        let chosen = ChunkingSettings {
            overlap_tokens,
            ..settings(strategy, target)
        };
        (window, chosen)
    })
}

fn check_all<C: TokenCounter + Copy + 'static>(
    counter: C,
    (window, settings): (usize, ChunkingSettings),
    (text, markup, title): (&str, Markup, &str),
) {
    let make = || {
        let counter = Arc::new(Limited(counter, window + SPECIAL_TOKENS));
        Chunker::new(counter, settings).unwrap()
    };
    let extracted = ExtractedText {
        text: text.to_owned(),
        markup,
        title: None,
    };
    let (family, title) = (FormatFamily::Text, Some(title));
    let used = make();
    let chunks = used.chunk(&extracted, family, title);
    let is_whole = settings.strategy == ChunkingStrategy::Whole;
    let limit = (!is_whole).then_some((&counter as &dyn TokenCounter, settings.target_tokens));
    assert_invariants(text, &chunks, limit);
    for chunk in &chunks {
        assert!(counter.count(&chunk.embedded_text()) <= window, "{chunk:?}");
    }
    for pair in chunks.windows(2) {
        let repeated = pair[0].span.end.saturating_sub(pair[1].span.start) as usize;
        let shared: String = pair[1].text.chars().take(repeated).collect();
        let most = if is_whole { 0 } else { settings.overlap_tokens };
        assert!(counter.count(&shared) <= most, "{shared:?}");
        assert!(pair[0].span.start < pair[1].span.start);
    }
    // What a chunker remembers of other texts changes nothing.
    assert_eq!(used.chunk(&extracted, family, title), chunks);
    assert_eq!(make().chunk(&extracted, family, title), chunks);
}

proptest! {
    #[test]
    fn every_strategy_keeps_the_invariants(
        chosen in any_settings(),
        text in hard_texts(),
        markup in markups(),
        title in "([a-zé漢]{1,30} ?){0,12}",
    ) {
        check_all(PieceCounter, chosen, (&text, markup, &title));
        check_all(CharacterCounter, chosen, (&text, markup, &title));
    }

    #[test]
    fn an_overlap_is_found_wherever_there_are_words(
        words in prop::collection::vec("[a-z]{1,8}", 60..120),
        strategy in prop::sample::select(vec![
            ChunkingStrategy::Structure, ChunkingStrategy::Tokens, ChunkingStrategy::Sentences,
        ]),
    ) {
        let chosen = ChunkingSettings { overlap_tokens: 8, ..settings(strategy, 24) };
        let chunks = chunker(40, chosen).chunk_text(&words.join(" "), Markup::Plain);
        for pair in chunks.windows(2) {
            prop_assert!(pair[1].span.start < pair[0].span.end, "{:?} {:?}", pair[0].text, pair[1].text);
        }
    }
}
