//! Recall-loss accounting: for every relevant document that is not returned, the first stage that lost
//! it. Every relevant document is in exactly one bucket, so the buckets add up to all of them.

mod account;

use std::collections::BTreeMap;

use braid_engine::query::Mode;
use serde::Serialize;

pub use account::{LossPlan, account};

use crate::table::{partly, table};

/// What became of a relevant document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is returned, and stands in the context where one is assembled.
    Found,
    /// The query failed or has no text.
    Unanswered,
    /// The collection does not have it.
    NotIngested,
    /// The filter excludes it.
    Filtered,
    /// No leg has it among its candidates, and the embedder could not read it whole.
    Truncated,
    /// The dense leg has it below its depth; the lexical leg does not have it at all.
    LexicalMiss,
    /// The lexical leg has it below its depth; the dense leg does not have it at all.
    DenseMiss,
    /// No leg that was asked has it at all.
    Missed,
    /// Every leg that was asked has it, all below their depths.
    BelowDepth,
    /// A leg has it among its candidates, but the fused list too far down to be returned, and the re-ranker
    /// did not bring it up.
    FusedOut,
    /// Without the re-ranker it would be returned.
    Demoted,
    /// A returned passage of another document says the same, or one that the context takes before it nearly
    /// the same.
    Deduplicated,
    /// It is returned, but did not fit into the context.
    CutByBudget,
}

impl Fate {
    /// Every fate, in the order of the pipeline.
    pub const ALL: [Self; 13] = [
        Self::Found,
        Self::Unanswered,
        Self::NotIngested,
        Self::Filtered,
        Self::Truncated,
        Self::LexicalMiss,
        Self::DenseMiss,
        Self::Missed,
        Self::BelowDepth,
        Self::FusedOut,
        Self::Demoted,
        Self::Deduplicated,
        Self::CutByBudget,
    ];

    /// The public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Unanswered => "unanswered",
            Self::NotIngested => "not_ingested",
            Self::Filtered => "filtered",
            Self::Truncated => "truncated",
            Self::LexicalMiss => "lexical_miss",
            Self::DenseMiss => "dense_miss",
            Self::Missed => "missed",
            Self::BelowDepth => "below_depth",
            Self::FusedOut => "fused_out",
            Self::Demoted => "demoted",
            Self::Deduplicated => "deduplicated",
            Self::CutByBudget => "cut_by_budget",
        }
    }
}

/// What is known of a relevant document that is not returned in full. Ranks are 1-based and of its best
/// passage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// Whether it is returned.
    pub is_returned: bool,
    /// Whether it stands in the context; `None` where none is assembled.
    pub is_cited: Option<bool>,
    /// Whether a returned passage of another document says the same as one of its own.
    pub is_duplicate: bool,
    /// Whether the context leaves it out because passages before it say nearly the same.
    pub is_left_out: bool,
    /// Whether it would be returned if nothing were re-ranked.
    pub is_returned_unranked: bool,
    /// Whether the collection has it.
    pub is_ingested: bool,
    /// Whether the filter excludes it.
    pub is_filtered: bool,
    /// Whether the embedder could not read all of it.
    pub is_truncated: bool,
    /// Rank in the lexical leg, searched deep.
    pub lexical: Option<usize>,
    /// Rank in the dense leg, searched deep.
    pub dense: Option<usize>,
    /// Rank in base order, of the candidates alone: fused, or the single leg's.
    pub base: Option<usize>,
}

impl Sighting {
    /// The first stage that lost it, when `mode` was asked with legs so deep.
    pub fn fate(self, mode: Mode, depths: (usize, usize)) -> Fate {
        if self.is_returned {
            return match self.is_cited {
                Some(false) if self.is_left_out => Fate::Deduplicated,
                Some(false) => Fate::CutByBudget,
                Some(true) | None => Fate::Found,
            };
        }
        if !self.is_ingested {
            return Fate::NotIngested;
        }
        if self.is_filtered {
            return Fate::Filtered;
        }
        if self.base.is_none() {
            return self.lost_by_legs(mode, depths);
        }
        if self.is_duplicate {
            Fate::Deduplicated
        } else if self.is_returned_unranked {
            Fate::Demoted
        } else {
            Fate::FusedOut
        }
    }

    fn lost_by_legs(self, mode: Mode, (lexical_depth, dense_depth): (usize, usize)) -> Fate {
        let within = |rank: Option<usize>, depth: usize| rank.is_some_and(|rank| rank <= depth);
        let (asks_lexical, asks_dense) = (mode != Mode::Dense, mode != Mode::Lexical);
        if asks_lexical && within(self.lexical, lexical_depth)
            || asks_dense && within(self.dense, dense_depth)
        {
            // A candidate of a leg without weight.
            return Fate::FusedOut;
        }
        if self.is_truncated {
            return Fate::Truncated;
        }
        match (mode, self.lexical.is_some(), self.dense.is_some()) {
            (Mode::Hybrid, true, true) | (Mode::Lexical, true, _) | (Mode::Dense, _, true) => {
                Fate::BelowDepth
            }
            (Mode::Hybrid, false, true) | (Mode::Lexical, false, _) => Fate::LexicalMiss,
            (Mode::Hybrid, true, false) | (Mode::Dense, _, false) => Fate::DenseMiss,
            (Mode::Hybrid, false, false) => Fate::Missed,
        }
    }
}

/// What became of every relevant document.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Losses {
    /// Relevant documents over all topics: each counts once for each topic that it is relevant to.
    pub relevant: usize,
    /// How many passages are returned for a query.
    pub top_k: usize,
    /// How deep the legs were searched to tell a miss from a place below the depth.
    pub searched_to: usize,
    /// How many had which fate; all are listed, so that they add up to `relevant`.
    pub buckets: BTreeMap<&'static str, usize>,
    /// Those that were lost, by topic.
    pub lost: BTreeMap<String, Vec<Lost>>,
    /// Topics that were not answered, with the reason.
    pub failed: BTreeMap<String, String>,
    /// Documents of the corpus that could not be read or indexed, with the reason, where this account
    /// ingested it.
    pub not_searched: BTreeMap<String, String>,
}

/// A relevant document that was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Its id.
    pub document: String,
    /// Its grade.
    pub grade: i32,
    /// What lost it.
    pub stage: Fate,
    /// Rank of its best passage in the lexical leg, if it was found there.
    pub lexical: Option<usize>,
    /// The same in the dense leg.
    pub dense: Option<usize>,
    /// The same in base order.
    pub base: Option<usize>,
}

impl Losses {
    /// An account of nothing.
    pub fn new(top_k: usize, searched_to: usize) -> Self {
        Self {
            top_k,
            searched_to,
            buckets: Fate::ALL.iter().map(|fate| (fate.as_str(), 0)).collect(),
            ..Self::default()
        }
    }

    /// Counts a relevant document.
    pub fn add(&mut self, topic: &str, document: &str, grade: i32, fate: Fate, seen: Sighting) {
        self.relevant += 1;
        *self.buckets.entry(fate.as_str()).or_default() += 1;
        if fate != Fate::Found {
            let lost = self.lost.entry(topic.to_owned()).or_default();
            lost.push(Lost {
                document: document.to_owned(),
                grade,
                stage: fate,
                lexical: seen.lexical,
                dense: seen.dense,
                base: seen.base,
            });
        }
    }

    /// How many had this fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.buckets.get(fate.as_str()).copied().unwrap_or(0)
    }

    /// As a table, in the order of the pipeline.
    pub fn text(&self) -> String {
        let all = self.relevant.max(1) as f64;
        let row = |name: &str, count: usize| {
            vec![
                name.to_owned(),
                count.to_string(),
                format!("{:.1}%", 100.0 * count as f64 / all),
            ]
        };
        let buckets = Fate::ALL
            .iter()
            .map(|fate| row(fate.as_str(), self.count(*fate)));
        let rows: Vec<_> = buckets.chain([row("all", self.relevant)]).collect();
        let head = format!(
            "relevant documents, {} passages returned, legs searched to {}",
            self.top_k, self.searched_to
        );
        let mut lines = vec![head, table(&["stage", "relevant", "share"], &rows)];
        let failed = self.failed.iter();
        lines.extend(failed.map(|(topic, reason)| format!("unanswered: {topic}: {reason}")));
        lines.extend(partly(&BTreeMap::new(), &self.not_searched));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEPTHS: (usize, usize) = (50, 40);

    /// In the collection, and nowhere else.
    fn lost() -> Sighting {
        Sighting {
            is_ingested: true,
            ..Sighting::default()
        }
    }

    #[test]
    fn each_stage_is_named_by_what_it_did() {
        let (deep, near) = (Some(60), Some(7));
        let cases = [
            (Fate::NotIngested, Sighting::default()),
            (
                Fate::Found,
                Sighting {
                    is_returned: true,
                    is_cited: Some(true),
                    ..lost()
                },
            ),
            (
                Fate::Found,
                Sighting {
                    is_returned: true,
                    ..lost()
                },
            ),
            (
                Fate::CutByBudget,
                Sighting {
                    is_returned: true,
                    is_cited: Some(false),
                    is_duplicate: true,
                    ..lost()
                },
            ),
            (
                Fate::Filtered,
                Sighting {
                    is_filtered: true,
                    is_truncated: true,
                    ..lost()
                },
            ),
            (
                Fate::Truncated,
                Sighting {
                    is_truncated: true,
                    dense: deep,
                    ..lost()
                },
            ),
            (
                Fate::LexicalMiss,
                Sighting {
                    dense: deep,
                    ..lost()
                },
            ),
            (
                Fate::DenseMiss,
                Sighting {
                    lexical: deep,
                    ..lost()
                },
            ),
            (Fate::Missed, lost()),
            (
                Fate::BelowDepth,
                Sighting {
                    lexical: deep,
                    dense: deep,
                    ..lost()
                },
            ),
            (
                Fate::FusedOut,
                Sighting {
                    lexical: near,
                    base: Some(31),
                    ..lost()
                },
            ),
            (
                Fate::Deduplicated,
                Sighting {
                    is_returned: true,
                    is_cited: Some(false),
                    is_left_out: true,
                    ..lost()
                },
            ),
            (
                Fate::FusedOut,
                Sighting {
                    lexical: near,
                    dense: deep,
                    ..lost()
                },
            ),
            (
                Fate::Demoted,
                Sighting {
                    lexical: near,
                    base: Some(8),
                    is_returned_unranked: true,
                    ..lost()
                },
            ),
            (
                Fate::Deduplicated,
                Sighting {
                    lexical: near,
                    base: Some(2),
                    is_duplicate: true,
                    is_returned_unranked: true,
                    ..lost()
                },
            ),
        ];
        for (fate, seen) in cases {
            assert_eq!(seen.fate(Mode::Hybrid, DEPTHS), fate, "{seen:?}");
        }
    }

    #[test]
    fn a_leg_that_is_not_asked_loses_nothing() {
        let seen = Sighting {
            lexical: Some(60),
            dense: Some(1),
            ..lost()
        };
        assert_eq!(seen.fate(Mode::Lexical, DEPTHS), Fate::BelowDepth);
        assert_eq!(lost().fate(Mode::Lexical, DEPTHS), Fate::LexicalMiss);
        assert_eq!(lost().fate(Mode::Dense, DEPTHS), Fate::DenseMiss);
    }

    fn sighting() -> impl Strategy<Value = Sighting> {
        let flags = (
            any::<bool>(),
            proptest::option::of(any::<bool>()),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
        );
        let rank = || proptest::option::of(1usize..100);
        (flags, rank(), rank(), rank()).prop_map(|(flags, lexical, dense, base)| Sighting {
            is_returned: flags.0,
            is_cited: flags.1,
            is_duplicate: flags.2,
            is_ingested: flags.3,
            is_filtered: flags.4,
            is_truncated: flags.5,
            is_returned_unranked: flags.6,
            is_left_out: flags.7,
            lexical,
            dense,
            base,
        })
    }

    proptest! {
        #[test]
        fn the_buckets_add_up(seen in proptest::collection::vec((sighting(), 0usize..3), 0..60)) {
            let mut losses = Losses::new(8, 1000);
            for (index, (seen, mode)) in seen.iter().enumerate() {
                let mode = [Mode::Hybrid, Mode::Lexical, Mode::Dense][*mode];
                let fate = seen.fate(mode, DEPTHS);
                losses.add(&format!("t{}", index % 5), "d", 1, fate, *seen);
                let is_of_hits = matches!(fate, Fate::Found | Fate::CutByBudget | Fate::Deduplicated);
                let is_of_all = !matches!(fate, Fate::Found | Fate::CutByBudget);
                prop_assert!(if seen.is_returned { is_of_hits } else { is_of_all }, "{fate:?}");
            }
            prop_assert_eq!(losses.relevant, seen.len());
            prop_assert_eq!(losses.buckets.values().sum::<usize>(), losses.relevant);
            let lost: usize = losses.lost.values().map(Vec::len).sum();
            prop_assert_eq!(lost + losses.count(Fate::Found), losses.relevant);
            prop_assert_eq!(losses.buckets.len(), Fate::ALL.len());
        }
    }
}
