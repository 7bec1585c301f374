mod chunked;
mod properties;

use std::collections::BTreeMap;
use std::sync::Arc;

use braid_core::{Chunk, ChunkId, ContentHash, DocumentId, Language, Sequence, Slot};
use braid_testkit::WhitespaceTokens;
use expect_test::{Expect, expect};

use super::*;
use crate::request::{ContextExpansion, ContextTokenizer};

/// Documents whose text is known, cut into chunks at given places.
struct Library {
    texts: BTreeMap<DocumentId, Vec<char>>,
    passages: Vec<Passage>,
}

impl Library {
    fn new() -> Self {
        Self {
            texts: BTreeMap::new(),
            passages: Vec::new(),
        }
    }

    /// Adds a document with one chunk per span, by ordinal.
    fn add(mut self, id: &str, text: &str, spans: &[(u32, u32)]) -> Self {
        let document = DocumentId::new(id).unwrap();
        let characters: Vec<char> = text.chars().collect();
        for (ordinal, (start, end)) in (0..).zip(spans) {
            let body: String = characters[*start as usize..*end as usize].iter().collect();
            let next = spans.get(ordinal as usize + 1).map_or(0, |next| next.0);
            let gap = characters.get(*end as usize..next as usize);
            let gap: String = gap.into_iter().flatten().collect();
            let gap = if gap.trim().is_empty() {
                gap
            } else {
                String::new()
            };
            let name = format!("{id}/{ordinal}");
            let record = ChunkRecord {
                slot: Slot(ordinal),
                id: ChunkId(uuid::Uuid::new_v5(
                    &uuid::Uuid::NAMESPACE_OID,
                    name.as_bytes(),
                )),
                document: document.clone(),
                sequence: Sequence(1),
                title: None,
                chunk: Chunk {
                    ordinal,
                    span: Span {
                        start: *start,
                        end: *end,
                    },
                    page: None,
                    heading_path: Vec::new(),
                    context_header: String::new(),
                    text: body,
                    gap,
                },
                embedding_key: ContentHash([0; 32]),
                language: None,
            };
            self.passages.push(Passage {
                duplicate_of: None,
                record,
                uri: None,
                metadata: Arc::default(),
            });
        }
        self.texts.insert(document, characters);
        self
    }

    fn assemble(
        &self,
        hits: &[usize],
        expand: ContextExpansion,
        max_tokens: usize,
    ) -> AssembledContext {
        let options = ContextOptions {
            max_tokens,
            expand,
            ..ContextOptions::default()
        };
        self.assemble_as(hits, options, "")
    }

    fn assemble_as(
        &self,
        hits: &[usize],
        options: ContextOptions,
        query: &str,
    ) -> AssembledContext {
        let passages: Vec<&Passage> = hits.iter().map(|hit| &self.passages[*hit]).collect();
        let records = self.passages.iter().map(|passage| passage.record.clone());
        let neighborhood = Neighborhood::of(options.expand, records);
        let whitespace = WhitespaceTokens::new(512);
        let by_characters = options.tokenizer == ContextTokenizer::Characters;
        let counter: &dyn TokenCounter = if by_characters {
            &Characters
        } else {
            &whitespace
        };
        let assembling = Assembling {
            options,
            counter,
            wanted: &WantedTerms::new(query, Language::English),
        };
        assemble_context(&passages, &neighborhood, &assembling)
    }

    fn cited(&self, citation: &Citation) -> String {
        let span = citation.span;
        self.texts[&citation.document][span.start as usize..span.end as usize]
            .iter()
            .collect()
    }
}

fn show(context: &AssembledContext) -> String {
    let citations = context.citations.iter().map(|citation| {
        let span = citation.span;
        format!(
            "{} {} {}..{}\n",
            citation.marker, citation.document, span.start, span.end
        )
    });
    let citations: String = citations.collect();
    format!(
        "{}\n---\n{} tokens\n{citations}",
        context.text, context.tokens
    )
}

#[track_caller]
fn check(context: &AssembledContext, expected: Expect) {
    expected.assert_eq(&show(context));
}

const FOX: &str = "Foxes are small. They hunt at night. Cats sleep all day.";

fn foxes() -> Library {
    // The gaps are the single spaces between the sentences.
    Library::new()
        .add("fox", FOX, &[(0, 16), (17, 36), (37, 56)])
        .add("owl", "Owls hunt mice.", &[(0, 15)])
}

#[test]
fn pieces_stand_in_rank_order_under_their_markers() {
    let context = foxes().assemble(&[1, 3], ContextExpansion::None, 100);
    check(
        &context,
        expect![[r#"
            [1] fox
            They hunt at night.

            [2] owl
            Owls hunt mice.
            ---
            11 tokens
            [1] fox 17..36
            [2] owl 0..15
        "#]],
    );
}

#[test]
fn neighbors_come_along_in_one_piece() {
    let context = foxes().assemble(&[1, 0], ContextExpansion::Neighbors, 100);
    check(
        &context,
        expect![[r#"
            [1] fox
            Foxes are small. They hunt at night. Cats sleep all day.
            ---
            13 tokens
            [1] fox 0..56
        "#]],
    );
}

#[test]
fn touching_and_overlapping_chunks_are_one_piece() {
    let library = Library::new().add("fox", FOX, &[(0, 17), (17, 37), (30, 56)]);
    let context = library.assemble(&[1], ContextExpansion::Neighbors, 100);
    check(
        &context,
        expect![[r#"
            [1] fox
            Foxes are small. They hunt at night. Cats sleep all day.
            ---
            13 tokens
            [1] fox 0..56
        "#]],
    );
    assert_eq!(context.citations[0].chunk, library.passages[1].record.id);
}

#[test]
fn characters_that_two_hits_share_stand_once() {
    let library = Library::new().add("fox", FOX, &[(0, 36), (17, 56)]);
    let context = library.assemble(&[1, 0], ContextExpansion::None, 100);
    check(
        &context,
        expect![[r#"
            [1] fox
            Foxes are small. They hunt at night. Cats sleep all day.
            ---
            13 tokens
            [1] fox 0..56
        "#]],
    );
}

#[test]
fn neighbors_are_left_out_where_only_the_hit_fits() {
    let context = foxes().assemble(&[1, 3], ContextExpansion::Neighbors, 12);
    check(
        &context,
        expect![[r#"
            [1] fox
            They hunt at night.

            [2] owl
            Owls hunt mice.
            ---
            11 tokens
            [1] fox 17..36
            [2] owl 0..15
        "#]],
    );
}

#[test]
fn what_does_not_fit_is_cut_at_a_sentence_or_left_out() {
    let library = Library::new().add("fox", FOX, &[(0, 56)]);
    let cut = library.assemble(&[0], ContextExpansion::None, 10);
    check(
        &cut,
        expect![[r#"
            [1] fox
            Foxes are small. They hunt at night.
            ---
            9 tokens
            [1] fox 0..36
        "#]],
    );
    let after_another = foxes().assemble(&[3, 1], ContextExpansion::None, 10);
    assert_eq!(
        after_another.citations.len(),
        1,
        "too little is left to cut"
    );
    assert_eq!(
        library.assemble(&[0], ContextExpansion::None, 0),
        AssembledContext::default()
    );
}

#[test]
fn a_section_ends_where_the_headings_change() {
    let mut library = foxes();
    library.passages[2].record.chunk.heading_path = vec!["Cats".to_owned()];
    let context = library.assemble(&[0], ContextExpansion::Section, 100);
    let spans = context.citations.iter().map(|c| (c.span.start, c.span.end));
    assert_eq!(spans.collect::<Vec<_>>(), [(0, 36)]);
}

fn options(max_tokens: usize) -> ContextOptions {
    ContextOptions {
        max_tokens,
        max_similarity: None,
        ..ContextOptions::default()
    }
}

#[test]
fn hits_that_touch_become_one_piece_where_the_better_one_stands() {
    let library = foxes_that_touch();
    let context = library.assemble_as(&[3, 2, 0, 1], options(100), "");
    check(
        &context,
        expect![[r#"
        [1] owl
        Owls hunt mice.

        [2] fox
        Foxes are small. They hunt at night. Cats sleep all day.
        ---
        18 tokens
        [1] owl 0..15
        [2] fox 0..56
    "#]],
    );
    assert_eq!(context.citations[1].chunk, library.passages[2].record.id);
}

fn foxes_that_touch() -> Library {
    Library::new()
        .add("fox", FOX, &[(0, 17), (17, 37), (37, 56)])
        .add("owl", "Owls hunt mice.", &[(0, 15)])
}

#[test]
fn what_is_cut_keeps_the_sentences_that_answer() {
    let library = Library::new().add("fox", FOX, &[(0, 56)]);
    let context = library.assemble_as(&[0], options(7), "when do cats sleep?");
    check(
        &context,
        expect![[r#"
        [1] fox
        Cats sleep all day.
        ---
        6 tokens
        [1] fox 37..56
    "#]],
    );
}

#[test]
fn what_room_is_left_goes_to_the_sentences_that_answer_whichever_hit_says_them() {
    let long = |first: &str| format!("{first} {}.", ["word"; 30].join(" "));
    let texts = [
        "Foxes hunt.".to_owned(),
        long("Owls sleep. A"),
        long("Cats sleep all day. A"),
        long("Dogs bark. A"),
    ];
    let library = headed(&texts, |_| "Animals".to_owned());
    let cited = |max_tokens, query| {
        let context = library.assemble_as(&[0, 1, 2, 3], options(max_tokens), query);
        let cited = context.citations.iter();
        let cited = cited.map(|one| format!("{} {}", one.document, library.cited(one)));
        cited.collect::<Vec<_>>()
    };
    let first = "d0 Foxes hunt.";
    let best = cited(20, "when do cats sleep?");
    assert_eq!(best, [first, "d2 Cats sleep all day."]);
    let ranked = cited(20, "when do they sleep?");
    assert_eq!(
        ranked,
        [first, "d1 Owls sleep."],
        "the better hit of equal ones"
    );
    let more = cited(26, "when do cats sleep?");
    assert_eq!(more, [first, "d2 Cats sleep all day.", "d1 Owls sleep."]);
}

#[test]
fn a_document_gives_so_many_hits_and_nearly_the_same_is_left_out() {
    let once = "One two three four five six seven eight nine ten eleven twelve.";
    let again = "One two three four five six seven eight nine ten eleven dozen.";
    let length = |text: &str| u32::try_from(text.len()).unwrap();
    let library = Library::new()
        .add("a", once, &[(0, length(once))])
        .add("b", again, &[(0, length(again))])
        .add("fox", FOX, &[(0, 15), (17, 35), (37, 56)]);
    let documents = |options: ContextOptions| {
        let context = library.assemble_as(&[0, 1, 2, 3, 4], options, "");
        let cited = context.citations.iter().map(|one| one.document.to_string());
        cited.collect::<Vec<_>>().join(" ")
    };
    let all = options(100);
    assert_eq!(documents(all), "a b fox fox fox");
    let distinct = ContextOptions {
        max_similarity: Some(0.8),
        ..all
    };
    assert_eq!(documents(distinct), "a fox fox fox");
    let strict = ContextOptions {
        max_similarity: Some(0.9),
        ..all
    };
    assert_eq!(
        documents(strict),
        "a b fox fox fox",
        "they share ten of twelve triples"
    );
    let few = ContextOptions {
        per_document: Some(1),
        ..all
    };
    assert_eq!(documents(few), "a b fox");
    let new = ContextOptions {
        mmr: Some(0.5),
        max_tokens: 32,
        ..all
    };
    assert_eq!(documents(new), "a fox fox fox", "the copy comes last");
}

#[test]
fn the_best_stand_at_both_ends() {
    let mut library = Library::new();
    for name in ["a", "b", "c", "d", "e"] {
        library = library.add(name, "word", &[(0, 4)]);
    }
    let edges = ContextOptions {
        order: ContextOrder::Edges,
        ..options(100)
    };
    let context = library.assemble_as(&[0, 1, 2, 3, 4], edges, "");
    let cited = context
        .citations
        .iter()
        .map(|one| format!("{}{}", one.marker, one.document));
    assert_eq!(cited.collect::<String>(), "[1]a[2]c[3]e[4]d[5]b");
    let fewer = library.assemble_as(
        &[0, 1, 2, 3, 4],
        ContextOptions {
            max_tokens: 9,
            ..edges
        },
        "",
    );
    let cited = fewer.citations.iter().map(|one| one.document.to_string());
    assert_eq!(
        cited.collect::<String>(),
        "acb",
        "order never decides what is taken"
    );
}

/// One document for each text, of one chunk, under such headers.
fn headed(texts: &[String], header: impl Fn(usize) -> String) -> Library {
    let mut library = Library::new();
    for (at, text) in texts.iter().enumerate() {
        let length = u32::try_from(text.chars().count()).unwrap();
        library = library.add(&format!("d{at}"), text, &[(0, length)]);
        library.passages[at].record.chunk.context_header = header(at);
    }
    library
}

#[test]
fn a_source_that_stands_above_is_not_said_again() {
    let texts = [
        "Foxes are small.",
        "They hunt.",
        "Owls hunt mice.",
        "Foxes sleep.",
    ];
    let texts = texts.map(str::to_owned);
    let headers = ["Foxes", "Foxes", "Owls", "Foxes"];
    let library = headed(&texts, |at| headers[at].to_owned());
    let all = [0, 1, 2, 3];
    check(
        &library.assemble_as(&all, options(100), ""),
        expect![[r#"
            [1] Foxes
            Foxes are small.

            [2]
            They hunt.

            [3] Owls
            Owls hunt mice.

            [4] Foxes
            Foxes sleep.
            ---
            17 tokens
            [1] d0 0..16
            [2] d1 0..10
            [3] d2 0..15
            [4] d3 0..12
        "#]],
    );
    let edges = ContextOptions {
        order: ContextOrder::Edges,
        ..options(100)
    };
    check(
        &library.assemble_as(&all, edges, ""),
        expect![[r#"
        [1] Foxes
        Foxes are small.

        [2] Owls
        Owls hunt mice.

        [3] Foxes
        Foxes sleep.

        [4]
        They hunt.
        ---
        17 tokens
        [1] d0 0..16
        [2] d2 0..15
        [3] d3 0..12
        [4] d1 0..10
    "#]],
    );
}
