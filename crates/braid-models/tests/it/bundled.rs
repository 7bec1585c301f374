//! The bundled models keep what the ports promise and are what their manifests say.

use braid_core::{Language, Script};
use braid_models::{DEFAULT_EMBEDDER, DEFAULT_RERANKER, ModelStatus};
use braid_testkit::{embedder_suite, reranker_suite};

use crate::{EMBEDDER, RERANKER, STORE, bundled_folder};

#[tokio::test]
async fn the_embedder_passes_the_suite() {
    embedder_suite(&**EMBEDDER, 0.999).await;
}

#[tokio::test]
async fn the_reranker_passes_the_suite() {
    reranker_suite(&**RERANKER, 1e-4).await;
}

#[test]
fn bundled_models_are_listed_and_verify() {
    let models = STORE.list();
    for name in [DEFAULT_EMBEDDER, DEFAULT_RERANKER] {
        let model = models.iter().find(|model| model.name == name).expect(name);
        assert_eq!(model.status, ModelStatus::Ready);
        assert_eq!(model.licence, "Apache-2.0");
        assert!(model.size_bytes > 10_000_000, "{}", model.size_bytes);
        assert!(
            STORE
                .verify(name)
                .unwrap()
                .iter()
                .all(|check| check.state.is_good())
        );
        assert!(bundled_folder().join(name).join("LICENSE").is_file());
    }
}

#[test]
fn what_the_models_are_is_known() {
    assert_eq!(EMBEDDER.dimension(), 384);
    assert!(EMBEDDER.reads(Script::LATIN) && !EMBEDDER.reads("Hani".parse().unwrap()));
    let counter = EMBEDDER.token_counter();
    assert_eq!(counter.max_tokens(), 256);
    assert_eq!(counter.count("a red fox"), 3);
    assert_eq!(counter.count("antidisestablishmentarianism"), 8);
    assert_eq!(RERANKER.recommended_blend(Language::English), 0.25);
    assert_eq!(RERANKER.recommended_blend(Language::French), 0.0);
    let calibration = RERANKER.calibration(Language::English).unwrap();
    assert!(calibration.relevance(12.0) > 0.9 && calibration.relevance(-6.0) < 0.1);
    assert_eq!(RERANKER.calibration(Language::French), None);
    assert_eq!(RERANKER.recommended_blend(Language::None), 0.0);
    assert_eq!(RERANKER.concurrency(), 2);
    assert!(
        EMBEDDER
            .fingerprint()
            .as_str()
            .starts_with("all-MiniLM-L6-v2-int8@")
    );
}

/// The window is the manifest's 256 tokens, not the 128 that tokenizer.json asks for.
#[tokio::test]
async fn text_counts_up_to_the_window_and_not_beyond() {
    let words = |count: usize| vec!["word"; count].join(" ");
    let ended = |count: usize| format!("{} revenue", words(count));
    let texts = vec![
        words(253),
        ended(252),
        words(300),
        format!("{} revenue", words(300)),
    ];
    let vectors = EMBEDDER.embed_passages(texts).await.unwrap();
    assert_ne!(vectors[0], vectors[1], "token 253 of 254 counts");
    assert_eq!(vectors[2], vectors[3], "token 301 does not");
}

#[tokio::test]
async fn meaning_counts_more_than_words() {
    let passages = [
        "The feline rested on the rug.",
        "The cat command prints files.",
        "Interest rates were raised by the central bank.",
    ];
    let query = EMBEDDER
        .embed_query("a kitty sleeping on a carpet")
        .await
        .unwrap();
    let vectors = EMBEDDER
        .embed_passages(passages.map(str::to_owned).to_vec())
        .await
        .unwrap();
    let cosine = |place: usize| -> f32 {
        query
            .iter()
            .zip(vectors[place].iter())
            .map(|(a, b)| a * b)
            .sum()
    };
    assert!(
        cosine(0) > cosine(1) && cosine(1) > cosine(2),
        "{} {} {}",
        cosine(0),
        cosine(1),
        cosine(2)
    );
}
