use std::path::PathBuf;
use std::sync::LazyLock;

use super::*;

/// The bundled tokenizer, which asks for truncation and padding at 128.
fn tokenizer(max_tokens: usize) -> ModelTokenizer {
    let models = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models");
    ModelTokenizer::read(&models.join(crate::DEFAULT_EMBEDDER), max_tokens).unwrap()
}

const CLS: u32 = 101;
const SEP: u32 = 102;

fn separators(encoding: &Encoding) -> Vec<usize> {
    let ids = encoding.get_ids().iter().enumerate();
    ids.filter(|(_, id)| **id == SEP)
        .map(|(place, _)| place)
        .collect()
}

#[test]
fn a_text_is_neither_padded_nor_cut_before_its_window_ends() {
    let tokenizer = tokenizer(256);
    let short = tokenizer.encode("red fox").unwrap();
    assert_eq!(short.len(), 4);
    assert_eq!((short.get_ids()[0], short.get_ids()[3]), (CLS, SEP));
    assert_eq!(tokenizer.encode(&"fox ".repeat(200)).unwrap().len(), 202);
    let long = tokenizer.encode(&"fox ".repeat(999)).unwrap();
    assert_eq!((long.len(), long.get_ids()[255]), (256, SEP));
}

#[test]
fn a_pair_gives_up_passage_and_keeps_the_query() {
    let tokenizer = tokenizer(64);
    let query = tokenizer.encode_query(&"fox ".repeat(20)).unwrap();
    let pair = tokenizer.encode_pair(&query, &"den ".repeat(500)).unwrap();
    assert_eq!(pair.len(), 64);
    assert_eq!(separators(&pair), [21, 63], "all 20 query tokens are there");
    let (query_types, passage_types) = pair.get_type_ids().split_at(22);
    assert!(query_types.iter().all(|kind| *kind == 0));
    assert!(passage_types.iter().all(|kind| *kind == 1));
    let short = tokenizer.encode_pair(&query, "den").unwrap();
    assert_eq!(separators(&short), [21, 23]);
}

#[test]
fn a_query_as_long_as_the_window_leaves_a_passage_room() {
    for (window, room) in [(192, LEAST_PASSAGE_TOKENS), (64, 30)] {
        let tokenizer = tokenizer(window);
        let query = tokenizer.encode_query(&"fox ".repeat(999)).unwrap();
        let pair = tokenizer.encode_pair(&query, &"den ".repeat(999)).unwrap();
        assert_eq!(pair.len(), window);
        assert_eq!(query.len(), window - 3 - room);
    }
}

#[test]
fn counting_is_untruncated_and_without_special_tokens() {
    let tokenizer = tokenizer(64);
    assert_eq!(tokenizer.count(""), 0);
    assert_eq!(tokenizer.count("red fox"), 2);
    assert_eq!(tokenizer.count(&"fox ".repeat(5000)), 5000);
}

#[test]
fn text_is_clipped_between_characters() {
    assert_eq!(clip("aé", 2), "a");
    assert_eq!(clip("aé", 3), "aé");
    assert_eq!(clip("aé", 99), "aé");
}

#[test]
fn a_window_without_room_for_text_is_refused() {
    let models = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let error =
        ModelTokenizer::read(&models.join(crate::DEFAULT_EMBEDDER), 4).expect_err("too small");
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
}

#[track_caller]
fn check_count(tokenizer: &ModelTokenizer, text: &str) {
    let whole = tokenizer.tokenizer.encode_fast(text, false).unwrap();
    assert_eq!(tokenizer.count(text), whole.len(), "{text:?}");
}

#[test]
fn words_are_counted_as_the_whole_tokenizer_does() {
    let tokenizer = tokenizer(64);
    assert!(tokenizer.words.is_some());
    let long = ["x".repeat(100), "x".repeat(101), "-".repeat(101)];
    let texts = [
        "fox",
        "FOX",
        "Uncharacteristically",
        "v2, 0x7fff: CVE-2024-3094",
        "UNK [UNK] x[MASK]y [ MASK ] [mask]",
        "it's  a\ttab\r\nand\n\n\na line",
        "na\u{ef}ve caf\u{e9}s cafe\u{301}s \u{201c}quoted\u{201d} \u{2014} 5\u{a0}km",
        "\u{6771}\u{4eac} and \u{d55c}\u{ad6d}\u{c5b4}",
        "a\u{c}b a\u{0}b a\u{7f}b a\u{200b}b \u{fffd}",
        "$5+3<=8 ^_^ `code` ~x| \\n {a}",
        "##ing a##ing",
    ];
    for text in texts.into_iter().chain(long.iter().map(String::as_str)) {
        check_count(&tokenizer, text);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(5),
        ..Default::default()
    })]

    #[test]
    fn any_text_is_counted_as_the_whole_tokenizer_does(
        texts in proptest::collection::vec("[ a-zA-Z0-9\\[\\]\\p{any}]{0,40}|[ a-zA-Z]{0,60}", 8),
    ) {
        static TOKENIZER: LazyLock<ModelTokenizer> = LazyLock::new(|| tokenizer(64));
        texts.iter().for_each(|text| check_count(&TOKENIZER, text));
    }
}

#[test]
fn a_prefix_takes_its_part_of_the_window() {
    let tokenizer = tokenizer(64);
    assert_eq!(tokenizer.leaving_room_for("").max_tokens(), 64);
    assert_eq!(tokenizer.leaving_room_for("passage: ").max_tokens(), 62);
}

/// What a server is sent has the tokens that the model would be given here.
#[test]
fn cut_texts_have_the_tokens_of_the_window() {
    let tokenizer = tokenizer(64);
    let texts = [
        "fox ".repeat(999),
        "antidisestablishmentarianism, ".repeat(99),
        "Größere Füchse schlafen länger — 狐狸。".repeat(50),
        "e\u{301}\u{301} \u{0} ".repeat(200),
        "fox".repeat(99_999),
        "short".to_owned(),
        String::new(),
    ];
    for text in texts {
        let cut = tokenizer.cut(&text).unwrap();
        assert!(text.starts_with(cut));
        let (sent, whole) = (tokenizer.encode(cut), tokenizer.encode(&text));
        assert_eq!(sent.unwrap().get_ids(), whole.unwrap().get_ids(), "{cut}");
        let (query, room) = tokenizer.cut_query(&text).unwrap();
        let (sent, whole) = (tokenizer.encode_query(query), tokenizer.encode_query(&text));
        let whole = whole.unwrap();
        assert_eq!(sent.unwrap().get_ids(), whole.get_ids(), "{query}");
        let passage = "den of a fox ".repeat(50);
        let start = tokenizer.start_of(&passage, room).unwrap();
        let sent = tokenizer.encode_pair(&whole, start).unwrap();
        let local = tokenizer.encode_pair(&whole, &passage).unwrap();
        assert_eq!(sent.get_ids(), local.get_ids());
    }
}
