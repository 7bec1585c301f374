use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LIMITS: (usize, usize) = (8, 64 * 1024);

fn space(collection: u32, scope: Option<&str>) -> Space {
    Space::new(CollectionId(collection), scope.map(str::to_owned))
}

/// An entry whose embedding points at `angle` of a circle, in degrees.
fn entry(query: &str, angle: f32, now: Instant, ttl: u64) -> Entry {
    Entry {
        query: query.into(),
        reading: Reading::of(query),
        embedding: toward(angle),
        answer: "\"x\"".into(),
        documents: Arc::new([]),
        state: "1".to_owned(),
        stored: now,
        expires: now + Duration::from_secs(ttl),
    }
}

fn toward(angle: f32) -> Embedding {
    let (sin, cos) = angle.to_radians().sin_cos();
    Arc::new([cos, sin])
}

fn found(entries: &Entries, space: &Space, angle: f32, threshold: f64, now: Instant) -> String {
    let nearest = entries.nearest(space, &toward(angle), threshold, now);
    let names = nearest.into_iter().map(|(id, score)| {
        let query = &entries.get(id).unwrap().query;
        format!("{query}={score:.2}")
    });
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn entries_are_found_by_similarity_within_their_space() {
    let now = Instant::now();
    let mut entries = Entries::new(LIMITS.0, LIMITS.1);
    let (mine, yours, none) = (space(1, Some("a")), space(1, Some("b")), space(1, None));
    entries.insert(mine.clone(), entry("near", 10.0, now, 60), now);
    entries.insert(mine.clone(), entry("far", 60.0, now, 60), now);
    entries.insert(yours.clone(), entry("other", 0.0, now, 60), now);
    entries.insert(space(2, Some("a")), entry("else", 0.0, now, 60), now);
    let at = |space: &Space, threshold| found(&entries, space, 0.0, threshold, now);
    assert_eq!(at(&mine, 0.9), "near=0.98");
    assert_eq!(at(&mine, 0.4), "near=0.98 far=0.50");
    assert_eq!(at(&mine, 0.99), "near=0.98", "the nearest is told");
    assert_eq!(at(&yours, 0.9), "other=1.00");
    assert_eq!(at(&none, 0.0), "");
}

#[test]
fn the_same_question_is_kept_once_and_time_runs_out() {
    let now = Instant::now();
    let mut entries = Entries::new(LIMITS.0, LIMITS.1);
    let mine = space(1, None);
    assert!(
        !entries
            .insert(mine.clone(), entry("q", 0.0, now, 60), now)
            .replaced
    );
    assert!(
        entries
            .insert(mine.clone(), entry("q", 5.0, now, 10), now)
            .replaced
    );
    assert_eq!(entries.len(), 1);
    let later = now + Duration::from_secs(9);
    assert_eq!(found(&entries, &mine, 5.0, 0.9, later), "q=1.00");
    let after = now + Duration::from_secs(10);
    assert_eq!(found(&entries, &mine, 5.0, 0.9, after), "");
    let inserted = entries.insert(space(2, None), entry("r", 0.0, after, 60), after);
    assert_eq!(
        (inserted.evicted.expired, inserted.evicted.by_limit),
        (1, 0)
    );
    assert_eq!(entries.len(), 1);
}

#[test]
fn what_was_used_longest_ago_goes_first() {
    let now = Instant::now();
    let mut entries = Entries::new(2, LIMITS.1);
    let mine = space(1, None);
    entries.insert(mine.clone(), entry("a", 0.0, now, 60), now);
    entries.insert(mine.clone(), entry("b", 40.0, now, 60), now);
    let (id, _) = entries.nearest(&mine, &toward(0.0), 0.9, now)[0];
    entries.touch(id);
    let inserted = entries.insert(mine.clone(), entry("c", 81.0, now, 60), now);
    assert_eq!(inserted.evicted.by_limit, 1);
    let left = found(&entries, &mine, 40.0, 0.0, now);
    assert_eq!(left, "a=0.77 c=0.75", "b is gone");
}

#[test]
fn a_scope_or_a_collection_is_forgotten() {
    let now = Instant::now();
    let mut entries = Entries::new(LIMITS.0, LIMITS.1);
    for (collection, scope) in [(1, None), (1, Some("a")), (2, Some("a")), (2, Some("b"))] {
        entries.insert(space(collection, scope), entry("q", 0.0, now, 60), now);
    }
    assert_eq!(entries.remove(Some(CollectionId(1)), Some("a")), 1);
    assert_eq!(entries.remove(None, Some("a")), 1);
    assert_eq!(entries.remove(Some(CollectionId(2)), None), 1);
    assert_eq!(entries.remove(None, None), 1);
    assert_eq!((entries.len(), entries.bytes()), (0, 0));
}

proptest! {
    /// However entries come, are used and go: the limits hold, the books agree, and a scan finds what
    /// comparing with every live entry of the space finds.
    #[test]
    fn limits_hold_and_scans_are_exact(
        steps in prop::collection::vec((0u8..8, 0u32..3, 0u16..360, 1u64..40), 1..60),
    ) {
        let start = Instant::now();
        let mut entries = Entries::new(LIMITS.0, LIMITS.1);
        for (at, (kind, collection, angle, ttl)) in steps.into_iter().enumerate() {
            let now = start + Duration::from_secs(at as u64);
            let mine = space(collection, None);
            match kind {
                0..=5 => {
                    let query = format!("q{angle}");
                    entries.insert(mine.clone(), entry(&query, f32::from(angle), now, ttl), now);
                }
                6 => entries.touch(u64::from(angle)),
                _ => {
                    entries.remove(Some(CollectionId(collection)), None);
                }
            }
            prop_assert!(entries.len() <= LIMITS.0 && entries.bytes() <= LIMITS.1);
            prop_assert_eq!(entries.len(), entries.order.len());
            prop_assert_eq!(entries.len(), entries.expiries.len());
            let rows: usize = entries.spaces.values().map(Vec::len).sum();
            prop_assert_eq!(entries.len(), rows);
            let bytes: usize = entries.entries.values().map(|kept| kept.bytes).sum();
            prop_assert_eq!(entries.bytes(), bytes);
            let live = entries.entries.values();
            let live = live.filter(|kept| kept.space == mine && kept.entry.expires > now);
            let best = live.map(|kept| similarity(&toward(7.0), &kept.entry.embedding));
            let best = best.max_by(f64::total_cmp);
            let scanned = entries.nearest(&mine, &toward(7.0), 0.5, now);
            prop_assert_eq!(scanned.first().map(|(_, score)| *score), best);
        }
    }
}
