//! Every rule reports a planted violation, and the repository itself keeps them all.

use super::{Violation, check};
use crate::rules::{MAX_BYTES, MAX_LINES, MODELS, REQUIRED, UNFINISHED};
use crate::tree::{self, TrackedFile, Tree};
use crate::workspace::{self, Workspace};

/// A crate and its dependencies as `name`, `name build` or `name dev`; names that do not start with
/// `braid` or `xtask` come from the registry.
fn workspace_of(crates: &[(&str, &[&str])]) -> Workspace {
    let packages: Vec<_> = crates
        .iter()
        .map(|(name, dependencies)| {
            serde_json::json!({
                "name": name,
                "manifest_path": format!("/w/crates/{name}/Cargo.toml"),
                "dependencies": dependencies.iter().map(|text| dependency(text)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let metadata = serde_json::json!({ "workspace_root": "/w", "packages": packages });
    workspace::parse(metadata.to_string().as_bytes()).unwrap()
}

fn dependency(text: &str) -> serde_json::Value {
    let (name, kind) = text.split_once(' ').unwrap_or((text, ""));
    let kind = (!kind.is_empty()).then_some(kind);
    let internal = name.starts_with("braid") || name == "xtask";
    let source = match name {
        "forked" => Some("git+https://example.org/forked"),
        _ => (!internal).then_some("registry+https://example.org/index"),
    };
    serde_json::json!({ "name": name, "kind": kind, "source": source })
}

fn file(path: &str, text: &str) -> TrackedFile {
    TrackedFile {
        path: path.to_owned(),
        bytes: text.len() as u64,
        text: Some(text.to_owned()),
    }
}

/// A tree that keeps every rule, for the crates of `workspace`.
fn clean_tree(workspace: &Workspace) -> Tree {
    let mut files: Vec<_> = REQUIRED.iter().map(|path| file(path, "")).collect();
    files.extend(
        MODELS
            .iter()
            .map(|model| file(&format!("{model}/model.onnx"), "")),
    );
    for package in &workspace.packages {
        let folder = package.folder(&workspace.root);
        files.push(file(&format!("{folder}/src/lib.rs"), "//! What it is.\n"));
        let manifest = "[package]\n\n[lints]\nworkspace = true\n";
        files.push(file(&format!("{folder}/Cargo.toml"), manifest));
    }
    Tree { files }
}

#[track_caller]
fn check_crates(crates: &[(&str, &[&str])], expected: &[(&str, &str)]) {
    let workspace = workspace_of(crates);
    let found = check(&workspace, &clean_tree(&workspace));
    assert_places(&found, expected);
}

/// Checks a clean tree with `planted` laid over it.
#[track_caller]
fn check_files(planted: Vec<TrackedFile>, expected: &[(&str, &str)]) {
    let workspace = workspace_of(&[("braid-core", &[])]);
    let mut tree = clean_tree(&workspace);
    tree.files
        .retain(|file| !planted.iter().any(|new| new.path == file.path));
    tree.files.extend(planted);
    assert_places(&check(&workspace, &tree), expected);
}

#[track_caller]
fn assert_places(found: &[Violation], expected: &[(&str, &str)]) {
    let places: Vec<_> = found.iter().map(|v| (v.place.as_str(), v.rule)).collect();
    assert_eq!(places, expected, "{found:#?}");
}

#[test]
fn the_repository_keeps_its_rules() {
    let workspace = workspace::read().unwrap();
    if !workspace.root.join(".git").exists() {
        eprintln!("skipped: not a git checkout, so the tracked files are unknown");
        return;
    }
    let tree = tree::read(&workspace.root).unwrap();
    let found: Vec<_> = check(&workspace, &tree)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(found, [""; 0], "{found:#?}");
}

#[test]
fn a_smaller_layer_is_allowed() {
    check_crates(
        &[
            (
                "braid-core",
                &["thiserror", "serde_json dev", "braid-testkit dev"],
            ),
            (
                "braid-lexical",
                &["braid-core", "braid-text", "tantivy", "braid-readers dev"],
            ),
            ("braid-engine", &["braid-lexical", "braid-query"]),
            ("braid-testkit", &["braid-core", "tempfile"]),
        ],
        &[],
    );
}

#[test]
fn a_larger_or_equal_layer_is_reported() {
    check_crates(
        &[("braid-core", &["braid-text"])],
        &[("braid-core", "layers")],
    );
    check_crates(
        &[("braid-ledger", &["braid-vector"])],
        &[("braid-ledger", "layers")],
    );
    check_crates(
        &[("braid-query", &["braid-engine build"])],
        &[("braid-query", "layers")],
    );
    check_crates(
        &[("braid-server", &["braid-eval"])],
        &[("braid-server", "layers")],
    );
}

#[test]
fn tests_reach_no_larger_layer() {
    check_crates(
        &[("braid-text", &["braid-engine dev"])],
        &[("braid-text", "layers")],
    );
}

#[test]
fn only_the_engine_names_adapters() {
    check_crates(
        &[("braid-query", &["braid-ledger"])],
        &[("braid-query", "adapter")],
    );
    check_crates(&[("braid", &["braid-models"])], &[("braid", "adapter")]);
    check_crates(&[("braid-server", &["braid-models dev"])], &[]);
}

#[test]
fn dev_only_crates_stay_out_of_the_product() {
    check_crates(
        &[("braid-query", &["braid-testkit"])],
        &[("braid-query", "dev-only-crate")],
    );
    check_crates(&[("braid", &["xtask dev"])], &[("braid", "dev-only-crate")]);
    check_crates(
        &[("braid-testkit", &["braid-text"])],
        &[("braid-testkit", "dev-only-crate")],
    );
}

#[test]
fn a_crate_without_a_layer_is_reported() {
    check_crates(
        &[("braid-new", &["braid"])],
        &[("braid-new", "unknown-crate")],
    );
    check_crates(&[("braid", &["braid-new"])], &[("braid", "unknown-crate")]);
}

#[test]
fn external_crates_stay_with_their_owner() {
    for (name, dependency) in [
        ("braid-query", "tantivy"),
        ("braid-query", "tantivy-fst"),
        ("braid-engine", "hannoy dev"),
        ("braid-ledger", "qdrant-client"),
        ("braid-lexical", "heed"),
        ("braid-readers", "fastembed"),
        ("braid-vector", "ort-sys"),
        ("braid-text", "tokenizers dev"),
        ("braid-eval", "axum"),
        ("braid-eval", "utoipa-axum"),
        ("braid", "tower-http"),
        ("braid-ingest", "anyhow"),
    ] {
        check_crates(&[(name, &[dependency])], &[(name, "owned-crate")]);
    }
    check_crates(&[("braid-vector", &["hannoy", "heed", "orthography"])], &[]);
}

#[test]
fn the_core_is_confined() {
    check_crates(
        &[("braid-core", &["serde"])],
        &[("braid-core", "confined-crate")],
    );
}

#[test]
fn crates_come_from_the_registry() {
    check_crates(
        &[("braid-text", &["forked"])],
        &[("braid-text", "crate-source")],
    );
}

#[test]
fn a_crate_opens_with_its_documentation() {
    let path = "crates/braid-core/src/lib.rs";
    check_files(vec![file(path, "pub mod id;\n")], &[(path, "crate-doc")]);
}

#[test]
fn a_crate_takes_the_workspace_lints() {
    let path = "crates/braid-core/Cargo.toml";
    check_files(vec![file(path, "[package]\n")], &[(path, "lints")]);
}

#[test]
fn a_long_file_is_reported() {
    let long = "//\n".repeat(MAX_LINES + 1);
    check_files(
        vec![file("eval/src/a.rs", &long)],
        &[("eval/src/a.rs", "file-length")],
    );
    check_files(vec![file("eval/src/a.rs", &"//\n".repeat(MAX_LINES))], &[]);
    check_files(vec![file("docs/long.md", &long)], &[]);
}

#[test]
fn unfinished_and_ignored_code_is_reported() {
    let text =
        "#[test]\n    #[ignore = \"slow\"]\nfn a() {\n    let b = dbg!(1);\n    todo!()\n}\n";
    let expected = [
        ("a.rs:2", "ignored-test"),
        ("a.rs:4", "unfinished"),
        ("a.rs:5", "unfinished"),
    ];
    check_files(vec![file("a.rs", text)], &expected);
    for marker in UNFINISHED {
        let text = format!("// no {marker} here\nlet a = \"{marker}\";\n");
        check_files(vec![file("a.rs", &text)], &[]);
    }
}

#[test]
fn libraries_return_their_own_errors() {
    let text = "use anyhow::Result;\n";
    let expected = [("ingest/src/a.rs:1", "binary-only")];
    check_files(vec![file("ingest/src/a.rs", text)], &expected);
    check_files(vec![file("eval/src/bin/a.rs", text)], &[]);
}

#[test]
fn a_reexported_engine_is_reported() {
    let text = "pub use tantivy::Index;\npub use ort_session::Pool;\nuse heed::Env;\n";
    check_files(vec![file("a.rs", text)], &[("a.rs:1", "re-export")]);
}

#[test]
fn paths_of_one_machine_are_reported() {
    for folder in crate::rules::HOME_FOLDERS {
        let text = format!("fine\npath = \"{folder}someone/x\"\nhttps://example.org{folder}page\n");
        check_files(
            vec![file("docs/a.md", &text)],
            &[("docs/a.md:2", "home-path")],
        );
    }
}

#[test]
fn registry_hosts_are_reported() {
    for host in crate::rules::FORBIDDEN_HOSTS {
        let text = format!("https://static.{}/x", host.to_uppercase());
        check_files(vec![file("a.sh", &text)], &[("a.sh:1", "registry-host")]);
        check_files(vec![file("Cargo.lock", &text)], &[]);
    }
}

#[test]
fn a_large_file_is_reported() {
    let mut large = file("docs/a.bin", "");
    large.bytes = MAX_BYTES + 1;
    check_files(vec![large], &[("docs/a.bin", "file-size")]);
}

#[test]
fn another_model_is_reported() {
    check_files(
        vec![file("eval/a.onnx", "")],
        &[("eval/a.onnx", "bundled-models")],
    );
    let path = "models/other/config.json";
    check_files(vec![file(path, "{}")], &[(path, "bundled-models")]);
    check_files(vec![file("models/README.md", "")], &[]);
}

#[test]
fn a_missing_file_is_reported() {
    let workspace = workspace_of(&[("braid-core", &[])]);
    for path in REQUIRED.iter().chain(MODELS) {
        let mut tree = clean_tree(&workspace);
        tree.files.retain(|file| !tree::is_within(&file.path, path));
        assert_places(&check(&workspace, &tree), &[(path, "required-file")]);
    }
}

#[test]
fn the_dockerfile_copies_what_is_there() {
    let copies =
        "COPY --chown=1:1 Cargo.lock \\\n  gone ./\nCOPY --from=build /a /b\nCOPY models /m\n";
    let dockerfile = || file("Dockerfile", copies);
    check_files(vec![dockerfile()], &[("Dockerfile", "docker-copy")]);
    let found = vec![dockerfile(), file("gone/x", "")];
    check_files(found, &[]);
    let ignored = vec![
        dockerfile(),
        file("gone/x", ""),
        file(".dockerignore", "/models\n"),
    ];
    check_files(ignored, &[("Dockerfile", "docker-copy")]);
}

#[test]
fn the_dockerfile_is_pinned_unprivileged_and_leaves_nothing() {
    let good = "FROM a:1 AS build\nFROM build AS more\nFROM b/c:bookworm-slim\nUSER 7:7\n\
        RUN apt-get install x \\\n  && rm -rf /var/lib/apt/lists/*\n\
        HEALTHCHECK CMD [\"x\"]\nENTRYPOINT [\"x\"]\n";
    check_files(vec![file("Dockerfile", good)], &[]);
    let planted: [(&str, &str, &str); 10] = [
        ("a:1", "a:latest", "docker-pinned"),
        ("a:1", "host:80/a", "docker-pinned"),
        ("USER 7:7", "USER 0", "docker-user"),
        ("USER 7:7", "USER braid", "docker-user"),
        ("USER 7:7", "", "docker-user"),
        ("HEALTHCHECK CMD", "HEALTHCHECK NONE", "docker-healthcheck"),
        ("USER", "ADD x /\nUSER", "docker-instruction"),
        (
            " \\\n  && rm -rf /var/lib/apt/lists/*",
            "",
            "docker-instruction",
        ),
        ("ENTRYPOINT [\"x\"]", "ENTRYPOINT x", "docker-instruction"),
        ("USER", "RUN fetch x | sh\nUSER", "docker-instruction"),
    ];
    for (from, to, rule) in planted {
        let text = good.replace(from, to);
        check_files(vec![file("Dockerfile", &text)], &[("Dockerfile", rule)]);
    }
}

#[test]
fn a_violation_is_one_line_with_a_remedy() {
    let violation = Violation::new("braid-core", "layers", "go through a port");
    assert_eq!(
        violation.to_string(),
        "braid-core: layers: go through a port"
    );
}
