use proptest::prelude::*;

use super::*;

/// The text, and the conditions as they are written.
fn read(query: &str) -> (String, Vec<String>) {
    let parsed = parse_query(query);
    let conditions = parsed.conditions.iter().map(ToString::to_string);
    (parsed.text, conditions.collect())
}

#[track_caller]
fn check(query: &str, text: &str, conditions: &[&str]) {
    let (found, said) = read(query);
    let said: Vec<&str> = said.iter().map(String::as_str).collect();
    assert_eq!((&*found, &said[..]), (text, conditions), "{query}");
}

#[test]
fn operators_are_read() {
    check(r#""exact phrase""#, "exact phrase", &[r#""exact phrase""#]);
    check(r#"a "b  c", d"#, "a b c, d", &[r#""b  c""#]);
    check("rust -python", "rust", &[r#"-"python""#]);
    check(
        "rust -python, -e-mail.",
        "rust , .",
        &[r#"-"python""#, r#"-"e-mail""#],
    );
    check(r#"rust -"snake case""#, "rust", &[r#"-"snake case""#]);
    check("title:rust book", "rust book", &[r#"title:"rust""#]);
    check(
        r#"heading:"getting started" body:x -title:draft now"#,
        "getting started x now",
        &[
            r#"heading:"getting started""#,
            r#"body:"x""#,
            r#"-title:"draft""#,
        ],
    );
    check("(\"a b\")", "(a b)", &[r#""a b""#]);
    check("\u{201c}a b\u{201d} c", "a b c", &[r#""a b""#]);
    check("\u{201e}a b\u{201c} c", "a b c", &[r#""a b""#]);
    check("\"a\" x \"a\"", "a x a", &[r#""a""#]);
    check("-\u{e9}t\u{e9} mer", "mer", &["-\"\u{e9}t\u{e9}\""]);
}

const PLAIN: &[&str] = &[
    "how are deleted documents hidden?",
    "\"unbalanced",
    "unbalanced\" quote",
    "a \"b",
    "\"\"",
    "\"???\"",
    "\"a\"b",
    "5\" pipe and 6\" pipe",
    "it's \"",
    "-",
    "a - b",
    "a -- b",
    "--flag",
    "grep -r x",
    "-1",
    "5 -1",
    "-1.5 volts",
    "-C:\\x",
    "C:\\x",
    "http://x.example/title:a",
    "12:30",
    "std::vec",
    "e-mail",
    "CVE-2024-3094",
    "author:smith",
    "-author:smith",
    "title: rust",
    "title:",
    "title::x",
    "Title:rust",
    "subtitle:rust",
    "-title:",
    "a -(b)",
    "-draft",
    "-\"only this\"",
    "",
    " \t\n",
    "\u{2013}dash",
];

#[test]
fn everything_else_is_text_to_the_byte() {
    for query in PLAIN {
        let parsed = parse_query(query);
        assert_eq!(parsed, ParsedQuery::plain(query), "{query:?}");
    }
}

#[test]
fn a_pasted_text_is_text() {
    let most = "x ".to_owned() + &"-ab ".repeat(MAX_OPERATORS);
    let parsed = parse_query(&most);
    assert_eq!(parsed.text, "x");
    assert_eq!(parsed.conditions.len(), 1, "the same said twice is one");
    let more = most + "-ab";
    let parsed = parse_query(&more);
    assert!(parsed.has_too_many);
    assert_eq!(parsed.text, more);
    assert!(parsed.conditions.is_empty());
}

fn fragments() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("\"".to_owned()),
        Just("-".to_owned()),
        Just("title:".to_owned()),
        Just("body:".to_owned()),
        Just(" ".to_owned()),
        Just("\u{201c}".to_owned()),
        Just("\u{201d}".to_owned()),
        "[a-z]{1,3}",
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(fragment, 0..30).prop_map(|all| all.concat())
}

proptest! {
    #[test]
    fn any_text_is_a_query(query in prop_oneof![any::<String>(), fragments()]) {
        let parsed = parse_query(&query);
        prop_assert!(parsed.conditions.len() <= MAX_OPERATORS);
        if parsed.conditions.is_empty() {
            prop_assert_eq!(&parsed.text, &query);
        } else {
            prop_assert!(parsed.text.chars().any(char::is_alphanumeric));
            prop_assert!(parsed.text.len() <= query.len());
        }
        for condition in &parsed.conditions {
            prop_assert!(condition.text.chars().any(char::is_alphanumeric));
            prop_assert!(query.contains(&condition.text), "{:?}", condition);
        }
    }

    #[test]
    fn words_without_marks_are_no_syntax(query in "[a-zA-Z0-9 ?.,!']{0,80}") {
        prop_assert_eq!(parse_query(&query), ParsedQuery::plain(&query));
    }

    #[test]
    fn what_was_written_as_an_operator_is_read_as_one(
        phrase in "[a-z]{2,8}( [a-z]{2,8}){0,3}",
        word in "[a-z]{2,8}",
        is_excluded in any::<bool>(),
        field in prop::option::of(prop::sample::select(TextField::ALL.map(|(field, _)| field).to_vec())),
    ) {
        let condition = TextCondition { text: phrase, field, is_excluded };
        let parsed = parse_query(&format!("{word} {condition}"));
        prop_assert_eq!(&parsed.conditions, std::slice::from_ref(&condition));
        let kept = if is_excluded { word } else { format!("{word} {}", condition.text) };
        prop_assert_eq!(parsed.text, kept);
    }
}
