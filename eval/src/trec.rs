//! TREC run files and qrels (`topic Q0 document rank score tag` and `topic 0 document grade` lines),
//! and BEIR's: qrels as TSV, results as one JSON object. What a file is, its content says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use braid_core::{Error, ErrorCode, Result};
use flate2::read::MultiGzDecoder;

use crate::metrics::Judgements;

/// Judgements by topic id, in topic order.
pub type Qrels = BTreeMap<String, Judgements>;
/// Rankings (document ids, best first) by topic id.
pub type Run = HashMap<String, Vec<String>>;

/// Scored documents by topic id, best first.
pub type ScoredRun = BTreeMap<String, Vec<(String, f64)>>;

/// What headers of qrels call the grade.
const GRADE_NAMES: [&str; 7] = [
    "score",
    "grade",
    "label",
    "rel",
    "relevance",
    "judgement",
    "judgment",
];

/// Reads qrels: BEIR TSV (header `query-id corpus-id score`) or TREC (`topic 0 document grade`, with
/// any white space between).
///
/// # Errors
/// `InvalidRequest` naming the file and line that cannot be read, or that judges a document again and
/// otherwise.
pub fn read_qrels(path: &Path) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    for (place, (number, line)) in lines(path)?.into_iter().enumerate() {
        // Tabs keep the spaces of an id together.
        let mut fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        if fields.len() < 3 {
            fields = line.split_whitespace().collect();
        }
        let (topic, document, grade) = match fields.as_slice() {
            [topic, document, grade] => (topic, document, grade),
            [topic, _, document, grade] => (topic, document, grade),
            _ => return Err(bad_line(path, number, "expected 3 or 4 fields")),
        };
        match grade.parse::<i32>() {
            Ok(grade) => {
                let judgements = qrels.entry((*topic).to_owned()).or_default();
                let before = judgements.insert((*document).to_owned(), grade);
                if before.is_some_and(|before| before != grade) {
                    let detail = "the topic has another grade for this document already";
                    return Err(bad_line(path, number, detail));
                }
            }
            Err(_) if place == 0 && is_header(grade) => {}
            Err(_) => return Err(bad_line(path, number, "the grade is not a whole number")),
        }
    }
    if qrels.is_empty() {
        return Err(Error::invalid(format!(
            "{} has no judgements",
            path.display()
        )));
    }
    Ok(qrels)
}

fn is_header(grade: &str) -> bool {
    let grade = grade.to_ascii_lowercase();
    GRADE_NAMES.contains(&grade.as_str())
}

/// Reads a run, as [`read_scored_run`] does, without its scores.
///
/// # Errors
/// As [`read_qrels`].
pub fn read_run(path: &Path) -> Result<Run> {
    let ids = |documents: Vec<(String, f64)>| documents.into_iter().map(|(id, _)| id).collect();
    let run = read_scored_run(path)?.into_iter();
    Ok(run
        .map(|(topic, documents)| (topic, ids(documents)))
        .collect())
}

/// Reads a run: TREC lines, or BEIR's results as JSON (`{"topic": {"document": score}}`); gzipped where
/// its name ends in `.gz`. Documents are ordered as trec_eval orders them: by score, then by id, both
/// falling; the rank column is ignored.
///
/// # Errors
/// As [`read_qrels`]; also for a document that a topic has twice, which trec_eval refuses too, and for
/// scores that are no finite number: NaN has no place in an order.
pub fn read_scored_run(path: &Path) -> Result<ScoredRun> {
    let lines = lines(path)?;
    let is_json = lines
        .first()
        .is_some_and(|(_, line)| line.trim_start().starts_with('{'));
    let mut run = if is_json {
        json_run(path, &lines)?
    } else {
        trec_run(path, &lines)?
    };
    for documents in run.values_mut() {
        // As 32-bit floats, which is what trec_eval compares.
        documents.sort_by(|a, b| {
            (b.1 as f32)
                .total_cmp(&(a.1 as f32))
                .then_with(|| b.0.cmp(&a.0))
        });
    }
    Ok(run)
}

fn trec_run(path: &Path, lines: &[(usize, String)]) -> Result<ScoredRun> {
    let mut run = ScoredRun::new();
    let mut seen: HashMap<&str, HashSet<&str>> = HashMap::new();
    for (number, line) in lines {
        let Some((topic, document, score)) = run_fields(line) else {
            return Err(bad_line(path, *number, "expected 6 fields"));
        };
        let score: f64 = score
            .parse()
            .ok()
            .filter(|score: &f64| score.is_finite())
            .ok_or_else(|| bad_line(path, *number, "the score is not a finite number"))?;
        if !seen.entry(topic).or_default().insert(document) {
            return Err(bad_line(
                path,
                *number,
                "the topic has this document already",
            ));
        }
        let documents = run.entry(topic.to_owned()).or_default();
        documents.push((document.to_owned(), score));
    }
    Ok(run)
}

fn json_run(path: &Path, lines: &[(usize, String)]) -> Result<ScoredRun> {
    let text: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
    let topics: BTreeMap<String, BTreeMap<String, f64>> = serde_json::from_str(&text.join("\n"))
        .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?;
    let topics = topics.into_iter();
    Ok(topics
        .map(|(topic, documents)| (topic, documents.into_iter().collect()))
        .collect())
}

/// Topic, document and score of a run's line. The document is what two fields before it and three
/// after it leave, so that an id with spaces is read as it was written; trec_eval has no such ids.
fn run_fields(line: &str) -> Option<(&str, &str, &str)> {
    let (topic, rest) = line.trim().split_once(char::is_whitespace)?;
    let (_, rest) = rest.trim_start().split_once(char::is_whitespace)?;
    let (rest, _tag) = last_field(rest)?;
    let (rest, score) = last_field(rest)?;
    let (document, _rank) = last_field(rest)?;
    Some((topic, document.trim_start(), score))
}

fn last_field(text: &str) -> Option<(&str, &str)> {
    let (rest, field) = text.rsplit_once(char::is_whitespace)?;
    let rest = rest.trim_end();
    (!rest.is_empty()).then_some((rest, field))
}

/// Writes one topic's ranking. Scores are written as 32-bit floats, which trec_eval reads, and made
/// strictly decreasing, so that its tie rule never reorders them.
///
/// # Errors
/// What the writer reports.
pub fn write_ranking(
    out: &mut impl Write,
    topic: &str,
    ranking: &[(String, f64)],
    tag: &str,
) -> std::io::Result<()> {
    let mut previous = f32::INFINITY;
    for (index, (document, score)) in ranking.iter().enumerate() {
        let score = (*score as f32).min(previous.next_down());
        writeln!(out, "{topic} Q0 {document} {} {score} {tag}", index + 1)?;
        previous = score;
    }
    Ok(())
}

/// Non-empty lines with their 1-based numbers.
fn lines(path: &Path) -> Result<Vec<(usize, String)>> {
    let unreadable = |error: std::io::Error| {
        Error::new(
            ErrorCode::InvalidRequest,
            format!("cannot read {}: {error}", path.display()),
        )
        .with_source(error)
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|end| end == "gz") {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut kept = Vec::new();
    for (index, line) in BufReader::new(reader).lines().enumerate() {
        let line = line.map_err(unreadable)?;
        if !line.trim().is_empty() {
            kept.push((index + 1, line));
        }
    }
    Ok(kept)
}

fn bad_line(path: &Path, number: usize, detail: &str) -> Error {
    Error::invalid(format!("{}:{number}: {detail}", path.display()))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_written_ranking_reads_back_in_order_even_with_ties() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.trec");
        let ranking: Vec<(String, f64)> = ["a", "z", "b"]
            .iter()
            .map(|id| ((*id).to_owned(), 0.5))
            .collect();
        let mut file = std::fs::File::create(&path).unwrap();
        write_ranking(&mut file, "t1", &ranking, "braid").unwrap();
        let run = read_run(&path).unwrap();
        assert_eq!(run["t1"], ["a", "z", "b"]);
        let scores: Vec<f32> = std::fs::read_to_string(&path)
            .unwrap()
            .lines()
            .map(|line| line.split(' ').nth(4).unwrap().parse().unwrap())
            .collect();
        assert!(
            scores.windows(2).all(|pair| pair[0] > pair[1]),
            "{scores:?}"
        );
    }

    #[test]
    fn a_gzipped_run_is_read_and_a_damaged_one_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.trec.gz");
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        write_ranking(&mut packed, "t1", &[("a".to_owned(), 0.5)], "braid").unwrap();
        let packed = packed.finish().unwrap();
        std::fs::write(&path, &packed).unwrap();
        assert_eq!(read_run(&path).unwrap()["t1"], ["a"]);
        std::fs::write(&path, &packed[..packed.len() - 9]).unwrap();
        let error = read_run(&path).unwrap_err().to_string();
        assert!(error.contains("cannot read"), "{error}");
    }

    #[test]
    fn lines_are_read_as_other_tools_write_them_and_bad_ones_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.trec");
        let run =
            "t1\tQ0\tb\t1\t0.5\tx\nt1  Q0   a  2   0.75  x\nt1 Q0 an id 9 0.1 x\nt1 Q0 c 3 0.5 x\n";
        std::fs::write(&path, run).unwrap();
        // By score, then by id, both falling.
        assert_eq!(read_run(&path).unwrap()["t1"], ["a", "c", "b", "an id"]);
        for (bad, why) in [
            ("t1 Q0 a 1 0.5\n", "6 fields"),
            ("t1 Q0 a 1 x tag\n", "number"),
            ("t1 Q0 a 1 NaN tag\n", "finite"),
            ("t1 Q0 a 1 -inf tag\n", "finite"),
        ] {
            std::fs::write(&path, format!("t1 Q0 b 1 0.5 x\n{bad}")).unwrap();
            let error = read_run(&path).unwrap_err().to_string();
            assert!(
                error.contains("run.trec:2:") && error.contains(why),
                "{error}"
            );
        }
    }

    #[test]
    fn qrels_of_both_layouts_are_read_and_bad_lines_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("qrels");
        std::fs::write(&path, "query-id\tcorpus-id\tscore\nq1\td 1\t2\n").unwrap();
        assert_eq!(read_qrels(&path).unwrap()["q1"]["d 1"], 2);
        std::fs::write(&path, "q1 0 d1 1\nq1 0 d2 0\n").unwrap();
        assert_eq!(read_qrels(&path).unwrap()["q1"].len(), 2);
        // Once more the same is no other judgement.
        std::fs::write(
            &path,
            "\nQuery\tIter\tDoc\tRelevance\nq\t0\td\t1\nq\t0\td\t1\n",
        )
        .unwrap();
        assert_eq!(read_qrels(&path).unwrap()["q"]["d"], 1);
        for (text, named) in [
            ("q1 0 d1 1\nq1 0 d2 x\n", "qrels:2:"),
            ("q1 0 d1 1.0\nq1 0 d2 1\n", "qrels:1:"),
            ("q1 0 d1 yes\nq1 0 d2 1\n", "qrels:1:"),
            ("q1 0 d1 1\nq1 0 d2 1\nq1 0 d1 2\n", "qrels:3:"),
            ("q1 0 d1 1\nquery iter doc relevance\n", "qrels:2:"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_qrels(&path).unwrap_err();
            assert!(error.to_string().contains(named), "{text}: {error}");
        }
    }
}
