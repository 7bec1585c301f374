//! Programs, cut at their definitions.

use braid_core::CodeLanguage;
use expect_test::{Expect, expect};

use super::tests::check_chunks;
use super::*;

#[track_caller]
fn check_code(language: CodeLanguage, target: usize, text: &str, expected: &Expect) {
    check_chunks(text, Markup::Code(language), target, expected);
}

#[test]
fn programs_are_cut_at_their_definitions() {
    let text = "use std::fmt;\n\n/// A point in the plane.\nstruct Point { x: f64, y: f64 }\n\n\
        impl Point {\n    /// Its distance from the origin.\n    fn norm(&self) -> f64 {\n        self.x.hypot(self.y)\n    }\n\n    \
        fn scaled(self, by: f64) -> Self {\n        Point { x: self.x * by, y: self.y * by }\n    }\n}\n";
    check_code(
        CodeLanguage::Rust,
        48,
        text,
        &expect![[r#"
             | "use std::fmt;"
            Point | "/// A point in the plane.\nstruct Point { x: f64, y: f64 }"
            impl Point > norm | "impl Point {\n    /// Its distance from the origin.\n    fn norm(&self) -> f64 {\n        self.x.hypot(self.y)\n    }"
            impl Point > scaled | "    fn scaled(self, by: f64) -> Self {\n        Point { x: self.x * by, y: self.y * by }\n    }\n}"
        "#]],
    );
    check_code(
        CodeLanguage::Rust,
        400,
        text,
        &expect![[r#"
         | "use std::fmt;\n\n/// A point in the plane.\nstruct Point { x: f64, y: f64 }"
        impl Point | "impl Point {\n    /// Its distance from the origin.\n    fn norm(&self) -> f64 {\n        self.x.hypot(self.y)\n    }\n\n    fn scaled(self, by: f64) -> Self {\n        Point { x: self.x * by, y: self.y * by }\n    }\n}"
    "#]],
    );
}

#[test]
fn a_function_that_does_not_fit_is_cut_between_statements() {
    let text = "def load(path):\n    handle = open(path)\n    rows = parse(handle.read(), strict=True)\n    \
        for row in rows:\n        check(row)\n        store(row, table=\"rows\")\n    return len(rows)\n";
    check_code(
        CodeLanguage::Python,
        24,
        text,
        &expect![[r#"
        load | "def load(path):"
        load | "handle = open(path)\n    rows = parse(handle.read(), strict=True)"
        load | "for row in rows:\n        check(row)\n        store(row, table=\"rows\")"
        load | "return len(rows)"
    "#]],
    );
}

#[test]
fn brackets_and_semicolons_are_no_chunks() {
    let text = "struct first_thing { int alpha; int beta; int gamma; };\nstruct second_thing { int delta; int epsilon; };\n";
    check_code(
        CodeLanguage::C,
        24,
        text,
        &expect![[r#"
        first_thing | "struct first_thing { int alpha; int beta; int gamma; };"
        second_thing | "struct second_thing { int delta; int epsilon; };"
    "#]],
    );
}

#[test]
fn short_neighbours_share_a_chunk() {
    let text = "class Pair {\n  int a() { return a; }\n  int b() { return b; }\n  int c() { return c; }\n  \
        void swap(Pair other) { int kept = this.first; this.first = other.first; other.first = kept; int also = this.second; this.second = other.second; other.second = also; int last = this.third; this.third = other.third; other.third = last; }\n}\n";
    check_code(
        CodeLanguage::Java,
        112,
        text,
        &expect![[r#"
            Pair | "class Pair {\n  int a() { return a; }\n  int b() { return b; }"
            Pair > c | "  int c() { return c; }"
            Pair > swap | "  void swap(Pair other) { int kept = this.first; this.first = other.first; other.first = kept; int also = this.second; this.second = other.second; other.second = also; int last = this.third; this.third = other.third; other.third = last; }\n}"
        "#]],
    );
}
