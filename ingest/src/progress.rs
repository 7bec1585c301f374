//! Progress bars on standard error; hidden where it is not a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// One bar for reading, one for indexing: reading runs ahead.
#[derive(Debug)]
pub(crate) struct Bars {
    _both: MultiProgress,
    pub(crate) reading: ProgressBar,
    pub(crate) indexing: ProgressBar,
}

impl Bars {
    pub(crate) fn new(total_bytes: u64) -> Self {
        let both = MultiProgress::new();
        let reading = both.add(ProgressBar::new(total_bytes).with_style(style(
            "reading  {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} ETA {eta}",
        )));
        let indexing = both.add(ProgressBar::new(0).with_style(style(
            "indexing {wide_bar} {pos}/{len} documents {per_sec} ETA {eta}",
        )));
        indexing.enable_steady_tick(Duration::from_millis(200));
        Self {
            _both: both,
            reading,
            indexing,
        }
    }
}

impl Drop for Bars {
    /// Leaves a clean line for the report, or for the error that ended it.
    fn drop(&mut self) {
        self.reading.finish_and_clear();
        self.indexing.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
