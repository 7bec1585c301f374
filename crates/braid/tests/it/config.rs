//! Settings: file, environment, flags; everything wrong is said at once.

use crate::run::{Place, Ran};

#[test]
fn everything_wrong_is_said_at_once_with_its_place() {
    let place = Place::new();
    let text = "[retrieve]\ntop_k = \"many\"\nbogus = 1\n[server]\nlisten = \"nowhere\"\n";
    place.write("bad.toml", text);
    let mut command = place.command(&["collection", "list", "--config", "bad.toml"]);
    command.args(["--set", "log.format=xml"]);
    let ran = Ran::of(command.env("BRAID__NOPE__X", "1").output().unwrap());
    assert_eq!(ran.status, 2);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    let places = [
        ("bad.toml:2: ", "retrieve.top_k"),
        ("bad.toml:3: ", "retrieve.bogus"),
        ("bad.toml:5: ", "server.listen"),
        ("BRAID__NOPE__X: ", "nope.x"),
        ("--set: ", "log.format"),
    ];
    for (line, (at, key)) in lines.iter().zip(places) {
        assert!(line.starts_with(&format!("error: {at}")), "{line}");
        assert!(line.contains(key), "{line}");
    }
}

#[test]
fn flags_are_above_the_environment_above_the_file() {
    let place = Place::new();
    place.write("braid.toml", "[storage]\ndata_dir = \"from-file\"\n");
    let says = |variable: Option<&str>, flags: &[&str], directory: &str| {
        let mut command = place.command(&["collection", "list"]);
        command.args(flags);
        if let Some(value) = variable {
            command.env("BRAID__STORAGE__DATA_DIR", value);
        }
        Ran::of(command.output().unwrap()).fails(1, &["no data in", directory, "braid ingest"]);
        assert!(
            !place.path().join(directory).exists(),
            "a mistyped path stays absent"
        );
    };
    says(None, &[], "from-file");
    says(Some("from-environment"), &[], "from-environment");
    let set = ["--set", "storage.data_dir=from-set"];
    says(Some("from-environment"), &set, "from-set");
    says(None, &["--data-dir", "from-flag"], "from-flag");
}

#[test]
fn a_missing_file_and_bad_syntax_are_named() {
    let place = Place::new();
    place.write("broken.toml", "\nx = [");
    place.fails(
        &["collection", "list", "--config", "none.toml"],
        2,
        &["none.toml"],
    );
    place.fails(
        &["collection", "list", "--config", "broken.toml"],
        2,
        &["broken.toml:2"],
    );
    place.fails(
        &["collection", "list", "--set", "zz"],
        2,
        &["SECTION.KEY=VALUE"],
    );
}
