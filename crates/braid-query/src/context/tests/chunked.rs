//! Chunks as the chunker makes them, which cuts white space off.

use std::sync::Arc;

use braid_core::{
    ChunkingSettings, ChunkingStrategy, ExtractedText, FormatFamily, Markup, TokenCounter,
};
use braid_text::chunking::Chunker;

use super::*;

const TEXT: &str = "# Foxes\n\nFoxes are small animals. They hunt at night, and sleep by day in dens.\n\nMice are their food, \
                    in the main. Some eat berries too.\n\n\tGrapes are out of reach.\n\n# Owls\n\nOwls hunt mice as well.\n";

fn library() -> Library {
    let settings = ChunkingSettings {
        strategy: ChunkingStrategy::Structure,
        target_tokens: 8,
        overlap_tokens: 0,
        ..ChunkingSettings::default()
    };
    let counter: Arc<dyn TokenCounter> = Arc::new(WhitespaceTokens::new(512));
    let extracted = ExtractedText {
        text: TEXT.to_owned(),
        markup: Markup::Markdown,
        title: None,
    };
    let chunker = Chunker::new(counter, settings).unwrap();
    let chunks = chunker.chunk(&extracted, FormatFamily::Markdown, None);
    let spans: Vec<(u32, u32)> = chunks
        .iter()
        .map(|it| (it.span.start, it.span.end))
        .collect();
    let mut library = Library::new().add("animals", TEXT, &spans);
    for (passage, chunk) in library.passages.iter_mut().zip(chunks) {
        passage.record.chunk = chunk;
    }
    library
}

#[test]
fn chunks_that_stand_side_by_side_are_one_piece() {
    let library = library();
    let foxes = |passage: &&Passage| passage.record.chunk.heading_path == ["Foxes"];
    let count = library.passages.iter().filter(foxes).count();
    assert!(count > 2, "the text is cut");
    let all: Vec<usize> = (0..library.passages.len()).rev().collect();
    for (hits, expand) in [
        (&[1][..], ContextExpansion::Section),
        (&all, ContextExpansion::None),
    ] {
        let context = library.assemble(hits, expand, 1000);
        let citation = context.citations.last().unwrap();
        let (start, end) = (citation.span.start as usize, citation.span.end as usize);
        let source: String = TEXT.chars().skip(start).take(end - start).collect();
        assert!(source.contains("small animals") && source.ends_with("out of reach."));
        assert!(context.text.ends_with(&source), "{context:?}");
        // One piece of each section that has a hit.
        let sections = if hits.len() == 1 { 1 } else { 2 };
        assert_eq!(context.citations.len(), sections, "{context:?}");
    }
}
