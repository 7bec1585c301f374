use std::collections::BTreeMap;

use braid_core::{Chunk, ChunkId, ContentHash, DocumentId, Metadata, Sequence, Slot};
use braid_testkit::WhitespaceTokens;
use expect_test::{Expect, expect};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::request::ContextExpansion;

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
                },
                embedding_key: ContentHash([0; 32]),
                language: None,
            };
            self.passages.push(Passage {
                duplicate_of: None,
                record,
                uri: None,
                metadata: Metadata::default(),
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
        let passages: Vec<&Passage> = hits.iter().map(|hit| &self.passages[*hit]).collect();
        let records = self.passages.iter().map(|passage| passage.record.clone());
        let neighborhood = Neighborhood::of(expand, records);
        let counter = WhitespaceTokens::new(512);
        assemble_context(&passages, &neighborhood, max_tokens, &counter)
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
fn neighbors_come_along_once_each_with_its_own_citation() {
    let context = foxes().assemble(&[1, 0], ContextExpansion::Neighbors, 100);
    check(
        &context,
        expect![[r#"
            [1] fox
            Foxes are small.

            [2] fox
            They hunt at night.

            [3] fox
            Cats sleep all day.
            ---
            17 tokens
            [1] fox 0..16
            [2] fox 17..36
            [3] fox 37..56
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
            They hunt at night. Cats sleep all day.

            [2] fox
            Foxes are small. 
            ---
            15 tokens
            [1] fox 17..56
            [2] fox 0..17
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
            ---
            6 tokens
            [1] fox 17..36
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
    let spans: Vec<u32> = context.citations.iter().map(|c| c.span.start).collect();
    assert_eq!(spans, [0, 17]);
}

fn any_library() -> impl Strategy<Value = (String, Vec<(u32, u32)>)> {
    let text = "([a-zß]{1,6}[ .]{1,2}){5,60}";
    let cuts = vec((0..400_u32, 1..80_u32), 1..8);
    (text, cuts).prop_map(|(text, cuts)| {
        let length = u32::try_from(text.chars().count()).unwrap();
        let mut spans: Vec<(u32, u32)> = cuts
            .iter()
            .map(|(start, length_of)| (start % length, length_of))
            .map(|(start, length_of)| (start, (start + length_of).min(length)))
            .collect();
        spans.sort_unstable();
        (text, spans)
    })
}

proptest! {
    #[test]
    fn tokens_are_within_the_limit_and_citations_stand_in_the_text(
        (text, spans) in any_library(),
        other in any_library(),
        order in vec(any::<prop::sample::Index>(), 1..12),
        max_tokens in 0..120_usize,
        expand in prop_oneof![
            Just(ContextExpansion::None),
            Just(ContextExpansion::Neighbors),
            Just(ContextExpansion::Section)
        ],
    ) {
        let library = Library::new().add("a", &text, &spans).add("b", &other.0, &other.1);
        let mut hits: Vec<usize> =
            order.iter().map(|index| index.index(library.passages.len())).collect();
        let mut seen = std::collections::BTreeSet::new();
        hits.retain(|hit| seen.insert(*hit));
        let context = library.assemble(&hits, expand, max_tokens);

        prop_assert!(context.tokens <= max_tokens);
        prop_assert_eq!(context.tokens, context.text.split_whitespace().count());
        let mut rest = context.text.as_str();
        let mut covered: Vec<(DocumentId, u32)> = Vec::new();
        for (citation, number) in context.citations.iter().zip(1..) {
            prop_assert_eq!(&citation.marker, &format!("[{number}]"));
            let piece = format!(
                "{} {}\n{}", citation.marker, citation.document, library.cited(citation)
            );
            let place = rest.find(&piece);
            prop_assert!(place.is_some(), "{:?} is not in {:?}", piece, rest);
            rest = &rest[place.unwrap() + piece.len()..];
            let characters = citation.span.start..citation.span.end;
            covered.extend(characters.map(|at| (citation.document.clone(), at)));
        }
        prop_assert!(rest.is_empty(), "nothing stands uncited: {rest:?}");
        let characters = covered.len();
        covered.sort();
        covered.dedup();
        prop_assert_eq!(characters, covered.len(), "no character is cited twice");
    }
}
