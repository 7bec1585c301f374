//! Files made here, parsed in this process and, as far as a shell can play it, in another one.

use std::io::{Cursor, Write};

use pdf_extract::content::{Content, Operation};
use pdf_extract::{Document, Object, Permissions, Stream, StringFormat, dictionary};
use zip::write::SimpleFileOptions;

use super::*;

mod damaged;

/// A PDF with a page for each text; an empty one has nothing on it.
fn pdf(pages: &[&str], title: Option<&str>) -> Document {
    let mut document = Document::with_version("1.5");
    let parent = document.new_object_id();
    let font = document.add_object(dictionary! {
        "Type" => "Font", "Subtype" => "Type1", "BaseFont" => "Helvetica", "Encoding" => "WinAnsiEncoding",
    });
    let resources = document.add_object(dictionary! { "Font" => dictionary! { "F1" => font } });
    let mut kids: Vec<Object> = Vec::new();
    for text in pages {
        let mut operations = Vec::new();
        for (line, words) in text.lines().enumerate() {
            let y = 700 - 14 * i64::try_from(line).unwrap();
            operations.extend([
                Operation::new("BT", vec![]),
                Operation::new("Tf", vec!["F1".into(), 12.into()]),
                Operation::new("Td", vec![72.into(), y.into()]),
                Operation::new("Tj", vec![Object::string_literal(words)]),
                Operation::new("ET", vec![]),
            ]);
        }
        let content = Content { operations }.encode().unwrap();
        let content = document.add_object(Stream::new(dictionary! {}, content));
        let page = dictionary! { "Type" => "Page", "Parent" => parent, "Contents" => content };
        kids.push(document.add_object(page).into());
    }
    let count = i64::try_from(kids.len()).unwrap();
    document.objects.insert(
        parent,
        Object::Dictionary(dictionary! {
            "Type" => "Pages", "Kids" => kids, "Count" => count, "Resources" => resources,
            "MediaBox" => vec![0.into(), 0.into(), 595.into(), 842.into()],
        }),
    );
    let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => parent });
    document.trailer.set("Root", catalog);
    if let Some(title) = title {
        let info = document.add_object(dictionary! { "Title" => Object::string_literal(title) });
        document.trailer.set("Info", info);
    }
    document
}

fn bytes(mut document: Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let stored =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        archive.start_file(*name, stored).unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn docx(body: &str) -> Vec<u8> {
    let types = r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"#;
    let rels = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#;
    let document = format!(
        r#"<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>"#
    );
    let level = |id: u8| {
        format!(
            r#"<w:style w:type="paragraph" w:styleId="Heading{id}"><w:name w:val="heading {id}"/><w:pPr><w:outlineLvl w:val="{}"/></w:pPr></w:style>"#,
            id - 1
        )
    };
    let styles = format!(
        r#"<?xml version="1.0"?><w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">{}{}</w:styles>"#,
        level(1),
        level(2)
    );
    let parts = r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#;
    archive(&[
        ("[Content_Types].xml", types),
        ("_rels/.rels", rels),
        ("word/_rels/document.xml.rels", parts),
        ("word/styles.xml", &styles),
        ("word/document.xml", &document),
    ])
}

fn paragraph(style: Option<&str>, text: &str) -> String {
    let style = style.map_or_else(String::new, |style| {
        format!(r#"<w:pPr><w:pStyle w:val="{style}"/></w:pPr>"#)
    });
    format!("<w:p>{style}<w:r><w:t>{text}</w:t></w:r></w:p>")
}

fn book() -> Vec<u8> {
    let container = r#"<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"#;
    let package = r#"<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="i">x</dc:identifier><dc:title>The Book</dc:title><dc:language>en</dc:language></metadata><manifest><item id="two" href="2.xhtml" media-type="application/xhtml+xml"/><item id="one" href="1.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="one"/><itemref idref="two"/></spine></package>"#;
    let chapter = |title: &str, text: &str| {
        format!(
            r#"<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"#
        )
    };
    archive(&[
        ("mimetype", "application/epub+zip"),
        ("META-INF/container.xml", container),
        ("b.opf", package),
        (
            "1.xhtml",
            &chapter("Beginning", "It was a dark night over the harbour."),
        ),
        (
            "2.xhtml",
            &chapter("End", "And so the ship came home at last."),
        ),
    ])
}

#[test]
fn a_pdf_gives_its_text_by_page_and_its_title() {
    let file = bytes(pdf(
        &["First line\nsecond line", "", "Third page"],
        Some("A Title"),
    ));
    assert_eq!(FileKind::of(&file), Some(FileKind::Pdf));
    let parsed = parse(FileKind::Pdf, &file).unwrap();
    assert_eq!(
        parsed.text,
        "First line\nsecond line\n\u{c}\u{c}Third page\n\u{c}"
    );
    assert_eq!(
        (parsed.format, parsed.title.as_deref()),
        (Format::Text, Some("A Title"))
    );
}

#[test]
fn a_pdf_that_cannot_be_read_says_why() {
    let reason = |file: &[u8]| parse(FileKind::Pdf, file).unwrap_err();
    let scan = reason(&bytes(pdf(&["", ""], None)));
    assert!(
        scan.contains("a scan") && scan.contains("2 pages"),
        "{scan}"
    );
    let damaged = reason(b"%PDF-1.5 and then nothing");
    assert!(damaged.starts_with("not a sound PDF"), "{damaged}");
    let mut secret = pdf(&["Secret"], None);
    let id = Object::String(b"0123456789abcdef".to_vec(), StringFormat::Literal);
    secret.trailer.set("ID", vec![id.clone(), id]);
    let version = pdf_extract::EncryptionVersion::V2 {
        document: &secret,
        owner_password: "owner",
        user_password: "user",
        key_length: 128,
        permissions: Permissions::all(),
    };
    let state = pdf_extract::EncryptionState::try_from(version).unwrap();
    secret.encrypt(&state).unwrap();
    let encrypted = reason(&bytes(secret));
    assert!(encrypted.starts_with("encrypted"), "{encrypted}");
}

#[test]
fn a_word_document_gives_its_headings_and_tables() {
    let cell = |text| format!("<w:tc>{}</w:tc>", paragraph(None, text));
    let row = |a, b| format!("<w:tr>{}{}</w:tr>", cell(a), cell(b));
    let body = [
        paragraph(Some("Heading1"), "Guide"),
        paragraph(None, "Some words."),
        paragraph(Some("Heading2"), "Part"),
        format!("<w:tbl>{}{}</w:tbl>", row("Name", "Size"), row("lamp", "3")),
    ];
    let file = docx(&body.concat());
    assert_eq!(FileKind::of(&file), Some(FileKind::Docx));
    let parsed = parse(FileKind::Docx, &file).unwrap();
    assert_eq!(parsed.format, Format::Markdown);
    for part in ["# Guide", "Some words.", "## Part", "| lamp | 3 |"] {
        assert!(parsed.text.contains(part), "{part}: {}", parsed.text);
    }
    assert!(parse(FileKind::Docx, &docx("")).is_err(), "nothing in it");
    assert!(parse(FileKind::Docx, b"PK\x03\x04 and then nothing").is_err());
}

#[test]
fn a_book_gives_its_chapters_in_order() {
    let file = book();
    assert_eq!(FileKind::of(&file), Some(FileKind::Epub));
    let parsed = parse(FileKind::Epub, &file).unwrap();
    assert_eq!(
        (parsed.format, parsed.title.as_deref()),
        (Format::Markdown, Some("The Book"))
    );
    let place = |text: &str| {
        parsed
            .text
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {}", parsed.text))
    };
    assert!(place("# Beginning") < place("dark night"));
    assert!(place("dark night") < place("# End"));
    assert!(
        parse(
            FileKind::Epub,
            &archive(&[("mimetype", "application/epub+zip")])
        )
        .is_err()
    );
}

/// A version that is not the library's would let a text that it read differently pass as the same.
#[test]
fn parsers_are_named_with_the_versions_in_use() {
    let lock = include_str!("../../../../Cargo.lock");
    for kind in FileKind::ALL {
        let (library, _) = kind.parser().split_once('+').unwrap();
        let (name, version) = library.split_once(' ').unwrap();
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(lock.contains(&locked), "{library}: see Cargo.lock");
    }
}

fn odt(styles: &str, body: &str) -> Vec<u8> {
    odt_sharing("", styles, body)
}

/// With list styles that stand apart from the content.
fn odt_sharing(shared: &str, styles: &str, body: &str) -> Vec<u8> {
    let names = r#"xmlns:o="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/""#;
    let content = format!(
        r#"<?xml version="1.0"?><o:document-content {names}><o:automatic-styles>{styles}</o:automatic-styles><o:body><o:text>{body}</o:text></o:body></o:document-content>"#
    );
    let meta = format!(
        r#"<?xml version="1.0"?><o:document-meta {names}><o:meta><dc:title>The &amp; Text</dc:title><dc:creator>C</dc:creator></o:meta></o:document-meta>"#
    );
    let shared = format!(
        r#"<?xml version="1.0"?><o:document-styles {names}><o:styles>{shared}</o:styles></o:document-styles>"#
    );
    archive(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        ("styles.xml", &shared),
        ("meta.xml", &meta),
        ("content.xml", &content),
    ])
}

#[test]
fn an_opendocument_text_gives_its_headings_lists_and_tables() {
    let styles = r#"<text:list-style style:name="L1"><text:list-level-style-number text:level="1"/><text:list-level-style-bullet text:level="2"/></text:list-style><style:style style:name="P1" style:parent-style-name="Title"/>"#;
    let body = r#"
        <text:tracked-changes><text:p>deleted words</text:p></text:tracked-changes>
        <text:p text:style-name="P1">Whole</text:p>
        <text:h text:outline-level="2">A <text:span>part</text:span></text:h>
        <text:p>Some   words &lt;here&#33;<text:s text:c="3"/>and<text:tab/>there<text:line-break/>on two lines.<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>Noted.</text:p></text:note-body></text:note></text:p>
        <text:p/>
        <text:list text:style-name="L1">
          <text:list-item><text:p>first</text:p><text:list><text:list-item><text:p>inner</text:p></text:list-item></text:list></text:list-item>
          <text:list-item><text:p>second</text:p><text:p>more of it</text:p></text:list-item>
        </text:list>
        <table:table><table:table-column/>
          <table:table-header-rows><table:table-row><table:table-cell><text:p>Name</text:p></table:table-cell><table:table-cell><text:p>Size|kg</text:p></table:table-cell><table:table-cell table:number-columns-repeated="900"/></table:table-row></table:table-header-rows>
          <table:table-row><table:table-cell><text:p>lamp</text:p><text:p>red</text:p></table:table-cell><table:table-cell><text:p>3</text:p></table:table-cell></table:table-row>
        </table:table>
        <text:p>End.<o:annotation><text:p>a comment</text:p></o:annotation></text:p>"#;
    let file = odt(styles, body);
    assert_eq!(FileKind::of(&file), Some(FileKind::Odt));
    let parsed = parse(FileKind::Odt, &file).unwrap();
    assert_eq!(
        (parsed.format, parsed.title.as_deref()),
        (Format::Markdown, Some("The & Text"))
    );
    expect_test::expect![[r#"
        # Whole

        ## A part

        Some words <here! and there
        on two lines. (Noted.)

        1. first
           - inner
        2. second
           more of it

        | Name | Size\|kg |
        | --- | --- |
        | lamp red | 3 |

        End.

    "#]]
    .assert_eq(&parsed.text);
}

#[test]
fn named_list_styles_number_an_opendocument_text() {
    let numbered = r#"<text:list-level-style-number text:level="1"/>"#;
    let style = |name: &str, levels: &str| {
        format!(r#"<text:list-style style:name="{name}">{levels}</text:list-style>"#)
    };
    let shared = style("Steps", numbered) + &style("L1", numbered);
    let own = style("L1", r#"<text:list-level-style-bullet text:level="1"/>"#);
    let list = |name: &str| {
        format!(
            r#"<text:list text:style-name="{name}"><text:list-item><text:p>a</text:p></text:list-item><text:list-item><text:p>b</text:p></text:list-item></text:list>"#
        )
    };
    let body = list("Steps") + "<text:p>and</text:p>" + &list("L1");
    let parsed = parse(FileKind::Odt, &odt_sharing(&shared, &own, &body)).unwrap();
    assert_eq!(parsed.text.trim_end(), "1. a\n2. b\n\nand\n\n- a\n- b");
}

#[test]
fn an_opendocument_text_that_cannot_be_read_says_why() {
    let reason = |file: &[u8]| parse(FileKind::Odt, file).unwrap_err();
    assert!(reason(&odt("", "")).contains("no text in it"));
    assert!(reason(b"PK\x03\x04 and then nothing").starts_with("not a sound"));
    let empty = archive(&[("mimetype", "application/vnd.oasis.opendocument.text")]);
    assert!(reason(&empty).contains("no content.xml"));
    assert!(reason(&odt("", "<text:p>no end")).starts_with("not a sound"));
    let manifest = r#"<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>"#;
    let secret = archive(&[
        ("META-INF/manifest.xml", manifest),
        ("content.xml", "\u{1}"),
    ]);
    assert!(reason(&secret).starts_with("encrypted"));
    let deep = odt("", &"<text:section>".repeat(1_000));
    assert!(reason(&deep).contains("nested more than"));
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let mut bomb = zip::ZipWriter::new(Cursor::new(Vec::new()));
    bomb.start_file("content.xml", SimpleFileOptions::default())
        .unwrap();
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..257 {
        bomb.write_all(&spaces).unwrap();
    }
    let bomb = bomb.finish().unwrap().into_inner();
    assert!(bomb.len() < 1 << 20, "a small file");
    let reason = parse(FileKind::Odt, &bomb).unwrap_err();
    assert!(reason.contains("unpacks to more than"), "{reason}");
}

#[test]
fn other_content_is_no_file_of_these_kinds() {
    for head in [
        &b""[..],
        b"plain text",
        b"A PDF begins with %PDF-1.7",
        b"PK\x03\x04 some other archive: crossword/1.png",
        b"\x89PNG",
    ] {
        assert_eq!(FileKind::of(head), None, "{head:?}");
    }
}

/// What a shell says in the place of the process that parses.
#[cfg(unix)]
mod processes {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::super::isolated::{ParseError, ParseLimits, Parser, Request, serve};
    use super::*;

    fn told(script: &str, limits: ParseLimits) -> Result<ParsedFile, String> {
        let arguments = vec!["-c".into(), script.into(), "parser".into()];
        let parser = Parser::new("/bin/sh".into(), arguments, limits);
        let parsed = parser.parse(FileKind::Pdf, Path::new("/nowhere/a file"));
        parsed.map_err(|error| error.to_string())
    }

    fn small() -> ParseLimits {
        ParseLimits {
            text_bytes: 8,
            ..ParseLimits::default()
        }
    }

    #[test]
    fn the_answer_is_understood() {
        let found = told(
            r#"printf '{"bytes":5,"format":"markdown","title":"T"}\nsome\n'"#,
            small(),
        )
        .unwrap();
        let expected = ParsedFile {
            text: "some\n".to_owned(),
            format: Format::Markdown,
            title: Some("T".to_owned()),
        };
        assert_eq!(found, expected);
        let reason = told(r#"printf '{"error":"a scan"}\n'"#, small()).unwrap_err();
        assert_eq!(reason, "a scan");
        let asked = told(r#"printf '{"error":"%s %s"}\n' "$1" "$4""#, small()).unwrap_err();
        assert_eq!(asked, "pdf /nowhere/a file");
    }

    #[test]
    fn an_answer_that_is_cut_off_or_none_is_a_failure() {
        for script in [
            "true",
            "exit 3",
            "kill -9 $$",
            "echo nonsense",
            r#"printf '{"bytes":9}\nfive.'"#,
            r#"printf '{"bytes":2}\n\377\376'"#,
            "printf '{\"bytes\":5}'",
        ] {
            let reason = told(script, ParseLimits::default()).unwrap_err();
            assert!(
                reason.starts_with("reading it failed"),
                "{script}: {reason}"
            );
        }
    }

    #[test]
    fn what_is_over_a_limit_is_stopped() {
        let long = told(r#"printf '{"bytes":9}\n123456789'"#, small()).unwrap_err();
        assert_eq!(long, "has 9 bytes of text, the limit is 8");
        let started = Instant::now();
        assert!(told("yes", small()).is_err(), "output without an end");
        let brief = ParseLimits {
            time: Duration::from_millis(50),
            ..small()
        };
        let slow = told("exec sleep 600", brief).unwrap_err();
        assert!(slow.starts_with("took longer"), "{slow}");
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_program_that_is_not_there_is_a_failure() {
        let parser = Parser::new("/nowhere/at/all".into(), Vec::new(), small());
        let reason = parser.parse(FileKind::Docx, Path::new("a")).unwrap_err();
        let is_said = reason.to_string().contains("cannot be started");
        assert!(is_said, "{reason}");
    }

    #[test]
    fn bytes_are_heard_by_a_process_that_wants_them_and_by_one_that_does_not() {
        let told = |script: &str, bytes: Vec<u8>| {
            let arguments = vec!["-c".into(), script.into(), "parser".into()];
            let parser = Parser::new("/bin/sh".into(), arguments, small());
            parser.parse_bytes(FileKind::Odt, bytes)
        };
        let counted = r#"text=$(wc -c); printf '{"bytes":%d}\n%s' "${#text}" "$text""#;
        let found = told(counted, vec![b'x'; 1_000_000]).unwrap();
        assert_eq!(found.text.trim(), "1000000");
        let unheard = told(r#"printf '{"bytes":1}\nx'"#, vec![b'x'; 1_000_000]);
        assert_eq!(unheard.unwrap().text, "x");
        let tight = ParseLimits {
            file_bytes: 9,
            ..small()
        };
        let parser = Parser::new("/bin/sh".into(), Vec::new(), tight);
        let refused = parser.parse_bytes(FileKind::Odt, vec![0; 10]).unwrap_err();
        assert!(matches!(refused, ParseError::TooLarge(_)), "{refused}");
    }

    #[test]
    fn requests_are_read_as_they_are_written() {
        let words = |words: &[&str]| words.iter().map(Into::into).collect::<Vec<_>>();
        assert!(Request::of(&words(&["pdf", "1", "2", "a b"])).is_some());
        for bad in [
            &["pdf", "1", "2"][..],
            &["gif", "1", "2", "a"],
            &["pdf", "x", "2", "a"],
        ] {
            assert_eq!(Request::of(&words(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        // Far above what this process uses: the limits stay in force for the other tests in it.
        let most = u64::MAX.to_string();
        let arguments = ["pdf", &most, &most, "/nowhere/at/all"].map(Into::into);
        let mut said = Vec::new();
        serve(&Request::of(&arguments).unwrap(), &mut said).unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("{\"error\":\"cannot be read"), "{said}");
    }
}
