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
fn words_are_lower_cased_folded_and_stemmed() {
    check(
        "Retrieving the documents, café and Straße",
        expect!["retriev | ~the | document | cafe | ~and | strass"],
    );
    check(
        "don't l'homme O'Neill's rock 'n' roll",
        expect!["don | ~t | ~l | homm | ~o | neill | ~s | rock | n | roll"],
    );
    check(
        "WHO decides who is IT",
        expect!["~who who | decid | ~who | ~is | ~it it"],
    );
}

#[test]
fn identifiers_are_whole_and_parts() {
    check("RFC 1918", expect!["rfc | =rfc-1918 1918"]);
    check("RFC1918", expect!["rfc1918 =rfc-1918 +rfc +1918"]);
    check(
        "10.0.0.0/8",
        expect!["=10.0.0.0/8 =10.0.0.0 10 | +0 | +0 | +0 | +8"],
    );
    check("v1.2.3", expect!["=v1.2.3 =1.2.3 v1 =v-1 +1 | +2 | +3"]);
    check("CVE-2024-3094", expect!["=cve-2024-3094 cve | 2024 | 3094"]);
    check(
        "snake_case_name",
        expect!["=snake_case_name snake | case | name"],
    );
    check("kebab-case", expect!["=kebab-case +kebabcas kebab | case"]);
    check("camelCase", expect!["camelcas =camelcase +camel +case"]);
    check(
        "HTTPServer iPhone URLs",
        expect!["httpserver =httpserver +http +server | iphon =iphone +phone | url"],
    );
    check("gpt-4o", expect!["=gpt-4o gpt | 4o +4"]);
    check("F-35", expect!["=f-35 +f | 35"]);
    check("node.js", expect!["=node.js node | js"]);
    check("foo::bar->baz", expect!["=foo::bar->baz foo | bar | baz"]);
    check(
        "path/to/file.rs",
        expect!["=path/to/file.rs =file.rs path | ~to | file | rs"],
    );
    check(
        r"C:\temp\a.txt",
        expect![[r#"=c:\temp\a.txt =a.txt +c | temp | ~a | txt"#]],
    );
    check(
        "user@mail.example.org",
        expect!["=user@mail.example.org =mail.example.org user | mail | exampl | org"],
    );
}

#[test]
fn symbols_at_the_edges_belong_to_names() {
    check(
        "C++, C# and .NET",
        expect!["=c++ c | =c# c | ~and | =.net net"],
    );
    check("C++17", expect!["=c++17 =c++ +c | 17"]);
    check(
        "--verbose $PATH @angular/core #5",
        expect![
            "=--verbose verbos | =$path path | =@angular/core =angular/core angular | core | =#5 5"
        ],
    );
    check(
        "the end. Next... (really)! a--b",
        expect!["~the | end | next | realli | ~a | b"],
    );
}

#[test]
fn compounds_are_also_written_together() {
    check(
        "e-mail U.S.A. non-linear",
        expect![
            "=e-mail +email +e | mail | =u.s.a +usa +u | +s | ~a | =non-linear +nonlinear non | linear"
        ],
    );
    check(
        "1,000,000 and 1,5 or 3.14",
        expect!["=1,000,000 1000000 | ~and | =1,5 +1 | +5 | ~or | =3.14 +3 | 14"],
    );
}

#[test]
fn a_word_and_its_number_are_one() {
    check(
        "Python 3.12 in 2020, section  4",
        expect!["python | =python-3.12 =3.12 +3 | 12 | ~in | 2020 | section | 4"],
    );
}

#[test]
fn scripts_without_spaces_give_pairs() {
    check(
        "日本語 水 東京2020年",
        expect!["日本 +日 | 本語 +本 | +語 | 水 | 東京 +東 | +京 | 2020 | 年"],
    );
    check("ก็ดี", expect!["ก็ +ก | ็ด +็ | ดี +ด | +ี"]);
}

#[test]
fn typography_does_not_matter() {
    check(
        "don\u{2019}t kebab\u{2011}case soft\u{ad}ware \u{ff32}\u{ff26}\u{ff23} ﬁne",
        expect!["don | ~t | =kebab-case +kebabcas kebab | case | softwar | rfc | fine"],
    );
    check(
        "Braid™ x² nai\u{308}ve",
        expect!["braid | x2 =x-2 +2 | naiv"],
    );
}

#[test]
fn languages_have_their_own_words() {
    check_language(
        Language::German,
        "Die Häuser und Straßen",
        expect!["~die | haus | ~und | strass"],
    );
    check_language(
        Language::French,
        "l'été des chevaux",
        expect!["~l | ete | ~des | cheval"],
    );
    check_language(
        Language::Turkish,
        "ISPARTA İstanbul",
        expect!["ispar | istanbul"],
    );
    check_language(Language::Greek, "Οι άνθρωποι", expect!["~οι | ανθρωπ"]);
    check_language(
        Language::Russian,
        "Книги и ёлки",
        expect!["книг | ~и | елк"],
    );
    check_language(
        Language::None,
        "The Running café",
        expect!["the | running | cafe"],
    );
}

#[test]
fn long_runs_are_cut_not_lost() {
    let long = "a".repeat(10_000);
    let terms = Analyzer::new(Language::English).terms(&long);
    assert_eq!(terms.len(), 1);
    assert_eq!(terms[0].text.len(), 128);
    let path = "part/".repeat(500);
    let terms = Analyzer::new(Language::English).terms(&path);
    let words = terms.iter().filter(|term| term.kind == TermKind::Word);
    assert_eq!(words.count(), 500);
}

#[test]
fn arabic_is_found_however_it_is_typed() {
    let arabic = |text| render(Language::Arabic, text);
    for (one, other) in [
        ("كِتَابٌ", "كتاب"),
        ("الحـــوت", "الحوت"),
        ("أحمد", "احمد"),
        ("الإنفلونزا", "الانفلونزا"),
        ("آخر", "اخر"),
        ("مستشفى", "مستشفي"),
        ("مدرسة", "مدرسه"),
        ("کتاب", "كتاب"),
    ] {
        assert_eq!(arabic(one), arabic(other), "{one} {other}");
        let english = |text| render(Language::English, text);
        assert_eq!(english(one), english(other), "{one} {other}");
    }
    check_language(Language::Arabic, "إلى أن", expect!["~الي | ~ان"]);
}

#[test]
fn cyrillic_letters_that_few_type_are_folded() {
    for language in [Language::Russian, Language::Ukrainian, Language::English] {
        let terms = |text| render(language, text);
        assert_eq!(terms("ЁЛКА"), terms("елка"));
        assert_eq!(terms("ґанок"), terms("ганок"));
    }
}

#[test]
fn stems_are_remembered_by_language() {
    let terms = |language| render(language, "nationally runs");
    let (english, german) = (terms(Language::English), terms(Language::German));
    assert_ne!(english, german);
    assert_eq!(english, terms(Language::English));
    assert_eq!(german, terms(Language::German));
}

/// Plain prose has the words that Unicode's own rules (UAX #29) find.
#[test]
fn words_of_prose_are_those_of_unicode() {
    use unicode_segmentation::UnicodeSegmentation;

    let prose =
        "Ein Größenwahn? «Привет, мир!» — said Zoë; Ελλάδα (2020): देवनागरी, ¡olé! שלום “עולם”… ok.";
    let terms = Analyzer::new(Language::None).terms(prose);
    let words = terms.iter().filter(|term| term.kind == TermKind::Word);
    assert_eq!(words.count(), prose.unicode_words().count());
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
