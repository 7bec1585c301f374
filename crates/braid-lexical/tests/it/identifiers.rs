use braid_core::Language;

use crate::{found, index_of};

/// An identifier as documents write it, other ways to write it whole, and its parts.
struct Case {
    written: &'static str,
    also: &'static [&'static str],
    parts: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        written: "RFC 1918",
        also: &["rfc 1918", "RFC1918", "rfc-1918"],
        parts: &["rfc", "1918"],
    },
    Case {
        written: "RFC1918",
        also: &["RFC 1918"],
        parts: &["rfc", "1918"],
    },
    Case {
        written: "10.0.0.0/8",
        also: &["10.0.0.0"],
        parts: &["10", "8"],
    },
    Case {
        written: "v1.2.3",
        also: &["V1.2.3", "1.2.3"],
        parts: &["v1"],
    },
    Case {
        written: "CVE-2024-3094",
        also: &["cve-2024-3094", "CVE 2024 3094"],
        parts: &["cve", "2024", "3094"],
    },
    Case {
        written: "snake_case_name",
        also: &["SNAKE_CASE_NAME"],
        parts: &["snake", "case", "name", "snakes"],
    },
    Case {
        written: "kebab-case",
        also: &["Kebab-Case", "kebab case"],
        parts: &["kebab", "case"],
    },
    Case {
        written: "camelCase",
        also: &["camelcase", "CamelCase"],
        parts: &["camel", "case"],
    },
    Case {
        written: "HTTPServerError",
        also: &["httpservererror"],
        parts: &["http", "server", "error"],
    },
    Case {
        written: "C++",
        also: &["c++"],
        parts: &["c"],
    },
    Case {
        written: "C++17",
        also: &["c++"],
        parts: &["17"],
    },
    Case {
        written: "C#",
        also: &["c#"],
        parts: &["c"],
    },
    Case {
        written: ".NET",
        also: &[".net"],
        parts: &["net"],
    },
    Case {
        written: "gpt-4o",
        also: &["GPT-4o"],
        parts: &["gpt", "4o"],
    },
    Case {
        written: "F-35",
        also: &["f-35", "F35"],
        parts: &["35"],
    },
    Case {
        written: "node.js",
        also: &["Node.js"],
        parts: &["node", "js"],
    },
    Case {
        written: "foo::bar",
        also: &[],
        parts: &["foo", "bar"],
    },
    Case {
        written: "path/to/file.rs",
        also: &["file.rs"],
        parts: &["path", "file", "rs"],
    },
    Case {
        written: "user@host",
        also: &["User@Host"],
        parts: &["user", "host"],
    },
    Case {
        written: "heat-conduction",
        also: &["heat conduction"],
        parts: &["heat", "conduction", "conducting"],
    },
    Case {
        written: "e-mail",
        also: &["email"],
        parts: &["mail"],
    },
    Case {
        written: "1,000,000",
        also: &["1000000"],
        parts: &[],
    },
];

#[tokio::test]
async fn identifiers_are_found_whole_and_by_their_parts() {
    for case in CASES {
        let body = format!(
            "about the thing called {}, which we describe here",
            case.written
        );
        let (_directory, index) =
            index_of(Language::English, &["nothing of the kind", &body]).await;
        let queries = [case.written]
            .into_iter()
            .chain(case.also.iter().chain(case.parts).copied());
        for query in queries {
            assert_eq!(
                found(&index, query).await,
                [1],
                "{query:?} for {:?}",
                case.written
            );
        }
    }
}

#[tokio::test]
async fn the_whole_ranks_above_its_scattered_parts() {
    for (whole, scattered) in [
        ("10.0.0.0/8", "0 of 10 and 8 and 0 or 0"),
        ("CVE-2024-3094", "3094 things in 2024, a cve list"),
        ("snake_case_name", "the name of a snake in any case"),
        ("RFC 1918", "1918 came before any rfc was written"),
        ("C++", "c is a letter"),
        ("gpt-4o", "4o or gpt"),
    ] {
        let exact = format!("we mean {whole} here");
        let (_directory, index) = index_of(Language::English, &[scattered, &exact]).await;
        assert_eq!(found(&index, whole).await.first(), Some(&1), "{whole}");
    }
}

#[tokio::test]
async fn symbols_tell_names_apart() {
    let (_directory, index) = index_of(
        Language::English,
        &["we write C here", "we write C# here", "we write C++ here"],
    )
    .await;
    assert_eq!(found(&index, "C++").await[0], 2);
    assert_eq!(found(&index, "C#").await[0], 1);
    assert_eq!(found(&index, "c").await.len(), 3);
}
