//! Progress bars, for people only.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

pub(crate) fn bar_of_topics(topics: u64) -> ProgressBar {
    bar(
        "ranking {wide_bar} {pos}/{len} topics {per_sec} ETA {eta}",
        Some(topics),
    )
}

pub(crate) fn bar_of_pairs(pairs: u64) -> ProgressBar {
    bar(
        "comparing {wide_bar} {pos}/{len} pairs {per_sec} ETA {eta}",
        Some(pairs),
    )
}

pub(crate) fn spinner(template: &str) -> ProgressBar {
    bar(template, None)
}

fn bar(template: &str, length: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template);
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
