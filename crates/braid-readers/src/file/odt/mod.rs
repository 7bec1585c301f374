//! OpenDocument text: Markdown with headings, lists and tables.

mod body;
mod styles;
mod xml;

use std::io::{BufReader, Cursor, Read};

use braid_core::Format;
use zip::ZipArchive;
use zip::result::ZipError;

use self::body::Body;
use self::xml::Xml;
use super::ParsedFile;

/// Most bytes that one part of the archive may unpack to: several times the largest text.
const MAX_PART_BYTES: u64 = 256 * 1024 * 1024;
/// Most bytes of the parts beside the content.
const MAX_SMALL_PART_BYTES: u64 = 4 * 1024 * 1024;

type Archive<'b> = ZipArchive<Cursor<&'b [u8]>>;

pub(super) fn parse(bytes: &[u8]) -> Result<ParsedFile, String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| unsound(&error))?;
    refuse_encrypted(&mut archive)?;
    let title = title(&mut archive)?;
    let mut body = Body::default();
    take_styles(&mut archive, &mut body)?;
    let content = part(&mut archive, "content.xml", MAX_PART_BYTES)?;
    let content = content.ok_or("not a sound OpenDocument text: it has no content.xml")?;
    let mut xml = Xml::new(content);
    while let Some(event) = xml.next().map_err(|error| unsound(&error))? {
        body.take(event)?;
    }
    Ok(ParsedFile {
        text: body.into_text(),
        format: Format::Markdown,
        title,
    })
}

fn unsound(error: &dyn std::fmt::Display) -> String {
    format!("not a sound OpenDocument text: {error}")
}

/// A part of the archive, if it has it, as far as it may unpack.
fn part<'a>(
    archive: &'a mut Archive<'_>,
    name: &str,
    most: u64,
) -> Result<Option<impl Read + 'a>, String> {
    match archive.by_name(name) {
        Ok(file) if file.encrypted() => Err(super::ENCRYPTED.to_owned()),
        Ok(file) => Ok(Some(Bounded { file, left: most })),
        Err(ZipError::FileNotFound) => Ok(None),
        Err(error) => Err(unsound(&error)),
    }
}

/// The manifest says how each part is encrypted; nothing else of it matters here.
fn refuse_encrypted(archive: &mut Archive<'_>) -> Result<(), String> {
    if archive.index_for_name("encrypted-package").is_some() {
        return Err(super::ENCRYPTED.to_owned());
    }
    let manifest = part(archive, "META-INF/manifest.xml", MAX_SMALL_PART_BYTES)?;
    let mut text = Vec::new();
    if let Some(mut manifest) = manifest {
        manifest
            .read_to_end(&mut text)
            .map_err(|error| unsound(&error))?;
    }
    match super::contains(&text, b"encryption-data") {
        true => Err(super::ENCRYPTED.to_owned()),
        false => Ok(()),
    }
}

/// Named styles, such as those of numbered lists, stand apart from the content.
fn take_styles(archive: &mut Archive<'_>, body: &mut Body) -> Result<(), String> {
    let Some(styles) = part(archive, "styles.xml", MAX_SMALL_PART_BYTES)? else {
        return Ok(());
    };
    let mut xml = Xml::new(styles);
    // Styles that cannot be read cost the numbers of lists, not the text.
    while let Ok(Some(event)) = xml.next() {
        if let xml::Event::Open(element) = event {
            body.take_style(&element);
        }
    }
    Ok(())
}

/// The title that the document's properties state.
fn title(archive: &mut Archive<'_>) -> Result<Option<String>, String> {
    let Some(meta) = part(archive, "meta.xml", MAX_SMALL_PART_BYTES)? else {
        return Ok(None);
    };
    let mut xml = Xml::new(meta);
    let (mut title, mut is_title) = (String::new(), false);
    // Properties that cannot be read cost the title, not the text.
    while let Ok(Some(event)) = xml.next() {
        match event {
            xml::Event::Open(element) => is_title = element.name == "dc:title",
            xml::Event::Text(text) if is_title => title.push_str(&text),
            xml::Event::Text(_) => {}
            xml::Event::Close(_) => is_title = false,
        }
    }
    Ok(Some(title).filter(|title| !title.trim().is_empty()))
}

/// Unpacks no more than it may: what a small archive unpacks to can be any size.
struct Bounded<R> {
    file: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            std::io::Error::other("it unpacks to more than the limit of what is read")
        })?;
        Ok(read)
    }
}

impl<R: Read> Xml<BufReader<R>> {
    fn new(part: R) -> Self {
        Self::of(BufReader::with_capacity(1 << 16, part))
    }
}
