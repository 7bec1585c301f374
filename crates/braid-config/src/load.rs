//! Layering: defaults < file < environment < flags.

use std::ops::Range;
use std::path::{Path, PathBuf};

use braid_core::{Error, FieldError, Result};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::keys::KEYS;
use crate::qdrant::StorageProfile;
use crate::settings::Settings;
use crate::value::Raw;

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "braid.toml";
/// What setting variables begin with. Variables with a single underscore after `BRAID` are not
/// settings and are left alone.
const PREFIX: &str = "BRAID__";

/// What comes above the defaults.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// A file that must exist; where `None`, `./braid.toml` is read if it exists.
    pub file: Option<PathBuf>,
    /// Environment variables, all of them; those that begin with `BRAID__` are settings.
    pub environment: Vec<(String, String)>,
    /// Flags: how each was given, the key's path, and the value.
    pub flags: Vec<(String, String, String)>,
}

/// Settings from all layers.
///
/// # Errors
/// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) with every unknown key and bad value,
/// each with where it is: `file:line`, the variable, or the flag.
pub fn load(overrides: &Overrides) -> Result<Settings> {
    let mut layers = Layers {
        settings: Settings::default(),
        problems: Vec::new(),
    };
    match &overrides.file {
        Some(file) => layers.file(file),
        None if Path::new(DEFAULT_FILE).is_file() => layers.file(Path::new(DEFAULT_FILE)),
        None => {}
    }
    for (variable, value) in &overrides.environment {
        if let Some(name) = variable.strip_prefix(PREFIX) {
            let path = name.to_ascii_lowercase().replace("__", ".");
            layers.set(variable, &path, &Raw::Text(value.clone()));
        }
    }
    for (flag, path, value) in &overrides.flags {
        layers.set(flag, path, &Raw::Text(value.clone()));
    }
    layers.finish()
}

/// `settings` with these keys set, for trying values beside those in force.
///
/// # Errors
/// As [`load`]; each problem's place is the key.
pub fn with(settings: &Settings, pairs: &[(String, String)]) -> Result<Settings> {
    let mut layers = Layers {
        settings: settings.clone(),
        problems: Vec::new(),
    };
    for (path, value) in pairs {
        layers.set(path, path, &Raw::Text(value.clone()));
    }
    layers.finish()
}

struct Layers {
    settings: Settings,
    problems: Vec<FieldError>,
}

impl Layers {
    fn problem(&mut self, place: impl Into<String>, detail: impl Into<String>) {
        self.problems.push(FieldError::new(place, detail));
    }

    fn set(&mut self, place: &str, path: &str, raw: &Raw) {
        let Some(key) = KEYS.iter().find(|key| key.path == path) else {
            return self.problem(place, unknown(path));
        };
        if let Err(detail) = (key.set)(&mut self.settings, raw) {
            self.problem(place, format!("{path}: {detail}"));
        }
    }

    fn file(&mut self, file: &Path) {
        let name = file.display().to_string();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => return self.problem(name, format!("cannot be read: {error}")),
        };
        let place = |span: Range<usize>| format!("{name}:{}", line_of(&text, span.start));
        let table = match DeTable::parse(&text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let at = error.span().map_or_else(|| name.clone(), place);
                return self.problem(at, not_toml(error.message()));
            }
        };
        for (section, value) in in_order(&table) {
            let DeValue::Table(entries) = value.get_ref() else {
                let at = place(section.span());
                self.problem(at, outside(section.get_ref()));
                continue;
            };
            for (entry, value) in in_order(entries) {
                let path = format!("{}.{}", section.get_ref(), entry.get_ref());
                self.set(&place(entry.span()), &path, &raw(value.get_ref()));
            }
        }
    }

    fn finish(mut self) -> Result<Settings> {
        let chunking = &self.settings.chunking;
        if chunking.overlap_tokens >= chunking.target_tokens {
            self.problem(
                "chunking.overlap_tokens",
                "must be less than chunking.target_tokens",
            );
        }
        let qdrant = &self.settings.qdrant;
        if qdrant.write_consistency > qdrant.replication {
            self.problem(
                "qdrant.write_consistency",
                "must be at most qdrant.replication",
            );
        }
        let qdrant = &self.settings.qdrant;
        if qdrant.api_key_env.is_some() && qdrant.api_key_file.is_some() {
            self.problem(
                "qdrant.api_key_file",
                "is set beside qdrant.api_key_env: one of them must do",
            );
        }
        let worker = &self.settings.worker;
        let request_ms = self.settings.server.request_timeout_ms;
        let is_used = self.settings.storage.profile == StorageProfile::Cluster;
        if is_used && worker.grace_seconds.saturating_mul(1000) <= request_ms {
            self.problem(
                "worker.grace_seconds",
                "must be longer than server.request_timeout_ms",
            );
        }
        if is_used && self.settings.cache.semantic {
            self.problem(
                "cache.semantic",
                "must be false with storage.profile = cluster: every server would have answers of its own",
            );
        }
        if self.problems.is_empty() {
            return Ok(self.settings);
        }
        let lines: Vec<String> = self
            .problems
            .iter()
            .map(|at| format!("{}: {}", at.pointer, at.detail))
            .collect();
        Err(
            Error::invalid(format!("bad configuration: {}", lines.join("; ")))
                .with_fields(self.problems),
        )
    }
}

type Entry<'a, 'b> = (&'a Spanned<DeString<'b>>, &'a Spanned<DeValue<'b>>);

/// Entries in the order of the file, so that problems are listed from top to bottom.
fn in_order<'a, 'b>(table: &'a DeTable<'b>) -> Vec<Entry<'a, 'b>> {
    let mut entries: Vec<Entry<'a, 'b>> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            i64::from_str_radix(&digits, number.radix())
                .map_or(Raw::Other("a number out of range"), Raw::Integer)
        }
        DeValue::Float(number) => number
            .as_str()
            .replace('_', "")
            .parse()
            .map_or(Raw::Other("a bad number"), Raw::Float),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Array(_) => Raw::Other("an array"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// Every section, in the order of the documentation.
fn sections() -> Vec<&'static str> {
    let named = KEYS.iter().filter_map(|key| key.path.split_once('.'));
    let mut sections: Vec<_> = named.map(|(section, _)| section).collect();
    sections.dedup();
    sections
}

/// What to say of a file that is no TOML. Its reader's words may take several lines.
fn not_toml(said: &str) -> String {
    let said: Vec<&str> = said.split_whitespace().collect();
    let said = said.join(" ");
    format!("not TOML: {said}; use lines of KEY = VALUE below their [SECTION], texts in quotes")
}

/// What to say of a key that stands in no section.
fn outside(key: &str) -> String {
    let known = sections();
    if known.contains(&key) {
        return format!("{key} is a section: write [{key}] and its keys below it");
    }
    let known = known.join(", ");
    format!("unknown key {key:?}: a key stands below its section, one of {known}")
}

/// What to say of a key nobody knows: the nearest known one, if one is near, or else those that
/// there are.
fn unknown(path: &str) -> String {
    let nearest = KEYS
        .iter()
        .map(|key| (distance(path, key.path), key.path))
        .min();
    match nearest {
        Some((edits, known)) if edits <= 3 => {
            format!("unknown key {path:?}; did you mean {known}?")
        }
        _ => {
            let section = path.split_once('.').map_or(path, |(section, _)| section);
            let within = KEYS.iter().filter_map(|key| key.path.split_once('.'));
            let names = within.filter(|(known, _)| *known == section);
            let names: Vec<&str> = names.map(|(_, name)| name).collect();
            if names.is_empty() {
                let known = sections().join(", ");
                return format!(
                    "unknown key {path:?}: there is no section {section}, use one of {known}"
                );
            }
            format!("unknown key {path:?}: {section} has {}", names.join(", "))
        }
    }
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
