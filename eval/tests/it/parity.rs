//! Metrics agree with trec_eval, through `ir_measures`, on run files that our writer wrote.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use braid_eval::compare::per_topic;
use braid_eval::metrics::Metric;
use braid_eval::trec::{Qrels, Run, read_qrels, read_run, write_ranking};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Pinned: trec_eval's own code is in the second.
const PACKAGES: [&str; 2] = ["ir_measures==0.4.3", "pytrec_eval-terrier==0.5.11"];

/// What is compared: every measure, with and without a cut, by grade and by a higher bar.
const METRICS: [&str; 19] = [
    "nDCG@10",
    "nDCG@3",
    "nDCG",
    "R@10",
    "R@50",
    "R@100",
    "R(rel=2)@20",
    "P@5",
    "P@100",
    "P(rel=2)@10",
    "RR@10",
    "RR",
    "RR(rel=3)",
    "AP",
    "AP@20",
    "AP(rel=2)",
    "Success@1",
    "Success@10",
    "Success(rel=3)@5",
];

/// Prints `measure topic value` lines and `measure all value` ones; the names are `ir_measures`' own.
const SCRIPT: &str = r#"
import sys
import ir_measures
measures = [ir_measures.parse_measure(name) for name in sys.argv[3:]]
qrels = list(ir_measures.read_trec_qrels(sys.argv[1]))
run = list(ir_measures.read_trec_run(sys.argv[2]))
for found in ir_measures.iter_calc(measures, qrels, run):
    print(found.measure, found.query_id, repr(float(found.value)))
for measure, value in ir_measures.calc_aggregate(measures, qrels, run).items():
    print(measure, "all", repr(float(value)))
"#;

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn every_metric_agrees_with_trec_eval() {
    let python = match environment() {
        Ok(python) => python,
        Err(reason) => {
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!is_ci, "ir_measures is needed here: {reason}");
            eprintln!("skipped: ir_measures could not be installed: {reason}");
            return;
        }
    };
    for seed in 0..4 {
        check(&python, seed);
    }
}

#[track_caller]
fn check(python: &Path, seed: u64) {
    let directory = tempfile::tempdir().unwrap();
    let (qrels_path, run_path) = (directory.path().join("qrels"), directory.path().join("run"));
    let intended = write_random(&qrels_path, &run_path, seed);
    let qrels = read_qrels(&qrels_path).unwrap();
    assert_eq!(read_run(&run_path).unwrap(), intended, "order is kept");
    let output = run(Command::new(python)
        .args(["-c", SCRIPT])
        .arg(&qrels_path)
        .arg(&run_path)
        .args(METRICS));
    let theirs = parse(&String::from_utf8(output.unwrap().stdout).unwrap());
    let reported = Metric::REPORTED.map(Metric::name);
    assert!(reported.iter().all(|name| METRICS.contains(&name.as_str())));
    for name in METRICS.map(str::to_owned) {
        let metric: Metric = name.parse().unwrap();
        assert_eq!(metric.name(), name);
        let ours = per_topic(metric, &intended, &qrels);
        let mut compared = 0;
        for (topic, ours) in qrels.keys().zip(&ours) {
            // A topic without results is not listed; it counts as 0 in the mean.
            let theirs = theirs.get(&(name.clone(), topic.clone())).copied();
            compared += usize::from(theirs.is_some());
            let theirs = theirs.unwrap_or(0.0);
            assert!(
                (ours - theirs).abs() < 1e-6,
                "{name} {topic}: {ours} {theirs}"
            );
        }
        assert!(compared > 40, "{name}: only {compared} topics");
        let mean = ours.iter().sum::<f64>() / ours.len() as f64;
        let theirs = theirs[&(name.clone(), "all".to_owned())];
        assert!((mean - theirs).abs() < 1e-6, "{name}: {mean} {theirs}");
        assert!(mean > 0.01 && mean < 0.99, "{name}: {mean} says nothing");
    }
}

fn parse(text: &str) -> BTreeMap<(String, String), f64> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let key = (fields[0].to_owned(), fields[1].to_owned());
        (key, fields[2].parse().unwrap())
    };
    text.lines().map(line).collect()
}

/// Graded judgements, some topics with nothing relevant, some without results, some not judged;
/// scores with ties, with differences below the precision of a run file, and below zero.
fn write_random(qrels_path: &Path, run_path: &Path, seed: u64) -> Run {
    let mut random = StdRng::seed_from_u64(seed);
    let mut qrels = Qrels::new();
    let mut run = Run::new();
    let mut out = BufWriter::new(std::fs::File::create(run_path).unwrap());
    for topic in 0..60 {
        let name = format!("t{topic}");
        if topic < 55 {
            let best = if topic % 11 == 0 { 1 } else { 4 };
            let count = random.random_range(1..40);
            let judged = (0..count)
                .map(|_| (document(&mut random), random.random_range(0..best)))
                .collect();
            qrels.insert(name.clone(), judged);
        }
        if topic % 13 == 1 {
            continue;
        }
        let ranking = ranking(&mut random);
        write_ranking(&mut out, &name, &ranking, "parity").unwrap();
        run.insert(name, ranking.into_iter().map(|(id, _)| id).collect());
    }
    let lines = qrels.iter().flat_map(|(topic, judged)| {
        judged
            .iter()
            .map(move |(id, grade)| format!("{topic} 0 {id} {grade}\n"))
    });
    std::fs::write(qrels_path, lines.collect::<String>()).unwrap();
    run
}

fn document(random: &mut StdRng) -> String {
    format!("d{}", random.random_range(0..150))
}

/// Up to 130 distinct documents by falling score.
fn ranking(random: &mut StdRng) -> Vec<(String, f64)> {
    let mut seen = std::collections::HashSet::new();
    let length = random.random_range(1..130);
    let mut score = random.random_range(-1.0..1.0);
    let mut ranking = Vec::new();
    while ranking.len() < length {
        let id = document(random);
        if seen.insert(id.clone()) {
            ranking.push((id, score));
            score -= [0.0, 1e-12, 1e-3][random.random_range(0..3)];
        }
    }
    ranking
}

/// The interpreter of a virtual environment with `ir_measures`, made once beside the build output.
fn environment() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("it is in target/");
    let home = target.join("ir-measures-venv");
    let python = home.join("bin/python");
    let done = home.join("installed");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&home))?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary=:all:",
    ]);
    run(pip.args(PACKAGES))?;
    std::fs::write(&done, wanted).map_err(|error| error.to_string())?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<Output, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}", said.trim()))
}
