//! The rows of a CSV or TSV file, one at a time and bounded.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use csv::ByteRecord;

use super::format::has_extension;

/// Longest row, in bytes: a quote that is never closed must not take a whole file into memory.
pub(super) const MAX_ROW_BYTES: u64 = 8 * 1024 * 1024;
/// Most columns: each row keeps a place for every one.
const MAX_COLUMNS: usize = 1000;
/// Bytes of the head in which the delimiter is looked for.
const HEAD_BYTES: usize = 64 * 1024;
/// Delimiters, in the order in which ties are decided.
const DELIMITERS: [u8; 4] = *b",\t;|";

/// A row that is not empty, with a field for each column.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) fields: Vec<String>,
    /// Counted from 1, the header apart, empty ones included.
    pub(super) number: u64,
    /// The line it begins at.
    pub(super) line: u64,
    pub(super) bytes: u64,
}

/// A row that cannot be taken.
#[derive(Debug)]
pub(super) struct BadRow {
    pub(super) line: u64,
    pub(super) bytes: u64,
    pub(super) reason: String,
    /// The fields as far as they are text, to tell the row by.
    pub(super) fields: Vec<Option<String>>,
}

/// The rows of one file.
#[derive(Debug)]
pub(super) struct Rows {
    reader: csv::Reader<Bounded<BufReader<File>>>,
    names: Vec<String>,
    /// Whether the end of a row's line is read with it: with `\n` it is, of `\r\n` the half.
    ends_line: bool,
    read: u64,
    /// Bytes up to the end of the last row.
    at: u64,
    is_over: bool,
}

impl Rows {
    /// Opens a file whose first row names the columns.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub(super) fn open(file: &Path) -> Result<Self, String> {
        let unreadable = |error: io::Error| format!("cannot be read: {error}");
        let mut input = BufReader::with_capacity(HEAD_BYTES, File::open(file).map_err(unreadable)?);
        let head = input.fill_buf().map_err(unreadable)?;
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return Err("is UTF-16: save it as UTF-8".to_owned());
        }
        let mark = 3 * usize::from(head.starts_with(b"\xef\xbb\xbf"));
        let delimiter = match is_tsv(file) {
            true => b'\t',
            false => delimiter(&head[mark..]),
        };
        input.consume(mark);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(Bounded::new(input));
        let names = header(&mut reader)?;
        let lines: usize = names.iter().map(|name| name.matches('\n').count()).sum();
        Ok(Self {
            ends_line: reader.position().line() > 1 + lines as u64,
            names: names.iter().map(|name| tidy(name)).collect(),
            reader,
            read: 0,
            at: 0,
            is_over: false,
        })
    }

    /// The columns' names; one may be empty.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The next row that is not empty.
    pub(super) fn next(&mut self) -> Option<Result<Row, BadRow>> {
        let mut record = ByteRecord::new();
        while !self.is_over {
            let before = self.reader.position().line();
            self.reader.get_mut().left = MAX_ROW_BYTES;
            let read = self.reader.read_byte_record(&mut record);
            let bytes = self.reader.position().byte() - self.at;
            self.at += bytes;
            match read {
                Ok(true) => self.read += 1,
                Ok(false) => self.is_over = true,
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(BadRow {
                        line: before,
                        bytes,
                        reason: format!("cannot read on: {error}"),
                        fields: Vec::new(),
                    }));
                }
            }
            let is_empty = record.iter().all(|field| field.trim_ascii().is_empty());
            if !self.is_over && !is_empty {
                let line = self.first_line(&record, before);
                return Some(self.decode(&record, line, bytes));
            }
        }
        None
    }

    /// The line at which the record begins that was just read. The reader counts from where the
    /// last one ended, with empty lines in between.
    fn first_line(&self, record: &ByteRecord, before: u64) -> u64 {
        let within: usize = record
            .iter()
            .map(|field| field.iter().filter(|byte| **byte == b'\n').count())
            .sum();
        let after = self.reader.position().line() - u64::from(self.ends_line);
        after.saturating_sub(within as u64).max(before)
    }

    fn decode(&self, record: &ByteRecord, line: u64, bytes: u64) -> Result<Row, BadRow> {
        let decoded = record.iter().map(|field| {
            str::from_utf8(field)
                .ok()
                .map(|text| text.trim().to_owned())
        });
        let fields: Vec<Option<String>> = decoded.take(self.names.len()).collect();
        let reason = match fields.iter().position(Option::is_none) {
            _ if record.len() > self.names.len() => Some(format!(
                "has {} fields, the header names {}",
                record.len(),
                self.names.len()
            )),
            Some(at) => Some(format!("column {:?} is not valid UTF-8", self.names[at])),
            None => None,
        };
        if let Some(reason) = reason {
            return Err(BadRow {
                line,
                bytes,
                reason,
                fields,
            });
        }
        let mut fields: Vec<String> = fields.into_iter().flatten().collect();
        fields.resize(self.names.len(), String::new());
        Ok(Row {
            fields,
            number: self.read,
            line,
            bytes,
        })
    }
}

fn header<R: Read>(reader: &mut csv::Reader<Bounded<R>>) -> Result<Vec<String>, String> {
    let record = reader
        .byte_headers()
        .map_err(|error| format!("cannot be read: {error}"))?;
    if record.iter().all(<[u8]>::is_empty) {
        return Err("has no header: its first row must name the columns".to_owned());
    }
    if record.len() > MAX_COLUMNS {
        let found = record.len();
        return Err(format!("has {found} columns, the limit is {MAX_COLUMNS}"));
    }
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for field in record {
        let name = str::from_utf8(field).map_err(|_| "the header is not valid UTF-8".to_owned())?;
        let tidied = tidy(name);
        if !tidied.is_empty() && !seen.insert(tidied.clone()) {
            return Err(format!("names column {tidied:?} twice"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// A column's name on one line.
fn tidy(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<&str> = name.split_whitespace().collect();
    words.join(" ")
}

/// The delimiter that the first line has most of, outside quotes; a comma where it has none.
fn delimiter(head: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut quoted = false;
    for byte in head {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => break,
            _ if quoted => {}
            _ => {
                if let Some(at) = DELIMITERS.iter().position(|delimiter| delimiter == byte) {
                    counts[at] += 1;
                }
            }
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let at = counts.iter().position(|count| *count == most).unwrap_or(0);
    DELIMITERS[at]
}

/// Whether a file is a table by its name.
pub(super) fn is_table(path: &Path) -> bool {
    is_tsv(path) || has_extension(path, &["csv"])
}

fn is_tsv(path: &Path) -> bool {
    has_extension(path, &["tsv", "tab"])
}

/// Refuses to read on once a row has taken more than its share.
#[derive(Debug)]
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R> Bounded<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            left: MAX_ROW_BYTES,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(format!(
                "a row has more than {MAX_ROW_BYTES} bytes; is a quote not closed?"
            )));
        }
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_tells_the_delimiter() {
        for (head, expected) in [
            ("a,b\n1;2;3;4", b','),
            ("a;b;c,d\n", b';'),
            ("a\tb", b'\t'),
            ("\"x;y;z\",b", b','),
            ("a|b|c", b'|'),
            ("alone\n1,2", b','),
            ("", b','),
        ] {
            assert_eq!(delimiter(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_is_refused_before_it_fills_the_memory() {
        let endless = io::repeat(b'x').take(10 * MAX_ROW_BYTES);
        let rows = io::Cursor::new(b"a,b\n1,\"".to_vec()).chain(endless);
        let mut reader = csv::ReaderBuilder::new().from_reader(Bounded::new(rows));
        let error = reader.byte_records().next().unwrap().unwrap_err();
        assert!(error.to_string().contains("quote"), "{error}");
    }

    #[test]
    fn rows_know_the_line_they_begin_at() {
        for end in ["\n", "\r\n"] {
            let lines = ["a,\"b", "c\"", "1,2", "", "", "\"3", "4\",5", "6,7"];
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("t.csv");
            for last in [end, ""] {
                std::fs::write(&file, lines.join(end) + last).unwrap();
                let mut rows = Rows::open(&file).unwrap();
                assert_eq!(rows.names(), ["a", "b c"]);
                let mut found = Vec::new();
                while let Some(row) = rows.next() {
                    found.push(row.unwrap().line);
                }
                assert_eq!(found, [3, 6, 8], "{end:?} {last:?}");
            }
        }
    }

    #[test]
    fn columns_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.csv");
        std::fs::write(&file, ",".repeat(MAX_COLUMNS) + "a\n").unwrap();
        let reason = Rows::open(&file).unwrap_err();
        assert!(reason.contains("columns, the limit is"), "{reason}");
        std::fs::write(&file, b"\xff\xfea\0").unwrap();
        assert!(Rows::open(&file).unwrap_err().contains("UTF-16"));
    }
}
