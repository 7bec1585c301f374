//! Files that are not text: each is parsed by a process of its own, and fails alone.

use std::io::{Cursor, Write};

use serde_json::Value;
use zip::write::SimpleFileOptions;

use crate::run::Place;

/// A PDF by hand: a page for each line.
fn pdf(lines: &[String]) -> Vec<u8> {
    let pages = lines.len();
    let page_id = |at: usize| 4 + 2 * at;
    let kids: Vec<String> = (0..pages)
        .map(|at| format!("{} 0 R", page_id(at)))
        .collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!(
            "<< /Type /Pages /Count {pages} /Kids [{}] /MediaBox [0 0 595 842] /Resources << /Font << /F 3 0 R >> >> >>",
            kids.join(" ")
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
            .to_owned(),
    ];
    for (at, line) in lines.iter().enumerate() {
        let content = format!("BT /F 12 Tf 72 700 Td ({line}) Tj ET");
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /Contents {} 0 R >>",
            page_id(at) + 1
        ));
        objects.push(format!(
            "<< /Length {} >>\nstream\n{content}\nendstream",
            content.len()
        ));
    }
    let mut file = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (at, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", at + 1));
    }
    let start = file.len();
    let size = objects.len() + 1;
    file.push_str(&format!(
        "{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    ));
    file.into_bytes()
}

/// A Word document with one paragraph of `repeats` times `text`.
fn docx(text: &str, repeats: usize) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut add = |name: &str, parts: &mut dyn Iterator<Item = &str>| {
        archive
            .start_file(name, SimpleFileOptions::default())
            .unwrap();
        for part in parts {
            archive.write_all(part.as_bytes()).unwrap();
        }
    };
    add("[Content_Types].xml", &mut [r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"#].into_iter());
    add("_rels/.rels", &mut [r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#].into_iter());
    let head = r#"<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>"#;
    let body = std::iter::repeat_n(text, repeats);
    let tail = "</w:t></w:r></w:p></w:body></w:document>";
    add(
        "word/document.xml",
        &mut std::iter::once(head).chain(body).chain([tail]),
    );
    archive.finish().unwrap().into_inner()
}

fn reasons(report: &Value) -> String {
    report["failed"].to_string()
}

#[test]
fn pages_are_cited_and_a_file_that_cannot_be_parsed_fails_alone() {
    let place = Place::new();
    let lines = [
        "Harbour dues are paid in advance.",
        "The lighthouse keeper sleeps by day.",
    ];
    place.write("docs/report.pdf", pdf(&lines.map(str::to_owned)));
    place.write(
        "docs/misnamed.txt",
        pdf(&["A ferry crosses the strait.".to_owned()]),
    );
    place.write(
        "docs/notes.docx",
        docx("Minutes of the harbour meeting.", 1),
    );
    place.write("docs/broken.pdf", "%PDF-1.4\nand then nothing");
    place.write("docs/empty.pdf", pdf(&[String::new()]));
    place.write("docs/bomb.docx", docx(&"word ".repeat(20_000), 1_000));
    let report = place.json(&["ingest", "docs"], 3);
    assert_eq!(report["added"], 3, "{report:#}");
    let reasons = reasons(&report);
    for said in ["not a sound PDF", "a scan", "bomb.docx"] {
        assert!(reasons.contains(said), "{said}: {reasons}");
    }
    let answer = place.json(&["retrieve", "when does the lighthouse keeper sleep"], 0);
    let best = &answer["hits"][0];
    assert_eq!(best["document_id"], "report.pdf", "{answer:#}");
    assert_eq!(best["source"]["page"], 2, "{answer:#}");
    let said = place.ok(&["retrieve", "when does the lighthouse keeper sleep"]);
    assert!(said.contains("(page 2, characters "), "{said}");
    let stored = place.json(&["document", "get", "report.pdf"], 0);
    let origin = &stored["origin"];
    assert_eq!(
        origin["hash"].as_str().map(str::len),
        Some(64),
        "{stored:#}"
    );
    let parser = origin["parser"].as_str().unwrap_or_default();
    assert!(parser.starts_with("pdf-extract "), "{stored:#}");
    let again = place.json(&["ingest", "docs"], 3);
    assert_eq!(
        (&again["unchanged"], &again["chunks_embedded"]),
        (&3.into(), &0.into())
    );
}

#[test]
fn a_pdf_of_1600_pages_is_taken() {
    let place = Place::new();
    let line = |page: usize| {
        format!(
            "Page number {page} says a few words about subject {}.",
            page % 97
        )
    };
    let lines: Vec<String> = (1..=1600).map(line).collect();
    place.write("long.pdf", pdf(&lines));
    let report = place.json(
        &["ingest", "long.pdf", "--set", "chunking.target_tokens=220"],
        0,
    );
    assert_eq!(report["added"], 1, "{report:#}");
}

#[test]
fn what_is_for_the_program_alone_is_of_no_use_to_people() {
    let place = Place::new();
    let ran = place.braid(&["__parse-file", "pdf"]);
    assert_ne!(ran.status, 0);
    assert!(
        ran.stderr.contains("not started by braid"),
        "{}",
        ran.stderr
    );
}
