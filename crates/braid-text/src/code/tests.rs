use super::*;

/// `name` or `name { member, member }`.
fn outline(definitions: &[Definition]) -> String {
    let one = |definition: &Definition| match definition.members.is_empty() {
        true => definition.name.clone(),
        false => format!("{} {{ {} }}", definition.name, outline(&definition.members)),
    };
    definitions.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[track_caller]
fn check(language: CodeLanguage, text: &str, expected: &str) {
    let found = definitions(text, language);
    assert_eq!(outline(&found), expected, "{language:?}");
    assert_nested(&found, 0..text.len());
}

fn assert_nested(definitions: &[Definition], within: Range<usize>) {
    let mut end = within.start;
    for definition in definitions {
        assert!(definition.range.start >= end, "{definition:?}");
        assert!(definition.range.end <= within.end, "{definition:?}");
        end = definition.range.end;
        assert_nested(&definition.members, definition.range.clone());
    }
}

#[test]
fn every_grammar_fits_the_library() {
    for language in CodeLanguage::ALL {
        let mut parser = Parser::new();
        parser.set_language(&grammar(language)).unwrap();
    }
}

#[test]
fn rust() {
    check(
        CodeLanguage::Rust,
        "use a::b;\n\nconst N: u8 = 1;\n\n/// A.\n#[derive(Debug)]\npub struct A<T>(T);\n\n\
         impl<T> A<T> {\n    /// f\n    pub fn f(&self) -> u8 {\n        fn inner() {}\n        1\n    }\n}\n\
         impl fmt::Display for A<u8> { fn fmt(&self) {} }\n\
         pub(crate) trait T { fn g(); fn h() {} }\nmod m { pub fn k() {} }\nmacro_rules! q { () => {} }\n",
        "A, impl A<T> { f }, impl fmt::Display for A<u8> { fmt }, T { g, h }, m { k }, q",
    );
}

#[test]
fn python() {
    check(
        CodeLanguage::Python,
        "import os\n\n@cache\ndef f(x):\n    def inner(): pass\n    return x\n\n# about A\nclass A(B):\n    x = 1\n\n    \
         @property\n    def y(self):\n        return 1\n\n    async def z(self): pass\n\nif os.name:\n    def g(): pass\nelse:\n    \
         def g(): return 2\n",
        "f, A { y, z }, g, g",
    );
}

#[test]
fn javascript_and_typescript() {
    check(
        CodeLanguage::JavaScript,
        "import x from 'y';\n/** f */\nexport default function f() {}\nexport const g = async (a) => <b>{a}</b>;\nconst n = 1, m = 2;\n\
         class A extends B { static k() {}\n get z() { return 1; } }\nmodule.exports = { f };\n",
        "f, g, A { k, z }",
    );
    check(
        CodeLanguage::TypeScript,
        "export interface P { x: number }\ntype Q = P | null;\nexport enum E { A }\nexport abstract class C<T> { private m(): void {} }\n\
         namespace N { export function h() {} }\ndeclare function d(x: <T>(t: T) => T): void;\nconst u = <any>v;\n",
        "P, Q, E, C { m }, N { h }, d",
    );
    check(
        CodeLanguage::Tsx,
        "export const V = (p: P) => <div>{p.x}</div>;\n",
        "V",
    );
}

#[test]
fn go_java_and_c() {
    check(
        CodeLanguage::Go,
        "package p\n\nimport \"fmt\"\n\n// T is.\ntype T struct{ x int }\n\nfunc (t *T) M(a int) error { return nil }\n\nfunc F() {}\n",
        "T, (t *T) M, F",
    );
    check(
        CodeLanguage::Java,
        "package a;\nimport b.C;\n/** D. */\n@Deprecated\npublic final class D { int x; D() {}\n  <T> T m(T t) { return t; }\n  \
         enum E { X; void n() {} }\n  interface I { void o(); }\n}\nrecord R(int a) {}\n",
        "D { D, m, E { n }, I { o } }, R",
    );
    check(
        CodeLanguage::C,
        "#include <a.h>\n#define N 1\n#define SQ(x) ((x)*(x))\n/* p */\nstruct point { int x; };\ntypedef struct { int y; } other;\n\
         #ifdef A\nstatic const char *f(int (*g)(void)) { return 0; }\n#endif\nint main(void) { struct point p; return 0; }\n",
        "SQ, point, other, f, main",
    );
}

#[test]
fn comments_and_attributes_right_above_belong_to_a_definition() {
    let text = "// licence\n\n// about f\n#[inline]\nfn f() {}\n";
    let found = definitions(text, CodeLanguage::Rust);
    assert_eq!(
        &text[found[0].range.clone()],
        "// about f\n#[inline]\nfn f() {}"
    );
}

#[test]
fn other_comments_do_not() {
    let text = "//! About the crate.\n\n#![allow(dead_code)]\npub mod a;\n\nconst A: u8 = 1; // one\nfn f() {} // after\n\n// apart\n\nfn g() {}\n";
    let found = definitions(text, CodeLanguage::Rust);
    let shown: Vec<&str> = found.iter().map(|it| &text[it.range.clone()]).collect();
    assert_eq!(shown, ["pub mod a;", "fn f() {} // after", "fn g() {}"]);
}

#[test]
fn several_definitions_in_one_declaration_are_found() {
    check(
        CodeLanguage::Go,
        "package p\n\ntype (\n\tA int\n\tB struct{}\n)\n",
        "A, B",
    );
    check(
        CodeLanguage::JavaScript,
        "const f = () => 1, g = function () { return 2; };\n",
        "f, g",
    );
}

#[test]
fn depth_is_measured() {
    let nested = |levels: usize| "(".repeat(levels) + "x" + &")".repeat(levels);
    let is_shallow = |text: &str, limit| {
        let effort = Effort::of(text.len());
        is_shallow(text, CodeLanguage::Python, limit, &effort)
    };
    assert!(is_shallow(&nested(10), 40));
    assert!(!is_shallow(&nested(100), 40));
    assert!(is_shallow("", 1));
}

#[test]
fn what_is_no_program_has_what_can_be_made_out() {
    check(
        CodeLanguage::Rust,
        "fn ok() {}\n}}}} %% fn also_ok() { 1 }\n",
        "ok, also_ok",
    );
    for language in CodeLanguage::ALL {
        check(language, "", "");
        check(language, "\u{0}\u{feff} ünï ☃ \n\n", "");
    }
}

#[test]
fn deep_nesting_ends() {
    let text = "mod a { ".repeat(20_000) + &"}".repeat(20_000);
    let found = definitions(&text, CodeLanguage::Rust);
    assert!(found.len() <= 1);
    let brackets = "(".repeat(200_000);
    definitions(&brackets, CodeLanguage::Python);
}

/// Found by fuzzing: 128 KiB of it took ten seconds.
#[test]
fn text_that_the_parser_would_try_many_readings_of_is_given_up() {
    let open = format!("static int f({}", "i(".repeat(8_000));
    let is_parsed = |text: &str| {
        let reads = Reads::of(text);
        parse_reading(&reads, CodeLanguage::C, &|| true).is_some()
    };
    assert!(!is_parsed(&open));
    assert!(is_parsed("static int f(int i) { return g(i); }"));
}

/// Found by fuzzing: 12 KiB of it took ten seconds, most of them in the lexer.
#[test]
fn text_that_the_lexer_reads_to_the_end_again_and_again_is_given_up() {
    let hostile = [
        (CodeLanguage::C, "Ei/*n ".repeat(2_049)),
        (CodeLanguage::C, "#include <a.h>\n/* def ".repeat(4_000)),
        (
            CodeLanguage::C,
            "int f(int x) { retu/*rn 1; }\n".repeat(4_000),
        ),
    ];
    for (language, text) in hostile {
        let reads = Reads::of(&text);
        assert!(parse_reading(&reads, language, &|| true).is_none());
        assert!(reads.are_spent());
    }
}

#[test]
fn programs_are_read_a_few_times() {
    let rust = include_str!("mod.rs").repeat(8);
    let c = "/* c */\nstatic const char *f(int (*g)(void)) { return g(\"s\"); }\n".repeat(800);
    let script =
        "// c\nexport const f = async (x) => { return `a${x}` + /r/.test(x); };\n".repeat(800);
    let programs = [
        (CodeLanguage::Rust, rust),
        (CodeLanguage::C, c),
        (CodeLanguage::TypeScript, script.clone()),
        (CodeLanguage::Tsx, script),
    ];
    for (language, text) in programs {
        let reads = Reads::of(&text);
        assert!(
            parse_reading(&reads, language, &|| true).is_some(),
            "{language:?}"
        );
        assert!(reads.times() <= 6, "{language:?}: {}", reads.times());
    }
    let unclosed =
        "int a;\n/* not closed\n".to_owned() + &"static int f(int x) { return 1; }\n".repeat(800);
    let reads = Reads::of(&unclosed);
    assert!(parse_reading(&reads, CodeLanguage::C, &|| true).is_some());
}

/// Found by fuzzing: 128 KiB of it took four seconds before its count was up.
#[test]
fn text_that_falls_behind_is_given_up_at_once() {
    let text = "last".to_owned() + &"${".repeat(60_000);
    let reads = Reads::of(&text);
    assert!(parse_reading(&reads, CodeLanguage::Java, &|| true).is_none());
    assert_eq!(reads.times(), 0, "after less than the whole text");
}

#[test]
fn syntax_is_given_up_when_its_time_is_over() {
    let text = "int f(int x) { return x; }\n".repeat(400);
    let (some, none) = (Effort::of(text.len()), Effort::none());
    let found = |effort| definitions_within(&text, CodeLanguage::C, effort).len();
    assert_eq!((found(&some), found(&none)), (400, 0));
    assert!(is_shallow(&text, CodeLanguage::C, 100, &some));
    assert!(!is_shallow(&text, CodeLanguage::C, 100, &none));
}

/// Found by fuzzing: a text that ended once it had been read too often ended the process.
#[test]
fn a_text_that_is_read_too_often_stays_what_it_is() {
    let text = "ประโยค\u{200b}\u{301} /*\u{c} seite\r\n\r\nlast".repeat(513);
    for language in CodeLanguage::ALL {
        let reads = Reads::of(&text);
        parse_reading(&reads, language, &|| true);
    }
}
