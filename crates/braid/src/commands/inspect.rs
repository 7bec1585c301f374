//! `braid inspect`: what is stored, where it came from, and what finds it.

mod chunk;
mod collection;
mod document;

use braid_config::Settings;
use braid_core::Result;

use crate::args::InspectCommand;
use crate::output::{self, Exit};

pub(crate) async fn run(settings: &Settings, command: InspectCommand) -> Result<Exit> {
    match command {
        InspectCommand::Chunk { id, terms, within } => {
            chunk::run(settings, &id, terms, &within).await
        }
        InspectCommand::Document { id, within } => document::run(settings, id, &within).await,
        InspectCommand::Collection { name, server, json } => {
            collection::run(settings, name, (server, json)).await
        }
    }
}

/// Prints a label and what it is about, below a heading.
fn field(label: &str, value: impl AsRef<str>) {
    output::line(format!("  {label:<13} {}", value.as_ref()));
}

/// A time for people: Unix milliseconds as UTC to the second.
fn time(ms: i64) -> String {
    let whole_seconds = ms - ms.rem_euclid(1000);
    jiff::Timestamp::from_millisecond(whole_seconds)
        .map_or_else(|_| format!("{ms} ms"), |time| time.to_string())
}

/// A size for people, in the units of the settings.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit);
    match unit {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_for_people() {
        assert_eq!(time(1_700_000_000_123), "2023-11-14T22:13:20Z");
        assert_eq!(time(i64::MAX), format!("{} ms", i64::MAX));
        let sizes = [1023, 1536, 5 << 19, 16 << 30].map(size);
        assert_eq!(sizes, ["1023 B", "1.5 KiB", "2.5 MiB", "16.0 GiB"]);
    }
}
