//! `braid eval convert`: qrels and runs from one layout to the other.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use braid_core::{Error, Result};

use crate::trec::{Qrels, ScoredRun, read_qrels, read_scored_run, write_ranking};

/// A layout of qrels and runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// `topic 0 document grade` and `topic Q0 document rank score tag` lines
    Trec,
    /// Qrels as TSV with a header, results as one JSON object
    Beir,
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Judgements.
    Qrels(Qrels),
    /// Rankings.
    Run(ScoredRun),
}

/// Reads qrels or a run, whichever it is.
///
/// # Errors
/// `InvalidRequest` naming the file and, of what it looks like, the line that cannot be read.
pub fn read(path: &Path) -> Result<Labels> {
    match (read_scored_run(path), read_qrels(path)) {
        (Ok(run), Err(_)) => Ok(Labels::Run(run)),
        (Err(_), Ok(qrels)) => Ok(Labels::Qrels(qrels)),
        // Six fields are a run, three or four are qrels: nothing is both.
        (Ok(run), Ok(_)) => Ok(Labels::Run(run)),
        (Err(run), Err(qrels)) => Err(Error::invalid(format!(
            "{} is neither a run ({run}) nor qrels ({qrels})",
            path.display()
        ))),
    }
}

/// Writes in `layout`.
///
/// # Errors
/// `InvalidRequest` for ids that the layout cannot hold; `Unavailable` when it cannot be written.
pub fn write(labels: &Labels, layout: Layout, out: &mut impl Write) -> Result<()> {
    if layout == Layout::Trec {
        check_ids(ids(labels).into_iter())?;
    }
    let written = match (labels, layout) {
        (Labels::Qrels(qrels), layout) => write_qrels(qrels, layout, out),
        (Labels::Run(run), Layout::Trec) => run
            .iter()
            .try_for_each(|(topic, ranking)| write_ranking(out, topic, ranking, "braid")),
        (Labels::Run(run), Layout::Beir) => write_json(run, out),
    };
    written.map_err(|error| {
        let message = format!("cannot write: {error}");
        Error::new(braid_core::ErrorCode::Unavailable, message)
    })
}

/// Every id, of topics and of documents.
fn ids(labels: &Labels) -> Vec<&str> {
    match labels {
        Labels::Qrels(qrels) => {
            let documents = qrels.values().flat_map(|judged| judged.keys());
            qrels.keys().chain(documents).map(String::as_str).collect()
        }
        Labels::Run(run) => {
            let documents = run.values().flatten().map(|(id, _)| id);
            run.keys().chain(documents).map(String::as_str).collect()
        }
    }
}

/// Refuses ids that a TREC file cannot hold: white space tells its fields apart.
///
/// # Errors
/// `InvalidRequest` naming the id.
pub(crate) fn check_ids<'a>(mut ids: impl Iterator<Item = &'a str>) -> Result<()> {
    match ids.find(|id| id.is_empty() || id.contains(char::is_whitespace)) {
        Some("") => Err(Error::invalid(
            "an id is empty, which a TREC file cannot hold",
        )),
        Some(id) => Err(Error::invalid(format!(
            "the id {id:?} has white space, which a TREC file cannot hold"
        ))),
        None => Ok(()),
    }
}

fn write_qrels(qrels: &Qrels, layout: Layout, out: &mut impl Write) -> std::io::Result<()> {
    if layout == Layout::Beir {
        writeln!(out, "query-id\tcorpus-id\tscore")?;
    }
    for (topic, judged) in qrels {
        for (document, grade) in judged.iter().collect::<BTreeMap<_, _>>() {
            match layout {
                Layout::Trec => writeln!(out, "{topic} 0 {document} {grade}")?,
                Layout::Beir => writeln!(out, "{topic}\t{document}\t{grade}")?,
            }
        }
    }
    Ok(())
}

fn write_json(run: &ScoredRun, out: &mut impl Write) -> std::io::Result<()> {
    let topics = run.iter().map(|(topic, ranking)| {
        let scores: BTreeMap<&str, f64> = ranking
            .iter()
            .map(|(id, score)| (id.as_str(), *score))
            .collect();
        (topic, scores)
    });
    serde_json::to_writer(&mut *out, &topics.collect::<BTreeMap<_, _>>())?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(text: &str, layout: Layout) -> Result<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        write(&read(&path)?, layout, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn qrels_and_runs_go_both_ways() {
        let (trec, beir) = (
            "q1 0 a 2\nq1 0 b 0\n",
            "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\n",
        );
        assert_eq!(converted(trec, Layout::Beir).unwrap(), beir);
        assert_eq!(converted(beir, Layout::Trec).unwrap(), trec);
        let (trec, beir) = (
            "q1 Q0 b 1 2.5 braid\nq1 Q0 a 2 0.5 braid\n",
            "{\"q1\":{\"a\":0.5,\"b\":2.5}}\n",
        );
        assert_eq!(converted(trec, Layout::Beir).unwrap(), beir);
        assert_eq!(converted(beir, Layout::Trec).unwrap(), trec);
        assert_eq!(
            converted("q1   0\ta  2\n", Layout::Trec).unwrap(),
            "q1 0 a 2\n"
        );
    }

    #[test]
    fn what_cannot_be_read_or_held_is_refused() {
        let error = converted("one two\n", Layout::Trec)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("neither a run") && error.contains("nor qrels"),
            "{error}"
        );
        let spaced = "query-id\tcorpus-id\tscore\nq1\tan id\t2\n";
        let error = converted(spaced, Layout::Trec).unwrap_err().to_string();
        assert!(error.contains("\"an id\""), "{error}");
    }
}
