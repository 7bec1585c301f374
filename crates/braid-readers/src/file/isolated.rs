//! Parsing in a process of its own.
//!
//! The parent starts a program with the kind and the path of a file, or with its bytes on the standard
//! input; that program calls [`serve`], which bounds itself, parses, and writes a line of JSON and the
//! text to its standard output. The parent reads no more than the limit, waits no longer than the
//! limit, and kills what is over it.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use braid_core::Format;
use braid_core::limits::MAX_DOCUMENT_BYTES;
use serde_json::{Value, json};

use super::{FileKind, ParsedFile, parse};

/// Bytes of the line before the text: a title and what names its format.
const MAX_HEADER_BYTES: usize = 64 * 1024;
const MIB: u64 = 1024 * 1024;

/// What parsing one file may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLimits {
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the text in it.
    pub text_bytes: usize,
    /// Bytes of address space of the process that parses (where the system can bound it).
    pub memory_bytes: u64,
    /// Wall-clock time.
    pub time: Duration,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self {
            file_bytes: 256 * MIB,
            text_bytes: MAX_DOCUMENT_BYTES,
            memory_bytes: 1024 * MIB,
            time: Duration::from_secs(60),
        }
    }
}

impl ParseLimits {
    /// Whether a file of so many bytes is parsed at all.
    ///
    /// # Errors
    /// [`ParseError::TooLarge`].
    pub fn check_size(&self, bytes: u64) -> Result<(), ParseError> {
        match bytes > self.file_bytes {
            true => Err(ParseError::TooLarge(format!(
                "larger than the limit of {} bytes",
                self.file_bytes
            ))),
            false => Ok(()),
        }
    }
}

/// Why there is no text. Each holds the reason, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// The file or its text is over a limit.
    TooLarge(String),
    /// The file is damaged, encrypted, a scan, or takes too much to read.
    Unreadable(String),
    /// The parser itself cannot be run.
    Unavailable(String),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::TooLarge(reason) | Self::Unreadable(reason) | Self::Unavailable(reason)) = self;
        f.write_str(reason)
    }
}

/// Parses files, each in a process of its own.
#[derive(Clone, Debug)]
pub struct Parser {
    program: PathBuf,
    arguments: Vec<OsString>,
    limits: ParseLimits,
}

impl Parser {
    /// A parser that runs `program` with `arguments`, a [`Request`]'s arguments following them.
    pub fn new(program: PathBuf, arguments: Vec<OsString>, limits: ParseLimits) -> Self {
        Self {
            program,
            arguments,
            limits,
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &ParseLimits {
        &self.limits
    }

    /// The same parser, with no more than `time` for a file.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.limits.time = self.limits.time.min(time);
        self
    }

    /// Parses the file at `path`. Blocks until it is done or over a limit.
    ///
    /// # Errors
    /// Why there is no text.
    pub fn parse(&self, kind: FileKind, path: &Path) -> Result<ParsedFile, ParseError> {
        let mut child = self.start(kind, Some(path), Stdio::null())?;
        self.finish(&mut child)
    }

    /// Parses the bytes of a file. Blocks until it is done or over a limit.
    ///
    /// # Errors
    /// Why there is no text.
    pub fn parse_bytes(
        &self,
        kind: FileKind,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<ParsedFile, ParseError> {
        self.limits.check_size(bytes.as_ref().len() as u64)?;
        let mut child = self.start(kind, None, Stdio::piped())?;
        if let Some(mut input) = child.stdin.take() {
            // Writing ends when the process does: it is killed when its time is over. One that does
            // not want all of it says why itself.
            std::thread::spawn(move || input.write_all(bytes.as_ref()));
        }
        self.finish(&mut child)
    }

    fn start(
        &self,
        kind: FileKind,
        path: Option<&Path>,
        input: Stdio,
    ) -> Result<Child, ParseError> {
        let request = Request {
            kind,
            memory_bytes: self.limits.memory_bytes,
            cpu_seconds: self.limits.time.as_secs() + 1,
            path: path.map(Path::to_owned),
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(request.arguments());
        command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| not_started(&error))
    }

    fn finish(&self, child: &mut Child) -> Result<ParsedFile, ParseError> {
        let said = self.listen(child);
        // Whatever happened, it is over: a process that still runs is of no more use.
        let _ = child.kill();
        let ended = child.wait().map_err(|error| not_started(&error))?;
        self.understand(&said?, ended)
    }

    /// What the process says within the limits of time and output.
    fn listen(&self, child: &mut Child) -> Result<Vec<u8>, ParseError> {
        let Some(output) = child.stdout.take() else {
            return Err(ParseError::Unavailable(
                "the parser has no output".to_owned(),
            ));
        };
        let most = (self.limits.text_bytes + MAX_HEADER_BYTES) as u64;
        let (sender, receiver) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut said = Vec::new();
            let read = output.take(most + 1).read_to_end(&mut said).map(|_| said);
            // Nobody listens any more once the time is over.
            let _ = sender.send(read);
        });
        let over = |_| {
            let seconds = self.limits.time.as_secs();
            ParseError::Unreadable(format!("took longer than {seconds} s to read"))
        };
        let said = receiver.recv_timeout(self.limits.time).map_err(over)?;
        let unheard = |error| format!("the parser cannot be heard: {error}");
        said.map_err(|error| ParseError::Unavailable(unheard(error)))
    }

    fn understand(&self, said: &[u8], ended: ExitStatus) -> Result<ParsedFile, ParseError> {
        let Some(end) = said.iter().position(|byte| *byte == b'\n') else {
            return Err(self.died(ended));
        };
        let header: Value = serde_json::from_slice(&said[..end]).map_err(|_| self.died(ended))?;
        if let Some(reason) = header["error"].as_str() {
            return Err(ParseError::Unreadable(reason.to_owned()));
        }
        let text = &said[end + 1..];
        let announced = header["bytes"].as_u64().unwrap_or(u64::MAX);
        if announced > self.limits.text_bytes as u64 {
            let most = self.limits.text_bytes;
            return Err(ParseError::TooLarge(format!(
                "has {announced} bytes of text, the limit is {most}"
            )));
        }
        if announced != text.len() as u64 {
            return Err(self.died(ended));
        }
        let text = String::from_utf8(text.to_vec()).map_err(|_| self.died(ended))?;
        let format = header["format"].as_str().and_then(|name| name.parse().ok());
        Ok(ParsedFile {
            text,
            format: format.unwrap_or(Format::Text),
            title: header["title"].as_str().map(str::to_owned),
        })
    }

    fn died(&self, ended: ExitStatus) -> ParseError {
        let most = self.limits.memory_bytes / MIB;
        ParseError::Unreadable(format!(
            "reading it failed ({ended}): it is damaged, or takes more than {most} MiB to read"
        ))
    }
}

fn not_started(error: &io::Error) -> ParseError {
    ParseError::Unavailable(format!("the parser cannot be started: {error}"))
}

/// What the process that parses is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    kind: FileKind,
    memory_bytes: u64,
    cpu_seconds: u64,
    /// Where the file is; on the standard input where there is none.
    path: Option<PathBuf>,
}

impl Request {
    fn arguments(&self) -> [OsString; 4] {
        [
            self.kind.as_str().into(),
            self.memory_bytes.to_string().into(),
            self.cpu_seconds.to_string().into(),
            self.path.clone().unwrap_or_default().into(),
        ]
    }

    /// Reads what [`Parser`] passes to its program.
    pub fn of(arguments: &[OsString]) -> Option<Self> {
        let [kind, memory, seconds, path] = arguments else {
            return None;
        };
        Some(Self {
            kind: FileKind::named(kind.to_str()?)?,
            memory_bytes: memory.to_str()?.parse().ok()?,
            cpu_seconds: seconds.to_str()?.parse().ok()?,
            path: Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty()),
        })
    }
}

/// The parsing process's whole work: bounds itself, parses, and says what it found on `output`.
///
/// # Errors
/// When `output` cannot be written. What is wrong with the file is said on `output` instead.
pub fn serve(request: &Request, mut output: impl Write) -> io::Result<()> {
    bound(request)?;
    let parsed = read(request);
    let (header, text) = match &parsed {
        Ok(file) => {
            let format = file.format.as_str();
            let header = json!({"bytes": file.text.len(), "format": format, "title": bounded(file.title.as_deref())});
            (header, file.text.as_str())
        }
        Err(reason) => (json!({"error": bounded(Some(reason))}), ""),
    };
    writeln!(output, "{header}")?;
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Some KiB of a text that may be any length.
fn bounded(text: Option<&str>) -> Option<&str> {
    text.map(|text| &text[..text.floor_char_boundary(MAX_HEADER_BYTES / 8)])
}

fn read(request: &Request) -> Result<ParsedFile, String> {
    let mut bytes = Vec::new();
    let read = match &request.path {
        Some(path) => File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
        None => io::stdin().lock().read_to_end(&mut bytes),
    };
    read.map_err(|error| format!("cannot be read: {error}"))?;
    parse(request.kind, &bytes)
}

#[cfg(unix)]
fn bound(request: &Request) -> io::Result<()> {
    use rlimit::Resource;
    let bounds = [
        (Resource::CORE, 0),
        (Resource::CPU, request.cpu_seconds),
        (Resource::AS, request.memory_bytes),
    ];
    for (resource, most) in bounds {
        let set = resource
            .get()
            .and_then(|(_, hard)| resource.set(most.min(hard), most.min(hard)));
        // Not every system bounds the address space; this one does.
        if cfg!(target_os = "linux") {
            set?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn bound(_: &Request) -> io::Result<()> {
    Ok(())
}
