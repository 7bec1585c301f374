//! JSONL and BEIR corpora: one JSON object per line.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use super::fields::{FieldNames, Record};
use super::lines::{Line, Lines};
use super::seen::Position;
use super::unread::Work;
use super::{MAX_RECORD_BYTES, SourceFailure, SourceOptions};

/// The records of one file.
#[derive(Debug)]
pub(super) struct Records {
    name: String,
    lines: Lines<BufReader<File>>,
    fields: Arc<FieldNames>,
    is_over: bool,
}

impl Records {
    pub(super) fn open(file: &Path, options: &SourceOptions) -> io::Result<Self> {
        Ok(Self {
            name: file.display().to_string(),
            lines: Lines::new(
                BufReader::with_capacity(1 << 16, File::open(file)?),
                MAX_RECORD_BYTES,
            ),
            fields: Arc::new(FieldNames::new(options)),
            is_over: false,
        })
    }

    /// The next record and its line; empty lines are passed over.
    pub(super) fn next(&mut self) -> Option<(Work, Position)> {
        while !self.is_over {
            let read = self.lines.next();
            let work = match read {
                Ok(None) => {
                    self.is_over = true;
                    continue;
                }
                Ok(Some(Line::Bytes(bytes))) if bytes.trim_ascii().is_empty() => continue,
                Ok(Some(Line::Bytes(bytes))) => self.record(bytes),
                Ok(Some(Line::TooLong)) => {
                    self.failure(format!("line has more than {MAX_RECORD_BYTES} bytes"))
                }
                Err(error) => {
                    self.is_over = true;
                    self.failure(format!("cannot read on: {error}"))
                }
            };
            return Some((work, Position::Line(self.lines.number)));
        }
        None
    }

    fn record(&self, mut line: Vec<u8>) -> Work {
        if self.lines.number == 1 && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        Work::Record(Record {
            fields: Arc::clone(&self.fields),
            name: self.place(),
            json: line,
            bytes: self.lines.bytes,
        })
    }

    fn place(&self) -> String {
        format!("{}:{}", self.name, self.lines.number)
    }

    fn failure(&self, reason: String) -> Work {
        Work::Done(Err(SourceFailure {
            name: self.place(),
            id: None,
            reason,
            bytes: self.lines.bytes,
        }))
    }
}
