use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check(html: &str, expected: &Expect) {
    let read = extract(html).unwrap();
    expected.assert_eq(&format!("{:?}\n{}\n", read.title, read.text));
}

const ARTICLE: &str = r#"<!DOCTYPE html><html><head><title>Install guide | Site</title>
<style>p { color: red }</style><script>var a = "<div>";</script></head>
<body><nav><a href="/">Home</a> <a href="/docs">Docs</a></nav>
<article><h1>Install guide</h1>
<p>The first paragraph says what <b>this</b> page is about, at some length, so that it counts as content.</p><p>The second one follows
<a href="https://example.com/a_b">a link</a>, names <code>snake_case_name</code> and c++ &amp; R &lt;3.</p>
<h2>Steps</h2><ul><li>first step, with a comma, to be done</li><li>second step<ul><li>and its detail</li></ul></li></ul>
<ol><li>one</li><li>two</li></ol>
<pre><code class="language-sh">a_b --flag *
  &lt;indented&gt;</code></pre>
<table><thead><tr><th>Key</th><th>Default</th></tr></thead><tbody><tr><td>a_b</td><td>1</td></tr><tr><td></td><td>long long value</td></tr></tbody></table>
<img src="x.png" alt="a diagram"><img src="y.png">
<p>A last paragraph that closes the article, long enough, again, to be taken for content by anyone.</p></article>
<footer>Copyright</footer></body></html>"#;

#[test]
fn the_main_content_becomes_markdown() {
    check(
        ARTICLE,
        &expect![[r#"
        Some("Install guide | Site")
        The first paragraph says what this page is about, at some length, so that it counts as content.

        The second one follows a link, names `snake_case_name` and c++ & R <3.

        ## Steps

        - first step, with a comma, to be done
        - second step
          - and its detail

        1. one
        2. two

        ```
        a_b --flag *
          <indented>
        ```

        | Key | Default |
        | --- | --- |
        | a_b | 1 |
        |  | long long value |

        a diagram

        A last paragraph that closes the article, long enough, again, to be taken for content by anyone.
    "#]],
    );
}

#[test]
fn a_short_page_is_taken_whole() {
    check(
        "<p>Hello <em>there</em></p><div>and<br>here</div>",
        &expect![[r#"
            None
            Hello there

            and  
            here
        "#]],
    );
    check(
        "<title>T</title><h1>Head</h1><p>x",
        &expect![[r#"
        Some("T")
        ## Head

        x
    "#]],
    );
    check(
        "<h1>Only</h1>",
        &expect![[r#"
            Some("Only")
            ## Only
        "#]],
    );
}

#[test]
fn what_is_not_html_is_still_text() {
    check(
        "just a < b && c > d words",
        &expect![[r#"
        None
        just a < b && c > d words
    "#]],
    );
    check(
        "",
        &expect![[r#"
        None

    "#]],
    );
    check(
        "<<<>><p",
        &expect![[r#"
        None
        <<<>>
    "#]],
    );
}

#[test]
fn layout_tables_become_blocks() {
    let html =
        "<table><tr><td><h2>A</h2><p>one</p></td><td><p>two</p><p>three</p></td></tr></table>";
    check(
        html,
        &expect![[r#"
            Some("A")
            ## A

            one

            two

            three
        "#]],
    );
}

#[test]
fn a_table_in_a_cell_stays_a_table() {
    let inner = "<table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2</td></tr></table>";
    check(
        &format!("<table><tr><td>{inner}</td><td>beside</td></tr></table>"),
        &expect![[r#"
        None
        | k | v |
        | --- | --- |
        | 1 | 2 |

        beside
    "#]],
    );
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    for unit in [
        "<div>",
        "<b>",
        "<ul><li>",
        "<table><tr><td>",
        "<x-y>",
        "<svg><g>",
        // Found by fuzzing: end tags that close nothing do not make it less deep.
        "<main><h1>x</a></nav>",
        "<div><table><tr><td></div>",
    ] {
        let error = extract(&unit.repeat(100_000)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UnreadableDocument, "{unit}");
    }
}

/// The deepest that the guard lets pass, with end tags left out where that hides depth from it.
#[test]
fn nesting_within_the_limit_is_read() {
    for unit in [
        "<div>",
        "<table><tr><td>",
        "<ul><li>",
        "<b>",
        "<blockquote><p>",
    ] {
        let html = format!("{}<p>the text", unit.repeat(500));
        let read = extract(&html).unwrap();
        assert!(read.text.contains("the text"), "{unit}");
    }
}

#[test]
fn open_formatting_elements_are_bounded() {
    let mut html = String::new();
    for index in 0..400 {
        write!(html, "<b id={index}>").unwrap();
    }
    html.push_str(&"<p>x".repeat(10_000));
    assert_eq!(
        extract(&html).unwrap_err().code(),
        ErrorCode::UnreadableDocument
    );
}

#[test]
fn many_open_list_items_are_not_deep() {
    let html = format!(
        "<ul>{}</ul>",
        "<li>an item of a long list<p>with text".repeat(5000)
    );
    assert!(extract(&html).unwrap().text.contains("- an item"));
}

#[test]
fn one_wide_cell_does_not_widen_every_row() {
    let rows = "<tr><td>a</td><td>b</td></tr>".repeat(2000);
    let html = format!(
        "<table><tr><td>{}</td></tr>{rows}</table>",
        "wide ".repeat(20_000)
    );
    assert!(extract(&html).unwrap().text.len() < 2 * html.len());
}

/// Found by fuzzing: looking for the end of each again would take hours for this much of it.
#[test]
fn what_is_not_closed_is_looked_for_once() {
    for piece in [
        "<script>",
        "<a",
        "<!--",
        "<title></",
        "<STYLE/",
        "<textarea </textare",
    ] {
        let html = piece.repeat((4 << 20) / piece.len());
        assert!(super::guard::check(&html).is_ok(), "{piece}");
    }
}
