//! Metrics by name, as `ir_measures` spells them: `nDCG@10`, `R@100`, `P(rel=2)@5`, `RR`, `AP`,
//! `Success@1`.

use std::fmt;
use std::str::FromStr;

use braid_core::Error;

use super::{Measure, Metric};

/// Beyond this nothing is ranked.
const MOST_CUT: usize = 100_000;

/// Each measure's name, other names it is known by (in small letters), and whether it needs a cut.
const NAMES: [(Measure, &str, &[&str], bool); 6] = [
    (Measure::Ndcg, "nDCG", &["ndcg"], false),
    (Measure::Recall, "R", &["r", "recall"], true),
    (Measure::Precision, "P", &["p", "precision"], true),
    (Measure::ReciprocalRank, "RR", &["rr", "mrr"], false),
    (Measure::AveragePrecision, "AP", &["ap", "map"], false),
    (Measure::Success, "Success", &["success", "hit"], true),
];

impl Metric {
    /// The name in reports, as `ir_measures` spells it.
    pub fn name(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMES.iter().find(|(measure, ..)| *measure == self.measure);
        out.write_str(named.map_or("", |(_, name, ..)| name))?;
        if self.rel != 1 && self.measure != Measure::Ndcg {
            write!(out, "(rel={})", self.rel)?;
        }
        match self.cut {
            Some(cut) => write!(out, "@{cut}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Metric {
    type Err = Error;

    /// Reads a name; `MAP`, `MRR`, `recall`, `precision` and `hit` are understood too, and capitals do
    /// not matter.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| {
            Error::invalid(format!("unknown metric {text:?}: {why}"))
                .with_help("use nDCG@10, R@100, P@5, RR@10, AP or Success@5, with (rel=2) before the @ for a higher bar")
        };
        let (left, cut) = match text.trim().split_once('@') {
            Some((left, cut)) => (left, Some(cut)),
            None => (text.trim(), None),
        };
        let cut = cut.map(|cut| cut.parse().ok().filter(|cut| (1..=MOST_CUT).contains(cut)));
        if cut == Some(None) {
            return Err(bad("the cut is not a number of 1 or more"));
        }
        let (name, rel) = match left.split_once('(') {
            None => (left, None),
            Some((name, rest)) => {
                let rel = rest
                    .strip_suffix(')')
                    .and_then(|rest| rest.strip_prefix("rel="));
                let rel: Option<i32> = rel.and_then(|rel| rel.parse().ok()).filter(|rel| *rel > 0);
                (
                    name,
                    Some(rel.ok_or_else(|| bad("in brackets only rel=N is known, from 1"))?),
                )
            }
        };
        let lower = name.to_ascii_lowercase();
        let known = NAMES
            .iter()
            .find(|(_, _, others, _)| others.contains(&&*lower));
        let (measure, name, _, needs_cut) =
            known.ok_or_else(|| bad("there is none of that name"))?;
        if *measure == Measure::Ndcg && rel.is_some() {
            return Err(bad("nDCG counts every grade"));
        }
        if *needs_cut && cut.is_none() {
            return Err(bad(&format!("say how far down, as in {name}@10")));
        }
        Ok(Self {
            measure: *measure,
            cut: cut.flatten(),
            rel: rel.unwrap_or(1),
        })
    }
}

/// Metrics by name, each once, in the order given.
///
/// # Errors
/// `InvalidRequest` naming the one that is not known.
pub fn metrics(names: &[String]) -> Result<Vec<Metric>, Error> {
    let mut metrics = Vec::new();
    for name in names {
        let metric: Metric = name.parse()?;
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    Ok(metrics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_as_they_are_written() {
        for name in [
            "nDCG@10",
            "nDCG",
            "R@100",
            "R(rel=2)@5",
            "P@5",
            "RR",
            "RR@10",
            "AP",
            "AP(rel=3)@7",
            "Success@1",
        ] {
            assert_eq!(name.parse::<Metric>().unwrap().name(), name);
        }
        for (other, name) in [
            ("ndcg@10", "nDCG@10"),
            ("MAP", "AP"),
            ("mrr@10", "RR@10"),
            ("recall@50", "R@50"),
            ("precision@5", "P@5"),
            ("hit@5", "Success@5"),
            ("P(rel=1)@5", "P@5"),
        ] {
            assert_eq!(other.parse::<Metric>().unwrap().name(), name);
        }
    }

    #[test]
    fn what_is_no_metric_is_refused_with_what_to_write() {
        for (bad, why) in [
            ("nDCG@0", "the cut"),
            ("nDCG@x", "the cut"),
            ("R", "R@10"),
            ("P(rel=0)@5", "rel=N"),
            ("P(x)@5", "rel=N"),
            ("nDCG(rel=2)@5", "every grade"),
            ("ERR@5", "none of that name"),
            ("", "none"),
        ] {
            let error = bad.parse::<Metric>().unwrap_err();
            assert!(error.to_string().contains(why), "{bad}: {error}");
            assert!(error.help().unwrap().contains("nDCG@10"));
        }
        let twice = metrics(&["P@5".to_owned(), "p@5".to_owned()]).unwrap();
        assert_eq!(twice.len(), 1);
    }
}
