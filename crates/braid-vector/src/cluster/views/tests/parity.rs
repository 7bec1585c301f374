//! The same entries and queries through the embedded index and through sparse vectors.

use std::collections::BTreeSet;

use braid_core::{
    Embedding, IndexBatch, Language, LexicalIndex, LexicalQuery, LexicalView, SlotSet, Synonyms,
};
use braid_lexical::{LexicalOptions, TantivyIndex};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::cluster::chunks::mean_length;

/// Words of several languages, names and numbers: common ones first.
const WORDS: &[(Language, &[&str])] = &[
    (
        Language::English,
        &[
            "the",
            "server",
            "index",
            "search",
            "replication",
            "of",
            "running",
            "documents",
            "max_connections",
            "latency",
            "HttpClient",
            "query",
            "ranked",
            "TCP/IP",
            "v1.18.3",
            "snapshots",
            "leases",
            "shard-key",
            "compaction",
            "RFC1918",
            "quorum",
            "tombstones",
        ],
    ),
    (
        Language::German,
        &[
            "der",
            "Server",
            "Suche",
            "Verzeichnis",
            "und",
            "Häuser",
            "laufende",
            "max_connections",
            "Anfragen",
            "Größe",
            "Übertragung",
            "TCP/IP",
            "Replikation",
            "v1.18.3",
            "Sperren",
            "Datenbanken",
            "Knoten",
            "Antworten",
            "RFC1918",
            "Schlüssel",
            "Abbilder",
            "Mehrheit",
        ],
    ),
    (
        Language::French,
        &[
            "le",
            "serveur",
            "index",
            "recherche",
            "et",
            "l'annuaire",
            "requêtes",
            "documents",
            "max_connections",
            "latence",
            "réplication",
            "TCP/IP",
            "clés",
            "v1.18.3",
            "instantanés",
            "nœuds",
            "verrous",
            "réponses",
            "RFC1918",
            "majorité",
            "données",
            "grandeur",
        ],
    ),
];

/// For words of all languages, that many queries say. No word is also a piece of an identifier.
const RULES: &[&str] = &[
    "server, quorum, Mehrheit, majorité",
    "index => latency, tombstones",
    "search, Suche, recherche",
    "running, zephyr",
    "Anfragen => Antworten, Knoten",
    "requêtes, données",
    "leases, Sperren, verrous, snapshots",
];

struct Corpus {
    entries: Vec<LexicalEntry>,
    queries: Vec<String>,
    synonyms: Arc<Synonyms>,
}

impl Corpus {
    /// With what its words mean besides.
    fn with_rules(mut self) -> Self {
        self.synonyms = Arc::new(Synonyms::parse(RULES).unwrap());
        self
    }
}

/// Entries and queries, all different, of the languages given.
fn corpus(entries: u32, languages: usize, seed: u64) -> Corpus {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut text = |words: &[&str], from: usize, to: usize| {
        let length = rng.random_range(from..to);
        let mut said = Vec::with_capacity(length);
        for _ in 0..length {
            // The smaller of two: frequencies fall along the list.
            let at = rng
                .random_range(0..words.len())
                .min(rng.random_range(0..words.len()));
            said.push(words[at]);
        }
        said.join(" ")
    };
    let entries = (0..entries).map(|slot| {
        let (language, words) = WORDS[slot as usize % languages];
        LexicalEntry {
            title: text(words, 0, 4),
            headings: vec![text(words, 0, 3), text(words, 0, 2)],
            language: Some(language),
            ..entry(slot, &text(words, 2, 60))
        }
    });
    let entries = entries.collect();
    let queries = (0..60).map(|number: usize| text(WORDS[number % languages].1, 1, 6));
    let queries = queries.collect();
    Corpus {
        entries,
        queries,
        synonyms: Arc::default(),
    }
}

/// The best of both for each query: slots and scores.
struct Pair {
    embedded: Vec<(u32, f32)>,
    cluster: Vec<(u32, f32)>,
    ceilings: (f32, f32),
    /// How much it is searched for besides.
    expansions: usize,
}

async fn compare(options: QdrantOptions, language: LanguageSetting, corpus: Corpus) -> Vec<Pair> {
    let directory = tempfile::tempdir().unwrap();
    let lexical = LexicalOptions {
        language,
        ..LexicalOptions::default()
    };
    let pool = CpuPool::new(1).unwrap();
    let embedded = TantivyIndex::open(directory.path(), lexical, pool).unwrap();
    let batch = IndexBatch {
        add: corpus.entries.clone(),
        delete: SlotSet::new(),
        watermark: Sequence(1),
    };
    embedded.apply(batch).await.unwrap();
    let embedded = embedded.pin().await.unwrap();

    let site = site(options);
    let searched = searched(&site, &collection(1, 2, language));
    searched.chunks.ensure().await.unwrap();
    let points: Vec<ChunkPoint> = corpus.entries.iter().map(point).collect();
    let bm25 = Bm25Parameters {
        mean_length: mean_length(points.iter().map(|it| &it.record), language),
        ..BM25
    };
    let flat = || Embedding::from(vec![1.0, 0.0]);
    let points = points.into_iter().map(|point| (point, flat())).collect();
    searched.chunks.put(points, bm25).await.unwrap();
    let cluster = ChunkTerms(Arc::clone(&searched));

    let mut pairs = Vec::new();
    for query in &corpus.queries {
        let query = LexicalQuery {
            synonyms: Arc::clone(&corpus.synonyms),
            ..LexicalQuery::plain(query)
        };
        let all = Selection::default();
        let expected = embedded.find(&query, &all, 10).await.unwrap();
        let found = cluster.find(&query, &every(), 10).await.unwrap();
        assert_eq!(found.terms, expected.terms, "{query:?}");
        assert_eq!(found.expansions, expected.expansions, "{query:?}");
        let list = |matches: &braid_core::ports::LexicalMatches| {
            let found = matches.candidates.iter();
            found.map(|it| (it.slot.0, it.score)).collect()
        };
        pairs.push(Pair {
            embedded: list(&expected),
            cluster: list(&found),
            ceilings: (expected.ceiling, found.ceiling),
            expansions: found.expansions.len(),
        });
    }
    searched.chunks.remove().await.unwrap();
    pairs
}

/// Mean share of the embedded top 10 that the other list has.
fn overlap(pairs: &[Pair]) -> f64 {
    let shares = pairs.iter().filter(|pair| !pair.embedded.is_empty());
    let shares: Vec<f64> = shares
        .map(|pair| {
            let slots = |list: &[(u32, f32)]| -> BTreeSet<u32> {
                list.iter().map(|(slot, _)| *slot).collect()
            };
            let (embedded, cluster) = (slots(&pair.embedded), slots(&pair.cluster));
            embedded.intersection(&cluster).count() as f64 / embedded.len() as f64
        })
        .collect();
    assert!(shares.len() >= 50, "most queries match something");
    shares.iter().sum::<f64>() / shares.len() as f64
}

/// The same mean length: the same scores, but for the order in which they are summed.
async fn scores_are_equal(
    options: QdrantOptions,
    language: LanguageSetting,
    corpus: Corpus,
) -> Vec<Pair> {
    let pairs = compare(options, language, corpus).await;
    for pair in &pairs {
        assert_eq!(pair.embedded.len(), pair.cluster.len());
        for (embedded, cluster) in pair.embedded.iter().zip(&pair.cluster) {
            let near = (embedded.1 - cluster.1).abs() <= 1e-4 * embedded.1.abs();
            assert!(near, "{embedded:?} {cluster:?}");
        }
        let (embedded, cluster) = pair.ceilings;
        assert!(
            (embedded - cluster).abs() <= 1e-3 * embedded,
            "{embedded} {cluster}"
        );
    }
    let overlap = overlap(&pairs);
    assert!(overlap >= 0.98, "{overlap}");
    pairs
}

/// In one language, and in several that each make their own of a query.
async fn all_scores_are_equal(options: QdrantOptions) {
    let language = LanguageSetting::Fixed(Language::English);
    scores_are_equal(options.clone(), language, corpus(600, 1, 5)).await;
    scores_are_equal(options, LanguageSetting::Auto, corpus(600, 3, 7)).await;
}

/// The same with synonyms, and those change something.
async fn all_scores_with_synonyms_are_equal(options: QdrantOptions) {
    let language = LanguageSetting::Fixed(Language::English);
    for (language, languages, seed) in [(language, 1, 5), (LanguageSetting::Auto, 3, 7)] {
        let of = || corpus(600, languages, seed);
        let plain = scores_are_equal(options.clone(), language, of()).await;
        let meant = scores_are_equal(options.clone(), language, of().with_rules()).await;
        let expanded = meant.iter().filter(|pair| pair.expansions > 0);
        assert!(expanded.count() >= 20);
        let mut both = plain.iter().zip(&meant);
        assert!(both.all(|(plain, meant)| plain.ceilings.1 == meant.ceilings.1));
        let both = plain.iter().zip(&meant);
        let changed = both.filter(|(plain, meant)| plain.cluster != meant.cluster);
        assert!(changed.count() >= 15);
    }
}

/// How rare a term is is counted in each shard: of few chunks with the same few words, lists differ in
/// what is nearly as good, and scores a little; of more, less.
async fn shards_cost_little(entries: u32, options: QdrantOptions) -> f64 {
    let language = LanguageSetting::Fixed(Language::English);
    let pairs = compare(in_shards(3, options), language, corpus(entries, 1, 5)).await;
    let both = |pair: &Pair| pair.embedded.clone().into_iter().zip(pair.cluster.clone());
    let apart = pairs.iter().flat_map(both);
    let apart = apart.map(|(embedded, cluster)| (embedded.1 - cluster.1).abs() / embedded.1);
    let apart = apart.fold(0.0, f32::max);
    let overlap = overlap(&pairs);
    eprintln!(
        "{entries} chunks in 3 shards: overlap@10 {overlap:.3}, scores {apart:.3} apart at most"
    );
    assert!(overlap >= 0.7 && apart <= 0.2, "{overlap} {apart}");
    f64::from(apart)
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_equal_the_embedded_ones_in_the_double() {
    let double = strict_double();
    all_scores_are_equal(options(double.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_equal_the_embedded_ones_in_a_real_server() {
    let Some(options) = real_server() else { return };
    let _leftovers = leftovers(&options);
    all_scores_are_equal(in_shards(1, options)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_with_synonyms_equal_the_embedded_ones_in_the_double() {
    let double = strict_double();
    all_scores_with_synonyms_are_equal(options(double.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_with_synonyms_equal_the_embedded_ones_in_a_real_server() {
    let Some(options) = real_server() else { return };
    let _leftovers = leftovers(&options);
    all_scores_with_synonyms_are_equal(in_shards(1, options)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_several_shards_are_like_the_embedded_ones_in_a_real_server() {
    let Some(options) = real_server() else { return };
    let _leftovers = leftovers(&options);
    let few = shards_cost_little(600, options.clone()).await;
    let more = shards_cost_little(6000, options).await;
    assert!(more < few, "{more} {few}");
}
