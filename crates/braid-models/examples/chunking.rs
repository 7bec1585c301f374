//! Measures how fast one thread chunks, in its own processor time, counting with the bundled embedder's tokenizer: this
//! repository's documentation as text and as Markdown, and its sources as programs.
//!
//! `cargo run --release -p braid-models --example chunking`, started in the checkout.

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use braid_core::{
    ChunkingSettings, ChunkingStrategy, CodeLanguage, ExtractedText, FormatFamily, Markup,
};
use braid_models::{DEFAULT_EMBEDDER, EmbedderOptions, ModelStore, StoreOptions};
use braid_text::Chunker;

/// Each measurement takes at least so long.
const AT_LEAST: Duration = Duration::from_millis(500);

fn main() -> Result<(), Box<dyn Error>> {
    let store = ModelStore::new(StoreOptions::default());
    let embedder = store.load_embedder(DEFAULT_EMBEDDER, &EmbedderOptions::default())?;
    let documentation = read(Path::new("docs"), "md")?;
    let sources = read(Path::new("crates"), "rs")?;
    let corpora = [
        ("text", &documentation, Markup::Plain),
        ("markdown", &documentation, Markup::Markdown),
        ("code", &sources, Markup::Code(CodeLanguage::Rust)),
    ];
    println!("| format | strategy | overlap | chunks | tokens a chunk | MB/s | chunks/s |");
    println!("|---|---|---|---|---|---|---|");
    for (family, texts, markup) in corpora {
        for (strategy, name) in ChunkingStrategy::ALL {
            for overlap_tokens in [0, 30] {
                let settings = ChunkingSettings {
                    strategy,
                    overlap_tokens,
                    ..ChunkingSettings::default()
                };
                let chunker = Chunker::new(embedder.token_counter(), settings)?;
                let counter = embedder.token_counter();
                let measured = measure(&chunker, texts, markup, family.parse()?);
                let tokens: usize = measured.texts.iter().map(|it| counter.count(it)).sum();
                let seconds = measured.seconds;
                println!(
                    "| {family} | {name} | {overlap_tokens} | {} | {} | {:.1} | {:.0} |",
                    measured.texts.len(),
                    tokens / measured.texts.len(),
                    texts.iter().map(String::len).sum::<usize>() as f64 / 1e6 / seconds,
                    measured.texts.len() as f64 / seconds
                );
            }
        }
    }
    Ok(())
}

struct Measured {
    /// The chunks of one round.
    texts: Vec<String>,
    /// What one round takes.
    seconds: f64,
}

fn measure(chunker: &Chunker, texts: &[String], markup: Markup, family: FormatFamily) -> Measured {
    let documents: Vec<ExtractedText> = texts
        .iter()
        .map(|text| ExtractedText {
            text: text.clone(),
            markup,
            title: None,
        })
        .collect();
    let round = || -> Vec<String> {
        let chunks = documents
            .iter()
            .flat_map(|document| chunker.chunk(document, family, Some("A title")));
        chunks.map(|chunk| chunk.text).collect()
    };
    // What words a chunker remembers is part of its speed in a long load.
    let texts = round();
    let started = processor_time();
    let mut rounds = 0;
    while processor_time() - started < AT_LEAST {
        round();
        rounds += 1;
    }
    Measured {
        texts,
        seconds: (processor_time() - started).as_secs_f64() / f64::from(rounds),
    }
}

/// What this thread has run, whatever else the machine does (Linux).
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let running = stat.split(' ').next().and_then(|it| it.parse().ok());
    Duration::from_nanos(running.unwrap_or_default())
}

fn read(folder: &Path, extension: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            texts.extend(read(&path, extension)?);
        } else if path.extension().is_some_and(|it| it == extension) {
            texts.push(fs::read_to_string(&path)?);
        }
    }
    Ok(texts)
}
