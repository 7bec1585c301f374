//! How long the re-ranker takes for windows of pairs of a given length, in process.

use std::time::Instant;

use anyhow::{Context, Result};
use braid_core::{Reranker, TokenCounter};
use braid_engine::{Engine, OpenOptions};
use braid_eval::report::{Latency, percentiles};
use serde::Serialize;

use crate::machine::Machine;
use crate::passages::corpus;
use crate::{Cli, say};

/// Pairs in a window.
const PAIRS: [usize; 4] = [10, 30, 50, 100];
/// Tokens of a pair, the three special ones included.
const TOKENS: [usize; 2] = [128, 256];
const SPECIAL_TOKENS: usize = 3;
/// Windows measured of each size, after one that is not.
const WINDOWS: usize = 20;

#[derive(Serialize)]
struct RerankResult {
    machine: Machine,
    model: String,
    windows: usize,
    sizes: Vec<Size>,
}

#[derive(Serialize)]
struct Size {
    pairs: usize,
    tokens: usize,
    milliseconds: Latency,
}

pub(crate) async fn measure(cli: &Cli) -> Result<()> {
    let mut settings = cli.settings();
    settings.storage.data_dir = cli.work.join("rerank-data");
    let engine = Engine::open(&settings, OpenOptions::default()).await?;
    let reranker = engine.reranker().context("no re-ranker is configured")?;
    let counter = engine.embedder().token_counter();
    let most = PAIRS.iter().copied().max().unwrap_or_default();
    let corpus = corpus(&cli.train, most, WINDOWS + 1)?;
    let mut sizes = Vec::new();
    for tokens in TOKENS {
        for pairs in PAIRS {
            let texts = corpus.documents.iter().take(pairs);
            let texts: Vec<&str> = texts.map(|document| document.text.as_str()).collect();
            let windows = Windows { tokens, texts };
            let milliseconds = windows
                .measure(&**reranker, &*counter, &corpus.queries)
                .await?;
            say(format!(
                "{pairs} pairs of {tokens} tokens: p50 {:.0} ms, p95 {:.0} ms",
                milliseconds.p50, milliseconds.p95
            ));
            sizes.push(Size {
                pairs,
                tokens,
                milliseconds,
            });
        }
    }
    let result = RerankResult {
        machine: Machine::this(),
        model: settings.models.reranker,
        windows: WINDOWS,
        sizes,
    };
    engine.close().await;
    cli.save("rerank", &result)
}

/// One query after another against passages that make pairs of the same length.
struct Windows<'a> {
    tokens: usize,
    texts: Vec<&'a str>,
}

impl Windows<'_> {
    async fn measure(
        &self,
        reranker: &dyn Reranker,
        counter: &dyn TokenCounter,
        queries: &[String],
    ) -> Result<Latency> {
        let mut spent = Vec::with_capacity(queries.len());
        for query in queries {
            let room = self.tokens - SPECIAL_TOKENS - counter.count(query).min(self.tokens / 2);
            let fill = |text: &&str| exactly(text, room, counter);
            let passages: Vec<String> = self.texts.iter().map(fill).collect();
            let started = Instant::now();
            reranker.score(query, &passages).await?;
            spent.push(started.elapsed().as_secs_f64() * 1e3);
        }
        Ok(percentiles(spent.split_off(1)))
    }
}

/// The start of `text`, again and again, of `tokens` tokens.
fn exactly(text: &str, tokens: usize, counter: &dyn TokenCounter) -> String {
    let mut filled = String::new();
    let mut left = tokens;
    for word in text.split_whitespace().cycle() {
        let size = counter.count(word).max(1);
        if size > left {
            break;
        }
        filled.push_str(word);
        filled.push(' ');
        left -= size;
    }
    filled.push_str(&"the ".repeat(left));
    filled
}
