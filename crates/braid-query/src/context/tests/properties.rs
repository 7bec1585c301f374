//! Whatever the documents and the limits.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

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

fn any_options() -> impl Strategy<Value = ContextOptions> {
    let expand = prop_oneof![
        Just(ContextExpansion::None),
        Just(ContextExpansion::Neighbors),
        Just(ContextExpansion::Section)
    ];
    let tokenizer = prop_oneof![
        Just(ContextTokenizer::Words),
        Just(ContextTokenizer::Characters)
    ];
    let limits = (
        proptest::option::of(1..3_usize),
        proptest::option::of(0.0..=1.0_f64),
        proptest::option::of(0.0..=1.0_f64),
    );
    let order = prop_oneof![Just(ContextOrder::Rank), Just(ContextOrder::Edges)];
    (0..120_usize, expand, tokenizer, limits, order).prop_map(
        |(max_tokens, expand, tokenizer, (per_document, max_similarity, mmr), order)| {
            let factor = if tokenizer == ContextTokenizer::Characters {
                5
            } else {
                1
            };
            ContextOptions {
                max_tokens: max_tokens * factor,
                tokenizer,
                expand,
                per_document,
                max_similarity,
                mmr,
                order,
            }
        },
    )
}

/// How many of the first hits stand there whole.
fn whole_hits(library: &Library, context: &AssembledContext) -> usize {
    let is_whole = |passage: &&Passage| {
        let record = &passage.record;
        let mut cited = context.citations.iter();
        cited.any(|one| one.document == record.document && one.span == record.chunk.span)
    };
    library.passages.iter().take_while(is_whole).count()
}

proptest! {
    /// Room that a source line would take goes to passages.
    #[test]
    fn one_source_leaves_room_for_as_many_hits_as_several(
        texts in vec("([a-z]{1,6} ){1,20}", 1..12),
        max_tokens in 1..120_usize,
    ) {
        let hits: Vec<usize> = (0..texts.len()).collect();
        let taken = |library: &Library| {
            whole_hits(library, &library.assemble_as(&hits, options(max_tokens), ""))
        };
        let one = headed(&texts, |_| "all of them".to_owned());
        let several = headed(&texts, |at| format!("number {at} alone"));
        prop_assert!(taken(&one) >= taken(&several));
        let longest = texts.iter().map(|text| text.split_whitespace().count()).max().unwrap_or(0);
        let first = texts[0].split_whitespace().count();
        // Three words of a header once, and a marker for each.
        if max_tokens >= 3 + texts.len() * (1 + longest) {
            prop_assert_eq!(taken(&one), texts.len());
        }
        prop_assert_eq!(taken(&one) > 0, max_tokens >= 4 + first);
    }

    #[test]
    fn tokens_are_within_the_limit_and_citations_reproduce_the_source(
        (text, spans) in any_library(),
        other in any_library(),
        order in vec(any::<prop::sample::Index>(), 1..12),
        options in any_options(),
    ) {
        let library = Library::new().add("a", &text, &spans).add("b", &other.0, &other.1);
        let mut hits: Vec<usize> =
            order.iter().map(|index| index.index(library.passages.len())).collect();
        let mut seen = std::collections::BTreeSet::new();
        hits.retain(|hit| seen.insert(*hit));
        let query: String = text.chars().take(20).collect();
        let context = library.assemble_as(&hits, options, &query);

        prop_assert!(context.tokens <= options.max_tokens);
        let counted = if options.tokenizer == ContextTokenizer::Characters {
            context.text.chars().count()
        } else {
            context.text.split_whitespace().count()
        };
        prop_assert_eq!(context.tokens, counted);
        let mut rest = context.text.as_str();
        let mut covered: Vec<(DocumentId, u32)> = Vec::new();
        let mut above = None;
        for (citation, number) in context.citations.iter().zip(1..) {
            prop_assert_eq!(&citation.marker, &format!("[{number}]"));
            let source = match above == Some(&citation.document) {
                true => String::new(),
                false => format!(" {}", citation.document),
            };
            above = Some(&citation.document);
            let piece = format!("{}{source}\n{}", citation.marker, library.cited(citation));
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
