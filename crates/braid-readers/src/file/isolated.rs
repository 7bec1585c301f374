//! Parsing in a process of its own.
//!
//! The parent starts a program with the kind and the path of a file; that program calls [`serve`],
//! which bounds itself, parses, and writes a line of JSON and the text to its standard output. The
//! parent reads no more than the limit, waits no longer than the limit, and kills what is over it.

use std::ffi::OsString;
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
    /// The reason, for a person.
    pub fn check_size(&self, bytes: u64) -> Result<(), String> {
        match bytes > self.file_bytes {
            true => Err(format!(
                "larger than the limit of {} bytes",
                self.file_bytes
            )),
            false => Ok(()),
        }
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

    /// Parses the file at `path`. Blocks until it is done or over a limit.
    ///
    /// # Errors
    /// The reason, for a person.
    pub fn parse(&self, kind: FileKind, path: &Path) -> Result<ParsedFile, String> {
        let request = Request {
            kind,
            memory_bytes: self.limits.memory_bytes,
            cpu_seconds: self.limits.time.as_secs() + 1,
            path: path.to_owned(),
        };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(request.arguments());
        let cannot = |error: io::Error| format!("the parser cannot be started: {error}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(cannot)?;
        let said = self.listen(&mut child);
        // Whatever happened, it is over: a process that still runs is of no more use.
        let _ = child.kill();
        let ended = child.wait().map_err(cannot)?;
        self.understand(&said?, ended)
    }

    /// What the process says within the limits of time and output.
    fn listen(&self, child: &mut Child) -> Result<Vec<u8>, String> {
        let Some(output) = child.stdout.take() else {
            return Err("the parser has no output".to_owned());
        };
        let most = (self.limits.text_bytes + MAX_HEADER_BYTES) as u64;
        let (sender, receiver) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut said = Vec::new();
            let read = output.take(most + 1).read_to_end(&mut said).map(|_| said);
            // Nobody listens any more once the time is over.
            let _ = sender.send(read);
        });
        let over = |_| format!("took longer than {} s to read", self.limits.time.as_secs());
        let said = receiver.recv_timeout(self.limits.time).map_err(over)?;
        said.map_err(|error| format!("the parser cannot be heard: {error}"))
    }

    fn understand(&self, said: &[u8], ended: ExitStatus) -> Result<ParsedFile, String> {
        let Some(end) = said.iter().position(|byte| *byte == b'\n') else {
            return Err(self.died(ended));
        };
        let header: Value = serde_json::from_slice(&said[..end]).map_err(|_| self.died(ended))?;
        if let Some(reason) = header["error"].as_str() {
            return Err(reason.to_owned());
        }
        let text = &said[end + 1..];
        let announced = header["bytes"].as_u64().unwrap_or(u64::MAX);
        if announced > self.limits.text_bytes as u64 {
            let most = self.limits.text_bytes;
            return Err(format!(
                "has {announced} bytes of text, the limit is {most}"
            ));
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

    fn died(&self, ended: ExitStatus) -> String {
        let most = self.limits.memory_bytes / MIB;
        format!("reading it failed ({ended}): it is damaged, or takes more than {most} MiB to read")
    }
}

/// What the process that parses is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    kind: FileKind,
    memory_bytes: u64,
    cpu_seconds: u64,
    path: PathBuf,
}

impl Request {
    fn arguments(&self) -> [OsString; 4] {
        [
            self.kind.as_str().into(),
            self.memory_bytes.to_string().into(),
            self.cpu_seconds.to_string().into(),
            self.path.clone().into(),
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
            path: path.into(),
        })
    }
}

/// The parsing process's whole work: bounds itself, parses, and says what it found on `output`.
///
/// # Errors
/// When `output` cannot be written. What is wrong with the file is said on `output` instead.
pub fn serve(request: &Request, mut output: impl Write) -> io::Result<()> {
    bound(request)?;
    let parsed = std::panic::catch_unwind(|| read(request));
    let parsed =
        parsed.unwrap_or_else(|_| Err("damaged: reading it failed unexpectedly".to_owned()));
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
    File::open(&request.path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
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
