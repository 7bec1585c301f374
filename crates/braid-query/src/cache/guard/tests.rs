use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

/// Differences between two questions, each that is one, the same from both sides.
fn differences(one: &str, other: &str) -> String {
    let (one, other) = (Reading::of(one), Reading::of(other));
    let names = Difference::ALL.into_iter().filter(|difference| {
        let found = difference.is_between(&one, &other);
        assert_eq!(found, difference.is_between(&other, &one), "{difference:?}");
        found
    });
    let names: Vec<&str> = names.map(Difference::as_str).collect();
    names.join(" ")
}

#[track_caller]
fn check(pairs: &[(&str, &str)], expected: Expect) {
    let lines = pairs.iter().map(|(one, other)| {
        let mut found = differences(one, other);
        if found.is_empty() {
            found.push_str("same");
        }
        format!("{found:<9}| {one} / {other}\n")
    });
    expected.assert_eq(&lines.collect::<String>());
}

#[test]
fn questions_that_ask_for_different_things_are_told_apart() {
    check(
        &[
            ("How do I enable telemetry?", "How do I disable telemetry?"),
            ("how to lock an account", "how can I unlock an account?"),
            ("install the agent", "uninstall the agent"),
            ("Is the port open?", "Is the port closed?"),
            ("what is the maximum size", "what is the minimum size"),
            ("does it work with a proxy", "does it work without a proxy"),
            ("why can I log in", "why can't I log in"),
            ("why can I log in", "Why can’t I log in"),
            ("What is new in 1.2?", "What is new in 1.3?"),
            ("what changed in 2.0", "what changed"),
            ("run it for two days", "run it for three days"),
            ("what does --force do", "what does --dry-run do"),
            ("what does fetch_all return", "what does fetch_one return"),
            ("Install it on Debian", "Install it on Ubuntu"),
            ("who wrote it", "when was it written"),
            (
                "how do I convert PDF to HTML",
                "how do I convert HTML to PDF",
            ),
            (
                "move rows from a table into a file",
                "move rows from a file into a table",
            ),
            (
                "is a heap faster than a list",
                "is a list faster than a heap",
            ),
            (
                "does the client call the proxy",
                "does the proxy call the client",
            ),
            ("how do I delete a collection", "how do I delete a document"),
        ],
        expect![[r#"
            opposite word| How do I enable telemetry? / How do I disable telemetry?
            opposite word| how to lock an account / how can I unlock an account?
            opposite word| install the agent / uninstall the agent
            opposite word| Is the port open? / Is the port closed?
            opposite word| what is the maximum size / what is the minimum size
            negation | does it work with a proxy / does it work without a proxy
            negation | why can I log in / why can't I log in
            negation | why can I log in / Why can’t I log in
            name word| What is new in 1.2? / What is new in 1.3?
            name     | what changed in 2.0 / what changed
            name word| run it for two days / run it for three days
            name     | what does --force do / what does --dry-run do
            name word| what does fetch_all return / what does fetch_one return
            name word| Install it on Debian / Install it on Ubuntu
            question | who wrote it / when was it written
            order    | how do I convert PDF to HTML / how do I convert HTML to PDF
            order    | move rows from a table into a file / move rows from a file into a table
            order    | is a heap faster than a list / is a list faster than a heap
            order    | does the client call the proxy / does the proxy call the client
            word     | how do I delete a collection / how do I delete a document
        "#]],
    );
}

#[test]
fn questions_that_ask_for_the_same_pass() {
    check(
        &[
            ("How do I enable telemetry?", "how can I turn telemetry on"),
            (
                "How do I delete a collection?",
                "how to remove a collection",
            ),
            (
                "How do I delete a collection?",
                "please tell me how to delete a collection!",
            ),
            ("What's the default port?", "what is the default port"),
            (
                "Can I run it with 2 workers?",
                "can I run it with two workers",
            ),
            ("Install it on Debian 12", "install it on debian 12?"),
            ("How To Install The Agent", "how to install the agent"),
            ("HOW TO INSTALL THE AGENT", "how to install the agent"),
            (
                "On Debian, how do I install it?",
                "How do I install it on Debian?",
            ),
            ("why doesn't it start", "why does it not start"),
            ("installing the agent", "how to install an agent"),
            ("", ""),
            ("???", "!"),
        ],
        expect![[r#"
            same     | How do I enable telemetry? / how can I turn telemetry on
            same     | How do I delete a collection? / how to remove a collection
            same     | How do I delete a collection? / please tell me how to delete a collection!
            same     | What's the default port? / what is the default port
            same     | Can I run it with 2 workers? / can I run it with two workers
            same     | Install it on Debian 12 / install it on debian 12?
            same     | How To Install The Agent / how to install the agent
            same     | HOW TO INSTALL THE AGENT / how to install the agent
            same     | On Debian, how do I install it? / How do I install it on Debian?
            same     | why doesn't it start / why does it not start
            same     | installing the agent / how to install an agent
            same     |  / 
            same     | ??? / !
        "#]],
    );
}

proptest! {
    /// No text makes it fail, a text never differs from itself, and both sides say the same.
    #[test]
    fn a_question_is_itself(one in ".{0,80}", other in "(?:(?:how|why|not|to|from|un|able|A-1|Debian|[a-z]{1,6}) ){0,8}") {
        prop_assert_eq!(differences(&one, &one), "");
        prop_assert_eq!(differences(&other, &other), "");
        differences(&one, &other);
    }

    /// Case and closing punctuation alone tell nothing apart where nothing is a name.
    #[test]
    fn punctuation_is_no_difference(words in "(?:[a-z]{2,6} ){1,6}[a-z]{2,6}") {
        prop_assert_eq!(differences(&words, &format!("{words}?")), "");
    }
}
