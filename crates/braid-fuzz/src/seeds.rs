//! Sound inputs of every target, and words that mean something to it.

use braid_core::{CodeLanguage, Format};
use braid_readers::file::FileKind;

use crate::container::Input;
use crate::target::Target;

/// Sound inputs, at least one.
pub fn seeds(target: Target) -> Vec<Input> {
    match target {
        Target::File(FileKind::Pdf) => vec![pdf(), Input::Bytes(pdf().bytes())],
        Target::File(FileKind::Docx) => vec![docx()],
        Target::File(FileKind::Odt) => vec![odt()],
        Target::File(FileKind::Epub) => vec![epub()],
        Target::Format(format) => vec![
            text(sample(format)),
            text("Ein Satz. 句子。ประโยค\u{200b}\u{301} \u{c} seite\r\n\r\nlast"),
        ],
        Target::Source("json") => vec![text(JSON), text("{\"id\": 1, \"text\": \"one\"}")],
        Target::Source("jsonl") => vec![text(&JSON.replace("},", "}\n"))],
        Target::Source("tsv") => vec![text(&CSV.replace(',', "\t"))],
        Target::Source(_) => vec![text(CSV), text(&CSV.replace(',', ";"))],
    }
}

/// Pieces that the target's grammar knows.
pub fn words(target: Target) -> &'static [&'static str] {
    match target {
        Target::File(FileKind::Pdf) => &[
            "<<",
            ">>",
            "[",
            "]",
            "(",
            ")",
            "<",
            ">",
            "1 0 R",
            "6 0 R",
            "obj",
            "endobj",
            "stream\n",
            "endstream",
            "BT",
            "ET",
            "Tj",
            "TJ",
            "Tf",
            "cm",
            "q",
            "Q",
            "Do",
            "/Kids",
            "/Parent 2 0 R",
            "/Filter /FlateDecode",
            "/Length",
            "/W [1 2 1]",
            "/ToUnicode 7 0 R",
            "beginbfchar",
            "beginbfrange",
            "<0000> <ffff>",
            "xref",
            "trailer",
            "/Encrypt",
        ],
        Target::File(_) => &[
            "<",
            ">",
            "</",
            "/>",
            "&#x0;",
            "&amp;",
            "&#99999999;",
            "<!DOCTYPE a [<!ENTITY b \"c\">]>",
            "&b;",
            "<![CDATA[",
            "]]>",
            "<!--",
            "<w:p>",
            "<w:tbl><w:tr><w:tc>",
            "<w:gridSpan w:val=\"65535\"/>",
            "<text:p>",
            "<text:list><text:list-item>",
            "<table:table><table:table-row><table:table-cell table:number-columns-repeated=\"9999999\">",
            "text:outline-level=\"0\"",
            "<text:note><text:note-body>",
            "<div>",
            "<b>",
            "<table><tr><td>",
            "xmlns:a=\"b\"",
            "../",
        ],
        Target::Format(Format::Html) => &[
            "<div>",
            "</div>",
            "<b>",
            "<a href=x>",
            "<table><tr><td>",
            "<ul><li>",
            "<pre>",
            "<svg>",
            "<template>",
            "<script>",
            "</script",
            "<!--",
            "-->",
            "&#0;",
            "&notit;",
            "<p",
            "<select><option>",
            "<h1>",
            "<math><mtext>",
            "\u{0}",
        ],
        Target::Format(Format::Markdown) => &[
            "# ",
            "\n## ",
            "> ",
            "- ",
            "1. ",
            "```\n",
            "~~~",
            "    ",
            "\n---\n",
            "\n===\n",
            "|a|b|\n|-|-|\n",
            "[a]: b\n",
            "![",
            "](",
            "**",
            "_",
            "`",
            "<b>",
            "$$",
            "\n---\ntitle: x\n---\n",
            "[^1]",
            "&amp;",
            "\t",
            "\r",
        ],
        Target::Format(Format::Text) => &[
            "\u{c}",
            "\u{feff}",
            "\r",
            "\u{2028}",
            ". ",
            "\u{1f468}\u{200d}\u{1f469}",
            "\u{301}",
            "。",
        ],
        Target::Format(Format::Code(_)) => &[
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            "/*",
            "*/",
            "//",
            "#",
            "\"",
            "'",
            "`",
            "\\",
            "\n",
            "\t",
            ";",
            ":",
            "fn f() {",
            "class A {",
            "def f(x):\n    ",
            "func F() {",
            "#if 1\n",
            "@a\n",
            "<T>",
            "=>",
            "r#\"",
            "\"\"\"",
            "${",
        ],
        Target::Source(_) => &[
            "{", "}", "[", "]", "\"", "\\", "\\u0000", ",", ":", "null", "\n", "\"id\"",
            "\"text\"", "\t", "\"\"", "\u{feff}", ";",
        ],
    }
}

fn text(text: &str) -> Input {
    Input::Bytes(text.as_bytes().to_vec())
}

fn archive(parts: &[(&str, &str)]) -> Input {
    let parts = parts.iter();
    Input::Archive(
        parts
            .map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec()))
            .collect(),
    )
}

fn sample(format: Format) -> &'static str {
    match format {
        Format::Text => "One sentence. Another one!\n\nA paragraph\u{c}a page.\n",
        Format::Markdown => {
            "---\ntitle: T\n---\n# A\n\nWords *and* more `code`.\n\n## B\n\n- one\n  1. two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```rust\nfn f() {}\n```\n\n> quote\n\nTitle\n=====\n[link](u) <b>x</b>\n"
        }
        Format::Html => {
            "<!doctype html><html><head><title>T</title></head><body><nav><a href=x>m</a></nav><main><h1>Harbour</h1><p>Dues <b>are</b> paid in <i>advance</i>, and the <a href=\"u\">master</a> keeps the ledger of every ship that lies there.</p><ul><li>one<li>two</ul><table><tr><th>a</th><td>b</td></tr></table><pre><code>x = 1</code></pre></main><script>var a = '<p>';</script></body></html>"
        }
        Format::Code(CodeLanguage::C) => {
            "#include <a.h>\n/* c */\nstruct s { int a; };\nstatic int f(int x) {\n  if (x) { return 1; }\n  return g(\"s\");\n}\n"
        }
        Format::Code(CodeLanguage::Go) => {
            "package p\n\nimport \"fmt\"\n\n// C\ntype T struct{ a int }\n\nfunc (t *T) M(x int) error {\n\tfmt.Println(`r`)\n\treturn nil\n}\n"
        }
        Format::Code(CodeLanguage::Java) => {
            "package p;\n/** D */\n@A\npublic class C<T> extends B {\n  int f(int x) { return x + 1; }\n  interface I { void g(); }\n}\n"
        }
        Format::Code(CodeLanguage::JavaScript) => {
            "// c\nexport const f = async (x) => { return `a${x}`; };\nclass A extends B {\n  m() { return /re/g; }\n}\nfunction* g() { yield 1; }\n"
        }
        Format::Code(CodeLanguage::Python) => {
            "\"\"\"Doc.\"\"\"\nimport os\n\n@decorated\nclass A(B):\n    def f(self, x: int) -> str:\n        # c\n        return f\"{x}\"\n\nasync def g():\n    await h()\n"
        }
        Format::Code(CodeLanguage::Rust) => {
            "//! Doc.\nuse a::b;\n\n/// D\n#[derive(Debug)]\npub struct S<'a, T> { x: &'a T }\n\nimpl<T> S<'_, T> {\n    fn f(&self) -> u8 { match self { _ => 1 } }\n}\nmacro_rules! m { ($x:expr) => { $x }; }\n"
        }
        Format::Code(CodeLanguage::Tsx) => {
            "export const C: FC<P> = ({ a }) => <div className=\"x\">{a ? <B/> : null}</div>;\nfunction f<T,>(x: T) { return <>{x}</>; }\n"
        }
        Format::Code(CodeLanguage::TypeScript) => {
            "interface I<T> { a?: T; }\nenum E { A = 1 }\nabstract class C implements I<string> {\n  private m<T extends U>(x: T): asserts x is V { return; }\n}\nnamespace N { export type X = keyof I<any>; }\n"
        }
    }
}

const JSON: &str = r##"[{"id": "a", "text": "one two three", "title": "T", "uri": "u", "format": "markdown", "metadata": {"n": 1.5, "s": "x", "l": ["p", "q"], "b": true}},
{"_id": 7, "text": "# Head\n\nwords \u00e9 \ud83d\ude00", "other": [[1, {"a": null}]]},
{"id": "c", "text": "fn f() {}", "format": "rust"}]"##;

const CSV: &str = "id,name,price,note\n7,\"Lamp, red\",12.5,\"two\nlines\"\n8,Chair,,\n\n9,\"say \"\"hi\"\"\",1e3,x\n";

fn pdf() -> Input {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Count 2 /Kids [4 0 R 5 0 R] /MediaBox [0 0 595 842] /Resources << /Font << /F 3 0 R /G 8 0 R >> /XObject << /X 9 0 R >> /ExtGState << /E << /ca 0.5 >> >> /ColorSpace << /C [/ICCBased 10 0 R] >> >> >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /BaseEncoding /WinAnsiEncoding /Differences [65 /Aacute /B 200 /germandbls] >> /FirstChar 32 /LastChar 34 /Widths [250 333 408] >>",
        "<< /Type /Page /Parent 2 0 R /Contents 6 0 R >>",
        "<< /Type /Page /Parent 2 0 R /Contents [6 0 R 6 0 R] /Rotate 90 >>",
        "<< /Length LENGTH >>\nstream\nq 1 0 0 1 10 10 cm BT /F 12 Tf 14 TL 72 700 Td (Some \\(words\\) here) Tj T* [(kerned) -250 (text)] TJ /G 10 Tf <00410042> Tj 1 0 0 1 5 5 Tm (x) ' ET /X Do /C cs 0.1 0.2 0.3 sc 0 0 10 10 re f Q /E gs\nendstream",
        "<< /Length LENGTH >>\nstream\n/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <ffff> endcodespacerange 2 beginbfchar <0041> <0061> <0042> <d83dde00> endbfchar 1 beginbfrange <0043> <0050> <0063> endbfrange endcmap end\nendstream",
        "<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H /ToUnicode 7 0 R /DescendantFonts [<< /Type /Font /Subtype /CIDFontType2 /BaseFont /A /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /DW 1000 /W [65 [500 600] 70 80 400] /FontDescriptor << /Type /FontDescriptor /Flags 4 >> >>] >>",
        "<< /Type /XObject /Subtype /Form /BBox [0 0 10 10] /Matrix [1 0 0 1 0 0] /Resources << /Font << /F 3 0 R >> >> /Length LENGTH >>\nstream\nBT /F 9 Tf (in a form) Tj ET q 2 0 0 2 0 0 cm Q\nendstream",
        "<< /N 3 /Alternate /DeviceRGB /Length LENGTH >>\nstream\nabcd\nendstream",
    ];
    Input::Objects(objects.map(with_length).to_vec())
}

/// A stream's length in its place.
fn with_length(object: &str) -> Vec<u8> {
    let content = object.split_once("stream\n").map(|(_, rest)| rest);
    let content = content.and_then(|rest| rest.strip_suffix("\nendstream"));
    let length = content.map_or(0, str::len).to_string();
    object.replace("LENGTH", &length).into_bytes()
}

fn docx() -> Input {
    archive(&[
        (
            "[Content_Types].xml",
            r#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"#,
        ),
        (
            "_rels/.rels",
            r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#,
        ),
        (
            "word/_rels/document.xml.rels",
            r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/><Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/numbering" Target="numbering.xml"/><Relationship Id="rId3" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes" Target="footnotes.xml"/></Relationships>"#,
        ),
        (
            "word/styles.xml",
            r#"<?xml version="1.0"?><w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/><w:basedOn w:val="Normal"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style><w:style w:type="paragraph" w:styleId="Normal"><w:name w:val="Normal"/></w:style></w:styles>"#,
        ),
        (
            "word/numbering.xml",
            r#"<?xml version="1.0"?><w:numbering xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>"#,
        ),
        (
            "word/footnotes.xml",
            r#"<?xml version="1.0"?><w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:footnote w:id="1"><w:p><w:r><w:t>Noted.</w:t></w:r></w:p></w:footnote></w:footnotes>"#,
        ),
        (
            "word/document.xml",
            r#"<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Guide &amp; more</w:t></w:r></w:p><w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr><w:r><w:rPr><w:b/></w:rPr><w:t xml:space="preserve">first </w:t></w:r><w:r><w:footnoteReference w:id="1"/></w:r></w:p><w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/><w:vMerge w:val="restart"/></w:tcPr><w:p><w:r><w:t>a</w:t><w:tab/><w:br/></w:r></w:p></w:tc></w:tr><w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr><w:p/></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl><w:p><w:r><w:fldChar w:fldCharType="begin"/><w:instrText>HYPERLINK "u"</w:instrText><w:fldChar w:fldCharType="separate"/><w:t>link</w:t><w:fldChar w:fldCharType="end"/></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p></w:body></w:document>"#,
        ),
    ])
}

fn odt() -> Input {
    archive(&[
        ("mimetype", "application/vnd.oasis.opendocument.text"),
        (
            "META-INF/manifest.xml",
            r#"<?xml version="1.0"?><m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry m:full-path="/" m:media-type="application/vnd.oasis.opendocument.text"/></m:manifest>"#,
        ),
        (
            "meta.xml",
            r#"<?xml version="1.0"?><office:document-meta xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta><dc:title>The &amp; Text</dc:title></office:meta></office:document-meta>"#,
        ),
        (
            "content.xml",
            r#"<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"><office:automatic-styles><text:list-style style:name="L1"><text:list-level-style-number text:level="1"/></text:list-style><style:style style:name="P1" style:parent-style-name="Title"/></office:automatic-styles><office:body><office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:p text:style-name="P1">Whole</text:p><text:h text:outline-level="2">Part</text:h><text:p>Some<text:s text:c="3"/>words<text:tab/>&lt;here<text:line-break/>two<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>Noted.</text:p></text:note-body></text:note></text:p><text:list text:style-name="L1"><text:list-item><text:p>first</text:p><text:list><text:list-item><text:p>inner</text:p></text:list-item></text:list></text:list-item></text:list><table:table><table:table-row><table:table-cell table:number-columns-repeated="2"><text:p>Na|me</text:p></table:table-cell></table:table-row><table:table-row><table:covered-table-cell/><table:table-cell><text:p>3</text:p></table:table-cell></table:table-row></table:table></office:text></office:body></office:document-content>"#,
        ),
    ])
}

fn epub() -> Input {
    archive(&[
        ("mimetype", "application/epub+zip"),
        (
            "META-INF/container.xml",
            r#"<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"#,
        ),
        (
            "b.opf",
            r#"<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="i">x</dc:identifier><dc:title>The Book</dc:title><dc:language>en</dc:language><meta refines="i" property="p">v</meta></metadata><manifest><item id="two" href="2.xhtml" media-type="application/xhtml+xml"/><item id="one" href="1.xhtml" media-type="application/xhtml+xml" fallback="two"/><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/></manifest><spine><itemref idref="one"/><itemref idref="two" linear="no"/></spine></package>"#,
        ),
        (
            "1.xhtml",
            r#"<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>One</title></head><body><h1>One</h1><p>It was a <b>dark</b> night over the harbour.</p></body></html>"#,
        ),
        (
            "2.xhtml",
            r#"<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><h1>Two</h1><table><tr><td>a</td></tr></table></body></html>"#,
        ),
        (
            "nav.xhtml",
            r#"<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body><nav epub:type="toc"><ol><li><a href="1.xhtml">One</a></li></ol></nav></body></html>"#,
        ),
    ])
}
