//! The elements of a JSON array, one in memory at a time: cut apart at the commas between them, and
//! not looked into any further, so that a bad one does not spoil the next.

use std::io::{self, BufRead, Read as _};

/// One element as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// Its bytes, which may or may not be JSON.
    Bytes(Vec<u8>),
    /// Why there is none.
    Bad(String),
}

/// Reads elements and never holds more than `limit` bytes of one.
#[derive(Debug)]
pub(super) struct Elements<R> {
    reader: R,
    limit: usize,
    /// An object instead of an array is one element.
    pub(super) is_array: bool,
    /// Elements read.
    count: u64,
    /// Bytes of the element last read, the comma after it included.
    pub(super) bytes: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first element.
    First,
    /// After a comma: there must be another element.
    Due,
    /// After the closing bracket.
    Closed,
    Over,
}

/// What ends an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Comma,
    Bracket,
    File,
}

impl<R: BufRead> Elements<R> {
    /// Begins at the first bracket or brace.
    ///
    /// # Errors
    /// When there is neither, or the file cannot be read.
    pub(super) fn open(mut reader: R, limit: usize) -> Result<Self, String> {
        let head = reader.fill_buf().map_err(|error| unreadable(&error))?;
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return Err("is UTF-16: save it as UTF-8".to_owned());
        }
        let mark = 3 * usize::from(head.starts_with(b"\xef\xbb\xbf"));
        reader.consume(mark);
        let (first, space) = pass_space(&mut reader).map_err(|error| unreadable(&error))?;
        let is_array = match first {
            Some(b'[') => true,
            Some(b'{') => false,
            Some(_) => return Err("is not JSON: it must begin with [ or {".to_owned()),
            None => return Err("empty".to_owned()),
        };
        reader.consume(usize::from(is_array));
        Ok(Self {
            reader,
            limit,
            is_array,
            count: 0,
            bytes: mark as u64 + space + u64::from(is_array),
            state: State::First,
        })
    }

    /// The next element; `None` at the end.
    pub(super) fn next(&mut self) -> Option<Element> {
        let found = match self.state {
            State::Over => return None,
            State::Closed => self.after_array(),
            State::First if !self.is_array => self.whole().map(Some),
            State::First | State::Due => self.cut(),
        };
        found.unwrap_or_else(|error| {
            self.state = State::Over;
            Some(Element::Bad(unreadable(&error)))
        })
    }

    /// 0-based index of the element last read.
    pub(super) fn index(&self) -> u64 {
        self.count.saturating_sub(1)
    }

    fn whole(&mut self) -> io::Result<Element> {
        self.state = State::Over;
        let mut bytes = Vec::new();
        let most = self.limit as u64 + 1;
        self.reader.by_ref().take(most).read_to_end(&mut bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(self.bounded(bytes))
    }

    fn cut(&mut self) -> io::Result<Option<Element>> {
        if self.count > 0 {
            // What comes before the first element is counted with it.
            self.bytes = 0;
        }
        let state = self.state;
        let (bytes, end) = self.up_to_end()?;
        let is_empty = bytes.trim_ascii().is_empty();
        self.state = match end {
            End::Comma => State::Due,
            End::Bracket => State::Closed,
            End::File => State::Over,
        };
        if end == End::Bracket && is_empty && state == State::First {
            return self.after_array();
        }
        self.count += 1;
        Ok(Some(match end {
            End::File => Element::Bad("the file ends within the array".to_owned()),
            End::Comma | End::Bracket if is_empty => {
                Element::Bad("a comma with no element beside it".to_owned())
            }
            End::Comma | End::Bracket => self.bounded(bytes),
        }))
    }

    /// Passes over an element and the comma or bracket that ends it. Of the element as much is kept
    /// as shows that it is over the limit.
    fn up_to_end(&mut self) -> io::Result<(Vec<u8>, End)> {
        let mut kept = Vec::new();
        let mut cutter = Cutter::default();
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok((kept, End::File));
            }
            let found = buffer.iter().position(|byte| cutter.ends_at(*byte));
            let length = found.unwrap_or(buffer.len());
            let room = (self.limit + 1).saturating_sub(kept.len());
            kept.extend_from_slice(&buffer[..length.min(room)]);
            let end = found.map(|at| match buffer[at] {
                b',' => End::Comma,
                _ => End::Bracket,
            });
            let taken = length + usize::from(end.is_some());
            self.reader.consume(taken);
            self.bytes += taken as u64;
            if let Some(end) = end {
                return Ok((kept, end));
            }
        }
    }

    fn bounded(&self, bytes: Vec<u8>) -> Element {
        match bytes.len() > self.limit {
            true => Element::Bad(format!("has more than {} bytes", self.limit)),
            false => Element::Bytes(bytes),
        }
    }

    fn after_array(&mut self) -> io::Result<Option<Element>> {
        self.state = State::Over;
        self.bytes = 0;
        let (rest, _) = pass_space(&mut self.reader)?;
        if rest.is_none() {
            return Ok(None);
        }
        self.count += 1;
        let reason = "the file goes on after the array";
        Ok(Some(Element::Bad(reason.to_owned())))
    }
}

/// Finds the end of an element byte by byte. It knows strings and depth and no more of JSON.
#[derive(Debug, Default)]
struct Cutter {
    depth: u64,
    is_string: bool,
    is_escaped: bool,
}

impl Cutter {
    fn ends_at(&mut self, byte: u8) -> bool {
        if self.is_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.is_string = true,
            b'[' | b'{' => self.depth += 1,
            b',' | b']' if self.depth == 0 => return true,
            b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}

/// Passes over white space. The byte after it, and how much there was.
fn pass_space(reader: &mut impl BufRead) -> io::Result<(Option<u8>, u64)> {
    let mut passed = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let found = buffer.iter().position(|byte| !byte.is_ascii_whitespace());
        if buffer.is_empty() {
            return Ok((None, passed));
        }
        let taken = found.unwrap_or(buffer.len());
        let byte = found.map(|at| buffer[at]);
        reader.consume(taken);
        passed += taken as u64;
        if byte.is_some() {
            return Ok((byte, passed));
        }
    }
}

fn unreadable(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn elements(json: &[u8], limit: usize) -> Vec<(u64, String)> {
        let mut all = Vec::new();
        for capacity in [1, 3, 1000] {
            let mut elements =
                Elements::open(BufReader::with_capacity(capacity, json), limit).unwrap();
            let mut found = Vec::new();
            while let Some(element) = elements.next() {
                let element = match element {
                    Element::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
                    Element::Bad(reason) => format!("BAD {reason}"),
                };
                found.push((elements.index(), element));
            }
            all.push(found);
        }
        assert!(all.iter().all(|found| found == &all[0]), "{all:?}");
        all.swap_remove(0)
    }

    #[track_caller]
    fn check(json: &str, expected: &[&str]) {
        let found = elements(json.as_bytes(), 40);
        let numbered = (0..).zip(expected).map(|(at, it)| (at, (*it).to_owned()));
        assert_eq!(found, numbered.collect::<Vec<_>>(), "{json}");
    }

    #[test]
    fn an_array_is_cut_at_its_own_commas() {
        check(" [ ] ", &[]);
        check("[1]", &["1"]);
        check(
            r#"[{"a": [1, 2], "b": "],\"[{"}, "x\\", 3 ]"#,
            &[r#"{"a": [1, 2], "b": "],\"[{"}"#, r#" "x\\""#, " 3 "],
        );
    }

    #[test]
    fn what_is_broken_is_one_element() {
        check("[1, {nonsense]}, 2]", &["1", " {nonsense]}", " 2"]);
        check(
            "[1,,2]",
            &["1", "BAD a comma with no element beside it", "2"],
        );
        check("[1,]", &["1", "BAD a comma with no element beside it"]);
        check("[1, 2", &["1", "BAD the file ends within the array"]);
        check("[1] 2", &["1", "BAD the file goes on after the array"]);
        check("[] x", &["BAD the file goes on after the array"]);
        let long = "x".repeat(41);
        check(
            &format!("[1,{long},2]"),
            &["1", "BAD has more than 40 bytes", "2"],
        );
    }

    #[test]
    fn an_object_is_one_element() {
        check("\n{\"a\": 1}\n", &["{\"a\": 1}\n"]);
        let marked = "\u{feff}{}".as_bytes();
        let mut marked = Elements::open(marked, 40).unwrap();
        assert_eq!(marked.next(), Some(Element::Bytes(b"{}".to_vec())));
        let long = format!("{{{}", "x".repeat(40));
        check(&long, &["BAD has more than 40 bytes"]);
        for (json, said) in [
            ("", "empty"),
            (" \n", "empty"),
            ("x", "must begin"),
            ("\"a\"", "must begin"),
        ] {
            let refused = Elements::open(json.as_bytes(), 40).unwrap_err();
            assert!(refused.contains(said), "{json}: {refused}");
        }
    }

    #[test]
    fn everything_that_is_read_is_counted() {
        let json = b" [ 1 , {} ,\"a\"]";
        let mut elements = Elements::open(&json[..], 40).unwrap();
        let mut bytes = 0;
        while elements.next().is_some() {
            bytes += elements.bytes;
        }
        assert_eq!(bytes, json.len() as u64);
    }
}
