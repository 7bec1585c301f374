//! Kept inputs, read again: each in a process of its own, as a new one would be.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::run::{MOST_CPU, Outcome, Overdue};
use crate::target::Target;

/// An input that was kept, and what reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What reads it.
    pub target: Target,
    /// Where it is.
    pub file: PathBuf,
}

/// The inputs that `path` names: a file, or every kept one in a folder and the folders in it. The
/// target is `target`, or the one that the nearest folder is called after, as in `target/fuzz`.
///
/// # Errors
/// What cannot be read, or has no target.
pub fn kept(path: &Path, target: Option<Target>) -> Result<Vec<Kept>, String> {
    let unreadable = |error: io::Error| format!("{}: {error}", path.display());
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        let file = path.to_owned();
        let named = || path.ancestors().skip(1).find_map(called);
        let target = target.or_else(named).ok_or_else(|| {
            let file = file.display();
            format!("{file}: no folder above it is called as a target: use --target NAME")
        })?;
        return Ok(vec![Kept { target, file }]);
    }
    let entries = fs::read_dir(path).map_err(unreadable)?;
    let entries = entries
        .collect::<io::Result<Vec<_>>>()
        .map_err(unreadable)?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    let is_input = |path: &PathBuf| path.is_dir() || !is_scratch(path);
    let found = paths.iter().filter(|path| is_input(path));
    let found = found.map(|path| kept(path, target));
    Ok(found.collect::<Result<Vec<_>, _>>()?.concat())
}

/// The target that a folder is called after.
fn called(folder: &Path) -> Option<Target> {
    Target::named(folder.file_name()?.to_str()?)
}

/// What a run writes before it reads it, whatever becomes of it.
fn is_scratch(path: &Path) -> bool {
    path.file_stem().is_some_and(|name| name == "input")
}

/// What became of a kept input.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// `read`, `refused`, `panic`, `slow`, `stuck`, or `died`.
    pub outcome: &'static str,
    /// Chunks, where it was read.
    pub chunks: Option<u64>,
    /// Why not, otherwise.
    pub reason: Option<String>,
    /// Panics of libraries that the target contained.
    pub contained: u64,
    /// CPU time, in seconds; unknown where the process ended.
    pub seconds: Option<f64>,
    /// Most memory that the process had resident, in bytes.
    pub peak_bytes: Option<u64>,
}

impl Replayed {
    /// Of an input that was read to its end.
    pub fn of(outcome: &Outcome, peak_bytes: Option<u64>) -> Self {
        let mut replayed = Self {
            outcome: "panic",
            chunks: None,
            reason: None,
            contained: outcome.contained,
            seconds: Some(outcome.cpu.as_secs_f64()),
            peak_bytes,
        };
        match &outcome.read {
            Some(Ok(chunks)) => {
                replayed.outcome = "read";
                replayed.chunks = Some(*chunks as u64);
            }
            Some(Err(reason)) => {
                replayed.outcome = "refused";
                replayed.reason = Some(reason.clone());
            }
            None => {}
        }
        if outcome.cpu > MOST_CPU {
            replayed.outcome = "slow";
        }
        replayed
    }

    /// Of an input that ended the process.
    pub fn ended(overdue: Option<Overdue>, how: String) -> Self {
        Self {
            outcome: match overdue {
                Some(Overdue::Slow) => "slow",
                Some(Overdue::Stuck) => "stuck",
                None => "died",
            },
            chunks: None,
            reason: Some(how),
            contained: 0,
            seconds: None,
            peak_bytes: None,
        }
    }

    /// Whether there is nothing to mend.
    pub fn is_sound(&self) -> bool {
        matches!(self.outcome, "read" | "refused")
    }

    /// As a JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "outcome": self.outcome,
            "chunks": self.chunks,
            "reason": self.reason,
            "contained_panics": self.contained,
            "cpu_seconds": self.seconds,
            "peak_bytes": self.peak_bytes,
        })
    }

    /// What [`Self::to_json`] gives.
    pub fn from_json(value: &Value) -> Option<Self> {
        let outcomes = ["read", "refused", "panic", "slow"];
        let named = value["outcome"].as_str()?;
        Some(Self {
            outcome: outcomes.into_iter().find(|known| *known == named)?,
            chunks: value["chunks"].as_u64(),
            reason: value["reason"].as_str().map(str::to_owned),
            contained: value["contained_panics"].as_u64()?,
            seconds: value["cpu_seconds"].as_f64(),
            peak_bytes: value["peak_bytes"].as_u64(),
        })
    }

    /// For people, on one line.
    pub fn line(&self) -> String {
        let seconds = self
            .seconds
            .map_or_else(String::new, |seconds| format!(" in {seconds:.2} s"));
        let memory = self.peak_bytes.map_or_else(String::new, |bytes| {
            format!(", {} MiB at most", bytes.div_ceil(1024 * 1024))
        });
        let contained = match self.contained {
            0 => String::new(),
            count => format!(", {count} panics contained"),
        };
        let what = match (&self.chunks, &self.reason) {
            (Some(chunks), _) => format!(": {chunks} chunks"),
            (None, Some(reason)) => format!(": {reason}"),
            (None, None) => String::new(),
        };
        format!("{:7}{seconds}{memory}{contained}{what}", self.outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_folder_says_the_target_and_scratch_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("fuzz/csv");
        fs::create_dir_all(&csv).unwrap();
        for name in ["input", "input.csv", "slow-1", "panic-csv-1-2"] {
            fs::write(csv.join(name), name).unwrap();
        }
        let names = |found: Vec<Kept>| -> Vec<String> {
            let name = |kept: &Kept| {
                let file = kept.file.file_name().unwrap().to_string_lossy();
                format!("{} {file}", kept.target.name())
            };
            found.iter().map(name).collect()
        };
        let all = kept(folder.path(), None).unwrap();
        assert_eq!(names(all), ["csv panic-csv-1-2", "csv slow-1"]);
        let json = Target::named("json");
        let one = kept(&csv.join("slow-1"), json).unwrap();
        assert_eq!(names(one), ["json slow-1"]);
        let stray = folder.path().join("stray");
        fs::write(&stray, "x").unwrap();
        assert!(kept(&stray, None).unwrap_err().contains("--target"));
        assert!(kept(&folder.path().join("absent"), None).is_err());
    }

    #[test]
    fn what_became_of_an_input_survives_the_way_between_processes() {
        let outcome = |read, seconds| Outcome {
            read,
            contained: 2,
            cpu: Duration::from_secs(seconds),
        };
        let cases = [
            (outcome(Some(Ok(7)), 1), "read", true),
            (outcome(Some(Err("why".to_owned())), 1), "refused", true),
            (outcome(Some(Ok(7)), 11), "slow", false),
            (outcome(None, 1), "panic", false),
        ];
        for (outcome, name, is_sound) in cases {
            let replayed = Replayed::of(&outcome, Some(1 << 20));
            assert_eq!((replayed.outcome, replayed.is_sound()), (name, is_sound));
            assert_eq!(Replayed::from_json(&replayed.to_json()), Some(replayed));
        }
        let read = Replayed::of(&outcome(Some(Ok(7)), 1), Some(1 << 20));
        assert_eq!(
            read.line(),
            "read    in 1.00 s, 1 MiB at most, 2 panics contained: 7 chunks"
        );
    }
}
