//! Settings to be tried: one trial each, from the settings that are in force.

use std::str::FromStr;

use braid_config::Settings;
use braid_core::{CollectionSettings, Error, Result};
use braid_engine::query::{Mode, RetrieveRequest};
use braid_engine::{collection_settings, retrieve_defaults};

/// Most trials at once.
const MOST_TRIALS: usize = 5000;
/// What one request, or the collection that it is answered from, can differ in.
const SECTIONS: [&str; 4] = ["retrieve.", "chunking.", "duplicates.", "lexical.language"];
/// Those of them that the process has all the same: every search is bounded by one time.
const OF_THE_PROCESS: [&str; 1] = ["retrieve.leg_timeout_ms"];
/// Those that change no ranking of a trial: why, and what to do instead.
const WITHOUT_EFFECT: [(&str, &str, &str); 2] = [
    (
        "retrieve.rerank_deadline_ms",
        "trials are re-ranked without a deadline",
        "run `braid eval run --deadline` with --set for each value, and compare the runs",
    ),
    (
        "retrieve.context_max_tokens",
        "it bounds the text of the context alone",
        "run `braid eval losses` with --set for each value: it counts what the context cuts",
    ),
];

/// A setting's key and value.
pub type Pair = (String, String);

/// A setting with the values to try: `retrieve.fusion_k=10,60`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// The setting.
    pub key: String,
    /// Its values.
    pub values: Vec<String>,
}

impl Axis {
    /// An axis of these values.
    pub fn new(key: &str, values: &[&str]) -> Self {
        Self {
            key: key.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }
}

impl FromStr for Axis {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::invalid(format!("{text:?} is not KEY=VALUE,VALUE,..."))
                .with_help("name a setting and its values, as in retrieve.fusion_k=10,60")
        };
        let (key, values) = text.split_once('=').ok_or_else(bad)?;
        let values: Vec<&str> = values.split(',').map(str::trim).collect();
        if key.trim().is_empty() || values.iter().any(|value| value.is_empty()) {
            return Err(bad());
        }
        Ok(Self::new(key.trim(), &values))
    }
}

/// Every combination of the axes' values, the last axis changing fastest.
///
/// # Errors
/// `InvalidRequest` for a setting that is named twice, and for more combinations than can be tried.
pub fn combinations(axes: &[Axis]) -> Result<Vec<Vec<Pair>>> {
    for (place, axis) in axes.iter().enumerate() {
        if axes[..place].iter().any(|other| other.key == axis.key) {
            return Err(Error::invalid(format!("{} is named twice", axis.key)));
        }
    }
    let sizes = axes.iter().map(|axis| axis.values.len());
    let count = sizes.fold(1_usize, usize::saturating_mul);
    if count > MOST_TRIALS {
        return Err(
            Error::invalid(format!("{count} combinations, the limit is {MOST_TRIALS}"))
                .with_help("name fewer settings, or fewer values of each"),
        );
    }
    let mut found: Vec<Vec<Pair>> = vec![Vec::new()];
    for axis in axes {
        let with = |pairs: &Vec<Pair>, value: &String| {
            let pair = (axis.key.clone(), value.clone());
            pairs.iter().cloned().chain([pair]).collect()
        };
        found = found
            .iter()
            .flat_map(|pairs| axis.values.iter().map(move |value| with(pairs, value)))
            .collect();
    }
    Ok(found)
}

/// One way to answer every query.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its name in tables.
    pub name: String,
    /// What differs from the settings in force.
    pub pairs: Vec<Pair>,
    /// What each query asks for.
    pub request: RetrieveRequest,
    /// What its collection is made with.
    pub collection: CollectionSettings,
    /// Whether passages that say the same are told once, as when serving.
    pub is_distinct: bool,
}

impl Trial {
    /// `settings` with `pairs` set; named after them where `name` is empty.
    ///
    /// # Errors
    /// `InvalidRequest` for a setting that is not of a request or a collection, for one that changes no
    /// ranking, and for a bad value.
    pub fn new(settings: &Settings, name: &str, pairs: &[Pair]) -> Result<Self> {
        for (key, _) in pairs {
            check_key(key)?;
        }
        let settings = braid_config::with(settings, pairs)?;
        let mut request = retrieve_defaults(&settings)?;
        // A ranking that depends on the machine's speed measures the machine.
        request.rerank.deadline_ms = None;
        let name = match name {
            "" if pairs.is_empty() => "as set".to_owned(),
            "" => shown(pairs),
            name => name.to_owned(),
        };
        Ok(Self {
            name,
            pairs: pairs.to_vec(),
            request,
            collection: collection_settings(&settings),
            is_distinct: true,
        })
    }
}

/// Whether a setting can make a difference between trials.
fn check_key(key: &str) -> Result<()> {
    let is_tried = SECTIONS.iter().any(|section| key.starts_with(section));
    if !is_tried || OF_THE_PROCESS.contains(&key) {
        let message =
            format!("{key} is a setting of the whole process, not of a request or a collection");
        let help = "run `braid eval run` with --set for each value, and compare the runs";
        return Err(Error::invalid(message).with_help(help));
    }
    match WITHOUT_EFFECT.iter().find(|(known, _, _)| *known == key) {
        Some((_, why, instead)) => {
            let message = format!("{key} changes no ranking: {why}");
            Err(Error::invalid(message).with_help(*instead))
        }
        None => Ok(()),
    }
}

/// Rankings are measured to their end, so that another count of hits than the one in force, that of the first
/// trial, makes a difference only where a leg is searched deeper, or less deep, for it. A count for which none
/// is, in any trial, is refused.
fn check_top_k(trials: &[Trial]) -> Result<()> {
    let in_force = trials.first().map_or(0, |trial| trial.request.top_k);
    let counts = trials.iter().map(|trial| trial.request.top_k);
    let mut counts = counts.filter(|top_k| *top_k != in_force);
    let is_idle = |top_k: &usize| {
        let mut with = trials.iter().filter(|trial| trial.request.top_k == *top_k);
        with.all(|trial| depths(&trial.request, *top_k) == depths(&trial.request, in_force))
    };
    let Some(top_k) = counts.find(is_idle) else {
        return Ok(());
    };
    let message = format!(
        "retrieve.top_k={top_k} changes no ranking: it cuts what is returned, and no leg is deeper for it"
    );
    let help = format!(
        "cut the metric, as in nDCG@{top_k}, or try retrieve.candidates_lexical and retrieve.candidates_dense"
    );
    Err(Error::invalid(message).with_help(help))
}

/// How deep the legs that a request asks are searched for so many hits.
fn depths(request: &RetrieveRequest, top_k: usize) -> [Option<usize>; 2] {
    let depth = |is_asked: bool, candidates: usize| is_asked.then_some(candidates.max(top_k));
    [
        depth(request.mode != Mode::Dense, request.candidates.lexical),
        depth(request.mode != Mode::Lexical, request.candidates.dense),
    ]
}

/// Settings as they are given with `--set`, without their sections where that is plain.
pub fn shown(pairs: &[Pair]) -> String {
    let short = |key: &str| key.strip_prefix("retrieve.").unwrap_or(key).to_owned();
    let pairs = pairs
        .iter()
        .map(|(key, value)| format!("{}={value}", short(key)));
    pairs.collect::<Vec<_>>().join(" ")
}

/// The settings in force first, as the baseline, then every combination that differs from them.
///
/// # Errors
/// As [`combinations`] and [`Trial::new`].
pub fn trials(settings: &Settings, axes: &[Axis]) -> Result<Vec<Trial>> {
    let mut trials = vec![Trial::new(settings, "", &[])?];
    add_trials(&mut trials, settings, axes)?;
    check_top_k(&trials)?;
    Ok(trials)
}

fn add_trials(trials: &mut Vec<Trial>, settings: &Settings, axes: &[Axis]) -> Result<()> {
    for pairs in combinations(axes)?.iter().filter(|pairs| !pairs.is_empty()) {
        let trial = Trial::new(settings, "", pairs)?;
        let is_new =
            |known: &Trial| known.request != trial.request || known.collection != trial.collection;
        if is_new(&trials[0]) {
            trials.push(trial);
        }
    }
    Ok(())
}

/// What is tried where nothing is named: fusion, depths and, where there is re-ranking, the blend.
///
/// # Errors
/// As [`trials`].
pub fn default_trials(settings: &Settings) -> Result<Vec<Trial>> {
    let mut trials = vec![Trial::new(settings, "", &[])?];
    let reranks = trials[0].request.rerank.enabled;
    for axes in default_axes(reranks) {
        add_trials(&mut trials, settings, &axes)?;
    }
    Ok(trials)
}

/// The grids of [`default_trials`]. RRF's constant is of no account where scores are fused, so it
/// varies only with RRF.
fn default_axes(reranks: bool) -> [Vec<Axis>; 2] {
    let method = |values| Axis::new("retrieve.fusion_method", values);
    let mut shared = vec![
        Axis::new("retrieve.weight_lexical", &["0.25", "0.5", "1", "2"]),
        Axis::new("retrieve.candidates_lexical", &["50", "100"]),
        Axis::new("retrieve.candidates_dense", &["50", "100"]),
    ];
    if reranks {
        shared.push(Axis::new(
            "retrieve.rerank_blend",
            &["0.2", "0.4", "0.6", "0.8"],
        ));
    }
    let by_rank = [
        method(&["rrf"]),
        Axis::new("retrieve.fusion_k", &["10", "30", "60", "100"]),
    ];
    let by_score = [method(&["minmax", "dbsf"])];
    let with = |own: &[Axis]| [own, &shared].concat();
    [with(&by_rank), with(&by_score)]
}

/// Every stage that orders or leaves out documents taken out in turn, from the full pipeline. What only shapes
/// the text of a context changes no ranking.
///
/// # Errors
/// As [`Trial::new`].
pub fn ablations(settings: &Settings, reingest: bool) -> Result<Vec<Trial>> {
    let full = Trial::new(settings, "full", &[])?;
    let mut cases: Vec<(&str, &[(&str, &str)])> = vec![
        ("without lexical leg", &[("retrieve.mode", "dense")]),
        ("without dense leg", &[("retrieve.mode", "lexical")]),
        ("without leg trust", &[("retrieve.leg_trust", "off")]),
        ("without correcting words", &[("retrieve.typos", "off")]),
    ];
    if full.request.rerank.enabled {
        cases.extend([
            ("without re-ranking", &[("retrieve.rerank", "false")][..]),
            ("re-ranker alone decides", &[("retrieve.rerank_blend", "1")]),
            (
                "lexical leg alone",
                &[("retrieve.mode", "lexical"), ("retrieve.rerank", "false")],
            ),
            (
                "dense leg alone",
                &[("retrieve.mode", "dense"), ("retrieve.rerank", "false")],
            ),
        ]);
    }
    if reingest {
        cases.push(("without chunking", &[("chunking.strategy", "whole")]));
        cases.push(("without analysis of words", &[("lexical.language", "none")]));
    }
    let mut trials = vec![
        full.clone(),
        Trial {
            name: "without dropping duplicates".to_owned(),
            is_distinct: false,
            ..full
        },
    ];
    for (name, pairs) in cases {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let pairs: Vec<Pair> = pairs.iter().map(owned).collect();
        trials.push(Trial::new(settings, name, &pairs)?);
    }
    Ok(trials)
}

#[cfg(test)]
mod tests {
    use braid_engine::query::{FusionMethod, LegTrust, Typos};

    use super::*;

    fn axes(texts: &[&str]) -> Vec<Axis> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn combinations_are_all_there_are_but_the_baseline_is_there_once() {
        let axes = axes(&["retrieve.fusion_k=10,60", "retrieve.weight_dense=1,2,3"]);
        let found = trials(&Settings::default(), &axes).unwrap();
        let names: Vec<&str> = found.iter().map(|trial| trial.name.as_str()).collect();
        // k 60 and weight 1 are the defaults.
        assert_eq!(
            names,
            [
                "as set",
                "fusion_k=10 weight_dense=1",
                "fusion_k=10 weight_dense=2",
                "fusion_k=10 weight_dense=3",
                "fusion_k=60 weight_dense=2",
                "fusion_k=60 weight_dense=3",
            ]
        );
        assert_eq!(found[1].request.fusion.k, 10.0);
        assert_eq!(found[0].request.rerank.deadline_ms, None);
        assert_eq!(trials(&Settings::default(), &[]).unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_tried_is_refused_with_what_to_do() {
        let settings = Settings::default();
        for (axis, why) in [
            ("storage.map_size_gib=1", "whole process"),
            ("retrieve.nothing=1", "retrieve.nothing"),
            ("retrieve.fusion_k=x", "fusion_k"),
            ("retrieve.top_k=0", "1 or more"),
            ("chunking.target_tokens=4", "overlap"),
        ] {
            let mut settings = settings.clone();
            settings.chunking.overlap_tokens = 8;
            let error = trials(&settings, &axes(&[axis])).unwrap_err();
            assert!(error.to_string().contains(why), "{axis}: {error}");
        }
        for bad in ["retrieve.fusion_k", "=1", "retrieve.fusion_k=1,,2"] {
            assert!(
                bad.parse::<Axis>()
                    .unwrap_err()
                    .to_string()
                    .contains("KEY=VALUE")
            );
        }
        let twice = combinations(&axes(&["a=1", "a=2"])).unwrap_err();
        assert!(twice.to_string().contains("twice"));
        let many = (0..13)
            .map(|i| Axis::new(&i.to_string(), &["1", "2"]))
            .collect::<Vec<_>>();
        assert!(
            combinations(&many)
                .unwrap_err()
                .to_string()
                .contains("8192 combinations")
        );
    }

    #[test]
    fn what_changes_no_ranking_is_refused_and_what_does_is_tried() {
        let settings = Settings::default();
        let refused = |grid: &[&str]| {
            let error = trials(&settings, &axes(grid)).unwrap_err();
            error.to_string()
        };
        for (axis, why, instead) in [
            (
                "retrieve.rerank_deadline_ms=1,1000",
                "without a",
                "--deadline",
            ),
            ("retrieve.context_max_tokens=100", "context", "eval losses"),
            ("retrieve.top_k=3,5", "top_k=3", "nDCG@3"),
            ("retrieve.leg_timeout_ms=1", "whole process", "eval run"),
        ] {
            let error = refused(&[axis]);
            let key = axis.split_once('=').unwrap().0;
            for part in [key, why, instead] {
                assert!(error.contains(part), "{axis}: {error}");
            }
            // Beside a setting that does make a difference it is none the better.
            assert_eq!(refused(&["retrieve.weight_dense=2", axis]), error);
        }
        let tried = |grid: &[&str]| trials(&settings, &axes(grid)).unwrap().len();
        // 8 hits are in force; for 100 both legs, 50 deep as set, are searched deeper.
        assert_eq!(tried(&["retrieve.top_k=8,100"]), 2);
        assert_eq!(
            tried(&["retrieve.candidates_dense=5", "retrieve.top_k=8,10"]),
            3
        );
        // Of no account beside one of the depths, and of some beside the other.
        let depths = [
            "retrieve.candidates_lexical=50,100",
            "retrieve.candidates_dense=100",
        ];
        assert_eq!(tried(&[&depths[..], &["retrieve.top_k=100"]].concat()), 3);
        let lexical = ["retrieve.mode=lexical", "retrieve.candidates_lexical=100"];
        let idle = [&lexical[..], &["retrieve.top_k=100"]].concat();
        assert!(refused(&idle).contains("top_k=100"));
    }

    #[test]
    fn ablations_change_one_stage_each() {
        let found = ablations(&Settings::default(), true).unwrap();
        assert_eq!(found.len(), 12);
        let differs = |name: &str| {
            let trial = found.iter().find(|trial| trial.name == name).unwrap();
            let mut request = trial.request.clone();
            let full = &found[0].request;
            assert_ne!(&request, full, "{name}");
            (request.typos, request.fusion.leg_trust) = (full.typos, full.fusion.leg_trust);
            assert_eq!(&request, full, "{name} changes nothing else");
            (trial.request.typos, trial.request.fusion.leg_trust)
        };
        let (typos, trust) = (Typos::Off, LegTrust::Off);
        assert_eq!(differs("without leg trust"), (Typos::Auto, trust));
        assert_eq!(differs("without correcting words"), (typos, LegTrust::Auto));
        let mut settings = Settings::default();
        settings.retrieve.rerank = false;
        let without = ablations(&settings, false).unwrap();
        assert!(without.iter().all(|trial| !trial.request.rerank.enabled));
        assert_eq!(without.len(), 6);
    }

    #[test]
    fn the_defaults_try_each_setting_where_it_has_a_say() {
        let mut settings = Settings::default();
        // With RRF 4 constants, 4 weights, 2 depths of each leg and 4 blends, with two methods by score
        // no constants. What is in force blends as the model recommends, so that it is none of them.
        let found = default_trials(&settings).unwrap();
        assert_eq!(found.len(), 1 + 4 * 64 + 2 * 64);
        settings.retrieve.rerank = false;
        let found = default_trials(&settings).unwrap();
        assert_eq!(
            found.len(),
            4 * 16 + 2 * 16,
            "what is in force is one of them"
        );
        let says_k = |trial: &&Trial| trial.pairs.iter().any(|(key, _)| key.ends_with("fusion_k"));
        let by_rank = found.iter().filter(says_k);
        assert!(by_rank.clone().count() == 64);
        let method = |trial: &Trial| trial.request.fusion.method;
        assert!(
            by_rank
                .map(method)
                .all(|method| method == FusionMethod::Rrf)
        );
        let requests: Vec<&RetrieveRequest> = found.iter().map(|trial| &trial.request).collect();
        for (place, request) in requests.iter().enumerate() {
            assert!(
                !requests[..place].contains(request),
                "{}",
                found[place].name
            );
        }
    }
}
