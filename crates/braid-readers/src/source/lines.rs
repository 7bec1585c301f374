//! Lines of bounded length.

use std::io::{self, BufRead};

/// One line of a file, without its line end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The line's bytes.
    Bytes(Vec<u8>),
    /// It was longer than the limit and is not kept.
    TooLong,
}

/// Reads lines and never holds more than `limit` bytes of one.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    limit: usize,
    /// 1-based number of the line last read.
    pub(super) number: u64,
    /// Bytes of the line last read, its end included.
    pub(super) bytes: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader,
            limit,
            number: 0,
            bytes: 0,
        }
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        self.bytes = 0;
        self.number += 1;
        let mut line = Vec::new();
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok((self.bytes > 0).then(|| self.finish(line)));
            }
            let newline = buffer.iter().position(|byte| *byte == b'\n');
            let taken = newline.map_or(buffer.len(), |at| at + 1);
            let room = (self.limit + 1).saturating_sub(line.len());
            line.extend_from_slice(&buffer[..newline.unwrap_or(taken).min(room)]);
            self.reader.consume(taken);
            self.bytes += taken as u64;
            if newline.is_some() {
                return Ok(Some(self.finish(line)));
            }
        }
    }

    fn finish(&self, mut line: Vec<u8>) -> Line {
        if line.len() > self.limit {
            return Line::TooLong;
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Line::Bytes(line)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn lines_are_bounded_and_counted() {
        let text = b"one\r\n\n123456\n1234567\nlast";
        for capacity in [1, 3, 64] {
            let mut lines = Lines::new(BufReader::with_capacity(capacity, &text[..]), 6);
            let mut found = Vec::new();
            while let Some(line) = lines.next().unwrap() {
                found.push((lines.number, lines.bytes, line));
            }
            let bytes = |text: &str| Line::Bytes(text.as_bytes().to_vec());
            assert_eq!(
                found,
                [
                    (1, 5, bytes("one")),
                    (2, 1, bytes("")),
                    (3, 7, bytes("123456")),
                    (4, 8, Line::TooLong),
                    (5, 4, bytes("last")),
                ]
            );
        }
    }
}
