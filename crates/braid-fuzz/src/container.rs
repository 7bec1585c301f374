//! Files put together from parts, so that the parts can be damaged and the file stays one.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;

/// What a target reads, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Bytes as they are.
    Bytes(Vec<u8>),
    /// The named parts of a ZIP archive.
    Archive(Vec<(String, Vec<u8>)>),
    /// The objects of a PDF, numbered from 1; the first is its catalog.
    Objects(Vec<Vec<u8>>),
}

impl Input {
    /// The file. A part that no archive can have is left out.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Archive(parts) => archive(parts),
            Self::Objects(objects) => pdf(objects),
        }
    }
}

fn archive(parts: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (at, (name, content)) in parts.iter().enumerate() {
        let method = match at {
            0 => zip::CompressionMethod::Stored,
            _ => zip::CompressionMethod::Deflated,
        };
        let options = SimpleFileOptions::default().compression_method(method);
        if archive.start_file(name.as_str(), options).is_ok() {
            // Into memory: it cannot fail.
            let _ = archive.write_all(content);
        }
    }
    archive.finish().map(Cursor::into_inner).unwrap_or_default()
}

fn pdf(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"%PDF-1.5\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (at, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.extend_from_slice(format!("{} 0 obj\n", at + 1).as_bytes());
        file.extend_from_slice(object);
        file.extend_from_slice(b"\nendobj\n");
    }
    let (start, size) = (file.len(), objects.len() + 1);
    let end = format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
    file.extend_from_slice(table.as_bytes());
    file.extend_from_slice(end.as_bytes());
    file
}
