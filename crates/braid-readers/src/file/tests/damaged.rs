//! What fuzzing found: files that made a parser panic, or end the process. Each is the least that
//! does it.

use pdf_extract::Dictionary;

use super::*;

const TYPE: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";

/// The library adds one to a level of 255, which is one too many for its type: a panic where
/// arithmetic is checked, a paragraph where it is not.
#[test]
fn a_word_document_with_an_impossible_level_fails_alone() {
    let styles = format!(
        r#"<w:styles xmlns:w="{TYPE}"><w:style w:type="paragraph" w:styleId="H"><w:name w:val="h"/><w:pPr><w:outlineLvl w:val="255"/></w:pPr></w:style></w:styles>"#
    );
    let document = format!(
        r#"<w:document xmlns:w="{TYPE}"><w:body>{}</w:body></w:document>"#,
        paragraph(Some("H"), "Words")
    );
    let content =
        r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#;
    let file = archive(&[
        ("[Content_Types].xml", content),
        ("word/styles.xml", &styles),
        ("word/document.xml", &document),
    ]);
    match parse(FileKind::Docx, &file) {
        Ok(parsed) => assert_eq!(parsed.text.trim(), "Words"),
        Err(reason) => assert!(
            reason.starts_with("damaged: reading it as docx"),
            "{reason}"
        ),
    }
}

/// The page tree of `pages`, and the first page in it.
fn tree(document: &Document) -> ((u32, u16), (u32, u16)) {
    let (_, page) = document.get_pages().into_iter().next().unwrap();
    let parent = document.get_dictionary(page).unwrap().get(b"Parent");
    (parent.unwrap().as_reference().unwrap(), page)
}

/// What a page inherits is looked for in its parents.
#[test]
fn a_page_tree_that_goes_round_ends() {
    let circle = |without: &[u8]| {
        let mut document = pdf(&["One", "Two"], None);
        let (parent, _) = tree(&document);
        let node = document.get_dictionary_mut(parent).unwrap();
        node.set("Parent", parent);
        node.remove(without);
        parse(FileKind::Pdf, &bytes(document))
    };
    for needed in [&b"MediaBox"[..], b"Resources"] {
        let reason = circle(needed).unwrap_err();
        assert!(
            reason.contains("none of its 2 pages can be read"),
            "{reason}"
        );
    }
    let harmless = circle(b"Nothing").unwrap();
    assert_eq!(harmless.text, "One\n\u{c}Two\n\u{c}");
}

/// Has the first page draw the form `X`, of these, before its text.
fn draw_first(document: &mut Document, forms: Dictionary) {
    let (parent, page) = tree(document);
    let parent = document.get_dictionary(parent).unwrap();
    let resources = parent.get(b"Resources").and_then(Object::as_reference);
    let mut resources = document.get_dictionary(resources.unwrap()).unwrap().clone();
    resources.set("XObject", forms);
    let draw = document.add_object(Stream::new(dictionary! {}, b"/X Do".to_vec()));
    let page = document.get_dictionary_mut(page).unwrap();
    let text = page.get(b"Contents").unwrap().clone();
    page.set("Contents", vec![draw.into(), text]);
    page.set("Resources", resources);
}

#[test]
fn a_form_that_draws_itself_costs_its_page_alone() {
    let read = |drawn: &[u8], has_resources: bool| {
        let mut document = pdf(&["One", "Two"], None);
        let form = document.add_object(Stream::new(dictionary! {}, drawn.to_vec()));
        let empty = document.add_object(Stream::new(dictionary! {}, vec![]));
        let forms = dictionary! { "X" => form, "Y" => empty };
        if has_resources {
            let stream = document
                .get_object_mut(form)
                .and_then(Object::as_stream_mut);
            let resources = dictionary! { "XObject" => forms.clone() };
            stream.unwrap().dict.set("Resources", resources);
        }
        draw_first(&mut document, forms);
        parse(FileKind::Pdf, &bytes(document)).unwrap().text
    };
    for has_resources in [true, false] {
        assert_eq!(read(b"/Y Do /X Do", has_resources), "\u{c}Two\n\u{c}");
        assert_eq!(read(b"/Y Do /Y Do", has_resources), "One\n\u{c}Two\n\u{c}");
    }
}

/// Each form draws the next ten times over.
#[test]
fn forms_that_multiply_cost_their_page_alone() {
    let read = |levels: usize| {
        let mut document = pdf(&["One", "Two"], None);
        let mut last = document.add_object(Stream::new(dictionary! {}, vec![]));
        for _ in 0..levels {
            let forms = dictionary! { "XObject" => dictionary! { "X" => last } };
            let form = dictionary! { "Resources" => forms };
            last = document.add_object(Stream::new(form, b"/X Do\n".repeat(10)));
        }
        draw_first(&mut document, dictionary! { "X" => last });
        parse(FileKind::Pdf, &bytes(document)).unwrap().text
    };
    assert_eq!(read(10), "\u{c}Two\n\u{c}");
    assert_eq!(read(2), "One\n\u{c}Two\n\u{c}");
}

#[test]
fn a_list_without_a_style_is_numbered_by_that_of_its_paragraphs() {
    let numbered = |name: &str, level: u8| {
        format!(
            r#"<text:list-style style:name="{name}"><text:list-level-style-number text:level="{level}"/></text:list-style>"#
        )
    };
    let style = |name: &str, attributes: &str| {
        format!(r#"<style:style style:name="{name}" {attributes}/>"#)
    };
    let shared = numbered("One", 1)
        + &numbered("Two", 2)
        + &style("Numbered", r#"style:list-style-name="One""#)
        + &style("Inner", r#"style:list-style-name="Two""#);
    let own = style("P1", r#"style:parent-style-name="Numbered""#)
        + &style(
            "P2",
            r#"style:parent-style-name="Numbered" style:list-style-name="""#,
        )
        + &style("Round", r#"style:parent-style-name="Round""#);
    let item = |style: &str, text: &str, inner: &str| {
        format!(
            r#"<text:list-item><text:p text:style-name="{style}">{text}</text:p>{inner}</text:list-item>"#
        )
    };
    let list = |items: &str| format!("<text:list>{items}</text:list>");
    let inner = list(&(item("Inner", "x", "") + &item("P1", "y", "")));
    let items = item("P1", "a", &inner) + &item("P2", "b", "") + &item("P1", "c", "");
    let body = list(&items) + "<text:p>and</text:p>" + &list(&item("Round", "d", ""));
    let parsed = parse(FileKind::Odt, &odt_sharing(&shared, &own, &body)).unwrap();
    assert_eq!(
        parsed.text.trim_end(),
        "1. a\n   1. x\n   - y\n- b\n3. c\n\nand\n\n- d"
    );
}
