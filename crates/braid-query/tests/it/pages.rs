//! Pages of one list, whatever is written between them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use braid_core::{ChunkId, Error, ErrorCode, Ledger};
use braid_query::{
    CachingRetriever, EmptyReason, IndexWrites, Mode, Note, PageLimits, PagingRetriever,
    RetrieveRequest, RetrieveResponse,
};
use braid_testkit::OverlapReranker;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::setup::{Setup, block_on, documents};

fn paging_within(setup: &Setup, limits: PageLimits) -> PagingRetriever {
    let ledger = Arc::new(setup.corpus.ledger.clone()) as Arc<dyn Ledger>;
    let writes = Arc::new(IndexWrites::default());
    let caching = CachingRetriever::new(setup.retriever(), ledger, writes, 1 << 20);
    PagingRetriever::new(caching, limits)
}

const ROOMY: PageLimits = PageLimits {
    bytes: 1 << 20,
    lifetime: Duration::from_secs(600),
};

fn paging(setup: &Setup) -> PagingRetriever {
    paging_within(setup, ROOMY)
}

/// The lexical leg has them in this order: the first says `fox` most often.
async fn foxes() -> Setup {
    let line = |n: usize| {
        let rest: Vec<String> = (0..9).map(|at| format!("w{n}{at}")).collect();
        format!("d{n}: {}{}", "fox ".repeat(8 - n), rest.join(" "))
    };
    let lines: Vec<String> = (0..7).map(line).collect();
    Setup::new(&lines.join("\n")).await
}

fn two(setup: &Setup) -> RetrieveRequest {
    let mut request = setup.request("fox");
    (request.mode, request.top_k) = (Mode::Lexical, 2);
    request
}

fn at(request: &RetrieveRequest, cursor: &str) -> RetrieveRequest {
    RetrieveRequest {
        cursor: Some(cursor.to_owned()),
        ..request.clone()
    }
}

fn cursor(answer: &RetrieveResponse) -> &str {
    answer.next_cursor.as_deref().unwrap()
}

#[tokio::test]
async fn pages_go_on_where_the_one_before_ended() {
    let setup = foxes().await;
    let retriever = paging(&setup);
    let request = two(&setup);
    let mut answer = retriever.retrieve(request.clone()).await.unwrap();
    let mut pages = vec![documents(&answer)];
    let mut ranks: Vec<usize> = answer.hits.iter().map(|hit| hit.rank).collect();
    while let Some(cursor) = answer.next_cursor.take() {
        answer = retriever.retrieve(at(&request, &cursor)).await.unwrap();
        pages.push(documents(&answer));
        ranks.extend(answer.hits.iter().map(|hit| hit.rank));
        assert!(answer.context.text.starts_with("[1]"), "of this page");
        assert_eq!(answer.context.citations.len(), answer.hits.len());
    }
    assert_eq!(pages, ["d0 d1", "d2 d3", "d4 d5", "d6"]);
    assert_eq!(ranks, (1..=7).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_deleted_meanwhile_is_left_out_and_said_to_be() {
    let setup = foxes().await;
    let retriever = paging(&setup);
    let request = two(&setup);
    let first = retriever.retrieve(request.clone()).await.unwrap();
    setup.corpus.delete(&["d2", "d4"]).await;
    let next = at(&request, cursor(&first));
    let second = retriever.retrieve(next.clone()).await.unwrap();
    assert_eq!(documents(&second), "d3 d5");
    assert_eq!(second.notes, [Note::Gone(2)]);
    assert_eq!(second.hits[0].rank, 3);
    let again = retriever.retrieve(next).await.unwrap();
    assert_eq!(documents(&again), "d3 d5", "a page may be asked for again");
    setup.corpus.delete(&["d6"]).await;
    let last = retriever
        .retrieve(at(&request, cursor(&second)))
        .await
        .unwrap();
    assert!(last.hits.is_empty() && last.next_cursor.is_none());
    assert_eq!(last.reason, Some(EmptyReason::AtEnd));
    assert_eq!(last.notes, [Note::Gone(1)]);
    assert_eq!(last.lag, 3);
}

#[tokio::test]
async fn what_says_the_same_as_a_hit_of_an_earlier_page_is_left_out() {
    let setup = Setup::new("a: red fox\nb: red fox\nc: red fox x\nd: red fox x\ne: fox y").await;
    let retriever = paging(&setup);
    let mut request = setup.request("red fox");
    (request.mode, request.top_k) = (Mode::Lexical, 1);
    let mut answer = retriever.retrieve(request.clone()).await.unwrap();
    let mut texts = Vec::new();
    loop {
        texts.extend(
            answer
                .hits
                .iter()
                .map(|hit| hit.passage.record.chunk.text.clone()),
        );
        let Some(cursor) = answer.next_cursor.take() else {
            break;
        };
        answer = retriever.retrieve(at(&request, &cursor)).await.unwrap();
    }
    assert_eq!(texts, ["red fox", "red fox x", "fox y"]);
}

#[track_caller]
fn assert_refused(refused: Result<RetrieveResponse, Error>, code: ErrorCode, field: Option<&str>) {
    let error = refused.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    let named = error.fields().first().map(|field| field.pointer.as_str());
    assert_eq!(named, field, "{error}");
}

#[tokio::test]
async fn a_cursor_is_for_the_request_that_gave_it() {
    let setup = foxes().await;
    let retriever = paging(&setup);
    let request = two(&setup);
    let first = retriever.retrieve(request.clone()).await.unwrap();
    let next = at(&request, cursor(&first));
    let ask = |request: RetrieveRequest| retriever.retrieve(request);
    let other: [fn(&mut RetrieveRequest); 4] = [
        |request| request.query = "wolf".to_owned(),
        |request| request.top_k = 3,
        |request| request.also = vec!["wolf".to_owned()],
        |request| request.context.max_tokens = 7,
    ];
    for change in other {
        let mut changed = next.clone();
        change(&mut changed);
        let refused = ask(changed).await;
        assert_refused(refused, ErrorCode::InvalidRequest, Some("/cursor"));
    }
    let mut same = next.clone();
    (same.explain, same.cache, same.query) = (true, false, " fox ".to_owned());
    assert_eq!(documents(&ask(same).await.unwrap()), "d2 d3");
    let forged = |place: &str| cursor(&first).replace("-2-2", place);
    let places = [
        "-900-2",
        "-2-18446744073709551615",
        "-18446744073709551615-2",
        "-0-0",
        "-+2-2",
        "-02-2",
        "-3-2",
        "-2-1",
        "-5-5",
    ];
    for bad in places.map(forged).iter().map(String::as_str).chain(["x"]) {
        let refused = ask(at(&request, bad)).await;
        assert_refused(refused, ErrorCode::InvalidRequest, Some("/cursor"));
    }
    let unknown = format!("{}-2-2", "0".repeat(32));
    let refused = ask(at(&request, &unknown)).await;
    assert_refused(refused, ErrorCode::CursorExpired, None);
    let restarted = paging(&setup).retrieve(next.clone()).await;
    assert_refused(restarted, ErrorCode::CursorExpired, None);
    let without = setup.retriever().retrieve(next).await;
    assert_refused(without, ErrorCode::CursorExpired, None);
}

#[tokio::test]
async fn lists_are_kept_within_limits() {
    let setup = foxes().await;
    let request = two(&setup);
    let other = RetrieveRequest {
        query: "fox x".to_owned(),
        ..request.clone()
    };
    // Room for one list of seven candidates, not for two.
    for (limits, is_kept) in [
        (
            PageLimits {
                bytes: 4096,
                ..ROOMY
            },
            [false, true],
        ),
        (ROOMY, [true, true]),
        (
            PageLimits {
                lifetime: Duration::ZERO,
                ..ROOMY
            },
            [false, false],
        ),
        (
            PageLimits {
                bytes: 100,
                ..ROOMY
            },
            [false, false],
        ),
    ] {
        let retriever = paging_within(&setup, limits);
        let mut cursors = Vec::new();
        for request in [&request, &other] {
            let answer = retriever.retrieve(request.clone()).await.unwrap();
            cursors.push(at(request, cursor(&answer)));
        }
        for (next, is_kept) in cursors.into_iter().zip(is_kept) {
            let page = retriever.retrieve(next).await;
            assert_eq!(page.is_ok(), is_kept, "{limits:?}");
            if let Err(error) = page {
                assert_eq!(error.code(), ErrorCode::CursorExpired);
            }
        }
    }
    let off = paging_within(&setup, PageLimits { bytes: 0, ..ROOMY });
    let answer = off.retrieve(request.clone()).await.unwrap();
    assert_eq!(answer.next_cursor, None);
    assert_refused(
        off.retrieve(at(&request, "x")).await,
        ErrorCode::CursorExpired,
        None,
    );
}

#[tokio::test]
async fn an_answer_given_again_can_be_gone_on_from() {
    let setup = foxes().await;
    let retriever = paging(&setup);
    let request = two(&setup);
    for expected_cached in [false, true] {
        let first = retriever.retrieve(request.clone()).await.unwrap();
        assert_eq!(first.cached, expected_cached);
        let next = retriever.retrieve(at(&request, cursor(&first))).await;
        assert_eq!(documents(&next.unwrap()), "d2 d3");
    }
}

#[tokio::test]
async fn a_threshold_of_the_re_ranker_ends_the_list() {
    let setup = foxes().await.with_reranker(OverlapReranker::new());
    let retriever = paging(&setup);
    let mut request = setup.request("fox");
    (request.top_k, request.rerank.enabled) = (2, true);
    request.rerank.candidates = 3;
    request.rerank.deadline_ms = None;
    let whole = retriever.retrieve(request.clone()).await.unwrap();
    assert!(whole.next_cursor.is_some());
    request.thresholds.rerank = Some(0.0);
    let first = retriever.retrieve(request.clone()).await.unwrap();
    let last = retriever
        .retrieve(at(&request, cursor(&first)))
        .await
        .unwrap();
    assert_eq!((first.hits.len(), last.hits.len()), (2, 1));
    assert_eq!(last.next_cursor, None, "what was not re-ranked is left out");
}

/// Something that happens between two pages.
#[derive(Clone, Debug)]
enum Event {
    /// Replaces, or adds.
    Put(u8),
    Delete(u8),
    Apply,
    Purge,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..32_u8).prop_map(Event::Put),
        (0..30_u8).prop_map(Event::Delete),
        Just(Event::Apply),
        Just(Event::Purge),
    ]
}

/// Which documents of the first state are no longer retrievable as they were.
#[derive(Default)]
struct Model {
    replaced: HashSet<String>,
    gone: HashSet<String>,
    puts: usize,
}

impl Model {
    async fn follow(&mut self, setup: &Setup, event: &Event) {
        match event {
            Event::Put(id) => {
                self.puts += 1;
                let id = format!("d{id}");
                setup
                    .corpus
                    .stage(&format!("{id}: fox red{}", self.puts))
                    .await;
                self.replaced.insert(id);
            }
            Event::Delete(id) => {
                let id = format!("d{id}");
                setup.corpus.delete(&[&id]).await;
                self.gone.insert(id);
            }
            Event::Apply => {
                setup.corpus.apply().await;
                self.gone.extend(self.replaced.drain());
            }
            Event::Purge => drop(setup.can_purge().await),
        }
    }
}

/// A chunk with its document.
type Named = (ChunkId, String, String);

fn named(answer: &RetrieveResponse) -> Vec<Named> {
    let records = answer.hits.iter().map(|hit| &hit.passage.record);
    records
        .map(|record| {
            let text = record.chunk.text.clone();
            (record.id, record.document.to_string(), text)
        })
        .collect()
}

async fn check(
    texts: Vec<String>,
    options: (usize, Mode, bool, bool, bool),
    turns: Vec<Vec<Event>>,
) {
    let (top_k, mode, rerank, distinct, phrased) = options;
    let lines = texts.iter().enumerate();
    let lines: Vec<String> = lines.map(|(at, text)| format!("d{at}: {text}")).collect();
    let setup = Setup::new(&lines.join("\n")).await;
    let setup = setup.with_reranker(OverlapReranker::new());
    let retriever = paging(&setup);
    let mut request = setup.request("red fox");
    (request.top_k, request.mode, request.distinct) = (top_k, mode, distinct);
    (request.rerank.enabled, request.rerank.candidates) = (rerank, 4);
    request.rerank.deadline_ms = None;
    request.also = if phrased {
        vec!["owl".to_owned()]
    } else {
        Vec::new()
    };
    let whole = RetrieveRequest {
        top_k: 100,
        distinct: false,
        ..request.clone()
    };
    let list = named(&setup.retrieve(whole).await);
    let mut model = Model::default();
    let mut answer = retriever.retrieve(request.clone()).await.unwrap();
    let mut turns = turns.into_iter();
    let (mut returned, mut gone, mut next) = (Vec::new(), 0, 0);
    loop {
        let page = named(&answer);
        assert!(page.len() <= top_k);
        for note in &answer.notes {
            if let Note::Gone(count) = note {
                gone += count;
            }
        }
        if !distinct {
            // The next ones of the list that are still there, and no others.
            let rest = list[next..].iter();
            let alive = rest.filter(|one| !model.gone.contains(&one.1));
            let expected: Vec<Named> = alive.take(top_k).cloned().collect();
            assert_eq!(page, expected);
            if let Some(last) = page.last() {
                next = list.iter().position(|one| one == last).unwrap() + 1;
            }
        }
        for one in &page {
            assert!(!model.gone.contains(&one.1), "{one:?} is gone");
            let before = list.iter().take_while(|other| *other != one);
            let mut alive = before.filter(|other| !model.gone.contains(&other.1));
            let is_said = alive.any(|other| other.2 == one.2);
            assert!(!distinct || !is_said, "{one:?} was said before");
        }
        returned.extend(page);
        let Some(cursor) = answer.next_cursor.take() else {
            break;
        };
        for event in turns.next().into_iter().flatten() {
            model.follow(&setup, &event).await;
        }
        answer = retriever.retrieve(at(&request, &cursor)).await.unwrap();
    }
    let mut places = returned
        .iter()
        .map(|one| list.iter().position(|it| it == one));
    assert!(places.clone().all(|place| place.is_some()));
    assert!(places.clone().is_sorted(), "in the order of the list");
    let distinct_places: HashSet<_> = places.clone().collect();
    assert_eq!(distinct_places.len(), places.by_ref().count(), "none twice");
    if distinct {
        for one in list.iter().filter(|one| !model.gone.contains(&one.1)) {
            let is_told = returned.iter().any(|(_, _, text)| *text == one.2);
            assert!(is_told, "{one:?} is neither returned nor said");
        }
    } else {
        assert_eq!(returned.len() + gone, list.len(), "what is gone is counted");
    }
}

const TEXTS: [&str; 8] = [
    "red fox",
    "blue fox",
    "red owl",
    "fox fox",
    "red fox sea",
    "grey fox",
    "owl",
    "red",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn pages_are_the_list_without_what_is_gone(
        texts in vec(prop::sample::select(TEXTS.to_vec()), 1..30),
        top_k in 1..6_usize,
        mode in prop::sample::select(vec![Mode::Lexical, Mode::Dense, Mode::Hybrid]),
        rerank in any::<bool>(),
        distinct in any::<bool>(),
        phrased in any::<bool>(),
        turns in vec(vec(event(), 0..6), 0..10),
    ) {
        let texts = texts.into_iter().map(str::to_owned).collect();
        block_on(check(texts, (top_k, mode, rerank, distinct, phrased), turns));
    }
}
