use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

/// Terms as text: words as they are, `~stop`, `=whole`, `+part`; a bar before each new position.
fn render(language: Language, text: &str) -> String {
    let mut rendered = String::new();
    let mut position = None;
    for term in Analyzer::new(language).terms(text) {
        if position != Some(term.position) {
            rendered.push_str(if position.is_some() { " | " } else { "" });
        } else {
            rendered.push(' ');
        }
        position = Some(term.position);
        rendered.push_str(match term.kind {
            TermKind::Word => "",
            TermKind::StopWord => "~",
            TermKind::Whole => "=",
            TermKind::Part => "+",
        });
        rendered.push_str(&term.text);
    }
    rendered
}

#[track_caller]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&render(Language::English, text));
}

#[track_caller]
fn check_language(language: Language, text: &str, expected: Expect) {
    expected.assert_eq(&render(language, text));
}

#[test]
fn probe() {
    for text in [
        "RFC 1918",
        "10.0.0.0/8",
        "v1.2.3",
        "CVE-2024-3094",
        "snake_case_name",
        "kebab-case",
        "camelCase",
        "C++",
        "gpt-4o",
        "C#",
        ".NET",
        "F-35",
        "node.js",
        "foo::bar",
        "path/to/file.rs",
        "user@host",
        "RFC1918",
        "URLs and APIs, HTTPServer iPhone",
        "1,000,000 or 1,5",
        "don't l'homme O'Neill's",
        "e-mail U.S.A. U.S.",
        "heat-conduction",
        "Python 3.12 in 2020",
        "C++17, std::vector<int>",
        "日本語 東京2020 ก็ดี",
        "--allow-x --verbose $PATH @angular/core #5",
        "café naïve Straße",
    ] {
        println!("{text}  =>  {}", render(Language::English, text));
    }
}

proptest! {
    #[test]
    fn any_text_gives_sound_terms(text in "\\PC{0,200}", index in 0..Language::ALL.len()) {
        let (language, _) = Language::ALL[index];
        let mut position = 0;
        for term in Analyzer::new(language).terms(&text) {
            prop_assert!(!term.text.is_empty());
            prop_assert!(term.position >= position);
            position = term.position;
        }
    }
}
