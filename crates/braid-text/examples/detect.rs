//! Languages that are detected in the documents of a corpus in BEIR's layout:
//! `cargo run --release -p braid-text --example detect -- CORPUS.jsonl...`

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Error, Write};
use std::time::{Duration, Instant};

use braid_core::LanguageSetting;
use braid_text::language::detect;
use serde_json::Value;

fn main() -> Result<(), Error> {
    let mut output = std::io::stdout().lock();
    for path in std::env::args().skip(1) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut as_english = 0;
        let mut spent = Duration::ZERO;
        let file = BufReader::new(std::fs::File::open(&path)?);
        for line in file.lines() {
            let document: Value = serde_json::from_str(&line?)?;
            let field = |name: &str| document[name].as_str().unwrap_or_default();
            let text = format!("{}\n{}", field("title"), field("text"));
            let started = Instant::now();
            let detected = detect(&text);
            spent += started.elapsed();
            *counts
                .entry(detected.map_or("not told", |l| l.as_str()))
                .or_default() += 1;
            let analyzed = LanguageSetting::Auto.of_document(detected);
            as_english += usize::from(analyzed == braid_core::Language::English);
        }
        let documents: usize = counts.values().sum();
        let micros = spent.as_micros() / documents.max(1) as u128;
        writeln!(
            output,
            "{path}: {as_english} of {documents} analyzed as English, {micros} us each, {counts:?}"
        )?;
    }
    Ok(())
}
